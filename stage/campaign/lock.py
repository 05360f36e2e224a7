"""One campaign, many terminals: who is changing it.

The lock is the operating system's, on a file of the campaign, so it goes with its process however that ends and
there is nothing to clean up: a dead holder's lock is free at once. The file's content only tells others who holds it.
POSIX record locks are used because the children of a fork, a pool's workers among them, do not inherit them.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry.errors import BusyError, StorageError, UsageError
from stage.campaign.layout import AFAR_FILE

__all__ = ["Holder", "campaign_lock", "lock_timeout", "read_holder"]

_log = logging.getLogger(__name__)
_MAX_BYTES = 1 << 16
_MOMENT_S = 0.25
"""So long a lock may be in the way that is no change's: a reader who only looks, a holder about to write its name."""
_LONGEST_PAUSE_S = 0.2
_timeout_s: ContextVar[float] = ContextVar("lock_timeout", default=0.0)
_mine: dict[str, Holder] = {}
"""Locks of this process. A record lock is lost when *any* handle of the file is closed, so while one is held
this process must not open the file again."""
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a campaign.

    Parameters
    ----------
    host : str
        Name of the machine.
    pid : int
        Process on it.
    command : str
        What it does.
    since_ns : int
        Since when, in UTC nanoseconds since 1970.
    """

    host: str
    pid: int
    command: str
    since_ns: int

    def __str__(self) -> str:
        if not self.command:
            return "another process"
        since = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.since_ns / 1e9))
        return f"'{self.command}' (process {self.pid} on {self.host}, since {since})"


_NAMELESS = Holder("", 0, "", 0)


def _parse(text: str) -> Holder | None:
    try:
        document: Any = json.loads(text)
        return Holder(**document)
    except (ValueError, TypeError):
        return None


@contextmanager
def lock_timeout(seconds: float) -> Iterator[None]:
    """Let changes of campaigns made within wait for other commands that hold them.

    Parameters
    ----------
    seconds : float
        Longest wait for one; without this, or with 0, there is none.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    UsageError
        If it is no number of seconds.
    """
    if not seconds >= 0:
        raise UsageError(
            f"one cannot wait {seconds:g} seconds for a lock", code="bad-timeout", hint="Give 0 or more."
        )
    before = _timeout_s.set(seconds)
    try:
        yield
    finally:
        _timeout_s.reset(before)


def read_holder(path: Path) -> Holder | None:
    """Return who holds the lock, without waiting.

    Parameters
    ----------
    path : pathlib.Path
        The lock file.

    Returns
    -------
    Holder or None
        None if nobody does, or it cannot be told.
    """
    with _guard:
        if _key(path) in _mine:
            return _mine[_key(path)]
        try:
            handle = os.open(path, os.O_RDONLY)  # others' campaigns can be looked at too
        except OSError:
            return None
        try:
            fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _named_in(handle)
        else:
            return None
        finally:
            os.close(handle)


def _key(path: Path) -> str:
    """Return what is the same for all names of a file: a campaign may be reached by a symbolic link."""
    return os.path.realpath(path)


def _named_in(handle: int) -> Holder | None:
    return _parse(os.pread(handle, _MAX_BYTES, 0).decode(errors="replace"))


def _cannot_lock(path: Path, error: OSError, hint: str) -> StorageError:
    return StorageError(f"cannot lock {path}: {error.strerror or error}", code="cannot-lock", hint=hint)


def _take(path: Path, holder: Holder) -> int | Holder:
    """Return a handle with the lock, or who has it."""
    with _guard:
        if _key(path) in _mine:
            return _mine[_key(path)]
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as exc:
            hint = "The campaign can only be read from here; make one of your own with 'stage clone'."
            raise _cannot_lock(path, exc, hint) from exc
        try:
            other = _try_lock(handle)
            if other is None and _is_there(path, handle):
                _write_name(handle, holder)
                _mine[_key(path)] = holder
                return handle
        except OSError as exc:  # a full disk, a file system without locks
            os.close(handle)
            hint = "Put the campaign on a file system with locks and with room."
            raise _cannot_lock(path, exc, hint) from exc
        os.close(handle)
        return other or _NAMELESS


def _try_lock(handle: int) -> Holder | None:
    """Lock a file; return who has it if somebody has."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        return _named_in(handle) or _NAMELESS
    return None


def _is_there(path: Path, handle: int) -> bool:
    """Tell whether a locked file is still the one of that name: who gives up making a campaign removes it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)


def _write_name(handle: int, holder: Holder) -> None:
    dead = _named_in(handle)
    if dead is not None:
        _log.warning("healed the lock of %s, which ended without releasing it", dead)
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(asdict(holder)).encode(), 0)


@contextmanager
def campaign_lock(path: Path, command: str, timeout_s: float | None = None) -> Iterator[Holder]:
    """Hold a campaign against other commands that would change it; readers need no lock.

    Parameters
    ----------
    path : pathlib.Path
        The lock file; made if absent.
    command : str
        What the holder does, for the others' error messages.
    timeout_s : float, optional
        Longest wait, in seconds; by default that of `lock_timeout`.

    Yields
    ------
    Holder
        Ourselves.

    Raises
    ------
    BusyError
        If somebody else holds it; ``.holder`` says who.
    StorageError
        If the file cannot be made or locked.
    """
    me = Holder(socket.gethostname(), os.getpid(), command, time.time_ns())
    longest_s = _timeout_s.get() if timeout_s is None else timeout_s
    handle = _wait(path, me, longest_s)
    _log.debug("took the lock of %s", path.parent)
    try:
        with _kept_elsewhere(path, me, longest_s):
            yield me
    finally:
        with _guard:
            os.ftruncate(handle, 0)
            _mine.pop(_key(path), None)
            os.close(handle)


def _kept_elsewhere(path: Path, me: Holder, timeout_s: float) -> AbstractContextManager[None]:
    """Of a campaign that is kept at a URI, hold that too; what changes here is saved there."""
    if not (path.parent / AFAR_FILE).exists():
        return nullcontext()
    from stage.campaign.afar.copy import copy_at

    copy = copy_at(path.parent)
    return copy.changing(me, timeout_s) if copy is not None else nullcontext()


def _wait(path: Path, me: Holder, timeout_s: float) -> int:
    """Return a handle with the lock as soon as it can be had; say whom it waits for."""
    began, is_told, pause_s = time.monotonic(), False, 0.02
    while not isinstance(taken := _take(path, me), int):
        waited_s = time.monotonic() - began
        if waited_s >= max(timeout_s, _MOMENT_S):
            raise BusyError(
                f"campaign {path.parent} is held by {taken}",
                code="campaign-busy",
                holder=str(taken),
                waited_s=waited_s,
                hint="Wait for it to end, as with --lock-timeout SECONDS; its lock goes with it.",
            )
        if waited_s >= _MOMENT_S and not is_told:
            _log.warning("waiting for %s to end", taken)
            is_told = True
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, _LONGEST_PAUSE_S)
    return taken
