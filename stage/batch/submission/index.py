"""The index of a user's submissions: small numbers for directories, wherever these are.

A file of lines of JSON, only ever appended to, under a lock. What it says of a submission outlives its directory.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from registry.errors import NotFoundError, StorageError
from stage.batch.layout import SubmitDir
from stage.state_directory import STATE_VARIABLE, state_directory

__all__ = ["IndexEntry", "add_entry", "all_entries", "find_entry"]

_FILE = "runs.jsonl"


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One submission, as the index knows it.

    Parameters
    ----------
    id : int
        Its number, from 1; 0 for one that has none yet.
    name : str
        Unique name of the run.
    submit_dir : str
        Its directory, absolute.
    user : str
        Who submitted it.
    host : str
        Where.
    at_ns : int
        When; UTC nanoseconds since 1970.
    labels : mapping of str to str
        ``operator``, ``project``, ``campaign``, ``payload``.
    """

    id: int
    name: str
    submit_dir: str
    user: str
    host: str
    at_ns: int
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> SubmitDir:
        """Its directory, which may be gone."""
        return SubmitDir(Path(self.submit_dir))


def all_entries() -> list[IndexEntry]:
    """Read the index.

    Returns
    -------
    list of IndexEntry
        In the order of their numbers; of a submission that was handed over again only the last.
    """
    try:
        lines = (state_directory() / _FILE).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unusable(error) from error
    found: dict[int, IndexEntry] = {}
    for line in lines:
        entry = _parse(line)
        if entry is not None:
            found[entry.id] = entry
    return [found[number] for number in sorted(found)]


def add_entry(entry: IndexEntry) -> IndexEntry:
    """Put a submission into the index; one of the same directory keeps its number.

    Parameters
    ----------
    entry : IndexEntry
        Without a number.

    Returns
    -------
    IndexEntry
        With its number.

    Raises
    ------
    StorageError
        If the index cannot be written.
    """
    try:
        with _locked() as file:
            known = all_entries()
            # The name may be made of the time, and is then another one when the same is submitted again.
            there = [e for e in known if e.submit_dir == entry.submit_dir]
            same = (e.id for e in there if e.user == entry.user or e.name == entry.name)
            number = next(same, max((e.id for e in known), default=0) + 1)
            numbered = replace(entry, id=number)
            # A line that was cut off by a kill ends here, and is no entry.
            os.write(file, b"\n" * _is_torn(file) + json.dumps(asdict(numbered)).encode() + b"\n")
            os.fsync(file)
            return numbered
    except OSError as error:
        raise _unusable(error) from error


def find_entry(text: str) -> IndexEntry:
    """Find a submission by what a person calls it.

    Parameters
    ----------
    text : str
        Its number, the name of its run, or its directory.

    Returns
    -------
    IndexEntry
        The newest that is called so. One of a directory that the index does not know has the number 0.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    known = all_entries()[::-1]
    if text.isdecimal():
        found = next((e for e in known if e.id == int(text)), None)
    else:
        path = str(Path(text).expanduser().absolute())
        found = next((e for e in known if text == e.name or path == e.submit_dir), None)
        found = found or next((e for e in known if Path(e.submit_dir).as_posix().endswith(f"/{text}")), None)
        found = found or _unlisted(SubmitDir(Path(path)))
    if found is None:
        raise NotFoundError(
            f"0 jobs found matching arguments: no submission is called '{text}'",
            code="no-such-submission",
            hint="List those of the last week: stage batch report --hist 7.",
        )
    return found


def _unlisted(where: SubmitDir) -> IndexEntry | None:
    """Return what a directory says of itself that this user's index does not list: a colleague's, or a moved one."""
    from stage.batch.submission.identity import load_identity

    if not where.identity.is_file():
        return None
    found = load_identity(where)
    return IndexEntry(
        0,
        found.name,
        str(where.root),
        found.user,
        found.host,
        found.times.get("submit", 0),
        dict(found.labels),
    )


def _parse(line: bytes) -> IndexEntry | None:
    try:
        document: Any = json.loads(line)
        return IndexEntry(**document)
    except (ValueError, TypeError):
        return None


@contextmanager
def _locked() -> Iterator[int]:
    folder = state_directory()
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        # Not a POSIX record lock: that one would go when the file is read below, and its handle closed.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _is_torn(file: int) -> bool:
    size = os.fstat(file).st_size
    return bool(size) and os.pread(file, 1, size - 1) != b"\n"


def _unusable(error: OSError) -> StorageError:
    return StorageError(
        f"the index of submissions in {state_directory()} cannot be used: {error.strerror or error}",
        code="no-index",
        hint=f"Name a directory that can be written: export {STATE_VARIABLE}=DIR.",
    )
