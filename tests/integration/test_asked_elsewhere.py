"""What is asked of upstream, of files and of tasks afterwards: logs and lineages that were pushed, PROV, describe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import stage
from tests.integration.tiny_campaign import call, make_upstream


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign whose run was pushed, and another of the same upstream without a run."""
    folder = tmp_path_factory.mktemp("elsewhere")
    make_upstream(folder)
    where = {"PYTHONPATH": str(folder)}
    for camp in ("camp", "other"):
        call("clone", "upstream", camp, "-p", "pipeline.yaml", "-i", "net/raw", cwd=folder, env=where)
    call("run", "-j", "0", "--next-run", "one", cwd=folder / "camp", env=where)
    call("push", "one", "--register-dataset-types", cwd=folder / "camp", env=where)
    return folder


def ask(*words: str, cwd: Path, code: int = 0) -> Any:
    """Return the JSON that a command writes."""
    return json.loads(call(*words, "--json", cwd=cwd, code=code).stdout)


def test_logs_of_a_run_that_is_upstream(folder: Path) -> None:
    """Logs go with their run: any campaign of that upstream finds them there; a run that is nowhere is named."""
    (entry,) = ask("log", "clean", "station=aar", "month=202601", "--run", "one", cwd=folder / "other")

    assert (entry["task"], entry["status"]) == ("clean", "succeeded")
    assert "cleaning 2" in entry["text"]
    assert [entry] == ask("log", "clean", "station=aar", "month=202601", "--run", "one", cwd=folder / "camp")
    assert "no collection 'tow'" in call("log", "--run", "tow", cwd=folder / "other", code=10).stderr


def test_upstream_knows_what_came_of_an_input(folder: Path) -> None:
    """A campaign that has run nothing sees nothing come of its inputs; upstream tells what others made of them."""
    words = ("why", "reading", "station=aar", "month=202601", "--down")

    assert ask(*words, cwd=folder / "other")["read_by"] == []
    found = ask(*words, "--upstream", cwd=folder / "other")

    assert [(q["run"], q["task"], q["n"]) for q in found["read_by"]] == [("one", "clean", 1)]


def test_lineages_as_prov(folder: Path) -> None:
    """Datasets are entities, quanta activities, tasks agents; every name in a relation is declared."""
    call("why", "total", "--up", "--prov", "total.json", cwd=folder / "camp")
    document = json.loads((folder / "camp" / "total.json").read_text())

    assert {name: len(part) for name, part in document.items() if name != "prefix"} == {
        "entity": 16, "activity": 10, "agent": 3, "used": 15, "wasGeneratedBy": 10, "wasAssociatedWith": 10,
    }  # fmt: skip
    for relation, ends in (
        ("used", ("activity", "entity")),
        ("wasGeneratedBy", ("activity", "entity")),
        ("wasAssociatedWith", ("activity", "agent")),
    ):
        for each in document[relation].values():
            assert all(each[f"prov:{end}"] in document[end] for end in ends)
    assert {
        name.partition(":")[0] for part in ("entity", "activity", "agent") for name in document[part]
    } == (set(document["prefix"]) - {"stage"})
    activity = next(iter(document["activity"].values()))

    assert activity["prov:startTime"] < activity["prov:endTime"]


def test_another_library_reads_prov(folder: Path) -> None:
    """The reference library of W3C PROV takes the document and finds every record in it."""
    model = pytest.importorskip("prov.model")
    call("why", "total", "--up", "--prov", "read.json", cwd=folder / "camp")
    read = model.ProvDocument.deserialize(str(folder / "camp" / "read.json"), format="json")

    assert len(list(read.get_records())) == 64


def test_describe_tells_all_of_a_task(folder: Path) -> None:
    """Connections, settings with types, values and defaults, resources; of the campaign, of a file, of a function."""
    where = {"PYTHONPATH": str(folder)}
    (clean,) = json.loads(call("describe", "clean", "--json", cwd=folder / "camp", env=where).stdout)

    assert [(c["name"], c["role"], c["storage_class"], c["dimensions"]) for c in clean["connections"]] == [
        ("reading", "input", "Json", ["station", "month"]),
        ("clean", "output", "Json", ["station", "month"]),
    ]
    assert [(s["name"], s["type"], s["value"], s["default"]) for s in clean["settings"]] == [
        ("limit", "float", 100.0, 100.0),
        ("fail_on", "str", "", ""),
    ]
    assert clean["resources"] == {"cpus": 1, "memory_mb": None, "walltime_s": None}
    of_file = json.loads(call("describe", "-p", "pipeline.yaml", "--json", cwd=folder, env=where).stdout)

    assert [t["label"] for t in of_file] == ["clean", "summarise", "total"]
    text = call("describe", "weather_tasks:clean", cwd=folder, env=where).stdout

    assert "code        weather_tasks:clean (function)\n" in text
    assert "dimensions  station, month\n" in text
    err = call("describe", "cleen", cwd=folder / "camp", env=where, code=2).stderr

    assert "Did you mean 'clean'?" in err
    with pytest.raises(stage.UsageError, match="nothing is named"):
        stage.describe_pipeline()


def test_describe_shows_constraints_docs_and_scripts(tmp_path: Path) -> None:
    """Limits and documentation of a class's settings, and the variables of a script with where they were set."""
    (tmp_path / "described.py").write_text(
        "from typing import Annotated\n"
        "from stage import Config, Connections, Field, Output, Task\n"
        "class FitConfig(Config):\n"
        "    order: Annotated[int, Field(gt=0, description='Degree of the polynomial.')] = 3\n"
        "class Fit(Task):\n"
        "    '''Fit a polynomial.'''\n"
        "    ConfigClass = FitConfig\n"
        "    class connections(Connections, dimensions=()):\n"
        "        fit = Output(dataset_type='fit', storage_class='Json', doc='Coefficients.')\n"
        "    def run(self):\n"
        "        return {'fit': []}\n"
    )
    (tmp_path / "p.yaml").write_text(
        "description: x\ntasks:\n  fit: described.Fit\n  say:\n    dimensions: []\n    outputs: {said: {dataset_type: said,"
        ' storage_class: Text}}\n    config: {word: hi}\n    resources: {memory_mb: 64}\n    shell: echo $word > "$said"\n'
    )
    out = call("describe", "-p", "p.yaml", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}).stdout

    assert "Fit a polynomial.\n" in out
    assert "Degree of the polynomial." in out
    assert "gt=0" in out
    assert "resources   cpus 1, memory_mb 64\n" in out
    assert "word" in out
    assert '"hi"' in out
