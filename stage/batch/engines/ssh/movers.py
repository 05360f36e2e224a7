"""`Movers`: threads that move files, each with a connection of its own; what they cannot do reaches who asked for it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Protocol

from registry.errors import InternalError, StageError, StorageError
from stage.batch.engines.ssh.connection import Connection
from stage.batch.engines.ssh.options import SshOptions

__all__ = ["Movers", "Work", "is_of_line"]

_log = logging.getLogger(__name__)
_AGAIN_S = (0.2, 1.0, 2.0, 5.0, 10.0, 20.0)
"""So long a thread waits before it tries the way again; the last for ever."""
_LEAVE_S = 10.0
"""So long a thread may take to end what it is at."""
_OF_LINE = ("far-unreachable", "far-lost")


def is_of_line(error: BaseException) -> bool:
    """Tell whether an error says that the line is broken, and nothing else is wrong.

    Parameters
    ----------
    error : BaseException
        What was raised.

    Returns
    -------
    bool
        Then it is worth trying again.
    """
    return isinstance(error, StorageError) and error.code in _OF_LINE


class Work(Protocol):
    """What one thread does for as long as it is wanted."""

    def __call__(self, connection: Connection) -> bool:
        """Do a piece; what was taken is given back if it cannot be done.

        Parameters
        ----------
        connection : Connection
            Open.

        Returns
        -------
        bool
            False if there was nothing to do within a while.
        """
        ...


class Movers:
    """Some threads, and what has become of the line.

    Parameters
    ----------
    options : SshOptions
        How to get there.
    changed : threading.Condition
        Notified when there is news of the line.
    """

    def __init__(self, options: SshOptions, changed: threading.Condition) -> None:
        self._options = options
        self._changed = changed
        self._threads: list[threading.Thread] = []
        self._connections: set[Connection] = set()
        self._broken: StorageError | None = None
        self._is_told = True
        self._failed: StageError | None = None
        self.ending = threading.Event()

    def start(self, *works: Work) -> None:
        """Begin.

        Parameters
        ----------
        *works : Work
            One a thread.
        """
        for number, work in enumerate(works):
            thread = threading.Thread(target=self._run, args=(work,), name=f"ssh-mover-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def is_broken(self) -> bool:
        """Whether there is no way there now."""
        return self._broken is not None

    def take_error(self) -> StageError | None:
        """Return what has gone wrong since the last call; called with the condition held.

        Returns
        -------
        StageError or None
            Each failure once, and of a broken line each attempt to mend it.
        """
        if self._failed is not None:
            found, self._failed = self._failed, None
            self._changed.notify_all()
            return found
        if self._broken is not None and not self._is_told:
            self._is_told = True
            return self._broken
        return None

    def end(self) -> None:
        """Have all threads end, and wait for that; what hangs on the line is cut off."""
        with self._changed:
            self.ending.set()
            self._changed.notify_all()
        until = time.monotonic() + _LEAVE_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if any(t.is_alive() for t in self._threads):
            with self._changed:
                left = list(self._connections)
            for connection in left:
                with contextlib.suppress(StageError, OSError, ValueError):
                    connection.close()
            for thread in self._threads:
                thread.join(_LEAVE_S)
        self._threads.clear()

    def _run(self, work: Work) -> None:
        turn = 0
        while not self.ending.is_set():
            self._wait_while_failed()
            connection = Connection(self._options)
            try:
                connection.open()
                with self._changed:
                    self._connections.add(connection)
                self._mended()
                while not self.ending.is_set():
                    self._wait_while_failed()
                    work(connection)
                    turn = 0
            except BaseException as error:  # noqa: BLE001 - whatever it is, who asked for the work hears of it
                if self.ending.is_set():
                    return
                self._note(error)
                if is_of_line(error):
                    self._pause(_AGAIN_S[min(turn, len(_AGAIN_S) - 1)])
                    turn += 1
            finally:
                with self._changed:
                    self._connections.discard(connection)
                with contextlib.suppress(StageError, OSError):
                    connection.close()

    def _note(self, error: BaseException) -> None:
        with self._changed:
            if isinstance(error, StorageError) and is_of_line(error):
                self._broken, self._is_told = error, False
            elif isinstance(error, StageError):
                self._failed = self._failed or error
            else:
                _log.error("a thread that moves files ends", exc_info=error)
                self._failed = InternalError(f"moving files failed: {type(error).__name__}: {error}")
            self._changed.notify_all()

    def _mended(self) -> None:
        with self._changed:
            if self._broken is not None:
                _log.info("the line to %s is there again", self._options.host)
            self._broken, self._is_told = None, True
            self._changed.notify_all()

    def _wait_while_failed(self) -> None:
        """Go on only when somebody has heard what has failed: it would fail again at once."""
        with self._changed:
            self._changed.wait_for(lambda: self._failed is None or self.ending.is_set())

    def _pause(self, pause_s: float) -> None:
        with self._changed:
            self._changed.wait_for(self.ending.is_set, pause_s)
