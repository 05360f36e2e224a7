"""`define_quanta`: a task's own division of its work, checked and joined to the candidates of its group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.columns import unique_values
from stage.graph.building.found import shown_data_ids
from stage.graph.building.prune import DraftTask, Mask, members
from stage.graph.building.relate import DataIdRows, match_rows
from stage.graph.hooks.call import as_columns, as_table_like, called, wrong_answer
from stage.graph.table import Csr
from stage.pipeline.quanta import Quanta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stage.graph.building.candidates import Candidates
    from stage.graph.table import Ints, Table
    from stage.pipeline.node import TaskNode
    from stage.pipeline.task import Task

__all__ = ["define"]

_HOOK = "define_quanta()"
_HINT = "Take data IDs from those that the hook is given: what the question leaves out cannot be a part of the graph."


def define(
    node: TaskNode, task: Task, draft: DraftTask, there: Mapping[str, Mask], candidates: Candidates
) -> tuple[DraftTask, Mask | None]:
    """Let a task divide its work.

    Parameters
    ----------
    node : TaskNode
        The task's node.
    task : Task
        It, constructed.
    draft : DraftTask
        As divided by connections.
    there : mapping of str to mask
        By dataset type, what exists or will be made by tasks before it.
    candidates : Candidates
        The data IDs that the question allows.

    Returns
    -------
    task : DraftTask
        With its own edges.
    quanta : mask or None
        Which of the candidates are quanta; None if the task leaves it to connections.

    Raises
    ------
    PipelineError
        If the answer names what is no candidate, an input that is neither there nor made, an output of two quanta,
        or anything twice; says which row is the first.
    """
    plan = candidates.plan
    existing = {
        c.name: candidates.datasets(plan.types[c.dataset_type]).take(there[c.dataset_type]).decode()
        for c in draft.connections
        if c.is_input
    }
    answer = called(
        node.label, _HOOK, task.define_quanta, candidates.rows[node.label].table.decode(), existing
    )
    if answer is None:
        return draft, None
    if not isinstance(answer, Quanta):
        raise wrong_answer(node.label, _HOOK, f"returned a {type(answer).__name__}, not Quanta")
    definition = _Definition(node, draft, there, candidates)
    quanta = definition.quanta(answer)
    changed = definition.drafted(answer, quanta)
    mask = np.zeros(draft.n_quanta, dtype=np.bool_)
    mask[quanta] = True
    definition.check_outputs(changed, mask)
    return changed, mask


class _Definition:
    """One task's answer, looked at part by part."""

    def __init__(
        self, node: TaskNode, draft: DraftTask, there: Mapping[str, Mask], candidates: Candidates
    ) -> None:
        self.node = node
        self.draft = draft
        self.there = there
        self.candidates = candidates

    def quanta(self, answer: Quanta) -> Ints:
        """Return which candidates the quanta are."""
        among = self.candidates.quanta(self.node).table
        table = self._table(answer.data_ids, among, "quanta")
        rows = self._known(
            table, among, "quanta", f"is no data ID that task '{self.node.label}' could have here"
        )
        _, first = np.unique(rows, return_index=True)
        twice = np.setdiff1d(np.arange(len(rows)), first)
        if len(twice):
            raise self._wrong("quanta", int(twice[0]), table, "is there twice")
        return rows

    def drafted(self, answer: Quanta, quanta: Ints) -> DraftTask:
        """Return the task with the edges that the answer gives."""
        known = {c.name for c in self.draft.connections if not c.name.startswith("_")}
        for name in answer.edges:
            if name not in known:
                raise wrong_answer(
                    self.node.label, _HOOK,
                    f"gave edges for '{name}', which is no regular input or output (there are {', '.join(sorted(known))})",
                )  # fmt: skip
        connections = [
            replace(c, edges=self._edges(c.name, answer.edges[c.name], quanta))
            if c.name in answer.edges
            else c
            for c in self.draft.connections
        ]
        return replace(self.draft, connections=connections)

    def _edges(self, name: str, given: Mapping[str, Any], quanta: Ints) -> Csr:
        connection = self.node.connection(name)
        kind = self.candidates.plan.types[connection.dataset_type]
        among = self.candidates.datasets(kind)
        columns = as_columns(
            self.node.label, _HOOK, given, ("quantum", *kind.dimensions), f"edges of '{name}'"
        )
        owner = columns["quantum"] if columns.n_rows else np.zeros(0, dtype=np.int64)
        wrong = (
            np.arange(len(owner))
            if owner.dtype != np.int64
            else np.flatnonzero((owner < 0) | (owner >= len(quanta)))
        )
        if len(wrong):
            raise wrong_answer(
                self.node.label, _HOOK,
                f"gave quantum {owner[wrong[0]]} in row {wrong[0]} of the edges of '{name}', and there are {len(quanta)}",
            )  # fmt: skip
        table = as_table_like(self.node.label, _HOOK, columns, among, f"edges of '{name}'")
        rows = self._known(
            table, among, f"edges of '{name}'", f"is no data ID that a '{kind.name}' could have here"
        )
        if connection.is_input:
            absent = np.flatnonzero(~self.there[kind.name][rows])
            if len(absent):
                text = f"is a '{kind.name}' that is neither there nor made by a task before"
                raise self._wrong(f"edges of '{name}'", int(absent[0]), table, text)
        key = unique_values(quanta[owner] * max(among.n_rows, 1) + rows)
        return Csr.from_pairs(self.draft.n_quanta, *np.divmod(key, max(among.n_rows, 1)))

    def check_outputs(self, draft: DraftTask, kept: Mask) -> None:
        """Refuse an output that several quanta would write."""
        for c in draft.connections:
            if c.is_input:
                continue
            writers = np.bincount(members(c.edges, kept), minlength=1)
            several = np.flatnonzero(writers > 1)
            if len(several):
                kind = self.candidates.plan.types[c.dataset_type]
                shown = shown_data_ids(self.candidates.datasets(kind), several, kind.dimensions)
                raise wrong_answer(
                    self.node.label, _HOOK,
                    f"lets several quanta write one '{c.dataset_type}' ('{c.name}'): {shown}",
                    "Give each output to one quantum.",
                )  # fmt: skip

    def _table(self, given: Any, among: Table, what: str) -> Table:
        columns = as_columns(self.node.label, _HOOK, given, among.names, what)
        if not among.names:  # a task of no dimensions: columns cannot say how many, and there is one
            return among
        return as_table_like(self.node.label, _HOOK, columns, among, what)

    def _known(self, table: Table, among: Table, what: str, text: str) -> Ints:
        if not table.n_rows:
            return np.zeros(0, dtype=np.int64)
        rows = match_rows(table, among, among.names)
        unknown = np.flatnonzero(rows < 0)
        if len(unknown):
            raise self._wrong(what, int(unknown[0]), table, text)
        return rows

    def _wrong(self, what: str, row: int, table: Table, text: str) -> Exception:
        shown = shown_data_ids(DataIdRows(table).table, np.array([row]), table.names)
        return wrong_answer(self.node.label, _HOOK, f"gave {what} whose row {row}, {shown}, {text}", _HINT)
