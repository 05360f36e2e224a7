"""The tables of one question, joined: each only where a column, a condition or the existence of a record needs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from registry.errors import QueryError
from registry.model.dimensions import DimensionElement, DimensionGroup
from registry.query.bound import Field
from registry.sql.schema import Schema

__all__ = ["Coarser", "Relation", "Sources"]


@dataclass(frozen=True)
class Relation:
    """Rows that relate dimensions.

    Parameters
    ----------
    table : sqlalchemy.FromClause
        One column a dimension.
    dimensions : tuple of str
        The dimensions; their records exist.
    unique : bool
        Whether no row occurs twice.
    """

    table: sa.FromClause
    dimensions: tuple[str, ...]
    unique: bool = True


@dataclass(frozen=True)
class Coarser:
    """A pixel of the sky that holds a finer one of the same pixelisation.

    Parameters
    ----------
    name, fine : str
        The two dimensions.
    ratio : int
        How many of the finer ones it holds.
    """

    name: str
    fine: str
    ratio: int


class Sources:
    """A FROM clause in the making.

    The join is natural: a dimension has one value in a row, whatever tables hold it.

    Parameters
    ----------
    schema : Schema
        The tables.
    group : DimensionGroup
        All dimensions that take part.
    """

    def __init__(self, schema: Schema, group: DimensionGroup) -> None:
        self.schema = schema
        self.universe = group.universe
        self.group = group
        self.columns: dict[str, sa.ColumnElement[Any]] = {}
        self.conditions: list[sa.ColumnElement[bool]] = []
        self.repeats = False
        self._tables: dict[str, sa.FromClause] = {}
        self._existing: set[str] = set()
        self._from: sa.FromClause | None = None

    @property
    def from_clause(self) -> sa.FromClause:
        """What to select from; one row without columns where nothing was joined."""
        return sa.select(sa.literal(1).label("one")).subquery() if self._from is None else self._from

    def column(self, field: Field) -> sa.ColumnElement[Any]:
        """Return the column of a field whose table was joined.

        Parameters
        ----------
        field : Field
            A bound name.

        Returns
        -------
        sqlalchemy.ColumnElement
            The column.
        """
        return self.columns[field.column] if field.is_key else self._tables[field.element].c[field.column]

    def add_given(
        self, table: sa.FromClause, dimensions: Sequence[str], *, unique: bool, existing: bool
    ) -> None:
        """Join rows that are given: datasets of a collection, a table of data IDs, or what overlaps what.

        Parameters
        ----------
        table : sqlalchemy.FromClause
            With one column a dimension.
        dimensions : sequence of str
            Which dimensions it holds.
        unique : bool
            Whether each data ID occurs once.
        existing : bool
            Whether each value is known to be that of a dimension record.
        """
        self._join(table, dimensions)
        self.repeats = self.repeats or not unique
        if existing:
            self._existing.update(dimensions)

    def complete(
        self,
        elements: Iterable[str],
        dimensions: Iterable[str],
        relations: Iterable[Relation | Coarser] = (),
    ) -> None:
        """Join all that the question needs.

        Parameters
        ----------
        elements : iterable of str
            Elements whose own columns are used.
        dimensions : iterable of str
            Dimensions whose values are used.
        relations : iterable of Relation or Coarser
            What relates dimensions besides the tables of their records.
        """
        wanted = set(elements)
        for element in self.group.elements:
            certain = element.name in self.group.required or not element.is_dimension
            if (element.name in wanted and certain) or element.always_join:
                self.element(element.name)
        for relation in relations:
            self._relate(relation)
        for name in reversed(self.group.required):
            if name not in self._existing:
                self._require(self.universe.elements[name])
        needed = {*dimensions, *self.columns, *self._contested()}
        for name in [n for n in self.group.names if n in needed]:
            self._imply(name)
        for name in [n for n in self.group.implied if n in wanted]:
            self._imply(name)
            self.element(name)

    def element(self, name: str) -> sa.FromClause:
        """Join the table of an element's records.

        Parameters
        ----------
        name : str
            An element with a table.

        Returns
        -------
        sqlalchemy.FromClause
            The table.
        """
        if name not in self._tables:
            element = self.universe.elements[name]
            table = self.schema.dimension(name)
            held = (*element.required, *element.implied)
            # What is only implied may be null, and a null must not hide the row that implies it.
            optional = name in self.group.implied and not any(n in self.columns for n in element.implied)
            self._tables[name] = table
            self._join(table, held, outer=optional)
            if not optional:
                self._existing.update(element.required)
        return self._tables[name]

    def _join(self, table: sa.FromClause, dimensions: Iterable[str], *, outer: bool = False) -> None:
        same = [self.columns[n] == table.c[n] for n in dimensions if n in self.columns]
        for name in dimensions:
            self.columns.setdefault(name, table.c[name])
        on = sa.and_(*same) if same else sa.true()
        self._from = table if self._from is None else self._from.join(table, on, isouter=outer)

    def _require(self, element: DimensionElement) -> None:
        """Make sure that the value of a required dimension is that of a record."""
        if element.has_table:
            self.element(element.name)
        elif element.view_of is not None:
            column = self.schema.dimension(element.view_of).c[element.name]
            self._join(sa.select(column).where(column.is_not(None)).distinct().subquery(), [element.name])
            self._existing.add(element.name)
        elif element.name not in self.columns:
            raise QueryError(
                f"'{element.name}' needs something on the sky beside it",
                code="query-unsupported",
                hint="Ask for it together with a dimension that has a region.",
            )

    def _contested(self) -> set[str]:
        """Return implied dimensions that several records fix: all must agree."""
        out = set()
        for name in self.group.implied:
            if len(self._implying(name)) > 1:
                out.add(name)
        return out

    def _implying(self, name: str) -> list[DimensionElement]:
        return [e for e in self.group.elements if name in e.implied]

    def _imply(self, name: str) -> None:
        """Join the tables whose records fix an implied dimension."""
        if name in self.group.required:
            return
        for element in self._implying(name):
            self._imply(element.name)
            self.element(element.name)

    def _relate(self, relation: Relation | Coarser) -> None:
        if isinstance(relation, Relation):
            self.add_given(relation.table, relation.dimensions, unique=relation.unique, existing=True)
            return
        if relation.fine in self.columns:
            pixel = self.columns[relation.fine] // sa.literal(relation.ratio, sa.BigInteger)
            if relation.name in self.columns:
                self.conditions.append(self.columns[relation.name] == pixel)
            self.columns.setdefault(relation.name, pixel)
            self._existing.add(relation.name)
