"""Statements that say for which times CALIBRATION collections hold datasets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from registry.errors import ConflictError, UsageError
from registry.model.collections import CollectionType
from registry.model.columns import Array, Columns, group_codes
from registry.model.dimensions import DimensionGroup
from registry.model.refs import id_text
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, Timespan, span_text
from registry.sql.collections import Entry, existing_of
from registry.sql.dataset_types import TypeEntry, find_type
from registry.sql.fixed_tables import IdType
from registry.sql.keys import check_columns, check_ids, key_text, with_checked_keys
from registry.sql.loading import insert_from
from registry.sql.session import ORDINAL, Session
from registry.sql.tagging import own_rows, types_of

__all__ = ["CERTIFIED", "certify", "decertify", "timespan"]

CERTIFIED = ("id", "valid_begin", "valid_end")
"""Columns of what is certified: a dataset, and TAI nanoseconds, null where an end is unbounded."""

_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "id": IdType(), "valid_begin": sa.BigInteger(), "valid_end": sa.BigInteger(),
}  # fmt: skip


def timespan(begin_ns: int | None, end_ns: int | None) -> Timespan:
    """Return a span with ends that may be unbounded.

    Parameters
    ----------
    begin_ns, end_ns : int or None
        TAI nanoseconds; None for unbounded.

    Returns
    -------
    Timespan
        As it is stored.
    """
    return Timespan(
        UNBOUNDED_BEGIN if begin_ns is None else begin_ns, UNBOUNDED_END if end_ns is None else end_ns
    )


def _ends(column: Array, unbounded: int, name: str) -> Array:
    """Return nanoseconds for one end of each span."""
    if column.dtype.kind in "iu":
        return column.astype(np.int64)
    values = [unbounded if v is None else v for v in column.tolist()]
    wrong = next((v for v in values if isinstance(v, bool) or not hasattr(v, "__index__")), None)
    if wrong is not None:
        raise UsageError(f"{name} is {wrong!r}: expected TAI nanoseconds or null", code="bad-time")
    return np.array([int(v) for v in values], dtype=np.int64)


def _checked(rows: Columns) -> Columns:
    """Return what is to be certified, each once, with ends that can be compared."""
    check_columns(rows, CERTIFIED, CERTIFIED, "certified datasets")
    check_ids(rows)
    begin = _ends(rows["valid_begin"], UNBOUNDED_BEGIN, "valid_begin")
    end = _ends(rows["valid_end"], UNBOUNDED_END, "valid_end")
    empty = np.flatnonzero(begin >= end)
    if len(empty):
        first = int(empty[0])
        raise UsageError(
            f"dataset {id_text(rows['id'][first])} cannot be valid for an empty time: "
            f"{span_text(int(begin[first]), int(end[first]))}",
            code="empty-validity", hint="The begin must come before the end.",
        )  # fmt: skip
    rows = Columns({"id": rows["id"], "valid_begin": begin, "valid_end": end})
    if not rows.n_rows:
        return rows
    _, first_rows = np.unique(group_codes([rows[n] for n in CERTIFIED]), return_index=True)
    return rows.take(np.sort(first_rows))


def certify(session: Session, name: str, rows: Columns, on_existing: Literal["error", "skip"]) -> None:
    """Put datasets into a CALIBRATION collection, each for a time: all of them, or on an error none.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The collection.
    rows : Columns
        `CERTIFIED`.
    on_existing : {"error", "skip"}
        What a dataset does that the collection holds for exactly that time.

    Raises
    ------
    NotFoundError
        If there is no such collection or dataset.
    ConflictError
        If the collection is not CALIBRATION, a dataset is of a type of which there are no calibrations
        (code ``not-a-calibration``), or another one of the same type and data ID is valid for a part of the time,
        there (``validity-overlaps``) or among those given (``validity-twice``).
    UsageError
        If a time is empty, or not one.

    Notes
    -----
    Five statements for each set of dimensions that the datasets' types have.
    """
    into = existing_of(session, name, CollectionType.CALIBRATION)
    rows = _checked(rows)
    with session.stash(rows, _TYPES, numbered=True) as stash:
        types = types_of(session, stash)
        _refuse_types(session, types, stash, into)
        with session.savepoint():
            for group in dict.fromkeys(e.type.dimensions for e in types):
                _certify_group(session, types, group, stash, into, exact=on_existing == "skip")


def _certify_group(
    session: Session,
    types: Sequence[TypeEntry],
    group: DimensionGroup,
    stash: sa.FromClause,
    into: Entry,
    *,
    exact: bool,
) -> None:
    given = own_rows(session, group, stash, "valid_begin", "valid_end").subquery("given")
    _refuse_twice(types, group, session.fetch(sa.select(*given.c)), into)
    _refuse_overlaps(session, types, group, given, into, exact=exact)
    names = ["dataset_type_id", *group.required, "valid_begin", "valid_end", "dataset_id"]
    chosen = sa.select(sa.literal(into.id), *(given.c[n] for n in names)).where(sa.true())
    insert_from(
        session, session.schema.calibs(group), ["collection_id", *names], chosen, "skip" if exact else "error"
    )


def _refuse_types(session: Session, types: Sequence[TypeEntry], stash: sa.FromClause, into: Entry) -> None:
    wrong = [e for e in types if not e.type.is_calibration]
    if not wrong:
        return
    d = session.schema["dataset"]
    first = session.fetch(
        sa.select(stash.c.id, d.c.dataset_type_id)
        .select_from(stash.join(d, d.c.id == stash.c.id))
        .where(d.c.dataset_type_id.in_([e.id for e in wrong]))
        .order_by(stash.c[ORDINAL])
        .limit(1)
    ).rows()[0]
    raise ConflictError(
        f"dataset {id_text(first[0])} cannot be certified in '{into.name}': its type '{_name(wrong, first[1])}' is not "
        "one of calibrations",
        code="not-a-calibration", hint="Put it into a TAGGED collection.",
    )  # fmt: skip


def _refuse_twice(types: Sequence[TypeEntry], group: DimensionGroup, given: Columns, into: Entry) -> None:
    """Name the first two of the datasets given that would be valid at once for one data ID."""
    if given.n_rows < 2:
        return
    codes = group_codes([given[n] for n in ("dataset_type_id", *group.required)])
    begin, end = given["valid_begin"].astype(np.int64), given["valid_end"].astype(np.int64)
    order = np.lexsort((begin, codes))
    follows = np.diff(codes[order]) == 0
    bad = np.flatnonzero(follows & (end[order][:-1] > begin[order][1:]))
    if not len(bad):
        return
    pairs = np.stack([order[bad], order[bad + 1]], axis=1)
    first = pairs[np.argmin(given[ORDINAL].astype(np.int64)[pairs].max(axis=1))]
    one, other = given.take(np.sort(first)).rows(("dataset_id", "valid_begin", "valid_end"))
    kind, *values = given.take(first[:1]).rows(("dataset_type_id", *group.required))[0]
    data_id = dict(zip(group.required, values, strict=True))
    raise _overlap(_name(types, kind), data_id, into, [("given", one), ("given", other)], "validity-twice")


def _refuse_overlaps(
    session: Session,
    types: Sequence[TypeEntry],
    group: DimensionGroup,
    given: sa.Subquery,
    into: Entry,
    *,
    exact: bool,
) -> None:
    """Name the first dataset that would be valid beside one that is there."""
    t = session.schema.calibs(group).alias("there")
    same = [t.c[n] == given.c[n] for n in ("dataset_type_id", *group.required)]
    names = ("dataset_id", "valid_begin", "valid_end")
    overlap = [t.c.valid_begin < given.c.valid_end, t.c.valid_end > given.c.valid_begin]
    if exact:
        overlap.append(sa.not_(sa.and_(*(t.c[n] == given.c[n] for n in names))))
    found = session.fetch(
        sa.select(
            given.c.dataset_type_id, *(given.c[n] for n in group.required),
            *(given.c[n].label(f"our_{n}") for n in names), *(t.c[n].label(f"their_{n}") for n in names),
        )
        .select_from(given.join(t, sa.and_(t.c.collection_id == into.id, *same, *overlap)))
        .order_by(given.c[ORDINAL], t.c.valid_begin)
        .limit(1)
    )  # fmt: skip
    if found.n_rows:
        kind, *row = found.rows()[0]
        data_id = dict(zip(group.required, row[:-6], strict=True))
        pair = [("given", tuple(row[-6:-3])), ("there", tuple(row[-3:]))]
        raise _overlap(_name(types, kind), data_id, into, pair, "validity-overlaps")


def _name(types: Sequence[TypeEntry], number: int) -> str:
    return next(e.type.name for e in types if e.id == number)


def _overlap(
    name: str, data_id: dict[str, Any], into: Entry, pair: Sequence[tuple[str, tuple[Any, ...]]], code: str
) -> ConflictError:
    """Say which two datasets would be valid at once; `pair` says of each how it comes there, and its row."""
    shown = [f"{how} {id_text(i)} for {span_text(begin, end)}" for how, (i, begin, end) in pair]
    return ConflictError(
        f"two {name} of {key_text(list(data_id), list(data_id.values()))} would be valid at once in '{into.name}': "
        f"{', '.join(shown)}",
        code=code, hint="Take away the time of one of them first (decertify).",
        context={"data_id": data_id, "ids": tuple(row[0] for _, row in pair)},
    )  # fmt: skip


def decertify(session: Session, name: str, dataset_type: str, span: Timespan, table: Columns | None) -> int:
    """Take a time away from what a CALIBRATION collection holds, splitting what reaches beyond it.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The collection.
    dataset_type : str
        Of which type.
    span : Timespan
        The time; an empty one takes nothing away.
    table : Columns or None
        Data IDs, with all dimensions of the type; None for all.

    Returns
    -------
    int
        Ranges of validity that have lost something.

    Raises
    ------
    NotFoundError
        If there is no such collection or dataset type.
    ConflictError
        If the collection is not CALIBRATION, or the type not one of calibrations.
    DataIdError
        If `table` lacks a dimension, or has a value of another type.

    Notes
    -----
    Four statements.
    """
    out_of = existing_of(session, name, CollectionType.CALIBRATION)
    found = find_type(session, dataset_type)
    if not found.type.is_calibration:
        raise ConflictError(
            f"nothing of '{dataset_type}' can be certified in '{name}': it is no type of calibrations",
            code="not-a-calibration",
        )
    if span.begin >= span.end:
        return 0
    t = session.schema.calibs(found.type.dimensions)
    with _chosen(session, found, t, table) as chosen, session.savepoint():
        here = [t.c.collection_id == out_of.id, t.c.dataset_type_id == found.id, *chosen]
        meets = [t.c.valid_begin < span.end, t.c.valid_end > span.begin]
        count = sa.select(sa.func.count().label("n")).select_from(t).where(*here, *meets)
        n = int(session.fetch(count)["n"][0])
        # What is left after the span; then what begins within it goes, and what began before it ends there.
        names = [c.name for c in t.c]
        after = [sa.literal(span.end, sa.BigInteger) if c == "valid_begin" else t.c[c] for c in names]
        rest = sa.select(*after).where(*here, *meets, t.c.valid_end > span.end)
        insert_from(session, t, names, rest, "error")
        session.execute(sa.delete(t).where(*here, *meets, t.c.valid_begin >= span.begin))
        session.execute(sa.update(t).where(*here, *meets).values(valid_end=span.begin))
    return n


@contextlib.contextmanager
def _chosen(
    session: Session, found: TypeEntry, t: sa.Table, table: Columns | None
) -> Iterator[list[sa.ColumnElement[bool]]]:
    """Hand data IDs over, and yield the condition that a row has one of them."""
    required = found.type.dimensions.required
    if table is None:
        yield []
        return
    check_columns(table, required, required, f"'{found.type.name}' data IDs")
    rows = with_checked_keys(session.schema.universe, table.select(required), required).unique()
    if not required:
        yield [sa.true() if rows.n_rows else sa.false()]
        return
    with session.stash(rows, session.schema.dimension_types(required), key=required) as stash:
        yield [sa.exists().where(*(stash.c[n] == t.c[n] for n in required)).correlate(t)]
