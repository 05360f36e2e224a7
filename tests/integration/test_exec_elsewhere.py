"""Jobs on a machine that has another place for outputs, and users' modules in other directories: told by the environment."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stage.campaign.campaign import Campaign
from tests.integration.book_campaign import make_campaign
from tests.integration.tiny_campaign import call, stage

PIPELINE = "tasks: {count: letters_here.count}\n"
MODULE = """
from stage import Input, Output, task


@task(
    dimensions=("book",),
    inputs={"text": Input("text", "Text")},
    outputs={"n": Output("n_letters", "Json")},
)
def count(text):
    return {"n": len(text), "by": "HOW"}
"""


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Return the graph of a prepared run whose tasks are in a module of the user's, with another of that name elsewhere."""
    for folder in ("near", "far"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "letters_here.py").write_text(MODULE.replace("HOW", folder))
    make_campaign(tmp_path, name="other")
    (tmp_path / "mine.yaml").write_text(f"search_path: {tmp_path / 'near'}\n{PIPELINE}")
    campaign, _ = Campaign.clone(
        str(tmp_path / "up"), tmp_path / "c", pipeline=str(tmp_path / "mine.yaml"), input=["texts"]
    )
    run = campaign.prep()
    (tmp_path / "job").mkdir()
    shutil.copy(campaign.layout.run_graph(run), tmp_path / "job" / "graph.qg")
    return tmp_path / "job" / "graph.qg"


def results(root: Path) -> list[dict[str, object]]:
    """Return what the quanta below a directory have written."""
    return [json.loads(p.read_text()) for p in sorted(root.rglob("n_letters/**/*.json"))]


@pytest.mark.parametrize(
    "words", [["--quanta", "all"], ["--quanta=all", "-j0"]], ids=["as batch systems call it", "as people do"]
)
def test_outputs_and_modules_are_where_the_environment_says(graph: Path, words: list[str]) -> None:
    """A graph that lies in no campaign is executed into one directory with the code of another, before the graph's own."""
    root = graph.parents[1]
    told = {"STAGE_DATASTORE": str(root / "there"), "STAGE_TASK_PATH": f":{root / 'none'}:{root / 'far'}"}

    stage("exec", graph, *words, "--record", "r.jsonl", cwd=graph.parent, env=told)

    assert [{"n": 23, "by": "far"}, {"n": 9, "by": "far"}] == results(root / "there")


def test_what_the_command_line_says_counts_before_the_environment(graph: Path) -> None:
    """With --datastore the variable is not looked at; without STAGE_TASK_PATH modules are the graph's."""
    root = graph.parents[1]
    words = ("exec", graph, "--quanta", "all", "--record", "r.jsonl", "--datastore", root / "said")

    stage(*words, cwd=graph.parent, env={"STAGE_DATASTORE": str(root / "there"), "STAGE_TASK_PATH": ""})

    assert ["near", "near"] == [r["by"] for r in results(root / "said")]
    assert not (root / "there").exists()


def test_without_either_it_is_said_what_is_missing(graph: Path) -> None:
    """A graph outside of a campaign, with no word about outputs, is an error that names both ways to say it."""
    said = call("exec", graph, "--quanta", "all", "--record", "r.jsonl", cwd=graph.parent, code=2).stderr

    assert "--datastore URI, or $STAGE_DATASTORE" in said
