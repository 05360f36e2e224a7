"""`Sender`: brings to the far machine what jobs need and it lacks, then tells the agent to begin them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from stage.batch.engines.base import JobRequest
from stage.batch.engines.ssh.connection import Connection, FarFile
from stage.batch.engines.ssh.inputs import InputFinder
from stage.batch.engines.ssh.translating import FarRun, Translator
from sync.filesystem import files

__all__ = ["Sender", "line_of"]


def line_of(message: dict[str, Any]) -> bytes:
    """Write a line of an inbox.

    Parameters
    ----------
    message : dict
        Values of JSON.

    Returns
    -------
    bytes
        With its end.
    """
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Sender:
    """Sends jobs.

    Parameters
    ----------
    run : FarRun
        Where they go.
    finder : InputFinder
        Knows what they need.
    translator : Translator
        Puts far paths in their commands.
    in_flight : callable
        Tells which jobs run there or are to.
    submit : str
        The submission's directory at home.
    """

    def __init__(
        self,
        run: FarRun,
        finder: InputFinder,
        translator: Translator,
        in_flight: Callable[[], Collection[int]],
        submit: str,
    ) -> None:
        self._run, self._finder, self._translator = run, finder, translator
        self._in_flight, self._submit = in_flight, submit

    def send(self, connection: Connection, requests: Sequence[JobRequest]) -> None:
        """Send what some jobs need.

        Parameters
        ----------
        connection : Connection
            This thread's.
        requests : sequence of JobRequest
            The jobs.

        Raises
        ------
        StageError
            If a file cannot be read here, or the line breaks, or there is no room there. It can be done again.
        """
        numbers = [r.number for r in requests]
        needed = self._finder.of(numbers)
        self._send_inputs(connection, needed.inputs)
        self._send_made(connection, needed.made)
        self._send_earlier(connection, numbers)

    def begin(self, connection: Connection, requests: Sequence[JobRequest]) -> None:
        """Tell the agent to begin some jobs; said twice it is done once.

        Parameters
        ----------
        connection : Connection
            This thread's.
        requests : sequence of JobRequest
            Jobs that have all they need there.
        """
        if requests:
            told = [self._translator.request(r) for r in requests]
            connection.append(self._run.inbox, line_of({"start": told}))

    def _send_inputs(self, connection: Connection, inputs: dict[str, tuple[str, int, str]]) -> None:
        wanted, sources = [], []
        for name, (place, size, checksum) in inputs.items():
            # Under its checksum a file is sent once for all runs; where nobody has recorded it, reading is cheaper.
            known = checksum or files.checksum(place)[1]
            wanted.append(FarFile(f"{self._run.data}/{name}", size, known))
            sources.append(place)
        if wanted:
            lacking = connection.lacking(wanted)
            connection.send([(wanted[i], sources[i]) for i in lacking])

    def _send_made(self, connection: Connection, made: dict[str, int]) -> None:
        absent = self._absent(connection, self._run.data, list(made))
        if absent:
            found = self._finder.made_at_home({n: made[n] for n in absent}, self._in_flight())
            self._send_absent(connection, self._run.data, found)

    def _send_earlier(self, connection: Connection, numbers: Iterable[int]) -> None:
        records: dict[str, str] = {}
        outputs: dict[str, str] = {}
        for number in numbers:
            for name, artifact in self._finder.earlier(number):
                if artifact is None:
                    records[os.path.relpath(name, self._submit)] = name
                elif files.exists(place := self._finder.place(name)):
                    outputs[name] = place
        # What is recorded is there before the record.
        self._send_absent(connection, self._run.data, outputs)
        self._send_absent(connection, self._run.submit, records)

    def _send_absent(self, connection: Connection, folder: str, sources: dict[str, str]) -> None:
        absent = self._absent(connection, folder, list(sources))
        if absent:
            connection.send([(FarFile(f"{folder}/{n}", files.size(sources[n])), sources[n]) for n in absent])

    def _absent(self, connection: Connection, folder: str, names: Sequence[str]) -> list[str]:
        """Return the names that nothing has there. What is there is newer than what home has, or the same."""
        if not names:
            return []
        sizes = connection.stat([f"{folder}/{n}" for n in names])
        return [n for n, size in zip(names, sizes, strict=True) if size is None]
