"""Logs and metadata of quanta that were executed again since they were pushed: upstream keeps those that it has.

A quantum has one log and one metadata document, whatever the number of attempts at it: the last attempt's. So a run of
which a part failed, was pushed, and was tried again has other bytes under ids that upstream knows. A push never
overwrites, and this is no dispute: the new attempt goes, what upstream has stays, and the plan says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

from registry.model.records import QuantumStatus
from sync.plan_parts import Note
from sync.pushing.members import members

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.snapshot import Snapshot
    from sync.pushing.plan import Outgoing

__all__ = ["kept_note", "of_earlier_attempts", "of_kept"]

_CODE = "accounts-kept"

_ACCOUNTS = frozenset({"_log", "_metadata"})
"""Connections by which every task gives an account of itself."""


def of_earlier_attempts(outgoing: Outgoing, upstream: Snapshot, ids: Set[bytes]) -> set[bytes]:
    """Return the accounts that upstream has of earlier attempts at our quanta.

    Parameters
    ----------
    outgoing : Outgoing
        Our side.
    upstream : Snapshot
        Upstream's, or a transaction on it.
    ids : set of bytes
        Datasets of ours that upstream has with other content.

    Returns
    -------
    set of bytes
        Of these, logs and metadata of quanta of which no attempt but the last succeeded here, where all attempts that
        upstream knows are ours as well. If somebody else has tried them too, or something that had succeeded was done
        again, that is for a person to see.

    Notes
    -----
    One query, and only where logs or metadata differ.
    """
    made = outgoing.quantum_outputs
    if not made.n_rows:
        return set()
    mine = made.take(
        members(made["connection"].tolist(), _ACCOUNTS) & members(made["dataset_id"].tolist(), ids)
    )
    if not mine.n_rows:
        return set()
    quanta = outgoing.quanta.take(members(outgoing.quanta["id"].tolist(), set(mine["quantum_id"].tolist())))
    tried_again = _tried_again(quanta)
    ours = set(quanta.rows())
    runs = list(dict.fromkeys(quanta["run"].tolist()))
    theirs = upstream.quanta(runs, latest=False, names=quanta.names) if tried_again else quanta
    at_id = quanta.names.index("id")
    disputed = {row[at_id] for row in theirs.rows() if row[at_id] in tried_again and row not in ours}
    return set(mine["dataset_id"][members(mine["quantum_id"].tolist(), tried_again - disputed)].tolist())


def _tried_again(quanta: Columns) -> set[bytes]:
    """Return the quanta with an attempt that followed on failures alone."""
    last: dict[bytes, int] = {}
    for i, attempt in quanta.rows(("id", "attempt")):
        last[i] = max(attempt, last.get(i, 0))
    found = {i for i, attempt in last.items() if attempt > 0}
    return found - {
        i
        for i, attempt, status in quanta.rows(("id", "attempt", "status"))
        if attempt < last[i] and status in QuantumStatus.COMPLETE
    }


def kept_note(kept: Iterable[bytes], outgoing: Outgoing) -> Note:
    """Say that upstream keeps accounts of earlier attempts.

    Parameters
    ----------
    kept : iterable of bytes
        Their ids.
    outgoing : Outgoing
        Our side.

    Returns
    -------
    Note
        ``accounts-kept``.
    """
    ids, made = set(kept), outgoing.quantum_outputs
    n_quanta = len(set(made["quantum_id"][members(made["dataset_id"].tolist(), ids)].tolist()))
    quanta = "a quantum that was" if n_quanta == 1 else f"{n_quanta:,} quanta that were"
    return Note(
        _CODE,
        f"{len(ids):,} logs and metadata of {quanta} executed again since the last push stay upstream as they are, "
        "of an earlier attempt",
        "Those of the last attempt stay here: 'stage log' shows them.",
    )


def of_kept(notes: Iterable[Note]) -> list[Note]:
    """Return those of some notes that say what upstream keeps.

    Parameters
    ----------
    notes : iterable of Note
        Of a plan.

    Returns
    -------
    list of Note
        Those of `kept_note`: they hold until something changes.
    """
    return [note for note in notes if note.code == _CODE]
