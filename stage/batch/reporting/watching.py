"""`Watcher`: keep submissions going: one whose head is gone gets another, as after its machine was started again."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from registry.errors import StageError
from stage.batch.reporting.states import states_of
from stage.batch.reporting.whole import whole_of
from stage.batch.submission.handing import drive
from stage.batch.submission.identity import SubmitStage, load_identity, user_name
from stage.batch.submission.index import IndexEntry, all_entries
from stage.campaign.graph_reports import Document

__all__ = ["WatchEvent", "Watcher", "watch"]

_LONGEST_S = 3600.0
"""So long a submission is left alone at most, of which one head after the other ends before its time."""


@dataclass(frozen=True)
class WatchEvent(Document):
    """Something that was done about a submission, or that became of it.

    Parameters
    ----------
    run_id : int
        Its number.
    run_name : str
        Unique name of its run.
    submit_dir : str
        Its directory.
    what : str
        ``driven``, it has a new head; ``failed``, it could get none; ``elsewhere``, it was submitted on another machine;
        ``ended``, all that could be done is done.
    message : str
        A line for a person.
    at_ns : int
        When; UTC nanoseconds since 1970.
    """

    run_id: int
    run_name: str
    submit_dir: str
    what: str
    message: str
    at_ns: int


@dataclass
class _Care:
    """What a watcher remembers of one submission."""

    is_going: bool = False
    """Whether it was seen before its end."""
    n_heads: int = 0
    """How many heads it got since it was last seen with one."""
    not_before: float = 0.0
    is_told: bool = False


class Watcher:
    """Looks after all submissions of this user that were made on this machine.

    Parameters
    ----------
    interval_s : float, optional
        Time between two looks; twice as long, and twice again, before a submission whose heads keep ending gets another.
    """

    def __init__(self, interval_s: float = 60.0) -> None:
        self.interval_s = interval_s
        self._cares: dict[str, _Care] = {}
        self._over: set[str] = set()

    def look(self) -> list[WatchEvent]:
        """Look once, and do what is to be done.

        Returns
        -------
        list of WatchEvent
            What was done, and what has ended since the last look.
        """
        mine = [e for e in all_entries() if e.user == user_name() and e.submit_dir not in self._over]
        return [event for entry in mine if (event := self._look_at(entry)) is not None]

    def _look_at(self, entry: IndexEntry) -> WatchEvent | None:
        care = self._cares.setdefault(entry.submit_dir, _Care())
        try:
            return self._care_for(entry, care)
        except StageError as error:
            if care.is_told:
                return None
            care.is_told = True
            return _event(entry, "failed", str(error))

    def _care_for(self, entry: IndexEntry, care: _Care) -> WatchEvent | None:
        where = entry.where
        if not where.identity.is_file() or not load_identity(where).has_done(SubmitStage.SUBMIT):
            return None  # nothing of it is there any more, or not yet
        states, needs_head = states_of(where)
        if states.is_ended:
            self._over.add(entry.submit_dir)
            whole = whole_of(states, str(entry.id or where.root), needs_head=needs_head)
            said = f"{whole.state}{': ' if whole.note else ''}{whole.note}"
            return _event(entry, "ended", said) if care.is_going else None
        care.is_going = True
        if not needs_head or states.head is not None:
            care.n_heads, care.not_before, care.is_told = 0, 0.0, False
            return None
        if entry.host != socket.gethostname():
            said = f"nobody drives it; it was submitted on {entry.host}: watch it there"
            told, care.is_told = care.is_told, True
            return None if told else _event(entry, "elsewhere", said)
        return self._drive(entry, care) if time.monotonic() >= care.not_before else None

    def _drive(self, entry: IndexEntry, care: _Care) -> WatchEvent:
        # The first look after this one may give it another; from then on it takes twice as long each time.
        pause_s = min(_LONGEST_S, self.interval_s * 2**care.n_heads) if care.n_heads else 0.0
        care.n_heads += 1
        care.not_before = time.monotonic() + pause_s
        try:
            drive(entry.where, wait=False)
        except StageError as error:
            return _event(entry, "failed", str(error))
        again = (
            ""
            if care.n_heads == 1
            else f" ({care.n_heads} since one lasted until it was looked at: see head.log)"
        )
        return _event(entry, "driven", f"nobody drove it; a new head goes on{again}")


def watch(
    *, once: bool = False, interval_s: float = 60.0, on_event: Callable[[WatchEvent], Any] | None = None
) -> list[WatchEvent]:
    """Look after submissions until somebody ends that.

    Parameters
    ----------
    once : bool, optional
        Look once, and return.
    interval_s : float, optional
        Time between two looks.
    on_event : callable, optional
        Called with each event as it happens.

    Returns
    -------
    list of WatchEvent
        Those of the only look.
    """
    watcher = Watcher(interval_s)
    while True:
        events = watcher.look()
        if on_event is not None:
            for event in events:
                on_event(event)
        if once:
            return events
        time.sleep(interval_s)


def _event(entry: IndexEntry, what: str, message: str) -> WatchEvent:
    return WatchEvent(entry.id, entry.name, entry.submit_dir, what, message, time.time_ns())
