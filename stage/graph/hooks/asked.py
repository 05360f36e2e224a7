"""Tasks' own code while a graph is built: only tasks that override a hook are ever asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stage.graph.building.found import FoundTable
from stage.graph.building.prune import DraftTask, Mask, Refused
from stage.graph.hooks.adjust import Adjustable, adjust, with_edges
from stage.graph.hooks.call import called, data_id_text, hook_tasks, wrong_answer
from stage.graph.hooks.define import define
from stage.graph.table import Csr, Table, code_column

if TYPE_CHECKING:
    from stage.graph.building.candidates import Candidates
    from stage.graph.building.prerequisites import Prerequisites
    from stage.graph.table import Ints
    from stage.pipeline.node import ConnectionDef, TaskNode
    from stage.pipeline.task import Task

__all__ = ["Hooks"]


@dataclass(slots=True, eq=False)
class Hooks:
    """What tasks' own code has to say about a graph: see `stage.graph.building.prune.TaskHooks`.

    Parameters
    ----------
    candidates : Candidates
        The data IDs that the question allows.
    prerequisites : Prerequisites
        Looks prerequisites up.
    found : mapping of str to FoundTable
        By overall input, what exists.
    matches : mapping of str to numpy.ndarray
        By overall input, which row of `found` each of its data IDs is.
    run : str
        The output RUN.
    resolved : dict
        By task and connection, prerequisites as they were looked up: what was found, and rows of that for each
        candidate of the task's quanta.
    defined : set of str
        Tasks that have divided their work themselves.
    """

    candidates: Candidates
    prerequisites: Prerequisites
    found: Mapping[str, FoundTable]
    matches: Mapping[str, Ints]
    run: str = ""
    resolved: dict[str, dict[str, tuple[FoundTable, Csr]]] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)
    _tasks: dict[str, Task] | None = field(default=None, init=False)

    def _node(self, label: str, hook: str) -> TaskNode | None:
        node = next(n for n in self.candidates.plan.nodes if n.label == label)
        return node if hook in node.hooks else None

    def _task(self, label: str) -> Task:
        if self._tasks is None:
            p = self.prerequisites
            self._tasks = hook_tasks(self.candidates.plan, p.view, p.path)
        return self._tasks[label]

    def define(self, task: DraftTask, there: Mapping[str, Mask]) -> tuple[DraftTask, Mask | None]:
        """Let a task divide its work, if it overrides ``define_quanta``.

        Parameters
        ----------
        task : DraftTask
            As divided by connections.
        there : mapping of str to mask
            By dataset type, what exists or will be made by tasks before it.

        Returns
        -------
        task : DraftTask
            With its edges.
        quanta : mask or None
            Which of its quanta there are; None for all.
        """
        node = self._node(task.label, "define_quanta")
        if node is None:
            return task, None
        changed, mask = define(node, self._task(task.label), task, there, self.candidates)
        if mask is not None:
            self.defined.add(task.label)
        return changed, mask

    def adjust(
        self, task: DraftTask, kept: Mask, there: Mapping[str, Mask]
    ) -> tuple[DraftTask, Mask, list[Refused]]:
        """Let a task drop datasets and quanta, if it overrides ``adjust_quantum``.

        Parameters
        ----------
        task : DraftTask
            With its edges.
        kept : mask
            Quanta that have what they require.
        there : mapping of str to mask
            By dataset type, what exists or will be made by tasks before it.

        Returns
        -------
        task : DraftTask
            With the edges that are left.
        kept : mask
            Quanta that are left.
        refused : list of Refused
            Why others went.
        """
        node = self._node(task.label, "adjust_quantum")
        if node is None or not kept.any():
            return task, kept, []
        plan = self.candidates.plan
        given = {}
        for c in task.connections:
            kind = plan.types[c.dataset_type]
            given[c.name] = Adjustable(
                kind, self.candidates.datasets(kind), c.edges, there=there[kind.name] if c.is_input else None,
                found=self.found.get(kind.name), rows=self.matches.get(kind.name), run=self.run,
            )  # fmt: skip
        for d in node.by_role("prerequisite"):
            found, edges = self._look_up(node, d, kept)
            given[d.name] = Adjustable(plan.types[d.dataset_type], found.data_ids, edges, found=found)
        places = self.candidates.quanta(node)
        left = adjust(node, self._task(task.label), kept, places.table, given)
        for d in node.by_role("prerequisite"):
            found, _ = self.resolved[node.label][d.name]
            self.resolved[node.label][d.name] = _only_used(found, left.edges[d.name])
        return with_edges(task, left.edges), left.kept, left.refused

    def _look_up(self, node: TaskNode, d: ConnectionDef, kept: Mask) -> tuple[FoundTable, Csr]:
        """Look a prerequisite up for the quanta that are kept so far."""
        found, edges = self.prerequisites.resolve(node, d, self.candidates.full_quanta(node, kept))
        self.prerequisites.refuse_lacking()  # the task's own code need not know of quanta without
        rows = np.flatnonzero(kept)[edges.rows()]
        whole = Csr.from_pairs(len(kept), rows, edges.indices)
        self.resolved.setdefault(node.label, {})[d.name] = (found, whole)
        return found, whole

    def resources(self, node: TaskNode, table: Table) -> Table | None:
        """Return what the quanta of a task need, if it overrides ``resources``.

        Parameters
        ----------
        node : TaskNode
            The task.
        table : Table
            Data IDs of its quanta.

        Returns
        -------
        Table or None
            One column, ``resources``: JSON of `Resources`, row by row; None where the node's count for all.
        """
        if "resources" not in node.hooks or not table.n_rows:
            return None
        hook, task = "resources()", self._task(node.label)
        texts, known = np.empty(table.n_rows, dtype=object), dict[str, str]()
        for i, values in enumerate(table.rows(np.arange(table.n_rows))):
            data_id = dict(zip(table.names, values, strict=True))
            hints: Any = called(node.label, hook, task.resources, data_id, about=data_id)
            if not isinstance(hints, Mapping):
                raise wrong_answer(
                    node.label,
                    hook,
                    f"returned a {type(hints).__name__} for {data_id_text(data_id)}, not a dict",
                )
            key = str(hints)  # few answers are distinct: each is checked once
            if key not in known:
                where = f"task '{node.label}', {hook} for {data_id_text(data_id)}"
                known[key] = node.resources.changed(hints, where).to_text()
            texts[i] = known[key]
        return Table({"resources": code_column(texts)}, table.n_rows)


def _only_used(found: FoundTable, edges: Csr) -> tuple[FoundTable, Csr]:
    """Return found datasets without those that no quantum has."""
    used, index = np.unique(edges.indices, return_inverse=True)
    return found.take(used.astype(np.int64)), Csr(edges.indptr, index.astype(np.int32))
