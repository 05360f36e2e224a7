"""What taking back a push asks of a registry: who depends on its rows, and rows that nothing else takes away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from registry.lookups import session_of
from registry.sql import withdrawing

if TYPE_CHECKING:
    from registry.change import Change
    from registry.model.columns import Columns
    from registry.snapshot import Snapshot

__all__ = ["forget_links", "forget_quanta", "pushes_with", "readers"]


def readers(snapshot: Snapshot, ids: Sequence[bytes], *, besides: Sequence[bytes] = ()) -> dict[str, int]:
    """Count the quanta that read some datasets.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    ids : sequence of bytes
        The datasets.
    besides : sequence of bytes, optional
        Quanta that do not count.

    Returns
    -------
    dict of str to int
        RUN to number of quanta, sorted by name; from one statement.
    """
    return dict(sorted(withdrawing.readers(session_of(snapshot), ids, besides).rows(("run", "n"))))


def forget_quanta(change: Change, rows: Columns) -> int:
    """Delete attempts at quanta; what a quantum read and made is forgotten with its last attempt.

    Parameters
    ----------
    change : Change
        A transaction that writes.
    rows : Columns
        ``id``, ``attempt``; unknown ones are ignored.

    Returns
    -------
    int
        Attempts deleted.
    """
    return withdrawing.forget_quanta(session_of(change), rows)


def forget_links(change: Change, table: Literal["quantum_input", "quantum_output"], rows: Columns) -> None:
    """Delete single rows of what quanta read, or made.

    Parameters
    ----------
    change : Change
        A transaction that writes.
    table : {"quantum_input", "quantum_output"}
        Which.
    rows : Columns
        ``quantum_id``, ``dataset_id``, ``connection``; unknown ones are ignored.
    """
    withdrawing.forget_links(session_of(change), table, rows)


def pushes_with(snapshot: Snapshot, word: str) -> dict[bytes, str]:
    """Return the pushes whose summary contains a text.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    word : str
        The text.

    Returns
    -------
    dict of bytes to str
        Id to summary, ordered by id; no other rows leave the database.
    """
    return dict(withdrawing.pushes_with(session_of(snapshot), word).rows(("id", "summary")))
