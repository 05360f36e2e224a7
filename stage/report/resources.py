"""What the quanta of each task asked for of the machine, what they used, and what to ask for next time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from registry.model.columns import Columns
from registry.model.records import QuantumStatus
from stage.pipeline.resources import Resources
from stage.report.summary import by_task, numbers

__all__ = ["Asked", "Spread", "TaskResources", "resources_of", "resources_yaml"]

_NS, _MB = 1e9, float(1 << 20)
_MEMORY_MARGIN, _MEMORY_STEP_MB, _LEAST_MEMORY_MB = 1.25, 64, 256
_TIME_MARGIN, _TIME_STEP_S = 2.0, 60
_CORE_MARGIN = 0.25
_HAD = re.compile(r"out of memory with ([0-9,]+) MB")
_OUT_OF_MEMORY = ("out of memory", "MemoryError", "worker process died: signal 9")


@dataclass(frozen=True)
class Asked:
    """What the quanta of a task asked for.

    Parameters
    ----------
    resources : Resources
        For each of them.
    by_data_id : bool
        Whether the task says it for each quantum by itself; `resources` is then what it falls back to.
    """

    resources: Resources
    by_data_id: bool = False


@dataclass(frozen=True)
class Spread:
    """How what was used is spread over quanta.

    Parameters
    ----------
    median, p90, p99, max : float
        Percentiles.
    """

    median: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True)
class TaskResources:
    """One task's requests and what came of them.

    Parameters
    ----------
    task : str
        Label.
    n : int
        How many of its quanta are complete: what they used is told.
    asked : Asked or None
        What each asked for; None where the graph is not there any more.
    cores, memory_mb, wall_s : Spread or None
        Used by those that are complete: CPU time by wall time, the largest memory of the process, and wall time. None
        if there is none.
    n_killed, n_attempts : int
        How many quanta died for want of memory, in how many attempts.
    n_recovered : int
        How many of these are complete all the same.
    suggested : Resources or None
        What to ask for; None if nothing can be said.
    """

    task: str
    n: int
    asked: Asked | None
    cores: Spread | None
    memory_mb: Spread | None
    wall_s: Spread | None
    n_killed: int
    n_attempts: int
    n_recovered: int
    suggested: Resources | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values.

        Returns
        -------
        dict
            One key a field.
        """
        used = {
            name: None if spread is None else {k: round(v, 6) for k, v in vars(spread).items()}
            for name, spread in (
                ("cores", self.cores),
                ("memory_mb", self.memory_mb),
                ("wall_s", self.wall_s),
            )
        }
        return {
            "task": self.task,
            "n": self.n,
            "asked": None if self.asked is None else self.asked.resources.to_document(),
            "asked_by_data_id": self.asked is not None and self.asked.by_data_id,
            "used": used,
            "out_of_memory": {
                "quanta": self.n_killed, "attempts": self.n_attempts, "complete_since": self.n_recovered,
            },
            "suggested": None if self.suggested is None else self.suggested.to_document(),
        }  # fmt: skip


def resources_of(
    quanta: Columns, failures: Columns, asked: Mapping[str, Asked], tasks: Sequence[str]
) -> tuple[TaskResources, ...]:
    """Hold what quanta used against what they asked for.

    Parameters
    ----------
    quanta : Columns
        `registry.model.records.QUANTUM` columns of the last attempts.
    failures : Columns
        The same of all attempts that failed, earlier ones too.
    asked : mapping of str to Asked
        By task.
    tasks : sequence of str
        In what order they are told.

    Returns
    -------
    tuple of TaskResources
        One a task.
    """
    if not quanta.n_rows:
        return ()
    complete = np.logical_or.reduce([quanta["status"] == s for s in sorted(QuantumStatus.COMPLETE)])
    done = quanta.take(np.flatnonzero(complete))
    groups, deaths = by_task(done), _deaths(failures)
    recovered = set(done["id"].tolist()) if any(deaths.values()) else set()
    return tuple(
        _task(task, done.take(groups[task]) if task in groups else None, asked.get(task), deaths.get(task, []), recovered)
        for task in tasks
    )  # fmt: skip


def _deaths(failures: Columns) -> dict[str, list[tuple[bytes, str]]]:
    """Return the attempts that died for want of memory, by task: quantum and message."""
    out: dict[str, list[tuple[bytes, str]]] = {}
    for task, quantum, message in failures.rows(("task", "id", "message")):
        if (message or "").startswith(_OUT_OF_MEMORY):
            out.setdefault(task, []).append((quantum, message))
    return out


def _task(
    task: str,
    done: Columns | None,
    asked: Asked | None,
    deaths: Sequence[tuple[bytes, str]],
    recovered: set[bytes],
) -> TaskResources:
    dead = {quantum for quantum, _ in deaths}
    cores, memory, wall = (None, None, None) if done is None else _used(done)
    too_little = max((int(m[1].replace(",", "")) for _, text in deaths if (m := _HAD.match(text))), default=0)
    return TaskResources(
        task, 0 if done is None else done.n_rows, asked, cores, memory, wall, len(dead), len(deaths),
        len(dead & recovered), _suggested(cores, memory, wall, too_little),
    )  # fmt: skip


def _used(done: Columns) -> tuple[Spread, Spread, Spread]:
    wall = np.maximum(numbers(done["finished_ns"]) - numbers(done["started_ns"]), 1) / _NS
    cpu = numbers(done["cpu_ns"]) / _NS
    # What is over in no time says nothing about cores.
    cores = np.where(wall >= 0.1, cpu / wall, np.minimum(cpu / wall, 1.0))
    return _spread(cores), _spread(numbers(done["peak_bytes"]) / _MB), _spread(wall)


def _spread(values: Any) -> Spread:
    return Spread(*np.percentile(values, (50, 90, 99, 100)).tolist())


def _suggested(
    cores: Spread | None, memory: Spread | None, wall: Spread | None, too_little: int
) -> Resources | None:
    if cores is None or memory is None or wall is None:
        return Resources(memory_mb=2 * too_little) if too_little else None
    enough = max(_LEAST_MEMORY_MB, _up(memory.max * _MEMORY_MARGIN, _MEMORY_STEP_MB))
    return Resources(
        cpus=max(1, math.ceil(cores.p90 - _CORE_MARGIN)),
        memory_mb=enough if enough > too_little else 2 * too_little,
        walltime_s=_up(wall.max * _TIME_MARGIN, _TIME_STEP_S),
    )


def _up(value: float, step: int) -> int:
    """Return the next multiple of a step, at least one step."""
    return max(1, math.ceil(value / step)) * step


def resources_yaml(tasks: Sequence[TaskResources]) -> str:
    """Write what to ask for as a part of a pipeline file.

    Parameters
    ----------
    tasks : sequence of TaskResources
        Those that say by themselves what each quantum needs are left out.

    Returns
    -------
    str
        YAML; empty if there is nothing to suggest.
    """
    lines = []
    for each in tasks:
        if each.suggested is None or (each.asked is not None and each.asked.by_data_id):
            continue
        wanted = {k: v for k, v in each.suggested.to_document().items() if v is not None}
        listed = ", ".join(f"{k}: {v}" for k, v in wanted.items())
        lines.append(f"  {_key(each.task)}:\n    resources: {{{listed}}}\n")
    return "tasks:\n" + "".join(lines) if lines else ""


def _key(label: str) -> str:
    """Return a label as a key of YAML; quoted, unless it cannot be anything but text."""
    is_plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", label) and label.lower() not in _WORDS
    return label if is_plain else json.dumps(label)


_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
