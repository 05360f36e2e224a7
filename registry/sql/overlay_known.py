"""Which values dimensions can have in an answer, as far as parts of it were looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from registry.model.columns import Columns
from registry.model.dimensions import DimensionUniverse

__all__ = ["Known"]


@dataclass(eq=False)
class Known:
    """Parts of which every row of an answer has one: datasets that must exist, records that are joined.

    Parameters
    ----------
    universe : DimensionUniverse
        The dimensions.
    fixed : frozenset of str, optional
        Dimensions of which a condition says something, so that their records are few.
    """

    universe: DimensionUniverse
    fixed: frozenset[str] = frozenset()
    _parts: list[Columns] = field(default_factory=list, init=False)

    def add(self, rows: Columns, dimensions: Iterable[str]) -> None:
        """Take note of a part.

        Parameters
        ----------
        rows : Columns
            All that it can be.
        dimensions : iterable of str
            Dimensions; those that are columns of it count.
        """
        names = [n for n in dimensions if n in rows]
        if self._telling(names):
            self._parts.append(rows.select(names))

    def lacking(self, dimensions: Sequence[str]) -> tuple[int, int]:
        """Say how little is known of a key: the less, the later what has it is best looked at.

        Parameters
        ----------
        dimensions : sequence of str
            The key.

        Returns
        -------
        (int, int)
            Of how many dimensions nothing is known, and of how many something is.
        """
        telling = self._telling(dimensions)
        known = {n for part in self._parts for n in part.names} | self.fixed
        return len(telling - known), len(telling & known)

    def about(self, dimensions: Sequence[str]) -> list[Columns]:
        """Return which values some dimensions can have.

        Parameters
        ----------
        dimensions : sequence of str
            The dimensions.

        Returns
        -------
        list of Columns
            Distinct rows without nulls, each of some of the dimensions; all of them hold.
        """
        shared: dict[tuple[str, ...], Columns] = {}
        for part in self._parts:
            names = tuple(n for n in dimensions if n in part)
            if not self._telling(names):
                continue
            rows = _without_nulls(part.unique(names))
            if names not in shared or rows.n_rows < shared[names].n_rows:
                shared[names] = rows
        return [rows for names, rows in shared.items() if not any(set(names) < set(n) for n in shared)]

    def _telling(self, names: Iterable[str]) -> set[str]:
        """Leave out governors: there are few values of them, and a question is mostly about one."""
        return set(names) - self.universe.governors


def _without_nulls(rows: Columns) -> Columns:
    there = np.ones(rows.n_rows, dtype=np.bool_)
    for name in rows.names:
        if rows[name].dtype == object:
            there &= rows[name] != np.array(None)
    return rows if there.all() else rows.take(there)
