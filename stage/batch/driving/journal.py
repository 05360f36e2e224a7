"""The journal of a head: lines of JSON, only ever added to, from which a new head goes on.

A line is ``[kind, when_ns, ...columns]``, of all jobs to which the same happened at once; the final job is number -1.
What is in doubt is written before it is done (``begin``), what was learned after. A last line that was cut off when its
writer was killed is no line: whoever writes next takes it away.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from registry.errors import IntegrityError, StorageError

__all__ = ["FINAL", "Journal", "Line", "read_journal"]

Line = list[Any]

FINAL = -1
"""The number of the final job."""

_CHUNK = 1 << 18


def read_journal(path: Path) -> Iterator[list[Line]]:
    """Read what there is, also while somebody writes.

    Parameters
    ----------
    path : pathlib.Path
        The journal.

    Yields
    ------
    list of list
        Some thousand lines at a time; nothing if there is no journal.

    Raises
    ------
    IntegrityError
        If a line is something else.
    StorageError
        If it cannot be read.
    """
    rest = b""
    try:
        with path.open("rb") as handle:
            while data := handle.read(_CHUNK):
                whole, newline, rest = (rest + data).rpartition(b"\n")
                if newline:
                    yield _parse(whole, path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}", code="cannot-read") from error


def _parse(whole: bytes, path: Path) -> list[Line]:
    # One call for some thousand lines: a line break within a value is written as \n, so each real one ends a line.
    try:
        lines: list[Line] = json.loads(b"[" + whole.replace(b"\n", b",") + b"]")
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    for line in lines:
        if not (isinstance(line, list) and len(line) > 1 and isinstance(line[0], str)):
            raise _damaged(path, repr(line)[:80])
    return lines


def _damaged(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is not what was written there: {why}",
        code="bad-journal",
        hint="What ended is in the record files: 'stage merge' still brings it into staging. Submit again for the rest.",
    )


class Journal:
    """The journal, open to write. One process at a time has it: the one with the lock.

    Parameters
    ----------
    path : pathlib.Path
        Made if absent.

    Raises
    ------
    StorageError
        If it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            self._drop_cut_line()
        except OSError as error:
            raise self._failed(error) from error

    def _drop_cut_line(self) -> None:
        size = os.fstat(self._fd).st_size
        end = size
        while end:
            start = max(0, end - 65536)
            found = os.pread(self._fd, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end != size:
            os.ftruncate(self._fd, end)

    def write(self, lines: Sequence[Line]) -> None:
        """Add lines, all in one write.

        Parameters
        ----------
        lines : sequence of list
            Kind and columns of each; the time is put in.

        Raises
        ------
        StorageError
            If they cannot be written.
        """
        now = time.time_ns()
        for line in lines:
            line.insert(1, now)
        text = "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
        data = memoryview(text.encode(errors="replace"))
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise self._failed(error) from error

    def sync(self) -> None:
        """Return when all of it would survive a power cut."""
        with contextlib.suppress(OSError):
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(
            f"cannot write {self._path}: {error.strerror}",
            code="cannot-write",
            hint="Make room there; then the run goes on with 'stage batch restart'.",
        )
