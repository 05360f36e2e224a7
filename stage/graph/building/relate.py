"""From rows of data IDs to quanta, datasets and edges: by distinct and join over columns, never row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from registry.model.columns import Array
from stage.graph.table import Coded, Column, Csr, Ints, Table, distinct, row_codes

__all__ = ["DataIdRows", "Places", "concat_columns", "match_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The distinct data IDs of some dimensions among all rows.

    Parameters
    ----------
    table : Table
        The distinct data IDs, sorted.
    first : numpy.ndarray of int64
        For each, the first of all rows that has it.
    inverse : numpy.ndarray of int64
        For each of all rows, its place in `table`.
    """

    table: Table
    first: Ints
    inverse: Ints


@dataclass(slots=True, eq=False)
class DataIdRows:
    """Data IDs of all dimensions that some connected tasks speak of, one row a combination.

    Parameters
    ----------
    table : Table
        One column a dimension, required and implied.
    """

    table: Table
    _places: dict[tuple[str, ...], Places] = field(default_factory=dict, init=False)
    _edges: dict[tuple[tuple[str, ...], tuple[str, ...]], Csr] = field(default_factory=dict, init=False)

    def places(self, dimensions: Sequence[str]) -> Places:
        """Return the distinct data IDs of some dimensions.

        Parameters
        ----------
        dimensions : sequence of str
            Which, in order; asked for again, the answer is the same object.

        Returns
        -------
        Places
            The distinct ones and where they are.
        """
        key = tuple(dimensions)
        found = self._places.get(key)
        if found is None:
            codes, bound = row_codes([self.table.columns[d] for d in key], self.table.n_rows)
            first, inverse = distinct(codes, bound)
            found = self._places[key] = Places(self.table.select(key).take(first), first, inverse)
        return found

    def edges(self, task: Sequence[str], dataset: Sequence[str]) -> Csr:
        """Return which data IDs of some dimensions occur together with which of others.

        Parameters
        ----------
        task, dataset : sequence of str
            Dimensions of the quanta, and of the datasets.

        Returns
        -------
        Csr
            For each row of ``places(task).table`` rows of ``places(dataset).table``, rising; asked for again, the
            answer is the same object.
        """
        key = tuple(task), tuple(dataset)
        if key not in self._edges:
            self._edges[key] = self._joined(*key)
        return self._edges[key]

    def _joined(self, task: tuple[str, ...], dataset: tuple[str, ...]) -> Csr:
        quanta, datasets = self.places(task), self.places(dataset)
        n_quanta, n_datasets = quanta.table.n_rows, datasets.table.n_rows
        if quanta is datasets:
            return Csr.one_each(n_quanta)
        if set(dataset) <= set(task):
            one_each = np.arange(n_quanta + 1, dtype=np.int64)
            return Csr(one_each, datasets.inverse[quanta.first].astype(np.int32))
        if set(task) <= set(dataset):
            owner = quanta.inverse[datasets.first]
            order = np.argsort(owner, kind="stable")
            return Csr.from_pairs(n_quanta, owner[order], order)
        pairs = quanta.inverse * n_datasets + datasets.inverse
        first, _ = distinct(pairs, n_quanta * n_datasets)
        return Csr.from_pairs(n_quanta, quanta.inverse[first], datasets.inverse[first])

    def keep(self, mask: Array) -> DataIdRows:
        """Return only some rows.

        Parameters
        ----------
        mask : numpy.ndarray of bool
            Which.

        Returns
        -------
        DataIdRows
            Those rows.
        """
        return DataIdRows(self.table.take(mask))


def concat_columns(one: Column, other: Column) -> Column:
    """Put one column after another.

    Parameters
    ----------
    one, other : Column
        Of one type of values.

    Returns
    -------
    Column
        `Coded` over the values of both if both are coded.
    """
    if isinstance(one, Coded) and isinstance(other, Coded):
        if one.values is other.values:
            return Coded(np.concatenate([one.codes, other.codes]), one.values)
        values = np.empty(0, dtype=object)
        merged = sorted({*one.values.tolist(), *other.values.tolist()})
        values = np.empty(len(merged), dtype=object)
        values[:] = merged
        place = {v: i for i, v in enumerate(merged)}
        return Coded(np.concatenate([_recode(one, place), _recode(other, place)]), values)
    return np.concatenate([c.decode() if isinstance(c, Coded) else c for c in (one, other)])


def _recode(column: Coded, place: Mapping[Any, int]) -> Any:
    to = np.array([place[v] for v in column.values.tolist()], dtype=np.int32)
    return to[column.codes] if len(to) else column.codes


def match_rows(wanted: Table, among: Table, names: Sequence[str]) -> Ints:
    """Find each row of a table in another one.

    Parameters
    ----------
    wanted : Table
        Rows to look for.
    among : Table
        Where to look; of equal rows the first counts.
    names : sequence of str
        The columns to compare, which both have.

    Returns
    -------
    numpy.ndarray of int64, shape (wanted.n_rows,)
        Row numbers in `among`; -1 where there is none.
    """
    n = among.n_rows
    columns = [concat_columns(among.columns[k], wanted.columns[k]) for k in names]
    codes, bound = row_codes(columns, n + wanted.n_rows)
    first, inverse = distinct(codes, bound)
    # The first row of each distinct value lies in `among` exactly if `among` has the value.
    found = first[inverse[n:]]
    return np.where(found < n, found, -1)
