"""Several processes push to one upstream at once: nothing is lost, nothing doubled, chains are right."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from registry.errors import ConflictError
from sync.clone import execute_fetch, plan_fetch
from sync.errors import TransferError
from sync.plan import PushPlan
from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import Database

ROOT = Path(__file__).resolve().parents[2]
VISITS = range(1, 21)


def prepare(root: Path, runs: dict[str, str], database: Database) -> None:
    """Make an upstream, and a campaign (folder to run) each."""
    with made.make_upstream(root / "up", n_exposures=20, registry_url=database.url()) as upstream:
        for folder, run in runs.items():
            with made.make_staging(root / folder) as staging:
                execute_fetch(plan_fetch(upstream, staging, made.wanted(upstream, visits=VISITS)), staging)
                made.make_run(staging, run, visits=VISITS)


def start(root: Path, folder: str, run: str) -> subprocess.Popen[bytes]:
    command = ["push", str(root / "up"), str(root / folder), run, ""]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sync_crash", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.survives("races", "pushes of different runs", 3)
def test_pushes_of_different_runs_all_arrive(tmp_path: Path, database: Database) -> None:
    """All publish at once, in front of one chain: it ends as after one push after the other, in some order."""
    runs = {f"c{i}": f"u/{i}/run" for i in range(3)}
    prepare(tmp_path, runs, database)

    processes = {folder: start(tmp_path, folder, run) for folder, run in runs.items()}
    errors = {folder: process.communicate(timeout=120)[1].decode() for folder, process in processes.items()}

    assert [process.returncode for process in processes.values()] == [0, 0, 0], errors
    with Repo.open(tmp_path / "up") as upstream, upstream.registry.read() as snap:
        assert set(snap.collection("u/me/best").children) == set(runs.values())
        assert {80} == {sum(snap.count_datasets([run])["n"].tolist()) for run in runs.values()}
        assert snap.table("push_ledger").n_rows == 3
    assert made.dangling(tmp_path / "up") == []


@pytest.mark.survives("races", "pushes of one run", 2)
def test_two_pushes_of_the_same_run_are_one(tmp_path: Path, database: Database) -> None:
    """The same run pushed twice at once is there once, and both say that they are done."""
    prepare(tmp_path, {"a": "u/me/run"}, database)
    shutil.copytree(tmp_path / "a", tmp_path / "b")

    processes = [start(tmp_path, folder, "u/me/run") for folder in ("a", "b")]
    said = [process.communicate(timeout=120) for process in processes]

    assert [p.returncode for p in processes] == [0, 0], said
    with Repo.open(tmp_path / "up") as upstream, upstream.registry.read() as snap:
        assert sum(snap.count_datasets(["u/me/run"])["n"].tolist()) == 80
        assert snap.table("push_ledger").n_rows == 1
    assert made.dangling(tmp_path / "up") == []


def plan(staging: Repo, upstream: Repo, chain: str | None = None) -> PushPlan:
    return plan_push(
        staging, upstream, ["u/me/run"], campaign=made.CAMPAIGN, register_dataset_types=True, chain=chain
    )  # fmt: skip


def test_a_refused_push_takes_back_no_file_that_another_has_published(
    tmp_path: Path, database: Database
) -> None:
    """Files that one push moved and another found and published stay when the first one is refused."""
    prepare(tmp_path, {"a": "u/me/run"}, database)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with (
        Repo.open(tmp_path / "up", writable=True) as upstream,
        Repo.open(tmp_path / "up", writable=True) as other_upstream,
        made.open_staging(tmp_path / "a") as staging,
        made.open_staging(tmp_path / "b") as other,
    ):
        first = plan(staging, upstream, chain="CAM/calib")

        def meanwhile(name: str) -> None:
            if name == "journal-moved":
                assert execute_push(plan(other, other_upstream), other, other_upstream).found == 80
                with other_upstream.registry.write() as tx:
                    tx.set_chain("CAM/calib", ["CAM/calib/old"])

        with pytest.raises(ConflictError, match="chain-changed"):
            execute_push(first, staging, upstream, at=meanwhile)

    assert made.dangling(tmp_path / "up") == []
    with Repo.open(tmp_path / "up") as upstream, upstream.registry.read() as snap:
        assert snap.collection("CAM/calib").children == ("CAM/calib/old",)
        assert sum(snap.count_datasets(["u/me/run"])["n"].tolist()) == 80


@pytest.mark.survives("races", "pushes of one run", 2)
def test_the_loser_of_a_race_for_a_run_is_told_who_won(tmp_path: Path, database: Database) -> None:
    """Two campaigns make a run of one name: the later push is refused with who was first, and leaves no file behind."""
    prepare(tmp_path, {"a": "u/me/run", "b": "u/me/run"}, database)
    with (
        Repo.open(tmp_path / "up", writable=True) as upstream,
        Repo.open(tmp_path / "up", writable=True) as other_upstream,
        made.open_staging(tmp_path / "a") as staging,
        made.open_staging(tmp_path / "b") as other,
    ):
        first = plan(staging, upstream)
        after: list[dict[str, str]] = []

        def meanwhile(name: str) -> None:
            if name == "journal-begun":
                execute_push(plan(other, other_upstream), other, other_upstream)
                after.append(made.tree(tmp_path / "up/data"))

        with pytest.raises(ConflictError) as caught:
            execute_push(first, staging, upstream, at=meanwhile)

        conflicts = caught.value.conflicts
        assert ({"dataset-exists"}, 80) == ({c.code for c in conflicts}, len(conflicts))
        assert {"trial"} == {c.about["pushed_by"]["campaign"] for c in conflicts}
        assert str(caught.value).count("Upstream's: pushed by ") == 1
        assert "dataset-exists: and 75 more" in str(caught.value)
        assert after == [made.tree(tmp_path / "up/data")]
    assert made.dangling(tmp_path / "up") == []


def test_a_push_publishes_no_row_whose_file_was_taken_back_meanwhile(
    tmp_path: Path, database: Database
) -> None:
    """Files found in place are looked for again under upstream's lock; if one has gone, nothing is published."""
    prepare(tmp_path, {"a": "u/me/run"}, database)
    shutil.copytree(tmp_path / "a/data/u", tmp_path / "up/data/u")
    with Repo.open(tmp_path / "up", writable=True) as upstream, made.open_staging(tmp_path / "a") as staging:

        def meanwhile(name: str) -> None:
            if name == "journal-moved":
                next((tmp_path / "up/data/u").rglob("calexp_*.*")).unlink()

        with pytest.raises(TransferError, match="1 artifacts are not there") as caught:
            execute_push(plan(staging, upstream), staging, upstream, at=meanwhile)
        assert caught.value.transient
        with upstream.registry.read() as snap:
            assert snap.table("push_ledger").n_rows == 0

        assert execute_push(plan(staging, upstream), staging, upstream).moved == 1
    assert made.dangling(tmp_path / "up") == []
