"""The values of a table, and which of its columns determine which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from registry.model.columns import Array, as_array, group_codes, unique_values
from sync.tables.read import Table
from sync.tables.values import Kind, Values

__all__ = ["Facts"]


@dataclass
class Facts:
    """The values of a table, and which of its columns determine which.

    Parameters
    ----------
    table : Table
        The table.
    keys : mapping of str to str
        Dimension to key column, in the order in which they were named.
    files : mapping of str to str
        Dataset type to the column with its files.
    kinds : mapping of str to Kind, optional
        What columns have to be.
    """

    table: Table
    keys: Mapping[str, str]
    files: Mapping[str, str]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    _known_codes: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict, init=False, repr=False)
    _known_rows: dict[tuple[str, ...], npt.NDArray[np.int64]] = field(
        default_factory=dict, init=False, repr=False
    )
    _known_orders: dict[tuple[str, ...], npt.NDArray[np.intp]] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def values(self) -> dict[str, Values]:
        """All columns but those of files, typed."""
        keys = set(self.keys.values())
        names = [n for n in self.table.columns if n not in self.files.values() or n in keys]
        return {n: self.table.values(n, self.kinds.get(n), key=n in keys) for n in names}

    @cached_property
    def metadata(self) -> list[str]:
        """Columns that are neither keys nor files."""
        return [n for n in self.values if n not in self.keys.values()]

    def array(self, column: str) -> Array:
        """Return the values of a column.

        Parameters
        ----------
        column : str
            Its name.

        Returns
        -------
        numpy.ndarray
            One value a row.
        """
        if column in self.values:
            return as_array(self.values[column].values)
        return as_array([(c or "").strip() or None for c in self.table.columns[column]])

    def codes(self, columns: Sequence[str]) -> npt.NDArray[np.int64]:
        """Number the distinct rows of some columns.

        Parameters
        ----------
        columns : sequence of str
            Which; none makes all rows equal.

        Returns
        -------
        numpy.ndarray of int
            Equal rows have equal numbers.
        """
        known = tuple(columns)
        if known not in self._known_rows:
            parts = [self._codes(c) for c in columns]
            self._known_rows[known] = group_codes(parts) if parts else np.zeros(self.table.n_rows, np.int64)
        return self._known_rows[known]

    def n_distinct(self, columns: Sequence[str]) -> int:
        """Count the distinct rows of some columns.

        Parameters
        ----------
        columns : sequence of str
            Which.

        Returns
        -------
        int
            Their number.
        """
        return len(unique_values(self.codes(columns)))

    def conflict(self, columns: Sequence[str], column: str) -> tuple[int, int] | None:
        """Find two rows that are equal in some columns and differ in another one.

        Parameters
        ----------
        columns : sequence of str
            Which; with none all rows are equal.
        column : str
            The other one.

        Returns
        -------
        (int, int) or None
            The earlier and the later row; None where `columns` determine `column`.
        """
        order = self._order(tuple(columns))
        group, other = self.codes(columns)[order], self._codes(column)[order]
        differs = np.flatnonzero((group[1:] == group[:-1]) & (other[1:] != other[:-1]))
        if not len(differs):
            return None
        # Of all such places the one that a reader meets first in the file.
        place = int(differs[np.argmin(order[differs + 1])])
        return int(order[place]), int(order[place + 1])

    def determines(self, columns: Sequence[str], column: str) -> bool:
        """Tell whether some columns determine another.

        Parameters
        ----------
        columns : sequence of str
            Which.
        column : str
            The other one.

        Returns
        -------
        bool
            Whether they do.
        """
        return column in columns or self.conflict(columns, column) is None

    def _codes(self, column: str) -> npt.NDArray[np.int64]:
        if column not in self._known_codes:
            self._known_codes[column] = group_codes([self.array(column)])
        return self._known_codes[column]

    def _order(self, columns: tuple[str, ...]) -> npt.NDArray[np.intp]:
        if columns not in self._known_orders:
            self._known_orders[columns] = np.argsort(self.codes(columns), kind="stable")
        return self._known_orders[columns]
