"""What all ways of running quanta share: the work to be done, and how a person stops it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from registry.model.records import QuantumStatus
from stage.execution.outcome import QuantumOutcome, StoredArtifact
from stage.execution.scheduler import Scheduler

if TYPE_CHECKING:
    from stage.execution.needs import Needs

__all__ = ["Assignment", "Executor", "Interrupt", "Work"]


class Assignment(NamedTuple):
    """One quantum handed out to be run.

    Parameters
    ----------
    number : int
        Its place in the scheduler.
    ordinal : int
        Which quantum of the graph.
    attempt : int
        Number of times it was tried before.
    absent : tuple of int
        Ordinals of datasets that quanta before it were expected to make and did not; a quantum may have
        some of them as inputs.
    standing : tuple of StoredArtifact
        What it made when it was complete before and is still recorded: only the same may take its place.
    """

    number: int
    ordinal: int
    attempt: int = 0
    absent: tuple[int, ...] = ()
    standing: tuple[StoredArtifact, ...] = ()


def _one_task(_ordinal: int) -> int:
    return 0


def _same(outcome: QuantumOutcome) -> QuantumOutcome:
    return outcome


def _nothing(_outcome: QuantumOutcome) -> None:
    return None


class Work:
    """The quanta to be run: what is ready, what became of each, and what that means for the others.

    Parameters
    ----------
    indptr, indices : numpy.ndarray
        For each quantum the earlier ones it depends on, each named once (compressed sparse rows), in
        numbers from 0 to n - 1.
    on_outcome : callable
        Called with each `QuantumOutcome`, in the order in which they become known.
    ordinals : sequence of int, optional
        Which quantum of the graph each number is; the number itself by default.
    complete : numpy.ndarray of bool, optional
        Quanta that are done already.
    attempts : mapping of int to int, optional
        Number to how often it was tried before; 0 for others.
    absent : mapping of int to sequence of int, optional
        For complete quanta, the datasets that they did not make.
    standing : mapping of int to tuple of StoredArtifact, optional
        For quanta that were complete and run again, what of theirs is still recorded.
    task_of : callable, optional
        Gives the place of a quantum's task, by ordinal: quanta of one task take about the same time.
    describe : callable, optional
        Gives the name of a quantum, by ordinal, for messages.
    fail_fast : bool, optional
        Whether to hand out nothing more after the first failure.
    on_tick : callable, optional
        Called with the scheduler whenever an executor has done something.
    retries : int, optional
        How often a quantum that failed is tried again.
    on_retry : callable, optional
        Called with the outcome of each attempt that is followed by another.
    settle : callable, optional
        Called with each outcome before anybody acts on it; gives what really became of the quantum.
    needs : Needs, optional
        What quanta need of the machine: then one is handed out only when that is free.

    Attributes
    ----------
    needs : Needs or None
        The same; of each that was handed out it says what that has.
    """

    def __init__(
        self,
        indptr: npt.NDArray[Any],
        indices: npt.NDArray[Any],
        on_outcome: Callable[[QuantumOutcome], None],
        *,
        ordinals: Sequence[int] | None = None,
        complete: npt.NDArray[np.bool_] | None = None,
        attempts: Mapping[int, int] | None = None,
        absent: Mapping[int, Sequence[int]] | None = None,
        standing: Mapping[int, tuple[StoredArtifact, ...]] | None = None,
        task_of: Callable[[int], int] = _one_task,
        describe: Callable[[int], str] = str,
        fail_fast: bool = False,
        on_tick: Callable[[Scheduler], None] | None = None,
        retries: int = 0,
        on_retry: Callable[[QuantumOutcome], None] = _nothing,
        settle: Callable[[QuantumOutcome], QuantumOutcome] = _same,
        needs: Needs | None = None,
    ) -> None:
        self.scheduler = Scheduler(indptr, indices, complete=complete)
        self._indptr, self._indices = indptr, indices
        self.task_of = task_of
        self._on_outcome = on_outcome
        self._ordinals = ordinals
        self._attempts = dict(attempts or {})
        self._standing = standing or {}
        self._describe = describe
        self._fail_fast = fail_fast
        self._on_tick = on_tick
        self._retries = retries
        self._on_retry = on_retry
        self._settle = settle
        self.needs = needs
        self._fits = None if needs is None else needs.fits
        self._retried: dict[int, int] = {}
        self._stopped = False
        self._absent = {k: tuple(v) for k, v in (absent or {}).items() if v}
        self._lacks = np.zeros(self.scheduler.n, dtype=np.bool_)
        self._lacks[list(self._absent)] = True

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left that could run, and nothing is running."""
        if self._stopped:
            return self.scheduler.n_running == 0
        return self.scheduler.is_finished

    @property
    def n_active(self) -> int:
        """Number of quanta that are ready or running: how many workers could be of use."""
        return self.scheduler.n_running + (0 if self._stopped else self.scheduler.n_ready)

    def tick(self) -> None:
        """Let those who watch know that something may have changed."""
        if self._on_tick is not None:
            self._on_tick(self.scheduler)

    def take(self) -> Assignment | None:
        """Hand out one ready quantum.

        Returns
        -------
        Assignment or None
            None if none is ready now, or there is no room for any.
        """
        number = None if self._stopped else self.scheduler.take(self._fits)
        if number is None:
            return None
        if self.needs is not None:
            self.needs.admit(number)
        ordinal = number if self._ordinals is None else self._ordinals[number]
        attempt, standing = self._attempts.get(number, 0), self._standing.get(number, ())
        return Assignment(number, ordinal, attempt, self._absent_before(number), standing)

    def peek(self) -> int | None:
        """Tell which quantum `take` would hand out next, without handing it out.

        Returns
        -------
        int or None
            Its ordinal; None if none is ready now.
        """
        number = None if self._stopped else self.scheduler.peek()
        return number if number is None or self._ordinals is None else self._ordinals[number]

    def give_back(self, assignments: Iterable[Assignment]) -> None:
        """Take back quanta that were handed out and did not run.

        Parameters
        ----------
        assignments : iterable of Assignment
            As they were handed out.
        """
        back = [a.number for a in assignments]
        self.scheduler.give_back(back)
        if self.needs is not None:
            for number in back:
                self.needs.release(number)

    def done(self, number: int, outcome: QuantumOutcome) -> None:
        """Note what became of a quantum, and of those that can no longer run because of it.

        Parameters
        ----------
        number : int
            Its place in the scheduler.
        outcome : QuantumOutcome
            What became of it.
        """
        outcome = self._settle(outcome)
        again = self._may_try(number, outcome)
        if self.needs is not None:
            outcome, again = self.needs.after_failure(number, outcome, may_try=again)
            self.needs.release(number)
        if outcome.absent:
            self._absent[number] = outcome.absent
            self._lacks[number] = True
        if outcome.is_complete:
            self.scheduler.finish(number)
            self._on_outcome(outcome)
            return
        if again:
            self._try_again(number, outcome)
            return
        blocked = self.scheduler.fail(number)
        self._on_outcome(outcome)
        self._stopped |= self._fail_fast
        if len(blocked):
            self._report_blocked(blocked.tolist(), outcome)

    def _may_try(self, number: int, outcome: QuantumOutcome) -> bool:
        """Tell whether a quantum that ended so may be tried once more."""
        if outcome.status != QuantumStatus.FAILED or self._stopped:
            return False
        return self._retried.get(number, 0) < self._retries

    def _try_again(self, number: int, outcome: QuantumOutcome) -> None:
        self._retried[number] = self._retried.get(number, 0) + 1
        self._attempts[number] = outcome.attempt + 1
        self._on_retry(outcome)
        self.scheduler.give_back([number])

    def _report_blocked(self, blocked: list[int], cause: QuantumOutcome) -> None:
        message = f"blocked: {self._describe(cause.ordinal)} failed"
        ordinals = blocked if self._ordinals is None else [self._ordinals[n] for n in blocked]
        for number, ordinal in zip(blocked, ordinals, strict=True):
            attempt = self._attempts.get(number, 0)
            root = cause.root if cause.root >= 0 else cause.ordinal
            self._on_outcome(
                QuantumOutcome(ordinal, QuantumStatus.BLOCKED, attempt, message=message, root=root)
            )

    def _absent_before(self, number: int) -> tuple[int, ...]:
        if not self._absent:
            return ()
        before = self._indices[self._indptr[number] : self._indptr[number + 1]]
        return tuple(d for n in before[self._lacks[before]].tolist() for d in self._absent[n])


class Executor(Protocol):
    """A way of running quanta; every one gives the same datasets."""

    def execute(self, work: Work, interrupt: Interrupt) -> bool:
        """Run all that can be run.

        Parameters
        ----------
        work : Work
            Gives out quanta and takes outcomes, in the calling thread only.
        interrupt : Interrupt
            Says when a person wants it to end.

        Returns
        -------
        bool
            Whether it came to its end; False if it was interrupted. Interrupted quanta have no outcome.
        """


class Interrupt:
    """Notices Ctrl-C (SIGINT) and SIGTERM without an exception in the middle of something.

    As a context manager it takes over both signals, in the main thread only; elsewhere `request` is the
    way to stop. Its file descriptor becomes readable on the first request, so that a wait ends.

    Attributes
    ----------
    count : int
        How often an end was asked for.
    raise_at : int
        From this request on, a signal also raises KeyboardInterrupt: the way out where nothing waits.
    """

    def __init__(self) -> None:
        self.count = 0
        self.raise_at = 3
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._previous: dict[int, Any] = {}

    def fileno(self) -> int:
        """Return what to wait on.

        Returns
        -------
        int
            A file descriptor, readable once an end was asked for.
        """
        return self._read

    def request(self) -> None:
        """Ask for an end; the second time, for a quick one."""
        self.count += 1
        os.write(self._write, b"x")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.request()
        if self.count >= self.raise_at:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
        os.close(self._read)
        os.close(self._write)
