"""`sync.journal` and `sync.ledger`: notes of operations in staging, and of pushes upstream."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from registry.errors import IntegrityError
from registry.model.refs import new_id
from sync import journal, ledger
from tests import sync_builders as made


def test_an_operation_has_one_entry_that_moves_on(tmp_path: Path) -> None:
    """Noting a later state replaces the earlier one, payload and all."""
    with made.make_staging(tmp_path) as staging:
        operation = new_id()
        for state in (journal.BEGUN, journal.MOVED, journal.DONE):
            with staging.registry.write() as tx:
                journal.note(tx, operation, "push", state, {"runs": ["r"], "seen": state})
        with staging.registry.read() as snap:
            (entry,) = journal.entries(snap, "push")

    assert (entry.operation, entry.state, entry.payload) == (
        operation,
        "done",
        {"runs": ["r"], "seen": "done"},
    )


def test_entries_come_latest_first_and_by_verb(tmp_path: Path) -> None:
    """Other verbs' entries are not among them."""
    with made.make_staging(tmp_path) as staging:
        ids = [new_id() for _ in range(3)]
        for operation, verb in zip(ids, ("push", "other", "push"), strict=True):
            with staging.registry.write() as tx:
                journal.note(tx, operation, verb, journal.BEGUN, {})
        with staging.registry.read() as snap:
            assert [e.operation for e in journal.entries(snap, "push")] == [ids[2], ids[0]]
            assert [e.operation for e in journal.entries(snap, "other")] == [ids[1]]


def test_a_damaged_note_is_an_integrity_error(tmp_path: Path) -> None:
    """What is no JSON object is told, and not taken for an operation."""
    with made.make_staging(tmp_path) as staging:
        for text in ("{", "3"):
            with staging.registry.write() as tx:
                journal.note(tx, bytes(16), "push", journal.BEGUN, {})
                tx._session.database.driver.execute("UPDATE journal SET payload = ?", (text,))
            with staging.registry.read() as snap, pytest.raises(IntegrityError, match="noted of a push"):
                journal.entries(snap, "push")


def test_the_ledger_keeps_who_pushed_what(tmp_path: Path) -> None:
    """A row a push; the campaign is there once, as it was at its last push."""
    with made.make_staging(tmp_path) as repo:
        ids = [new_id(), new_id()]
        with repo.registry.write() as tx:
            for push_id in ids:
                ledger.record_push(tx, push_id, made.CAMPAIGN, ["u/1"], {"dataset": {"new": 2}})
        with repo.registry.read() as snap:
            rows, campaigns = snap.table("push_ledger"), snap.table("campaign")
            assert ledger.has_push(snap, ids[0])
            assert not ledger.has_push(snap, new_id())

    assert set(rows["id"].tolist()) == set(ids)
    assert set(zip(rows["who"].tolist(), rows["host"].tolist(), strict=True)) == {ledger.who()}
    assert campaigns["name"].tolist() == ["trial"]


def test_a_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run under a number that the system has no name for."""

    def nameless() -> str:
        raise OSError

    monkeypatch.setattr(getpass, "getuser", nameless)

    assert ledger.who()[0] == "unknown"
