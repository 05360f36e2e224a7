"""Fetch, pull, push, push --abort and repo unpush killed at random moments and given again: as if nothing had happened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sync import journal
from sync.fsck.plan import plan_fsck
from sync.pushing import removing
from sync.repo import Repo
from tests import moved_world
from tests import sync_builders as made
from tests.databases import DATABASES, Database, database_of
from tests.processes_killed import Chance, killed_at
from tests.taking_back import RUN, World

TIMES = 110 if os.environ.get("STAGE_FAULTS") == "long" else 3
CHECKED = 5
"""After every so many a check looks at both sides too."""

Survived = Callable[[str, str, int], None]


@pytest.fixture(scope="module", params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Where upstream's rows are, for all that is killed here."""
    with database_of(request, tmp_path_factory.mktemp("database")) as made_now:
        yield made_now


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Path:
    """An upstream that has moved on since a campaign fetched from it."""
    return moved_world.make(tmp_path_factory.mktemp("moved"), database)


@pytest.fixture(scope="module")
def pushing(tmp_path_factory: pytest.TempPathFactory, database: Database) -> World:
    """A campaign with a run to push."""
    world = World(tmp_path_factory.mktemp("pushing"), database)
    world.run()
    return world


def wrong_with(root: Path) -> set[str]:
    """What a check finds wrong with either side; what the bytes are is compared otherwise."""
    sides = {
        "upstream": lambda: Repo.open(root / "up"),
        "staging": lambda: made.open_staging(root / "campaign"),
    }
    plans = [plan_fsck(place, opening, depth="fast") for place, opening in sides.items()]
    return {f.code for plan in plans for f in plan.findings if f.severity != "note"}


@pytest.mark.parametrize("verb", ["fetch", "pull"])
def test_killed_at_any_moment_and_given_again(
    moved: Path, tmp_path: Path, database: Database, verb: str, survived: Survived
) -> None:
    """Rows and files of the campaign are as after one that nobody killed, and nothing upstream has changed."""
    before = made.tree(moved / "up"), made.dump(moved / "up")
    calm, wrong_calm = moved_world.outcome(moved / f"calm-{verb}"), wrong_with(moved / f"calm-{verb}")
    chance, n_killed = Chance(), 0
    for number in range(TIMES + 1):
        shutil.copytree(moved / "campaign", tmp_path / "campaign")
        (tmp_path / "up").symlink_to(moved / "up")
        n_killed += chance.kills(lambda: moved_world.act(verb, tmp_path))
        moved_world.act(verb, tmp_path)

        assert calm == moved_world.outcome(tmp_path)
        assert number % CHECKED or wrong_with(tmp_path) == wrong_calm
        shutil.rmtree(tmp_path / "campaign")
        (tmp_path / "up").unlink()
    assert before == (made.tree(moved / "up"), made.dump(moved / "up"))
    survived("kills", f"{verb} at random moments, {database.name}", n_killed)


def test_giving_up_killed_at_any_moment_and_given_again(
    pushing: World, database: Database, survived: Survived, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a push that was broken off nothing is left, in upstream's files and rows and in staging's journal."""
    monkeypatch.setattr(removing, "BATCH", 2)
    before, chance, n_killed = (pushing.files(), pushing.rows()), Chance(), 0
    for number in range(TIMES + 1):
        assert killed_at("journal-moved", lambda at: pushing.push(at=at))
        n_killed += chance.kills(pushing.abort)
        assert before[1] == pushing.rows()
        pushing.abort()

        assert before == (pushing.files(), pushing.rows())
        assert pushing.states() == []
        assert number % CHECKED or wrong_with(pushing.root) == set()
    survived("kills", f"push --abort at random moments, {database.name}", n_killed)


def test_taking_back_killed_at_any_moment_and_given_again(
    pushing: World, database: Database, survived: Survived, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of the push are all there or none, each with its file; in the end upstream is as before the push."""
    monkeypatch.setattr(removing, "BATCH", 2)
    before, chance, n_killed = (pushing.files(), pushing.rows()), Chance(), 0
    for number in range(TIMES + 1):
        pushing.push()
        published = pushing.rows()
        n_killed += chance.kills(lambda: pushing.unpush(RUN))
        assert pushing.rows() in (published, before[1])
        assert made.dangling(pushing.root / "up") == []
        pushing.unpush(RUN)

        assert before == (pushing.files(), pushing.rows())
        assert number % CHECKED or wrong_with(pushing.root) == set()
    survived("kills", f"unpush at random moments, {database.name}", n_killed)


def test_pushing_killed_at_any_moment_and_given_again(
    pushing: World, database: Database, survived: Survived
) -> None:
    """The rows of the run are all there or none, each with its file; the next push ends like one that nobody killed."""
    before = pushing.files(), pushing.rows()
    pushing.push()
    calm, chance, n_killed = (pushing.files(), pushing.rows()), Chance(), 0
    for number in range(TIMES + 1):
        pushing.unpush(RUN)
        assert before == (pushing.files(), pushing.rows())
        n_killed += chance.kills(pushing.push)
        assert pushing.rows() in (before[1], calm[1])
        assert made.dangling(pushing.root / "up") == []
        pushing.push()

        assert calm == (pushing.files(), pushing.rows())
        assert set(pushing.states()) == {journal.DONE}
        assert number % CHECKED or wrong_with(pushing.root) == set()
    pushing.unpush(RUN)
    survived("kills", f"push at random moments, {database.name}", n_killed)
