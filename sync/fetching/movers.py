"""Giving upstream's files names below one's own root: linked by size, or copied and verified while the bytes pass.

What stands under a name is whole and is what was recorded. A file that is there already is looked at, never fetched
again; one that is not what it should be is replaced, since it is ours.
"""
# ruff: noqa: PTH108, PTH114, PTH115, PTH116
# pathlib costs more than the system calls that it wraps, and there are some of them a file

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from registry.errors import NotFoundError, StageError, StorageError
from registry.model.digest import digest_bytes
from sync.filesystem import files, local_files
from sync.filesystem.file_errors import worded
from sync.filesystem.tally import Tally
from sync.found import Failure, Task, in_words
from sync.waiting import Stopwatch

__all__ = ["LinkMode", "Moved", "each_chunk", "move_all", "refused_by"]

LinkMode = Literal["link", "symlink", "copy"]
Item = TypeVar("Item")
Out = TypeVar("Out")
_CHUNK = 64
_WORKERS = 16
"""Threads for what waits: a store answers many at once."""


@dataclass
class Moved:
    """What became of some files.

    Parameters
    ----------
    moved : list of str
        Names that were given.
    same : list of str
        Names that were there already, with the right bytes.
    failed : list of Failure
        The others, with reasons.
    size_bytes : int
        Bytes of what was copied.
    """

    moved: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, other: Moved) -> None:
        """Take over what became of other files.

        Parameters
        ----------
        other : Moved
            They.
        """
        self.moved += other.moved
        self.same += other.same
        self.failed += other.failed
        self.size_bytes += other.size_bytes


def move_all(tasks: Sequence[Task], mode: LinkMode, *, is_remote: bool) -> Iterator[Moved]:
    """Give files their names, in parts.

    Parameters
    ----------
    tasks : sequence of Task
        Name, where it is, where it goes, size, checksum.
    mode : {"link", "symlink", "copy"}
        How.
    is_remote : bool
        Whether one of the two places is not local.

    Yields
    ------
    Moved
        What became of each part.

    Raises
    ------
    StorageError
        If the disk is full: what is left would fail too.
    """
    act = _remote_copy if is_remote else {"link": _link, "symlink": _symlink, "copy": _copy}[mode]

    def part(some: Sequence[Task]) -> Moved:
        out = Moved()
        for task in some:
            _guarded(act, task, out)
        return out

    # A file of a store is worth a thread of its own.
    yield from each_chunk(part, tasks, chunk=4 if is_remote else _CHUNK, waits=is_remote)


def each_chunk(
    act: Callable[[Sequence[Item]], Out], items: Sequence[Item], *, chunk: int = _CHUNK, waits: bool = False
) -> Iterator[Out]:
    """Do something with parts of a list, in threads where that is mostly waiting.

    Parameters
    ----------
    act : callable
        Takes a part.
    items : sequence
        All.
    chunk : int, optional
        Size of a part.
    waits : bool, optional
        Whether it is known to wait; otherwise the first part shows it.

    Yields
    ------
    object
        What each part gives, in order.
    """
    parts = [items[start : start + chunk] for start in range(0, len(items), chunk)]
    if not waits and parts:
        watch = Stopwatch()
        yield act(parts[0])
        # Nothing to wait for, as on a local disk: threads would only fight for the interpreter.
        waits = watch.waited(len(parts[0]))
        parts = parts[1:]
    if not waits or len(parts) < 2:
        yield from map(act, parts)
        return
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="artifacts") as pool:
        try:
            yield from pool.map(act, parts)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def refused_by(mode: LinkMode, source: str, folder: str) -> OSError | None:
    """Try on one file whether the system lets one link it.

    Parameters
    ----------
    mode : {"link", "symlink", "copy"}
        How; a copy is always possible.
    source : str
        The file.
    folder : str
        Where its name would be; it exists.

    Returns
    -------
    OSError or None
        What the system says against it.
    """
    if mode == "copy":
        return None
    aside = f"{folder}/{local_files.aside_name()}"
    try:
        (os.symlink if mode == "symlink" else os.link)(os.path.realpath(source), aside)
    except FileNotFoundError:
        return None  # a file that is gone says nothing about others
    except OSError as exc:
        return exc
    finally:
        with suppress(OSError):
            os.unlink(aside)
    return None


def _guarded(act: Callable[[Task, Moved], None], task: Task, out: Moved) -> None:
    """Move one file; what goes wrong with it is a value, so that all that is wrong is known at the end."""
    uri, src, _, size, checksum = task
    try:
        act(task, out)
    except (NotFoundError, FileNotFoundError):
        out.failed.append(
            Failure(uri, "artifact-missing", in_words(size, checksum), f"nothing at {files.redact(src)}")
        )
    except _Differs as found:
        out.failed.append(Failure(uri, "artifact-changed", in_words(size, checksum), in_words(*found.found)))
    except (OSError, StageError) as exc:
        if isinstance(exc, StorageError) and exc.code == "disk-full":
            raise
        if isinstance(exc, OSError) and exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            with worded(task[2], "write"):
                raise
        why = getattr(exc, "strerror", None) or str(exc)
        out.failed.append(Failure(uri, "storage", in_words(size, checksum), why))


class _Differs(Exception):  # noqa: N818 - no error of ours: it is told as a failure
    """The bytes are not what was recorded."""

    def __init__(self, size: int, checksum: str) -> None:
        super().__init__(size, checksum)
        self.found = (size, checksum)


def _check_size(src: str, size: int) -> None:
    found = os.stat(src).st_size
    if found != size:
        raise _Differs(found, "")


def _link(task: Task, out: Moved) -> None:
    uri, src, dst, size, _ = task
    _check_size(src, size)
    # What a symbolic link of upstream's leads to is linked, not the link: that one can be tidied away.
    real = os.path.realpath(src) if os.path.islink(src) else src
    try:
        _made(os.link, real, dst)
    except FileExistsError:
        if os.path.samestat(os.stat(real), os.lstat(dst)):
            out.same.append(uri)
            return
        local_files.link(real, dst)
    out.moved.append(uri)


def _symlink(task: Task, out: Moved) -> None:
    uri, src, dst, size, _ = task
    _check_size(src, size)
    try:
        _made(os.symlink, src, dst)
    except FileExistsError:
        if os.path.islink(dst) and os.readlink(dst) == src:
            out.same.append(uri)
            return
        local_files.symlink(src, dst)
    out.moved.append(uri)


def _made(act: Callable[[str, str], None], src: str, dst: str) -> None:
    """Make a link; the directory is made when it proves missing."""
    try:
        act(src, dst)
    except FileNotFoundError:
        os.makedirs(dst.rpartition("/")[0], exist_ok=True)  # noqa: PTH103
        act(src, dst)


def _copy(task: Task, out: Moved) -> None:
    uri, src, dst, size, checksum = task
    if _is_own_copy(src, dst, size, checksum):
        out.same.append(uri)
        return
    if size <= local_files.CHUNK_BYTES:
        data = local_files.read(src)
        if len(data) != size or (checksum and digest_bytes(data) != checksum):
            raise _Differs(len(data), digest_bytes(data))
        local_files.write(dst, data)
    else:
        local_files.write_chunks(dst, _verified(local_files.chunks(src), size, checksum))
    out.moved.append(uri)
    out.size_bytes += size


def _is_own_copy(src: str, dst: str, size: int, checksum: str) -> bool:
    """Tell whether a copy is there already: a file of its own, no link, with the right bytes."""
    try:
        there = os.lstat(dst)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(there.st_mode) or there.st_size != size:
        return False
    with suppress(FileNotFoundError):
        if os.path.samestat(there, os.stat(src)):
            return False
    return local_files.checksum(dst)[1] == (checksum or local_files.checksum(src)[1])


def _remote_copy(task: Task, out: Moved) -> None:
    uri, src, dst, size, checksum = task
    if _is_there(dst, size, checksum):
        out.same.append(uri)
        return
    files.write_stream(dst, _verified(files.read_chunks(src), size, checksum))
    out.moved.append(uri)
    out.size_bytes += size


def _is_there(dst: str, size: int, checksum: str) -> bool:
    """Tell whether a copy is there; in a store its size says so, since an object appears when it is whole and verified.

    A local file of which no checksum was ever recorded is fetched again: after a power cut its size says nothing.
    """
    try:
        if files.size(dst) != size:
            return False
    except NotFoundError:
        return False
    return not files.is_local(dst) or (bool(checksum) and files.checksum(dst)[1] == checksum)


def _verified(parts: Iterable[bytes], size: int, checksum: str) -> Iterator[bytes]:
    """Pass bytes on; in the end, before the file gets its name, compare them with what was recorded."""
    tally = Tally()
    yield from tally.passing(parts)
    if tally.size != size or (checksum and tally.checksum != checksum):
        raise _Differs(tally.size, tally.checksum)
