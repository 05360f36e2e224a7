"""Constraints to SELECT statements, and all that has to be beside them in the database while they run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

from registry.model.collections import CollectionType
from registry.sql import collections as collection_rows
from registry.sql import dataset_types, datasets
from registry.sql.given import given_members, with_given
from registry.sql.keys import with_checked_keys

if TYPE_CHECKING:
    import sqlalchemy as sa

    from registry.model.columns import Columns
    from registry.model.dimensions import DimensionElement, DimensionGroup
    from registry.queries.constraints import Constraints
    from registry.sql.collections import Entry
    from registry.sql.dataset_types import TypeEntry
    from registry.sql.joins import Member
    from registry.sql.session import Session

__all__ = [
    "Statement",
    "data_id_statement",
    "dataset_statement",
    "record_statement",
    "search_path",
    "stashed",
]

Statement = AbstractContextManager["sa.Select[Any]"]


def search_path(session: Session, names: Sequence[str] | None) -> list[Entry]:
    """Return where datasets are searched.

    Parameters
    ----------
    session : Session
        Where.
    names : sequence of str or None
        Collections and globs, in order; None for every RUN, and so every dataset.

    Returns
    -------
    list of Entry
        No chains.

    Raises
    ------
    NotFoundError
        If a name (that is no glob) does not exist.
    """
    if names is not None:
        return collection_rows.search(session, names)
    return [e for e in collection_rows.all_entries(session) if e.type is CollectionType.RUN]


@contextlib.contextmanager
def stashed(session: Session, rows: Columns | None) -> Iterator[sa.FromClause | None]:
    """Hand a table of dimension values over to the database, each row once.

    Parameters
    ----------
    session : Session
        Where.
    rows : Columns or None
        The table.

    Yields
    ------
    sqlalchemy.FromClause or None
        Only valid within; None where there is no table, or none with columns.
    """
    if rows is None or not rows.names:
        yield None
        return
    checked = with_checked_keys(session.schema.universe, rows, rows.names).unique()
    types = session.schema.dimension_types(rows.names)
    with session.stash(checked, types, key=rows.names) as stash:
        yield stash


def _known(session: Session, group: DimensionGroup, asked: Constraints) -> dict[str, Any]:
    """Return which values of dimensions datasets can have, so that others need not be looked at."""
    from registry.query.bind import bind
    from registry.query.parser import parse
    from registry.sql.preselect import preselected

    expression = bind(
        parse(asked.where), group.universe, group, asked.bind, data_id=asked.data_id, defaults=asked.defaults
    )
    return {**preselected(session.schema, expression), **expression.data_id}


def _joined(session: Session, group: DimensionGroup, asked: Constraints, stack: ExitStack) -> list[Member]:
    from registry.sql.joins import Member

    out = []
    known = _known(session, group, asked) if asked.joins else {}
    for i, (dataset_type, names, besides) in enumerate(asked.joins):
        found = dataset_types.find_type(session, dataset_type)
        path = search_path(session, names)
        there = stack.enter_context(datasets.exists_query(session, found, path, known))
        if besides is not None:
            there = stack.enter_context(with_given(session, there, besides))
        # One type may be asked for in two places.
        out.append(Member(there.alias(f"where_{i}_{dataset_type}"), found.type.dimensions.required, ()))
    for i, rows in enumerate(asked.given):
        there = stack.enter_context(given_members(session, rows))
        dims = tuple(n for n in rows.names if n in group.universe.elements)
        out.append(Member(there.alias(f"given_{i}"), dims, ()))
    return out


@contextlib.contextmanager
def data_id_statement(
    session: Session,
    group: DimensionGroup,
    asked: Constraints,
    *,
    order_by: Sequence[str] = (),
    limit: int | None = None,
) -> Iterator[sa.Select[Any]]:
    """Ask for data IDs.

    Parameters
    ----------
    session : Session
        Where.
    group : DimensionGroup
        Their dimensions.
    asked : Constraints
        What they fulfil.
    order_by : sequence of str, optional
        Names to order by.
    limit : int, optional
        Most rows.

    Yields
    ------
    sqlalchemy.Select
        As `registry.sql.joins.data_id_query`; to be run within.
    """
    from registry.sql.joins import data_id_query

    with ExitStack() as stack:
        members = _joined(session, group, asked, stack)
        table = stack.enter_context(stashed(session, asked.table))
        yield stack.enter_context(
            data_id_query(
                session, group, where=asked.where, bind=asked.bind, data_id=asked.data_id,
                defaults=asked.defaults, table=table, members=members, order_by=order_by, limit=limit,
            )
        )  # fmt: skip


@contextlib.contextmanager
def record_statement(
    session: Session,
    element: DimensionElement,
    asked: Constraints,
    *,
    order_by: Sequence[str] = (),
    limit: int | None = None,
) -> Iterator[sa.Select[Any]]:
    """Ask for the records of one element.

    Parameters
    ----------
    session : Session
        Where.
    element : DimensionElement
        Whose.
    asked : Constraints
        What they fulfil.
    order_by : sequence of str, optional
        Names to order by.
    limit : int, optional
        Most rows.

    Yields
    ------
    sqlalchemy.Select
        As `registry.sql.joins.record_query`; to be run within.
    """
    from registry.sql.joins import record_query

    with ExitStack() as stack:
        members = _joined(session, session.schema.universe.group(element.required), asked, stack)
        table = stack.enter_context(stashed(session, asked.table))
        yield stack.enter_context(
            record_query(
                session, element, where=asked.where, bind=asked.bind, data_id=asked.data_id,
                defaults=asked.defaults, table=table, members=members, order_by=order_by, limit=limit,
            )
        )  # fmt: skip


@contextlib.contextmanager
def dataset_statement(
    session: Session,
    found: TypeEntry,
    path: Sequence[Entry],
    asked: Constraints,
    *,
    find_first: bool,
    artifacts: bool = False,
    order_by: Sequence[str] = (),
    limit: int | None = None,
) -> Iterator[sa.Select[Any]]:
    """Ask for the datasets of one type.

    Parameters
    ----------
    session : Session
        Where.
    found : TypeEntry
        Their type.
    path : sequence of Entry
        Where they are searched, in order.
    asked : Constraints
        What they fulfil.
    find_first : bool
        Whether of equal data IDs only the one found first counts.
    artifacts : bool, optional
        Whether to return artifact columns too.
    order_by : sequence of str, optional
        Names to order by.
    limit : int, optional
        Most rows.

    Yields
    ------
    sqlalchemy.Select
        The required dimensions, ``id``, ``run_id`` and perhaps artifact columns; to be run within.
    """
    from registry.sql.joins import Member, dataset_query

    group = found.type.dimensions
    extra = ("id", "run_id", *(datasets.ARTIFACT_COLUMNS if artifacts else ()))
    with ExitStack() as stack:
        table = stack.enter_context(stashed(session, asked.table))
        rest: dict[str, Any] = {
            "where": asked.where, "bind": asked.bind, "data_id": asked.data_id, "defaults": asked.defaults,
            "table": table, "members": _joined(session, group, asked, stack),
        }  # fmt: skip
        held = stack.enter_context(
            datasets.member_query(
                session, found, path,
                find_first=find_first, artifacts=artifacts, data_id=_known(session, group, asked), asked=rest,
            )
        )  # fmt: skip
        member = Member(held, group.required, extra)
        yield stack.enter_context(
            dataset_query(session, found.type, member, **rest, order_by=order_by, limit=limit)
        )
