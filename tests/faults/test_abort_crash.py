"""Giving up a push that was broken off: upstream is as before it, wherever push and abort were killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from registry.errors import ConflictError
from sync import journal
from sync.errors import TransferError
from sync.push import execute_push
from sync.pushing import removing
from sync.transfer import Mode
from tests import sync_builders as made
from tests.databases import Database
from tests.processes_killed import killed_at, points_of
from tests.taking_back import CHAIN, RUN, World

LONG = os.environ.get("STAGE_FAULTS") == "long"
PUSH_POINTS = [
    "journal-begun", "artifacts-moving", "artifacts-moved", "artifacts-durable", "journal-moved", "rows-written",
]  # fmt: skip
ABORT_POINTS = ["abort-noted", "files-removing", "files-removed", "forgotten"]


@pytest.fixture
def local(tmp_path: Path) -> World:
    """A campaign with a run."""
    world = World(tmp_path)
    world.run()
    return world


@pytest.mark.survives("kills", "push --abort")
def test_a_push_killed_anywhere_leaves_nothing_when_given_up(local: World) -> None:
    """Upstream is as before, file by file; staging knows of no push; the next push is as if nothing had been."""
    before = local.files(), local.rows()
    copied: list[tuple[str, Mode]] = [(point, "copy") for point in PUSH_POINTS[1 : 6 if LONG else 2]]
    for point, mode in [*((point, "auto") for point in PUSH_POINTS), *copied]:
        assert killed_at(point, lambda at, mode=mode: local.push(at=at, mode=mode)), point  # type: ignore[misc]
        plan, result = local.abort()

        assert len(result.aborted) == 1, point
        assert result.files == len(plan.uris), point
        assert before == (local.files(), local.rows()), point
        assert local.states() == [], point
    assert local.push().push_id is not None
    assert made.dangling(local.root / "up") == []


@pytest.mark.survives("kills", "push --abort")
def test_an_abort_killed_anywhere_is_completed_by_the_next(
    local: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it dies, upstream has no row that lacks its file, and the same command again ends it."""
    check_killed_aborts(local, ABORT_POINTS, monkeypatch)


@pytest.mark.survives("kills", "push --abort")
@pytest.mark.service
def test_an_abort_on_a_server_killed_is_completed_by_the_next(
    postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where rows are on a server."""
    world = World(tmp_path, postgres)
    world.run()
    check_killed_aborts(world, ABORT_POINTS if LONG else ["files-removing"], monkeypatch)


def check_killed_aborts(world: World, points: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For each point kill a push, kill its abort there, and look at what the next one leaves."""
    monkeypatch.setattr(removing, "BATCH", 3)
    before = world.files(), world.rows()
    for point in points:
        assert killed_at("journal-moved", lambda at: world.push(at=at)), point
        assert killed_at(point, lambda at: world.abort(at=at)), point
        assert before[1] == world.rows(), point
        world.abort()

        assert before == (world.files(), world.rows()), point
        assert world.states() == [], point
    assert world.abort()[0].is_empty
    assert world.push().push_id is not None
    assert len([push for push in world.ledger() if not push.is_aborted]) == 1
    assert made.dangling(world.root / "up") == []


def test_killed_among_the_directories_it_is_completed_by_the_next(local: World) -> None:
    """All files are gone and some directories not: the next try removes those."""
    before = local.files(), local.rows()
    assert killed_at("journal-moved", lambda at: local.push(at=at))
    assert killed_at("files-removed", lambda at: local.abort(at=at))
    (local.root / "up/data" / RUN / "calexp/CAM").mkdir(parents=True)
    local.abort()

    assert before == (local.files(), local.rows())
    assert local.states() == []


def test_the_points_are_those_that_are_passed(local: World) -> None:
    """No step of an abort is left out here."""
    assert killed_at("artifacts-moved", lambda at: local.push(at=at))

    assert points_of(lambda at: local.abort(at=at)) == ABORT_POINTS


def test_a_push_after_a_killed_abort_begins_anew(local: World) -> None:
    """The push that is half given up is not gone on with: its id is taken, a new one publishes all."""
    assert killed_at("journal-moved", lambda at: local.push(at=at))
    assert killed_at("abort-noted", lambda at: local.abort(at=at))
    assert local.push().push_id is not None

    plan, result = local.abort()
    assert (plan.n_named, result.files, len(result.aborted)) == (8, 0, 1)
    assert made.dangling(local.root / "up") == []
    assert local.states() == ["done"]


@pytest.mark.parametrize("point", ["committed", "acknowledged"])
def test_a_push_that_had_committed_is_acknowledged(local: World, point: str) -> None:
    """Nothing of it is removed; staging knows from then on, and giving up again finds nothing."""
    assert killed_at(point, lambda at: local.push(at=at))
    before = local.files(), local.rows()
    plan, result = local.abort()

    assert before == (local.files(), local.rows())
    assert [push.committed for push in plan.pushes] == ([True] if point == "committed" else [])
    assert result.aborted == ()
    assert local.states() == [journal.DONE]
    assert local.plan().is_empty


def test_what_another_push_published_stays(local: World) -> None:
    """A copy of the campaign has found the files and published them: they are its own now."""
    shutil.copytree(local.root / "campaign", local.root / "copy")
    assert killed_at("journal-moved", lambda at: local.push(at=at))
    assert local.push(campaign="copy").found == 8
    plan, result = local.abort()

    assert (plan.n_named, result.files) == (8, 0)
    assert made.dangling(local.root / "up") == []


def test_a_push_that_goes_on_meanwhile_looks_for_its_files(local: World) -> None:
    """Files that it put in place are removed under its feet: it publishes nothing, says so, and can be repeated."""
    shutil.copytree(local.root / "campaign", local.root / "copy")
    assert killed_at("journal-begun", lambda at: local.push(at=at))
    plan = local.plan(campaign="copy")

    def give_up(name: str) -> None:
        if name == "journal-moved":
            local.abort()

    with local.opened("copy") as (staging, upstream), pytest.raises(TransferError) as caught:
        execute_push(plan, staging, upstream, at=give_up)
    assert caught.value.code == "upstream-changed"
    assert local.push(campaign="copy").moved == 8
    assert made.dangling(local.root / "up") == []


def test_a_push_that_was_given_up_cannot_commit(local: World) -> None:
    """A process that was thought dead and goes on is refused by the ledger, and publishes nothing."""
    before = local.rows()
    plan = local.plan()

    def give_up(name: str) -> None:
        if name == "journal-begun":
            local.abort()

    with local.opened() as (staging, upstream), pytest.raises(ConflictError) as caught:
        execute_push(plan, staging, upstream, at=give_up)

    assert caught.value.code == "push-aborted"
    assert before == local.rows()


def test_a_file_with_other_bytes_stays(local: World) -> None:
    """What has the name and is something else is not this push's: it is told, and left."""
    assert killed_at("journal-moved", lambda at: local.push(at=at, mode="copy"))
    (path, *_) = sorted((local.root / "up" / "data" / RUN).rglob("calexp_CAM*"))
    path.write_bytes(b"something else")
    plan, result = local.abort()

    assert len(plan.differing) == 1
    assert "something else" == path.read_text()
    assert result.files == 7


def test_only_pushes_of_the_runs_that_are_named(local: World) -> None:
    """Another run's push stays broken off, with its files."""
    local.run("u/me/trial/2")
    for run in (RUN, "u/me/trial/2"):
        assert killed_at("journal-moved", lambda at, run=run: local.push(run, at=at, chain=CHAIN))  # type: ignore[misc]
    assert len(local.abort(RUN)[1].aborted) == 1

    assert local.states() == ["moved"]
    assert not (local.root / "up" / "data" / RUN).exists()
    assert (local.root / "up" / "data" / "u/me/trial/2").exists()


def test_a_run_that_is_gone_is_told(local: World) -> None:
    """Nobody knows what was to go of it: the plan names it, and the note goes."""
    assert killed_at("journal-moved", lambda at: local.push(at=at))
    with local.opened() as (staging, _), staging.registry.write() as tx:
        tx.remove_collection(RUN)
    plan, result = local.abort()

    assert plan.lost_runs == (RUN,)
    assert (result.files, local.states()) == (0, [])
