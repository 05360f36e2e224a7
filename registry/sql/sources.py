"""The tables of one question, joined: each only where a column, a condition or the existence of a record needs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import sqlalchemy as sa

from registry.errors import QueryError
from registry.model.dimensions import DimensionElement, DimensionGroup
from registry.query.bound import Field
from registry.sql.schema import Schema
from registry.sql.select import overlaps

__all__ = ["Sources"]

_LEVEL_STEP = 2  # bits that one level of a pixelisation adds


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
        self._given: list[frozenset[str]] = []
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
        """Join rows that are given: datasets of a collection, or a table of data IDs.

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
        self._given.append(frozenset(dimensions))
        self.repeats = self.repeats or not unique
        if existing:
            self._existing.update(dimensions)

    def complete(self, elements: Iterable[str], dimensions: Iterable[str]) -> None:
        """Join all that the question needs.

        Parameters
        ----------
        elements : iterable of str
            Elements whose own columns are used.
        dimensions : iterable of str
            Dimensions whose values are used.
        """
        wanted = set(elements)
        for element in self.group.elements:
            certain = element.name in self.group.required or not element.is_dimension
            if (element.name in wanted and certain) or element.always_join:
                self.element(element.name)
        self._join_in_space()
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

    # Regions

    def _on_sky(self) -> list[DimensionElement]:
        """Return the most precise element of each family that takes part, and sky pixels."""
        present = set(self.group.names)
        out = []
        for family in self.universe.spatial_families.values():
            of_family = [self.universe.elements[n] for n in family]
            fitting = [e for e in of_family if set(e.required) <= present]
            out += fitting[-1:]
        return out + [
            self.universe.elements[n] for n in self.group.required if self.universe.elements[n].skypix
        ]

    def _join_in_space(self) -> None:
        for a, b in combinations(self._on_sky(), 2):
            both = {*a.required, *b.required}
            if any(both <= given for given in self._given):
                continue
            if a.skypix is None and b.skypix is None:
                self._join_regions(a, b)
            elif a.skypix is None:
                self._join_pixels(a, b)
        if self.universe.common_skypix is None and len(self._on_sky()) > 1:
            raise QueryError(
                "this universe has no sky pixelisation to join regions by", code="query-unsupported"
            )

    def _overlap(self, element: DimensionElement) -> sa.FromClause:
        """Join a fresh copy of an element's overlap table."""
        table = self.schema.overlap(element.name).alias()
        self._join(table, element.required)
        self.repeats = True
        return table

    def _join_regions(self, a: DimensionElement, b: DimensionElement) -> None:
        one, other = self.element(a.name), self.element(b.name)
        pixels = self._overlap(a)
        more = self.schema.overlap(b.name).alias()
        on = [self.columns[n] == more.c[n] for n in b.required]
        self._from = self.from_clause.join(more, sa.and_(pixels.c.skypix == more.c.skypix, *on))
        self.conditions.append(overlaps(one.c.region, other.c.region))

    def _join_pixels(self, element: DimensionElement, skypix: DimensionElement) -> None:
        """Relate an element to the pixels that its region touches, as the overlap tables have them."""
        common = self.universe.elements[self.universe.common_skypix or ""].skypix
        asked = skypix.skypix
        if common is None or asked is None or asked[0] != common[0] or asked[1] > common[1]:
            raise QueryError(
                f"'{skypix.name}' cannot be joined: overlaps are held in {self.universe.common_skypix}",
                code="query-unsupported",
                hint=f"Ask for {self.universe.common_skypix}, or a coarser level of it.",
            )
        pixel: sa.ColumnElement[Any] = self._overlap(element).c.skypix
        if asked[1] < common[1]:
            pixel = pixel.bitwise_rshift(_LEVEL_STEP * (common[1] - asked[1]))
        if skypix.name in self.columns:
            self.conditions.append(self.columns[skypix.name] == pixel)
        else:
            self.columns[skypix.name] = pixel
        self._existing.add(skypix.name)
