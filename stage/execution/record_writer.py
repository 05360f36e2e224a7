"""`RecordWriter`: the record file of a job that is running, from its claim to its end.

After each quantum the file is whole: to a local one its line and a trailer are added by one system call; elsewhere the
file is written anew, but only as often as that costs no more than a small part of the time.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.errors import ConflictError, IntegrityError, NotFoundError, SchemaVersionError
from registry.model.digest import digest_bytes
from stage.errors import SupersededError
from stage.execution.record_file import RecordFile, read_lines, trailer
from stage.execution.starts import Fence, claim, newest, start_uri
from sync.filesystem import files
from sync.filesystem.file_errors import worded
from sync.filesystem.tally import Tally

if TYPE_CHECKING:
    from stage.execution.outcome import QuantumOutcome

__all__ = ["RecordWriter"]

_SHARE = 0.02
"""Part of a job's time that may go into writing a remote record file before the end."""


class RecordWriter:
    """Keeps the record of one start of a job.

    Parameters
    ----------
    record : RecordFile
        What is known at the start; the number of the start, and what came of quanta before, are filled in.
    uri : str or path
        The job's record file.
    attempt : int, optional
        How often the job was tried before; by default as often as the last start was told.

    Attributes
    ----------
    before : tuple of QuantumOutcome
        What earlier starts have recorded.
    fence : Fence
        Tells whether there is a later start.

    Raises
    ------
    SupersededError
        If a later attempt has begun already.
    ConflictError
        If the record file is another job's.
    StorageError
        If it cannot be written.
    """

    def __init__(self, record: RecordFile, uri: files.Uri, attempt: int | None = None) -> None:
        self.before: tuple[QuantumOutcome, ...] = ()
        self._fd: int | None = None
        self._outcomes: list[QuantumOutcome] = []
        self._claim(record, uri, attempt)
        self.fence = Fence(start_uri(uri, self._record.start + 1))
        self._saved_s, self._cost_s = time.monotonic(), 0.0

    def _claim(self, record: RecordFile, uri: files.Uri, attempt: int | None) -> None:
        while True:
            last, number = newest(uri)
            there = bool(number) or files.exists(last)
            found = _earlier(last, record) if there else None
            if found is not None and attempt is not None and found.attempt > attempt:
                raise SupersededError(
                    f"attempt {attempt} of {record.job or 'this job'} comes too late: attempt {found.attempt} "
                    f"began on {found.host} ({files.redact(last)})",
                    hint="Nothing is to be done: what the later attempt records is what counts.",
                )
            told = attempt if attempt is not None else found.attempt if found is not None else 0
            self.before = found.outcomes if found is not None else ()
            self._record = replace(record, attempt=told, start=number + there)
            self._uri = start_uri(uri, self._record.start)
            # What was known stays known, should this start be killed at once.
            body = replace(self._record, outcomes=self.before).body()
            end = trailer(len(self.before), digest_bytes(body))
            if claim(uri, self._record.start, body + end):
                break
        self._tally = Tally()
        self._tally.take(body)
        self._tally.take(end)

    def add(self, outcome: QuantumOutcome) -> None:
        """Take what became of a quantum, so that it is recorded whatever happens to this process.

        Parameters
        ----------
        outcome : QuantumOutcome
            What became of it.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        self._outcomes.append(outcome)
        path = files.local_text(self._uri)
        if path is None:
            self._save_seldom()
            return
        line = outcome.to_json().encode() + b"\n"
        self._tally.take(line)
        end = trailer(len(self.before) + len(self._outcomes), self._tally.checksum)
        self._tally.take(end)
        with worded(self._uri, "write"):
            if self._fd is None:
                self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            os.write(self._fd, line + end)

    def _save_seldom(self) -> None:
        """Write a file anew that nothing can be added to."""
        begun = time.monotonic()
        if (begun - self._saved_s) * _SHARE < self._cost_s:
            return
        self._now().save(self._uri)
        self._saved_s = time.monotonic()
        self._cost_s = self._saved_s - begun

    def _now(self) -> RecordFile:
        new = {(o.ordinal, o.attempt) for o in self._outcomes}
        kept = (o for o in self.before if (o.ordinal, o.attempt) not in new)
        return replace(self._record, outcomes=(*kept, *self._outcomes))

    def end(self) -> None:
        """Write all of it, with what earlier starts have recorded of other quanta and attempts, and let go of it.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self._now().save(self._uri)


def _earlier(uri: str, record: RecordFile) -> RecordFile | None:
    """Return what an earlier start has recorded; of another graph, or what nobody can read, counts for nothing."""
    try:
        found = RecordFile.parse(uri, *read_lines(uri))
    except (NotFoundError, IntegrityError, SchemaVersionError):
        return None
    if found.graph_id != record.graph_id:
        return None
    if record.job and found.job and found.job != record.job:
        raise ConflictError(
            f"record file {files.redact(uri)} is of job '{found.job}', not of '{record.job}'",
            code="record-of-other-job",
            hint="Give each job a record file of its own: --record FILE.",
        )
    return found
