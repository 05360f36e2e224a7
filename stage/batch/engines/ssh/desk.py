"""`Desk`: the jobs that an engine has, by how far each is: to be sent, there, or to be brought home."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

from stage.batch.engines.base import Cause, JobEvent, JobRequest, JobState
from stage.batch.engines.ssh.fetching import Ended

__all__ = ["Desk", "Piece", "not_begun"]

_MOST_AT_ONCE = 64
_ENDS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.DELETED})
_Key = tuple[int, int]
_T = TypeVar("_T")


class _Phase(Enum):
    """How far a job is."""

    WAITS = auto()
    SENT = auto()
    """It is on its way there."""
    CANCELLED = auto()
    """It is on its way there, and is not to begin."""
    GIVEN = auto()
    ENDED = auto()
    """It has ended there, and what it left is not all home."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a thread is to do next: one of the three.

    Parameters
    ----------
    words : sequence of bytes, optional
        Lines for the agent.
    ended : sequence of (Ended, JobEvent), optional
        Jobs to bring home.
    requests : sequence of JobRequest, optional
        Jobs to send.
    """

    words: Sequence[bytes] = ()
    ended: Sequence[tuple[Ended, JobEvent]] = ()
    requests: Sequence[JobRequest] = ()


class Desk:
    """The jobs of an engine; each method takes the lock itself.

    Parameters
    ----------
    changed : threading.Condition
        Notified when there is something to do, or to say.
    n_threads : int
        How many share the work.
    """

    def __init__(self, changed: threading.Condition, n_threads: int) -> None:
        self.changed = changed
        self._n_threads = n_threads
        self._phases: dict[_Key, _Phase] = {}
        self._logs: dict[_Key, str] = {}
        self._to_send: deque[JobRequest] = deque()
        self._to_fetch: deque[tuple[Ended, JobEvent]] = deque()
        self._words: deque[bytes] = deque()
        self._said: list[JobEvent] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is no job that has not ended, with all that it left at home."""
        with self.changed:
            return not self._phases

    @property
    def has_news(self) -> bool:
        """Whether there is something to say."""
        return bool(self._said)

    def in_flight(self) -> Collection[int]:
        """Return the jobs that run there, or are to.

        Returns
        -------
        collection of int
            Without those that have ended there.
        """
        with self.changed:
            return {number for (number, _), phase in self._phases.items() if phase != _Phase.ENDED}

    def take(self, requests: Sequence[JobRequest], logs: Sequence[str]) -> None:
        """Take attempts that are to be sent.

        Parameters
        ----------
        requests : sequence of JobRequest
            Which.
        logs : sequence of str
            Their logs, relative to the submission's directory.
        """
        with self.changed:
            for request, log in zip(requests, logs, strict=True):
                key = (request.number, request.attempt)
                self._phases[key] = _Phase.WAITS
                self._logs[key] = log
                self._to_send.append(request)
            self.changed.notify_all()

    def adopt(self, given: Mapping[_Key, str]) -> None:
        """Take over attempts that are there already.

        Parameters
        ----------
        given : mapping of (int, int) to str
            Number and attempt to log.
        """
        with self.changed:
            self._phases |= dict.fromkeys(given, _Phase.GIVEN)
            self._logs |= given

    def hear(self, events: Iterable[JobEvent]) -> None:
        """Take what the agent says: news to be handed on, ends to be followed by what they left.

        Parameters
        ----------
        events : iterable of JobEvent
            In their order.
        """
        with self.changed:
            for event in events:
                key = (event.number, event.attempt)
                phase = self._phases.get(key)
                if phase is None or phase == _Phase.ENDED:
                    continue  # it was said before
                if event.state not in _ENDS:
                    self._said.append(event)
                    continue
                self._phases[key] = _Phase.ENDED
                self._to_fetch.append((Ended(*key, self._logs[key]), event))
            self.changed.notify_all()

    def say(self, events: Iterable[JobEvent]) -> None:
        """Say ends, of which nothing is left to do.

        Parameters
        ----------
        events : iterable of JobEvent
            Which.
        """
        with self.changed:
            for event in events:
                self._phases.pop((event.number, event.attempt), None)
                self._logs.pop((event.number, event.attempt), None)
                self._said.append(event)
            self.changed.notify_all()

    def told(self) -> list[JobEvent]:
        """Return what is to be said, once.

        Returns
        -------
        list of JobEvent
            In its order.
        """
        with self.changed:
            told, self._said = self._said, []
            return told

    def next(self, timeout_s: float, is_ending: threading.Event) -> Piece | None:
        """Wait for something to do.

        Parameters
        ----------
        timeout_s : float
            Longest wait.
        is_ending : threading.Event
            Whether nothing is to be begun any more.

        Returns
        -------
        Piece or None
            None if there was nothing.
        """
        with self.changed:
            self.changed.wait_for(
                lambda: is_ending.is_set() or self._words or self._to_fetch or self._to_send, timeout_s
            )
            if is_ending.is_set():
                return None
            if self._words:
                words, self._words = self._words, deque()
                return Piece(words=list(words))
            if self._to_fetch:
                return Piece(ended=self._some(self._to_fetch))
            if not self._to_send:
                return None
            requests = self._some(self._to_send)
            for request in requests:
                self._phases[request.number, request.attempt] = _Phase.SENT
            return Piece(requests=requests)

    def give_back(self, piece: Piece) -> None:
        """Take back what could not be done.

        Parameters
        ----------
        piece : Piece
            What `next` gave.
        """
        with self.changed:
            self._words.extendleft(reversed(piece.words))
            self._to_fetch.extendleft(reversed(piece.ended))
            for request in reversed(piece.requests):
                key = (request.number, request.attempt)
                if self._phases.get(key) == _Phase.CANCELLED:
                    self._drop(request)
                elif self._phases.get(key) == _Phase.SENT:
                    self._phases[key] = _Phase.WAITS
                    self._to_send.appendleft(request)
            self.changed.notify_all()

    def to_begin(self, requests: Sequence[JobRequest]) -> list[JobRequest]:
        """Choose from jobs that have been sent those that were not cancelled meanwhile.

        Parameters
        ----------
        requests : sequence of JobRequest
            Which; from now on they are there.

        Returns
        -------
        list of JobRequest
            The agent is to be told of these.
        """
        with self.changed:
            chosen = []
            for request in requests:
                key = (request.number, request.attempt)
                if self._phases.get(key) == _Phase.CANCELLED:
                    self._drop(request)
                elif key in self._phases:
                    chosen.append(request)
            return chosen

    def begun(self, requests: Sequence[JobRequest]) -> list[int]:
        """Note that the agent was told of jobs.

        Parameters
        ----------
        requests : sequence of JobRequest
            Which.

        Returns
        -------
        list of int
            Those that were cancelled in the moment: the agent is to end them.
        """
        late = []
        with self.changed:
            for request in requests:
                key = (request.number, request.attempt)
                phase = self._phases.get(key)
                if phase == _Phase.CANCELLED:
                    late.append(request.number)
                if phase in {_Phase.CANCELLED, _Phase.SENT}:
                    self._phases[key] = _Phase.GIVEN
        return late

    def cancel(self, numbers: Collection[int]) -> list[int]:
        """End jobs that are not there yet.

        Parameters
        ----------
        numbers : collection of int
            Which.

        Returns
        -------
        list of int
            Those that are there: the agent has to end them.
        """
        chosen, there = set(numbers), []
        with self.changed:
            for request in [r for r in self._to_send if r.number in chosen]:
                self._to_send.remove(request)
                self._drop(request)
            for (number, attempt), phase in self._phases.items():
                if number in chosen and phase == _Phase.SENT:
                    self._phases[number, attempt] = _Phase.CANCELLED
                elif number in chosen and phase == _Phase.GIVEN:
                    there.append(number)
            self.changed.notify_all()
        return there

    def speak(self, line: bytes) -> None:
        """Have the agent told something.

        Parameters
        ----------
        line : bytes
            Of its inbox.
        """
        with self.changed:
            self._words.append(line)
            self.changed.notify_all()

    def _some(self, queue: deque[_T]) -> list[_T]:
        count = min(_MOST_AT_ONCE, -(-len(queue) // self._n_threads))
        return [queue.popleft() for _ in range(count)]

    def _drop(self, request: JobRequest) -> None:
        key = (request.number, request.attempt)
        self._phases.pop(key, None)
        self._logs.pop(key, None)
        self._said.append(JobEvent(*key, JobState.DELETED, Cause.CANCELLED))


def not_begun(request: JobRequest, why: str) -> JobEvent:
    """Return the end of a job that could not be begun.

    Parameters
    ----------
    request : JobRequest
        Which.
    why : str
        For a person.

    Returns
    -------
    JobEvent
        It failed to start.
    """
    return JobEvent(request.number, request.attempt, JobState.FAILED, Cause.START, None, why)
