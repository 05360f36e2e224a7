"""What the keeper of a repository asks of its registry beside the questions that everybody asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.lookups import session_of
from registry.sql import keeping

if TYPE_CHECKING:
    from registry.change import Change
    from registry.snapshot import Snapshot

__all__ = ["Counts", "artifact_uris", "count_all", "database_bytes", "holders", "remove"]


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
