"""What the founding documents ask of a campaign, line by line, where no other test proves it."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import call, make_upstream, tree_digest

from registry.errors import AlreadyExistsError, NotFoundError
from stage.campaign.campaign import Campaign
from stage.graph.file.reader import GraphFile
from sync.repo import Repo


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream repository and a pipeline, never changed."""
    folder = tmp_path_factory.mktemp("source")
    make_upstream(folder)
    return folder


@pytest.fixture
def work(source: Path, tmp_path: Path) -> Path:
    """Fresh copy of the source folder."""
    return Path(shutil.copytree(source, tmp_path / "work"))


def _clone(work: Path, *more: str, name: str = "camp") -> Path:
    call("clone", "upstream", name, "-p", "pipeline.yaml", "-i", "net/raw", *more, cwd=work)
    return work / name


def _state(camp: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((camp / ".campaign.json").read_text())
    return document


def _names(document: Any) -> set[str]:
    if not isinstance(document, dict):
        return set()
    return {*document, *(name for value in document.values() for name in _names(value))}


def test_options_of_one_step_are_remembered_by_the_next(work: Path) -> None:
    """C-01: pipeline, inputs, query and a setting are each said once, to four commands; the fifth needs none of them."""
    call("init", "upstream", "camp", cwd=work)
    camp = work / "camp"
    call("edit", "-i", "net/raw", cwd=camp)
    call("edit", "-p", "../pipeline.yaml", cwd=camp)
    call("edit", "-c", "clean:limit=0.5", cwd=camp)
    call("build", "-d", "station = 'aar'", cwd=camp)
    call("run", "-q", "-j0", "--rebuild", cwd=camp)

    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 2, "stations": 1}


def test_one_repository_has_many_campaigns(work: Path) -> None:
    """C-05: campaigns are to a repository as clones are: each has its own runs, and neither sees the other's."""
    before = tree_digest(work / "upstream")
    camps = [_clone(work, "-d", f"station = '{station}'", name=station) for station in ("aar", "bex")]
    for camp in camps:
        call("run", "-q", "-j0", cwd=camp)
    rows = [json.loads(call("query", "collections", "--json", cwd=camp).stdout) for camp in camps]
    runs = [{r["name"] for r in found if r["type"] == "RUN"} for found in rows]

    assert runs[0] & runs[1] == {"net/raw"}
    assert [len(found) for found in runs] == [2, 2]
    assert before == tree_digest(work / "upstream")


def test_state_says_what_will_be_run_and_staging_what_was(work: Path) -> None:
    """C-06: no outcome is in the state file; which quanta were run, and how they ended, is in the staging registry."""
    camp = _clone(work, "-c", "clean:fail_on=bex")
    fields = _names(_state(camp))
    call("run", "-q", "-j0", cwd=camp, code=3)
    text = (camp / ".campaign.json").read_text()

    assert fields == _names(json.loads(text))
    assert not [word for word in ("failed", "succeeded", "summarise", "bex", "out of order") if word in text]
    (camp / ".campaign.json").unlink()
    with (
        Repo.attach(f"sqlite:///{camp}/staging.sqlite3", camp / "data") as staging,
        staging.registry.read() as snapshot,
    ):
        status = snapshot.quanta()["status"].tolist()

    assert {s: status.count(s) for s in set(status)} == {"succeeded": 6, "failed": 2, "blocked": 2}


def test_everything_of_a_campaign_lies_below_its_directory(work: Path) -> None:
    """C-08: pipeline, graph, logs, outputs and registry are in the campaign by default, and nothing is beside it."""
    beside = {p.name for p in work.iterdir()}
    camp = _clone(work, "-c", "clean:limit=50")
    call("run", "-q", "-j0", cwd=camp)
    run = _state(camp)["collections"]["past_runs"][0]
    files = {str(p.relative_to(camp)) for p in camp.rglob("*") if p.is_file()}

    assert {p.name for p in work.iterdir()} == {*beside, "camp"}
    assert {"pipeline.yaml", "camp.qg", "staging.sqlite3", f"submit/{run}/graph.qg"} <= files
    assert len([f for f in files if f.startswith(f"logs/{run}/")]) == 10
    assert len([f for f in files if f.startswith(f"data/{run}/summary/")]) == 3


def test_init_writes_nothing_until_saved(work: Path) -> None:
    """C-55: with a repository and a directory alone a campaign is defined; it is written by save, and only once."""
    campaign = Campaign.init(str(work / "upstream"), work / "new")

    assert not (work / "new").exists()
    campaign.save()

    assert _state(work / "new")["repo"] == str(work / "upstream")
    with pytest.raises(AlreadyExistsError):
        Campaign.init(str(work / "upstream"), work / "new")
    call("init", "upstream", "new", cwd=work, code=12)
    call("init", "upstream", "full", "-p", "pipeline.yaml", "-i", "net/raw", cwd=work)

    assert _state(work / "full")["collections"]["inputs"] == ["net/raw"]


def test_a_saved_campaign_is_loaded_as_it_was(work: Path) -> None:
    """C-56, C-57: load gives what save wrote, field by field; where nothing was saved there is nothing to load."""
    made = Campaign.init(str(work / "upstream"), work / "new", campaign_docs="why", input=["net/raw"])
    with pytest.raises(NotFoundError):
        Campaign.load(work / "new")
    made.save()

    assert made.state == Campaign.load(work / "new").state


OPTIONS: dict[str, Any] = {
    "campaign_name": "weather",
    "campaign_docs": "Two months of three stations.",
    "task": ["again:weather_tasks.clean"],
    "config": ["clean:limit=50", "again:connections.clean=cleaner"],
    "input": ["net/raw,net/more"],
    "chain": "u/me/weather",
    "next_run": "%c/n%n",
    "set_counter": 7,
    "run_dirs": True,
}


def test_edit_sets_what_init_can(work: Path) -> None:
    """C-58: a campaign defined bare and edited is the one that was defined with the options at once."""
    options = {**OPTIONS, "pipeline": str(work / "pipeline.yaml")}
    at_once = Campaign.init(str(work / "upstream"), work / "one", **options)
    at_once.save()
    later = Campaign.init(str(work / "upstream"), work / "two")
    later.save()
    later.edit(**options)

    assert at_once.state == later.state
    assert (work / "one/pipeline.yaml").read_text() == (work / "two/pipeline.yaml").read_text()
    assert set(_state(work / "two")) == {
        "version", "name", "doc", "repo", "collections", "pipeline", "run_dirs",
    }  # fmt: skip


def test_a_task_of_the_working_directory_is_found(work: Path) -> None:
    """C-77: -t names a module as a person would import it there; the pipeline says where, so that it is found later too."""
    call("clone", "upstream", "tasks", "-t", "clean:weather_tasks.clean", "-i", "net/raw", cwd=work)
    text = (work / "tasks/pipeline.yaml").read_text()
    call("edit", "-t", "clean:weather_tasks.clean", "--campaign-dir", "tasks", cwd=work)

    assert f"search_path:\n- {work}\n" in text
    assert (work / "tasks/pipeline.yaml").read_text() == text
    call("run", "-q", "-j0", cwd=work / "tasks")


def test_edit_can_make_a_campaign(work: Path) -> None:
    """C-58, C-71: with --repo, and only then, edit makes the campaign that is not there yet."""
    call("edit", "--campaign-dir", "made", "--campaign-docs", "by edit", cwd=work, code=10)
    call("edit", "--campaign-dir", "made", "--repo", "upstream", "--campaign-docs", "by edit", cwd=work)

    assert (_state(work / "made")["name"], _state(work / "made")["doc"]) == ("made", "by edit")


def test_status_prints_the_state(work: Path) -> None:
    """C-59: name, upstream, inputs, graph and the runs by their place are in the text and in the JSON."""
    camp = _clone(work)
    call("run", "-q", "-j0", "--no-finish", cwd=camp)
    run = _state(camp)["collections"]["current_run"]
    text = call("status", cwd=camp).stdout
    report = json.loads(call("status", "--json", cwd=camp).stdout)

    assert [
        word for word in ("camp", str(work / "upstream"), "net/raw", "10 quanta", run) if word not in text
    ] == []
    assert (report["name"], report["upstream"], report["runs"][0]["name"]) == (
        "camp",
        str(work / "upstream"),
        run,
    )
    assert report["runs"][0]["place"] == "current"


def test_last_changes_are_made_while_building(work: Path) -> None:
    """S-18: build takes a setting and a further task, and the graph has both."""
    camp = _clone(work)
    call(
        "build", "-c", "clean:limit=0.5", "-t", "again:weather_tasks.clean", "-c", "again:connections.clean=cleaner",
        cwd=camp,
    )  # fmt: skip
    graph = GraphFile.open(str(camp / "camp.qg")).load()

    assert graph.counts() == {"clean": 6, "again": 6, "summarise": 3, "total": 1}
    assert {n.label: n.config["limit"] for n in graph.tasks if "limit" in n.config} == {
        "clean": 0.5,
        "again": 100.0,
    }


def test_a_task_is_run_from_the_command_line_alone(work: Path) -> None:
    """T-08: ``run -t`` needs no pipeline file: a class or function is named, and its quanta are run."""
    camp = work / "quick"
    camp.mkdir()
    shutil.copy(work / "weather_tasks.py", camp)
    call("run", "-q", "-j0", "--repo", "../upstream", "-t", "tidy:weather_tasks.clean", "-i", "net/raw",
         "-c", "tidy:limit=0.5", cwd=camp)  # fmt: skip
    found = call("get", "clean", "station=aar", "month=202601", cwd=camp).stdout

    assert json.loads(found) == {"values": [0]}


def test_a_task_gives_the_same_by_hand_and_in_a_campaign(work: Path) -> None:
    """T-02, T-04: the function that a campaign's quanta run is called by hand, and returns what they stored."""
    camp = _clone(work, "-c", "clean:limit=2.5")
    call("run", "-q", "-j0", cwd=camp)
    clean = runpy.run_path(str(work / "weather_tasks.py"))["clean"]
    stored = json.loads(call("get", "clean", "station=bex", "month=202602", cwd=camp).stdout)
    reading = json.loads((work / "readings/bex-202602.json").read_text())

    assert clean(reading=reading, limit=1.5) == {"values": [1]}
    assert clean(reading=reading, limit=2.5) == stored == {"values": [1, 2]}
