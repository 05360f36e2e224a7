"""`Life`: one agent at a time for a run, also where file systems lock nothing; `Beat`: that it lives, and who looks."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from registry.errors import BusyError, StorageError
from stage.campaign.lock import campaign_lock

__all__ = ["Beat", "Life"]

_BEAT, _LOOK, _LOCK, _CLOCK = "agent.beat", "home.beat", "agent.lock", "agent.clock"
_EVERY_S = 5.0
_SILENT_S = 60.0
"""An agent on another machine that has not touched its file for so long is gone."""


class Life:
    """Being the only agent of a run, while it is entered.

    Parameters
    ----------
    home : pathlib.Path
        The agent's directory.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._held = ExitStack()

    def __enter__(self) -> Self:
        other = self._lock()
        if other:
            self._held.close()
            raise BusyError(f"there is an agent: {other}", code="has-agent", holder=other)
        said = {"host": socket.gethostname(), "pid": os.getpid()}
        (self._home / _BEAT).write_text(json.dumps(said))
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            (self._home / _BEAT).unlink()
        self._held.close()

    def _lock(self) -> str:
        """Take the lock; return who else is there."""
        try:
            self._held.enter_context(campaign_lock(self._home / _LOCK, "agent", 0.0))
        except BusyError as error:
            return error.holder or "its lock is held"
        except StorageError:
            return self._other(is_locked=False)  # a file system without locks
        return self._other(is_locked=True)

    def _other(self, *, is_locked: bool) -> str:
        """Return who else says that it lives; empty if nobody does."""
        path = self._home / _BEAT
        try:
            said: dict[str, Any] = json.loads(path.read_text())
            host, pid = str(said["host"]), int(said["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        named = f"process {pid} on {host}"
        if host == socket.gethostname():
            # Locks hold on one machine, if there are any.
            return named if not is_locked and _is_agent(pid, self._home) else ""
        return named if _age_s(path, self._home / _CLOCK) < _SILENT_S else ""


class Beat:
    """Tells others that this agent lives, and knows when somebody has looked after it.

    Parameters
    ----------
    home : pathlib.Path
        The agent's directory.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._touched = 0.0
        self._seen: float | None = None
        self._looked = time.monotonic()

    def touch(self) -> None:
        """Beat, if it is time."""
        if time.monotonic() - self._touched >= _EVERY_S:
            self._touched = time.monotonic()
            with suppress(OSError):
                os.utime(self._home / _BEAT)

    def is_orphan(self, after_s: float) -> bool:
        """Tell whether nobody has looked for some time.

        Parameters
        ----------
        after_s : float
            How long that may be.

        Returns
        -------
        bool
            Whether it is longer.
        """
        seen = 0.0
        with suppress(OSError):
            seen = (self._home / _LOOK).stat().st_mtime
        # Only whether it changes counts: the clock of a file server may be another.
        if seen != self._seen:
            self._seen, self._looked = seen, time.monotonic()
        return time.monotonic() - self._looked > after_s


def _is_agent(pid: int, home: Path) -> bool:
    try:
        return os.fsencode(home.parent) in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _age_s(path: Path, clock: Path) -> float:
    """Return how long ago a file was touched, by the clock of the file system that it is on."""
    try:
        clock.touch()
        return clock.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0
