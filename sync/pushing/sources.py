"""Whether the files that are to go upstream are here, and what was recorded of them."""
# ruff: noqa: PTH116
# pathlib costs more than the system calls that it wraps, and there are some of them a file

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import IntegrityError, NotFoundError, StageError
from registry.model.columns import Array, Columns
from sync.filesystem import files
from sync.found import Failure, Task, below_in_parts, in_words, place, sizes_there

if TYPE_CHECKING:
    from sync.plan import Outgoing

__all__ = ["CHANGED", "MISSING", "check_sources", "refused_sources", "written_until"]

MISSING, CHANGED = "artifact-missing", "artifact-changed"
_NAMED = 20
_OWNER_READS, _OTHERS_READ = 0o400, 0o044
_WAYS_ON = {
    MISSING: (
        "Put the files back, or make them again: 'stage exec' of the run's graph makes what is missing, "
        "'stage run --new-run' all of it anew."
    ),
    CHANGED: (
        "Put the recorded files back; or make all of it anew: 'stage run --new-run', then 'stage push'."
    ),
}


def written_until(outgoing: Outgoing) -> int:
    """Return the moment at which the last of the quanta to be pushed had written its files.

    Parameters
    ----------
    outgoing : Outgoing
        Our side of a push.

    Returns
    -------
    int
        UTC nanoseconds since 1970; 0 where no quanta tell.
    """
    if not outgoing.quanta.n_rows:
        return 0
    if outgoing.quanta["finished_ns"].dtype.kind == "i":  # none is missing
        return int(outgoing.quanta["finished_ns"].max())
    return max((t for t in outgoing.quanta["finished_ns"].tolist() if isinstance(t, int)), default=0)


def check_sources(artifacts: Columns, root: str, *, written_ns: int) -> None:
    """See that artifacts are there as they were recorded; nothing is written.

    Parameters
    ----------
    artifacts : Columns
        ``uri`` (relative), ``size``, ``checksum``.
    root : str
        Where they are.
    written_ns : int
        When the last of them was written. The bytes of a local file that was touched later are compared with its
        checksum; of others only the size. A store is asked for a list, since a question a file would cost a journey each.

    Raises
    ------
    NotFoundError
        If one is missing; names each.
    IntegrityError
        If one has been changed; names each.
    """
    path = files.local_text(root)
    if path is None:
        failures = _judge_far(place(artifacts, root, root), root)
    else:
        doubtful = _doubtful(artifacts, path, written_ns)
        suspects = place(artifacts.take(doubtful), root, root) if len(doubtful) else ()
        failures = [f for f in (_judge(task, written_ns) for task in suspects) if f is not None]
    if failures:
        raise refused_sources(failures, artifacts.n_rows)


def _doubtful(artifacts: Columns, root: str, written_ns: int) -> Array:
    """Return which artifacts are not plainly as they were recorded: missing, of another size, touched since, or closed."""
    stat, me = os.stat, os.geteuid()
    out = []
    places = below_in_parts(root, artifacts["uri"].tolist())
    for i, (where, size) in enumerate(zip(places, artifacts["size"].tolist(), strict=True)):
        try:
            found = stat(where)
        except OSError:
            out.append(i)
            continue
        if found.st_size != size or found.st_mtime_ns > written_ns or _may_be_closed(found, me):
            out.append(i)
    return np.array(out, dtype=np.intp)


def _may_be_closed(found: os.stat_result, user: int) -> bool:
    if found.st_uid == user:
        return not found.st_mode & _OWNER_READS
    return found.st_mode & _OTHERS_READ != _OTHERS_READ


def _judge(task: Task, written_ns: int) -> Failure | None:
    uri, path, _, size, checksum = task
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Failure(uri, MISSING, in_words(size, checksum), f"nothing at {path}")
    except OSError as exc:
        return Failure(uri, MISSING, in_words(size, checksum), f"{exc.strerror} at {path}")
    if found.st_size != size:
        return Failure(uri, CHANGED, in_words(size, checksum), in_words(found.st_size, ""))
    if not os.access(path, os.R_OK):  # linked it would be a file upstream that nobody can read
        return Failure(uri, MISSING, in_words(size, checksum), f"a file that cannot be read at {path}")
    if checksum and found.st_mtime_ns > written_ns and files.checksum(path)[1] != checksum:
        return Failure(uri, CHANGED, in_words(size, checksum), in_words(*files.checksum(path)))
    return None


def _judge_far(tasks: Sequence[Task], root: str) -> list[Failure]:
    there = sizes_there([task[0] for task in tasks], root)
    out = []
    for uri, where, _, size, checksum in tasks:
        found = there.get(uri)
        if found is None:
            out.append(Failure(uri, MISSING, in_words(size, checksum), f"nothing at {files.redact(where)}"))
        elif found != size:
            out.append(Failure(uri, CHANGED, in_words(size, checksum), in_words(found, "")))
    return out


def refused_sources(failures: Sequence[Failure], total: int) -> StageError:
    """Make the error about artifacts that are not here as they were recorded.

    Parameters
    ----------
    failures : sequence of Failure
        At least one; each is missing or changed.
    total : int
        How many were to go.

    Returns
    -------
    StageError
        A `NotFoundError` if one is missing, else an `IntegrityError`; with a note for each.
    """
    codes = np.array([f.code for f in failures])
    missing, changed = int((codes == MISSING).sum()), int((codes == CHANGED).sum())
    counts = [f"{n:,} {word}" for n, word in ((missing, "missing"), (changed, "changed")) if n]
    code = MISSING if missing else CHANGED
    kind = NotFoundError if missing else IntegrityError
    error = kind(
        f"push: of {total:,} artifacts {' and '.join(counts)} here; nothing was written upstream",
        code=code,
        hint=_WAYS_ON[code],
        context={"artifacts": [f.uri for f in failures]},
    )
    for failure in failures[:_NAMED]:
        error.add_note(str(failure))
    if len(failures) > _NAMED:
        error.add_note(f"and {len(failures) - _NAMED:,} more")
    return error
