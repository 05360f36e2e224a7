"""`Outbox`: what an agent has said, line by line, and what it was told before."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from registry.errors import StorageError
from stage.batch.engines.base import Cause, JobEvent, JobState
from stage.batch.engines.ssh.connection import Connection

__all__ = ["Outbox", "given_before", "relative_log"]


class Outbox:
    """What the agent says, from the first line on.

    Parameters
    ----------
    name : str
        The file there.

    Attributes
    ----------
    offset : int
        How much of it was read.
    is_alive : bool
        Whether by its own word there is an agent.
    agent : (str, int)
        Its machine and process, when it said so last.
    capacity : int or None
        How many jobs its engine takes at once.
    error : StorageError or None
        What it said last that ails the engine.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.offset = 0
        self.is_alive = False
        self.agent: tuple[str, int] = ("", 0)
        self.capacity: int | None = None
        self.error: StorageError | None = None
        self._rest = b""

    def read(self, connection: Connection, wait_s: float) -> list[JobEvent]:
        """Hear what is new.

        Parameters
        ----------
        connection : Connection
            This thread's.
        wait_s : float
            How long to wait for something.

        Returns
        -------
        list of JobEvent
            Of jobs; what else was said is kept here.
        """
        data = connection.tail(self.name, self.offset, wait_s)
        self.offset += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        events: list[JobEvent] = []
        for message in _messages(lines):
            events += self._take(message)
        return events

    def _take(self, message: Mapping[str, Any]) -> list[JobEvent]:
        if "hello" in message:
            self.is_alive, self.error = True, None
            said = message["hello"]
            self.agent = str(said.get("host", "")), int(said.get("pid", 0))
            self.capacity = said.get("capacity")
        elif "bye" in message:
            self.is_alive = False
        elif "error" in message:
            self.error = _error(message["error"])
        return [_event(row) for row in message.get("events", ())]


def given_before(connection: Connection, inbox: str) -> dict[tuple[int, int], str]:
    """Return what an agent was told to begin.

    Parameters
    ----------
    connection : Connection
        Open.
    inbox : str
        The file there.

    Returns
    -------
    dict of (int, int) to str
        Number and attempt to log, an absolute path there.
    """
    found: dict[tuple[int, int], str] = {}
    offset, rest = 0, b""
    while data := connection.tail(inbox, offset, 0.0):
        offset += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for message in _messages(lines):
            for request in message.get("start", ()):
                found[int(request["number"]), int(request["attempt"])] = str(request["log"])
    return found


def _messages(lines: list[bytes]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:
            continue  # cut off when a disk was full, or a machine went down: what it said is said again
        if isinstance(message, dict):
            yield message


def _event(row: list[Any]) -> JobEvent:
    number, attempt, state, cause, code, message, host = row
    return JobEvent(int(number), int(attempt), JobState(state), Cause(cause), code, str(message), str(host))


def _error(said: Mapping[str, Any]) -> StorageError:
    return StorageError(
        str(said.get("message", "the agent failed")),
        code=str(said.get("code") or "far-agent"),
        hint=str(said.get("hint") or ""),
        transient=bool(said.get("transient")),
    )


def relative_log(log: str, submit: str) -> str:
    """Return a log's path relative to the submission's directory.

    Parameters
    ----------
    log : str
        Absolute.
    submit : str
        That directory, on the same machine.

    Returns
    -------
    str
        Empty if it lies elsewhere.
    """
    found = os.path.relpath(log, submit)
    return "" if found.startswith("..") else found
