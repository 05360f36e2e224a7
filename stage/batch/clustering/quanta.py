"""`QuantaTable`: the quanta of a graph as columns, as far as clustering and workflows look at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stage.graph.table import Column, Csr, Ints, Table

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph

__all__ = ["Declared", "QuantaTable"]


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """What one task itself says that its quanta need; 0 is nothing said.

    Parameters
    ----------
    cpus, memory_mb, walltime_s : int or numpy.ndarray of int64
        Of each quantum, or of all of them.
    """

    cpus: int | Ints = 0
    memory_mb: int | Ints = 0
    walltime_s: int | Ints = 0


@dataclass(frozen=True, slots=True, eq=False)
class QuantaTable:
    """Quanta, numbered through task by task in the pipeline's order.

    Parameters
    ----------
    labels : tuple of str
        Tasks, those without quanta too, such that what is waited for comes first.
    offsets : numpy.ndarray of int64
        One more than there are tasks: task i has the quanta from ``offsets[i]`` up to ``offsets[i + 1]``.
    required : tuple of Table
        Data IDs of each task's quanta.
    dependencies : Csr
        For each quantum those before it whose outputs it reads.
    task_edges : frozenset of (int, int)
        Pairs of tasks of which the second reads what the first makes, also where neither has quanta.
    implied : callable, optional
        Takes the place of a task and the name of a dimension, and returns the values that follow from the data IDs, or
        None.
    ids : sequence of str, optional
        What quanta are called in names and commands; their numbers by default.
    declared : tuple of Declared, optional
        What each task itself says that its quanta need; nothing by default.
    graph_id : str, optional
        The graph's.
    search_path : tuple of str, optional
        Directories of the users' own modules, as the graph names them.
    """

    labels: tuple[str, ...]
    offsets: Ints
    required: tuple[Table, ...]
    dependencies: Csr
    task_edges: frozenset[tuple[int, int]]
    implied: Callable[[int, str], Column | None] | None = None
    ids: Sequence[str] | None = None
    declared: tuple[Declared, ...] = ()
    graph_id: str = ""
    search_path: tuple[str, ...] = ()

    @classmethod
    def of(cls, graph: QuantumGraph) -> QuantaTable:
        """Take what is needed from a graph.

        Parameters
        ----------
        graph : QuantumGraph
            In memory.

        Returns
        -------
        QuantaTable
            Shares the graph's columns; implied dimensions are joined only when asked for.
        """
        from stage.batch.clustering.declaring import declared_of
        from stage.graph.tables import with_implied

        def implied(task: int, name: str) -> Column | None:
            found = with_implied(graph, graph.task_rows[task].table, [name])
            return None if found is None else found.columns.get(name)

        tasks = graph.layout.tasks
        return cls(
            tuple(t.label for t in tasks),
            np.array([*(t.offset for t in tasks), graph.n_quanta], dtype=np.int64),
            tuple(rows.table for rows in graph.task_rows),
            graph.dependencies(),
            _task_edges(graph),
            implied,
            None,
            declared_of(graph),
            graph.id.hex(),
            graph.header.search_path,
        )

    @property
    def n_quanta(self) -> int:
        """Number of quanta."""
        return int(self.offsets[-1])

    def count(self, task: int) -> int:
        """Return the number of a task's quanta.

        Parameters
        ----------
        task : int
            Its place.

        Returns
        -------
        int
            Perhaps 0.
        """
        return int(self.offsets[task + 1] - self.offsets[task])

    def quanta_of(self, task: int) -> Ints:
        """Return the numbers of a task's quanta.

        Parameters
        ----------
        task : int
            Its place.

        Returns
        -------
        numpy.ndarray of int64
            Rising.
        """
        return np.arange(self.offsets[task], self.offsets[task + 1], dtype=np.int64)

    def task_of(self, quanta: Ints) -> Ints:
        """Return the places of some quanta's tasks.

        Parameters
        ----------
        quanta : numpy.ndarray of int64
            Their numbers.

        Returns
        -------
        numpy.ndarray of int64
            One each.
        """
        return np.searchsorted(self.offsets, quanta, side="right") - 1

    def column(self, task: int, name: str) -> Column | None:
        """Return the values that one dimension has for a task's quanta.

        Parameters
        ----------
        task : int
            Its place.
        name : str
            A dimension.

        Returns
        -------
        Column or None
            None where the data IDs do not fix it.
        """
        own = self.required[task].columns.get(name)
        if own is not None or self.implied is None:
            return own
        return self.implied(task, name)

    def names(self, quanta: Ints) -> list[str]:
        """Return what some quanta are called.

        Parameters
        ----------
        quanta : numpy.ndarray of int64
            Their numbers.

        Returns
        -------
        list of str
            One each.
        """
        if self.ids is None:
            return list(map(str, quanta.tolist()))
        return [self.ids[q] for q in quanta.tolist()]

    def describe(self, quantum: int) -> str:
        """Return one quantum as messages show it.

        Parameters
        ----------
        quantum : int
            Its number.

        Returns
        -------
        str
            Its task and data ID.
        """
        task = int(self.task_of(np.array([quantum]))[0])
        table = self.required[task]
        values = zip(table.names, table.row(quantum - int(self.offsets[task])), strict=True)
        return f"{self.labels[task]}@{{{', '.join(f'{k}={v}' for k, v in values)}}}"


def _task_edges(graph: QuantumGraph) -> frozenset[tuple[int, int]]:
    made: dict[str, int] = {}
    for place, task in enumerate(graph.layout.tasks):
        made.update({c.dataset_type: place for c in task.connections if c.is_output})
    return frozenset(
        (made[c.dataset_type], place)
        for place, task in enumerate(graph.layout.tasks)
        for c in task.connections
        if c.is_input and made.get(c.dataset_type, place) != place
    )
