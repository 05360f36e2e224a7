"""A change of a campaign is made whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from registry.errors import BusyError, UsageError
from stage.campaign.change import Change, changing
from stage.campaign.edit import new_state
from stage.campaign.layout import Layout
from stage.campaign.lock import campaign_lock
from stage.campaign.state import CampaignState, load_state, save_state
from stage.campaign.undo import Undo

NEW = new_state("/data/repo", "deep")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Saved campaign with one file."""
    found = Layout(tmp_path / "camp")
    found.root.mkdir()
    save_state(NEW, found.state)
    (found.root / "old.txt").write_text("old")
    return found


def _names(layout: Layout) -> dict[str, bytes]:
    return {
        str(p.relative_to(layout.root)): p.read_bytes()
        for p in layout.root.rglob("*")
        if p.is_file() and p != layout.lock
    }


def _change_much(change: Change) -> None:
    root = change.layout.root
    change.write(root / "old.txt", b"new")
    change.write(root / "more.txt", b"more")
    deep = root / "submit" / "a" / "b"
    change.creating_tree(deep)
    deep.mkdir(parents=True)
    change.write(deep / "graph.qg", b"graph")
    change.state = replace(change.state, doc="changed")


def test_all_of_it_is_there_at_the_end(layout: Layout) -> None:
    """Files are in place and the state is saved; nothing else is left."""
    with changing(layout, "test") as change:
        _change_much(change)

    assert load_state(layout.state).doc == "changed"
    found = _names(layout)
    del found[".campaign.json"]

    assert found == {"old.txt": b"new", "more.txt": b"more", "submit/a/b/graph.qg": b"graph"}


def _fail(layout: Layout, *steps: Callable[[Change], None], new: CampaignState | None = None) -> None:
    """Do `steps` in one change, then fail."""
    with changing(layout, "test", new=new) as change:
        for step in steps:
            step(change)
        raise UsageError("no")


@pytest.mark.parametrize("steps", [(_change_much,), (_change_much, Change.save_now)])
def test_a_failure_takes_all_of_it_back(layout: Layout, steps: tuple[Callable[[Change], None], ...]) -> None:
    """Whether or not the change was saved already, every byte is as it was."""
    before = _names(layout)
    with pytest.raises(UsageError, match="no"):
        _fail(layout, *steps)

    assert _names(layout) == before
    assert not (layout.root / "submit").exists()


def _change_again(change: Change) -> None:
    change.state = replace(change.state, doc="again")
    change.write(change.layout.root / "old.txt", b"newer")


def test_after_keep_nothing_is_taken_back(layout: Layout) -> None:
    """A failure goes back to the last `keep`."""
    with pytest.raises(UsageError, match="no"):
        _fail(layout, _change_much, Change.keep, _change_again, Change.save_now)

    assert load_state(layout.state).doc == "changed"
    assert (layout.root / "old.txt").read_text() == "new"


def test_a_new_campaign_that_fails_has_no_state(tmp_path: Path) -> None:
    """The state file of a campaign that could not be made is gone."""
    layout = Layout(tmp_path)
    with pytest.raises(UsageError, match="no"):
        _fail(layout, Change.save_now, new=NEW)

    assert not layout.state.exists()


KILL = """
import os, sys
from dataclasses import replace
from pathlib import Path
from stage.campaign.change import changing
from stage.campaign.layout import Layout

layout, at = Layout(Path(sys.argv[1])), int(sys.argv[2])
real, count = Path.replace, 0


def killing(self, target):
    global count
    count += 1
    if count == at:
        os._exit(9)
    return real(self, target)


Path.replace = killing
with changing(layout, "test") as change:
    change.write(layout.root / "old.txt", b"new")
    change.write(layout.root / "more.txt", b"more")
    change.state = replace(change.state, doc="changed")
    change.keep()
"""


def test_killed_anywhere_it_is_all_or_nothing(layout: Layout, tmp_path: Path) -> None:
    """Killed before any of its renames, a change is taken back by the next command; after the last it is whole."""
    before = _names(layout)
    root = str(Path(__file__).resolve().parents[3])
    ends = []
    for at in range(1, 9):
        copy = Layout(tmp_path / f"copy{at}")
        shutil.copytree(layout.root, copy.root)
        words = [sys.executable, "-c", KILL, str(copy.root), str(at)]
        ends.append(subprocess.run(words, env={**os.environ, "PYTHONPATH": root}, check=False).returncode)
        with changing(copy, "next"):
            pass
        found = _names(copy)
        if ends[-1] == 9:
            assert found == before
        else:
            assert (found["old.txt"], found["more.txt"]) == (b"new", b"more")
            assert load_state(copy.state).doc == "changed"
        assert not [n for n in found if "new-" in n or "undo" in n]
    assert ends == sorted(ends, reverse=True)
    assert set(ends) == {0, 9}


def test_a_change_within_a_change_is_refused(layout: Layout) -> None:
    """The lock holds within one process too."""
    with campaign_lock(layout.lock, "run"), pytest.raises(BusyError, match="run"), changing(layout, "edit"):
        pass


def test_what_cannot_be_noted_is_taken_back(layout: Layout) -> None:
    """If the history cannot be written, files and state are as they were before the change."""

    def full() -> None:
        raise OSError(28, "No space left on device")

    def only_state(change: Change) -> None:
        change.state = replace(change.state, doc="changed")

    def attempt(act: Callable[[Change], None]) -> None:
        with changing(layout, "test") as change:
            act(change)
            change.on_keep = full

    before = _names(layout)
    for act in (_change_much, only_state):
        with pytest.raises(OSError, match="No space"):
            attempt(act)

        assert before == _names(layout)


def test_a_graph_on_another_file_system_is_put_back(layout: Layout) -> None:
    """Where files cannot be linked they are copied, and come back all the same."""
    other = Path("/dev/shm") / f"stage-test-{os.getpid()}.qg"
    if not other.parent.is_dir() or other.parent.stat().st_dev == layout.root.stat().st_dev:
        pytest.skip("needs a second file system")
    other.write_text("old graph")
    try:
        undo = Undo(layout)
        undo.add([layout.state, other])
        other.write_text("new graph")
        assert undo.put_back()
        assert other.read_text() == "old graph"
    finally:
        other.unlink()
    assert load_state(layout.state) == NEW


def test_what_goes_to_another_file_system_goes_there_last(layout: Layout, tmp_path: Path) -> None:
    """Until the change is done the new content waits beside the state; a failure leaves the old one where it is."""
    place, uri = tmp_path / "there.qg", f"file://{tmp_path / 'there.qg'}"
    place.write_text("old")

    def fail(change: Change) -> None:
        change.beside_uri(uri).write_text("new")
        assert (place.read_text(), Path(change.current_uri(uri)).read_text()) == ("old", "new")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), changing(layout) as change:
        fail(change)
    assert place.read_text() == "old"
    with changing(layout) as change:
        change.beside_uri(uri).write_text("new")

    assert place.read_text() == "new"
    assert [p.name for p in layout.root.iterdir() if "upload" in p.name] == []
