"""Datasets that were there before the graph: overall inputs, and prerequisites looked up after pruning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import NotFoundError, PipelineError
from registry.model.columns import Columns, unique_values
from stage.graph.building.plan import unregistered
from stage.graph.building.question import Place, Question
from stage.graph.building.relate import DataIdRows, concat_columns, match_rows
from stage.graph.quantum import FOUND_COLUMNS
from stage.graph.table import Csr, Ints, Table, code_column, distinct, row_codes

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionGroup, DimensionUniverse
    from stage.graph.building.plan import GraphPlan, TypePlan
    from stage.graph.building.question import View
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = [
    "FoundTable", "Pool", "Prerequisites", "as_found", "find_calibrations", "find_datasets", "shown_data_ids",
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
    rows = view.datasets(kind.type, path, wanted) if data_ids.n_rows else _none(dims)
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
        return as_found(_none(kind.dimensions), kind.dimensions), np.zeros(0, dtype=np.int64)
    rows = view.calibrations(kind.type, path, places.table.decode())
    first, inverse = distinct(*row_codes([rows["id"]], rows.n_rows))
    which = np.full(places.table.n_rows, -1, dtype=np.int64)
    which[rows["ordinal"].astype(np.int64)] = inverse
    return as_found(rows.take(first), kind.dimensions), which[places.inverse]


def _none(dims: Sequence[str]) -> Columns:
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


@dataclass(slots=True, eq=False)
class Prerequisites:
    """Looks prerequisites up for quanta that have survived pruning.

    Parameters
    ----------
    view : View
        Where to look.
    plan : GraphPlan
        What the pipeline means.
    path : tuple of Place
        The search path.
    question : Question
        What the user asked for; only a task's own lookup function may look at it.
    data_ids : list of (DimensionGroup, Table)
        Data IDs that were asked for on the way, beyond those of the quanta.
    """

    view: View
    plan: GraphPlan
    path: tuple[Place, ...]
    question: Question = field(default_factory=Question)
    data_ids: list[tuple[DimensionGroup, Table]] = field(default_factory=list)

    def resolve(self, node: TaskNode, connection: ConnectionDef, quanta: Table) -> tuple[FoundTable, Csr]:
        """Find one connection's datasets for all quanta of a task.

        Parameters
        ----------
        node : TaskNode
            The task.
        connection : ConnectionDef
            The prerequisite.
        quanta : Table
            The quanta: all dimensions of the task, required and implied.

        Returns
        -------
        found : FoundTable
            The datasets.
        edges : Csr
            For each quantum, rows of `found`.

        Raises
        ------
        NotFoundError
            If a quantum lacks one that it requires (``missing-prerequisite``).
        PipelineError
            If a quantum that takes one dataset finds several.
        """
        found, edges = self.find(node, connection, quanta)
        self._check(node, connection, quanta, edges)
        return found, edges

    def find(self, node: TaskNode, connection: ConnectionDef, quanta: Table) -> tuple[FoundTable, Csr]:
        """Find one connection's datasets for all quanta of a task, be there enough of them or not.

        Parameters
        ----------
        node, connection, quanta
            As for `resolve`.

        Returns
        -------
        found : FoundTable
            The datasets.
        edges : Csr
            For each quantum, rows of `found`.
        """
        kind = self.plan.types[connection.dataset_type]
        if connection.lookup:
            return self._by_function(node, connection, kind, quanta)
        if set(kind.dimensions) <= set(quanta.names):
            pairs = DataIdRows(quanta)
            owner = np.arange(quanta.n_rows, dtype=np.int64)
        else:
            pairs, owner = self._related(node, kind, quanta)
        if self.view.is_calibration(kind.type):
            found, row = find_calibrations(self.view, kind, self.path, pairs, self.plan.universe)
        else:
            places = pairs.places(kind.dimensions)
            found = find_datasets(self.view, kind, self.path, places.table)
            row = match_rows(places.table, found.data_ids, kind.dimensions)[places.inverse]
        there = row >= 0
        if not set(kind.dimensions) <= set(quanta.names):
            key = owner[there] * max(found.data_ids.n_rows, 1) + row[there]
            key = unique_values(key)
            owner, row = np.divmod(key, max(found.data_ids.n_rows, 1))
        else:
            owner, row = owner[there], row[there]
        return found, Csr.from_pairs(quanta.n_rows, owner, row)

    def _by_function(
        self, node: TaskNode, connection: ConnectionDef, kind: TypePlan, quanta: Table
    ) -> tuple[FoundTable, Csr]:
        """Let the task's own function look for all quanta at once."""
        from stage.graph.hooks.ask import Ask, with_implied
        from stage.graph.hooks.lookup import look_up

        ask = Ask(self.view, self.path, self.question, dataset_type=kind.name)
        found, edges = look_up(node, connection, kind, quanta, ask)
        group = kind.type.dimensions
        self.data_ids.append((group, with_implied(self.view, group, found.data_ids)))
        return found, edges

    def _related(self, node: TaskNode, kind: TypePlan, quanta: Table) -> tuple[DataIdRows, Ints]:
        """Ask which data IDs of the datasets go with which quanta: by relations of dimensions, or on the sky."""
        universe = self.plan.universe
        own = self.plan.task_dimensions(node)
        if not quanta.n_rows:  # nor is asked how the dimensions go together
            return DataIdRows(_as_table(_none(kind.dimensions), 0)), np.zeros(0, dtype=np.int64)
        group = universe.group([*node.dimensions, *kind.type.dimensions.required])
        columns = self.view.data_ids(group, Question(table=quanta.select(own).decode()), (), self.path)
        table = _as_table(columns, columns.n_rows)
        self.data_ids.append((group, table))
        owner = match_rows(table, quanta, own)
        known = owner >= 0
        return DataIdRows(table.take(known)), owner[known]

    def _check(self, node: TaskNode, connection: ConnectionDef, quanta: Table, edges: Csr) -> None:
        counts = np.diff(edges.indptr)
        own = self.plan.task_dimensions(node)
        missing = np.flatnonzero(counts < connection.minimum)
        if len(missing):
            needs = (
                "a prerequisite"
                if connection.minimum == 1
                else f"{connection.minimum} datasets of a prerequisite"
            )
            raise NotFoundError(
                f"{len(missing)} of {quanta.n_rows} quanta of '{node.label}' lack {needs}: no "
                f"'{connection.dataset_type}' in {_path_text(self.path)} for {shown_data_ids(quanta, missing, own)}",
                code="missing-prerequisite",
                hint=unregistered(self.view, connection.dataset_type)
                or "Add the collection that holds it to the inputs, or leave these data IDs out.",
            )
        several = np.flatnonzero(counts > 1)
        if len(several) and not connection.multiple:
            raise PipelineError(
                f"{len(several)} of {quanta.n_rows} quanta of '{node.label}' find several datasets "
                f"'{connection.dataset_type}' for '{connection.name}', which takes one: "
                f"{shown_data_ids(quanta, several, own)}",
                code="several-inputs",
                hint=f"Declare '{connection.name}' with multiple=True.",
            )


def _path_text(path: Sequence[Place]) -> str:
    names = [p.collection for p in path]
    return (
        ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        if names
        else "no collection"
    )


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
