"""A campaign whose inputs have files of its own: what is really read, drop and back again, and upstream as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream, tree_digest

HEALED = {"STAGE_TEST_HEALED": "1"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream repository, never changed."""
    folder = tmp_path_factory.mktemp("source")
    make_upstream(folder)
    return folder


@pytest.fixture
def work(source: Path, tmp_path: Path) -> Path:
    """Fresh copy of the source folder."""
    shutil.copytree(source, tmp_path / "work")
    return tmp_path / "work"


def clone(work: Path, *words: str) -> Path:
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", *words, cwd=work)
    return work / "camp"


def readings(camp: Path) -> list[Path]:
    return sorted(p for p in (camp / "data" / "net").rglob("*.json"))


def newest_run(camp: Path) -> str:
    return str(json.loads(call("status", "--json", cwd=camp).stdout)["runs"][0]["name"])


def test_jobs_read_the_copies(work: Path) -> None:
    """With copies a moved campaign runs from its graph file alone although upstream's files are away."""
    camp = clone(work, "--artifacts", "copy")
    assert len(readings(camp)) == 6
    assert json.loads(call("status", "--json", cwd=camp).stdout)["artifacts"] == "copy"
    assert "artifacts copy" in call("status", cwd=camp).stdout
    moved = work / "elsewhere" / "renamed"
    moved.parent.mkdir()
    camp.rename(moved)
    call("prep", cwd=moved)
    (work / "upstream").rename(work / "away")
    (graph,) = moved.glob("submit/*/*/graph.qg")
    call("exec", graph, "--quanta", "all", "--record", "job.zst", cwd=moved)
    call("merge", "job.zst", cwd=moved)

    assert json.loads(call("get", "total", cwd=moved).stdout) == {"n": 12, "stations": 3}
    assert (
        json.loads(call("get", "reading", "station=aar", "month=202601", cwd=moved).stdout)["station"]
        == "aar"
    )


def test_dropped_files_are_read_from_upstream(work: Path) -> None:
    """A run that was pushed with failures and freed goes on, is asked about and compared, and its files come back."""
    camp = clone(work, "--artifacts", "copy", "-c", "clean:fail_on=bex")
    call("run", "-q", "-j0", cwd=camp, code=3)
    call("push", "--register-dataset-types", cwd=camp)
    before = tree_digest(work / "upstream")
    assert "clean" in call("drop", "--dry-run", cwd=camp).stdout
    assert "--yes" in call("drop", cwd=camp, code=2).stderr
    shown = json.loads(call("drop", newest_run(camp), "--inputs", "--yes", "--json", cwd=camp).stdout)

    assert (shown["done"], shown["kept"]) == (True, [])
    assert readings(camp) == []
    call("run", "-q", "-j0", cwd=camp, env=HEALED)
    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}
    assert "reading" in call("why", "total", cwd=camp).stdout
    run = newest_run(camp)
    assert "same" in call("diff", run, run, cwd=camp).stdout
    call("diff", run, f"upstream:{run}", cwd=camp, code=1)
    refused = json.loads(call("drop", "--dry-run", "--json", cwd=camp).stdout)["kept"]
    # What failed was pushed with its log, and has another one now.
    again = {kept["code"]: kept["n"] for kept in refused}
    assert set(again) == {"not-upstream", "differs-upstream"}
    fetched = json.loads(call("fetch", "--json", cwd=camp).stdout)
    assert fetched["files"] == shown["files"] - again["differs-upstream"]
    assert len(readings(camp)) == 6
    assert before == tree_digest(work / "upstream")


def test_a_job_reads_what_was_dropped(work: Path) -> None:
    """Quanta of a graph that was made before the drop find intermediate outputs of the pushed run upstream."""
    camp = clone(work, "-c", "clean:fail_on=bex")
    call("run", "-q", "-j0", cwd=camp, code=3)
    call("push", "--register-dataset-types", cwd=camp)
    run = newest_run(camp)
    call("drop", run, "--dataset-type", "clean", "--yes", cwd=camp)
    graph = camp / "submit" / run / "graph.qg"
    call("exec", graph, "--quantum", "summarise:station=aar", "--force", "--record", "job.zst", cwd=camp)


@pytest.mark.parametrize("mode", ["link", "symlink", "copy"])
def test_upstream_stays_as_it_was(work: Path, mode: str) -> None:
    """Whatever is removed in a campaign with files or links of its own, not a byte or a time changes upstream."""
    before = tree_digest(work / "upstream")
    camp = clone(work, "--artifacts", mode)
    for words in (
        ("prep",),
        ("pop", "--purge"),
        ("clean", "--purge", "--yes"),
        ("drop", "--inputs", "--yes"),
        ("fetch",),
        ("drop", "--inputs", "--yes"),
    ):
        call(*words, cwd=camp)
        assert before == tree_digest(work / "upstream"), words

    assert readings(camp) == []
    shutil.rmtree(camp)
    assert before == tree_digest(work / "upstream")


def test_a_mode_that_cannot_work_leaves_nothing(work: Path) -> None:
    """A clone that may not link to where its files would be is refused by name, and its directory is not there."""
    refused = call("clone", "upstream", "camp", "--artifacts", "hard", cwd=work, code=2)

    assert "direct, link, symlink, copy" in refused.stderr
    assert not (work / "camp").exists()
