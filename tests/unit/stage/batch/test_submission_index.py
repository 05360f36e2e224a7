"""The index of a user's submissions: numbers, names, directories that are gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from registry.errors import NotFoundError, StorageError
from stage.batch.layout import SubmitDir
from stage.batch.submission.identity import SubmitStage, load_identity, new_identity, save_identity
from stage.batch.submission.index import IndexEntry, add_entry, all_entries, find_entry, state_directory


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of its own."""
    monkeypatch.setenv("STAGE_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def _entry(name: str, folder: str = "/gone") -> IndexEntry:
    return IndexEntry(0, name, f"{folder}/{name}", "ada", "host", 1, {"payload": "p"})


def test_numbers_are_small_and_stay() -> None:
    """They count from 1; the same submission keeps its own, and its directory need not be there."""
    assert [add_entry(_entry(name)).id for name in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    assert [e.name for e in all_entries()] == ["a", "b", "c"]


def test_what_a_kill_cut_off_is_no_entry() -> None:
    """A torn last line is passed over, and what is added after it is whole."""
    add_entry(_entry("a"))
    with (state_directory() / "runs.jsonl").open("ab") as file:
        file.write(b'{"id": 2, "name": "to')

    assert add_entry(_entry("b")).id == 2
    assert [(e.id, e.name) for e in all_entries()] == [(1, "a"), (2, "b")]


def test_many_at_once_get_different_numbers() -> None:
    """Processes that add at the same time wait for each other."""
    children = []
    for n in range(8):
        pid = os.fork()
        if not pid:
            for k in range(5):
                add_entry(_entry(f"r{n}-{k}"))
            os._exit(0)
        children.append(pid)

    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 8
    assert [e.id for e in all_entries()] == list(range(1, 41))


def test_one_is_found_by_all_that_it_is_called(home: Path) -> None:
    """Its number, its run's name, its directory, or the end of that."""
    add_entry(_entry("u_ada_run", str(home / "camp" / "submit")))

    for text in ("1", "u_ada_run", str(home / "camp/submit/u_ada_run"), "submit/u_ada_run"):
        assert find_entry(text).id == 1
    with pytest.raises(NotFoundError, match="0 jobs found matching arguments"):
        find_entry("7")


def test_a_directory_that_is_not_listed_says_what_it_is(home: Path) -> None:
    """A colleague's submission, or one that was moved, is found by its directory."""
    where = SubmitDir(home / "theirs")
    save_identity(where, new_identity("n", "r", "s", "local", {"payload": "p"}))

    found = find_entry(str(where.root))

    assert (found.id, found.name, found.labels) == (0, "n", {"payload": "p"})


def test_a_stage_done_again_undoes_those_after_it(home: Path) -> None:
    """What was made from what is no more is to be made again."""
    where = SubmitDir(home / "run")
    identity = new_identity("n", "r", "s", "local", {})
    for stage in SubmitStage:
        identity = identity.after(stage)
    save_identity(where, identity.after(SubmitStage.CLUSTER, n_jobs=3))
    found = load_identity(where)

    assert [s for s in SubmitStage if found.has_done(s)] == [SubmitStage.ACQUIRE, SubmitStage.CLUSTER]
    assert found.n_jobs == 3


def test_an_index_that_cannot_be_written_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home directory that is not there on this machine is no traceback."""
    (home / "file").write_text("")
    monkeypatch.setenv("STAGE_STATE_DIR", str(home / "file" / "below"))

    with pytest.raises(StorageError, match="cannot be used") as caught:
        add_entry(_entry("a"))
    assert "STAGE_STATE_DIR" in caught.value.hint
