"""Which quanta of a graph can still be done: the rules of building, applied to what has lost an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stage.graph.building.found import FoundTable, find_datasets
from stage.graph.building.prune import (
    DraftConnection,
    DraftTask,
    Dropped,
    Mask,
    Refused,
    counts,
    members,
    prune,
)
from stage.graph.building.relate import match_rows
from stage.graph.changing.join import found_mask
from stage.graph.hooks.adjust import Adjustable, Adjusted, adjust
from stage.graph.table import Csr, Ints, Table

if TYPE_CHECKING:
    from registry.model.columns import Array
    from stage.graph.building.plan import GraphPlan
    from stage.graph.building.question import Place, View
    from stage.graph.graph import QuantumGraph
    from stage.graph.rows import TaskRows
    from stage.pipeline.node import TaskNode
    from stage.pipeline.task import Task

__all__ = ["Viable", "find_viable"]


@dataclass(slots=True, eq=False)
class Viable:
    """What is left of a graph.

    Parameters
    ----------
    quanta : list of mask
        For each task, which quanta can be done.
    there : dict of str to mask
        By dataset type, what can be read: it exists, or is made by a quantum that is left.
    unmade : dict of str to mask
        By dataset type, what is not made any more by quanta that are left.
    found : dict of str to FoundTable
        By dataset type, what exists of the datasets that no quantum makes any more.
    matches : dict of str to numpy.ndarray
        By dataset type, which row of `found` each of its datasets is; -1 where it is none.
    dropped : list of Dropped
        Which quanta went for want of an input.
    refused : list of Refused
        Which quanta their task's own code gave up.
    """

    quanta: list[Mask] = field(default_factory=list)
    there: dict[str, Mask] = field(default_factory=dict)
    unmade: dict[str, Mask] = field(default_factory=dict)
    found: dict[str, FoundTable] = field(default_factory=dict)
    matches: dict[str, Ints] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def find_viable(
    graph: QuantumGraph,
    before: QuantumGraph,
    view: View,
    plan: GraphPlan,
    *,
    path: tuple[Place, ...],
    there: Mapping[str, Mask],
    trimmed: Mapping[str, Mask],
    stays: bool = False,
) -> Viable:
    """Find out which quanta can still be done, and where what they read is.

    Parameters
    ----------
    graph : QuantumGraph
        All quanta, with edges to what their overall inputs are now.
    before : QuantumGraph
        The same quanta with the edges that they had.
    view : View
        Where to look.
    plan : GraphPlan
        What the tasks mean.
    path : tuple of Place
        Where intermediate datasets are looked for that no quantum makes any more.
    there : mapping of str to mask
        By dataset type, which overall inputs exist.
    trimmed : mapping of str to mask
        By task, which quanta are not to be done.
    stays : bool, optional
        Whether intermediate datasets that were found before are not looked for again.

    Returns
    -------
    Viable
        A quantum goes if it lost an input and has fewer than its task requires, or its task does not want it any
        more. One pass reaches the fixed point, since producers come before consumers.

    Notes
    -----
    One question for each dataset type of which something is read that the graph does not make.
    """
    finder = _Finder(graph, view, plan, path, Viable(there=dict(there)))
    finder.stays = stays
    for rows, old, node in zip(graph.task_rows, before.task_rows, plan.nodes, strict=True):
        due = ~trimmed[rows.label] if rows.label in trimmed else np.ones(rows.table.n_rows, dtype=np.bool_)
        finder.judge(rows, node, due, due & finder.lost(rows, old))
    return finder.out


class _Finder:
    def __init__(
        self, graph: QuantumGraph, view: View, plan: GraphPlan, path: tuple[Place, ...], given: Viable
    ) -> None:
        self.graph, self.view, self.plan, self.path, self.out = graph, view, plan, path, given
        self.made = {t.name: np.zeros(t.n_datasets, dtype=np.bool_) for t in graph.layout.types}
        self.stays = False
        self._tasks: dict[str, Task] | None = None

    def judge(self, rows: TaskRows, node: TaskNode, due: Mask, lost: Mask) -> None:
        """Decide about the quanta of one task, all whose producers have been decided about."""
        left = self._prune(rows, node, lost) if lost.any() else lost
        kept = due & (~lost | left)
        is_asked = "adjust_quantum" in node.hooks and left.any()
        answer = self._adjust(rows, node, left) if is_asked else None
        if answer is not None:
            kept &= ~left | answer.kept
            self.out.refused += answer.refused
        self.out.quanta.append(kept)
        for c in rows.connections:
            if c.is_output:
                self.made[c.dataset_type][members(rows.edges[c.name], kept)] = True
                if answer is not None:
                    self._unmake(c.dataset_type, members(rows.edges[c.name], left))
                    self._make(c.dataset_type, answer.edges[c.name].indices)
        if lost.any():
            self._scatter(rows, node)

    def _there(self, name: str) -> Mask:
        """Return what can be read of a dataset type; of what is not made, what exists is looked for."""
        known = self.out.there.get(name)
        if known is not None:
            return known
        made, kind = self.made[name], self.plan.types[name]
        there = made | (kind.part == "init")
        rows = self.graph.type_rows[self.graph.layout.type_index[name]]
        if self.stays:
            there |= found_mask(rows.found, len(made))
        if not there.all():
            rest = np.flatnonzero(~there)
            wanted = rows.table.take(rest)
            found = find_datasets(self.view, kind, self.path, wanted)
            match = np.full(len(made), -1, dtype=np.int64)
            match[rest] = match_rows(wanted, found.data_ids, kind.dimensions)
            self.out.found[name], self.out.matches[name] = found, match
            there |= match >= 0
        self.out.there[name] = there
        return there

    def lost(self, rows: TaskRows, old: TaskRows) -> Mask:
        """Say which quanta of a task have fewer inputs than they had."""
        lost = np.zeros(rows.table.n_rows, dtype=np.bool_)
        for c in rows.connections:
            if c.is_input:
                lost |= counts(rows.edges[c.name], self._there(c.dataset_type)) < np.diff(
                    old.edges[c.name].indptr
                )
            elif c.role == "init_input" and not self._there(c.dataset_type).all():
                lost[:] = True
        return lost

    def _prune(self, rows: TaskRows, node: TaskNode, asked: Mask) -> Mask:
        """Return which of some quanta have as many of each input as their task requires."""
        n = rows.table.n_rows
        connections = [
            DraftConnection(c.name, c.dataset_type, c.is_input, c.minimum, rows.edges[c.name])
            for c in node.connections
            if c.is_input
        ]
        # What the task is constructed with counts as an input of each of its quanta.
        for c in node.init_inputs:
            if not self._is_planned(c.dataset_type):
                edges = Csr(np.arange(n + 1, dtype=np.int64), np.zeros(n, dtype=np.int32))
                connections.append(
                    DraftConnection(c.name, c.dataset_type, is_input=True, minimum=1, edges=edges)
                )
        there = {c.dataset_type: self._there(c.dataset_type) for c in connections}
        sizes = {name: len(mask) for name, mask in there.items()}
        pruned = prune([DraftTask(node.label, n, connections)], there, sizes, {node.label: ~asked})
        self.out.dropped += pruned.dropped
        return pruned.quanta[node.label]

    def _is_planned(self, name: str) -> bool:
        return self.graph.layout.types[self.graph.layout.type_index[name]].is_planned

    def _adjust(self, rows: TaskRows, node: TaskNode, asked: Mask) -> Adjusted:
        """Ask a task what it still wants of some quanta."""
        from stage.graph.hooks.call import hook_tasks

        if self._tasks is None:
            self._tasks = hook_tasks(self.plan, self.view, self.path)
        given = {}
        for c in rows.connections:
            if c.has_edges:
                kind = self.graph.type_rows[self.graph.layout.type_index[c.dataset_type]]
                given[c.name] = Adjustable(
                    self.plan.types[c.dataset_type],
                    kind.table,
                    rows.edges[c.name],
                    there=self._there(c.dataset_type) if c.is_input else None,
                    found=None if kind.found is None else FoundTable(kind.table, kind.found),
                    run=self.graph.output_run,
                )
        return adjust(node, self._tasks[node.label], asked, rows.table, given)

    def _scatter(self, rows: TaskRows, node: TaskNode) -> None:
        """Leave out those of a quantum's several outputs that no input goes with any more.

        When a graph is built, a data ID without an input that constrains is no data ID of any output.
        """
        for c in node.outputs:
            kind = self.plan.types[c.dataset_type]
            if not c.multiple or set(kind.dimensions) <= set(rows.table.names):
                continue
            for d in node.by_role("input"):
                source = self.plan.types[d.dataset_type]
                common = [n for n in source.dimensions if n in kind.dimensions and n not in rows.table.names]
                if source.part != "overall" or not source.constrains or not common:
                    continue
                there = self._there(d.dataset_type)
                csr = rows.edges[d.name]
                before = self._pairs(d.dataset_type, csr, common)
                alive = before.take(there[csr.indices])
                outputs = self._pairs(c.dataset_type, rows.edges[c.name], common)
                names = outputs.names
                gone = (match_rows(outputs, before, names) >= 0) & (match_rows(outputs, alive, names) < 0)
                self._unmake(kind.name, rows.edges[c.name].indices[gone])

    def _pairs(self, dataset_type: str, csr: Csr, names: list[str]) -> Table:
        """Return for each edge its quantum, and some dimensions of its dataset."""
        table = self.graph.type_rows[self.graph.layout.type_index[dataset_type]].table
        return Table(
            {"quantum": csr.rows(), **table.select(names).take(csr.indices).columns}, len(csr.indices)
        )

    def _unmake(self, name: str, rows: Array) -> None:
        self.out.unmade.setdefault(name, np.zeros(len(self.made[name]), dtype=np.bool_))[rows] = True
        self.made[name][rows] = False

    def _make(self, name: str, rows: Array) -> None:
        self.out.unmade[name][rows] = False
        self.made[name][rows] = True
