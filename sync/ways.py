"""How one artifact gets from its datastore to another: a link, a copy, or a copy that the store makes itself."""

# ruff: noqa: PTH120
# pathlib costs more than the system calls that it wraps, and there are some of them a file

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from sync.filesystem import files
from sync.filesystem.creating import COPY_INSTEAD, copy_inside, create
from sync.filesystem.local_files import chunks
from sync.filesystem.sharing import adopt_file
from sync.found import Failure, Task, in_words

__all__ = ["Act", "Tally", "copy", "copy_inside_store", "link", "link_only"]


@dataclass
class Tally:
    """What became of some artifacts; as `sync.transfer.TransferResult`.

    Parameters
    ----------
    moved, same : list of str
        URIs.
    failed : list of Failure
        The others, with reasons.
    size_bytes : int
        Bytes of those moved.
    untried : int
        How many were not tried.
    """

    moved: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    size_bytes: int = 0
    untried: int = 0

    def add(self, other: Tally) -> None:
        """Count those of another tally too.

        Parameters
        ----------
        other : Tally
            The other.
        """
        self.moved += other.moved
        self.same += other.same
        self.failed += other.failed
        self.size_bytes += other.size_bytes
        self.untried += other.untried

    @property
    def n_done(self) -> int:
        """How many artifacts it knows of."""
        return len(self.moved) + len(self.same) + len(self.failed) + self.untried


Act = Callable[[Task, Tally], None]
"""One of the ways below."""


def link(task: Task, tally: Tally) -> None:
    """Give the file a second name; copy it where the system will not have that.

    Parameters
    ----------
    task : Task
        The artifact, and its two places.
    tally : Tally
        Takes what became of it.
    """
    try:
        link_only(task, tally)
    except OSError as exc:
        if exc.errno not in COPY_INSTEAD:
            raise
        copy(task, tally)


def link_only(task: Task, tally: Tally) -> None:
    """Give the file a second name.

    Parameters
    ----------
    task : Task
        The artifact, and its two places.
    tally : Tally
        Takes what became of it.
    """
    uri, src, dst, size, checksum = task
    found = os.lstat(src)
    if stat.S_ISLNK(found.st_mode):
        # A link to a symbolic link would dangle when what it leads to is tidied away.
        copy(task, tally)
        return
    if found.st_size != size:
        tally.failed.append(
            Failure(uri, "artifact-changed", in_words(size, checksum), in_words(found.st_size, ""))
        )
        return
    adopt_file(src, os.path.dirname(dst))
    os.link(src, dst)
    tally.moved.append(uri)
    tally.size_bytes += size


def copy(task: Task, tally: Tally) -> None:
    """Copy the bytes, verify them, and give them their name, unless something has it.

    Parameters
    ----------
    task : Task
        The artifact, and its two places.
    tally : Tally
        Takes what became of it.
    """
    _, src, dst, size, checksum = task
    parts = chunks(src) if files.is_local(src) else files.read_chunks(src)
    _note(create(dst, parts, lambda n, found: _agrees((n, found), size, checksum)), task, tally)


def copy_inside_store(task: Task, tally: Tally) -> None:
    """Let the store copy it: no byte comes here, so that only the size is compared with the record.

    Parameters
    ----------
    task : Task
        The artifact, and its two places.
    tally : Tally
        Takes what became of it.
    """
    _note((copy_inside(task[1], task[2], task[3]), task[4]), task, tally)


def _note(copied: tuple[int, str], task: Task, tally: Tally) -> None:
    uri, _, _, size, checksum = task
    if not _agrees(copied, size, checksum):
        tally.failed.append(Failure(uri, "artifact-changed", in_words(size, checksum), in_words(*copied)))
        return
    tally.moved.append(uri)
    tally.size_bytes += size


def _agrees(found: tuple[int, str], size: int, checksum: str) -> bool:
    return found[0] == size and (not checksum or found[1] == checksum)
