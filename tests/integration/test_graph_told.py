"""What ``--explain`` prints, as a person sees it: everything that is known, and each thing once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import call, campaign_digest, make_upstream


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream repository and a campaign of which two months of one station are done, never changed."""
    folder = tmp_path_factory.mktemp("told")
    make_upstream(folder)
    words = ("-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n", "-d", "station = 'aar'")
    call("clone", "upstream", "camp", *words, cwd=folder)
    call("run", "-j0", cwd=folder / "camp")
    call("build", "-d", "", cwd=folder / "camp")
    return folder


@pytest.fixture
def camp(source: Path, tmp_path: Path) -> Path:
    """A copy of that campaign, with its upstream beside it."""
    folder = Path(shutil.copytree(source, tmp_path / "work"))
    state = folder / "camp" / ".campaign.json"
    state.write_text(state.read_text().replace(str(source), str(folder)))
    return folder / "camp"


def test_the_cause_of_an_empty_graph_is_printed_once(camp: Path) -> None:
    """The table on standard output, the cause on standard error: together they say it one time."""
    found = call("build", "--explain", "-d", "station = 'nowhere'", cwd=camp, code=2)

    assert 1 == (found.stdout + found.stderr).count("there is no station 'nowhere'")
    assert "that satisfy station = 'nowhere'" in found.stdout
    assert "There are: aar, bex, chur." in found.stderr


def test_a_build_that_fails_is_explained_as_json(camp: Path) -> None:
    """One document: the error, and the whole explanation with its causes."""
    found = call("build", "--explain", "--json", "-d", "station = 'nowhere'", cwd=camp, code=2)
    told: dict[str, Any] = json.loads(found.stdout)

    assert "empty-graph" == told["error"]["code"]
    assert ["unknown-value"] == [c["code"] for c in told["explanation"]["causes"]]
    assert [0, 0, 0] == [t["quanta"] for t in told["explanation"]["tasks"]]


def test_a_trimmed_graph_tells_what_was_trimmed(camp: Path) -> None:
    """In the table of the build, and in that of the graph that is kept."""
    built = call("build", "--explain", "--trim-existing-in", "CAMPAIGN", cwd=camp).stdout
    kept = call("qg", "show", "--explanation", cwd=camp).stdout

    assert kept.strip() in built
    (head,) = (line for line in kept.splitlines() if line.startswith("task "))
    assert ["task", "data", "IDs", "trimmed", "dropped", "quanta"] == head.split()
    rows = {line.split()[0]: line.split()[1:] for line in kept.splitlines() if line[:5] in ("clean", "summa")}
    assert ["6", "2", "0", "4"] == rows["clean"]
    assert ["3", "1", "0", "2"] == rows["summarise"]
    assert "'reading': " in kept


def test_a_refresh_is_explained_if_asked(camp: Path) -> None:
    """Also of a graph that was built without; where nobody asks nothing is kept."""
    call("qg", "refresh", cwd=camp)
    call("qg", "show", "--explanation", cwd=camp, code=10)
    found = call("qg", "refresh", "--explain", "--trim-existing-in", "CAMPAIGN", cwd=camp).stdout

    assert ["clean", "6", "2", "0", "4"] in [line.split() for line in found.splitlines()]
    document = json.loads(call("qg", "show", "--explanation", "--json", cwd=camp).stdout)
    assert [2, 1, 1] == [t["trimmed"] for t in document["tasks"]]
    report = json.loads(call("qg", "refresh", "--explain", "--json", cwd=camp).stdout)
    assert document["tasks"] == report["explanation"]["tasks"]


def test_a_drawing_without_a_name_is_refused(camp: Path) -> None:
    """By every command that would write it; nothing is changed."""
    before = campaign_digest(camp)
    for words in (("build",), ("qg", "refresh")):
        assert "--qg-dot names no file" in call(*words, "--qg-dot", "", cwd=camp, code=2).stderr
    assert before == campaign_digest(camp)


def test_sizes_are_for_people(camp: Path) -> None:
    """With units, and with what they are sizes of."""
    lines = call("qg", "show", "--sizes", cwd=camp).stdout.splitlines()

    assert "of these there already" in lines[0]
    assert any(line.split()[0] == "reading" and line.endswith(" bytes") for line in lines[2:])
    assert any(line.split()[0] == "total_log" and line.endswith("  -") for line in lines[2:])


def test_a_dimension_that_a_task_has_not_is_told_with_those_it_has(camp: Path) -> None:
    """The task is named, and what its quanta can be counted by."""
    found = call("qg", "show", "--by", "month", "--task", "summarise", cwd=camp, code=2).stderr

    assert "quanta of 'summarise' cannot be counted by month: these have station" in found
