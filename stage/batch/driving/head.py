"""`run_head`: drive a submission's jobs to their ends, from wherever an earlier head left them."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self

from registry.errors import BusyError, StorageError, UsageError
from stage.batch.driving.asking import Ask, asked, forget
from stage.batch.driving.board import Board
from stage.batch.driving.final import run_final
from stage.batch.driving.journal import Journal, read_journal
from stage.batch.driving.ledger import Ledger
from stage.batch.driving.locking import head_lock
from stage.batch.driving.walk import Walk
from stage.batch.engines.base import DrivenEngine, JobEvent, JobState
from stage.batch.engines.finding import load_engine
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import Workflow
from sync.faults import At, no_fault

__all__ = ["HeadResult", "run_head"]

_log = logging.getLogger(__name__)
_OnChange = Callable[[Mapping[JobState, int]], Any]
SCHEDULE_S = (0.0, 1.0, 3.0, 5.0, 10.0, 15.0, 20.0)
"""So long a head waits before it asks a busy engine again."""
_LONGEST_POLL_S = 1.0
"""So long it may take until a head hears what it is asked."""
_GRACE_S = 120.0
"""So long an engine may take to end what was cancelled."""


@dataclass(frozen=True, slots=True)
class HeadResult:
    """How far a head has come.

    Parameters
    ----------
    counts : dict of JobState to int
        Jobs by state, without the final one; states that occur.
    final : JobState or None
        What the final job came to; None if it is not to run, or was not begun.
    is_ended : bool
        Whether all is done that can be done; otherwise another head goes on.
    is_cancelled : bool, optional
        Whether somebody has cancelled the submission.
    elapsed_s : float, optional
        How long this head took.
    """

    counts: Mapping[JobState, int] = field(default_factory=dict)
    final: JobState | None = None
    is_ended: bool = True
    is_cancelled: bool = False
    elapsed_s: float = 0.0

    @property
    def is_success(self) -> bool:
        """Whether every job has succeeded, the final one too."""
        good = self.is_ended and self.counts.keys() <= {JobState.SUCCEEDED}
        return good and self.final in {None, JobState.SUCCEEDED}


def run_head(
    where: SubmitDir,
    *,
    engine: DrivenEngine | None = None,
    workflow: Workflow | None = None,
    on_change: _OnChange | None = None,
    at: At = no_fault,
) -> HeadResult:
    """Give a submission's jobs to its engine until all have ended, then run the final job.

    Parameters
    ----------
    where : SubmitDir
        A submission that was prepared.
    engine : DrivenEngine, optional
        By default the one that it was prepared for.
    workflow : Workflow, optional
        Its jobs; by default read from its file.
    on_change : callable, optional
        Called with the number of jobs in each state when that has changed.
    at : callable, optional
        Called with the name of each step that is done.

    Returns
    -------
    HeadResult
        What became of the jobs; also if it was told to leave before they ended, by SIGTERM or SIGINT.

    Raises
    ------
    BusyError
        If another head drives it.
    UsageError
        If its engine needs no head, or the command of a job makes no sense. Nothing was begun.
    StorageError
        If the engine's services or the journal's disk are not there. The next head goes on.
    IntegrityError
        If the journal is of another submission, or damaged.
    """
    began = time.monotonic()
    engine = engine or _driven(where)
    with head_lock(where), _Signals() as signals:
        if workflow is None:
            from stage.batch.workflow.file import load_workflow

            workflow = load_workflow(where.workflow)
        board = Board(workflow.n_jobs)
        for lines in read_journal(where.journal):
            board.replay(lines)
        journal = Journal(where.journal)
        try:
            ended = _Head(Ledger(where, workflow, board, journal, at), engine, signals, on_change).run()
        finally:
            journal.close()
    final = None if board.state_of(-1) == JobState.UNREADY else board.state_of(-1)
    return HeadResult(board.counts(), final, ended, board.is_cancelled, time.monotonic() - began)


def _driven(where: SubmitDir) -> DrivenEngine:
    found = load_engine(where)
    if not isinstance(found, DrivenEngine):
        raise UsageError(
            f"engine '{found.name}' walks through the jobs by itself",
            code="no-head",
            hint="It needs no head: see 'stage batch report'.",
        )
    return found


class _Signals:
    """Hears SIGTERM and SIGINT while it is entered, where signals can be heard; a second SIGINT interrupts."""

    def __init__(self) -> None:
        self.is_told = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.is_told and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.is_told = True


class _Head:
    """One life of a head, with its engine."""

    def __init__(
        self, ledger: Ledger, engine: DrivenEngine, signals: _Signals, on_change: _OnChange | None
    ) -> None:
        self._ledger, self._engine = ledger, engine
        self._signals, self._on_change = signals, on_change
        self._busy = 0
        self._ask_again = 0.0
        self._is_deaf = False
        self._is_adrift = False
        self._give_up_at = float("inf")

    def run(self) -> bool:
        """Go on until all has ended, or until told to leave; tell whether all has ended."""
        where, workflow = self._ledger.where, self._ledger.workflow
        if asked(where) == Ask.LEAVE:
            forget(where)  # it was said to one that is gone
        about = {"version": 1, "jobs": workflow.n_jobs, "pid": os.getpid(), "host": socket.gethostname()}
        self._ledger.note(["open", about])
        _log.info("drives %d jobs of %s on '%s'", workflow.n_jobs, workflow.name, self._engine.name)
        ended = self._drive() and self._finish()
        if ended:
            forget(where)  # whatever it is, it comes too late
        self._ledger.note(["close", int(ended)])
        self._ledger.journal.sync()
        counts = ", ".join(f"{n:,} {s.lower()}" for s, n in self._ledger.board.counts().items())
        _log.info("%s: %s", "all has ended" if ended else "leaves", counts or "no jobs")
        return ended

    def _drive(self) -> bool:
        walk = Walk(self._ledger, self._engine)
        if walk.is_over():
            return True
        with self._opened(walk):
            while not self._is_to_leave(walk):
                has_begun = self._give(walk)
                events = self._poll(0.0 if has_begun else self._patience(walk))
                self._ledger.at("heard")
                if walk.hear(events) or has_begun:
                    self._tell()
                if time.monotonic() > self._give_up_at:
                    walk.give_up()
                if walk.is_over():
                    return True
        return False

    @contextmanager
    def _opened(self, walk: Walk) -> Iterator[None]:
        try:
            self._open(walk)
            self._ledger.at("opened")
            if self._ledger.board.is_cancelled:
                self._cancel(walk)
            yield
        finally:
            if not self._is_adrift:
                self._engine.close()

    def _is_to_leave(self, walk: Walk) -> bool:
        found = asked(self._ledger.where)
        if found == Ask.CANCEL:
            self._cancel(walk)
        if found == Ask.LEAVE or self._signals.is_told:
            forget(self._ledger.where)
            return True
        return False

    def _cancel(self, walk: Walk) -> None:
        walk.cancel()
        forget(self._ledger.where)
        self._give_up_at = min(self._give_up_at, time.monotonic() + _GRACE_S)

    def _give(self, walk: Walk) -> bool:
        if time.monotonic() < self._ask_again:
            return False
        try:
            if self._is_adrift:
                self._open(walk)
            walk.press()
        except (BusyError, StorageError) as error:
            self._put_off(error)
            return False
        try:
            count = walk.give()
        except BusyError as error:
            self._put_off(error)
            return False
        except StorageError as error:
            self._put_off(error)
            self._engine.close()
            self._is_adrift = True
            return False
        self._busy = 0
        return bool(count)

    def _open(self, walk: Walk) -> None:
        walk.adopt(self._engine.open(self._ledger.where, walk.known()))
        self._is_adrift = False

    def _poll(self, timeout_s: float) -> Sequence[JobEvent]:
        if self._is_adrift or (self._is_deaf and time.monotonic() < self._ask_again):
            time.sleep(min(_LONGEST_POLL_S, max(0.0, self._ask_again - time.monotonic())))
            return ()
        try:
            found = self._engine.poll(timeout_s)
        except (BusyError, StorageError) as error:
            self._put_off(error)
            self._is_deaf = True
            return ()
        self._is_deaf = False
        return found

    def _put_off(self, error: BusyError | StorageError) -> None:
        """Ask again later what the engine cannot do now, later each time; what it never can is raised."""
        if isinstance(error, StorageError) and not error.transient:
            raise error
        pause = SCHEDULE_S[min(self._busy, len(SCHEDULE_S) - 1)]
        self._busy += 1
        self._ask_again = time.monotonic() + pause
        _log.warning("%s; asks again in %g s", error, pause)

    def _patience(self, walk: Walk) -> float:
        if walk.n_given or not self._busy:
            return _LONGEST_POLL_S
        return min(_LONGEST_POLL_S, max(0.0, self._ask_again - time.monotonic()))

    def _finish(self) -> bool:
        environment = self._engine.settings.environment
        done = run_final(self._ledger, lambda: self._signals.is_told, environment)
        self._tell()
        return done

    def _tell(self) -> None:
        if self._on_change is not None:
            self._on_change(self._ledger.board.counts())
