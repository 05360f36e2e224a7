"""`adjust_quantum` when a graph is built: a task drops datasets of a quantum, or the whole of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stage.graph.building.prune import FIRST, DraftTask, Mask, Refused
from stage.graph.hooks.call import called, data_id_text, wrong_answer
from stage.graph.quantum import PlannedDataset
from stage.graph.table import Csr
from stage.pipeline.struct import NoWorkFound

if TYPE_CHECKING:
    from stage.graph.building.found import FoundTable
    from stage.graph.building.plan import TypePlan
    from stage.graph.table import Table
    from stage.pipeline.node import TaskNode
    from stage.pipeline.task import Task

__all__ = ["Adjustable", "Adjusted", "adjust", "with_edges"]

_HOOK = "adjust_quantum()"


class Adjustable:
    """The datasets of one connection, as refs that are made when a quantum has them.

    Parameters
    ----------
    kind : TypePlan
        The dataset type.
    data_ids : Table
        Its data IDs.
    edges : Csr
        Rows of `data_ids` for each quantum.
    there : mask, optional
        Which of them exist or will be made; all by default.
    found : FoundTable, optional
        What is known of those that exist.
    rows : numpy.ndarray, optional
        For each data ID its row of `found`, -1 where it is planned; the same row by default.
    run : str, optional
        The RUN of those that are planned.
    """

    def __init__(
        self,
        kind: TypePlan,
        data_ids: Table,
        edges: Csr,
        *,
        there: Mask | None = None,
        found: FoundTable | None = None,
        rows: Any = None,
        run: str = "",
    ) -> None:
        self.kind = kind
        # As Python's own values all at once: row by row, most of the time would go into taking them out of columns.
        self._values = data_ids.rows(np.arange(data_ids.n_rows))
        self._first = edges.indptr.tolist()
        self._members = edges.indices.tolist()
        self._there = None if there is None else there.tolist()
        self._found = None if found is None else found.found.rows(np.arange(found.found.n_rows))
        self._rows = None if rows is None else rows.tolist()
        self._run = run
        self._refs: dict[int, PlannedDataset] = {}

    def of(self, quantum: int) -> list[PlannedDataset]:
        """Return what a quantum has.

        Parameters
        ----------
        quantum : int
            Its row.

        Returns
        -------
        list of PlannedDataset
            Their ordinals are rows of the data IDs, for `adjust` to know them by.
        """
        rows = self._members[self._first[quantum] : self._first[quantum + 1]]
        there, known = self._there, self._refs
        return [known.get(r) or self._make(r) for r in rows if there is None or there[r]]

    def _make(self, row: int) -> PlannedDataset:
        kind, values = self.kind, self._values[row]
        at = row if self._rows is None else self._rows[row]
        more: Sequence[Any] = (b"", self._run, None, 0, "", "")
        if self._found is not None and at >= 0:
            more = self._found[at][:6]
        first, *rest = more
        ref = PlannedDataset(row, first, kind.name, kind.type.storage_class, kind.dimensions, values, *rest)
        self._refs[row] = ref
        return ref


class Adjusted:
    """What a task has left of its quanta.

    Parameters
    ----------
    kept : mask
        Quanta that are left.
    edges : dict of str to Csr
        By connection, the datasets that are left to them.
    refused : list of Refused
        Why others went.
    """

    def __init__(self, kept: Mask, edges: dict[str, Csr], refused: list[Refused]) -> None:
        self.kept = kept
        self.edges = edges
        self.refused = refused


def adjust(
    node: TaskNode, task: Task, kept: Mask, table: Table, connections: Mapping[str, Adjustable]
) -> Adjusted:
    """Call a task's hook for each of its quanta.

    Parameters
    ----------
    node : TaskNode
        The task's node.
    task : Task
        It, constructed.
    kept : mask
        The quanta to be asked about.
    table : Table
        Data IDs of all quanta.
    connections : mapping of str to Adjustable
        Their datasets.

    Returns
    -------
    Adjusted
        With as many lists in all edges as there are rows of `table`.

    Raises
    ------
    PipelineError
        If the hook fails, or gives datasets that it was not given.
    """
    run = _Run(node, task, table, connections)
    rows = np.flatnonzero(kept).tolist()
    for row in rows:
        run.ask(row)
    left = kept.copy()
    gone = sorted(r for listed in run.refused.values() for r in listed)
    left[gone] = False
    refused = [
        Refused(node.label, "adjust_quantum", reason, len(listed), len(rows), tuple(listed[:FIRST]))
        for reason, listed in run.refused.items()
    ]
    return Adjusted(left, run.edges(table.n_rows), refused)


class _Run:
    """One task's quanta, asked about one after another."""

    def __init__(
        self, node: TaskNode, task: Task, table: Table, connections: Mapping[str, Adjustable]
    ) -> None:
        self.node = node
        self.task = task
        self.names = table.names
        self.data_ids = table.rows(np.arange(table.n_rows))
        self.connections = connections
        self.inputs = [c for c in node.connections if c.is_input and c.name in connections]
        self.outputs = [c for c in node.connections if c.is_output and c.name in connections]
        self.refused: dict[str, list[int]] = {}
        self.owner: dict[str, list[int]] = {name: [] for name in connections}
        self.dataset: dict[str, list[int]] = {name: [] for name in connections}

    def ask(self, row: int) -> None:
        """Note what is left of one quantum."""
        data_id = dict(zip(self.names, self.data_ids[row], strict=True))
        inputs = {c.name: self.connections[c.name].of(row) for c in self.inputs}
        outputs = {c.name: self.connections[c.name].of(row) for c in self.outputs}
        given = {name: {r.ordinal for r in refs} for name, refs in {**inputs, **outputs}.items()}
        try:
            answer = called(
                self.node.label, _HOOK, self.task.adjust_quantum, inputs, outputs, data_id, about=data_id
            )
            left = self._left(answer, given, data_id)
            self._check_minimum(left)
        except NoWorkFound as reason:
            self.refused.setdefault(str(reason) or "no work", []).append(row)
            return
        for name, rows in left.items():
            self.owner[name] += [row] * len(rows)
            self.dataset[name] += rows

    def _left(
        self, answer: Any, given: Mapping[str, set[int]], data_id: Mapping[str, Any]
    ) -> dict[str, list[int]]:
        """Return rows of what is left, by connection."""
        if not (
            isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(a, Mapping) for a in answer)
        ):
            raise wrong_answer(
                self.node.label, _HOOK, f"did not return (inputs, outputs) for {data_id_text(data_id)}"
            )
        both = {**answer[0], **answer[1]}
        for name in both:
            if name not in given:
                raise wrong_answer(
                    self.node.label,
                    _HOOK,
                    f"returned '{name}' for {data_id_text(data_id)}, which is no connection",
                )
        out = {}
        for name, before in given.items():
            # Metadata and log are written whatever a task says.
            rows = sorted(before) if name.startswith("_") else sorted(r.ordinal for r in both.get(name, ()))
            if not before.issuperset(rows):
                raise wrong_answer(
                    self.node.label, _HOOK,
                    f"returned a '{name}' for {data_id_text(data_id)} that it was not given",
                    "It may leave datasets out, and not put others in: see define_quanta.",
                )  # fmt: skip
            out[name] = rows
        return out

    def _check_minimum(self, left: Mapping[str, list[int]]) -> None:
        for c in self.inputs:
            if len(left[c.name]) < c.minimum:
                raise NoWorkFound(f"{len(left[c.name])} of at least {c.minimum} '{c.name}' are left")

    def edges(self, n_rows: int) -> dict[str, Csr]:
        """Return what is left of all quanta."""
        return {
            name: Csr.from_pairs(
                n_rows,
                np.array(self.owner[name], dtype=np.int64),
                np.array(self.dataset[name], dtype=np.int32),
            )
            for name in self.connections
        }


def with_edges(draft: DraftTask, edges: Mapping[str, Csr]) -> DraftTask:
    """Return a task with other edges.

    Parameters
    ----------
    draft : DraftTask
        The task.
    edges : mapping of str to Csr
        By connection; those that are not there stay.

    Returns
    -------
    DraftTask
        A copy.
    """
    return replace(
        draft, connections=[replace(c, edges=edges.get(c.name, c.edges)) for c in draft.connections]
    )
