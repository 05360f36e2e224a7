"""A push killed at every fault point and at random moments, then repeated: the end is as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.errors import NotFoundError
from sync import journal
from sync.clone import execute_fetch, plan_fetch
from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made

ROOT = Path(__file__).resolve().parents[2]
RUN = "u/me/trial/1"
BEFORE = [
    "journal-begun",
    "artifacts-moving",
    "artifacts-moved",
    "artifacts-durable",
    "journal-moved",
    "rows-written",
]
AFTER = ["committed", "acknowledged"]
TIMES = 200 if os.environ.get("STAGE_FAULTS") == "long" else 6


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream, a campaign with a run of 600 artifacts, and the upstream that an undisturbed push leaves."""
    root = tmp_path_factory.mktemp("world")
    with (
        made.make_upstream(root / "up", n_exposures=150) as upstream,
        made.make_staging(root / "campaign") as staging,
    ):
        execute_fetch(plan_fetch(upstream, staging, made.wanted(upstream, visits=range(1, 151))), staging)
        made.make_run(staging, RUN, visits=range(1, 151))
    shutil.copytree(root / "up", root / "calm")
    shutil.copytree(root / "campaign", root / "calm-campaign")
    finish(root / "calm", root / "calm-campaign")
    return root


@pytest.fixture
def struck(world: Path, tmp_path: Path) -> Path:
    """A copy of upstream and campaign to be struck."""
    for name in ("up", "campaign"):
        shutil.copytree(world / name, tmp_path / name)
    return tmp_path


def finish(upstream_root: Path, campaign: Path) -> bool:
    """Push as the user would, again; tell whether there was anything left to do."""
    with Repo.open(upstream_root, writable=True) as upstream, made.open_staging(campaign) as staging:
        plan = plan_push(
            staging, upstream, [RUN], campaign=made.CAMPAIGN, register_dataset_types=True, chain="u/me/best"
        )
        assert plan.conflicts == ()
        return execute_push(plan, staging, upstream).push_id is not None


def start(root: Path, point: str, mode: str = "auto") -> subprocess.Popen[bytes]:
    arguments = ["push", str(root / "up"), str(root / "campaign"), RUN, point, mode]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sync_crash", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def kill_at(root: Path, point: str, mode: str = "auto") -> None:
    with start(root, point, mode) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors.decode()


def published(root: Path) -> int:
    """Number of the run's datasets upstream, after whatever recovery opening to write does."""
    with Repo.open(root / "up", writable=True) as upstream, upstream.registry.read() as snap:
        try:
            return sum(snap.count_datasets([RUN])["n"].tolist())
        except NotFoundError:
            return 0


@pytest.mark.survives("kills", "push")
@pytest.mark.parametrize("point", BEFORE + AFTER)
def test_a_push_killed_at_a_point_is_completed_by_the_next(struck: Path, world: Path, point: str) -> None:
    """Nothing or everything is upstream after the kill; the same push again ends like an undisturbed one."""
    kill_at(struck, point)

    assert published(struck) == (600 if point in AFTER else 0)
    assert made.dangling(struck / "up") == []
    assert finish(struck / "up", struck / "campaign") is (point in BEFORE)
    assert made.outcome(struck / "up") == made.outcome(world / "calm")
    with made.open_staging(struck / "campaign") as staging, staging.registry.read() as snap:
        assert [e.state for e in journal.entries(snap, "push")] == [journal.DONE]
    with Repo.open(struck / "up") as upstream, upstream.registry.read() as snap:
        assert snap.table("push_ledger").n_rows == 1
    assert not finish(struck / "up", struck / "campaign")


@pytest.mark.survives("kills", "push")
@pytest.mark.parametrize("point", ["artifacts-moving", "rows-written"])
def test_a_copying_push_killed_at_a_point_is_completed(struck: Path, world: Path, point: str) -> None:
    """The same holds where bytes are copied: what was being written aside is no artifact."""
    kill_at(struck, point, "copy")

    assert made.dangling(struck / "up") == []
    assert finish(struck / "up", struck / "campaign")
    assert made.outcome(struck / "up") == made.outcome(world / "calm")


def test_a_push_killed_many_times_at_random_is_completed(
    struck: Path, world: Path, survived: Callable[[str, str, int], None]
) -> None:
    """Killed at random moments over and over, it never leaves half of itself, and gets there in the end."""
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(TIMES):
        with start(struck, "", chance.choice(["link", "copy"])) as process:
            assert process.stdout is not None
            if process.stdout.readline():  # the plan is made: strike while it is executed
                time.sleep(chance.uniform(0, 0.15))
            process.kill()
        assert published(struck) in (0, 600)
        assert made.dangling(struck / "up") == []
        if published(struck):  # it has got there: from the beginning again
            finish(struck / "up", struck / "campaign")
            assert made.outcome(struck / "up") == made.outcome(world / "calm")
            for name in ("up", "campaign"):
                shutil.rmtree(struck / name)
                shutil.copytree(world / name, struck / name)
    finish(struck / "up", struck / "campaign")

    assert made.outcome(struck / "up") == made.outcome(world / "calm")
    survived("kills", "push at random moments", TIMES)


@pytest.mark.survives("kills", "fetch")
def test_an_input_fetched_half_is_not_fetched(tmp_path: Path) -> None:
    """A fetch killed before its commit leaves staging empty; the same fetch again brings everything."""
    made.make_upstream(tmp_path / "up").close()
    made.make_staging(tmp_path / "campaign").close()
    before = made.state(tmp_path / "up")
    command = ["fetch", str(tmp_path / "up"), str(tmp_path / "campaign"), RUN, "rows-written"]
    killed = subprocess.run([sys.executable, "-m", "tests.sync_crash", *command], cwd=ROOT, check=False)

    assert killed.returncode == -signal.SIGKILL
    with Repo.open(tmp_path / "up") as upstream, made.open_staging(tmp_path / "campaign") as staging:
        with staging.registry.read() as snap:
            assert snap.table("baseline").n_rows == 0
        counts = execute_fetch(plan_fetch(upstream, staging, made.wanted(upstream)), staging).counts
    assert counts["dataset"]["new"] == 6
    assert before == made.state(tmp_path / "up")
