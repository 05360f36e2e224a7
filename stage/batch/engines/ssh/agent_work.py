"""`Work`: what an agent does with its engine: gives it what home asks for, and hears what becomes of it."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from registry.errors import BusyError, StorageError
from stage.batch.engines.base import Cause, DrivenEngine, JobEvent, JobRequest, JobState
from stage.batch.engines.ssh.agent_mail import ENDS, History, Key, Mail, RequestReader, row_of
from stage.batch.layout import SubmitDir

__all__ = ["Work"]

_log = logging.getLogger(__name__)
_SCHEDULE_S = (0.0, 1.0, 3.0, 5.0, 10.0, 15.0, 20.0)
"""So long it waits before it asks a busy engine again."""
_MOST_AT_ONCE = 1000


class Work:
    """The jobs of one run, on their way through an engine.

    Parameters
    ----------
    engine : DrivenEngine
        Not opened.
    where : SubmitDir
        The submission's directory, here.
    mail : Mail
        What home is told.
    history : History
        What it was told before.
    """

    def __init__(self, engine: DrivenEngine, where: SubmitDir, mail: Mail, history: History) -> None:
        self._engine, self._where, self._mail = engine, where, mail
        self._requests = RequestReader()
        self._waiting: deque[JobRequest] = deque()
        self._asked: set[Key] = set()
        self._given = history.left()
        self._ends = history.ends
        self._attempt: dict[int, int] = {}
        self._to_end: set[int] = set()
        self._strays: set[int] = set()
        self._busy = 0
        self._ask_again = 0.0
        self.is_open = False
        self._told = ""
        self.n_ends_asked = 0
        self.is_to_end = False

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._waiting and not self._given

    def hear(self, messages: Sequence[Mapping[str, Any]], *, again: bool = True) -> None:
        """Take in what home says.

        Parameters
        ----------
        messages : sequence of mapping
            In order.
        again : bool, optional
            Whether the end of what has ended is said again to who asks for it again.
        """
        for message in messages:
            for said in message.get("start", ()):
                self._ask(self._requests.read(said), again=again)
            if "cancel" in message:
                self._cancel({int(n) for n in message["cancel"]})
            if "end" in message:
                self.n_ends_asked += 1
                self.is_to_end = True

    def step(self, timeout_s: float) -> None:
        """Do what there is to do, and wait for news. The engine is opened first, and that is all for once.

        Parameters
        ----------
        timeout_s : float
            Longest wait.

        Raises
        ------
        StageError
            What the engine says that no waiting helps against.
        """
        if time.monotonic() < self._ask_again:
            time.sleep(min(timeout_s, self._ask_again - time.monotonic()))
            return
        try:
            if self.is_open:
                self._work(timeout_s)
            else:
                self._open()
            self._busy, self._told = 0, ""
        except (BusyError, StorageError) as error:
            self._put_off(error)

    def close(self) -> None:
        """Let go of the engine."""
        if self.is_open:
            self.is_open = False
            self._engine.close()

    def _open(self) -> None:
        known = {number: (attempt, handle) for (number, attempt), handle in self._given.items()}
        found = self._engine.open(self._where, known)
        self.is_open = True
        self._adopt({(number, attempt): handle for number, attempt, handle in found})

    def _work(self, timeout_s: float) -> None:
        self._press()
        has_begun = self._give()
        if self._given:
            self._take(self._engine.poll(0.0 if has_begun else timeout_s))
        elif not has_begun:
            time.sleep(timeout_s)

    def _ask(self, request: JobRequest, *, again: bool) -> None:
        key = request.number, request.attempt
        self.is_to_end = False
        if key in self._ends:
            if again:
                self._mail.say(events=[self._ends[key]])
            return
        if key in self._asked:
            return
        self._asked.add(key)
        self._attempt[request.number] = max(request.attempt, self._attempt.get(request.number, 0))
        if key not in self._given:
            self._waiting.append(request)

    def _cancel(self, numbers: set[int]) -> None:
        kept = deque(r for r in self._waiting if r.number not in numbers)
        gone = [r for r in self._waiting if r.number in numbers]
        self._waiting = kept
        self._take([JobEvent(r.number, r.attempt, JobState.DELETED, Cause.CANCELLED) for r in gone])
        # What was said before an attempt was asked for is not about that one.
        self._to_end |= {n for n in numbers if (n, self._attempt.get(n, -1)) in self._given}

    def _adopt(self, found: Mapping[Key, str]) -> None:
        """Go on with what the engine still has; what it does not know any more is lost."""
        lost = [key for key in self._given if key not in found]
        why = (
            "the agent that ran it was lost" if not self._engine.leaves else "the engine knows nothing of it"
        )
        self._take([JobEvent(*key, JobState.FAILED, Cause.NODE, message=why) for key in lost])
        waiting = {(r.number, r.attempt) for r in self._waiting}
        for key, handle in found.items():
            if key in self._given or key in waiting:
                self._given[key] = handle
            else:
                self._strays.add(key[0])  # it was given up meanwhile
        self._waiting = deque(r for r in self._waiting if (r.number, r.attempt) not in found)

    def _press(self) -> None:
        numbers = sorted(self._to_end & {number for number, _ in self._given} | self._strays)
        if numbers:
            self._engine.cancel(numbers)
        self._to_end.clear()
        self._strays.clear()

    def _give(self) -> bool:
        room = self._engine.capacity
        limit = _MOST_AT_ONCE if room is None else min(room - len(self._given), _MOST_AT_ONCE)
        batch = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        batch = self._fit(batch)
        if not batch:
            return False
        for folder in {r.log.parent for r in batch}:
            with suppress(OSError):  # the engine says of a job that it has no log
                folder.mkdir(parents=True, exist_ok=True)
        # Said before it is done: whoever takes over knows what to look for.
        self._mail.say(given=[[r.number, r.attempt, ""] for r in batch])
        try:
            self._mail.post()
        except OSError:
            self._waiting.extendleft(reversed(batch))  # the disk is full: first of all that has to be said
            return False
        try:
            answers = self._engine.start(batch)
        except BusyError:
            self._waiting.extendleft(reversed(batch))
            raise
        except StorageError:
            # Nobody knows which were taken; that is found out by opening it again.
            self._given |= {(r.number, r.attempt): "" for r in batch}
            self.close()
            raise
        keys = [(r.number, r.attempt) for r in batch]
        handles = {k: a for k, a in zip(keys, answers, strict=True) if isinstance(a, str)}
        self._given |= dict.fromkeys(keys, "") | handles
        if any(handles.values()):
            self._mail.say(given=[[*key, handle] for key, handle in handles.items() if handle])
        self._take([a for a in answers if isinstance(a, JobEvent)])
        return True

    def _fit(self, batch: Sequence[JobRequest]) -> list[JobRequest]:
        """Leave out of what jobs wait for whatever has ended; those whose parent has failed are not begun."""
        with_engine = {n for n, _ in self._given} | {r.number for r in batch}
        found: list[JobRequest] = []
        for request in batch:
            after = tuple(n for n in request.after if n in with_engine)
            if any(self._has_failed(n) for n in request.after if n not in with_engine):
                why = "what it waits for did not succeed"
                event = JobEvent(request.number, request.attempt, JobState.FAILED, Cause.PARENT, message=why)
                self._take([event])
            else:
                found.append(request if after == request.after else replace(request, after=after))
        return found

    def _has_failed(self, number: int) -> bool:
        row = self._ends.get((number, self._attempt.get(number, -1)))
        return row is not None and row[2] != JobState.SUCCEEDED

    def _take(self, events: Sequence[JobEvent]) -> None:
        rows = []
        for event in events:
            key = event.number, event.attempt
            if key in self._ends:
                continue  # one that was said to be lost, and is not
            rows.append(row_of(event))
            if event.state in ENDS:
                self._given.pop(key, None)
                self._ends[key] = rows[-1]
        if rows:
            self._mail.say(events=rows)

    def _put_off(self, error: BusyError | StorageError) -> None:
        """Ask again later what the engine cannot do now, later each time; what it never can is raised."""
        if isinstance(error, StorageError) and not error.transient:
            raise error
        pause = _SCHEDULE_S[min(self._busy, len(_SCHEDULE_S) - 1)]
        self._busy += 1
        self._ask_again = time.monotonic() + pause
        _log.warning("%s; asks again in %g s", error, pause)
        if str(error) != self._told:
            self._told = str(error)
            self._mail.say(error=told_of(error, transient=True))


def told_of(error: Any, *, transient: bool) -> dict[str, Any]:
    """Return what home is told of an error.

    Parameters
    ----------
    error : StageError
        What an engine raised.
    transient : bool
        Whether the agent goes on.

    Returns
    -------
    dict
        Values of JSON.
    """
    return {"code": error.code, "message": str(error), "hint": error.hint, "transient": transient}
