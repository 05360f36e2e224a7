"""Why each quantum of a graph would be run, skipped or blocked: decided over the graph's columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from registry import keeping
from stage.campaign.plan_outlook import CODES, Outlook
from stage.campaign.plan_past import BLOCKED, FAILED, NO_WORK, SUCCEEDED, PastRun, Records
from stage.graph.select import transposed
from stage.graph.table import Csr
from stage.pipeline.node import LOG

if TYPE_CHECKING:
    import numpy.typing as npt

    from registry.snapshot import Snapshot
    from stage.campaign.layout import Layout
    from stage.execution.resume import Completed
    from stage.graph.graph import QuantumGraph
    from stage.graph.table import Ints

    Mask = npt.NDArray[np.bool_]

__all__ = ["is_begun_unrecorded", "look_ahead", "lost_outputs"]


def look_ahead(
    graph: QuantumGraph,
    done: Completed,
    records: Records,
    past: tuple[Sequence[PastRun], Ints],
    lost: Mask | None = None,
    *,
    is_held: bool = False,
) -> Outlook:
    """Say of each quantum what would be done with it.

    Parameters
    ----------
    graph : QuantumGraph
        What a run executes.
    done : Completed
        What of it need not run again, as the run will find it.
    records : Records
        What is recorded of the run.
    past : (sequence of PastRun, numpy.ndarray of int64)
        Earlier runs, and for each quantum which of them has it.
    lost : numpy.ndarray of bool, optional
        Quanta that have begun and have no outcome.
    is_held : bool, optional
        Whether a command is at work on them now.

    Returns
    -------
    Outlook
        Its reasons.
    """
    runs, which = past
    todo, status = ~done.mask, records.status
    reason = np.full(graph.n_quanta, CODES["new"], dtype=np.int8)
    reason[done.mask] = CODES["complete"]
    reason[done.mask & (status == NO_WORK)] = CODES["no-work"]
    again = done.again if done.again is not None else np.zeros_like(todo)
    was_done = todo & ((status == SUCCEEDED) | (status == NO_WORK))
    reason[was_done] = CODES["output-missing"]
    reason[was_done & again] = CODES["removed-needed"]
    fresh = todo & (status == 0)
    if lost is not None:
        reason[fresh & lost] = CODES["running" if is_held else "lost"]
        fresh &= ~lost
    changed, earlier = np.zeros_like(todo), np.zeros_like(status)
    for place, run in enumerate(runs):
        mine = fresh & (which == place)
        other = mine & _with_other_settings(graph, run)
        earlier[mine] = run.status[mine]
        reason[mine & run.other_inputs] = CODES["inputs"]
        reason[other] = CODES["settings"]
        changed |= other | (mine & run.other_inputs)
    same = fresh & ~changed
    reason[same & np.isin(earlier, (SUCCEEDED, NO_WORK))] = CODES["again"]
    reason[(same & (earlier == BLOCKED)) | (todo & (status == BLOCKED))] = CODES["freed"]
    children = transposed(graph.dependencies())
    cause = _first_causes(children, changed, todo)
    reason[same & (earlier > 0) & (cause >= 0)] = CODES["upstream-changed"]
    failed = (todo & (status == FAILED)) | (same & (earlier == FAILED) & (cause < 0))
    reason[failed] = np.where(status[failed] == FAILED, CODES["failed"], CODES["failed-earlier"])
    blocked_by = _first_causes(children, failed, todo)
    reason[blocked_by >= 0] = CODES["upstream-failed"]
    waits = np.where(blocked_by >= 0, blocked_by, np.where(reason == CODES["upstream-changed"], cause, -1))
    return Outlook(graph, reason, np.ones_like(todo), waits, records, runs, which)


def _with_other_settings(graph: QuantumGraph, run: PastRun) -> Mask:
    tasks = graph.layout.tasks
    return np.repeat(
        np.array([t.label in run.settings for t in tasks], dtype=np.bool_), [t.n_quanta for t in tasks]
    )


def _first_causes(children: Csr, seeds: Mask, todo: Mask) -> Ints:
    """Return for quanta that rest on some others, through quanta to be done, the one that it begins with; else -1."""
    cause = np.full(len(todo), -1, dtype=np.int64)
    front = np.flatnonzero(seeds)
    first = front
    while len(front):  # as often as the pipeline is deep
        taken = children.take(front)
        after, of = taken.indices.astype(np.int64), first[taken.rows()]
        new = todo[after] & (cause[after] < 0)
        # Of several causes the first counts: what is written last stays.
        cause[after[new][::-1]] = of[new][::-1]
        seen = np.zeros(len(todo), dtype=np.bool_)
        seen[after[new]] = True
        front = np.flatnonzero(seen)
        first = cause[front]
    return cause


def lost_outputs(snapshot: Snapshot, outlook: Outlook) -> dict[int, list[str]]:
    """Find what quanta have made that is known no more, of those that run again for that.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.
    outlook : Outlook
        The quanta.

    Returns
    -------
    dict of int to list of str
        Ordinal to dataset types.
    """
    graph, quanta = outlook.graph, np.flatnonzero(outlook.reason == CODES["output-missing"])
    if not len(quanta):
        return {}
    edges = graph.outputs_of(quanta)
    ids = graph.dataset_ids(edges.dataset)
    gone = set(keeping.lost_outputs(snapshot, graph.output_run))
    out: dict[int, list[str]] = {}
    types = [graph.layout.types[p].name for p in graph.type_of(edges.dataset).tolist()]
    for dataset_id, quantum, name in zip(ids, edges.quantum.tolist(), types, strict=True):
        if dataset_id in gone:
            out.setdefault(quantum, []).append(name)
    return out


def is_begun_unrecorded(layout: Layout, graph: QuantumGraph, records: Records) -> Mask:
    """Find the quanta that have a log to be followed and no outcome: whoever ran them was killed, or is at it.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    graph : QuantumGraph
        With a RUN.
    records : Records
        What is recorded of it.

    Returns
    -------
    numpy.ndarray of bool
        One a quantum.
    """
    out = np.zeros(graph.n_quanta, dtype=np.bool_)
    for task, rows in zip(graph.layout.tasks, graph.task_rows, strict=True):
        mine = slice(task.offset, task.offset + task.n_quanta)
        open_ = np.flatnonzero(records.place[mine] < 0)
        logs = _logged(layout, graph.output_run, task.label) if len(open_) else set()
        # Each quantum has one file, so these are all accounted for where there are no more of them.
        if len(logs) <= np.count_nonzero(np.isin(records.status[mine], (SUCCEEDED, NO_WORK, FAILED))):
            continue
        kind = next((c.dataset_type for c in task.connections if c.name == LOG), None)
        if kind is not None:
            offset = graph.layout.types[graph.layout.type_index[kind]].offset
            ids = graph.dataset_ids(rows.edges[LOG].take(open_).indices.astype(np.int64) + offset)
            out[open_ + task.offset] = [i in logs for i in ids]
    return out


def _logged(layout: Layout, run: str, label: str) -> set[bytes]:
    """Return the ids in the names of the logs that were begun."""
    found: set[bytes] = set()
    try:
        with os.scandir(layout.logs / run / label) as entries:
            for entry in entries:
                name = entry.name.removesuffix(".log")[-36:].replace("-", "")
                try:
                    found.add(bytes.fromhex(name))
                except ValueError:  # somebody else's file
                    continue
    except OSError:
        pass
    return found
