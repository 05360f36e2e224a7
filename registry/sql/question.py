"""A question bound to a universe, and the tables that answer it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry.model.dimensions import DimensionElement, DimensionGroup
from registry.query import bound
from registry.sql.members import MERGED, VALID_BEGIN
from registry.sql.session import Session
from registry.sql.sources import Sources

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["Member", "Question"]


@dataclass(frozen=True)
class Member:
    """Datasets of one type in some collections, as a subquery.

    Parameters
    ----------
    subquery : sqlalchemy.FromClause
        One column a dimension, and `extra`. With `VALID_BEGIN` and `VALID_END` it counts for that time only, if the
        question is about a time; with `MERGED` equal rows of it count once.
    dimensions : tuple of str
        The dimensions it has columns of; their records exist.
    extra : tuple of str
        Further columns that a dataset query returns.
    unique : bool
        Whether each data ID occurs once (find-first, or a mere test of existence).
    """

    subquery: sa.FromClause
    dimensions: tuple[str, ...]
    extra: tuple[str, ...] = ()
    unique: bool = True

    @property
    def dated(self) -> bool:
        """Whether it says for which time each dataset counts."""
        return VALID_BEGIN in self.subquery.c

    @property
    def is_single(self) -> bool:
        """Whether no two of its rows have to be counted as one."""
        return self.unique and MERGED not in self.subquery.c


Join = Callable[["Question", contextlib.ExitStack, Sequence[str], Sequence[str]], Sources]


@dataclass(frozen=True)
class Question:
    """What is asked, before any table is joined.

    Parameters
    ----------
    session : Session
        Where it will be run.
    join : callable
        Joins the tables that answer it, `registry.sql.relations.join_tables`: what relates its dimensions may have to
        be asked of the database first, by a simpler question.
    group : DimensionGroup
        All dimensions that take part.
    conditions : tuple of Node
        All must hold.
    data_id : mapping
        Values that dimensions must have.
    members : sequence of Member
        Datasets that must exist.
    table : sqlalchemy.FromClause or None
        Rows to keep to.
    listed : tuple of str
        Its columns, all of which are dimensions.
    """

    session: Session
    join: Join
    group: DimensionGroup
    conditions: tuple[bound.Node, ...]
    data_id: Mapping[str, Any]
    members: Sequence[Member] = ()
    table: sa.FromClause | None = None
    listed: tuple[str, ...] = ()

    @property
    def given(self) -> list[frozenset[str]]:
        """Dimensions that rows which are given relate to each other."""
        out = [frozenset(m.dimensions) for m in self.members]
        return out if self.table is None else [*out, frozenset(self.listed)]

    @property
    def timed(self) -> DimensionElement | None:
        """The element whose records tell for which time members have to count; None where none says when it does."""
        if not any(m.dated for m in self.members):
            return None
        return self.group.universe.temporal_element(self.group.names)

    def without(self, names: Collection[str]) -> Question:
        """Return the question about fewer dimensions: all that speaks of others is left out.

        Parameters
        ----------
        names : collection of str
            Dimensions to leave out.

        Returns
        -------
        Question
            Whatever meets this one also meets that one.
        """
        group = self.group.universe.group(n for n in self.group.required if n not in names)
        left = set(group.names)
        return replace(
            self,
            group=group,
            conditions=tuple(c for c in self.conditions if self._dimensions(c) <= left),
            data_id={n: v for n, v in self.data_id.items() if n in left},
            members=[m for m in self.members if set(m.dimensions) <= left],
            table=self.table if set(self.listed) <= left else None,
            listed=self.listed if set(self.listed) <= left else (),
        )

    def _dimensions(self, condition: bound.Node) -> set[str]:
        elements = self.group.universe.elements
        return {n for f in bound.fields(condition) for n in elements[f.element].required}

    def sources(
        self, stack: contextlib.ExitStack, elements: Sequence[str], dimensions: Sequence[str]
    ) -> Sources:
        """Join the tables that answer it.

        Parameters
        ----------
        stack : contextlib.ExitStack
            Holds what is handed over to the database until the statement has been run.
        elements : sequence of str
            Elements whose own columns will be used, besides those of the conditions.
        dimensions : sequence of str
            Dimensions whose values will be used, besides those of the conditions.

        Returns
        -------
        Sources
            Joined, with all conditions.
        """
        return self.join(self, stack, elements, dimensions)
