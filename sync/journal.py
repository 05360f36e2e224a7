"""Durable notes of how far an operation has come, kept in staging, so that a repeated command resumes.

One row an operation: its id, its verb, the state it has reached and what it was about. A push goes through
`BEGUN` (it may have put files upstream), `MOVED` (all its files are durable there) and `DONE` (its rows are
upstream, and we know it).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import IntegrityError
from registry.model.columns import Columns

if TYPE_CHECKING:
    from registry.change import Change
    from registry.snapshot import Snapshot

__all__ = ["BEGUN", "DONE", "MOVED", "Entry", "entries", "note"]

BEGUN, MOVED, DONE = "begun", "moved", "done"


@dataclass(frozen=True)
class Entry:
    """One operation.

    Parameters
    ----------
    operation : bytes
        Its id; for a push, the id in upstream's ledger.
    verb : str
        ``push``.
    state : str
        How far it came.
    payload : mapping
        What it was about; JSON-like.
    at_ns : int
        When that state was reached, in UTC nanoseconds since 1970.
    """

    operation: bytes
    verb: str
    state: str
    payload: Mapping[str, Any]
    at_ns: int


def entries(staging: Snapshot, verb: str) -> list[Entry]:
    """Return all operations of one verb, the latest first.

    Parameters
    ----------
    staging : Snapshot
        Of the staging registry.
    verb : str
        ``push``.

    Returns
    -------
    list of Entry
        By time of their last state.

    Raises
    ------
    IntegrityError
        If a note cannot be read.
    """
    rows = staging.table("journal", item=verb.encode()).rows(("operation", "state", "payload", "at_ns"))
    try:
        found = [
            Entry(op, verb, state, dict(json.loads(payload)), at_ns) for op, state, payload, at_ns in rows
        ]
    except (ValueError, TypeError) as exc:
        raise IntegrityError(
            f"what staging noted of a {verb} is damaged: {exc}", hint="Restore staging.sqlite3 from a copy."
        ) from exc
    return sorted(found, key=lambda entry: entry.at_ns, reverse=True)


def note(change: Change, operation: bytes, verb: str, state: str, payload: Mapping[str, Any]) -> None:
    """Write down that an operation has reached a state.

    Parameters
    ----------
    change : Change
        A write transaction on the staging registry.
    operation : bytes
        The operation's id.
    verb : str
        ``push``.
    state : str
        `BEGUN`, `MOVED` or `DONE`.
    payload : mapping
        What it is about; JSON-like. Replaces what was noted before.
    """
    row = (operation, verb.encode(), state, json.dumps(payload, sort_keys=True), time.time_ns())
    columns = Columns.from_rows(("operation", "item", "state", "payload", "at_ns"), [row])
    change.insert_rows("journal", columns, on_existing="replace")
