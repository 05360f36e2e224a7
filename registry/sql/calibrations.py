"""Lookup of datasets by time: collection by collection, the first that holds one for the time decides."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from registry.errors import DataIdError
from registry.model.collections import CollectionType
from registry.model.columns import Columns, group_codes
from registry.model.data_id import DataId
from registry.model.refs import DatasetRef, id_text
from registry.model.times import Timespan, span_text
from registry.sql.collections import Entry, names_of
from registry.sql.dataset_types import TypeEntry
from registry.sql.fixed_tables import IdType
from registry.sql.keys import key_text
from registry.sql.members import VALID_BEGIN, VALID_END, dated_members
from registry.sql.session import Session

__all__ = ["ambiguous", "find_in_time", "first_found"]

_INT = sa.BigInteger
_EXTRA = ("id", "run_id", "position", VALID_BEGIN, VALID_END)


def ambiguous(
    found: TypeEntry, collection: str, values: Sequence[Any], rows: Sequence[tuple[Any, ...]]
) -> DataIdError:
    """Return the error that two datasets are valid at once.

    Parameters
    ----------
    found : TypeEntry
        Their type.
    collection : str
        Where.
    values : sequence
        Their data ID.
    rows : sequence of tuple
        The id of each, with begin and end of its validity.

    Returns
    -------
    DataIdError
        To be raised.
    """
    (one, *_), (other, *_) = rows[:2]
    spans = " and ".join(f"{id_text(i)} ({span_text(begin, end)})" for i, begin, end in rows[:2])
    return DataIdError(
        f"collection '{collection}' has more than one {found.type.name} for "
        f"{key_text(found.type.dimensions.required, values)} at that time: {spans}",
        code="calibration-ambiguous",
        hint="Ask for a shorter time: name an exposure or a visit, or give a timespan.",
        context={"collection": collection, "ids": (one, other)},
    )


def find_in_time(
    session: Session, found: TypeEntry, data_id: DataId, entries: Sequence[Entry], span: Timespan
) -> DatasetRef | None:
    """Return the first dataset of a data ID in a search path, at a time.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        A dataset type of calibrations.
    data_id : DataId
        Its data ID.
    entries : sequence of Entry
        The path; what RUN and TAGGED collections in it hold, they hold for all times.
    span : Timespan
        The time.

    Returns
    -------
    DatasetRef or None
        None if there is none.

    Raises
    ------
    DataIdError
        If the collection that decides holds two (code ``calibration-ambiguous``).
    """
    dated = [e for e in entries if e.type is CollectionType.CALIBRATION]
    plain = [e for e in entries if e.type is not CollectionType.CALIBRATION]
    held: dict[int, list[tuple[Any, ...]]] = {}
    for part, calibrations in ((plain, False), (dated, True)):
        for number, *row in _held(session, found, data_id, part, span if calibrations else None):
            held.setdefault(number, []).append(tuple(row))
    for entry in entries:
        rows = held.get(entry.id, ())
        if len({i for i, *_ in rows}) > 1:
            one_each = {i: (i, *dates) for i, _, *dates in rows}.values()
            spans = sorted(one_each, key=lambda row: row[1])
            raise ambiguous(found, entry.name, data_id.values_tuple, spans)
        if rows:
            dataset_id, run_id, *_ = rows[0]
            return DatasetRef(dataset_id, found.type, data_id, names_of(session, [run_id])[run_id])
    return None


def _held(
    session: Session, found: TypeEntry, data_id: DataId, entries: Sequence[Entry], span: Timespan | None
) -> list[tuple[Any, ...]]:
    """Return what collections of one kind hold of a data ID: collection, id, run, and the span of validity."""
    if not entries:
        return []
    group, d = found.type.dimensions, session.schema["dataset"]
    t = session.schema.tags(group) if span is None else session.schema.calibs(group)
    names = [f"collection_{i}" for i in range(len(entries))]

    def make() -> sa.Select[Any]:
        dates = [t.c[n] for n in (VALID_BEGIN, VALID_END)] if span is not None else [sa.null(), sa.null()]
        statement = (
            sa.select(t.c.collection_id, t.c.dataset_id, d.c.run_id, *dates)
            .select_from(t.join(d, d.c.id == t.c.dataset_id))
            .where(
                t.c.collection_id.in_([sa.bindparam(n, type_=sa.Integer) for n in names]),
                t.c.dataset_type_id == sa.bindparam("type"),
                *(t.c[n] == sa.bindparam(f"value_{n}") for n in group.required),
            )
        )
        if span is None:
            return statement
        begin, end = sa.bindparam("begin", type_=_INT), sa.bindparam("end", type_=_INT)
        # The last term is always so where the others are, but tells nothing of an empty span.
        return statement.where(t.c.valid_begin < end, t.c.valid_end > begin, begin < end)

    times = {} if span is None else {"begin": span.begin, "end": span.end}
    return session.lookup(
        ("find in time", t.name, len(entries)), make, type=found.id, **times,
        **dict(zip(names, (e.id for e in entries), strict=True)),
        **{f"value_{n}": data_id[n] for n in group.required},
    )  # fmt: skip


@contextlib.contextmanager
def first_found(
    session: Session, found: TypeEntry, entries: Sequence[Entry], asked: Mapping[str, Any]
) -> Iterator[sa.Select[Any]]:
    """Make the statement of what is found first for each data ID, at the times that are asked for.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        A dataset type of calibrations.
    entries : sequence of Entry
        The path.
    asked : mapping
        The question, as options of `registry.sql.joins.dataset_query`.

    Yields
    ------
    sqlalchemy.Select
        Columns: required dimensions, ``id``, ``run_id``. Only valid within.

    Raises
    ------
    DataIdError
        If the collection that decides holds two for a data ID (code ``calibration-ambiguous``).
    """
    from registry.sql.joins import Member, dataset_query

    required = found.type.dimensions.required
    data_id = asked.get("data_id") or {}
    with dated_members(session, found, entries, data_id) as held:
        member = Member(held.subquery("held"), required, _EXTRA)
        with dataset_query(session, found.type, member, **asked) as statement:
            rows = _once(session.fetch(_foremost(statement, required)))
    _refuse_ambiguous(found, entries, rows)
    types = {**session.schema.dimension_types(required), "id": IdType(), "run_id": sa.Integer()}
    with session.stash(rows, types, key=["id"]) as stash:
        yield sa.select(*(stash.c[n] for n in types))


def _foremost(statement: sa.Select[Any], names: Sequence[str]) -> sa.Select[Any]:
    """Keep, of rows that are equal in `names`, all that stand at the first place in the path."""
    inner = statement.subquery("members")
    by = [inner.c[n] for n in names]
    rank = sa.func.rank().over(partition_by=by or None, order_by=inner.c.position).label("place")
    ranked = sa.select(*inner.c, rank).subquery("ranked")
    return sa.select(*(c for c in ranked.c if c.name != "place")).where(ranked.c.place == 1)


def _once(rows: Columns) -> Columns:
    """Keep of each dataset one row: it may be valid in several spans."""
    _, first = np.unique(group_codes([rows["id"]]), return_index=True)
    return rows.take(np.sort(first))


def _refuse_ambiguous(found: TypeEntry, entries: Sequence[Entry], rows: Columns) -> None:
    """Refuse rows of which two have one data ID."""
    names = found.type.dimensions.required
    if rows.n_rows < 2:
        return
    codes = group_codes([rows[n] for n in names]) if names else np.zeros(rows.n_rows, np.int64)
    order = np.argsort(codes, kind="stable")
    twice = np.flatnonzero(np.diff(codes[order]) == 0)
    if not len(twice):
        return
    pair = rows.take(order[twice[0] : twice[0] + 2])
    collection = entries[int(pair["position"][0])].name
    spans = sorted(pair.rows(("id", VALID_BEGIN, VALID_END)), key=lambda r: r[1] or 0)
    raise ambiguous(found, collection, pair.rows(names)[0], spans)
