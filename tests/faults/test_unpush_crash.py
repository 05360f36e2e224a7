"""Taking a push back: upstream is as before it, wherever that was killed, and whoever pushes meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import StageError
from sync.errors import TransferError
from sync.push import execute_push
from sync.pushing import removing
from tests import sync_builders as made
from tests.databases import DATABASES, Database, database_of
from tests.processes_killed import killed_at, points_of
from tests.taking_back import RUN, World

LONG = os.environ.get("STAGE_FAULTS") == "long"
POINTS = ["rows-removed", "taken-back", "files-removing", "files-removed", "finished"]


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A campaign with a run that is pushed, on either database."""
    with database_of(request, tmp_path) as database:
        yield pushed(tmp_path, database)


def pushed(root: Path, database: Database | None = None) -> World:
    """Make the world, and push its run."""
    world = World(root, database)
    world.run()
    world.before = world.files(), world.rows()  # type: ignore[attr-defined]
    world.push()
    return world


@pytest.mark.survives("kills", "unpush")
def test_taking_back_killed_anywhere_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are all there or none, and each has its file; the same again ends it; then the run can be pushed."""
    world = pushed(tmp_path)
    monkeypatch.setattr(removing, "BATCH", 3)
    published, before = world.rows(), world.before  # type: ignore[attr-defined]
    for point in POINTS:
        assert killed_at(point, lambda at: world.unpush(at=at)), point

        assert world.rows() == (published if point == "rows-removed" else before[1]), point
        assert made.dangling(tmp_path / "up") == [], point
        world.unpush()
        assert before == (world.files(), world.rows()), point
        assert world.unpush()[0].is_empty, point
        assert world.push().push_id is not None, point
        assert published == world.rows(), point
    assert made.dangling(tmp_path / "up") == []


def test_killed_among_the_directories_it_is_completed_by_the_next(tmp_path: Path) -> None:
    """All files are gone and some directories not: the next try has something to do, and then nothing is left."""
    world = pushed(tmp_path)
    assert killed_at("files-removed", lambda at: world.unpush(at=at))
    (tmp_path / "up/data" / RUN / "calexp/CAM").mkdir(parents=True)
    plan, result = world.unpush()

    assert (plan.is_empty, len(plan.uris), result.files) == (False, 0, 0)
    assert world.before == (world.files(), world.rows())  # type: ignore[attr-defined]
    assert world.unpush()[0].is_empty


def test_the_points_are_those_that_are_passed(tmp_path: Path) -> None:
    """No step is left out here."""
    world = pushed(tmp_path)

    assert points_of(lambda at: world.unpush(at=at)) == POINTS


@pytest.mark.survives("kills", "unpush")
def test_killed_and_completed_on_either_database(world: World) -> None:
    """After a kill in the middle of the files the rest goes, and a new push is whole."""
    assert killed_at("taken-back", lambda at: world.unpush(at=at))
    plan, result = world.unpush()

    assert (plan.taken_back, len(plan.uris), result.files) == (True, 8, 8)
    assert world.before == (world.files(), world.rows())  # type: ignore[attr-defined]
    assert world.push().moved == 8


def test_a_push_that_found_the_files_looks_again(tmp_path: Path) -> None:
    """What it had found is taken back before its commit: it publishes nothing that is not there, and can be repeated."""
    world = pushed(tmp_path)
    world.run("u/me/trial/2")  # so that there is something to push
    plan = world.plan(RUN, "u/me/trial/2", chain=None)

    def take_back(name: str) -> None:
        if name == "journal-moved":
            world.unpush()

    with world.opened() as (staging, upstream), pytest.raises(TransferError) as caught:
        execute_push(plan, staging, upstream, at=take_back)
    assert caught.value.code == "upstream-changed"
    assert world.push(RUN, "u/me/trial/2", chain=None).push_id is not None
    assert made.dangling(tmp_path / "up") == []


def test_a_push_between_rows_and_files_keeps_its_files(world: World) -> None:
    """The rows are gone and the files not yet, when the run is pushed again: what that names stays."""

    def push_again(name: str) -> None:
        if name == "taken-back":
            assert world.push().found == 8

    _, result = world.unpush(at=push_again)

    assert (result.files, result.kept) == (0, 8)
    assert made.dangling(world.root / "up") == []
    assert len([push for push in world.ledger() if push.withdrawn is None]) == 1


@pytest.mark.survives("races", "push against unpush", 2)
def test_taking_back_and_pushing_race(world: World) -> None:
    """Two people, over and over at once: whatever the order, every row upstream has its file, and both end."""
    errors: list[StageError] = []

    def repeat(act: object, n: int) -> None:
        for _ in range(n):
            try:
                act()  # type: ignore[operator]
            except StageError as error:
                if error.code not in {"upstream-changed", "chain-changed", "push-in-use"} and not getattr(
                    error, "conflicts", ()
                ):
                    errors.append(error)

    threads = [
        threading.Thread(target=repeat, args=(act, 20 if LONG else 3)) for act in (world.unpush, world.push)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert errors == []
    assert made.dangling(world.root / "up") == []
    world.push()
    assert made.dangling(world.root / "up") == []
    world.unpush()
    assert world.before == (world.files(), world.rows())  # type: ignore[attr-defined]
