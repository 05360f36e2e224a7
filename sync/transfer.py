"""Moving artifacts between datastores: linked or copied, checked, never in place of something else."""
# ruff: noqa: PTH110, PTH112, PTH116, PTH120
# pathlib costs more than the system calls that it wraps, and there are some of them a file

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from registry.errors import AlreadyExistsError, NotFoundError, StageError
from registry.model.columns import Columns
from sync.faults import At, no_fault
from sync.filesystem import files
from sync.filesystem.creating import is_one_store
from sync.filesystem.durable import flush
from sync.filesystem.file_errors import worded
from sync.filesystem.local_files import prune_empty
from sync.filesystem.sharing import is_shared, make_folders
from sync.found import Failure, Placed, Task, below, below_in_parts, in_words, judge_found, not_stored
from sync.linking import Mode, can_link
from sync.patience import Patience
from sync.waiting import Stopwatch
from sync.ways import Act, Tally, copy, copy_inside_store, link, link_only

if TYPE_CHECKING:
    from sync.pushing.adopting import Adoption

__all__ = ["Mode", "TransferResult", "make_durable", "prune_folders", "transfer", "withdraw"]

_CHUNK = 256
_FAR_CHUNK, _FAR_WORKERS = 8, 8
"""Artifacts at once, and threads, where a store makes each of them wait."""


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
    untried : int
        How many were not tried any more, after many had failed one after the other.
    adoption : Adoption, optional
        What made them upstream's where they are: then none is ours to take back.
    """

    moved: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    size_bytes: int = 0
    linked: bool = False
    untried: int = 0
    adoption: Adoption | None = None


def transfer(
    artifacts: Columns,
    source: str,
    target: str,
    *,
    mode: Mode = "auto",
    workers: int = 4,
    chunk: int = _CHUNK,
    patience: Patience | None = None,
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
        ``auto`` links where both roots are on one local file system, and copies elsewhere. A store that holds both
        roots copies itself.
    workers : int
        Threads, where the first chunk shows that there is something to wait for; more for a store that is not local.
    chunk : int
        Artifacts a thread takes at once; fewer for a store that is not local.
    patience : Patience, optional
        How often a store that fails is asked again.
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
    A copy is verified against the recorded checksum while its bytes pass; a link, and a copy that a store makes itself,
    against the recorded size. What went to another store is looked for there at the end: see `sync.found.not_stored`.
    An existing file is never replaced, whoever made it and whenever.
    """
    linking = can_link(source, target, mode)
    act = _way(source, target, mode, linking=linking)
    far = not (files.is_local(source) and files.is_local(target))
    tasks = Placed(artifacts, source, target)
    _make_folders(artifacts, target)
    tally = Tally()
    parts = (
        _each_far(act, tasks, min(chunk, _FAR_CHUNK), max(workers, _FAR_WORKERS), patience or Patience())
        if far
        else _each_chunk(act, tasks, chunk, workers)
    )
    for part in parts:
        tally.add(part)
        at("artifacts-moving")
        if on_progress is not None:
            on_progress(tally.n_done, len(tasks))
    result = TransferResult(
        tuple(tally.moved), tuple(tally.same), tuple(tally.failed), tally.size_bytes, linking, tally.untried
    )
    return result if files.is_local(target) else _confirmed(result, tasks.part(0, len(tasks)), target)


def _confirmed(result: TransferResult, tasks: Sequence[Task], target: str) -> TransferResult:
    """See that a store has what it acknowledged; take away what it has otherwise, which nobody could use."""
    moved = set(result.moved)
    lost = not_stored([task for task in tasks if task[0] in moved], target)
    if not lost:
        return result
    for failure in lost:
        files.remove(files.join(target, failure.uri), missing_ok=True)
    gone = {failure.uri for failure in lost}
    kept = [task for task in tasks if task[0] in moved and task[0] not in gone]
    return replace(
        result,
        moved=tuple(task[0] for task in kept),
        failed=(*result.failed, *lost),
        size_bytes=sum(task[3] for task in kept),
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


def withdraw(uris: Sequence[str], target: str) -> None:
    """Remove artifacts that a refused push had put in place, and the directories left empty by that.

    Parameters
    ----------
    uris : sequence of str
        What this very push moved and no row names; relative.
    target : str
        The root.

    Raises
    ------
    StorageError
        If one cannot be removed; those before it are.
    """
    root = files.local_text(target)
    if root is None:
        for uri in uris:
            files.remove(files.join(target, uri), missing_ok=True)
        return
    # Others wait meanwhile: a system call a file, and little else.
    unlink, paths = os.unlink, below(root, uris)
    for path in paths:
        try:
            unlink(path)
        except FileNotFoundError:
            continue
        except OSError:
            files.remove(path, missing_ok=True)  # says why
    prune_folders(uris, target)


def prune_folders(uris: Sequence[str], target: str) -> None:
    """Remove the directories of artifacts that are gone, as far as they are empty.

    Parameters
    ----------
    uris : sequence of str
        The artifacts; relative.
    target : str
        The root, which stays.

    Notes
    -----
    Whoever is about to put a file into one makes it again.
    """
    root = files.local_text(target)
    if root is not None:
        folders = {path.rpartition("/")[0] for path in below(root, uris)}
        for folder in sorted(folders, key=len, reverse=True):
            prune_empty(folder, root)


def _way(source: str, target: str, mode: Mode, *, linking: bool) -> Act:
    """Choose how one artifact is moved."""
    if linking:
        return link_only if mode == "link" else link
    return copy_inside_store if is_one_store(source, target) else copy


def _make_folders(artifacts: Columns, target: str) -> None:
    places = below_in_parts(files.local_text(target) or target, artifacts["uri"].tolist())
    folders = {path.rpartition("/")[0] for path in places}
    for folder in folders:
        path = files.local_path(folder)
        if path is not None:
            with worded(path, "make"):
                make_folders(str(path))


def _link_chunk(tasks: Sequence[Task], tally: Tally, otherwise: Act) -> None:
    """Link what is plainly as it was recorded and not there yet, at the cost of its system calls; judge the others."""
    lstat, give_name, is_file = os.lstat, os.link, stat.S_ISREG
    shared: dict[str, bool] = {}
    for task in tasks:
        uri, src, dst, size, _ = task
        folder = dst.rpartition("/")[0]
        if folder not in shared:
            shared[folder] = is_shared(os.stat(folder).st_mode) if os.path.isdir(folder) else True
        try:
            found = lstat(src)
            if found.st_size != size or shared[folder] or not is_file(found.st_mode):
                _guarded(otherwise, task, tally)
                continue
            give_name(src, dst)
        except OSError:
            _guarded(otherwise, task, tally)
            continue
        tally.moved.append(uri)
        tally.size_bytes += size


def _each_chunk(act: Act, tasks: Placed, chunk: int, workers: int) -> Iterator[Tally]:
    def run(start: int) -> Tally:
        tally = Tally()
        if act in {link, link_only}:
            _link_chunk(tasks.part(start, chunk), tally, act)
            return tally
        for task in tasks.part(start, chunk):
            _guarded(act, task, tally)
        return tally

    starts = range(0, len(tasks), chunk)
    if workers < 2 or len(starts) < 2:
        yield from map(run, starts)
        return
    watch = Stopwatch()
    yield run(0)
    if not watch.waited(chunk):
        # Nothing to wait for, as on a local disk: threads would only fight for the interpreter, at twice the cost.
        yield from map(run, starts[1:])
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="transfer") as pool:
        yield from pool.map(run, starts[1:])


def _each_far(act: Act, tasks: Placed, chunk: int, workers: int, patience: Patience) -> Iterator[Tally]:
    """Move artifacts from or to a store that is not local, some at a time, and what fails for a moment again."""

    def run(start: int) -> Tally:
        tally = Tally()
        for task in tasks.part(start, chunk):
            if patience.is_over:
                tally.untried += 1
                continue
            before = len(tally.failed)
            _guarded(act, task, tally, patience)
            patience.note(failed=any(failure.code == "storage" for failure in tally.failed[before:]))
        return tally

    with ThreadPoolExecutor(workers, thread_name_prefix="transfer") as pool:
        yield from pool.map(run, range(0, len(tasks), chunk))


def _guarded(act: Act, task: Task, tally: Tally, patience: Patience | None = None) -> None:
    """Move one artifact; what goes wrong with it is a value, so that all that is wrong is known at the end."""
    uri, src, dst, size, checksum = task
    try:
        try:
            if patience is None:
                act(task, tally)
            else:
                patience.trying(partial(act, task, tally))
        except FileNotFoundError:
            # Another push that was refused may have removed a directory that it left empty.
            if not os.path.exists(src):
                why = f"nothing at {src}"
                tally.failed.append(Failure(uri, "artifact-missing", in_words(size, checksum), why))
                return
            make_folders(os.path.dirname(dst))
            act(task, tally)
    except (FileExistsError, AlreadyExistsError):
        _judge(task, tally, patience)
    except (OSError, StageError) as exc:
        code = "artifact-missing" if isinstance(exc, NotFoundError) else "storage"
        why = getattr(exc, "strerror", None) or str(exc)
        tally.failed.append(Failure(uri, code, in_words(size, checksum), why))


def _judge(task: Task, tally: Tally, patience: Patience | None) -> None:
    look = partial(judge_found, task, tally.same, tally.failed)
    try:
        look() if patience is None else patience.trying(look)
    except (OSError, StageError) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        tally.failed.append(Failure(task[0], "storage", in_words(task[3], task[4]), why))
