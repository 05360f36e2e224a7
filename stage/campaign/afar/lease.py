"""`lease`: one command at a time changes a campaign that is kept at a URI, from whatever machine.

The store has no locks: a small object that is made only if there is none says who is at work, and is written again
while that lasts. One that nobody has touched for a while belongs to a machine that died, and is taken over. It keeps people
from working in vain; what decides is that of two generations of one number only one can be saved.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from registry.errors import AlreadyExistsError, BusyError, NotFoundError, StageError
from stage.campaign.lock import Holder
from sync.filesystem import files
from sync.filesystem.creating import create

__all__ = ["DEAD_S", "holder_of", "lease"]

_log = logging.getLogger(__name__)
DEAD_S = 300.0
"""Whoever has not said for so long that he is alive is not."""
_BEAT_S = 30.0
_LONGEST_PAUSE_S = 5.0


@contextmanager
def lease(place: str, me: Holder, timeout_s: float) -> Iterator[None]:
    """Be the only one who changes a campaign.

    Parameters
    ----------
    place : str
        The object that says who is.
    me : Holder
        This process.
    timeout_s : float
        Longest wait for another, in seconds.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    BusyError
        If another is changing it; ``.holder`` says who.
    StorageError
        If the store cannot be written.
    """
    _take(place, me, timeout_s)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(place, me, ended), name="campaign-lease", daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        with suppress(StageError):
            if _read(place)[0] == me:
                files.remove(place, missing_ok=True)


def holder_of(place: str) -> Holder | None:
    """Return who is changing a campaign.

    Parameters
    ----------
    place : str
        The object that says who is.

    Returns
    -------
    Holder or None
        None if nobody is, or nobody who is alive.
    """
    found, at_s = _read(place)
    return found if found is not None and time.time() - at_s <= DEAD_S else None


def _take(place: str, me: Holder, timeout_s: float) -> None:
    began, pause_s, is_told = time.monotonic(), 0.1, False
    while True:
        try:
            create(place, (_document(me),))
        except AlreadyExistsError:
            other, at_s = _read(place)
        else:
            return
        if other is None:
            continue  # it has just been released
        if _is_dead(other, me, at_s):
            _log.warning("healed the lock of %s, which ended without releasing it", other)
            files.remove(place, missing_ok=True)
            continue
        waited_s = time.monotonic() - began
        if waited_s >= timeout_s:
            where = files.redact(place.removesuffix("/.campaign/lock.json"))
            raise BusyError(
                f"campaign {where} is held by {other}",
                code="campaign-busy",
                holder=str(other),
                waited_s=waited_s,
                hint="Wait for it to end, as with --lock-timeout SECONDS. If its machine died, it is free "
                f"{DEAD_S / 60:g} minutes after that.",
            )
        if not is_told:
            _log.warning("waiting for %s to end", other)
            is_told = True
        time.sleep(min(pause_s, max(0.0, timeout_s - waited_s)))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _is_dead(other: Holder, me: Holder, at_s: float) -> bool:
    """Tell whether a holder has ended; another user of this machine has a copy of his own, and may be at work on it."""
    if time.time() - at_s > DEAD_S:
        return True
    # What this very process has left is over: it has the lock of its copy, which it would not get twice.
    return other.host == me.host and (other.pid == me.pid or not _lives(other.pid))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _beat(place: str, me: Holder, ended: threading.Event) -> None:
    while not ended.wait(_BEAT_S):
        try:
            if _read(place)[0] == me:
                files.write_bytes(place, _document(me))
        except StageError as error:
            _log.warning("cannot say that this command is still at work: %s", error)


def _document(me: Holder) -> bytes:
    return json.dumps({"holder": asdict(me), "at_s": time.time()}).encode()


def _read(place: str) -> tuple[Holder | None, float]:
    try:
        document: Any = json.loads(files.read_bytes(place))
        return Holder(**document["holder"]), float(document["at_s"])
    except NotFoundError:
        return None, 0.0
    except (ValueError, TypeError, KeyError):
        return Holder("", os.getpid(), "", 0), 0.0  # nobody can have written that: it is dead
