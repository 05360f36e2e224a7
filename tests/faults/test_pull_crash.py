"""A pull or a second fetch killed at every fault point, then repeated: the end is as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from registry.model.columns import Columns
from sync.clone import execute_fetch, plan_fetch
from sync.fetching.artifacts import ArtifactMode, plan_artifacts
from sync.pull import execute_pull, plan_pull
from sync.repo import Repo
from tests import sync_builders as made

ARTIFACT = ("id", "uri", "size", "checksum", "formatter")
FILES_FIRST = ["bound", "artifacts-moving", "artifacts-moved", "artifacts-durable"]
POINTS = [
    *(
        ("pull", point)
        for point in (*FILES_FIRST, "rows-written", "committed", "files-removed", "acknowledged")
    ),
    *(("fetch", point) for point in (*FILES_FIRST, "rows-written", "committed")),
]
MODE: ArtifactMode = "copy"


def act(verb: str, root: Path, point: str = "") -> None:
    """Pull or fetch with files, in this process, which dies at a point."""

    def at(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    with Repo.open(root / "up") as upstream, made.open_staging(root / "campaign") as staging:
        wanted = made.wanted(upstream, visits=(1, 2, 3))
        if verb == "fetch":
            plan = plan_fetch(upstream, staging, wanted)
            execute_fetch(plan, staging, plan_artifacts(plan.datasets, upstream, staging, MODE), at=at)
            return
        pull = plan_pull(upstream, staging, wanted, policies=["all=take"])
        files = plan_artifacts(pull.rows.new_datasets, upstream, staging, MODE)
        execute_pull(pull, staging, files, at=at)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream that has moved on since a campaign fetched copies from it, and what undisturbed commands leave."""
    root = tmp_path_factory.mktemp("pulls")
    made.copy_world(root)
    act("fetch", root)
    with Repo.open(root / "up", writable=True) as upstream:
        with upstream.registry.read() as snap:
            ids = snap.datasets(made.RAW, ["CAM/raw/all"], order_by=["exposure", "detector"])["id"].tolist()
            rows = snap.datasets_by_id(ids[5:6], artifacts=True)[made.RAW].select(ARTIFACT)
        made.put_datasets(upstream, made.BIAS, "CAM/calib/newest", [("CAM", 0)])
        with upstream.registry.write() as tx:
            tx.delete_datasets(ids[4:5])
            tx.set_chain("CAM/calib", ["CAM/calib/newest", "CAM/calib/new", "CAM/calib/old"])
            tx.insert_artifacts(Columns({**rows, "checksum": ["blake3:other"], "size": [3]}))
    made.change(root / "up", "UPDATE dim_visit SET exposure_time = 99 WHERE visit = 1")
    for verb in ("pull", "fetch"):
        copy(root, root / f"calm-{verb}")
        act(verb, root / f"calm-{verb}")
    return root


def copy(source: Path, target: Path) -> None:
    """Copy an upstream and its campaign."""
    for name in ("up", "campaign"):
        shutil.copytree(source / name, target / name)


def outcome(root: Path) -> tuple[set[str], list[str]]:
    """Return the campaign's files, and the rows of its staging, where places are told without the folder."""
    campaign = root / "campaign"
    files = {n for n in made.tree(campaign) if not n.startswith("staging.sqlite3") and ".aside" not in n}
    with sqlite3.connect(campaign / "staging.sqlite3") as database:
        lines = [line.replace(str(root), "ROOT") for line in database.iterdump()]
    database.close()
    return files, sorted(line for line in lines if not line.startswith('INSERT INTO "repository"'))


@pytest.mark.survives("kills", "pull and fetch")
@pytest.mark.parametrize(("verb", "point"), POINTS)
def test_what_was_killed_and_given_again_ends_as_undisturbed(
    world: Path, tmp_path: Path, verb: str, point: str
) -> None:
    """Whatever the kill left, the second time leaves rows and files as one that was never killed, and upstream as it was."""
    copy(world, tmp_path)
    before = made.state(tmp_path / "up")
    child = os.fork()  # a process of its own, without the time that it takes to load everything
    if not child:
        with suppress(BaseException):
            act(verb, tmp_path, point)
        os._exit(1)
    _, status = os.waitpid(child, 0)

    assert os.WIFSIGNALED(status), "it lived to the end"
    act(verb, tmp_path)
    assert outcome(world / f"calm-{verb}") == outcome(tmp_path)
    assert before == made.state(tmp_path / "up")
