"""What the keeper of a repository asks of its registry beside the questions that everybody asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.lookups import session_of
from registry.sql import keeping
from registry.sql.collections import run_entry

if TYPE_CHECKING:
    from registry.change import Change
    from registry.model.columns import Columns
    from registry.snapshot import Snapshot

__all__ = [
    "Counts", "artifact_uris", "count_all", "database_bytes", "holders", "lost_outputs", "odd_quanta",
    "outputs_of_quanta", "remove", "run_sizes", "take_artifacts", "without_artifacts",
]  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """How much there is in a registry.

    Parameters
    ----------
    records : dict of str to int
        Dimension records by element, those that have any.
    datasets : int
        Datasets.
    artifacts, artifact_bytes : int
        Artifact records, and the bytes that they tell of.
    quanta : dict of str to int
        Attempts at quanta by what became of them.
    pushes, campaigns : int
        Pushes in the ledger, and campaigns that made them.
    """

    records: dict[str, int]
    datasets: int
    artifacts: int
    artifact_bytes: int
    quanta: dict[str, int]
    pushes: int
    campaigns: int


def count_all(snapshot: Snapshot) -> Counts:
    """Count what a registry holds.

    Parameters
    ----------
    snapshot : Snapshot
        Its state.

    Returns
    -------
    Counts
        From three statements, whatever the numbers.
    """
    session = session_of(snapshot)
    elements = [e.name for e in snapshot.universe.elements.values() if e.has_table]
    found = keeping.count_rows(
        session, [*(f"dim_{name}" for name in elements), "dataset", "push_ledger", "campaign"]
    )
    records = {name: found[f"dim_{name}"] for name in elements}
    n_artifacts, size = keeping.count_artifacts(session)
    return Counts(
        {name: n for name, n in records.items() if n}, found["dataset"], n_artifacts, size,
        keeping.count_quanta(session), found["push_ledger"], found["campaign"],
    )  # fmt: skip


def run_sizes(snapshot: Snapshot) -> dict[str, tuple[int, int]]:
    """Count the datasets of each RUN, and the bytes of their artifacts.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    dict of str to (int, int)
        RUN to number and bytes, from one statement; RUNs without datasets are absent.
    """
    return keeping.run_sizes(session_of(snapshot))


def database_bytes(snapshot: Snapshot) -> int:
    """Return how large the database is.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    int
        Bytes.
    """
    return keeping.database_bytes(session_of(snapshot))


def artifact_uris(snapshot: Snapshot) -> list[str]:
    """Return where all artifacts are.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    list of str
        URIs as they are recorded, in no order.
    """
    return keeping.artifact_uris(session_of(snapshot))


def holders(snapshot: Snapshot, ids: Sequence[bytes]) -> dict[str, int]:
    """Count how many of some datasets each collection holds.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    ids : sequence of bytes
        The datasets.

    Returns
    -------
    dict of str to int
        Collection (the RUNs that own them among them) to number; chains hold none.
    """
    return keeping.holders(session_of(snapshot), ids)


def remove(
    change: Change,
    ids: Sequence[bytes],
    uris: Sequence[str],
    *,
    purge: bool,
    refuse: Callable[[Mapping[str, int]], None],
) -> tuple[int, set[str]]:
    """Delete datasets with all that belongs to them, or their artifact records alone; provenance stays.

    Parameters
    ----------
    change : Change
        A transaction that writes.
    ids : sequence of bytes
        The datasets; unknown ones are ignored.
    uris : sequence of str
        URIs of their artifacts.
    purge : bool
        Whether the datasets go too.
    refuse : callable
        Is told how many of them each collection holds, and raises if they have to stay.

    Returns
    -------
    (int, set of str)
        Rows deleted, and those of the URIs that artifacts of other datasets have too.
    """
    return keeping.remove(session_of(change), ids, uris, purge=purge, refuse=refuse)


def lost_outputs(snapshot: Snapshot, run: str) -> list[bytes]:
    """Return what quanta of a RUN have made and is no dataset any more.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    run : str
        The RUN.

    Returns
    -------
    list of bytes
        Ids, in no order; from one statement.

    Raises
    ------
    NotFoundError
        If there is no such collection.
    ConflictError
        If it is no RUN.
    """
    session = session_of(snapshot)
    return keeping.lost_outputs(session, run_entry(session, run).id)


def odd_quanta(snapshot: Snapshot, run: str, n_outputs: Mapping[str, int]) -> list[bytes]:
    """Return the quanta of a RUN that have not made as many datasets as others of their task.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    run : str
        The RUN.
    n_outputs : mapping of str to int
        Task to the number; at least one.

    Returns
    -------
    list of bytes
        Ids, in no order, from one statement. What is no dataset any more does not count; quanta of other tasks are all
        among them, unless all numbers are equal.

    Raises
    ------
    NotFoundError
        If there is no such collection.
    ConflictError
        If it is no RUN.
    """
    session = session_of(snapshot)
    return keeping.odd_quanta(session, run_entry(session, run).id, n_outputs)


def outputs_of_quanta(snapshot: Snapshot, ids: Sequence[bytes]) -> Columns:
    """Return what some quanta have made.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    ids : sequence of bytes
        The quanta, each once.

    Returns
    -------
    Columns
        ``quantum_id``, ``dataset_id``, ``is_known``: whether it is a dataset still; in no order.
    """
    return keeping.outputs_of_quanta(session_of(snapshot), ids)


def without_artifacts(snapshot: Snapshot, run: str) -> list[bytes]:
    """Return the datasets of a RUN that have no artifact record: their files were removed, and they stay known.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    run : str
        The RUN.

    Returns
    -------
    list of bytes
        Their ids, in no order.

    Raises
    ------
    NotFoundError
        If there is no such collection.
    ConflictError
        If it is no RUN.
    """
    session = session_of(snapshot)
    return keeping.without_artifacts(session, run_entry(session, run).id)


def take_artifacts(change: Change, ids: Sequence[bytes]) -> Columns:
    """Delete artifact records; the datasets stay. Whoever asks for this has seen to it that nobody needs the files.

    Parameters
    ----------
    change : Change
        A transaction that writes.
    ids : sequence of bytes
        The datasets; those without a record are ignored.

    Returns
    -------
    Columns
        ``uri`` and ``size`` of the files that can go now; those that other datasets have too are not among them.
    """
    return keeping.take_artifacts(session_of(change), ids)
