"""A graph beside pipeline and inputs: every state, every option and every command, as the table in the documentation says."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import ROOT, call, campaign_digest, make_upstream

from registry.errors import StageError
from stage.campaign.campaign import Campaign

PAGE = ROOT / "docs" / "campaigns.md"
CODES = {
    "no-pipeline": "no pipeline",
    "no-inputs": "no inputs",
    "graph-tasks-differ": "tasks",
}
LONG = os.environ.get("STAGE_FAULTS") == "long"
ONE_QUANTUM = ("-d", "station = 'aar' AND month = 202601")


def _tables() -> list[list[list[str]]]:
    """Return the tables of the page whose first column is the pipeline, by their cells."""
    out: list[list[list[str]]] = []
    inside = False
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]
        if line.startswith("| pipeline |"):
            out.append([cells])
            inside = True
        elif inside and line.startswith("| "):
            out[-1].append(cells)
        elif not line.startswith("|---"):
            inside = False
    return out


def _cells(table: list[list[str]], keys: int) -> Iterator[tuple[tuple[str, ...], str, str]]:
    head, *rows = table
    for row in rows:
        yield from (
            (tuple(row[:keys]), option, cell) for option, cell in zip(head[keys:], row[keys:], strict=True)
        )


RUN_TABLE, REGISTER_TABLE = _tables()
STATES = [tuple(row[:2]) for row in RUN_TABLE[1:]]


@cache
def _world(folder: Path) -> Path:
    """Make an upstream with two runs of readings, a campaign with a graph of one quantum, and a copy of that graph."""
    make_upstream(folder)
    (folder / "one.yaml").write_text("description: One task.\ntasks:\n  clean: weather_tasks.clean\n")
    call("repo", "register-collection", "upstream", "net/more", "--type", "RUN", cwd=folder)
    call("clone", "upstream", "built", "-p", "one.yaml", "-i", "net/raw", *ONE_QUANTUM, cwd=folder)
    shutil.copy(folder / "built" / "built.qg", folder / "elsewhere.qg")
    call("init", "upstream", "adopted", cwd=folder)
    call("qg", "import", folder / "elsewhere.qg", cwd=folder / "adopted")
    return folder


def _edit_inputs(camp: Path, inputs: str, *, is_built: bool) -> None:
    if inputs == "absent":
        return
    if not is_built:
        call("edit", "-i", "net/raw", cwd=camp)
        if inputs != "imported":
            call("qg", "refresh", cwd=camp)
    if inputs == "different":
        call("edit", "-i", "net/more,net/raw", cwd=camp)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what is never changed."""
    return _world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def camp(world: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Campaign whose pipeline and inputs are in the state that the test is about."""
    pipeline, inputs = request.param
    is_built = pipeline not in ("absent", "imported")
    camp = Path(shutil.copytree(world / ("built" if is_built else "adopted"), tmp_path / "camp"))
    _edit_inputs(camp, inputs, is_built=is_built)
    if pipeline == "imported":
        call("edit", "-p", world / "one.yaml", cwd=camp)
    elif pipeline == "different":
        call("edit", "-c", "clean:limit=7", cwd=camp)
    elif pipeline == "other tasks":
        call("edit", "-t", "more:weather_tasks.summarise", cwd=camp)
    return camp


def _outcome(camp: Path, method: str, option: str, **more: Any) -> str:
    """Do it, and word what came of it as the tables do; what is refused leaves no trace."""
    before = campaign_digest(camp)
    keyword = {} if option == "nothing said" else {option.lstrip("-").replace("-", "_"): True}
    try:
        getattr(Campaign.load(camp), method)(**more, **keyword)
    except StageError as error:
        assert campaign_digest(camp) == before, f"{method} {option} was refused and has changed something"
        if error.code != "graph-discrepant":
            return CODES.get(error.code, error.code)
        named = error.context.get("differences") or [error.context]
        return ", ".join(one["what"] for one in named)
    return "registers" if method == "register_dataset_types" else "runs"


def _check(
    camp: Path, scratch: Path, state: tuple[str, ...], method: str, table: list[list[str]], **more: Any
) -> None:
    """Try every option of one state on a copy, and compare with the row of the table."""
    keys = 2 if table is RUN_TABLE else 1
    expected = {option: cell for found, option, cell in _cells(table, keys) if found == state[:keys]}
    if method == "prep":
        expected = {
            option: cell for option, cell in expected.items() if option not in ("--rebuild", "--refresh")
        }
    if not LONG and method != "run":  # what goes on there is left to the long form, but for one way
        expected = {
            o: cell
            for o, cell in expected.items()
            if o == "nothing said" or cell not in ("runs", "registers")
        }
    found = {}
    for n, option in enumerate(expected):
        copy = Path(shutil.copytree(camp, scratch / f"{method}-{n}"))
        found[option] = _outcome(copy, method, option, **more)
        shutil.rmtree(copy)

    assert expected == found


@pytest.mark.parametrize("camp", STATES, indirect=True, ids=["-".join(s) for s in STATES])
def test_run_prep_and_register_do_what_the_table_says(camp: Path, tmp_path: Path, request: Any) -> None:
    """For each option: run, prep and register-dataset-types go on, or are refused for the reason that stands there."""
    state = request.node.callspec.params["camp"]
    _check(camp, tmp_path, state, "run", RUN_TABLE, processes=0)
    _check(camp, tmp_path, state, "prep", RUN_TABLE)
    _check(camp, tmp_path, state, "register_dataset_types", REGISTER_TABLE)


def test_the_table_has_all_states_that_can_be() -> None:
    """A built graph has a pipeline and inputs beside it; one that was imported may lack either, or have it refreshed."""
    built = {(p, i) for p in ("same", "different", "other tasks") for i in ("same", "different")}
    imported = {(p, i) for p in ("absent", "imported") for i in ("absent", "imported", "same", "different")}

    assert set(STATES) == built | imported
    assert {row[0] for row in REGISTER_TABLE[1:]} == {p for p, _ in STATES}
    assert set(RUN_TABLE[0][2:]) >= {
        "nothing said",
        "--rebuild",
        "--refresh",
        "--use-qg-configs",
        "--use-task-configs",
    }


# -- what a refusal says --------------------------------------------------------------------------------------


@pytest.mark.parametrize("camp", [("same", "same")], indirect=True)
def test_settings_are_named_with_both_values(camp: Path) -> None:
    """Label, name, old and new value; tasks that are new; the commands that go on, each one with what it does."""
    call("edit", "-c", "clean:limit=7", "-c", "clean:fail_on=bex", cwd=camp)
    told = call("run", "-j0", cwd=camp, code=12).stderr

    assert "clean:limit was 100.0, is 7.0" in told
    assert "clean:fail_on was '', is 'bex'" in told
    for option in ("--rebuild", "--refresh", "--use-task-configs", "--use-qg-configs"):
        assert f"'stage run {option}'" in told
    call("edit", "-t", "more:weather_tasks.summarise", cwd=camp)
    told = call("run", "-j0", cwd=camp, code=12).stderr

    assert "task 'more' is new" in told
    assert "--use-task-configs" not in told
    assert "--refresh" not in told


@pytest.mark.parametrize("camp", [("same", "different")], indirect=True)
def test_collections_are_named_that_came_went_or_moved(world: Path, camp: Path) -> None:
    """With both lists; and prep names commands that it has."""
    told = call("prep", cwd=camp, code=12).stderr

    assert "the graph was built from net/raw; the campaign now has net/more, net/raw (added net/more)" in told
    for way in ("stage build", "stage qg refresh", "stage prep --use-qg-configs"):
        assert f"'{way}'" in told
    call("build", cwd=camp)
    call("edit", "-i", "net/raw,net/more", cwd=camp)

    assert "(moved net/raw, net/more)" in call("run", "-j0", cwd=camp, code=12).stderr
    call("edit", "-i", "net/more", cwd=camp)

    assert "(removed net/raw)" in call("run", "-j0", cwd=camp, code=12).stderr


@pytest.mark.parametrize("camp", [("different", "different")], indirect=True)
def test_the_ways_that_are_named_go_on(camp: Path, tmp_path: Path) -> None:
    """Each command of the refusal, typed as it stands there, runs the graph."""
    with pytest.raises(StageError) as caught:
        Campaign.load(camp).run(processes=0)
    ways = caught.value.context["ways"]

    assert len(ways) == 4
    for n, way in enumerate(ways):
        copy = Path(shutil.copytree(camp, tmp_path / str(n)))
        call(*way.split()[1:], "-q", "-j0", cwd=copy)

        assert json.loads((copy / ".campaign.json").read_text())["collections"]["past_runs"]
