"""Judging files that are in place already: the same bytes, or something else."""
# ruff: noqa: PTH112, PTH121, PTH208
# pathlib costs more than the system calls that it wraps, and there are some of them a file

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from registry.errors import NotFoundError
from registry.model.columns import Columns
from sync.filesystem import files, remote_files
from sync.filesystem.file_errors import worded
from sync.filesystem.uris import local_text

__all__ = [
    "Failure",
    "Placed",
    "Task",
    "below",
    "below_in_parts",
    "in_the_way",
    "in_words",
    "is_same",
    "judge_found",
    "not_stored",
    "place",
    "sizes_there",
]

_PLACED_AT_ONCE = 10_000

Task = tuple[str, str, str, int, str]
"""Relative URI, where it is, where it goes, size, checksum."""


@dataclass(frozen=True)
class Failure:
    """One artifact that did not arrive.

    Parameters
    ----------
    uri : str
        Which, relative to the root.
    code : str
        ``artifact-differs`` (another file has that name), ``artifact-missing``, ``artifact-changed`` (ours is
        not what was recorded), ``not-stored`` (the store acknowledged it and has not got it) or ``storage``.
    ours, theirs : str
        What was to be there, and what was found, or why it could not be stored.
    """

    uri: str
    code: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        if self.code == "storage":
            return f"{self.code}: {self.uri}: {self.theirs}"
        return f"{self.code}: {self.uri}: expected {self.ours}, found {self.theirs}"


def place(artifacts: Columns, source: str, target: str) -> list[Task]:
    """Place every artifact below two roots.

    Parameters
    ----------
    artifacts : Columns
        ``uri`` (relative), ``size``, ``checksum``.
    source, target : str
        The roots.

    Returns
    -------
    list of Task
        One an artifact.
    """
    uris = artifacts["uri"].tolist()
    sizes, checksums = artifacts["size"].tolist(), artifacts["checksum"].tolist()
    places = [below(local_text(root) or root, uris) for root in (source, target)]
    return list(zip(uris, *places, sizes, checksums, strict=True))


class Placed:
    """Artifacts below two roots, placed some at a time: the paths of all take as much room as all else about them.

    Parameters
    ----------
    artifacts, source, target
        As for `place`.
    """

    def __init__(self, artifacts: Columns, source: str, target: str) -> None:
        self.artifacts = artifacts
        self.source = source
        self.target = target

    def __len__(self) -> int:
        """Return how many artifacts there are."""
        return self.artifacts.n_rows

    def part(self, first: int, n: int) -> list[Task]:
        """Place some of them.

        Parameters
        ----------
        first : int
            Number of the first.
        n : int
            How many; fewer where they end before.

        Returns
        -------
        list of Task
            One an artifact.
        """
        rows = np.arange(first, min(first + n, len(self)))
        return place(self.artifacts.take(rows), self.source, self.target)


def below(root: str, uris: Sequence[str]) -> list[str]:
    """Do for many URIs what `sync.filesystem.uris.join` does for one.

    Parameters
    ----------
    root : str
        A directory.
    uris : sequence of str
        Relative to it, or absolute.

    Returns
    -------
    list of str
        The places.

    Raises
    ------
    UsageError
        If one could leave the root.
    """
    # One search in all of them; what it finds that is none of these is looked at one by one like the others.
    text = "\n".join(["", *uris, ""])
    if any(sign in text for sign in ("..", "://", "\n/", "\n\n")):
        return [files.join(root, uri) for uri in uris]
    base = root.rstrip("/")
    return [f"{base}/{uri}" for uri in uris]


def below_in_parts(root: str, uris: Sequence[str]) -> Iterator[str]:
    """Do what `below` does, some at a time: of a million files the whole paths take as much room as half of all about them.

    Parameters
    ----------
    root, uris
        As for `below`.

    Yields
    ------
    str
        The places.

    Raises
    ------
    UsageError
        As for `below`, when it comes to that one.
    """
    for first in range(0, len(uris), _PLACED_AT_ONCE):
        yield from below(root, uris[first : first + _PLACED_AT_ONCE])


def in_the_way(artifacts: Columns, source: str, target: str) -> list[Failure]:
    """Find files below `target` that have an artifact's name and not its bytes; nothing is written.

    Parameters
    ----------
    artifacts : Columns
        ``uri`` (relative), ``size``, ``checksum``.
    source, target : str
        The two roots.

    Returns
    -------
    list of Failure
        With code ``artifact-differs``.

    Notes
    -----
    One listing a directory, and none below one that is missing, as a new RUN's is.
    """
    there = _names_there(artifacts["uri"].tolist(), target)
    same: list[str] = []
    failed: list[Failure] = []
    for task in place(artifacts, source, target) if there else ():
        if task[0] in there:
            judge_found(task, same, failed)
    return failed


def _names_there(uris: Sequence[str], target: str) -> set[str]:
    """Return the files in the directories of `uris`, and perhaps others."""
    root = local_text(target)
    if root is None:
        common = os.path.commonpath(uris).rpartition("/")[0] if uris else ""
        return {f"{common}/{name}".lstrip("/") for name in files.list_files(files.join(target, common))}
    exists = {"": os.path.isdir(root)}

    def is_there(folder: str) -> bool:
        if folder not in exists:
            exists[folder] = is_there(folder.rpartition("/")[0]) and os.path.isdir(f"{root}/{folder}")
        return exists[folder]

    folders = {uri.rpartition("/")[0] for uri in uris}
    with worded(target, "list"):
        return {
            f"{f}/{name}".lstrip("/") for f in folders if is_there(f) for name in os.listdir(f"{root}/{f}")
        }


def sizes_there(uris: Sequence[str], root: str) -> dict[str, int]:
    """Ask a store that is not local for the sizes of files, by listing the directory that holds them all.

    Parameters
    ----------
    uris : sequence of str
        Relative to the root.
    root : str
        The root.

    Returns
    -------
    dict of str to int
        Those that are there. What the list lacks is asked for by name, since a list may lag behind.
    """
    if not uris:
        return {}
    common = os.path.commonpath([uri.rpartition("/")[0] for uri in uris])
    place = files.join(root, common)
    with worded(place, "list"):
        listed = remote_files.details(place)
    there = {f"{common}/{name}".lstrip("/"): size for name, size, _ in listed}
    found = {}
    for uri in uris:
        size = there.get(uri)
        if size is None:
            with suppress(NotFoundError):
                size = files.size(files.join(root, uri))
        if size is not None:
            found[uri] = size
    return found


def not_stored(tasks: Sequence[Task], target: str) -> list[Failure]:
    """Find what a store that is not local acknowledged and has not got as it was sent.

    Parameters
    ----------
    tasks : sequence of Task
        What was sent.
    target : str
        The root there.

    Returns
    -------
    list of Failure
        With code ``not-stored``. Only presence and size are looked at.
    """
    there = sizes_there([task[0] for task in tasks], target)
    out = []
    for uri, _, dst, size, checksum in tasks:
        found = there.get(uri)
        if found != size:
            told = "nothing" if found is None else f"{found} bytes"
            out.append(Failure(uri, "not-stored", in_words(size, checksum), f"{told} at {files.redact(dst)}"))
    return out


def judge_found(task: Task, same: list[str], failed: list[Failure]) -> None:
    """Judge a file that is there already.

    Parameters
    ----------
    task : Task
        The artifact, and where it was found.
    same : list of str
        Takes its URI if the bytes are the same.
    failed : list of Failure
        Takes an ``artifact-differs`` otherwise.
    """
    uri, src, dst, size, checksum = task
    if is_same(src, dst, size, checksum):
        same.append(uri)
    else:
        failed.append(
            Failure(uri, "artifact-differs", in_words(size, checksum), in_words(*files.checksum(dst)))
        )


def is_same(source: str, target: str, size: int, checksum: str) -> bool:
    """Tell whether an existing file holds the bytes of an artifact.

    Parameters
    ----------
    source, target : str
        Our file, and the one found.
    size : int
        Bytes recorded.
    checksum : str
        Checksum recorded; if empty, our file is read for it.

    Returns
    -------
    bool
        True without reading for two names of one file.
    """
    if files.is_local(source) and files.is_local(target):
        ours, theirs = str(files.local_path(source)), str(files.local_path(target))
        try:
            if os.path.samefile(ours, theirs):
                return True
        except FileNotFoundError:  # ours was dropped since upstream has it
            pass
    if files.size(target) != size:
        return False
    return files.checksum(target) == (size, checksum or files.checksum(source)[1])


def in_words(size: int, checksum: str) -> str:
    """Word what an artifact's bytes are.

    Parameters
    ----------
    size : int
        Bytes.
    checksum : str
        Checksum, or empty.

    Returns
    -------
    str
        ``12 bytes blake3:0123456789ab``.
    """
    return f"{size} bytes {checksum[:19]}".rstrip()
