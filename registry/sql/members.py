"""What collections hold of one dataset type, as subqueries of larger questions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.data_id import check_value
from registry.sql.collections import Entry
from registry.sql.dataset_types import TypeEntry
from registry.sql.long_lists import InLongList, list_text
from registry.sql.session import Session

__all__ = [
    "ARTIFACT_COLUMNS", "MERGED", "VALID_BEGIN", "VALID_END", "dated_members", "exists_query", "holding",
    "member_query", "path_of", "valid_during",
]  # fmt: skip

ARTIFACT_COLUMNS = ("uri", "size", "checksum", "formatter")

VALID_BEGIN, VALID_END = "valid_begin", "valid_end"
"""Columns of members that hold for a span of time only; null where one holds always."""

MERGED = "merged"
"""A column, of no meaning, of members that count once however many collections hold them."""


@contextlib.contextmanager
def path_of(session: Session, entries: Sequence[Entry]) -> Iterator[sa.FromClause]:
    """Hand a search path over to the database.

    Parameters
    ----------
    session : Session
        Where.
    entries : sequence of Entry
        No chains, in search order.

    Yields
    ------
    sqlalchemy.FromClause
        ``collection_id`` and ``position``. Only valid within.
    """
    rows = Columns({"collection_id": [e.id for e in entries], "position": list(range(len(entries)))})
    types: dict[str, sa.types.TypeEngine[Any]] = {"collection_id": sa.Integer(), "position": sa.Integer()}
    with session.stash(rows, types, key=["collection_id"]) as stash:
        yield stash


def valid_during(members: sa.FromClause, times: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition that members count for a time, for a part of it at least.

    Parameters
    ----------
    members : sqlalchemy.FromClause
        With `VALID_BEGIN` and `VALID_END`.
    times : sqlalchemy.FromClause
        With ``timespan_begin`` and ``timespan_end``; members that are valid for a time do not count where these are
        null, or hold no time.

    Returns
    -------
    sqlalchemy.ColumnElement
        The condition.
    """
    since, until = members.c[VALID_BEGIN], members.c[VALID_END]
    begin, end = times.c.timespan_begin, times.c.timespan_end
    return sa.or_(since.is_(None), sa.and_(since < end, until > begin, begin < end))


def holding(session: Session, found: TypeEntry, entries: Sequence[Entry]) -> list[Entry]:
    """Leave out of a search path what holds nothing of a dataset type.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        The dataset type.
    entries : sequence of Entry
        The path.

    Returns
    -------
    list of Entry
        In the same order; a CALIBRATION collection stays only where the type is one of calibrations.

    Notes
    -----
    One statement, that looks into an index once for each collection.
    """
    group, dated = found.type.dimensions, found.type.is_calibration

    def make() -> sa.Select[Any]:
        c, schema = session.schema["collection"], session.schema
        tables = [schema.tags(group), *([schema.calibs(group)] if dated else [])]
        probes = [
            sa.exists().where(
                t.c.collection_id == c.c.id,
                t.c.dataset_type_id == sa.bindparam("type", type_=sa.BigInteger()),
            )
            for t in tables
        ]
        searched = InLongList(c.c.id, sa.bindparam("searched", type_=sa.Text()))
        return sa.select(c.c.id).where(searched, sa.or_(*probes))

    key = ("holding", session.schema.tags(group).name, dated)
    rows = session.answer(key, make, type=found.id, searched=list_text([e.id for e in entries]))
    full = set(rows["id"].tolist())
    return [e for e in entries if e.id in full]


def _always(name: str) -> sa.ColumnElement[Any]:
    return sa.cast(sa.null(), sa.BigInteger).label(name)


def _members(
    session: Session,
    found: TypeEntry,
    entries: Sequence[Entry],
    path: sa.FromClause | None,
    data_id: Mapping[str, Any],
    *,
    calibrations: bool = False,
    dated: bool = False,
) -> sa.Select[Any]:
    """Select what collections of one kind hold: dimensions, id, run_id; `path` is None where there is only one."""
    group, schema = found.type.dimensions, session.schema
    d, table = (
        schema.readable(t)
        for t in (schema["dataset"], schema.calibs(group) if calibrations else schema.tags(group))
    )
    # A RUN owns what it holds; of other collections the dataset itself has to tell its run.
    owned = not calibrations and all(e.type is CollectionType.RUN for e in entries)
    run_id = table.c.collection_id if owned else d.c.run_id
    source: sa.FromClause = table if owned else table.join(d, d.c.id == table.c.dataset_id)
    columns: list[sa.ColumnElement[Any]] = [
        *(table.c[n] for n in group.required), table.c.dataset_id.label("id"), run_id.label("run_id"),
    ]  # fmt: skip
    if dated:
        columns += [table.c[n] if calibrations else _always(n) for n in (VALID_BEGIN, VALID_END)]
    if path is not None:
        # As a sum it cannot be looked up by: SQLite, which takes a search path for a million rows, would else go
        # through all members of all collections to look each up in it.
        source = source.join(path, path.c.collection_id + 0 == table.c.collection_id)
    statement = sa.select(*columns).select_from(source).where(table.c.dataset_type_id == found.id)
    if path is None:
        statement = statement.where(table.c.collection_id == entries[0].id)
    for name in group.required:
        if name in data_id:
            # Also asked outside; here it keeps a search over long paths from ranking what nobody wants.
            statement = statement.where(_wanted(session, table.c[name], data_id[name]))
    return statement


def _wanted(session: Session, column: sa.ColumnElement[Any], value: Any) -> sa.ColumnElement[bool]:
    """Ask for one value of a dimension, or for those of a query."""
    if isinstance(value, sa.Select):
        return column.in_(value)
    return column == check_value(session.schema.universe, str(column.key), value)


def _split(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Tell CALIBRATION collections from the others."""
    dated = [e for e in entries if e.type is CollectionType.CALIBRATION]
    return dated, [e for e in entries if e.type is not CollectionType.CALIBRATION]


def _searched(session: Session, found: TypeEntry, entries: Sequence[Entry]) -> list[Entry]:
    """Leave out what holds nothing, where that decides how the rest is to be asked."""
    dated, plain = _split(entries)
    if not dated:
        return list(entries)
    return holding(session, found, entries) if found.type.is_calibration else plain


@contextlib.contextmanager
def dated_members(
    session: Session, found: TypeEntry, entries: Sequence[Entry], data_id: Mapping[str, Any]
) -> Iterator[sa.Select[Any]]:
    """Make the statement of all that a search path holds, in which order, and for which time.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        A dataset type of calibrations.
    entries : sequence of Entry
        The path.
    data_id : mapping
        Dimension values that members must have.

    Yields
    ------
    sqlalchemy.Select
        Columns: required dimensions, ``id``, ``run_id``, ``valid_begin``, ``valid_end``, ``position``. Only valid
        within.
    """
    dated, plain = _split(entries)
    with path_of(session, entries) as path:
        parts = [
            _members(session, found, part, path, data_id, calibrations=part is dated, dated=True).add_columns(
                path.c.position
            )
            for part in (plain, dated)
            if part
        ]
        # Of a path of nothing a statement is still needed, that gives nothing.
        parts = parts or [
            _members(session, found, [], path, data_id, dated=True).add_columns(path.c.position)
        ]
        yield parts[0] if len(parts) == 1 else _united(parts)


def _united(parts: Sequence[sa.Select[Any]]) -> sa.Select[Any]:
    both = sa.union_all(*parts).subquery("held")
    return sa.select(*both.c)


@contextlib.contextmanager
def member_query(
    session: Session,
    found: TypeEntry,
    entries: Sequence[Entry],
    *,
    find_first: bool,
    artifacts: bool = False,
    data_id: Mapping[str, Any] | None = None,
    asked: Mapping[str, Any] | None = None,
) -> Iterator[sa.FromClause]:
    """Make the subquery of a dataset type's members of a search path.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        The dataset type.
    entries : sequence of Entry
        The path: no chains, in search order.
    find_first : bool
        Whether of equal data IDs only the one found first counts. Otherwise each membership does, and where some
        collections hold datasets for a time and others for good, each dataset.
    artifacts : bool
        Whether to return artifact columns too.
    data_id : mapping, optional
        Dimension values that members must have; a SELECT for one of several.
    asked : mapping, optional
        The rest of the question, as options of `registry.sql.joins.dataset_query`. What is found first in a
        CALIBRATION collection follows from the times that are asked for, and so from all of it.

    Yields
    ------
    sqlalchemy.FromClause
        Columns: required dimensions, ``id``, ``run_id`` and perhaps artifact columns, `VALID_BEGIN` and `VALID_END`,
        `MERGED`. Only valid within.

    Raises
    ------
    DataIdError
        If with `find_first` a CALIBRATION collection holds several datasets for one data ID
        (code ``calibration-ambiguous``).
    """
    path = _searched(session, found, entries)
    dated, _ = _split(path)
    with contextlib.ExitStack() as stack:
        if dated and find_first:
            from registry.sql.calibrations import first_found

            options = {"data_id": data_id, **(asked or {})}
            statement: sa.Select[Any] = stack.enter_context(first_found(session, found, path, options))
        elif dated:
            statement = stack.enter_context(_all_dated(session, found, path, data_id or {}))
        else:
            statement = stack.enter_context(
                _undated(session, found, path, data_id or {}, find_first=find_first)
            )
        yield _with_artifacts(session, statement, artifacts=artifacts).subquery(f"of_{found.type.name}")


@contextlib.contextmanager
def _undated(
    session: Session,
    found: TypeEntry,
    entries: Sequence[Entry],
    data_id: Mapping[str, Any],
    *,
    find_first: bool,
) -> Iterator[sa.Select[Any]]:
    """Select what RUN and TAGGED collections hold."""
    if len(entries) == 1:
        yield _members(session, found, entries, None, data_id)
        return
    with path_of(session, entries) as path:
        statement = _members(session, found, entries, path, data_id)
        yield _first(found, statement.add_columns(path.c.position)) if find_first else statement


@contextlib.contextmanager
def _all_dated(
    session: Session, found: TypeEntry, entries: Sequence[Entry], data_id: Mapping[str, Any]
) -> Iterator[sa.Select[Any]]:
    """Select everything that CALIBRATION and other collections hold, with its validity."""
    with dated_members(session, found, entries, data_id) as statement:
        held = statement.subquery("held")
        columns = [c for c in held.c if c.name != "position"]
        dated, plain = _split(entries)
        merged = [sa.literal(1).label(MERGED)] if dated and plain else []
        yield sa.select(*columns, *merged)


def _first(found: TypeEntry, members: sa.Select[Any]) -> sa.Select[Any]:
    """Keep of each data ID what stands first in the path."""
    inner, group = members.subquery("members"), found.type.dimensions
    order = [inner.c[n] for n in group.required]
    rank = sa.func.row_number().over(partition_by=order or None, order_by=inner.c.position).label("place")
    ranked = sa.select(*(inner.c[n] for n in group.required), inner.c.id, inner.c.run_id, rank).subquery(
        "ranked"
    )
    return sa.select(*(c for c in ranked.c if c.name != "place")).where(ranked.c.place == 1)


def _with_artifacts(session: Session, statement: sa.Select[Any], *, artifacts: bool) -> sa.Select[Any]:
    if not artifacts:
        return statement
    inner, a = statement.subquery("found"), session.schema.readable(session.schema["artifact"])
    return sa.select(*inner.c, *(a.c[n] for n in ARTIFACT_COLUMNS)).select_from(
        inner.outerjoin(a, a.c.id == inner.c.id)
    )


@contextlib.contextmanager
def exists_query(
    session: Session, found: TypeEntry, entries: Sequence[Entry], data_id: Mapping[str, Any] | None = None
) -> Iterator[sa.FromClause]:
    """Make the subquery of the data IDs for which a dataset exists in a search path.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        The dataset type.
    entries : sequence of Entry
        The path.
    data_id : mapping, optional
        As for `member_query`.

    Yields
    ------
    sqlalchemy.FromClause
        The required dimensions, each data ID once; where CALIBRATION collections hold some, also `VALID_BEGIN`,
        `VALID_END` and `MERGED`, each span once. Only valid within.
    """
    with member_query(session, found, entries, find_first=False, data_id=data_id) as members:
        # A dataset type without dimensions still needs one column to say that it is there.
        columns: list[sa.ColumnElement[Any]] = [members.c[n] for n in found.type.dimensions.required]
        columns = columns or [sa.literal(1).label("there")]
        if VALID_BEGIN in members.c:
            columns += [members.c[VALID_BEGIN], members.c[VALID_END], sa.literal(1).label(MERGED)]
        yield sa.select(*columns).distinct().select_from(members).subquery(f"where_{found.type.name}")
