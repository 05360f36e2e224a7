"""Pulling, looking at what moved, and comparing with upstream by commands, as a person would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import call, campaign_digest, make_upstream, tree_digest


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign with a run over a chain, to which upstream has since added a RUN; it has changed a record and a reading."""
    folder = tmp_path_factory.mktemp("moving")
    make_upstream(folder)
    call("repo", "chain", "upstream", "net/all", "net/raw", cwd=folder)
    call(
        "clone",
        "upstream",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/all",
        "--next-run",
        "%c/r%n",
        cwd=folder,
    )
    call("run", "-j", "0", cwd=folder / "camp")
    table = "station,month,path\naar,202601,bex-202601.json\n"
    (folder / "readings" / "newer.csv").write_text(table)
    call(
        "repo",
        "ingest",
        "upstream",
        "reading",
        "--table",
        "readings/newer.csv",
        "--run",
        "net/new",
        cwd=folder,
    )
    call("repo", "chain", "upstream", "net/all", "net/new", "net/raw", cwd=folder)
    from tests.sync_builders import change

    change(folder / "upstream", "UPDATE dim_station SET height = 7 WHERE station = 'aar'")
    change(
        folder / "upstream",
        "UPDATE artifact SET checksum = 'blake3:other' WHERE id = (SELECT dataset_id FROM tags_station_month"
        " WHERE station = 'bex' AND month = 202601)",
    )
    return folder


def answer(camp: Path, *words: str, code: int = 0) -> dict[str, Any]:
    """Return what a command says as JSON."""
    found: dict[str, Any] = json.loads(call(*words, "--json", cwd=camp, code=code).stdout)
    return found


def test_a_pull_is_told_beforehand_done_and_in_the_history(made: Path) -> None:
    """A dry run changes nothing; the pull takes what it told, keeps what a quantum has read, and says what to do next."""
    camp, upstream = made / "camp", tree_digest(made / "upstream")
    before = campaign_digest(camp)
    planned = answer(camp, "pull", "--dry-run")
    assert before == campaign_digest(camp)
    moved = answer(camp, "status", "--upstream")
    assert moved["asked_upstream"]["next_commands"] == ["stage pull", "stage build"]
    assert moved["next_commands"][:2] == ["stage pull", "stage build"]
    assert answer(camp, "diff", "--upstream", code=1)["counts"]["record"] == {"same": 4, "taken": 1}

    done = answer(camp, "pull")
    for name in ("counts", "differences", "newer", "next_commands"):
        assert planned[name] == done[name]
    assert done["counts"]["record"]["taken"] == 1
    assert done["counts"]["dataset"]["new"] == 1
    assert done["counts"]["dataset"]["kept as used"] == 1
    assert done["newer"] == {"reading": {"new": 0, "replaced": 1, "removed": 0}}
    assert done["next_commands"] == ["stage build"]
    assert upstream == tree_digest(made / "upstream")

    status = call("status", cwd=camp).stdout
    assert "1 input: changed upstream since it was read; kept as read" in status
    (moved_on,) = done["moved_on"]
    assert (
        "changed upstream since it was read; it is kept as it was read"
        in call("why", moved_on, cwd=camp).stdout
    )
    last = json.loads(call("history", "--json", cwd=camp).stdout)[-1]
    assert last["command"] == "stage pull --json"
    assert "taken" in last["change"]["pulled"][1]

    again = call("pull", cwd=camp).stdout
    assert "nothing to pull" in again
    assert "stage build" in again
    call("build", "--offline", cwd=camp)
    assert answer(camp, "pull")["next_commands"] == []
    told = call("diff", "--upstream", cwd=camp, code=1).stdout
    assert "kept, quanta have read it" in told
    call("run", "-j", "0", "--new-run", cwd=camp)
    assert "changed upstream" in call("status", cwd=camp).stdout

    call("pull", "--on-conflict", "input-moved=take", cwd=camp)
    status = call("status", cwd=camp).stdout
    assert "1 input: changed upstream since it was read; upstream's was taken" in status
    assert "kept as read" not in status
    assert "kept as it was read" not in call("why", moved_on, cwd=camp).stdout


def test_a_run_is_compared_with_the_same_run_upstream(made: Path) -> None:
    """What was pushed is the same there; a run that upstream lacks, or two runs, is an error that says so."""
    camp = made / "camp"
    call("diff", "--upstream", "camp/r0", cwd=camp, code=10)
    call("push", "camp/r0", "--register-dataset-types", "--on-conflict", "all=skip", cwd=camp)
    assert "the same" in call("diff", "--upstream", "camp/r0", cwd=camp).stdout
    assert "two were named" in call("diff", "--upstream", "camp/r0", "camp/r1", cwd=camp, code=2).stderr
    assert "stage diff --upstream" in call("diff", cwd=camp, code=2).stderr


LIMITED = """
from stage import Input, Output, PrerequisiteInput, task

BOTH = ("station", "month")


@task(
    dimensions=BOTH,
    inputs={
        "reading": Input(dataset_type="reading", storage_class="Json", dimensions=BOTH),
        "limit": PrerequisiteInput(dataset_type="limit", storage_class="Json", dimensions=()),
    },
    outputs={"clean": Output(dataset_type="clean", storage_class="Json", dimensions=BOTH)},
)
def clean(reading, limit):
    return {"values": [v for v in reading["values"] if v <= limit["highest"]]}
"""


def test_a_pull_goes_on_where_no_graph_could_be_built_any_more(tmp_path: Path) -> None:
    """Upstream has lost what every quantum needs: that is told, and what else has changed there comes."""
    from tests.sync_builders import change

    make_upstream(tmp_path)
    (tmp_path / "limited_tasks.py").write_text(LIMITED)
    (tmp_path / "limited.yaml").write_text("description: x\ntasks:\n  clean: limited_tasks:clean\n")
    (tmp_path / "limit.json").write_text('{"highest": 5}')
    call("repo", "register-dataset-type", "upstream", "limit", "Json", cwd=tmp_path)
    call("repo", "ingest", "upstream", "limit", "limit.json", "--run", "net/limits", cwd=tmp_path)
    call("clone", "upstream", "camp", "-p", "limited.yaml", "-i", "net/raw,net/limits", cwd=tmp_path)
    call("repo", "prune", "upstream", "net/limits", "--purge", "--yes", cwd=tmp_path)
    change(tmp_path / "upstream", "UPDATE dim_station SET height = 7 WHERE station = 'aar'")
    camp = tmp_path / "camp"

    status = call("status", "--upstream", cwd=camp).stdout
    assert "no graph can be built of them now: 6 of 6 quanta of 'clean' lack a prerequisite" in status
    assert "1 dimension record: changed upstream" in status
    assert "no graph can be built of them now" in call("pull", cwd=camp).stdout
    assert "nothing to pull" in call("pull", cwd=camp).stdout
