"""What earlier runs made of the quanta of a graph, and in what settings and inputs they differ from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import StageError
from registry.model.records import QuantumStatus
from registry.model.refs import id_numbers
from stage.campaign.outcomes import has_collection
from stage.campaign.plan_report import SettingChange
from stage.campaign.steps import run_graphs
from stage.graph.building.relate import match_rows
from stage.pipeline.settings import differences

if TYPE_CHECKING:
    import numpy.typing as npt

    from registry.model.columns import Columns
    from registry.snapshot import Snapshot
    from stage.campaign.layout import Layout
    from stage.graph.graph import QuantumGraph
    from stage.graph.table import Ints
    from stage.pipeline.node import TaskNode

__all__ = ["PastRun", "Records", "past_runs"]

STATUSES = ("", QuantumStatus.SUCCEEDED, QuantumStatus.NO_WORK, QuantumStatus.FAILED, QuantumStatus.BLOCKED)
SUCCEEDED, NO_WORK, FAILED, BLOCKED = range(1, 5)


@dataclass(frozen=True)
class Records:
    """What is recorded of a graph's quanta in its run, by ordinal.

    Parameters
    ----------
    rows : Columns
        The latest attempt at each quantum that was tried.
    place : numpy.ndarray of int64
        For each quantum of the graph its row; -1 where nothing is recorded.
    """

    rows: Columns
    place: Ints

    @classmethod
    def of(cls, snapshot: Snapshot, graph: QuantumGraph) -> Records:
        """Read them.

        Parameters
        ----------
        snapshot : Snapshot
            Of staging.
        graph : QuantumGraph
            With a RUN, which need not exist.

        Returns
        -------
        Records
            What there is.
        """
        nothing = np.full(graph.n_quanta, -1, dtype=np.int64)
        # A run that is not there yet has no rows to read.
        runs = [graph.output_run] if has_collection(snapshot, graph.output_run) else []
        rows = snapshot.quanta(runs, names=("id", "status", "attempt", "message"))
        if not rows.n_rows or not graph.n_quanta:
            return cls(rows, nothing)
        ordinals = graph.quantum_ordinals(rows["id"].tolist())
        place = nothing
        place[ordinals[ordinals >= 0]] = np.flatnonzero(ordinals >= 0)
        return cls(rows, place)

    @cached_property
    def status(self) -> npt.NDArray[np.int8]:
        """What became of each quantum: place in `STATUSES`, 0 for nothing."""
        found = np.zeros(self.rows.n_rows + 1, dtype=np.int8)
        for code, name in enumerate(STATUSES):
            found[1:][self.rows["status"] == name] = code
        return found[self.place + 1]

    def failure(self, ordinal: int) -> tuple[str, int]:
        """Tell how a quantum ended.

        Parameters
        ----------
        ordinal : int
            Of which something is recorded.

        Returns
        -------
        message : str
            First line of the message.
        attempts : int
            How often it was tried.
        """
        row = int(self.place[ordinal])
        message = str(self.rows["message"][row] or "").strip()
        return message.split("\n", 1)[0], int(self.rows["attempt"][row]) + 1


class PastRun:
    """An earlier run beside a graph.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.
    run : str
        The earlier RUN.
    graphs : sequence of QuantumGraph
        What it executed, a graph a step.
    graph : QuantumGraph
        The graph that is planned.
    """

    def __init__(
        self, snapshot: Snapshot, run: str, graphs: Sequence[QuantumGraph], graph: QuantumGraph
    ) -> None:
        self.run = run
        self._graph = graph
        self._sides: dict[str, tuple[QuantumGraph, Records, Ints]] = {}
        self.status = np.zeros(graph.n_quanta, dtype=np.int8)
        """What became of each quantum there: place in `STATUSES`, 0 where it had none."""
        for past in graphs:
            records = Records.of(snapshot, past)
            for task in graph.layout.tasks:
                if task.label in past.layout.task_index:
                    at = _alike(graph, past, task.label)
                    self._sides[task.label] = (past, records, at)
                    mine = slice(task.offset, task.offset + task.n_quanta)
                    self.status[mine] = np.append(records.status, np.int8(0))[at]

    def failure(self, ordinal: int) -> tuple[str, int]:
        """Tell how a quantum ended there.

        Parameters
        ----------
        ordinal : int
            Of the graph that is planned; that run had it.

        Returns
        -------
        message : str
            First line of the message.
        attempts : int
            How often it was tried.
        """
        place, row = self._graph.layout.locate_quantum(ordinal)
        _, records, at = self._sides[self._graph.layout.tasks[place].label]
        return records.failure(int(at[row]))

    @cached_property
    def settings(self) -> dict[str, list[SettingChange]]:
        """Task to the settings that it had otherwise there; tasks without such are absent."""
        out = {}
        for label, (past, _, _) in self._sides.items():
            found = list(_setting_changes(past.node(label), self._graph.node(label), self.run))
            if found:
                out[label] = found
        return out

    @cached_property
    def other_inputs(self) -> npt.NDArray[np.bool_]:
        """Which quanta read other datasets from outside of the graph than they did there."""
        out = np.zeros(self._graph.n_quanta, dtype=np.bool_)
        for label, (past, _, at) in self._sides.items():
            task = self._graph.layout.tasks[self._graph.layout.task_index[label]]
            names = _outside(self._graph, past, label)
            if names and task.n_quanta:
                mine, theirs = _digests(self._graph, label, names), _digests(past, label, names)
                rows = at - past.layout.tasks[past.layout.task_index[label]].offset
                differs = (at >= 0) & (mine != np.append(theirs, np.uint64(0))[np.where(at >= 0, rows, -1)])
                out[task.offset : task.offset + task.n_quanta] = differs
        return out

    def input_changes(self, ordinal: int) -> list[dict[str, Any]]:
        """Tell which datasets a quantum reads that it did not read there, and those that it reads no more.

        Parameters
        ----------
        ordinal : int
            Of the graph that is planned.

        Returns
        -------
        list of dict
            ``dataset_type``, ``data_id``, ``run`` of each, and whether it ``is_new``.
        """
        quantum = self._graph.quantum(ordinal)
        past, _, at = self._sides[quantum.label]
        task = self._graph.layout.tasks[self._graph.layout.task_index[quantum.label]]
        before = past.quantum(int(at[ordinal - task.offset]))
        out = []
        for name in _outside(self._graph, past, quantum.label):
            now, then = ({d.id: d for d in q.inputs.get(name, ())} for q in (quantum, before))
            for is_new, ours, theirs in ((True, now, then), (False, then, now)):
                out += [
                    {"dataset_type": d.dataset_type, "data_id": d.data_id, "run": d.run, "is_new": is_new}
                    for i, d in ours.items()
                    if i not in theirs
                ]
        return out


def past_runs(
    layout: Layout,
    snapshot: Snapshot,
    runs: Iterable[str],
    graph: QuantumGraph,
    wanted: npt.NDArray[np.bool_],
) -> tuple[list[PastRun], Ints]:
    """Find for quanta the newest earlier run that has an outcome of them.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    snapshot : Snapshot
        Of staging.
    runs : iterable of str
        Earlier RUNs, the newest first.
    graph : QuantumGraph
        The graph that is planned.
    wanted : numpy.ndarray of bool
        Which quanta.

    Returns
    -------
    found : list of PastRun
        Those in which there is one.
    which : numpy.ndarray of int64
        For each quantum its place among them; -1 where there is none.
    """
    which = np.full(graph.n_quanta, -1, dtype=np.int64)
    found: list[PastRun] = []
    for run in runs:
        left = wanted & (which < 0)
        if not left.any():
            break
        try:
            graphs = [_load(str(path)) for path in run_graphs(layout, run)]
        except StageError:  # a run whose graph is gone or damaged tells nothing
            continue
        past = PastRun(snapshot, run, graphs, graph)
        has = left & (past.status > 0)
        if has.any():
            which[has] = len(found)
            found.append(past)
    return found, which


def _load(uri: str) -> QuantumGraph:
    from stage.graph.graph import QuantumGraph

    return QuantumGraph.load(uri)


def _alike(graph: QuantumGraph, past: QuantumGraph, label: str) -> Ints:
    """Return for each quantum of a task the ordinal of its like in another graph; -1 where there is none."""
    mine = graph.task_rows[graph.layout.task_index[label]].table
    task = past.layout.tasks[past.layout.task_index[label]]
    theirs = past.task_rows[past.layout.task_index[label]].table
    if set(mine.names) != set(theirs.names):
        return np.full(mine.n_rows, -1, dtype=np.int64)
    rows = match_rows(mine, theirs, mine.names)
    return np.where(rows >= 0, rows + task.offset, -1)


def _setting_changes(then: TaskNode, now: TaskNode, run: str) -> Iterable[SettingChange]:
    if then.fingerprint == now.fingerprint:
        return
    found = differences(then.config, now.config)
    yield from (
        SettingChange(now.label, f"{now.label}:{now.typed_name(d.name)}", d.ours, d.theirs, run)
        for d in found
    )
    if then.version != now.version:
        yield SettingChange(now.label, "version", then.version, now.version, run)
    elif not found:
        yield SettingChange(now.label, "code", "", "changed", run)


def _outside(graph: QuantumGraph, past: QuantumGraph, label: str) -> list[str]:
    """Return the inputs of a task that neither graph makes itself."""

    def names(of: QuantumGraph) -> Mapping[str, bool]:
        task = of.layout.tasks[of.layout.task_index[label]]
        types, index = of.layout.types, of.layout.type_index
        found = (c for c in task.connections if c.is_input and c.has_edges)
        return {c.name: types[index[c.dataset_type]].is_planned for c in found}

    mine, theirs = names(graph), names(past)
    return [name for name, is_planned in mine.items() if not is_planned and theirs.get(name) is False]


def _digests(graph: QuantumGraph, label: str, connections: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return a number a quantum that changes when the datasets do which it has of some inputs."""
    rows = graph.task_rows[graph.layout.task_index[label]]
    out = np.zeros(rows.table.n_rows, dtype=np.uint64)
    for c in rows.connections:
        if c.name in connections:
            kind = graph.layout.types[graph.layout.type_index[c.dataset_type]]
            ids = graph.dataset_ids(np.arange(kind.offset, kind.offset + kind.n_datasets))
            # The second half of an id is random; the sum does not depend on the order.
            numbers = id_numbers(ids)[:, 1]
            edges = rows.edges[c.name]
            sums = np.concatenate([[np.uint64(0)], np.cumsum(numbers[edges.indices], dtype=np.uint64)])
            out = out * np.uint64(31) + (sums[edges.indptr[1:]] - sums[edges.indptr[:-1]])
    return out
