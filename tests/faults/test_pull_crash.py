"""A pull or a second fetch killed at every fault point, then repeated: the end is as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import moved_world
from tests import sync_builders as made
from tests.processes_killed import killed_at

FILES_FIRST = ["bound", "artifacts-moving", "artifacts-moved", "artifacts-durable"]
POINTS = [
    *(
        ("pull", point)
        for point in (*FILES_FIRST, "rows-written", "committed", "files-removed", "acknowledged")
    ),
    *(("fetch", point) for point in (*FILES_FIRST, "rows-written", "committed")),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream that has moved on since a campaign fetched copies from it, and what undisturbed commands leave."""
    return moved_world.make(tmp_path_factory.mktemp("pulls"))


@pytest.mark.survives("kills", "pull and fetch")
@pytest.mark.parametrize(("verb", "point"), POINTS)
def test_what_was_killed_and_given_again_ends_as_undisturbed(
    world: Path, tmp_path: Path, verb: str, point: str
) -> None:
    """Whatever the kill left, the second time leaves rows and files as one that was never killed, and upstream as it was."""
    moved_world.copy(world, tmp_path)
    before = made.state(tmp_path / "up")
    assert killed_at(point, lambda at: moved_world.act(verb, tmp_path, at)), "it lived to the end"

    moved_world.act(verb, tmp_path)

    assert moved_world.outcome(world / f"calm-{verb}") == moved_world.outcome(tmp_path)
    assert before == made.state(tmp_path / "up")
