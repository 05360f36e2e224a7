"""One question to two registries: rows of one, overlaid by what only the other has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.lookups import session_of
from registry.model.columns import Columns
from registry.queries.constraints import Constraints

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionGroup
    from registry.query.bound import BoundExpression
    from registry.snapshot import Snapshot
    from registry.sql.session import Session

__all__ = ["THERE", "count_copies", "data_ids", "existing", "involved", "record_keys"]

THERE = "there"
"""Column, of no meaning, of data IDs without dimensions."""

VALID_BEGIN, VALID_END = "valid_begin", "valid_end"
"""Columns of data IDs of datasets that count for a time only."""


def involved(group: DimensionGroup, asked: Constraints, types: Iterable[Sequence[str]]) -> DimensionGroup:
    """Return all dimensions that take part in a question.

    Parameters
    ----------
    group : DimensionGroup
        Those of the data IDs that are asked for.
    asked : Constraints
        What they fulfil.
    types : iterable of sequence of str
        Dimensions of the datasets that must exist.

    Returns
    -------
    DimensionGroup
        These, and those that conditions speak of.

    Raises
    ------
    QueryError
        If the expression cannot be understood.
    """
    listed = () if asked.table is None else asked.table.names
    return _bound(group, asked).group.union(
        *types, [n for n in listed if n in group.universe.dimension_names]
    )


def _bound(group: DimensionGroup, asked: Constraints) -> BoundExpression:
    from registry.query.bind import bind
    from registry.query.parser import parse

    return bind(
        parse(asked.where), group.universe, group, asked.bind, data_id=asked.data_id, defaults=asked.defaults
    )


def existing(
    snapshot: Snapshot,
    dataset_type: str,
    collections: Sequence[str],
    group: DimensionGroup,
    asked: Constraints,
) -> Columns:
    """Return the data IDs of datasets that a question to another registry can meet.

    Parameters
    ----------
    snapshot : Snapshot
        Where the datasets are.
    dataset_type : str
        Their type.
    collections : sequence of str
        Where they are looked for.
    group : DimensionGroup
        The dimensions of the data IDs that are asked for.
    asked : Constraints
        What is asked of the other registry. Only values of dimensions are looked at: records here may be old copies.

    Returns
    -------
    Columns
        The dimensions of the type, each row once; where CALIBRATION collections hold some, also ``valid_begin`` and
        ``valid_end``. A type without dimensions has the column `THERE`.

    Raises
    ------
    NotFoundError
        If the dataset type or a collection does not exist.
    QueryError
        If the expression cannot be understood.
    """
    from registry.queries.statements import search_path
    from registry.sql.dataset_types import find_type
    from registry.sql.overlay_cut import Cut
    from registry.sql.overlay_known import Known

    session = session_of(snapshot)
    found, path = find_type(session, dataset_type), search_path(session, collections)
    known, bound = Known(group.universe), _bound(group, asked)
    if asked.table is not None:
        known.add(asked.table, group.universe.dimension_names)
    with ExitStack() as stack:
        return Cut(session, bound, bound.group, known, stack).members(found, path, by_records=False)


def data_ids(
    snapshot: Snapshot,
    group: DimensionGroup,
    asked: Constraints,
    local: Mapping[str, Columns],
    *,
    limit: int | None = None,
) -> Columns:
    """Return the data IDs that there are in a registry and among records beside it.

    Without such records the registry answers. Otherwise what a question can meet is read from it, goes with them into
    a temporary registry, and the question is asked there.

    Parameters
    ----------
    snapshot : Snapshot
        The registry.
    group : DimensionGroup
        The dimensions.
    asked : Constraints
        What they fulfil; datasets elsewhere count where they are given.
    local : mapping of str to Columns
        By element, records that the registry has not.
    limit : int, optional
        At most so many.

    Returns
    -------
    Columns
        As `Snapshot.data_ids`.

    Raises
    ------
    ConflictError
        If two records have the same alternate key (``record-key-taken``).
    QueryError
        If the expression cannot be understood.

    Notes
    -----
    A statement for each element and each dataset type, and one for each kind of overlap.
    """
    session = session_of(snapshot)
    if not local:
        return _answer(session, group, asked, limit)
    from registry.queries.statements import search_path
    from registry.sql.dataset_types import find_type
    from registry.sql.overlay import Met, Wanted
    from registry.sql.overlay_filled import filled

    wanted = [
        Wanted(find_type(session, kind), search_path(session, names), besides)
        for kind, names, besides in asked.joins
    ]
    given = [*asked.given, *([] if asked.table is None else [asked.table])]
    full = involved(group, asked, [*_dimensions(asked.given), *(w.required for w in wanted)])
    met = Met(session, _bound(group, asked), full, given, wanted, local)
    met.read()
    with filled(met) as merged:
        rest = replace(asked, joins=(), given=(*asked.given, *met.members))
        return _answer(merged, group, rest, limit)


def _dimensions(given: Sequence[Columns]) -> list[list[str]]:
    return [[n for n in rows.names if n not in (THERE, VALID_BEGIN, VALID_END)] for rows in given]


def _answer(session: Session, group: DimensionGroup, asked: Constraints, limit: int | None) -> Columns:
    from registry.queries.statements import data_id_statement
    from registry.sql.joins import NO_COLUMNS

    with data_id_statement(session, group, asked, limit=limit) as statement:
        rows = session.fetch(statement)
    return rows if group.names else Columns({}).take(rows[NO_COLUMNS])


def record_keys(snapshot: Snapshot, element: str) -> Columns:
    """Return the keys of all records of an element.

    Parameters
    ----------
    snapshot : Snapshot
        Where.
    element : str
        An element with records of its own.

    Returns
    -------
    Columns
        Its required dimensions.
    """
    import sqlalchemy as sa

    session = session_of(snapshot)
    table = session.schema.dimension(element)
    return session.fetch(sa.select(*(table.c[n] for n in snapshot.universe.elements[element].required)))


def count_copies(snapshot: Snapshot, kinds: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Count the records of elements, and the baselines that were kept of them.

    Parameters
    ----------
    snapshot : Snapshot
        Where.
    kinds : mapping of str to str
        Element to the kind of its baselines.

    Returns
    -------
    dict of str to (int, int)
        By element: records, baselines.

    Notes
    -----
    One statement.
    """
    import sqlalchemy as sa

    session = session_of(snapshot)
    base, count = session.schema["baseline"], sa.func.count()
    columns = []
    for i, (element, kind) in enumerate(kinds.items()):
        records = sa.select(count).select_from(session.schema.dimension(element))
        columns.append(records.scalar_subquery().label(f"records_{i}"))
        copies = sa.select(count).select_from(base).where(base.c.kind == kind)
        columns.append(copies.scalar_subquery().label(f"baselines_{i}"))
    counts = session.fetch(sa.select(*columns)).rows()[0] if columns else ()
    return {element: (counts[2 * i], counts[2 * i + 1]) for i, element in enumerate(kinds)}
