"""What became of a run's quanta, task by task, from the rows that execution left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from registry.model.columns import Columns, group_codes
from registry.model.records import QuantumStatus

if TYPE_CHECKING:
    from stage.report.resources import TaskResources
    from stage.report.times import Slow, TaskTimes

__all__ = ["STATUSES", "Failure", "RunReport", "TaskReport", "by_task", "numbers", "summarise"]

STATUSES = (QuantumStatus.SUCCEEDED, QuantumStatus.NO_WORK, QuantumStatus.FAILED, QuantumStatus.BLOCKED)
_BINS = 240
_NS = 1e9


@dataclass(frozen=True)
class TaskReport:
    """One task's share of a run.

    Parameters
    ----------
    task : str
        Label.
    counts : dict of str to int
        Quanta by status.
    median_s, total_s, cpu_s : float
        Wall time of a quantum, of all; CPU time of all, in seconds.
    peak_bytes : int
        Largest peak memory of a quantum's process.
    activity : numpy.ndarray, shape (n_bins,)
        Quanta running, averaged over each slice of the run's time.
    """

    task: str
    counts: dict[str, int]
    median_s: float
    total_s: float
    cpu_s: float
    peak_bytes: int
    activity: npt.NDArray[np.float64]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values.

        Returns
        -------
        dict
            Without the activity.
        """
        return {
            "task": self.task,
            "counts": self.counts,
            "median_s": round(self.median_s, 6),
            "total_s": round(self.total_s, 6),
            "cpu_s": round(self.cpu_s, 6),
            "peak_bytes": self.peak_bytes,
        }


@dataclass(frozen=True)
class Failure:
    """One quantum that failed or was blocked.

    Parameters
    ----------
    task, data_id, status, message : str
        Which, and the first line of why.
    """

    task: str
    data_id: str
    status: str
    message: str


@dataclass(frozen=True)
class RunReport:
    """A whole run, or several.

    Parameters
    ----------
    runs : tuple of str
        RUN collections.
    tasks : tuple of TaskReport
        In order of first start.
    failures : tuple of Failure
        Failed first, then blocked.
    started_ns, finished_ns : int
        UTC nanoseconds since 1970; zero when nothing ran.
    times : tuple of TaskTimes
        How long the quanta of each task took, if that was asked for.
    slowest : tuple of Slow
        The quanta that took longest, if times were asked for.
    resources : tuple of TaskResources or None
        Requests and what was used, if that was asked for.
    resources_yaml : str
        What to ask for next time, to be pasted into a pipeline file.
    """

    runs: tuple[str, ...]
    tasks: tuple[TaskReport, ...]
    failures: tuple[Failure, ...]
    started_ns: int
    finished_ns: int
    times: tuple[TaskTimes, ...] | None = None
    slowest: tuple[Slow, ...] = ()
    resources: tuple[TaskResources, ...] | None = None
    resources_yaml: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Quanta of all tasks by status."""
        return {status: sum(t.counts[status] for t in self.tasks) for status in STATUSES}

    @property
    def elapsed_s(self) -> float:
        """Seconds from first start to last end."""
        return (self.finished_ns - self.started_ns) / _NS

    def to_json(self) -> dict[str, Any]:
        """Return everything but the activity as plain values; of times and resources what was asked for.

        Returns
        -------
        dict
            For ``--json``.
        """
        out = {
            "runs": list(self.runs),
            "counts": self.counts,
            "elapsed_s": round(self.elapsed_s, 3),
            "tasks": [t.to_json() for t in self.tasks],
            "failures": [{**vars(f), "data_id": json.loads(f.data_id)} for f in self.failures],
        }
        if self.times is not None:
            out |= {
                "times": [t.to_json() for t in self.times],
                "slowest": [s.to_json() for s in self.slowest],
            }
        if self.resources is not None:
            out |= {"resources": [r.to_json() for r in self.resources], "yaml": self.resources_yaml}
        return out


def summarise(quanta: Columns, runs: tuple[str, ...]) -> RunReport:
    """Add up the latest attempt of each quantum.

    Parameters
    ----------
    quanta : Columns
        `registry.model.records.QUANTUM` columns.
    runs : tuple of str
        The runs they are of.

    Returns
    -------
    RunReport
        One entry a task.
    """
    if not quanta.n_rows:
        return RunReport(runs, (), (), 0, 0)
    start = numbers(quanta["started_ns"])
    end = np.maximum(numbers(quanta["finished_ns"]), start)
    ran = start > 0
    first, last = (int(start[ran].min()), int(end[ran].max())) if ran.any() else (0, 0)
    tasks = []
    for rows in by_task(quanta).values():
        # Blocked quanta never began: a task comes where its first quantum ran.
        began = float(start[rows][ran[rows]].min(initial=np.iinfo(np.int64).max))
        tasks.append((began, _task(quanta.take(rows), start[rows], end[rows], first, last)))
    ordered = tuple(task for _, task in sorted(tasks, key=lambda pair: pair[0]))
    return RunReport(runs, ordered, _failures(quanta), first, last)


def _task(rows: Columns, start: Any, end: Any, first: int, last: int) -> TaskReport:
    status = rows["status"]
    seconds = (end - start) / _NS
    ran = start > 0
    return TaskReport(
        str(rows["task"][0]),
        {name: int(np.count_nonzero(status == name)) for name in STATUSES},
        float(np.median(seconds[ran])) if ran.any() else 0.0,
        float(seconds.sum()),
        float(numbers(rows["cpu_ns"]).sum() / _NS),
        int(numbers(rows["peak_bytes"]).max()),
        _activity(start[ran], end[ran], first, last),
    )


def _activity(start: Any, end: Any, first: int, last: int) -> npt.NDArray[np.float64]:
    """Return how many ran in each slice: the slope of the summed progress of all, sampled at the edges."""
    since = np.linspace(0.0, max(last - first, 1), _BINS + 1)
    begun, ended = np.sort(start - first), np.sort(end - first)
    sums = [np.concatenate([[0.0], np.cumsum(times)]) for times in (begun, ended)]
    # The busy time up to t is the sum over begun of (t - start) less the sum over ended of (t - end).
    n_begun, n_ended = np.searchsorted(begun, since, "right"), np.searchsorted(ended, since, "right")
    busy = (n_begun * since - sums[0][n_begun]) - (n_ended * since - sums[1][n_ended])
    return np.asarray(np.diff(busy) / np.diff(since))


def _failures(quanta: Columns, limit: int = 200) -> tuple[Failure, ...]:
    status = quanta["status"]
    found: list[Failure] = []
    for wanted in (QuantumStatus.FAILED, QuantumStatus.BLOCKED):
        rows = np.flatnonzero(status == wanted)[: limit - len(found)]
        some = quanta.take(rows).rows(("task", "data_id", "status", "message"))
        found += [
            Failure(task, data_id, state, (text or "").split("\n", 1)[0])
            for task, data_id, state, text in some
        ]
    return tuple(found)


def by_task(quanta: Columns) -> dict[str, npt.NDArray[np.int64]]:
    """Return which rows are of which task.

    Parameters
    ----------
    quanta : Columns
        With ``task``.

    Returns
    -------
    dict of str to numpy.ndarray
        Label to row numbers.
    """
    if not quanta.n_rows:
        return {}
    codes = group_codes([quanta["task"]])
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return {str(quanta["task"][mine[0]]): mine for mine in parts}


def numbers(column: Any) -> npt.NDArray[np.int64]:
    """Return a nullable integer column with zeros for nulls.

    Parameters
    ----------
    column : numpy.ndarray
        Integers and None.

    Returns
    -------
    numpy.ndarray of int64
        As long.
    """
    if column.dtype == object:
        return np.array([value or 0 for value in column.tolist()], dtype=np.int64)
    return np.asarray(column, dtype=np.int64)
