"""What contradicts itself in a registry: asked in short transactions, so that nobody who writes has to wait for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from registry.lookups import session_of
from registry.sql import integrity
from registry.sql.integrity import Fault

if TYPE_CHECKING:
    from registry.change import Change
    from registry.model.columns import Columns
    from registry.snapshot import Snapshot

__all__ = [
    "Fault", "artifacts_recorded", "bare_datasets", "bare_regions", "chain_faults", "engine_faults", "member_faults", "overlap_faults",
    "provenance_faults", "rebuild_overlaps", "reference_faults", "server_notes", "storage_questions", "table_faults",
    "validity_faults",
]  # fmt: skip


def engine_faults(snapshot: Snapshot, *, quick: bool = False) -> Sequence[Fault]:
    """Let the database check what it stores.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    quick : bool, optional
        Whether indexes need not be held against their tables.

    Returns
    -------
    sequence of Fault
        ``database-damaged``, with what the database says.
    """
    return integrity.engine_faults(session_of(snapshot), quick=quick)


def server_notes(snapshot: Snapshot, *, full: bool = False) -> Sequence[Fault]:
    """Tell what a PostgreSQL server cannot be asked about its pages, and what it has noticed of them by itself.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    full : bool, optional
        As for `storage_questions`.

    Returns
    -------
    sequence of Fault
        ``pages-unchecked``, ``checksum-failures``; none of SQLite.
    """
    session = session_of(snapshot)
    if session.database.dialect.name == "sqlite":
        return ()
    from registry.sql import integrity_postgres

    return integrity_postgres.server_notes(session, integrity_postgres.means_of(session, full=full))


def storage_questions(
    snapshot: Snapshot, *, quick: bool = False, full: bool = False
) -> Sequence[Callable[[Snapshot], Sequence[Fault]]]:
    """Return what lets a PostgreSQL server check what it stores, table by table, each in a transaction of its own.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    quick : bool, optional
        Whether long values may be left out, and indexes need not be held against their tables.
    full : bool, optional
        Whether what is to be unique is seen to be so, where the server can.

    Returns
    -------
    sequence of callable
        Each is given a snapshot and finds ``table-damaged`` and ``index-damaged``. SQLite needs none: `engine_faults`
        is its whole check.
    """
    session = session_of(snapshot)
    if session.database.dialect.name == "sqlite":
        return ()
    from registry.sql import integrity_postgres

    means = integrity_postgres.means_of(session, full=full)

    def ask(table: str, later: Snapshot) -> Sequence[Fault]:
        return integrity_postgres.storage_faults(session_of(later), table, means, quick=quick, full=full)

    return [partial(ask, table) for table in integrity_postgres.tables_of(session)]


def table_faults(snapshot: Snapshot) -> Sequence[Fault]:
    """Find tables that are missing, and those with rows that nothing needs.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    sequence of Fault
        ``table-missing``, ``table-extra``.
    """
    return integrity.table_faults(session_of(snapshot))


def reference_faults(snapshot: Snapshot) -> Sequence[Fault]:
    """Find rows that refer to rows which are not there.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    sequence of Fault
        By table and kind of reference.
    """
    return integrity.reference_faults(session_of(snapshot))


def member_faults(snapshot: Snapshot) -> Sequence[Fault]:
    """Find datasets that their RUN does not hold, and what RUNs hold that is not theirs.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    sequence of Fault
        ``dataset-without-tag``, ``tag-differs``.
    """
    return integrity.member_faults(session_of(snapshot))


def provenance_faults(snapshot: Snapshot) -> Sequence[Fault]:
    """Find what quanta have made, or read, and is no dataset any more.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    sequence of Fault
        ``output-missing``, ``input-gone``.
    """
    return integrity.provenance_faults(session_of(snapshot))


def chain_faults(snapshot: Snapshot) -> Sequence[Fault]:
    """Find chains that lead to themselves.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    sequence of Fault
        ``chain-cycle``.
    """
    return integrity.chain_faults(session_of(snapshot))


def validity_faults(snapshot: Snapshot) -> Sequence[Fault]:
    """Find calibrations of one data ID that are valid at the same time in one collection.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    sequence of Fault
        ``validity-overlaps``.
    """
    return integrity.validity_faults(session_of(snapshot))


def bare_regions(snapshot: Snapshot) -> Sequence[Fault]:
    """Find records with regions of which no overlap is noted.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    sequence of Fault
        ``overlap-differs``.
    """
    from registry.sql.integrity_sky import bare_regions as found

    return found(session_of(snapshot))


def overlap_faults(snapshot: Snapshot) -> Sequence[Fault]:
    """Work out anew what regions overlap, and compare with what is noted.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    sequence of Fault
        ``overlap-differs``.
    """
    from registry.sql.integrity_sky import overlap_faults as found

    return found(session_of(snapshot))


def rebuild_overlaps(change: Change) -> int:
    """Note anew what regions overlap.

    Parameters
    ----------
    change : Change
        A transaction that writes.

    Returns
    -------
    int
        Records with regions.
    """
    from registry.sql.integrity_sky import rebuild_overlaps as rebuild

    return rebuild(session_of(change))


def artifacts_recorded(snapshot: Snapshot) -> Columns:
    """Return all artifact records.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.

    Returns
    -------
    Columns
        ``id``, ``uri``, ``size``, ``checksum``; in no order.
    """
    return integrity.artifacts_recorded(session_of(snapshot))


def bare_datasets(snapshot: Snapshot, ids: Sequence[bytes]) -> Columns:
    """Return those of some datasets that are on record without an artifact.

    Parameters
    ----------
    snapshot : Snapshot
        The registry's state.
    ids : sequence of bytes
        16 bytes each; unknown ones are ignored.

    Returns
    -------
    Columns
        ``id``, ``run``; in no order.
    """
    return integrity.bare_datasets(session_of(snapshot), ids)
