"""A fetch of files, and a drop, killed at every fault point and repeated: nothing is lost, nothing is left over."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sync.clone import execute_fetch, plan_fetch
from sync.drop import execute_drop, plan_drop
from sync.faults import At, no_fault
from sync.fetching.artifacts import ArtifactMode, plan_artifacts
from sync.fetching.binding import BINDING
from sync.filesystem.local_files import is_aside
from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made

RUN = "u/me/trial/1"
FETCH = ["bound", "artifacts-moving", "artifacts-moved", "artifacts-durable", "rows-written", "committed"]
DROP = ["bound", "rows-written", "committed", "files-going", "files-gone"]
Act = Callable[[Path, At], int]


def _struck(points: list[str], other: str, one: str) -> list[tuple[str, str]]:
    """Copies at each point; the other mode at one of them, in the long form at each too."""
    long = os.environ.get("STAGE_FAULTS") == "long"
    return [*(("copy", p) for p in points), *((other, p) for p in (points if long else [one]))]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream and a campaign that has fetched from it, direct, and pushed a run by copies."""
    root = tmp_path_factory.mktemp("source")
    made.copy_world(root)
    with Repo.open(root / "up", writable=True) as upstream, made.open_staging(root / "campaign") as staging:
        made.make_run(staging, RUN)
        plan = plan_push(staging, upstream, [RUN], campaign=made.CAMPAIGN, register_dataset_types=True)
        execute_push(plan, staging, upstream, mode="copy")
    return root


@pytest.fixture
def world(source: Path, tmp_path: Path) -> Path:
    """A copy of both; their records name places in the first, which nobody changes."""
    shutil.copytree(source / "campaign", tmp_path / "campaign")
    (tmp_path / "up").symlink_to(source / "up")
    return tmp_path


def upstream_of(root: Path) -> Path:
    return (root / "up").resolve()


def fetch(mode: ArtifactMode) -> Act:
    def act(root: Path, at: At) -> int:
        with Repo.open(upstream_of(root)) as upstream, made.open_staging(root / "campaign") as staging:
            plan = plan_fetch(upstream, staging, made.wanted(upstream))
            files = plan_artifacts(plan.datasets, upstream, staging, mode, held=None)
            execute_fetch(plan, staging, files, at=at)
            return len(files.tasks)

    return act


def drop(root: Path, at: At) -> int:
    with Repo.open(upstream_of(root)) as upstream, made.open_staging(root / "campaign") as staging:
        plan = plan_drop(staging, upstream, [RUN], inputs_beside=[RUN])
        assert plan.kept == ()
        execute_drop(plan, staging, at=at)
        return len(plan.names)


def kill(act: Act, root: Path, point: str) -> None:
    """Do it in a process of its own, which loses its life at a point."""

    def at(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        try:
            act(root, at)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def files_of(root: Path) -> list[str]:
    data = root / "campaign" / "data"
    return sorted(str(p.relative_to(data)) for p in data.rglob("*") if not p.is_dir() and p.name != BINDING)


def check_readable(root: Path) -> None:
    """Every record leads to the bytes that it tells of."""
    with made.open_staging(root / "campaign") as staging, staging.registry.read() as snapshot:
        for name in ("raw", "bias", "calexp", "calexp_log"):
            rows = snapshot.datasets(name, ["CAM/raw/all", "CAM/calib/old", "CAM/calib/new", RUN])
            for dataset_id in rows["id"].tolist():
                artifact = snapshot.artifact(dataset_id)
                assert artifact is not None
                staging.datastore.verify(artifact)


@pytest.mark.survives("kills", "fetch")
@pytest.mark.parametrize(("mode", "point"), _struck(FETCH, "link", "artifacts-moved"))
def test_a_killed_fetch_is_completed_by_the_next(world: Path, mode: ArtifactMode, point: str) -> None:
    """All records lead to their bytes after the kill; the same again fetches what is missing, once, and no more."""
    before = made.tree(upstream_of(world))
    kill(fetch(mode), world, point)
    check_readable(world)

    again = fetch(mode)(world, no_fault)

    assert again == (0 if point == "committed" else 6)
    check_readable(world)
    assert len(files_of(world)) == 14
    assert not any(map(is_aside, files_of(world)))
    assert fetch(mode)(world, no_fault) == 0
    assert before == made.tree(upstream_of(world))


@pytest.mark.survives("kills", "drop")
@pytest.mark.parametrize(("mode", "point"), _struck(DROP, "symlink", "committed"))
def test_a_killed_drop_is_completed_by_the_next(world: Path, mode: ArtifactMode, point: str) -> None:
    """All records lead to their bytes after the kill; the same again leaves no file, and upstream is as it was."""
    before = made.tree(upstream_of(world))
    fetch(mode)(world, no_fault)
    kill(drop, world, point)
    check_readable(world)

    drop(world, no_fault)

    assert files_of(world) == []
    check_readable(world)
    assert drop(world, no_fault) == 0
    assert before == made.tree(upstream_of(world))
    assert fetch("copy")(world, no_fault) == 14
    assert len(files_of(world)) == 14
