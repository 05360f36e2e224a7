"""`Walk`: a workflow with an engine: what is given to it, what it says, and what follows; each in the journal."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from registry.errors import BusyError, StorageError
from stage.batch.driving.commands import Requests
from stage.batch.driving.frontier import Frontier
from stage.batch.driving.journal import Line
from stage.batch.driving.ledger import Ledger
from stage.batch.driving.policy import Tally, cause_of, judge
from stage.batch.driving.rooms import Rooms
from stage.batch.driving.verifying import has_record, lacks
from stage.batch.engines.base import Cause, DrivenEngine, JobEvent, JobState

__all__ = ["Walk"]

_log = logging.getLogger(__name__)
_MOST_AT_ONCE = 1000
_ENDS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.DELETED, JobState.PRUNED, JobState.UNKNOWN})


class Walk:
    """A workflow on its way through an engine.

    Parameters
    ----------
    ledger : Ledger
        The submission.
    engine : DrivenEngine
        Open.
    """

    def __init__(self, ledger: Ledger, engine: DrivenEngine) -> None:
        workflow, board = ledger.workflow, ledger.board
        self._ledger = ledger
        self._engine = engine
        self._board = board
        self._requests = Requests(ledger.where, workflow, board)
        self._given = dict.fromkeys(board.given(), 0)
        self._doomed: set[int] = set()
        self._to_end: set[int] = set()
        of_kind = np.array([s.priority or 0 for s in self._requests.settings] or [0], dtype=np.int64)
        priority = of_kind[np.asarray(workflow.settings_of, dtype=np.int64)]
        done = board.are(JobState.SUCCEEDED)
        dead = board.are(JobState.FAILED) | board.are(JobState.DELETED) | board.are(JobState.PRUNED)
        self._rooms = Rooms(self._requests.settings, workflow.settings_of, engine)
        self._frontier = Frontier(
            workflow.parents,
            priority,
            done,
            dead,
            looks_ahead=engine.looks_ahead,
            lane_of=self._rooms.lane_of,
        )
        for number in self._given:
            self._frontier.give(number)

    def is_over(self) -> bool:
        """Tell whether nothing is with the engine, and nothing can be given to it.

        Returns
        -------
        bool
            Whether all that can end has ended.
        """
        return not self._given and not self._frontier.n_ready

    @property
    def n_given(self) -> int:
        """Number of jobs that the engine has."""
        return len(self._given)

    def known(self) -> dict[int, tuple[int, str]]:
        """Return what the journal knows of jobs that have not ended, for `DrivenEngine.open`.

        Returns
        -------
        dict of int to (int, str)
            Attempt and handle by job.
        """
        board = self._board
        return {n: (int(board.begun[n]) - 1, board.handles.get(n, "")) for n in self._given}

    def adopt(self, found: Sequence[tuple[int, int, str]]) -> None:
        """Take over what an earlier head left, and take back what is gone.

        Parameters
        ----------
        found : sequence of (int, int, str)
            What `DrivenEngine.open` gave.
        """
        board = self._board
        ours = {
            n: handle for n, attempt, handle in found if n in self._given and attempt == board.begun[n] - 1
        }
        strays = sorted({n for n, _, _ in found} - ours.keys())
        lines: list[Line] = []
        lost = [n for n in self._given if n not in ours]
        if ours:
            lines.append(["handle", list(ours), list(ours.values())])
        if lost:
            lines.append(["lost", lost])
        if strays:
            _log.warning(
                "%d attempts of an earlier head still run that were given up; they are ended", len(strays)
            )
            self._to_end.update(strays)
        for number in lost:
            del self._given[number]
        self._ledger.note(*lines)
        self._frontier.back(lost)
        idle, given = self._frontier.sweep()
        self._prune(idle, given)
        if board.is_cancelled:
            self._drop()
        if ours or lost:
            _log.info("took over %d jobs; %d begin again", len(ours), len(lost))

    def give(self) -> int:
        """Give the engine what may begin and what it has room for.

        Returns
        -------
        int
            How many jobs it took.

        Raises
        ------
        BusyError
            If the engine is busy; then it took none, and the same are given again later.
        StorageError
            If it failed in between; then it has to be opened again, and what it has be adopted.
        """
        room = self._engine.capacity
        limit = _MOST_AT_ONCE if room is None else min(room - len(self._given), _MOST_AT_ONCE)
        numbers = self._frontier.take(limit, self._rooms.free(self._given)) if limit > 0 else []
        if not numbers:
            return 0
        requests = self._requests.make(numbers, self._frontier.after)
        attempts = [r.attempt for r in requests]
        self._ledger.note(["begin", numbers, attempts, [r.memory_mb or 0 for r in requests]])
        self._ledger.at("begun")
        try:
            answers = self._engine.start(requests)
        except BusyError:
            # None was taken, so these attempts have not been.
            self._ledger.note(["back", numbers])
            self._frontier.back(numbers)
            raise
        except StorageError:
            # Nobody knows which were taken: `adopt` finds out.
            self._given |= dict.fromkeys(numbers, 0)
            raise
        self._ledger.at("started")
        self._given |= dict.fromkeys(numbers, 0)
        handles = {n: a for n, a in zip(numbers, answers, strict=True) if isinstance(a, str) and a}
        if handles:
            self._ledger.note(["handle", list(handles), list(handles.values())])
        self._ledger.at("handed")
        self.hear([a for a in answers if isinstance(a, JobEvent)])
        return len(numbers)

    def hear(self, events: Sequence[JobEvent]) -> bool:
        """Take in what the engine says.

        Parameters
        ----------
        events : sequence of JobEvent
            What has changed.

        Returns
        -------
        bool
            Whether a job has ended.
        """
        mine = [e for e in events if e.number in self._given and e.attempt == self._board.begun[e.number] - 1]
        ends = [e for e in mine if e.state in _ENDS]
        rows: list[list[Any]] = []
        dead: list[int] = []
        back: list[int] = []
        unbegun: list[int] = []
        for event in ends:
            if self._given.pop(event.number, None) is None:
                continue
            self._to_end.discard(event.number)
            if event.cause == Cause.PARENT and not self._is_out(event.number):
                unbegun.append(event.number)
                continue
            row = self._end(event)
            rows.append(row)
            if row[1] == JobState.SUCCEEDED:
                self._frontier.succeed(event.number)
            elif row[-1]:
                back.append(event.number)
            else:
                dead.append(event.number)
        lines: list[Line] = [*_news([e for e in mine if e.state not in _ENDS])]
        lines += [["end", rows]] if rows else []
        lines += [["back", unbegun]] if unbegun else []
        self._ledger.note(*lines)
        self._ledger.at("ended")
        self._frontier.back([*unbegun, *back])
        for number in dead:
            self._prune(*self._frontier.fail(number))
        self._ledger.at("pruned")
        return bool(ends)

    def cancel(self) -> None:
        """End all: what the engine has, and what has not begun."""
        self._ledger.note(["cancel"])
        n_dropped = self._drop()
        self._ledger.at("cancelled")
        self._to_end.update(self._given)
        _log.info("cancelled: %d jobs that had begun, %d that had not", len(self._given), n_dropped)

    def recall(self) -> None:
        """Have the engine end what it has; what has not begun is as it was."""
        self._to_end.update(self._given)

    def _drop(self) -> int:
        """Take out what has not begun."""
        idle = self._frontier.drop()
        if idle:
            self._ledger.note(["delete", idle])
        return len(idle)

    def _is_out(self, number: int) -> bool:
        """Tell whether a job is not to begin again, whatever becomes of this attempt."""
        return number in self._doomed or self._board.is_cancelled

    def press(self) -> None:
        """Tell the engine which jobs are to end, if there are any.

        Raises
        ------
        BusyError
            If the engine is busy; then it is told the same the next time.
        """
        if self._to_end:
            self._engine.cancel(sorted(self._to_end))
            self._to_end.clear()

    def give_up(self) -> None:
        """Note of jobs that were cancelled, and of which the engine says nothing any more, that they are deleted."""
        if self._given:
            self._ledger.note(["delete", list(self._given)])
            self._given.clear()

    def _end(self, event: JobEvent) -> list[Any]:
        """Return what the journal says of an end: the job's number, and what follows."""
        number, state, cause, message = event.number, event.state, event.cause, event.message
        if state == JobState.SUCCEEDED:
            message = self._check(number)
            if not message:
                return [number, state, Cause.NONE, event.exit_code, "", event.host, 0]
            state, cause = JobState.FAILED, Cause.EXIT
        else:
            cause = cause_of(event)
        if self._board.is_cancelled:
            return [number, JobState.DELETED, Cause.CANCELLED, event.exit_code, message, event.host, 0]
        if number in self._doomed:
            return [number, JobState.PRUNED, Cause.PARENT, event.exit_code, message, event.host, 0]
        if state == JobState.DELETED:
            return [number, state, Cause.CANCELLED, event.exit_code, message, event.host, 0]
        verdict = judge(self._requests.settings_for(number), self._tally(number, cause), event, cause)
        again = verdict.again
        if not again and self._engine.looks_ahead and not self._frontier.is_released(number):
            # It was begun on the word of the engine about one that is not done by its record.
            again = True
        said = "; ".join(w for w in (message, verdict.why if not again else "") if w)
        self._tell(number, cause, said, again=again)
        return [number, JobState.FAILED, cause, event.exit_code, said, event.host, int(again)]

    def _check(self, number: int) -> str:
        """Return what a job's record lacks; empty where it lacks nothing, or where there is to be none."""
        quanta = self._ledger.workflow.quanta.of(number)
        if not len(quanta) or not has_record(self._requests.settings_for(number)):
            return ""
        return lacks(self._ledger.where.record(number), quanta.tolist())

    def _tally(self, number: int, cause: Cause) -> Tally:
        board = self._board
        is_loss = cause in {Cause.NODE, Cause.PREEMPTED}
        return Tally(
            int(board.failures[number]) + (not is_loss),
            int(board.memory_failures[number]) + (cause == Cause.MEMORY),
            int(board.losses[number]) + is_loss,
        )

    def _tell(self, number: int, cause: Cause, message: str, *, again: bool) -> None:
        name, attempt = self._ledger.workflow.names[number], int(self._board.begun[number]) - 1
        then = "begins again" if again else "has failed"
        _log.warning("%s (attempt %d, %s) %s%s", name, attempt, cause, then, message and f": {message}")

    def _prune(self, idle: list[int], given: list[int]) -> None:
        if idle:
            self._ledger.note(["prune", idle])
        new = [n for n in given if n not in self._doomed]
        self._doomed.update(new)
        self._to_end.update(new)


def _news(events: Sequence[JobEvent]) -> list[Line]:
    last: Mapping[int, JobEvent] = {e.number: e for e in events}
    if not last:
        return []
    found = list(last.values())
    return [
        ["news", list(last), [e.state for e in found], [e.message for e in found], [e.host for e in found]]
    ]
