"""The tables. Fixed ones are made by migrations; those of a universe and of a dataset type's dimensions, on demand.

Names a reader meets in a database:

- ``dim_<element>``: dimension records; the key column of a dimension bears the dimension's own name.
- ``overlap_<element>``: which pixels of the common sky pixelisation a record's region touches.
- ``overlap_<element>_<element>``: which records of two elements have regions that touch.
- ``tags_<dimensions>``: which dataset a collection holds for a dataset type and data ID.
- ``calibs_<dimensions>``: the same with a span of validity.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from itertools import combinations, product
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from registry.model.digest import digest_json
from registry.model.dimensions import Column, DimensionElement, DimensionGroup, DimensionUniverse
from registry.sql.fixed_tables import IdType, fixed_tables, make_table, string_type

__all__ = ["Schema", "definitions"]


_INT = sa.BigInteger
_KEY_TYPES: dict[str, Callable[[], sa.types.TypeEngine[Any]]] = {
    "string": string_type,
    "int": sa.BigInteger,
    "float": sa.Double,
    "bool": sa.Boolean,
    "hash": sa.LargeBinary,
    "region": sa.LargeBinary,
}


ANY_SKY = "htm7"
"""Pixels by which regions are compared in a universe that names no common pixelisation."""


def _short(prefix: str, names: Iterable[str], taken: Container[str] = ()) -> str:
    """Name a table after what it relates, within PostgreSQL's 63 characters."""
    readable = f"{prefix}_{'_'.join(names) or 'none'}"
    if len(readable) <= 50 and readable not in taken:
        return readable
    return f"{prefix}_{digest_json(','.join(names))[:16]}"


def definitions(tables: Iterable[sa.Table], dialect: sa.Dialect) -> list[str]:
    """Return the statements that make tables and their indexes where they are not there yet.

    Parameters
    ----------
    tables : iterable of sqlalchemy.Table
        In order of reference.
    dialect : sqlalchemy.Dialect
        Of the database.

    Returns
    -------
    list of str
        One for each table and index.
    """
    texts: list[Any] = []
    for table in tables:
        texts.append(CreateTable(table, if_not_exists=True))
        indexes = sorted(table.indexes, key=lambda i: str(i.name))
        texts += [CreateIndex(i, if_not_exists=True) for i in indexes]
    return [str(t.compile(dialect=dialect)) for t in texts]


class Schema:
    """The tables of one universe.

    Parameters
    ----------
    universe : DimensionUniverse
        Whose elements have tables.
    """

    def __init__(self, universe: DimensionUniverse) -> None:
        self.universe = universe
        self.metadata = sa.MetaData()
        self._types: dict[str, sa.types.TypeEngine[Any]] = {}
        self._readable: dict[str, sa.TableClause] = {}
        self._definitions: dict[str, list[str]] = {}
        self._fixed = fixed_tables(self.metadata)
        for element in universe.elements.values():
            if element.has_table:
                self._define_element(element)
        self.pairs = {(a.name, b.name): self._define_pair(a, b) for a, b in self._related()}
        """Tables of the records of two elements with regions that touch."""

    def __getitem__(self, name: str) -> sa.Table:
        """Return a fixed table by name."""
        return self._fixed[name]

    def dimension(self, name: str) -> sa.Table:
        """Return the table of an element's records.

        Parameters
        ----------
        name : str
            An element with a table.

        Returns
        -------
        sqlalchemy.Table
            Columns as `DimensionElement.record_columns`.
        """
        return self.metadata.tables[f"dim_{name}"]

    def overlap(self, name: str) -> sa.Table:
        """Return the table of sky pixels that an element's regions touch.

        Parameters
        ----------
        name : str
            An element with a table and a region.

        Returns
        -------
        sqlalchemy.Table
            The element's required dimensions, and ``skypix``.
        """
        return self.metadata.tables[f"overlap_{name}"]

    @property
    def skypix(self) -> str:
        """The pixelisation that the tables of `overlap` are in."""
        return self.universe.common_skypix or ANY_SKY

    def pair(self, one: str, other: str) -> sa.Table | None:
        """Return the table of the records of two elements with regions that touch.

        Parameters
        ----------
        one, other : str
            Two elements, in any order.

        Returns
        -------
        sqlalchemy.Table or None
            The required dimensions of both; None where none is kept.
        """
        found = self.pairs.get((one, other))
        return self.pairs.get((other, one)) if found is None else found

    def universe_tables(self) -> list[sa.Table]:
        """Return the tables of the universe's elements in order of reference.

        Returns
        -------
        list of sqlalchemy.Table
            ``dim_…`` and ``overlap_…``.
        """
        return [t for t in self.metadata.sorted_tables if t.name.startswith(("dim_", "overlap_"))]

    def first_tables(self) -> list[sa.Table]:
        """Return the tables of an empty registry, without those that dataset types bring.

        Returns
        -------
        list of sqlalchemy.Table
            In order of reference.
        """
        fixed = [t for t in self.metadata.sorted_tables if t.name in self._fixed]
        return [*fixed, *self.universe_tables()]

    def definitions(self, dialect: sa.Dialect) -> list[str]:
        """Return the statements that make an empty registry's tables; they are composed once for a dialect.

        Parameters
        ----------
        dialect : sqlalchemy.Dialect
            Of the database.

        Returns
        -------
        list of str
            One for each table and index.
        """
        found = self._definitions.get(dialect.name)
        if found is None:
            found = self._definitions[dialect.name] = definitions(self.first_tables(), dialect)
        return found

    def tags(self, group: DimensionGroup) -> sa.Table:
        """Return the table of collection members for dataset types of these dimensions.

        Parameters
        ----------
        group : DimensionGroup
            The dimensions.

        Returns
        -------
        sqlalchemy.Table
            collection_id, dataset_type_id, one column a required dimension, dataset_id.
        """
        name = _short("tags", group.required)
        found = self.metadata.tables.get(name)
        if found is not None:
            return found
        c, fk = sa.Column, sa.ForeignKey
        return make_table(
            name, self.metadata,
            # The collection first: what one holds is asked, counted and removed far more often than one type's all.
            c("collection_id", fk("collection.id"), primary_key=True),
            c("dataset_type_id", fk("dataset_type.id"), primary_key=True),
            *self._dimension_columns(group.required),
            c("dataset_id", IdType, fk("dataset.id", ondelete="CASCADE"), nullable=False, index=True),
            *self._record_references(group.required),
        )  # fmt: skip

    def calibs(self, group: DimensionGroup) -> sa.Table:
        """Return the table of certified calibrations for dataset types of these dimensions.

        Parameters
        ----------
        group : DimensionGroup
            The dimensions.

        Returns
        -------
        sqlalchemy.Table
            As `tags`, with ``valid_begin`` and ``valid_end`` in TAI nanoseconds, half-open.
        """
        name = _short("calibs", group.required)
        found = self.metadata.tables.get(name)
        if found is not None:
            return found
        c, fk = sa.Column, sa.ForeignKey
        return make_table(
            name, self.metadata,
            # The collection first: what one holds is asked, counted and removed far more often than one type's all.
            c("collection_id", fk("collection.id"), primary_key=True),
            c("dataset_type_id", fk("dataset_type.id"), primary_key=True),
            *self._dimension_columns(group.required),
            c("valid_begin", _INT, primary_key=True),
            c("valid_end", _INT, nullable=False),
            c("dataset_id", IdType, fk("dataset.id", ondelete="CASCADE"), nullable=False, index=True),
            *self._record_references(group.required),
        )  # fmt: skip

    def readable(self, table: sa.Table) -> sa.TableClause:
        """Return a table as subqueries select from it: names and types alone.

        Parameters
        ----------
        table : sqlalchemy.Table
            One of these.

        Returns
        -------
        sqlalchemy.TableClause
            The same columns. A subquery of a `sqlalchemy.Table` makes each of its columns, with all that a definition has,
            anew.
        """
        found = self._readable.get(table.name)
        if found is None:
            columns = [sa.column(c.name, c.type) for c in table.c]
            found = self._readable[table.name] = sa.table(table.name, *columns)
        return found

    def dimension_types(self, names: Iterable[str]) -> dict[str, sa.types.TypeEngine[Any]]:
        """Return the column types of dimensions' keys.

        Parameters
        ----------
        names : iterable of str
            Dimensions.

        Returns
        -------
        dict
            Name to type.
        """
        return {name: self._dimension_type(name) for name in names}

    def _define_element(self, element: DimensionElement) -> None:
        columns: list[Any] = list(self._dimension_columns(element.required))
        columns += [sa.Column(n, self._dimension_type(n)) for n in element.implied]
        columns += [self._plain(c) for c in (*element.unique, *element.metadata)]
        if element.region:
            columns.append(sa.Column("region", sa.LargeBinary))
        if element.timespan:
            columns += [sa.Column("timespan_begin", _INT), sa.Column("timespan_end", _INT)]
        others = tuple(n for n in element.required if n != element.name)
        columns += [sa.UniqueConstraint(*others, column.name) for column in element.unique]
        columns += self._record_references(element.required, besides=element.name)
        for implied in element.implied:
            other = self.universe.elements[implied]
            # A nullable implied value leaves the reference unchecked, as SQL has it.
            if other.has_table and set(other.required) <= {*element.required, *element.implied}:
                columns.append(self._reference(other))
        make_table(f"dim_{element.name}", self.metadata, *columns)
        if element.region:
            make_table(
                f"overlap_{element.name}", self.metadata,
                *self._dimension_columns(element.required),
                sa.Column("skypix", _INT, primary_key=True, index=True),
                self._reference(element, ondelete="CASCADE"),
            )  # fmt: skip

    def _related(self) -> Iterator[tuple[DimensionElement, DimensionElement]]:
        """Yield the elements whose regions are held against each other: of two families, and not fixed by one another."""
        for family, other in combinations(self.universe.on_sky, 2):
            for a, b in product(family, other):
                if (
                    a.has_table
                    and b.has_table
                    and not (self.universe.fixes(a, b) or self.universe.fixes(b, a))
                ):
                    yield a, b

    def _define_pair(self, a: DimensionElement, b: DimensionElement) -> sa.Table:
        name = _short("overlap", (a.name, b.name), self.metadata.tables)
        one, other = self._from_coarse_to_fine(a), self._from_coarse_to_fine(b)
        return make_table(
            name, self.metadata,
            *self._dimension_columns((*one, *(n for n in other if n not in one))),
            self._reference(a, ondelete="CASCADE"), self._reference(b, ondelete="CASCADE"),
            # The other way round, and for deletions.
            sa.Index(f"ix_{name}", *other),
        )  # fmt: skip

    def _from_coarse_to_fine(self, element: DimensionElement) -> tuple[str, ...]:
        """Order the key of an element so that all that one record of a less precise one holds lies together."""
        family = next(f for f in self.universe.on_sky if element in f)
        known = [n for e in family for n in e.required if n in element.required]
        return tuple(dict.fromkeys([*known, *element.required]))

    def _dimension_type(self, name: str) -> sa.types.TypeEngine[Any]:
        found = self._types.get(name)
        if found is None:
            key = self.universe.elements[name].key
            if key is None:
                raise ValueError(f"{name} has no key")
            found = string_type(key.length or 255) if key.type == "string" else sa.BigInteger()
            self._types[name] = found
        return found

    def _dimension_columns(self, names: tuple[str, ...]) -> Iterator[sa.Column[Any]]:
        for name in names:
            yield sa.Column(name, self._dimension_type(name), primary_key=True, autoincrement=False)

    @staticmethod
    def _plain(column: Column) -> sa.Column[Any]:
        return sa.Column(column.name, _KEY_TYPES[column.type](), nullable=column.nullable)

    def _record_references(self, names: tuple[str, ...], besides: str = "") -> list[sa.ForeignKeyConstraint]:
        """Refer to the records of each dimension that no other of `names` already refers to."""
        held = [self.universe.elements[n] for n in names if n != besides]
        held = [e for e in held if e.has_table]
        covered = {n for e in held for n in e.required if n != e.name}
        return [self._reference(e) for e in held if e.name not in covered]

    @staticmethod
    def _reference(element: DimensionElement, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
        names = list(element.required)
        return sa.ForeignKeyConstraint(names, [f"dim_{element.name}.{n}" for n in names], ondelete=ondelete)
