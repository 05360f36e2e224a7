"""Commands that look at graphs and pipelines, as a person types them: show, draw, and builds that explain themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tiny_campaign import call, campaign_digest, make_upstream

from stage.graph.graph import QuantumGraph


@pytest.fixture(scope="module")
def camp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a campaign with a run in which one station's readings fail; nothing here changes it."""
    folder = tmp_path_factory.mktemp("looks")
    make_upstream(folder)
    clone = ["clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n"]
    call(*clone, "-c", "clean:fail_on=bex", cwd=folder)
    call("run", "-j", "0", cwd=folder / "camp", code=3)
    return folder / "camp"


def test_a_graph_is_shown_by_counts(camp):
    """By the values of dimensions, of all tasks or one, for part of the data."""
    assert "bex          2          1" in call("qg", "show", "--by", "station", cwd=camp).stdout
    shown = call(
        "qg", "show", "--by", "month", "--task", "clean", "--data-id", "station=aar", "--json", cwd=camp
    )

    assert [{"month": 202601, "clean": 1}, {"month": 202602, "clean": 1}] == json.loads(shown.stdout)


def test_quanta_are_searched(camp):
    """By task and data ID; a list that is cut says so."""
    shown = call("qg", "show", "--task", "clean", "--limit", "2", cwd=camp).stdout
    found = json.loads(call("qg", "show", "--data-id", "station=chur", "--json", cwd=camp).stdout)

    assert "the first 2 of 6 quanta; --limit shows more" in shown
    assert (3, {"station": "chur"}) == (found["n"], found["quanta"][-1]["data_id"])
    assert "no task 'clen'" in call("qg", "show", "--task", "clen", cwd=camp, code=10).stderr
    assert "'chur' is no value" in call("qg", "show", "--data-id", "chur", cwd=camp, code=2).stderr
    assert "do not go together" in call("qg", "show", "--quantum", "1", "--sizes", cwd=camp, code=2).stderr


def test_one_quantum_is_shown_whole(camp):
    """What it reads, with ids and places; what it writes."""
    shown = call("qg", "show", "--quantum", "6", cwd=camp).stdout
    document = json.loads(call("qg", "show", "--quantum", "6", "--json", cwd=camp).stdout)

    assert "task    summarise" in shown
    assert "data ID station=aar" in shown
    assert 2 == len(document["inputs"]["clean"])
    assert all(d["id"] in shown for d in document["inputs"]["clean"])
    assert "no quantum 99" in call("qg", "show", "--quantum", "99", cwd=camp, code=10).stderr


def test_sizes_are_shown(camp):
    """Of inputs, which are there."""
    rows = json.loads(call("qg", "show", "--sizes", "--json", cwd=camp).stdout)
    reading = next(r for r in rows if r["dataset_type"] == "reading")

    assert (6, 6) == (reading["datasets"], reading["existing"])
    assert reading["bytes"] > 0


def test_a_picture_shows_what_became_of_quanta(camp):
    """In the newest run, or one that is named; nothing is changed by looking."""
    before = campaign_digest(camp)
    text = call("qg", "draw", "--status", cwd=camp).stdout
    same = call("qg", "draw", "--run", "camp/r0", cwd=camp).stdout

    assert text == same
    lines = [line.split(maxsplit=1)[-1] for line in text.splitlines() if "  clean  " in line]
    assert 2 == sum("station=bex" in line and line.endswith("[failed]") for line in lines)
    assert 4 == sum(line.endswith("[done]") for line in lines)
    assert 2 == text.count("[blocked]")
    assert "[" not in call("qg", "draw", cwd=camp).stdout
    assert "no collection 'camp/r9'" in call("qg", "draw", "--run", "camp/r9", cwd=camp, code=10).stderr
    assert before == campaign_digest(camp)


def test_pictures_are_written_to_files(camp, tmp_path):
    """Whole, in the form asked for."""
    out = tmp_path / "g.svg"
    call("qg", "draw", "--format", "svg", "--status", "-o", str(out), cwd=camp)
    call("draw", "graph", str(camp / "camp.qg"), "-f", "dot", "-o", str(tmp_path / "g.dot"), cwd=tmp_path)

    assert ET.fromstring(out.read_text()).tag.endswith("svg")
    assert (tmp_path / "g.dot").read_text().startswith("digraph")
    assert "no form of picture 'png'" in call("qg", "draw", "-f", "png", cwd=camp, code=2).stderr
    assert (
        "cannot be written" in call("qg", "draw", "-o", str(tmp_path / "no" / "g"), cwd=camp, code=1).stderr
    )


def test_pipelines_are_drawn(camp):
    """The campaign's, or a file; a part of it by its labels."""
    assert "Pipeline of campaign 'camp'" in call("draw", "pipeline", cwd=camp).stdout
    part = call("draw", "pipeline", "../pipeline.yaml#clean", "--format", "mermaid", cwd=camp).stdout

    assert "flowchart TB" == part.splitlines()[0]
    assert "clean" in part
    assert "summarise" not in part


def test_a_build_explains_itself(camp):
    """Before it reports; an empty one does so before its error, and leaves all as it was."""
    before = campaign_digest(camp)
    failed = call("build", "--explain", "--no-fetch", "-d", "station = 'bax'", cwd=camp, code=2)

    assert "0  that satisfy station = 'bax'" in failed.stdout
    assert "there is no station 'bax'" in failed.stderr
    assert "Did you mean 'bex'?" in failed.stderr
    assert before == campaign_digest(camp)


def test_an_explanation_is_kept_in_the_graph(camp, tmp_path):
    """And shown again; a graph that has none says how to get one."""
    camp = Path(shutil.copytree(camp, tmp_path / "camp"))
    call("build", "--explain", "--no-fetch", "--write-qg", str(tmp_path / "e.qg"), cwd=camp)
    shown = call("qg", "show", str(tmp_path / "e.qg"), "--explanation", cwd=tmp_path).stdout
    graph = QuantumGraph.load(tmp_path / "e.qg")
    graph.header.metadata.pop("explanation")  # type: ignore[attr-defined]
    graph.retarget("u/run").save(tmp_path / "without.qg")
    without = call("qg", "show", str(tmp_path / "without.qg"), "--explanation", cwd=tmp_path, code=10)

    assert "that the records allow" in shown
    assert "stage build --explain" in without.stderr
