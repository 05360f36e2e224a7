"""Lookup of datasets for many data IDs at once, each at its own time."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from registry.errors import DataIdError
from registry.model.columns import Array, Columns, group_codes
from registry.model.dimensions import DimensionElement
from registry.model.in_time import Members, Times, first_in_time, row_in
from registry.sql.calibrations import ambiguous
from registry.sql.collections import Entry
from registry.sql.data_ids import implying
from registry.sql.dataset_types import TypeEntry
from registry.sql.keys import with_checked_keys
from registry.sql.members import VALID_BEGIN, VALID_END, dated_members, holding
from registry.sql.provenance import with_run_names
from registry.sql.session import ORDINAL, Session

__all__ = ["find_many"]

_BEGIN, _END = "timespan_begin", "timespan_end"
_ALL_TIME = np.iinfo(np.int64)


def find_many(
    session: Session,
    found: TypeEntry,
    entries: Sequence[Entry],
    table: Columns,
    times: tuple[Array, Array] | None = None,
) -> Columns:
    """Return the first dataset in a search path for each of many data IDs, at the time of each.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        The dataset type.
    entries : sequence of Entry
        The path.
    table : Columns
        Data IDs: the dimensions that the type needs, or others whose records imply them, and what tells the time.
        Where no dimension does, whatever is valid at any time is found, if it is all that a collection holds.
    times : (numpy.ndarray, numpy.ndarray), optional
        Begin and end of the time of each row, equal where it has none. By default records here tell.

    Returns
    -------
    Columns
        ``ordinal`` (the row's number in `table`), the required dimensions, ``id``, ``run``; rising with the
        ordinal. A row for which there is none is left out.

    Raises
    ------
    DataIdError
        If a dimension is missing, or the collection that decides holds two for a data ID
        (code ``calibration-ambiguous``).

    Notes
    -----
    A statement for what collections hold, and one for each element whose records complete the data IDs or tell their
    times, whatever the number of rows and collections; the rest is O(n log n) on columns.
    """
    required = found.type.dimensions.required
    path = holding(session, found, entries)
    rows = with_checked_keys(session.schema.universe, table, table.names)
    asked = _completed(session, found, rows.with_column(ORDINAL, np.arange(table.n_rows)))
    begin, end = _times(session, asked) if times is None else _chosen(times, asked[ORDINAL])
    held = _held(session, found, path, asked.unique(required), (begin, end))
    names = [np.concatenate([asked[n], held[n]]) for n in required]
    codes = group_codes(names) if names else np.zeros(asked.n_rows + held.n_rows, np.int64)
    at, other = first_in_time(Times(codes[: asked.n_rows], begin, end), _members(codes[asked.n_rows :], held))
    if (other >= 0).any():
        first = int(np.flatnonzero(other >= 0)[0])
        pair = held.take(np.array([at[first], other[first]]))
        collection = path[int(pair["position"][0])].name
        spans = pair.rows(("id", VALID_BEGIN, VALID_END))
        raise ambiguous(found, collection, pair.rows(required)[0], spans)
    hit = np.flatnonzero(at >= 0)
    out = held.take(at[hit]).with_column(ORDINAL, asked[ORDINAL][hit])
    return with_run_names(session, out, [ORDINAL, *required, "id", "run"])


def _completed(session: Session, found: TypeEntry, rows: Columns) -> Columns:
    """Add the dimensions of a type that records imply; rows without such a record are left out."""
    universe = session.schema.universe
    for name in reversed(found.type.dimensions.required):
        if name in rows:
            continue
        element = implying(universe, name, rows)
        if element is None:
            shown = ", ".join(n for n in rows.names if n != ORDINAL) or "no dimensions"
            raise DataIdError(
                f"a table of {shown} does not say the {name} of {found.type.name}",
                code="data-id-missing", hint=f"Add a column '{name}', or one whose records imply it.",
            )  # fmt: skip
        records = _records(session, element, rows, [name])
        records = records.take(records[name] != np.array(None))
        at = _at(element, rows, records)
        rows = rows.take(at >= 0).with_column(name, records[name][at[at >= 0]])
    return rows


def _at(element: DimensionElement, rows: Columns, records: Columns) -> Array:
    return row_in([rows[n] for n in element.required], [records[n] for n in element.required])


def _records(session: Session, element: DimensionElement, rows: Columns, names: Sequence[str]) -> Columns:
    """Return the keys and some columns of the records that rows name."""
    keys, t = element.required, session.schema.dimension(element.name)
    types = session.schema.dimension_types(keys)
    with session.stash(rows.unique(keys), types, key=keys) as stash:
        same = sa.and_(*(t.c[n] == stash.c[n] for n in keys))
        return session.fetch(sa.select(*(t.c[n] for n in [*keys, *names])).select_from(stash.join(t, same)))


def _times(session: Session, rows: Columns) -> tuple[Array, Array]:
    """Return begin and end of the time of each row: all time where no dimension tells it, equal where it has none."""
    element = session.schema.universe.temporal_element(rows)
    if element is None:
        return np.full(rows.n_rows, _ALL_TIME.min), np.full(rows.n_rows, _ALL_TIME.max)
    begin, end = np.zeros(rows.n_rows, np.int64), np.zeros(rows.n_rows, np.int64)
    if not rows.n_rows:
        return begin, end
    records = _records(session, element, rows, [_BEGIN, _END])
    none = np.array(None)
    records = records.take((records[_BEGIN] != none) & (records[_END] != none))
    at = _at(element, rows, records)
    there = at >= 0
    begin[there], end[there] = (records[n][at[there]].astype(np.int64) for n in (_BEGIN, _END))
    return begin, end


def _chosen(times: tuple[Array, Array], rows: Array) -> tuple[Array, Array]:
    begin, end = times
    return begin[rows], end[rows]


def _held(
    session: Session, found: TypeEntry, path: Sequence[Entry], keys: Columns, times: tuple[Array, Array]
) -> Columns:
    """Return what the path holds of some data IDs that may be valid within some times."""
    required, (begin, end) = found.type.dimensions.required, times
    timed = begin < end
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(dated_members(session, found, path, {})).subquery("held")
        source: sa.FromClause = held
        if required:
            types = session.schema.dimension_types(required)
            given = stack.enter_context(session.stash(keys, types, key=required))
            source = given.join(held, sa.and_(*(given.c[n] == held.c[n] for n in required)))
        always: sa.ColumnElement[bool] = held.c[VALID_BEGIN].is_(None)
        if timed.any():
            first, last = int(begin[timed].min()), int(end[timed].max())
            always = sa.or_(always, sa.and_(held.c[VALID_BEGIN] < last, held.c[VALID_END] > first))
        return session.fetch(sa.select(*held.c).select_from(source).where(always))


def _members(codes: Array, held: Columns) -> Members:
    begin, end = held[VALID_BEGIN], held[VALID_END]
    dated = begin != np.array(None)
    first, last = (np.where(dated, column, 0).astype(np.int64) for column in (begin, end))
    return Members(codes, held["position"].astype(np.int64), dated, first, last, held["id"])
