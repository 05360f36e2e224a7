"""Prerequisites: looked up for the quanta that pruning has left, and not a reason to leave any of them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from registry.errors import PipelineError
from registry.model.columns import unique_values
from stage.graph.building.found import find_calibrations, find_datasets, none_found, shown_data_ids
from stage.graph.building.question import Place, Question
from stage.graph.building.relate import DataIdRows, match_rows
from stage.graph.table import Csr, Table

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionGroup
    from stage.graph.building.found import FoundTable
    from stage.graph.building.plan import GraphPlan, TypePlan
    from stage.graph.building.question import View
    from stage.graph.table import Ints
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = ["Lack", "Prerequisites"]

_SHOWN = 3
"""Of so many quanta that lack something the data IDs are kept."""


class Lack(NamedTuple):
    """Quanta of one task that lack one prerequisite.

    Parameters
    ----------
    node : TaskNode
        The task.
    connection : ConnectionDef
        The prerequisite.
    n_lacking, n_quanta : int
        How many quanta lack it, and of how many.
    first : Table
        The first of them: all dimensions of the task, required and implied.
    most : int
        How many datasets any of them found; fewer than its minimum.
    """

    node: TaskNode
    connection: ConnectionDef
    n_lacking: int
    n_quanta: int
    first: Table
    most: int


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
    lacking : list of Lack
        What quanta turned out to lack: see `refuse_lacking`.
    """

    view: View
    plan: GraphPlan
    path: tuple[Place, ...]
    question: Question = field(default_factory=Question)
    data_ids: list[tuple[DimensionGroup, Table]] = field(default_factory=list)
    lacking: list[Lack] = field(default_factory=list)

    def resolve(self, node: TaskNode, connection: ConnectionDef, quanta: Table) -> tuple[FoundTable, Csr]:
        """Find one connection's datasets for all quanta of a task, and note which lack one that they require.

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
        PipelineError
            If a quantum that takes one dataset finds several.
        """
        found, edges = self.find(node, connection, quanta)
        n_found = np.diff(edges.indptr)
        lacks = np.flatnonzero(n_found < connection.minimum)
        if len(lacks):
            shown = quanta.take(lacks[:_SHOWN])
            most = int(n_found[lacks].max())
            self.lacking.append(Lack(node, connection, len(lacks), quanta.n_rows, shown, most))
        elif not connection.multiple:
            _refuse_several(node, connection, quanta, np.flatnonzero(n_found > 1), self.plan)
        return found, edges

    def refuse_lacking(self) -> None:
        """Refuse to go on where quanta lack what they require.

        Raises
        ------
        NotFoundError
            With code ``missing-prerequisite``: says how many quanta of which task, why, and which are the first.
        """
        if self.lacking:
            from stage.graph.explaining.lacking import raise_lacking

            raise_lacking(self)

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
            return DataIdRows(Table.of(none_found(kind.dimensions))), np.zeros(0, dtype=np.int64)
        group = universe.group([*node.dimensions, *kind.type.dimensions.required])
        columns = self.view.data_ids(group, Question(table=quanta.select(own).decode()), (), self.path)
        table = Table.of(columns)
        self.data_ids.append((group, table))
        owner = match_rows(table, quanta, own)
        known = owner >= 0
        return DataIdRows(table.take(known)), owner[known]


def _refuse_several(
    node: TaskNode, connection: ConnectionDef, quanta: Table, several: Ints, plan: GraphPlan
) -> None:
    if len(several):
        raise PipelineError(
            f"{len(several)} of {quanta.n_rows} quanta of '{node.label}' find several datasets "
            f"'{connection.dataset_type}' for '{connection.name}', which takes one: "
            f"{shown_data_ids(quanta, several, plan.task_dimensions(node))}",
            code="several-inputs",
            hint=f"Declare '{connection.name}' with multiple=True.",
        )
