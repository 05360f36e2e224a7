"""Questions to SELECT statements: data IDs, dimension records, datasets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from registry.errors import QueryError, nearest
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionElement, DimensionGroup
from registry.query import bound
from registry.query.bind import bind as bind_expression
from registry.query.bind import bind_order
from registry.query.parser import parse
from registry.sql.question import Member, Question
from registry.sql.relations import join_tables
from registry.sql.session import Session
from registry.sql.sources import Sources

__all__ = ["NO_COLUMNS", "Member", "data_id_query", "dataset_query", "record_query"]

NO_COLUMNS = "there"
"""Name of the one column, of no meaning, of a question that asks for no dimensions."""


@dataclass(frozen=True)
class _Question:
    """What all kinds of query share."""

    session: Session
    group: DimensionGroup
    where: str = ""
    bind: Mapping[str, Any] | None = None
    data_id: Mapping[str, Any] | None = None
    defaults: Mapping[str, Any] | None = None
    table: sa.FromClause | None = None
    members: Sequence[Member] = ()
    order_by: Sequence[str] = ()
    elements: Sequence[str] = ()

    @contextlib.contextmanager
    def statement(
        self,
        columns: Sequence[str],
        extra: Sequence[sa.ColumnElement[Any]],
        limit: int | None,
        distinct: bool,
    ) -> Iterator[sa.Select[Any]]:
        """Make the statement, and hold what it needs beside it.

        Parameters
        ----------
        columns : sequence of str
            Dimensions to return.
        extra : sequence of sqlalchemy.ColumnElement
            Further columns to return.
        limit : int or None
            Most rows.
        distinct : bool
            Whether rows must not repeat.

        Yields
        ------
        sqlalchemy.Select
            One row a data ID; to be run within.
        """
        universe = self.group.universe
        asked = bind_expression(
            parse(self.where), universe, self.group, self.bind, data_id=self.data_id, defaults=self.defaults
        )
        order = bind_order(self.order_by, universe, self.group)
        given = [n for m in self.members for n in m.dimensions]
        listed = tuple(_dimension_columns(self.table, self.group))
        question = Question(
            self.session, join_tables, asked.group.union(given, listed), bound.conjuncts(asked.root), asked.data_id,
            self.members, self.table, listed,
        )  # fmt: skip
        fields = [o.field for o in order]
        with contextlib.ExitStack() as stack:
            sources = question.sources(
                stack,
                [*self.elements, *(f.element for f in fields if not f.is_key)],
                [*columns, *(f.column for f in fields if f.is_key)],
            )
            chosen = [sources.columns[n].label(n) for n in columns] + list(extra)
            if not chosen:
                # The data ID of no dimensions: SQL needs a column to say that it is there.
                chosen = [sa.literal(1).label(NO_COLUMNS)]
            statement = sa.select(*chosen).select_from(sources.from_clause)
            if sources.conditions:
                statement = statement.where(*sources.conditions)
            repeats = sources.repeats or not set(sources.group.required) <= set(columns)
            if distinct and repeats:
                statement = statement.distinct()
            keys = [n for n in self.group.required if n in columns]
            yield _ordered(statement, order, sources, keys, limit, distinct=distinct and repeats)


def _dimension_columns(table: sa.FromClause | None, group: DimensionGroup) -> list[str]:
    """Return the columns of a table of data IDs, all of which must be dimensions."""
    if table is None:
        return []
    names = [c.name for c in table.c]
    for name in names:
        element = group.universe.elements.get(name)
        if element is None or not element.is_dimension:
            known = [n for n in group.universe.dimension_names if group.universe.elements[n].skypix is None]
            raise QueryError(
                f"the table of data IDs has a column '{name}', which is no dimension",
                code="query-unknown-name",
                hint=nearest(name, known),
            )
    return names


def _ordered(
    statement: sa.Select[Any],
    order: Sequence[bound.Order],
    sources: Sources,
    keys: Sequence[str],
    limit: int | None,
    *,
    distinct: bool,
) -> sa.Select[Any]:
    """Add order and limit; the keys come last, so that the order is whole."""
    if not order and limit is None:
        return statement
    columns = {o.field: sources.column(o.field) for o in order}
    hidden = {f: f"order_{i}" for i, f in enumerate(columns) if not (f.is_key and f.column in keys)}
    ends = {n: sources.columns[n] for n in keys}
    if distinct and hidden:
        # These are fixed by the keys: returning them too makes no row distinct that was not.
        names = [c.name for c in statement.selected_columns]
        inner = statement.add_columns(*(columns[f].label(n) for f, n in hidden.items())).subquery()
        statement = sa.select(*(inner.c[n] for n in names))
        columns = {f: inner.c[hidden.get(f, f.column)] for f in columns}
        ends = {n: inner.c[n] for n in keys}
    by: list[sa.ColumnElement[Any]] = []
    for term in order:
        column = columns[term.field]
        if term.field in hidden:
            by.append(column.desc().nulls_last() if term.descending else column.asc().nulls_first())
        else:
            by.append(column.desc() if term.descending else column)
    named = {o.field.column for o in order if o.field.is_key}
    by += [c for n, c in ends.items() if n not in named]
    return statement.order_by(*by).limit(limit)


@contextlib.contextmanager
def data_id_query(
    session: Session,
    group: DimensionGroup,
    *,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    data_id: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    table: sa.FromClause | None = None,
    members: Sequence[Member] = (),
    order_by: Sequence[str] = (),
    limit: int | None = None,
    distinct: bool = True,
    columns: Sequence[str] | None = None,
) -> Iterator[sa.Select[Any]]:
    """Ask for data IDs.

    Parameters
    ----------
    session : Session
        Where it will be run.
    group : DimensionGroup
        The dimensions.
    where : str
        An expression.
    bind : mapping, optional
        Its bind values.
    data_id : mapping, optional
        Values that dimensions must have.
    defaults : mapping, optional
        Values of governors, for those that the question leaves open.
    table : sqlalchemy.FromClause, optional
        Rows to keep to: its columns are dimensions.
    members : sequence of Member, optional
        Datasets that must exist.
    order_by : sequence of str
        Names, with ``-`` before them for the reverse; ties are in order of the keys.
    limit : int, optional
        Most rows.
    distinct : bool
        Whether rows must not repeat.
    columns : sequence of str, optional
        Which dimensions to return; by default all of the group, implied ones too.

    Yields
    ------
    sqlalchemy.Select
        To be run within. One column a dimension; `NO_COLUMNS` where there are none.

    Raises
    ------
    QueryError
        If the expression or the order cannot be understood.
    DataIdError
        If `data_id` has an unknown dimension or a value of the wrong type.
    """
    question = _Question(session, group, where, bind, data_id, defaults, table, members, order_by)
    with question.statement(group.names if columns is None else columns, (), limit, distinct) as statement:
        yield statement


@contextlib.contextmanager
def record_query(
    session: Session,
    element: DimensionElement,
    *,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    data_id: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    table: sa.FromClause | None = None,
    members: Sequence[Member] = (),
    order_by: Sequence[str] = (),
    limit: int | None = None,
) -> Iterator[sa.Select[Any]]:
    """Ask for the records of one element.

    Parameters
    ----------
    session : Session
        Where it will be run.
    element : DimensionElement
        The element.
    where : str
        An expression.
    bind : mapping, optional
        Its bind values.
    data_id : mapping, optional
        Values that dimensions must have.
    defaults : mapping, optional
        Values of governors, for those that the question leaves open.
    table : sqlalchemy.FromClause, optional
        Rows to keep to: its columns are dimensions.
    members : sequence of Member
        Other datasets that must exist.
    order_by : sequence of str
        As for data IDs; always ends with the keys.
    limit : int, optional
        Most rows.

    Yields
    ------
    sqlalchemy.Select
        To be run within. Columns as ``element.record_columns``, in order of the keys.

    Raises
    ------
    QueryError
        If the expression cannot be understood, or the element has no records.
    DataIdError
        If `data_id` has an unknown dimension or a value of the wrong type.
    """
    if element.skypix is not None:
        raise QueryError(
            f"'{element.name}' has no records: its pixels are computed", code="query-unsupported"
        )
    group = session.schema.universe.group(element.required)
    elements = [element.name] if element.has_table else []
    question = _Question(
        session, group, where, bind, data_id, defaults, table, members, order_by or element.required, elements
    )
    extra = []
    if element.has_table:
        records = session.schema.dimension(element.name)
        extra = [records.c[n] for n in element.record_columns if n not in element.required]
    with question.statement(element.required, extra, limit, distinct=True) as statement:
        yield statement


@contextlib.contextmanager
def dataset_query(
    session: Session,
    dataset_type: DatasetType,
    member: Member,
    *,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    data_id: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    table: sa.FromClause | None = None,
    members: Sequence[Member] = (),
    order_by: Sequence[str] = (),
    limit: int | None = None,
) -> Iterator[sa.Select[Any]]:
    """Ask for datasets of one type.

    Parameters
    ----------
    session : Session
        Where it will be run.
    dataset_type : DatasetType
        The type.
    member : Member
        Its datasets in some collections.
    where : str
        An expression.
    bind : mapping, optional
        Its bind values.
    data_id : mapping, optional
        Values that dimensions must have.
    defaults : mapping, optional
        Values of governors, for those that the question leaves open.
    table : sqlalchemy.FromClause, optional
        Rows to keep to: its columns are dimensions.
    members : sequence of Member
        Other datasets that must exist.
    order_by : sequence of str
        Names, with ``-`` before them for the reverse.
    limit : int, optional
        Most rows.

    Yields
    ------
    sqlalchemy.Select
        To be run within. The required dimensions of the type, then ``member.extra``. Dimension tables are joined only where
        the condition needs them.

    Raises
    ------
    QueryError
        If the expression or the order cannot be understood.
    DataIdError
        If `data_id` has an unknown dimension or a value of the wrong type.
    """
    group = dataset_type.dimensions
    # Several datasets may have one data ID here, and each is a row: the extra columns tell them apart.
    member = Member(member.subquery, member.dimensions, member.extra, unique=True)
    question = _Question(session, group, where, bind, data_id, defaults, table, (member, *members), order_by)
    extra = [member.subquery.c[n] for n in member.extra]
    with question.statement(group.required, extra, limit, distinct=True) as statement:
        yield statement
