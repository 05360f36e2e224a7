"""`Columns`: a batch of rows held column by column, the form in which rows travel between layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Columns", "as_array", "group_codes", "unique_values"]

Array = npt.NDArray[Any]


def as_array(values: Sequence[Any] | Array) -> Array:
    """Return `values` as one array: int64, float64, bool, or object for all else (nulls, and integers beyond 64 bits).

    Parameters
    ----------
    values : sequence
        Python values of one column, possibly with None among them.

    Returns
    -------
    numpy.ndarray, shape (len(values),)
        Strings and bytes stay Python objects: NumPy's fixed-width forms drop trailing nulls.
    """
    if isinstance(values, np.ndarray):
        return values
    kinds = set(map(type, values))
    if kinds == {int}:
        try:
            return np.array(values, dtype=np.int64)
        except OverflowError:
            pass  # kept as they are, for whoever has to refuse them
    if kinds == {float}:
        return np.array(values, dtype=np.float64)
    if kinds == {bool}:
        return np.array(values, dtype=np.bool_)
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def unique_values(values: Array) -> Array:
    """Return each value once, sorted.

    Parameters
    ----------
    values : numpy.ndarray
        Numbers, of any shape; no NaN.

    Returns
    -------
    numpy.ndarray, one-dimensional
        As `numpy.unique`, which asked for no more than that loads masked arrays first: longer than most questions take.
    """
    ordered = np.sort(values, axis=None)
    new = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]


class Columns(Mapping[str, Array]):
    """Named columns of one length.

    Parameters
    ----------
    columns : mapping of str to array
        The columns, in order. All of one length n.
    """

    __slots__ = ("_columns", "_length")

    def __init__(self, columns: Mapping[str, Sequence[Any] | Array]) -> None:
        self._columns: dict[str, Array] = {k: as_array(v) for k, v in columns.items()}
        lengths = {len(v) for v in self._columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of unequal length: { {k: len(v) for k, v in self._columns.items()} }")
        self._length = lengths.pop() if lengths else 0

    @classmethod
    def from_rows(cls, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Columns:
        """Transpose `rows`.

        Parameters
        ----------
        names : sequence of str
            Column names, in the order of the values in a row.
        rows : iterable of sequence
            The rows; may be empty.

        Returns
        -------
        Columns
            One column a name.
        """
        transposed = list(zip(*rows, strict=True))
        if not transposed:
            return cls({name: np.empty(0, dtype=object) for name in names})
        return cls(dict(zip(names, transposed, strict=True)))

    def __getitem__(self, name: str) -> Array:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        """Return the number of columns, as of any mapping; see `n_rows`."""
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Columns({', '.join(self._columns)}: {self._length} rows)"

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self._length

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(self._columns)

    def rows(self, names: Sequence[str] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows as tuples of Python values.

        Parameters
        ----------
        names : sequence of str, optional
            Which columns, in which order; all by default.

        Returns
        -------
        list of tuple
            n_rows tuples.
        """
        chosen = self.names if names is None else names
        if not chosen:
            return [()] * self._length
        return list(zip(*(self._columns[n].tolist() for n in chosen), strict=True))

    def select(self, names: Sequence[str]) -> Columns:
        """Return only the columns `names`, in that order.

        Parameters
        ----------
        names : sequence of str
            Columns that exist.

        Returns
        -------
        Columns
            Shares the arrays.
        """
        return Columns({n: self._columns[n] for n in names})

    def take(self, index: Array) -> Columns:
        """Return the rows at `index` (integers, or a boolean mask of n_rows).

        Parameters
        ----------
        index : numpy.ndarray
            Row numbers or mask.

        Returns
        -------
        Columns
            Same columns, chosen rows.
        """
        if not self._columns:
            out = Columns({})
            out._length = int(np.count_nonzero(index)) if index.dtype == np.bool_ else len(index)
            return out
        return Columns({n: v[index] for n, v in self._columns.items()})

    def with_column(self, name: str, values: Sequence[Any] | Array) -> Columns:
        """Return these columns and one more (or one replaced).

        Parameters
        ----------
        name : str
            The column's name.
        values : sequence or numpy.ndarray
            n_rows values.

        Returns
        -------
        Columns
            A new batch.
        """
        return Columns({**self._columns, name: values})

    def unique(self, names: Sequence[str] | None = None) -> Columns:
        """Return the distinct rows over `names`, sorted.

        Parameters
        ----------
        names : sequence of str, optional
            Which columns; all by default.

        Returns
        -------
        Columns
            Distinct rows in sorted order.
        """
        chosen = list(self.names if names is None else names)
        if not chosen:
            out = Columns({})
            out._length = min(1, self._length)
            return out
        codes = group_codes([self._columns[n] for n in chosen])
        _, first = np.unique(codes, return_index=True)
        return self.select(chosen).take(first)

    @classmethod
    def concat(cls, parts: Sequence[Columns]) -> Columns:
        """Put batches of the same columns one after another.

        Parameters
        ----------
        parts : sequence of Columns
            At least one; the first gives names and order.

        Returns
        -------
        Columns
            All rows.
        """
        full = [p for p in parts if p.n_rows] or list(parts[:1])
        if len(full) == 1:
            return full[0]
        return cls({n: np.concatenate([p[n] for p in full]) for n in full[0].names})


def _column_codes(column: Array) -> tuple[npt.NDArray[np.int64], int]:
    """Number the distinct values of one column in sorted order."""
    if column.dtype == object:
        values = column.tolist()
        distinct = sorted(set(values), key=lambda v: (v is not None, v))
        number = {v: i for i, v in enumerate(distinct)}
        return np.fromiter(map(number.__getitem__, values), np.int64, len(values)), len(distinct)
    if len(column) and column.dtype.kind in "iu":
        low, high = int(column.min()), int(column.max())
        if high - low < 4 * len(column) + 1024:
            return column.astype(np.int64) - low, high - low + 1
    distinct_values, inverse = np.unique(column, return_inverse=True)
    return inverse.astype(np.int64), len(distinct_values)


def group_codes(columns: Sequence[Array]) -> npt.NDArray[np.int64]:
    """Give each distinct row of `columns` one integer, in the rows' sorted order.

    Parameters
    ----------
    columns : sequence of numpy.ndarray
        At least one column, all of one length n. To compare two batches, concatenate them first.

    Returns
    -------
    numpy.ndarray, shape (n,), int64
        Equal rows have equal codes; codes sort as the rows do (nulls first). Not necessarily dense.
    """
    codes, size = _column_codes(columns[0])
    for column in columns[1:]:
        more, n = _column_codes(column)
        if size * n >= 2**62:
            _, codes = np.unique(codes, return_inverse=True)
            codes = codes.astype(np.int64)
            size = int(codes.max()) + 1 if len(codes) else 1
        codes = codes * n + more
        size *= n
    return codes
