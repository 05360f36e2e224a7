"""`Listener`: hears what the agent says, and sees that there is one."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence

from registry.errors import NotFoundError, StorageError
from stage.batch.engines.base import JobEvent
from stage.batch.engines.ssh.connection import Connection
from stage.batch.engines.ssh.desk import Desk
from stage.batch.engines.ssh.opening import FarSide
from stage.batch.engines.ssh.outbox import Outbox

__all__ = ["Listener"]

_log = logging.getLogger(__name__)
_WAIT_S = 1.0
_BEGIN_S = 120.0
_LOOK_S, _SILENCE_S = 3.0, 60.0
"""After so long without a word it is looked whether the agent's process lives; and it is seen to that there is one."""


class Listener:
    """Listens to one agent.

    Parameters
    ----------
    side : FarSide
        Where it is.
    desk : Desk
        Takes what it says of jobs.
    """

    def __init__(self, side: FarSide, desk: Desk) -> None:
        self._side, self._desk = side, desk
        self.outbox = Outbox(side.run.outbox)
        self._heard_at = self._looked_at = time.monotonic()

    def begin(self, connection: Connection) -> Sequence[JobEvent]:
        """Have an agent, and hear what was said until now.

        Parameters
        ----------
        connection : Connection
            Open.

        Returns
        -------
        sequence of JobEvent
            All there were.

        Raises
        ------
        StorageError
            If there is none after two minutes, or its engine does not begin.
        """
        events = self._earlier(connection)
        self._side.start_agent(connection)
        until = time.monotonic() + _BEGIN_S
        while True:
            new = self.outbox.read(connection, 0.0 if self.outbox.is_alive else _WAIT_S)
            events += new
            if self.outbox.error is not None and not self.outbox.error.transient:
                raise self.outbox.error
            if not new and self.outbox.is_alive:
                break
            if time.monotonic() > until:
                raise StorageError(
                    f"the agent on {connection.options.host} does not begin: {self._last_words(connection)}",
                    code="far-agent",
                    hint=f"Its log there is {self._side.run.there(self._side.run.agent)}/agent.log.",
                )
        self._heard_at = time.monotonic()
        return events

    def work(self, connection: Connection) -> bool:
        """Listen for a moment.

        Parameters
        ----------
        connection : Connection
            This thread's.

        Returns
        -------
        bool
            Whether something was said.
        """
        before = self.outbox.offset
        events = self.outbox.read(connection, _WAIT_S)
        if events:
            self._desk.hear(events)
        if self.outbox.error is not None:
            with self._desk.changed:
                self._desk.changed.notify_all()
        if self.outbox.offset > before:
            self._heard_at = self._looked_at = time.monotonic()
        else:
            self._look(connection)
        return bool(events)

    def _look(self, connection: Connection) -> None:
        """See to it that there is an agent: one that lives has another leave at once."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        host, pid = self.outbox.agent
        is_dead = False
        if host == connection.open().host:
            is_dead = connection.run(["/bin/sh", "-c", f"kill -0 {pid}"], environment={})[0] != 0
        if is_dead or now - self._heard_at > _SILENCE_S:
            self._heard_at = now
            if is_dead:
                _log.warning("the agent on %s, process %d, is gone; another is started", host, pid)
            self._side.start_agent(connection)

    def take_error(self) -> StorageError | None:
        """Return what ails the engine there, once.

        Returns
        -------
        StorageError or None
            On the agent's word.
        """
        error, self.outbox.error = self.outbox.error, None
        return error

    def await_bye(self, connection: Connection, patience_s: float) -> bool:
        """Wait until the agent has left.

        Parameters
        ----------
        connection : Connection
            Open.
        patience_s : float
            Longest wait.

        Returns
        -------
        bool
            Whether it has.
        """
        until = time.monotonic() + patience_s
        while self.outbox.is_alive and time.monotonic() < until:
            self.outbox.read(connection, _WAIT_S)
        return not self.outbox.is_alive

    def _earlier(self, connection: Connection) -> list[JobEvent]:
        """Hear what was said until now; what ailed an agent that is gone need not ail the next one."""
        events: list[JobEvent] = []
        before = -1
        while self.outbox.offset > before:
            before = self.outbox.offset
            events += self.outbox.read(connection, 0.0)
        self.outbox.error = None
        return events

    def _last_words(self, connection: Connection) -> str:
        said = bytearray()
        with contextlib.suppress(NotFoundError):
            connection.fetch(
                [f"{self._side.run.agent}/agent.log"], lambda _, chunks: said.extend(b"".join(chunks))
            )
        lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "it says nothing"
