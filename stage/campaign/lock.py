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
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry.errors import BusyError, StorageError

__all__ = ["Holder", "campaign_lock", "read_holder"]

_log = logging.getLogger(__name__)
_MAX_BYTES = 1 << 16
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
        since = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.since_ns / 1e9))
        return f"'{self.command}' (process {self.pid} on {self.host}, since {since})"


def _parse(text: str) -> Holder | None:
    try:
        document: Any = json.loads(text)
        return Holder(**document)
    except (ValueError, TypeError):
        return None


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
        if str(path) in _mine:
            return _mine[str(path)]
        try:
            handle = os.open(path, os.O_RDWR)
        except OSError:
            return None
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return _parse(os.read(handle, _MAX_BYTES).decode(errors="replace"))
        else:
            return None
        finally:
            os.close(handle)


def _take(path: Path, holder: Holder) -> int | Holder | None:
    """Return a handle with the lock, or who has it."""
    with _guard:
        if str(path) in _mine:
            return _mine[str(path)]
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as exc:
            raise StorageError(
                f"cannot lock {path}: {exc.strerror or exc}",
                code="cannot-lock",
                hint="The campaign can only be read from here; make one of your own with 'stage clone'.",
            ) from exc
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            other = _parse(os.read(handle, _MAX_BYTES).decode(errors="replace"))
            os.close(handle)
            if exc.errno not in (errno.EACCES, errno.EAGAIN):
                raise StorageError(f"cannot lock {path}: {exc.strerror or exc}", code="cannot-lock") from exc
            return other
        dead = _parse(os.read(handle, _MAX_BYTES).decode(errors="replace"))
        if dead is not None:
            _log.warning("healed the lock of %s, which ended without releasing it", dead)
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(asdict(holder)).encode(), 0)
        except OSError as exc:  # a full disk
            os.close(handle)
            raise StorageError(f"cannot lock {path}: {exc.strerror or exc}", code="cannot-lock") from exc
        _mine[str(path)] = holder
        return handle


@contextmanager
def campaign_lock(path: Path, command: str, timeout_s: float = 0.0) -> Iterator[Holder]:
    """Hold a campaign against other commands that would change it; readers need no lock.

    Parameters
    ----------
    path : pathlib.Path
        The lock file; made if absent.
    command : str
        What the holder does, for the others' error messages.
    timeout_s : float, optional
        Longest wait, in seconds.

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
    began = time.monotonic()
    while not isinstance(taken := _take(path, me), int):
        waited_s = time.monotonic() - began
        # Nameless: a holder about to write its name, or a reader who only looked. Both are gone in a moment.
        if waited_s >= (timeout_s if taken else max(timeout_s, 0.25)):
            raise BusyError(
                f"campaign {path.parent} is held by {taken or 'another process'}",
                code="campaign-busy",
                holder=str(taken or ""),
                waited_s=waited_s,
                hint="Wait for it to end; its lock goes with it.",
            )
        time.sleep(0.02)
    try:
        yield me
    finally:
        with _guard:
            os.ftruncate(taken, 0)
            _mine.pop(str(path), None)
            os.close(taken)
