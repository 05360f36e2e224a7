"""Moving artifacts between datastores: linked or copied, checked, never in place of something else."""
# ruff: noqa: PTH103, PTH104, PTH108, PTH110, PTH120, PTH123
# pathlib costs more than the system calls that it wraps, and there are some of them a file

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from registry.errors import NotFoundError, StageError, UsageError
from registry.model.columns import Columns
from sync.faults import At, no_fault
from sync.filesystem import files
from sync.filesystem.durable import flush
from sync.filesystem.file_errors import worded
from sync.filesystem.local_files import aside_name, chunks, prune_empty
from sync.filesystem.tally import Tally
from sync.found import Failure, Task, in_words, judge_found, place

__all__ = ["Mode", "TransferResult", "make_durable", "transfer", "withdraw"]

Mode = Literal["auto", "link", "copy"]
_CHUNK = 256
_WAITING = 3.0
"""So many times longer than it computes takes a thread that mostly waits for the store."""
_COPY_INSTEAD = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP})


@dataclass(frozen=True)
class TransferResult:
    """What became of each artifact.

    Parameters
    ----------
    moved : tuple of str
        URIs that this transfer put there.
    same : tuple of str
        URIs that were there already, with the same bytes.
    failed : tuple of Failure
        The others, with reasons.
    size_bytes : int
        Bytes of what was moved.
    linked : bool
        Whether files were linked rather than copied.
    """

    moved: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    size_bytes: int = 0
    linked: bool = False


@dataclass
class _Tally:
    moved: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, other: _Tally) -> None:
        self.moved += other.moved
        self.same += other.same
        self.failed += other.failed
        self.size_bytes += other.size_bytes


def transfer(
    artifacts: Columns,
    source: str,
    target: str,
    *,
    mode: Mode = "auto",
    workers: int = 4,
    chunk: int = _CHUNK,
    at: At = no_fault,
    on_progress: Callable[[int, int], None] | None = None,
) -> TransferResult:
    """Put artifacts under the same relative URIs below another root.

    Parameters
    ----------
    artifacts : Columns
        ``uri`` (relative), ``size``, ``checksum``.
    source, target : str
        The two roots; directories or URIs.
    mode : {"auto", "link", "copy"}
        ``auto`` links where both roots are on one local file system, and copies elsewhere.
    workers : int
        Threads, where the first chunk shows that there is something to wait for.
    chunk : int
        Artifacts a thread takes at once.
    at : callable
        Called with ``"artifacts-moving"`` after each chunk.
    on_progress : callable, optional
        Called with the numbers done and in all after each chunk, in the calling thread.

    Returns
    -------
    TransferResult
        Each artifact is moved, same or failed. What was moved is not durable yet: see `make_durable`.

    Raises
    ------
    UsageError
        If `mode` is ``link`` and the roots are not on one local file system; nothing was moved.

    Notes
    -----
    A copy is verified against the recorded checksum while its bytes pass; a link against the recorded size.
    An existing file is never replaced, whoever made it and whenever.
    """
    linking = _choose_link(source, target, mode)
    act = (_link_only if mode == "link" else _link) if linking else _copy
    tasks = place(artifacts, source, target)
    _make_folders([task[2] for task in tasks])
    tally = _Tally()
    for part in _each_chunk(act, tasks, chunk, workers):
        tally.add(part)
        at("artifacts-moving")
        if on_progress is not None:
            on_progress(len(tally.moved) + len(tally.same) + len(tally.failed), len(tasks))
    return TransferResult(
        tuple(tally.moved), tuple(tally.same), tuple(tally.failed), tally.size_bytes, linking
    )


def make_durable(result: TransferResult, target: str) -> None:
    """Wait until all that is in place would survive a power cut.

    Parameters
    ----------
    result : TransferResult
        What was moved, and what was found: whoever put it there may have been killed before it was durable.
    target : str
        The root it is below. Stores other than local ones have acknowledged by now.

    Raises
    ------
    StorageError
        If the system cannot promise it.
    """
    root = files.local_path(target)
    if root is None:
        return
    with worded(target, "flush"):
        flush((*result.moved, *result.same), str(root))


def withdraw(uris: Iterable[str], target: str) -> None:
    """Remove artifacts that a refused push had put in place, and the directories left empty by that.

    Parameters
    ----------
    uris : iterable of str
        What this very push moved and no row names; relative.
    target : str
        The root.
    """
    root = files.local_path(target)
    folders = set()
    for uri in uris:
        path = files.join(target, uri)
        files.remove(path, missing_ok=True)
        folders.add(os.path.dirname(path))
    if root is not None:
        for folder in sorted(folders, key=len, reverse=True):
            prune_empty(folder, str(root))


def _choose_link(source: str, target: str, mode: Mode) -> bool:
    if mode == "copy":
        return False
    ours, theirs = files.local_path(source), files.local_path(target)
    if ours is not None and theirs is not None and ours.exists():
        theirs.mkdir(parents=True, exist_ok=True)
        if ours.stat().st_dev == theirs.stat().st_dev:
            return True
    if mode == "auto":
        return False
    raise UsageError(
        f"cannot link from {files.redact(source)} to {files.redact(target)}: not one local file system",
        code="cannot-link",
        hint="Use mode 'copy' or 'auto'.",
    )


def _make_folders(targets: Sequence[str]) -> None:
    folders = {target.rpartition("/")[0] for target in targets}
    for folder in folders:
        path = files.local_path(folder)
        if path is not None:
            with worded(path, "make"):
                os.makedirs(path, exist_ok=True)


def _each_chunk(
    act: Callable[[Task, _Tally], None], tasks: list[Task], chunk: int, workers: int
) -> Iterator[_Tally]:
    def run(start: int) -> _Tally:
        tally = _Tally()
        for task in tasks[start : start + chunk]:
            _guarded(act, task, tally)
        return tally

    starts = range(0, len(tasks), chunk)
    if workers < 2 or len(starts) < 2:
        yield from map(run, starts)
        return
    wall, busy = time.perf_counter(), time.thread_time()
    yield run(0)
    wall, busy = time.perf_counter() - wall, time.thread_time() - busy
    if wall < _WAITING * busy:
        # Nothing to wait for, as on a local disk: threads would only fight for the interpreter, at twice the cost.
        yield from map(run, starts[1:])
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="transfer") as pool:
        yield from pool.map(run, starts[1:])


def _guarded(act: Callable[[Task, _Tally], None], task: Task, tally: _Tally) -> None:
    """Move one artifact; what goes wrong with it is a value, so that all that is wrong is known at the end."""
    uri, src, dst, size, checksum = task
    try:
        act(task, tally)
    except FileExistsError:
        judge_found(task, tally.same, tally.failed)
    except FileNotFoundError:
        # Another push that was refused may have removed a directory that it left empty.
        if not os.path.exists(src):
            tally.failed.append(
                Failure(uri, "artifact-missing", in_words(size, checksum), f"nothing at {src}")
            )
            return
        os.makedirs(os.path.dirname(dst), exist_ok=True)
        try:
            act(task, tally)
        except FileExistsError:
            judge_found(task, tally.same, tally.failed)
        except OSError as exc:
            tally.failed.append(Failure(uri, "storage", in_words(size, checksum), exc.strerror or str(exc)))
    except (OSError, StageError) as exc:
        code = "artifact-missing" if isinstance(exc, NotFoundError) else "storage"
        why = getattr(exc, "strerror", None) or str(exc)
        tally.failed.append(Failure(uri, code, in_words(size, checksum), why))


def _link(task: Task, tally: _Tally) -> None:
    """Give the file a second name; copy it where the system will not have that."""
    try:
        _link_only(task, tally)
    except OSError as exc:
        if exc.errno not in _COPY_INSTEAD:
            raise
        _copy(task, tally)


def _link_only(task: Task, tally: _Tally) -> None:
    uri, src, dst, size, checksum = task
    found = os.lstat(src)
    if stat.S_ISLNK(found.st_mode):
        # A link to a symbolic link would dangle when what it leads to is tidied away.
        _copy(task, tally)
        return
    if found.st_size != size:
        tally.failed.append(
            Failure(uri, "artifact-changed", in_words(size, checksum), in_words(found.st_size, ""))
        )
        return
    os.link(src, dst)
    tally.moved.append(uri)
    tally.size_bytes += size


def _copy(task: Task, tally: _Tally) -> None:
    """Copy the bytes, verify them, and give them their name."""
    uri, src, dst, size, checksum = task
    copied = _copy_local(task) if files.is_local(src) and files.is_local(dst) else _copy_remote(task)
    if not _agrees(copied, size, checksum):
        tally.failed.append(Failure(uri, "artifact-changed", in_words(size, checksum), in_words(*copied)))
        return
    tally.moved.append(uri)
    tally.size_bytes += size


def _copy_local(task: Task) -> tuple[int, str]:
    """Copy aside; give it its name, if it is what it should be, by a link: unlike a rename never over something else."""
    _, src, dst, size, checksum = task
    aside = f"{dst.rpartition('/')[0]}/{aside_name()}"
    tally = Tally()
    try:
        with open(aside, "xb") as out:
            for part in chunks(src):
                tally.take(part)
                out.write(part)
        copied = tally.size, tally.checksum
        if _agrees(copied, size, checksum):
            _give_name(aside, dst)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(aside)
    return copied


def _give_name(aside: str, dst: str) -> None:
    try:
        os.link(aside, dst)
    except OSError as exc:
        if exc.errno not in _COPY_INSTEAD:
            raise
        if os.path.lexists(dst):  # a file system without links: look first, as there is no better way
            raise FileExistsError(dst) from exc
        os.rename(aside, dst)


def _copy_remote(task: Task) -> tuple[int, str]:
    """Copy to, or from, a store that publishes whole objects; there is no way but to look first."""
    _, src, dst, size, checksum = task
    if files.exists(dst):
        raise FileExistsError(dst)
    copied = files.copy(src, dst)
    if not _agrees(copied, size, checksum):
        files.remove(dst)
    return copied


def _agrees(found: tuple[int, str], size: int, checksum: str) -> bool:
    return found[0] == size and (not checksum or found[1] == checksum)
