"""Datasets that were there before the graph: looked up by data ID or at a time, and pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns
from stage.graph.building.question import Place
from stage.graph.building.relate import DataIdRows, concat_columns
from stage.graph.quantum import FOUND_COLUMNS
from stage.graph.table import Ints, Table, code_column, distinct, row_codes

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from stage.graph.building.plan import TypePlan
    from stage.graph.building.question import View

__all__ = [
    "FoundTable", "Pool", "as_found", "find_calibrations", "find_datasets", "none_found", "shown_data_ids",
]  # fmt: skip

_CODED = ("run", "formatter", "origin")
_ID = "id of the dataset"


@dataclass(frozen=True, slots=True, eq=False)
class FoundTable:
    """Datasets of one type that exist.

    Parameters
    ----------
    data_ids : Table
        One column a required dimension.
    found : Table
        `FOUND_COLUMNS`, row by row beside it.
    """

    data_ids: Table
    found: Table

    def take(self, rows: Ints) -> FoundTable:
        """Return chosen rows.

        Parameters
        ----------
        rows : numpy.ndarray of int64
            Row numbers.

        Returns
        -------
        FoundTable
            Those rows.
        """
        return FoundTable(self.data_ids.take(rows), self.found.take(rows))


def find_datasets(view: View, kind: TypePlan, path: Sequence[Place], data_ids: Table) -> FoundTable:
    """Look up the datasets of one type by their data IDs, in one question.

    Parameters
    ----------
    view : View
        Where to look.
    kind : TypePlan
        Their type.
    path : sequence of Place
        The search path.
    data_ids : Table
        Distinct data IDs to look for.

    Returns
    -------
    FoundTable
        Those that exist, the first on the path for each; in no particular order.
    """
    dims = kind.dimensions
    wanted = data_ids.select(dims).decode() if dims else None
    rows = view.datasets(kind.type, path, wanted) if data_ids.n_rows else none_found(dims)
    return as_found(rows, dims)


def as_found(rows: Columns, dims: Sequence[str]) -> FoundTable:
    """Return datasets that a view has found as a graph holds them.

    Parameters
    ----------
    rows : Columns
        Data IDs and `FOUND_COLUMNS`.
    dims : sequence of str
        The dimensions of the data IDs.

    Returns
    -------
    FoundTable
        Row by row.
    """
    columns = {n: code_column(rows[n]) if n in _CODED else rows[n] for n in FOUND_COLUMNS}
    return FoundTable(_as_table(rows.select(dims), rows.n_rows), Table(columns, rows.n_rows))


def find_calibrations(
    view: View, kind: TypePlan, path: Sequence[Place], data_ids: DataIdRows, universe: DimensionUniverse
) -> tuple[FoundTable, Ints]:
    """Look up the datasets of one type that are valid at the time of each data ID.

    Parameters
    ----------
    view : View
        Where to look.
    kind : TypePlan
        Their type.
    path : sequence of Place
        The search path: the first collection that holds one for the time decides.
    data_ids : DataIdRows
        Data IDs of the type's dimensions and others; the most precise of these that has a time tells it.
    universe : DimensionUniverse
        Where dimensions are defined.

    Returns
    -------
    found : FoundTable
        Each dataset once; those of one data ID are valid at different times.
    rows : numpy.ndarray of int64
        For each data ID its row of `found`; -1 where there is none.
    """
    names = set(data_ids.table.names)
    timed = [e for family in universe.in_time for e in family if names.issuperset(e.required)]
    needed = {*kind.dimensions, *(n for e in timed for n in e.required)}
    places = data_ids.places([n for n in data_ids.table.names if n in needed])
    if not places.table.n_rows:
        return as_found(none_found(kind.dimensions), kind.dimensions), np.zeros(0, dtype=np.int64)
    rows = view.calibrations(kind.type, path, places.table.decode())
    first, inverse = distinct(*row_codes([rows["id"]], rows.n_rows))
    which = np.full(places.table.n_rows, -1, dtype=np.int64)
    which[rows["ordinal"].astype(np.int64)] = inverse
    return as_found(rows.take(first), kind.dimensions), which[places.inverse]


def none_found(dims: Sequence[str]) -> Columns:
    """Return no datasets.

    Parameters
    ----------
    dims : sequence of str
        The dimensions of their data IDs.

    Returns
    -------
    Columns
        These and `FOUND_COLUMNS`, without rows.
    """
    return Columns.from_rows((*dims, *FOUND_COLUMNS), [])


def _as_table(columns: Columns, n_rows: int) -> Table:
    return Table({n: code_column(columns[n]) for n in columns.names}, n_rows)


@dataclass(slots=True, eq=False)
class Pool:
    """Datasets of one type that several readers found, each of them once.

    Parameters
    ----------
    dimensions : tuple of str
        The type's required dimensions.
    parts : list of FoundTable
        What each reader found.
    """

    dimensions: tuple[str, ...]
    parts: list[FoundTable] = field(default_factory=list)

    def add(self, found: FoundTable) -> int:
        """Put in what one reader found.

        Parameters
        ----------
        found : FoundTable
            Its rows.

        Returns
        -------
        int
            Number of the part, for `merged`.
        """
        self.parts.append(found)
        return len(self.parts) - 1

    def merged(self) -> tuple[FoundTable, list[Ints | None]]:
        """Return all rows, sorted and without repeats.

        Returns
        -------
        rows : FoundTable
            Of all parts.
        places : list of numpy.ndarray or None
            For each part, where its rows are now; None where they are where they were.
        """
        if len(self.parts) == 1 and _is_sorted(self.parts[0].data_ids):
            return self.parts[0], [None]
        # Of calibrations there may be several of one data ID, which are valid at different times.
        whole = self.parts[0]
        for part in self.parts[1:]:
            whole = FoundTable(_joined(whole.data_ids, part.data_ids), _joined(whole.found, part.found))
        places = DataIdRows(_with_ids(whole)).places([*self.dimensions, _ID])
        cuts = np.cumsum([p.data_ids.n_rows for p in self.parts])[:-1]
        return whole.take(places.first), list(np.split(places.inverse, cuts))


def _with_ids(found: FoundTable) -> Table:
    columns = {**found.data_ids.columns, _ID: found.found.columns["id"]}
    return Table(columns, found.data_ids.n_rows)


def _is_sorted(table: Table) -> bool:
    places = DataIdRows(table).places(table.names)
    return bool(np.array_equal(places.inverse, np.arange(table.n_rows)))


def _joined(one: Table, other: Table) -> Table:
    columns = {n: concat_columns(c, other.columns[n]) for n, c in one.columns.items()}
    return Table(columns, one.n_rows + other.n_rows)


def shown_data_ids(table: Table, rows: Ints, names: Sequence[str]) -> str:
    """Return the first of some data IDs as text, for a message.

    Parameters
    ----------
    table : Table
        Data IDs.
    rows : numpy.ndarray of int64
        Which.
    names : sequence of str
        The dimensions to show.

    Returns
    -------
    str
        At most three, and how many more.
    """
    shown = [
        "{" + ", ".join(f"{k}={v}" for k, v in zip(names, row, strict=True)) + "}"
        for row in table.select(names).rows(rows[:3])
    ]
    return ", ".join(shown) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")
