"""What TAGGED and CALIBRATION collections hold of given datasets and types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from registry.model.collections import CollectionType
from registry.model.columns import Array, Columns
from registry.model.times import Timespan
from registry.sql.collections import Entry, existing_of
from registry.sql.dataset_types import TypeEntry, all_types
from registry.sql.fixed_tables import IdType
from registry.sql.keys import check_ids
from registry.sql.members import path_of
from registry.sql.session import Session

__all__ = ["remove_ranges", "tagged", "validity_ranges"]


def tagged(session: Session, entries: Sequence[Entry], ids: Sequence[bytes]) -> Columns:
    """Say which of some datasets TAGGED collections hold.

    Parameters
    ----------
    session : Session
        Where.
    entries : sequence of Entry
        Collections; those of another type are left out.
    ids : sequence of bytes
        16 bytes each; unknown ones are ignored.

    Returns
    -------
    Columns
        ``collection``, ``id``; sorted. One statement for each set of dimensions that dataset types have.
    """
    chosen = [e for e in entries if e.type is CollectionType.TAGGED]
    names = {e.id: e.name for e in chosen}
    rows = Columns({"id": ids})
    check_ids(rows)
    out: list[tuple[str, bytes]] = []
    if not chosen or not rows.n_rows:
        return Columns.from_rows(("collection", "id"), out)
    with (
        session.stash(rows.unique(), {"id": IdType()}, key=["id"]) as stash,
        path_of(session, chosen) as path,
    ):
        for group in dict.fromkeys(e.type.dimensions for e in all_types(session)):
            t = session.schema.tags(group)
            source = stash.join(t, t.c.dataset_id == stash.c.id).join(
                path, path.c.collection_id == t.c.collection_id
            )
            found = session.fetch(sa.select(t.c.collection_id, t.c.dataset_id).select_from(source))
            out += [(names[number], i) for number, i in found.rows()]
    return Columns.from_rows(("collection", "id"), sorted(out))


def validity_ranges(
    session: Session, found: TypeEntry, entries: Sequence[Entry], span: Timespan | None
) -> Columns:
    """Return for which times CALIBRATION collections hold the datasets of a type.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        The type.
    entries : sequence of Entry
        Collections; those of another type are left out.
    span : Timespan or None
        Only ranges that have a time in common with this one.

    Returns
    -------
    Columns
        ``collection``, the required dimensions, ``id``, ``valid_begin``, ``valid_end``; ordered by collection, data ID
        and begin. One statement.
    """
    required = found.type.dimensions.required
    chosen = [e for e in entries if e.type is CollectionType.CALIBRATION]
    names = ("collection", *required, "id", "valid_begin", "valid_end")
    if not chosen or not found.type.is_calibration:
        return Columns.from_rows(names, [])
    t = session.schema.calibs(found.type.dimensions)
    with path_of(session, chosen) as path:
        ends = [t.c.valid_begin, t.c.valid_end]
        statement = (
            sa.select(t.c.collection_id, *(t.c[n] for n in required), t.c.dataset_id.label("id"), *ends)
            .select_from(t.join(path, path.c.collection_id == t.c.collection_id))
            .where(t.c.dataset_type_id == found.id)
            .order_by(path.c.position, *(t.c[n] for n in required), t.c.valid_begin)
        )
        if span is not None:
            statement = statement.where(t.c.valid_begin < span.end, t.c.valid_end > span.begin)
        rows = session.fetch(statement)
    return rows.with_column("collection", _named(rows["collection_id"], chosen)).select(names)


def remove_ranges(session: Session, name: str, found: TypeEntry, rows: Columns) -> int:
    """Take whole ranges of validity out of a CALIBRATION collection.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The collection.
    found : TypeEntry
        A type of calibrations.
    rows : Columns
        ``id``, ``valid_begin`` and ``valid_end`` as they are stored; ranges that are not there are ignored.

    Returns
    -------
    int
        Ranges that were there.

    Raises
    ------
    ConflictError
        If the collection is not CALIBRATION.
    """
    out_of = existing_of(session, name, CollectionType.CALIBRATION)
    t = session.schema.calibs(found.type.dimensions)
    types = {"id": IdType(), "valid_begin": t.c.valid_begin.type, "valid_end": t.c.valid_end.type}
    with session.stash(rows, types) as stash:
        session.index(stash, ["id", "valid_begin"])
        same = [
            stash.c.id == t.c.dataset_id, stash.c.valid_begin == t.c.valid_begin,
            stash.c.valid_end == t.c.valid_end,
        ]  # fmt: skip
        return session.execute(
            sa.delete(t).where(
                t.c.collection_id == out_of.id, t.c.dataset_type_id == found.id,
                sa.exists().where(*same).correlate(t),
            )
        )  # fmt: skip


def _named(numbers: Array, entries: Sequence[Entry]) -> Array:
    names: dict[Any, str] = {e.id: e.name for e in entries}
    out = np.empty(len(numbers), dtype=object)
    out[:] = [names[number] for number in numbers.tolist()]
    return out
