"""`Board`: where all jobs of a submission are, as columns: made from the lines of a journal, one way for all readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from registry.errors import IntegrityError
from stage.batch.driving.journal import Line
from stage.batch.engines.base import Cause, JobState

__all__ = ["CAUSES", "NO_EXIT_CODE", "STATES", "Attempt", "Board"]

STATES = tuple(JobState)
"""The states in the order of the codes that columns hold."""
CAUSES = tuple(Cause)
"""The causes, likewise."""
NO_EXIT_CODE = np.iinfo(np.int32).min
"""Stands where a program has not ended with a code."""

_STATE = {state.value: code for code, state in enumerate(STATES)}
_CAUSE = {cause.value: code for code, cause in enumerate(CAUSES)}
_WAITS = _STATE[JobState.UNREADY]
_GIVEN_TO = _STATE[JobState.PENDING]
_GIVEN = frozenset(_STATE[s] for s in (JobState.PENDING, JobState.RUNNING, JobState.HELD))
_AGAIN = (JobState.FAILED, JobState.PRUNED, JobState.DELETED)


class Attempt(NamedTuple):
    """One attempt at one job, as `Board.attempts` lists them.

    Parameters
    ----------
    number : int
        The job; -1 is the final one.
    attempt : int
        From 0.
    memory_mb : int
        What it could have; 0 if that was not said.
    begun_ns, ended_ns : int
        UTC nanoseconds since 1970: when it was given to the engine, and when its end was heard of; 0 if it was not.
    state : JobState
        What it came to; UNKNOWN if it was lost with the head that began it.
    cause : Cause
        Why it ended without success.
    exit_code : int or None
        Of its program.
    message, host : str
        As the engine said.
    """

    number: int
    attempt: int
    memory_mb: int = 0
    begun_ns: int = 0
    ended_ns: int = 0
    state: JobState = JobState.PENDING
    cause: Cause = Cause.NONE
    exit_code: int | None = None
    message: str = ""
    host: str = ""


class Board:
    """Jobs as columns of n_jobs + 1 rows; the last is the final job's, so that its number is -1.

    Parameters
    ----------
    n_jobs : int
        Number of jobs.
    history : bool, optional
        Whether to keep all attempts, for reports.

    Attributes
    ----------
    state : numpy.ndarray of int8
        Place in `STATES`; UNREADY is all that waits, for others or for room.
    begun : numpy.ndarray of int32
        How often it was begun.
    failures, memory_failures, losses : numpy.ndarray of int32
        How often it failed since it was last restarted; how many of these for want of memory; how often its machine
        was lost or it was preempted.
    memory_mb, exit_code, cause : numpy.ndarray
        Of the last attempt.
    begun_ns, ended_ns : numpy.ndarray of int64
        Times of the last attempt.
    messages, hosts, handles : dict of int to str
        Of jobs that have some; handles only of those that an engine has.
    changes : list of dict
        What restarts have changed.
    attempts : list of Attempt
        All, in the order in which they ended or were begun; empty without `history`.
    is_cancelled, is_ended : bool
        Whether somebody has cancelled it; whether all has ended.
    """

    def __init__(self, n_jobs: int, *, history: bool = False) -> None:
        n = n_jobs + 1
        self.n_jobs = n_jobs
        self.state = np.full(n, _WAITS, dtype=np.int8)
        self.begun, self.failures, self.memory_failures, self.losses, self.memory_mb = (
            np.zeros(n, dtype=np.int32) for _ in range(5)
        )
        self.exit_code = np.full(n, NO_EXIT_CODE, dtype=np.int32)
        self.cause = np.zeros(n, dtype=np.int8)
        self.begun_ns, self.ended_ns = (np.zeros(n, dtype=np.int64) for _ in range(2))
        self.messages: dict[int, str] = {}
        self.hosts: dict[int, str] = {}
        self.handles: dict[int, str] = {}
        self.changes: list[dict[str, Any]] = []
        self.is_cancelled = False
        self.is_ended = False
        self.attempts: list[Attempt] = []
        self._going: dict[int, Attempt] | None = {} if history else None
        # One value is put into a column by its buffer, which takes a third of the time that the array takes.
        self._state, self._begun, self._memory_mb = self.state.data, self.begun.data, self.memory_mb.data
        self._begun_ns, self._ended_ns = self.begun_ns.data, self.ended_ns.data
        self._cause, self._exit_code = self.cause.data, self.exit_code.data

    def given(self) -> list[int]:
        """Return the jobs that an engine has, by what is known.

        Returns
        -------
        list of int
            Their numbers, without the final job.
        """
        mask = np.isin(self.state[:-1], list(_GIVEN))
        found: list[int] = np.flatnonzero(mask).tolist()
        return found

    def are(self, state: JobState) -> npt.NDArray[np.bool_]:
        """Tell which jobs are in a state.

        Parameters
        ----------
        state : JobState
            Which.

        Returns
        -------
        numpy.ndarray of bool
            n_jobs values.
        """
        return np.equal(self.state[:-1], _STATE[state])

    def counts(self) -> dict[JobState, int]:
        """Count the jobs, without the final one.

        Returns
        -------
        dict of JobState to int
            By state; states that occur.
        """
        found = np.bincount(self.state[:-1], minlength=len(STATES)).tolist()
        return {state: n for state, n in zip(STATES, found, strict=True) if n}

    def state_of(self, number: int) -> JobState:
        """Return where one job is.

        Parameters
        ----------
        number : int
            The job; -1 is the final one.

        Returns
        -------
        JobState
            UNREADY for all that wait.
        """
        return STATES[int(self.state[number])]

    def replay(self, lines: Iterable[Line]) -> None:
        """Take in what lines of a journal say.

        Parameters
        ----------
        lines : iterable of list
            In their order.

        Raises
        ------
        IntegrityError
            If one says something that cannot be, as when it is of another submission.
        """
        for line in lines:
            try:
                _TAKE[line[0]](self, *line[1:])
            except (TypeError, ValueError, KeyError, IndexError) as error:
                raise IntegrityError(
                    f"the journal has a line that is not of this submission: {repr(line)[:80]} ({error})",
                    code="bad-journal",
                    hint="Submit again; what ended is in the record files.",
                ) from error

    def _on_open(self, when: int, about: dict[str, Any]) -> None:
        del when
        if about["jobs"] != self.n_jobs:
            raise ValueError(f"{about['jobs']} jobs, not {self.n_jobs}")
        self.is_ended = False

    def _on_begin(self, when: int, numbers: list[int], attempts: list[int], memory: list[int]) -> None:
        for n, attempt, mb in zip(numbers, attempts, memory, strict=True):
            self._state[n] = _GIVEN_TO
            self._begun[n] = attempt + 1
            self._memory_mb[n] = mb
            self._begun_ns[n] = when
            if n in self.messages:
                del self.messages[n]
            if self._going is not None:
                self._going[n] = Attempt(n, attempt, mb, when)

    def _on_handle(self, when: int, numbers: list[int], handles: list[str]) -> None:
        del when
        self.handles.update(zip(numbers, handles, strict=True))

    def _on_news(
        self, when: int, numbers: list[int], states: list[str], messages: list[str], hosts: list[str]
    ) -> None:
        del when
        for n, state, message, host in zip(numbers, states, messages, hosts, strict=True):
            self._state[n] = _STATE[state]
            self._say(n, message, host)

    def _on_end(self, when: int, rows: list[list[Any]]) -> None:
        for n, state, cause, code, message, host, goes_again in rows:
            self._state[n] = _WAITS if goes_again else _STATE[state]
            self._ended_ns[n] = when
            self._cause[n] = _CAUSE[cause]
            self._exit_code[n] = NO_EXIT_CODE if code is None else code
            if state == JobState.FAILED:
                self._count(n, cause)
            self._say(n, message, host)
            self.handles.pop(n, None)
            if self._going is not None:
                self._end(self._going, n, (when, JobState(state), Cause(cause), code))

    def _count(self, n: int, cause: str) -> None:
        if cause in {Cause.NODE, Cause.PREEMPTED}:
            self.losses[n] += 1
        else:
            self.failures[n] += 1
            self.memory_failures[n] += cause == Cause.MEMORY

    def _on_lost(self, when: int, numbers: list[int]) -> None:
        """Take back attempts of which nobody knows any more: they count for nothing."""
        for n in numbers:
            self.state[n] = _WAITS
            self._over(n, when, JobState.UNKNOWN, Cause.NODE)

    def _on_back(self, when: int, numbers: list[int]) -> None:
        """Take back attempts that were not begun, since something that they wait for did not succeed."""
        del when
        for n in numbers:
            self.state[n] = _WAITS
            self.begun[n] -= 1
            self.handles.pop(n, None)
            if self._going is not None:
                self._going.pop(n, None)

    def _on_prune(self, when: int, numbers: list[int]) -> None:
        self.state[numbers] = _STATE[JobState.PRUNED]
        self.ended_ns[numbers] = when

    def _on_delete(self, when: int, numbers: list[int]) -> None:
        self.state[numbers] = _STATE[JobState.DELETED]
        self.ended_ns[numbers] = when
        for n in numbers:
            self._over(n, when, JobState.DELETED, Cause.CANCELLED)

    def _over(self, n: int, when: int, state: JobState, cause: Cause) -> None:
        """Note that the engine says nothing any more of an attempt, if it has one."""
        self.handles.pop(n, None)
        if self._going is not None and n in self._going:
            self._end(self._going, n, (when, state, cause, None))

    def _on_cancel(self, when: int) -> None:
        del when
        self.is_cancelled = True

    def _on_restart(self, when: int, changes: dict[str, Any], numbers: list[int]) -> None:
        del when
        self.changes.append(changes)
        self.is_cancelled = self.is_ended = False
        chosen = [*numbers, -1]
        self.state[chosen] = _WAITS
        for column in (self.failures, self.memory_failures, self.losses):
            column[chosen] = 0

    def _on_close(self, when: int, ended: int) -> None:
        del when
        self.is_ended = bool(ended)

    def _say(self, n: int, message: str, host: str) -> None:
        if message:
            self.messages[n] = message
        elif n in self.messages:
            del self.messages[n]
        if host:
            self.hosts[n] = host

    def _end(self, going: dict[int, Attempt], n: int, end: tuple[int, JobState, Cause, int | None]) -> None:
        begun = going.pop(n, None) or Attempt(n, self._begun[n] - 1)
        self.attempts.append(Attempt(*begun[:4], *end, self.messages.get(n, ""), self.hosts.get(n, "")))

    def all_attempts(self) -> Sequence[Attempt]:
        """Return each attempt.

        Returns
        -------
        sequence of Attempt
            Those that ended in the order in which they did, then those that go on, as far as they have come.
        """
        going = (self._going or {}).values()
        return [*self.attempts, *(a._replace(state=self.state_of(a.number)) for a in going)]

    def to_restart(self, *, include_unlaunched: bool) -> list[int]:
        """Return the jobs that ended without success.

        Parameters
        ----------
        include_unlaunched : bool
            Also those that were never begun.

        Returns
        -------
        list of int
            Rising.
        """
        mask = np.isin(self.state[:-1], [_STATE[s] for s in _AGAIN])
        if not include_unlaunched:
            mask &= self.begun[:-1] > 0
        found: list[int] = np.flatnonzero(mask).tolist()
        return found


_TAKE: dict[str, Callable[..., None]] = {
    name.removeprefix("_on_"): take for name, take in vars(Board).items() if name.startswith("_on_")
}
