"""``run --rebuild`` again, where the one before was broken off: the run goes on if the graph comes out the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stage.campaign.campaign import Campaign
from stage.graph.changing.same import same_plan
from tests.integration.tiny_campaign import call, make_upstream

REBUILD = ("run", "-q", "-j0", "--rebuild")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign whose run was begun by --rebuild and has a quantum that failed."""
    folder = tmp_path_factory.mktemp("again")
    make_upstream(folder)
    call(
        "init", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n", cwd=folder
    )
    call(*REBUILD, "-c", "clean:fail_on=bex", cwd=folder / "camp", code=3)
    return folder


@pytest.fixture
def camp(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world, tmp_path / "world")) / "camp"


def _state(camp: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((camp / ".campaign.json").read_text())["collections"]
    return found


def test_the_same_graph_goes_on_with_the_run(camp: Path) -> None:
    """Only what is missing is done, in the same run; the graph stays the very file that it was, and that is said."""
    graph = (camp / "camp.qg").read_bytes()
    said = call(*REBUILD, cwd=camp, env={"STAGE_TEST_HEALED": "1"}).stdout

    assert "the run goes on with it" in said
    assert "4 quanta executed" in said
    assert (_state(camp)["past_runs"], (camp / "camp.qg").read_bytes()) == (["camp/r0"], graph)


def test_another_graph_is_refused_as_before(camp: Path) -> None:
    """Other data IDs, or other settings, are another run's; the hint says how to begin it."""
    for more in (("-d", "station = 'aar'"), ("-c", "clean:limit=7")):
        refused = call(*REBUILD, *more, cwd=camp, code=12).stderr

        assert "run 'camp/r0' was begun with" in refused
        assert "--new-run" in refused
    call(*REBUILD, "--new-run", "-d", "station = 'aar'", cwd=camp)

    assert _state(camp)["past_runs"] == ["camp/r1", "camp/r0"]


def test_a_finished_run_is_not_gone_on_with(camp: Path) -> None:
    """With no current run a rebuilt graph is a new one, and has a new run."""
    call(*REBUILD, cwd=camp, env={"STAGE_TEST_HEALED": "1"})
    call(*REBUILD, cwd=camp, env={"STAGE_TEST_HEALED": "1"})

    assert _state(camp)["past_runs"] == ["camp/r1", "camp/r0"]


def test_what_makes_two_graphs_one_plan(camp: Path) -> None:
    """Built twice they are, whatever their ids; with a quantum less, or an input in another run, they are not."""
    campaign = Campaign.load(camp)
    first = campaign.open_graph().load()
    campaign.build()
    second = campaign.open_graph().load()

    assert first.id != second.id
    assert same_plan(first, second)
    campaign.build(data_query="station IN ('aar', 'bex')")

    assert not same_plan(first, campaign.open_graph().load())
    campaign.build(data_query="", config=["clean:limit=7"])

    assert not same_plan(first, campaign.open_graph().load())
