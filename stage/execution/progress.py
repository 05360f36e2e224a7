"""How far a run has come, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from registry.model.records import QuantumStatus

if TYPE_CHECKING:
    from stage.execution.outcome import QuantumOutcome
    from stage.execution.scheduler import Scheduler

__all__ = ["Failure", "ProgressEvent", "Removed", "RunSummary", "Tally", "TaskCounts"]

_PERIOD_S = 0.1
_STATUS = (QuantumStatus.SUCCEEDED, QuantumStatus.NO_WORK, QuantumStatus.FAILED, QuantumStatus.BLOCKED)


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """What has become of the quanta of one task.

    Parameters
    ----------
    total : int
        All of them.
    skipped : int
        Complete before this run of them began.
    succeeded, no_work, failed, blocked : int
        What became of others.
    running : int
        Handed out to a worker.
    """

    total: int = 0
    skipped: int = 0
    succeeded: int = 0
    no_work: int = 0
    failed: int = 0
    blocked: int = 0
    running: int = 0

    @property
    def done(self) -> int:
        """Number that is complete: skipped, succeeded, or without work."""
        return self.skipped + self.succeeded + self.no_work

    @property
    def left(self) -> int:
        """Number that is neither complete nor failed nor blocked."""
        return self.total - self.done - self.failed - self.blocked

    def __add__(self, other: TaskCounts) -> TaskCounts:
        return TaskCounts(*(getattr(self, n) + getattr(other, n) for n in TaskCounts.__slots__))


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far a run has come.

    Parameters
    ----------
    tasks : mapping of str to TaskCounts
        By label, in the pipeline's order.
    elapsed_s : float
        Seconds since it began.
    is_last : bool
        Whether nothing more will come.
    step : str
        Which step of the pipeline it is about, in words; empty for a pipeline without steps.
    """

    tasks: Mapping[str, TaskCounts]
    elapsed_s: float
    is_last: bool = False
    step: str = ""

    @property
    def total(self) -> TaskCounts:
        """The sum over tasks."""
        return sum(self.tasks.values(), TaskCounts())


@dataclass(frozen=True, slots=True)
class Failure:
    """One quantum that failed.

    Parameters
    ----------
    ordinal : int
        Which of the graph.
    quantum : str
        Task and data ID.
    message : str
        Why.
    """

    ordinal: int
    quantum: str
    message: str


@dataclass(frozen=True, slots=True)
class Removed:
    """Ephemeral files that went.

    Parameters
    ----------
    n : int
        How many.
    size_bytes : int
        Their bytes.
    """

    n: int = 0
    size_bytes: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(self.n + other.n, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What came of running a graph.

    Parameters
    ----------
    run : str
        The RUN.
    tasks : mapping of str to TaskCounts
        By label, in the pipeline's order.
    failures : sequence of Failure
        Quanta that failed, in the order in which they did; blocked ones are only counted.
    interrupted : bool
        Whether it was stopped before its end.
    elapsed_s : float
        Seconds that it took.
    removed : Removed
        Ephemeral files that went.
    n_out_of_memory : int
        How many of those that failed did so for want of memory.
    """

    run: str
    tasks: Mapping[str, TaskCounts]
    failures: Sequence[Failure] = field(default=())
    interrupted: bool = False
    elapsed_s: float = 0.0
    removed: Removed = Removed()
    n_out_of_memory: int = 0

    @property
    def is_out_of_memory(self) -> bool:
        """Whether some quanta failed, and each for want of memory: with more of it they may succeed."""
        return 0 < self.n_out_of_memory == self.total.failed

    @property
    def total(self) -> TaskCounts:
        """The sum over tasks."""
        return sum(self.tasks.values(), TaskCounts())

    @property
    def is_complete(self) -> bool:
        """Whether every quantum is complete."""
        total = self.total
        return total.done == total.total


class Tally:
    """Counts outcomes by task and tells, not too often, how far things are.

    Parameters
    ----------
    labels : sequence of str
        The tasks.
    task_of : numpy.ndarray
        For each number of the scheduler, the place of its task.
    complete : numpy.ndarray of bool
        Which of them were complete at the start.
    describe : callable
        Gives the name of a quantum, by ordinal.
    place_of : callable
        Gives the place of a quantum's task, by ordinal.
    on_progress : callable, optional
        Called with each `ProgressEvent`, at most ten times a second, in the thread that runs the executor.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        task_of: npt.NDArray[np.int64],
        complete: npt.NDArray[np.bool_],
        describe: Callable[[int], str],
        place_of: Callable[[int], int],
        on_progress: Callable[[ProgressEvent], Any] | None = None,
    ) -> None:
        self._labels = labels
        self._task_of = task_of
        self._total = np.bincount(task_of, minlength=len(labels))
        self._skipped = np.bincount(task_of[complete], minlength=len(labels))
        self._counts = [dict.fromkeys(_STATUS, 0) for _ in labels]
        self._describe = describe
        self._place_of = place_of
        self._on_progress = on_progress
        self._start = time.monotonic()
        self._last = 0.0
        self.failures: list[Failure] = []
        self.n_out_of_memory = 0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def add(self, outcome: QuantumOutcome) -> None:
        """Count one outcome.

        Parameters
        ----------
        outcome : QuantumOutcome
            What became of a quantum.
        """
        self._counts[self._place_of(outcome.ordinal)][outcome.status] += 1
        if outcome.status == QuantumStatus.FAILED:
            self.n_out_of_memory += outcome.out_of_memory
            self.failures.append(Failure(outcome.ordinal, self._describe(outcome.ordinal), outcome.message))

    def counts(self, scheduler: Scheduler | None = None) -> dict[str, TaskCounts]:
        """Return the counts.

        Parameters
        ----------
        scheduler : Scheduler, optional
            Tells what is running.

        Returns
        -------
        dict of str to TaskCounts
            By label.
        """
        running = np.zeros(len(self._labels), dtype=np.int64)
        if scheduler is not None and scheduler.n_running:
            running = np.bincount(self._task_of[scheduler.running()], minlength=len(self._labels))
        return {
            label: TaskCounts(
                total=int(self._total[i]),
                skipped=int(self._skipped[i]),
                succeeded=self._counts[i][QuantumStatus.SUCCEEDED],
                no_work=self._counts[i][QuantumStatus.NO_WORK],
                failed=self._counts[i][QuantumStatus.FAILED],
                blocked=self._counts[i][QuantumStatus.BLOCKED],
                running=int(running[i]),
            )
            for i, label in enumerate(self._labels)
        }

    def tick(self, scheduler: Scheduler, *, is_last: bool = False) -> None:
        """Tell how far things are, if that was not told just now.

        Parameters
        ----------
        scheduler : Scheduler
            Tells what is running.
        is_last : bool, optional
            Whether to tell in any case.
        """
        if self._on_progress is None:
            return
        now = time.monotonic()
        if is_last or now - self._last >= _PERIOD_S:
            self._last = now
            self._on_progress(ProgressEvent(self.counts(scheduler), now - self._start, is_last))
