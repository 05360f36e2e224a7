"""What home and an agent say to each other: two files that only grow, so that nothing is lost with a line."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stage.batch.engines.base import Cause, JobEvent, JobRequest, JobState
from stage.batch.workflow.model import JobKind, JobSettings

__all__ = ["ENDS", "History", "Inbox", "Key", "Mail", "RequestReader", "read_history", "row_of"]

Key = tuple[int, int]
"""A job's number, and its attempt."""
ENDS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.DELETED, JobState.PRUNED})
_READ = 1 << 22


class Inbox:
    """What home says, line by line.

    Parameters
    ----------
    path : pathlib.Path
        The file; it may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def read(self) -> list[Mapping[str, Any]]:
        """Return what was added since the last call.

        Returns
        -------
        list of dict
            A message for each whole line.
        """
        found: list[Mapping[str, Any]] = []
        # It is opened each time: only so a file system of several machines shows what another has written.
        try:
            with self._path.open("rb") as source:
                source.seek(self._offset)
                while data := source.read(_READ):
                    self._offset += len(data)
                    *lines, self._rest = (self._rest + data).split(b"\n")
                    found += _messages(lines)
        except FileNotFoundError:
            pass
        return found


class Mail:
    """What an agent says. What cannot be written now is kept, and written as soon as that goes again.

    Parameters
    ----------
    path : pathlib.Path
        The file; made if it is not there.

    Attributes
    ----------
    is_durable : bool
        Whether what is said outlives the machine: as jobs may that others run.
    """

    def __init__(self, path: Path) -> None:
        self.is_durable = True
        self._path = path
        self._unsaid: list[bytes] = []

    def say(self, **message: Any) -> None:
        """Say something, with the next `post`.

        Parameters
        ----------
        **message : object
            Values of JSON.
        """
        self._unsaid.append(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def post(self) -> None:
        """Write all that is to be said: whole lines, or nothing.

        Raises
        ------
        OSError
            If the disk does not take it; it is still to be said.
        """
        if not self._unsaid:
            return
        data = b"".join(self._unsaid)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(fd).st_size
            is_torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            _write(fd, b"\n" + data if is_torn else data, size, durable=self.is_durable)
        finally:
            os.close(fd)
        self._unsaid.clear()


@dataclass
class History:
    """What earlier agents of the same run have said.

    Parameters
    ----------
    given : dict of (int, int) to str
        Attempts that the engine had, with their handles; empty if it was just being given.
    ends : dict of (int, int) to list
        Rows of events.
    n_byes : int
        How often one left since it was told to.
    """

    given: dict[Key, str] = field(default_factory=dict)
    ends: dict[Key, list[Any]] = field(default_factory=dict)
    n_byes: int = 0

    def left(self) -> dict[Key, str]:
        """Return what was given and has not ended.

        Returns
        -------
        dict of (int, int) to str
            Handles.
        """
        return {key: handle for key, handle in self.given.items() if key not in self.ends}


def read_history(path: Path) -> History:
    """Read what was said.

    Parameters
    ----------
    path : pathlib.Path
        The file; it may not be there.

    Returns
    -------
    History
        Of all agents of the run.
    """
    found = History()
    for message in Inbox(path).read():
        for number, attempt, handle in message.get("given", ()):
            found.given[number, attempt] = handle
        for row in message.get("events", ()):
            if row[2] in ENDS:
                found.ends[row[0], row[1]] = row
        found.n_byes += message.get("bye", {}).get("why") == "end"
    return found


class RequestReader:
    """Makes requests of what home says; those of one kind share their settings, by which engines group them."""

    def __init__(self) -> None:
        self._settings: dict[str, JobSettings] = {}

    def read(self, said: Mapping[str, Any]) -> JobRequest:
        """Make one.

        Parameters
        ----------
        said : mapping
            Values of JSON.

        Returns
        -------
        JobRequest
            As it was at home, with paths of this machine.
        """
        text = json.dumps(said["settings"], sort_keys=True)
        settings = self._settings.get(text)
        if settings is None:
            settings = self._settings[text] = _settings_of(said["settings"])
        return JobRequest(
            number=int(said["number"]),
            name=str(said["name"]),
            attempt=int(said["attempt"]),
            command=tuple(said["command"]),
            log=Path(said["log"]),
            settings=settings,
            memory_mb=said.get("memory_mb"),
            after=tuple(said.get("after") or ()),
        )


def row_of(event: JobEvent) -> list[Any]:
    """Return what is said of an event.

    Parameters
    ----------
    event : JobEvent
        Of an engine.

    Returns
    -------
    list
        Values of JSON.
    """
    cause = event.cause or Cause.NONE
    return [
        event.number,
        event.attempt,
        str(event.state),
        str(cause),
        event.exit_code,
        event.message,
        event.host,
    ]


def _settings_of(said: Mapping[str, Any]) -> JobSettings:
    values = dict(said)
    values["kind"] = JobKind(values.get("kind", JobKind.PAYLOAD))
    values["retry_unless_exit"] = tuple(values.get("retry_unless_exit") or ())
    for name in ("environment", "extra"):
        values[name] = tuple((key, value) for key, value in values.get(name) or ())
    return JobSettings(**values)


def _messages(lines: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:
            continue  # torn when a machine went down: whoever said it says it again
        if isinstance(message, dict):
            yield message


def _write(fd: int, data: bytes, size: int, *, durable: bool) -> None:
    is_whole = False
    try:
        is_whole = os.write(fd, data) == len(data)
        if durable:
            os.fsync(fd)
    finally:
        if not is_whole:
            with suppress(OSError):
                os.ftruncate(fd, size)
    if not is_whole:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
