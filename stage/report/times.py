"""How long the quanta of each task took, and which took longest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from registry.model.columns import Columns
from stage.report.summary import by_task, numbers

__all__ = ["Slow", "TaskTimes", "times_of"]

_NS = 1e9
_SLOWEST = 10


@dataclass(frozen=True)
class TaskTimes:
    """Times of one task's quanta, those that ran.

    Parameters
    ----------
    task : str
        Label.
    n : int
        How many ran.
    min_s, median_s, p90_s, max_s : float
        Wall time of one, in seconds.
    wall_s, cpu_s : float
        Wall and CPU time of all.
    """

    task: str
    n: int
    min_s: float
    median_s: float
    p90_s: float
    max_s: float
    wall_s: float
    cpu_s: float

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values.

        Returns
        -------
        dict
            One key a field.
        """
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in vars(self).items()}


@dataclass(frozen=True)
class Slow:
    """One of the quanta that took longest.

    Parameters
    ----------
    task, data_id, status : str
        Which, its data ID as compact JSON.
    wall_s, cpu_s : float
        What it took.
    """

    task: str
    data_id: str
    status: str
    wall_s: float
    cpu_s: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values.

        Returns
        -------
        dict
            One key a field; the data ID is an object.
        """
        return {
            **vars(self),
            "data_id": json.loads(self.data_id),
            "wall_s": round(self.wall_s, 6),
            "cpu_s": round(self.cpu_s, 6),
        }


def times_of(quanta: Columns, tasks: Sequence[str]) -> tuple[tuple[TaskTimes, ...], tuple[Slow, ...]]:
    """Measure how long quanta took.

    Parameters
    ----------
    quanta : Columns
        `registry.model.records.QUANTUM` columns.
    tasks : sequence of str
        In what order they are told.

    Returns
    -------
    tuple of TaskTimes
        One a task that ran.
    tuple of Slow
        The slowest first.
    """
    if not quanta.n_rows:
        return (), ()
    start, end, cpu = (numbers(quanta[n]) for n in ("started_ns", "finished_ns", "cpu_ns"))
    ran = start > 0
    wall = np.where(ran, np.maximum(end - start, 0), 0) / _NS
    groups = by_task(quanta)
    times = tuple(
        _times(task, wall[mine], cpu[mine] / _NS)
        for task in tasks
        if task in groups and len(mine := groups[task][ran[groups[task]]])
    )
    slowest = np.argsort(-wall, kind="stable")[:_SLOWEST]
    slowest = slowest[ran[slowest]]
    rows = quanta.take(slowest).rows(("task", "data_id", "status"))
    spent = zip(wall[slowest].tolist(), (cpu[slowest] / _NS).tolist(), strict=True)
    return times, tuple(
        Slow(task, data_id, status, wall_s, cpu_s)
        for (task, data_id, status), (wall_s, cpu_s) in zip(rows, spent, strict=True)
    )


def _times(task: str, wall: Any, cpu: Any) -> TaskTimes:
    low, middle, high, top = np.percentile(wall, (0, 50, 90, 100)).tolist()
    return TaskTimes(task, len(wall), low, middle, high, top, float(wall.sum()), float(cpu.sum()))
