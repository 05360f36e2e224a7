"""The rows of two graphs as one table, each row once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stage.graph.building.relate import DataIdRows, concat_columns
from stage.graph.table import Coded, Ints, Table, code_column

if TYPE_CHECKING:
    from stage.graph.building.prune import Mask
    from stage.graph.rows import TypeRows

__all__ = ["ID_COLUMN", "Joined", "Joiner", "found_mask", "join", "joined_found", "repeats"]

ID_COLUMN = "id of the dataset"
_PLANNED = {"id": None, "uri": None, "size": 0}


class Joined(NamedTuple):
    """Rows of two tables.

    Parameters
    ----------
    table : Table
        Each row once, sorted.
    ours, theirs : numpy.ndarray of int64
        For each row of the first and of the second table, where it is now.
    """

    table: Table
    ours: Ints
    theirs: Ints

    def sources(self) -> tuple[Ints, Ints]:
        """Return where each row comes from.

        Returns
        -------
        ours, theirs : numpy.ndarray of int64
            For each row its number in the first and in the second table; -1 where that has none.
        """
        out = []
        for places in (self.ours, self.theirs):
            source = np.full(self.table.n_rows, -1, dtype=np.int64)
            source[places] = np.arange(len(places))
            out.append(source)
        return out[0], out[1]


def join(one: Table, two: Table) -> Joined:
    """Join two tables.

    Parameters
    ----------
    one, two : Table
        With the same columns, and no row twice.

    Returns
    -------
    Joined
        Sorted by all columns.
    """
    columns = {name: concat_columns(column, two.columns[name]) for name, column in one.columns.items()}
    places = DataIdRows(Table(columns, one.n_rows + two.n_rows)).places(one.names)
    ours, theirs = np.split(places.inverse, [one.n_rows])
    return Joined(places.table, ours, theirs)


@dataclass(slots=True, eq=False)
class Joiner:
    """Joins tables; those that several rows have in common are joined once, and so stored once."""

    _known: dict[tuple[int, int], tuple[Table | None, Table | None, Joined]] = field(
        default_factory=dict, init=False
    )

    def join(self, one: Table | None, two: Table | None, names: Sequence[str]) -> Joined:
        """Join two tables, of which one may be missing.

        Parameters
        ----------
        one, two : Table or None
            With the same columns.
        names : sequence of str
            The columns of a table without rows, where both are missing.

        Returns
        -------
        Joined
            The table itself where there is but one.
        """
        key = (id(one), id(two))
        if key not in self._known:
            # The tables are held, lest others get their addresses.
            self._known[key] = (one, two, self._join(one, two, names))
        return self._known[key][2]

    def _join(self, one: Table | None, two: Table | None, names: Sequence[str]) -> Joined:
        none = np.zeros(0, dtype=np.int64)
        if one is not None and two is not None:
            return join(one, two)
        only = one or two or Table(dict.fromkeys(names, none), 0)
        every = np.arange(only.n_rows, dtype=np.int64)
        return Joined(only, every, none) if two is None else Joined(only, none, every)


def repeats(table: Table) -> bool:
    """Tell whether some data ID is there more than once.

    Parameters
    ----------
    table : Table
        Data IDs.

    Returns
    -------
    bool
        As of calibrations that are valid at different times.
    """
    return DataIdRows(table).places(table.names).table.n_rows < table.n_rows


def found_mask(found: Table | None, n_rows: int) -> Mask:
    """Say which datasets were found.

    Parameters
    ----------
    found : Table or None
        `stage.graph.quantum.FOUND_COLUMNS`.
    n_rows : int
        How many datasets there are.

    Returns
    -------
    mask
        One value a row.
    """
    if found is None:
        return np.zeros(n_rows, dtype=np.bool_)
    return np.array([i is not None for i in found.select(("id",)).decode()["id"].tolist()], dtype=np.bool_)


def joined_found(joined: Joined, sides: Sequence[TypeRows | None], made: Mask) -> Table | None:
    """Return what two graphs have found of the datasets of one type.

    Parameters
    ----------
    joined : Joined
        Their data IDs.
    sides : sequence of (TypeRows or None)
        The type in both graphs.
    made : mask
        Which datasets are made, and so are planned wherever they were found.

    Returns
    -------
    Table or None
        `stage.graph.quantum.FOUND_COLUMNS`: those of the first graph that has found a dataset; None if neither has any.
    """
    tables = [rows.found for rows in sides if rows is not None and rows.found is not None]
    if not tables:
        return None
    lengths = (len(joined.ours), len(joined.theirs))
    parts = [
        rows.found if rows is not None and rows.found is not None else _planned(tables[0], n)
        for rows, n in zip(sides, lengths, strict=True)
    ]
    parts.append(_planned(tables[0], 1))
    whole = {
        name: concat_columns(concat_columns(column, parts[1].columns[name]), parts[2].columns[name])
        for name, column in parts[0].columns.items()
    }
    n_all = sum(lengths)
    ours, theirs = joined.sources()
    by_first = np.append(found_mask(parts[0], lengths[0]), np.False_)[ours]
    by_second = np.append(found_mask(parts[1], lengths[1]), np.False_)[theirs]
    pick = np.where(by_first, ours, np.where(by_second, theirs + lengths[0], n_all))
    pick[made] = n_all
    return Table(whole, n_all + 1).take(pick)


def _planned(like: Table, n: int) -> Table:
    """Return what is known of planned datasets: nothing."""
    columns = {}
    for name, column in like.columns.items():
        values = column.values if isinstance(column, Coded) else column
        filled = np.full(n, _PLANNED.get(name, ""), dtype=values.dtype)
        columns[name] = code_column(filled) if isinstance(column, Coded) else filled
    return Table(columns, n)
