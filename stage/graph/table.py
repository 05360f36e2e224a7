"""`Table`: columns of a graph in memory, with strings as codes into one list of distinct values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from registry.model.columns import Array, Columns

__all__ = ["Coded", "Column", "Csr", "Ints", "Table", "code_column", "distinct", "row_codes"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A column whose rows are places in a list of distinct values.

    Parameters
    ----------
    codes : numpy.ndarray of int32
        One a row.
    values : numpy.ndarray of object
        The distinct values, sorted, so that codes sort as the values do.
    """

    codes: npt.NDArray[np.int32]
    values: Array

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Array) -> Coded:
        """Return chosen rows over the same values.

        Parameters
        ----------
        rows : numpy.ndarray
            Row numbers or a mask.

        Returns
        -------
        Coded
            The chosen rows.
        """
        return Coded(self.codes[rows], self.values)

    def decode(self) -> Array:
        """Return the values row by row.

        Returns
        -------
        numpy.ndarray of object
            One value a row.
        """
        return self.values[self.codes]


Column = Array | Coded


class Csr(NamedTuple):
    """Lists of row numbers, one list a row: ``indices[indptr[i]:indptr[i + 1]]``.

    Parameters
    ----------
    indptr : numpy.ndarray of int64
        One more than there are rows.
    indices : numpy.ndarray of int32
        The lists, one after another.
    """

    indptr: Ints
    indices: npt.NDArray[np.int32]

    def of(self, row: int) -> npt.NDArray[np.int32]:
        """Return one row's list.

        Parameters
        ----------
        row : int
            Row number.

        Returns
        -------
        numpy.ndarray of int32
            A view.
        """
        return self.indices[self.indptr[row] : self.indptr[row + 1]]

    def rows(self) -> Ints:
        """Return the row number of each entry of `indices`.

        Returns
        -------
        numpy.ndarray of int64
            len(indices) numbers, not falling.
        """
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int64), np.diff(self.indptr))

    def take(self, rows: Ints) -> Csr:
        """Return chosen rows' lists.

        Parameters
        ----------
        rows : numpy.ndarray of int64
            Row numbers.

        Returns
        -------
        Csr
            As many lists as `rows`.
        """
        starts = self.indptr[rows]
        counts = self.indptr[rows + 1] - starts
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        within = np.arange(indptr[-1], dtype=np.int64) - np.repeat(indptr[:-1], counts)
        return Csr(indptr, self.indices[np.repeat(starts, counts) + within])

    @classmethod
    def from_pairs(cls, n_rows: int, rows: Ints, values: Array) -> Csr:
        """Make the lists from pairs.

        Parameters
        ----------
        n_rows : int
            Number of lists.
        rows, values : numpy.ndarray
            The pairs, sorted by row.

        Returns
        -------
        Csr
            The lists.
        """
        counts = np.bincount(rows, minlength=n_rows) if len(rows) else np.zeros(n_rows, dtype=np.int64)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(indptr, values.astype(np.int32, copy=False))

    @classmethod
    def one_each(cls, n_rows: int) -> Csr:
        """Make the lists in which row i has just i.

        Parameters
        ----------
        n_rows : int
            Number of lists.

        Returns
        -------
        Csr
            The lists.
        """
        return cls(np.arange(n_rows + 1, dtype=np.int64), np.arange(n_rows, dtype=np.int32))


class Table:
    """Named columns of one length, some of them coded. Never changed once made.

    Parameters
    ----------
    columns : mapping of str to Column
        The columns in order.
    n_rows : int
        Their length; needed since a table may have no columns at all (data IDs of no dimensions).
    """

    __slots__ = ("columns", "n_rows")

    def __init__(self, columns: Mapping[str, Column], n_rows: int) -> None:
        self.columns = dict(columns)
        self.n_rows = n_rows

    @classmethod
    def of(cls, columns: Columns) -> Table:
        """Make a table of a batch, coding its columns of strings.

        Parameters
        ----------
        columns : Columns
            The batch.

        Returns
        -------
        Table
            Same names and rows.
        """
        return cls({name: code_column(columns[name]) for name in columns.names}, columns.n_rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(self.columns)

    def __repr__(self) -> str:
        return f"Table({', '.join(self.columns)}: {self.n_rows} rows)"

    def take(self, rows: Array) -> Table:
        """Return chosen rows.

        Parameters
        ----------
        rows : numpy.ndarray
            Row numbers, or a mask of n_rows.

        Returns
        -------
        Table
            Same columns.
        """
        n = int(np.count_nonzero(rows)) if rows.dtype == np.bool_ else len(rows)
        return Table(
            {k: c.take(rows) if isinstance(c, Coded) else c[rows] for k, c in self.columns.items()}, n
        )

    def select(self, names: Sequence[str]) -> Table:
        """Return chosen columns.

        Parameters
        ----------
        names : sequence of str
            Columns that exist.

        Returns
        -------
        Table
            Shares the arrays.
        """
        return Table({n: self.columns[n] for n in names}, self.n_rows)

    def decode(self, rows: Array | None = None) -> Columns:
        """Return rows as plain columns.

        Parameters
        ----------
        rows : numpy.ndarray, optional
            Which rows; all by default.

        Returns
        -------
        Columns
            Values, no codes.
        """
        table = self if rows is None else self.take(rows)
        if not table.columns:  # a batch without columns learns its length only this way
            return Columns({}).take(np.arange(table.n_rows))
        return Columns({k: c.decode() if isinstance(c, Coded) else c for k, c in table.columns.items()})

    def row(self, row: int) -> tuple[Any, ...]:
        """Return one row as Python values.

        Parameters
        ----------
        row : int
            Row number.

        Returns
        -------
        tuple
            One value a column.
        """
        return tuple(
            c.values[c.codes[row]] if isinstance(c, Coded) else _plain(c[row]) for c in self.columns.values()
        )

    def rows(self, rows: Array) -> list[tuple[Any, ...]]:
        """Return chosen rows as tuples of Python values.

        Parameters
        ----------
        rows : numpy.ndarray
            Row numbers.

        Returns
        -------
        list of tuple
            One a row.
        """
        if not self.columns:
            return [()] * len(rows)
        taken = self.take(rows).columns.values()
        return list(zip(*((c.decode() if isinstance(c, Coded) else c).tolist() for c in taken), strict=True))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def code_column(column: Array) -> Column:
    """Return a column of strings as codes; any other as it is.

    Parameters
    ----------
    column : numpy.ndarray
        One column of a batch.

    Returns
    -------
    Column
        `Coded` if all values are strings.
    """
    if column.dtype != object:
        return column
    values = column.tolist()
    kinds = set(map(type, values))
    if kinds == {int}:
        return column.astype(np.int64)
    if kinds != {str}:
        return column
    ordered = sorted(set(values))
    place = {v: i for i, v in enumerate(ordered)}
    codes = np.fromiter(map(place.__getitem__, values), np.int32, len(values))
    distinct_values = np.empty(len(ordered), dtype=object)
    distinct_values[:] = ordered
    return Coded(codes, distinct_values)


def _dense(column: Column) -> tuple[Ints, int]:
    """Return small codes that sort as the column's values, and a bound on them."""
    if isinstance(column, Coded):
        return column.codes.astype(np.int64), max(len(column.values), 1)
    if not len(column):
        return np.zeros(0, dtype=np.int64), 1
    if column.dtype.kind in "iu":
        low, high = int(column.min()), int(column.max())
        if high - low < max(8 * len(column), 1 << 20):
            return column.astype(np.int64) - low, high - low + 1
    values, inverse = np.unique(column, return_inverse=True)
    return inverse.astype(np.int64), len(values)


def row_codes(columns: Sequence[Column], n_rows: int) -> tuple[Ints, int]:
    """Give each row one integer: equal rows equal ones, in the rows' sorted order.

    Parameters
    ----------
    columns : sequence of Column
        Columns of one length; may be none.
    n_rows : int
        That length.

    Returns
    -------
    codes : numpy.ndarray of int64
        One a row.
    bound : int
        All codes are below it.
    """
    codes, bound = np.zeros(n_rows, dtype=np.int64), 1
    for column in columns:
        more, n = _dense(column)
        if bound * n >= 2**62:
            first, codes = distinct(codes, bound)
            bound = max(len(first), 1)
        codes = codes * n + more if bound > 1 else more
        bound *= n
    return codes, bound


def distinct(codes: Ints, bound: int) -> tuple[Ints, Ints]:
    """Find the distinct values of `codes`, sorted.

    Parameters
    ----------
    codes : numpy.ndarray of int64
        Not negative.
    bound : int
        All are below it.

    Returns
    -------
    first : numpy.ndarray of int64
        For each distinct value, the first row that has it.
    inverse : numpy.ndarray of int64
        For each row, the place of its value among the distinct ones.
    """
    n = len(codes)
    if n == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    if not (codes[1:] < codes[:-1]).any():  # sorted already, as rows of a query mostly are
        new = np.ones(n, dtype=np.bool_)
        np.not_equal(codes[1:], codes[:-1], out=new[1:])
        return np.flatnonzero(new), np.cumsum(new) - 1
    if bound <= max(4 * n, 1 << 16):
        seen = np.full(bound, n, dtype=np.int64)
        seen[codes[::-1]] = np.arange(n - 1, -1, -1, dtype=np.int64)
        place = np.cumsum(seen < n) - 1
        return seen[seen < n], place[codes]
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first.astype(np.int64), inverse.astype(np.int64)
