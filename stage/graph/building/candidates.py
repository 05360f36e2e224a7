"""All that a graph could hold: the data IDs of each task's group, and of quanta and datasets among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from stage.graph.building.relate import DataIdRows, Places, concat_columns, match_rows
from stage.graph.table import Csr, Table

if TYPE_CHECKING:
    from stage.graph.building.plan import GraphPlan, TypePlan
    from stage.graph.building.prune import Mask
    from stage.graph.table import Ints
    from stage.pipeline.node import TaskNode

__all__ = ["Candidates"]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The data IDs that a question allows, before anything is looked at that is read or made.

    Parameters
    ----------
    plan : GraphPlan
        What the pipeline means.
    rows : dict of str to DataIdRows
        By task, the data IDs of its group.
    """

    plan: GraphPlan
    rows: dict[str, DataIdRows] = field(default_factory=dict)
    _tables: dict[str, Table] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def _labels(self) -> dict[str, list[str]]:
        """By dataset type, the tasks that make it or read it as a regular input."""
        found: dict[str, list[str]] = {}
        for node in self.plan.nodes:
            for c in node.connections:
                if c.role == "input" or c.is_output:
                    found.setdefault(c.dataset_type, []).append(node.label)
        return found

    def quanta(self, node: TaskNode) -> Places:
        """Return the data IDs that quanta of a task could have.

        Parameters
        ----------
        node : TaskNode
            The task.

        Returns
        -------
        Places
            Among the rows of its group.
        """
        return self.rows[node.label].places(self.plan.task_dimensions(node))

    def datasets(self, kind: TypePlan) -> Table:
        """Return the data IDs that datasets of a type could have.

        Parameters
        ----------
        kind : TypePlan
            The type; some task reads it as a regular input or makes it.

        Returns
        -------
        Table
            Sorted; asked for again, the answer is the same object.
        """
        if kind.name not in self._tables:
            labels = self._labels[kind.name]
            groups = {id(self.rows[label]): self.rows[label] for label in labels}.values()
            tables = [rows.places(kind.dimensions).table for rows in groups]
            self._tables[kind.name] = tables[0] if len(tables) == 1 else _united(tables)
        return self._tables[kind.name]

    def numbers(self, rows: DataIdRows, kind: TypePlan) -> Ints | None:
        """Return where the data IDs that a type has in one group are among `datasets`.

        Parameters
        ----------
        rows : DataIdRows
            The data IDs of the group.
        kind : TypePlan
            The type.

        Returns
        -------
        numpy.ndarray of int64 or None
            One row number each, ascending; None if they are all of them.
        """
        mine, all_of_them = rows.places(kind.dimensions).table, self.datasets(kind)
        return None if mine is all_of_them else match_rows(mine, all_of_them, kind.dimensions)

    def edges(self, node: TaskNode, kind: TypePlan) -> Csr:
        """Return which datasets of a type go with each quantum that a task could have.

        Parameters
        ----------
        node : TaskNode
            The task.
        kind : TypePlan
            The type; the task reads it as a regular input or makes it.

        Returns
        -------
        Csr
            From rows of `quanta` to rows of `datasets`.
        """
        rows = self.rows[node.label]
        edges, numbers = (
            rows.edges(self.plan.task_dimensions(node), kind.dimensions),
            self.numbers(rows, kind),
        )
        return edges if numbers is None else Csr(edges.indptr, numbers[edges.indices].astype(np.int32))

    def full_quanta(self, node: TaskNode, kept: Mask) -> Table:
        """Return some quanta with all dimensions of their task, required and implied.

        Parameters
        ----------
        node : TaskNode
            The task.
        kept : mask
            Which of `quanta`.

        Returns
        -------
        Table
            One row a quantum.
        """
        names = self.plan.universe.group(node.dimensions).names
        return self.rows[node.label].table.select(names).take(self.quanta(node).first[kept])


def _united(tables: Sequence[Table]) -> Table:
    """Return the rows of several tables, sorted and without repeats."""
    whole = tables[0]
    for table in tables[1:]:
        columns = {n: concat_columns(c, table.columns[n]) for n, c in whole.columns.items()}
        whole = Table(columns, whole.n_rows + table.n_rows)
    return DataIdRows(whole).places(whole.names).table
