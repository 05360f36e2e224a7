"""Rows of one registry that a question can meet, where another registry may hold the rest of its answer.

A row is passed over only for what it says itself, for what records say that it refers to (these are in the same
registry), or for values of dimensions that no other part of an answer has.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from registry.model import regions
from registry.model.columns import Columns
from registry.model.dimensions import DimensionElement, DimensionGroup
from registry.query import bound
from registry.query.types import Kind
from registry.sql.collections import Entry
from registry.sql.dataset_types import TypeEntry
from registry.sql.members import MERGED, exists_query
from registry.sql.overlay_known import Known
from registry.sql.preselect import preselected
from registry.sql.select import clause
from registry.sql.session import Session
from registry.sql.sky_pixels import in_ranges

__all__ = ["Cut"]

_MOST_RANGES = 100


@dataclass(frozen=True)
class Cut:
    """What rows of one registry have to fulfil.

    Parameters
    ----------
    session : Session
        The registry.
    asked : BoundExpression
        The question.
    group : DimensionGroup
        All dimensions that take part in it.
    known : Known
        Values that dimensions can have.
    stack : contextlib.ExitStack
        Holds what is handed over to the database, for as long as statements are used.
    """

    session: Session
    asked: bound.BoundExpression
    group: DimensionGroup
    known: Known
    stack: ExitStack

    def members(self, found: TypeEntry, path: Sequence[Entry], *, by_records: bool = True) -> Columns:
        """Return the data IDs for which a dataset exists.

        Parameters
        ----------
        found : TypeEntry
            The dataset type.
        path : sequence of Entry
            Where.
        by_records : bool, optional
            Whether records here are as the question means them. Copies of them need not be.

        Returns
        -------
        Columns
            As `registry.sql.members.exists_query`.
        """
        dims = found.type.dimensions.required
        chosen = preselected(self.session.schema, self.asked) if by_records else {}
        wanted: dict[str, Any] = {**chosen, **self.asked.data_id}
        members = self.stack.enter_context(exists_query(self.session, found, path, wanted))
        conditions = [
            clause(c, lambda f: members.c[f.column])
            for c in bound.conjuncts(self.asked.root)
            if (used := list(bound.fields(c))) and all(f.is_key and f.column in dims for f in used)
        ]
        columns = [c for c in members.c if c.name != MERGED]
        return self.session.fetch(
            sa.select(*columns).select_from(self._met(members, dims)).where(*conditions)
        )

    def records(self, element: DimensionElement) -> sa.Select[Any]:
        """Choose records.

        Parameters
        ----------
        element : DimensionElement
            Whose; has a table.

        Returns
        -------
        sqlalchemy.Select
            `DimensionElement.record_columns`.
        """
        t = self.session.schema.dimension(element.name)
        conditions = self._conditions(element) if element.name not in self.group.implied else []
        statement = sa.select(*(t.c[n] for n in element.record_columns))
        return statement.select_from(self._met(t, (*element.required, *element.implied))).where(*conditions)

    def _conditions(self, element: DimensionElement) -> list[sa.ColumnElement[bool]]:
        """Return what a record decides alone, or by what it refers to.

        Of records that are only implied nothing may be asked: where one is missing its columns are null, and that may
        be just what the question is about.
        """
        t = self.session.schema.dimension(element.name)
        held = (*element.required, *element.implied)
        out: list[sa.ColumnElement[bool]] = [t.c[n] == v for n, v in self.asked.data_id.items() if n in held]
        own = (self._own(c, element) for c in bound.conjuncts(self.asked.root))
        out += [c for c in own if c is not None]
        chosen = preselected(self.session.schema, self.asked)
        return out + [t.c[n].in_(chosen[n]) for n in element.required if n != element.name and n in chosen]

    def _met(self, table: sa.FromClause, dimensions: Sequence[str]) -> sa.FromClause:
        """Hold rows to values that their dimensions can have."""
        source = table
        for rows in self.known.about(dimensions):
            types = self.session.schema.dimension_types(rows.names)
            stash = self.stack.enter_context(self.session.stash(rows, types, key=rows.names))
            source = source.join(stash, sa.and_(*(stash.c[n] == table.c[n] for n in rows.names)))
        return source

    def _own(self, condition: bound.Node, element: DimensionElement) -> sa.ColumnElement[bool] | None:
        """Return a condition that a record decides alone; None if it does not."""
        t = self.session.schema.dimension(element.name)
        keys = {*element.required, *element.implied}
        used = list(bound.fields(condition))
        mine = [f.column in keys if f.is_key else f.element == element.name for f in used]
        if not used or not all(mine):
            return None
        if any(f.kind is Kind.REGION for f in used):
            return self._near(condition, element)
        return clause(condition, lambda f: t.c[f.column])

    def _near(self, condition: bound.Node, element: DimensionElement) -> sa.ColumnElement[bool] | None:
        """Return the condition that a record shares a pixel with the region that it has to touch."""
        match condition:
            case (
                bound.Overlaps(left=bound.Const(value=region))
                | bound.Overlaps(right=bound.Const(value=region))
            ):
                ranges = regions.pixel_ranges(region, self.session.schema.skypix)
            case _:
                return None
        if len(ranges) > _MOST_RANGES:
            return None
        t, overlap = (f(element.name) for f in (self.session.schema.dimension, self.session.schema.overlap))
        near = sa.select(*(overlap.c[n] for n in element.required)).where(in_ranges(overlap.c.skypix, ranges))
        mine = [t.c[n] for n in element.required]
        return (sa.tuple_(*mine) if len(mine) > 1 else mine[0]).in_(near)
