"""`OneSite`: one of the sites of a submission: its engine, what that has, and what waits for it to answer again."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from registry.errors import BusyError, StageError, StorageError
from stage.batch.engines.base import Cause, DrivenEngine, JobEvent, JobRequest, JobState
from stage.batch.layout import SubmitDir

__all__ = ["OneSite", "SiteDir", "join_handle", "split_handle"]

_log = logging.getLogger(__name__)
_PAUSES_S = (0.0, 1.0, 3.0, 5.0, 10.0, 15.0, 20.0)
"""So long a site is left alone that did not answer, longer each time."""
_ENDS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.DELETED})


@dataclass(frozen=True, slots=True)
class SiteDir(SubmitDir):
    """The paths of a submission, as the engine of one of its sites has them.

    Parameters
    ----------
    root : pathlib.Path
        As of the submission.
    site : str
        The site.
    """

    site: str = ""

    @property
    def engine(self) -> Path:
        """Directory of the files that the engine made for itself: no two sites share one."""
        return self.root / "engine" / "sites" / quote(self.site, safe="")

    @property
    def tag(self) -> str:
        """By what the engine knows its own: not those of another site of the same submission."""
        return f"{self.root}@{self.site}"


def join_handle(site: str, handle: str) -> str:
    """Return the handle of a job of a site.

    Parameters
    ----------
    site : str
        The site.
    handle : str
        What its engine gave.

    Returns
    -------
    str
        ``site:handle``.
    """
    return f"{quote(site, safe='')}:{handle}"


def split_handle(handle: str) -> tuple[str, str]:
    """Take such a handle apart.

    Parameters
    ----------
    handle : str
        As `join_handle` made it; empty if a head was killed before it was noted.

    Returns
    -------
    site, handle : str
        Empty if it is none.
    """
    site, colon, rest = handle.partition(":")
    return (unquote(site), rest) if colon else ("", "")


class _Pause:
    """When something that could not be done is tried again."""

    def __init__(self) -> None:
        self._times = 0
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._until

    def longer(self) -> float:
        pause = _PAUSES_S[min(self._times, len(_PAUSES_S) - 1)]
        self._times += 1
        self._until = time.monotonic() + pause
        return pause

    def end(self) -> None:
        self._times = 0


class OneSite:
    """A site of a submission that has several.

    Parameters
    ----------
    name : str
        The site's.
    engine : DrivenEngine
        Not opened yet.
    """

    def __init__(self, name: str, engine: DrivenEngine) -> None:
        self.name, self.engine = name, engine
        self.fault: StageError | None = None
        self.is_open = False
        self._where = SubmitDir(Path())
        self._given: dict[int, tuple[int, str]] = {}
        self._unsure: dict[int, JobRequest] = {}
        self._queue: list[JobRequest] = []
        self._to_cancel: set[int] = set()
        self._said: list[JobEvent] = []
        self._was_told = False
        self._starts, self._talks = _Pause(), _Pause()

    @property
    def has_work(self) -> bool:
        """Whether something of it can still be heard of."""
        return self.fault is None and bool(self._given or self._queue or self._to_cancel or self._said)

    @property
    def is_answering(self) -> bool:
        """Whether its engine is open, and has not failed."""
        return self.is_open and self.fault is None

    @property
    def is_away(self) -> bool:
        """Whether it did not answer yet, and may answer later."""
        return not self.is_open and self.fault is None

    def open(self, where: SiteDir, known: Mapping[int, tuple[int, str]]) -> None:
        """Get ready; a site that does not answer is asked again by `turn`.

        Parameters
        ----------
        where : SiteDir
            The submission's directory.
        known : mapping of int to (int, str)
            What it has by the journal: attempt and handle.
        """
        self._where = where
        self._given = dict(known)
        self._was_told = False

    def awake(self, unplaced: Mapping[int, int]) -> list[int] | None:
        """Open the engine, if it is time to.

        Parameters
        ----------
        unplaced : mapping of int to int
            Jobs that some site may have, since a head was killed before it had noted which: attempt by number.

        Returns
        -------
        list of int or None
            Those of them that this one has; None if it was not asked, or does not answer.
        """
        if self.is_open or self.fault or not self._talks.is_over:
            return None
        asked = self._given | {n: (attempt, "") for n, attempt in unplaced.items()}
        try:
            found = self.engine.open(self._where, asked)
        except StageError as error:
            self._put_off(error, self._talks)
            return None
        self.is_open = True
        self._talks.end()
        return self._adopt(found, asked)

    def _adopt(
        self, found: Sequence[tuple[int, int, str]], asked: Mapping[int, tuple[int, str]]
    ) -> list[int]:
        ours = {n: (attempt, handle) for n, attempt, handle in found if asked.get(n, (-1,))[0] == attempt}
        mine = [n for n in ours if n not in self._given]
        gone = {n: attempt for n, (attempt, _) in self._given.items() if n not in ours}
        for number in gone.keys() & self._unsure.keys():
            self._again(self._unsure[number])
        if self._was_told:
            self._said += [self.lost(n, attempt) for n, attempt in gone.items() if n not in self._unsure]
        self._to_cancel = (self._to_cancel - gone.keys()) | ({n for n, _, _ in found} - ours.keys())
        self._given = ours
        self._unsure.clear()
        return mine

    def _again(self, request: JobRequest) -> None:
        """Keep an attempt that was not taken, unless it was cancelled meanwhile."""
        if request.number in self._to_cancel:
            self._said.append(JobEvent(request.number, request.attempt, JobState.DELETED, Cause.CANCELLED))
        else:
            self._queue.append(request)

    def lost(self, number: int, attempt: int) -> JobEvent:
        """Return the end of an attempt that it does not have, as was thought.

        Parameters
        ----------
        number, attempt : int
            Which.

        Returns
        -------
        JobEvent
            As of a machine that was lost.
        """
        said = f"site '{self.name}' does not have it any more"
        return JobEvent(number, attempt, JobState.FAILED, Cause.NODE, message=said)

    def handles(self) -> list[tuple[int, int, str]]:
        """Return what it has.

        Returns
        -------
        list of (int, int, str)
            Number, attempt, and handle with its name in front; also of jobs that it may have when it answers. Of those
            that it turns out not to have after this was asked, `turn` says so.
        """
        self._was_told = True
        return [(n, attempt, join_handle(self.name, handle)) for n, (attempt, handle) in self._given.items()]

    def take(self, requests: Sequence[JobRequest]) -> list[str | JobEvent]:
        """Give it some attempts, or keep them until it has room.

        Parameters
        ----------
        requests : sequence of JobRequest
            All of this site.

        Returns
        -------
        list of str or JobEvent
            Handles, or the ends of those that cannot be started.
        """
        if self.fault is not None:
            self._said += [_held(r, self.fault) for r in requests]
        self._queue += requests
        ends = {e.number: e for e in self._feed()}
        answers: list[str | JobEvent] = [
            ends.pop(r.number)
            if r.number in ends
            else join_handle(self.name, self._given.get(r.number, (0, ""))[1])
            for r in requests
        ]
        self._said += ends.values()
        return answers

    def _feed(self) -> list[JobEvent]:
        """Give the engine what it has room for, the most urgent first; return what it could not start."""
        room = self.engine.capacity
        some = len(self._queue) if room is None else max(0, room - len(self._given))
        if not (self.is_answering and self._queue and some and self._starts.is_over):
            return []
        self._queue.sort(key=lambda r: -(r.settings.priority or 0))
        requests = self._queue[:some]
        try:
            answers = self.engine.start(requests)
        except StageError as error:
            self._refused(requests, error)
            return []
        self._starts.end()
        del self._queue[:some]
        ends = []
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, JobEvent):
                ends.append(answer)
            else:
                self._given[request.number] = request.attempt, answer
        return ends

    def _refused(self, requests: Sequence[JobRequest], error: StageError) -> None:
        self._put_off(error, self._starts)
        if isinstance(error, BusyError) or self.fault is not None:
            return
        # Nobody knows which were taken: the engine finds out when it is opened again.
        del self._queue[: len(requests)]
        self._unsure.update((r.number, r) for r in requests)
        self._given |= {r.number: (r.attempt, "") for r in requests}
        self.is_open = False
        self.engine.close()

    def turn(self, timeout_s: float) -> list[JobEvent]:
        """Do what is to be done, and listen for a while.

        Parameters
        ----------
        timeout_s : float
            Longest wait.

        Returns
        -------
        list of JobEvent
            What has changed.
        """
        if self.is_answering and self._talks.is_over:
            self._said += self._feed()
            if self.is_answering:
                self._listen(timeout_s if self._given and not self._said else 0.0)
        said, self._said = self._said, []
        return said

    def _listen(self, timeout_s: float) -> None:
        try:
            if self._to_cancel:
                self.engine.cancel(sorted(self._to_cancel))
                self._to_cancel.clear()
            events = self.engine.poll(timeout_s)
        except StageError as error:
            self._put_off(error, self._talks)
            return
        self._talks.end()
        for event in events:
            # Of what it was told to end, since it was given up, nobody wants to hear.
            if self._given.get(event.number, (-1,))[0] == event.attempt:
                self._said.append(event)
                if event.state in _ENDS:
                    del self._given[event.number]

    def cancel(self, numbers: Sequence[int]) -> list[int]:
        """End some jobs, now or when it answers again.

        Parameters
        ----------
        numbers : sequence of int
            Any jobs; those of other sites are passed over.

        Returns
        -------
        list of int
            Those that are this site's.
        """
        wanted = set(numbers)
        waiting = [r for r in self._queue if r.number in wanted]
        self._queue = [r for r in self._queue if r.number not in wanted]
        self._said += [JobEvent(r.number, r.attempt, JobState.DELETED, Cause.CANCELLED) for r in waiting]
        mine = wanted & self._given.keys()
        if self.fault is None:
            self._to_cancel |= mine
        else:
            for number in sorted(mine):
                attempt, _ = self._given.pop(number)
                said = f"site '{self.name}' cannot be told to end it: {self.fault.message}"
                self._said.append(JobEvent(number, attempt, JobState.DELETED, Cause.CANCELLED, message=said))
        return sorted(mine | {r.number for r in waiting})

    def close(self) -> None:
        """Let go of the engine."""
        self._queue.clear()
        if self.is_open:
            self.is_open = False
            self.engine.close()

    def _put_off(self, error: StageError, pause: _Pause) -> None:
        """Ask again later what cannot be done now; what never can holds all jobs of this site."""
        if isinstance(error, BusyError) or (isinstance(error, StorageError) and error.transient):
            _log.warning("site '%s': %s; asks again in %g s", self.name, error, pause.longer())
            return
        _log.error("site '%s' is given up: %s; jobs of other sites go on", self.name, error)
        self.fault = error
        self._said += [
            JobEvent(n, attempt, JobState.HELD, message=_why(error))
            for n, (attempt, _) in self._given.items()
        ]
        self._said += [_held(r, error) for r in self._queue]


def _why(error: StageError) -> str:
    return error.message.partition("\n")[0]


def _held(request: JobRequest, error: StageError) -> JobEvent:
    return JobEvent(request.number, request.attempt, JobState.HELD, message=_why(error))
