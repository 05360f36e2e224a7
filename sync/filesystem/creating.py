"""Files that are made only under a name that nothing has: who comes second is told, and what is there stays.

How sure that is depends on where the file goes. A local file is written aside and gets its name by a link, which fails if
the name is taken. An S3 server is asked to store an object only if there is none of that name; one that does not know such a
request, and every other store, is looked at first, and between looking and writing somebody else may write.
"""
# ruff: noqa: PTH104, PTH108, PTH120, PTH123, SIM115
# pathlib costs more than the system calls that it wraps, and there are some of them a file

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from sync.filesystem.file_errors import worded
from sync.filesystem.local_files import aside_name
from sync.filesystem.remote_access import CONDITIONAL, aside_of, is_object_store, opened
from sync.filesystem.sharing import make_folders, share_file
from sync.filesystem.tally import Tally
from sync.filesystem.uris import Uri, local_text

__all__ = ["COPY_INSTEAD", "Accept", "copy_inside", "create", "is_one_store"]

Accept = Callable[[int, str], bool]
"""Told size and checksum of what was written; False takes it back before anybody has seen it."""

COPY_INSTEAD = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP})
"""What a system says that will not link two names to one file."""

_SINGLE = 8 * 2**20
"""Up to so many bytes an object is sent in one request, from memory; a larger one in parts."""


def create(uri: Uri, parts: Iterable[bytes], accept: Accept | None = None) -> tuple[int, str]:
    """Write a file where there is none.

    Parameters
    ----------
    uri : str or path
        Where; missing parents are made.
    parts : iterable of bytes
        What.
    accept : callable, optional
        Judges what has passed; nothing is left under the name if it says no.

    Returns
    -------
    size : int
        Bytes that have passed.
    checksum : str
        As artifacts record it: ``blake3:…``.

    Raises
    ------
    AlreadyExistsError
        If there is a file of that name; it is as it was.
    StorageError
        If it cannot be written; then nothing is under that name.
    """
    tally = Tally()

    def is_wanted() -> bool:
        return accept is None or accept(tally.size, tally.checksum)

    path = local_text(uri)
    with worded(uri, "write"):
        if path is not None:
            _create_local(path, tally.passing(parts), is_wanted)
        else:
            _create_remote(os.fspath(uri), tally.passing(parts), is_wanted)
    return tally.size, tally.checksum


def _create_local(path: str, parts: Iterable[bytes], is_wanted: Callable[[], bool]) -> None:
    aside = f"{path.rpartition('/')[0]}/{aside_name()}"
    try:
        out = open(aside, "xb")
    except FileNotFoundError:
        make_folders(os.path.dirname(path))
        out = open(aside, "xb")
    try:
        with out:
            share_file(out.fileno(), os.path.dirname(path))
            out.writelines(parts)
        if is_wanted():
            _give_name(aside, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(aside)


def _give_name(aside: str, path: str) -> None:
    try:
        os.link(aside, path)
    except OSError as exc:
        if exc.errno not in COPY_INSTEAD:
            raise
        if os.path.lexists(path):  # a file system without links: look first, as there is no better way
            raise FileExistsError(path) from exc
        os.rename(aside, path)


def _create_remote(uri: str, parts: Iterable[bytes], is_wanted: Callable[[], bool]) -> None:
    with opened(uri) as (fs, path):
        if not is_object_store(fs):
            _refuse_taken(fs, path)
            with aside_of(fs, path, is_wanted) as target, fs.open(target, "wb") as out:
                out.writelines(parts)
            return
        pieces = iter(parts)
        held: list[bytes] = []
        while sum(map(len, held)) < _SINGLE and (piece := next(pieces, None)) is not None:
            held.append(piece)
        rest = next(pieces, None)
        if rest is None:
            if is_wanted():
                _put(fs, path, b"".join(held))
            return
        _put_parts(fs, path, [*held, rest], pieces, is_wanted)


def _put(fs: Any, path: str, data: bytes) -> None:
    """Send an object in one request."""
    if CONDITIONAL.may(fs, "write"):
        try:
            fs.pipe_file(path, data, mode="create")
        except OSError as exc:
            CONDITIONAL.note(fs, "write", exc)
        else:
            return
    _refuse_taken(fs, path)
    fs.pipe_file(path, data)


def _put_parts(
    fs: Any, path: str, begun: list[bytes], pieces: Iterable[bytes], is_wanted: Callable[[], bool]
) -> None:
    """Send an object in parts; there is nothing under its name before the last request puts them together."""
    conditional = CONDITIONAL.may(fs, "write")
    _refuse_taken(fs, path)
    stream = fs.open(path, "xb" if conditional else "wb", autocommit=False, block_size=_SINGLE)
    try:
        for piece in begun:
            stream.write(piece)
        for piece in pieces:
            stream.write(piece)
        stream.close()
        if is_wanted():
            _commit(fs, stream, path)
        else:
            stream.discard()
    except BaseException:
        with suppress(Exception):
            stream.discard()
        stream.closed = True  # else it would be flushed once more when it is forgotten
        raise


def _commit(fs: Any, stream: Any, path: str) -> None:
    try:
        stream.commit()
    except OSError as exc:
        CONDITIONAL.note(fs, "write", exc)
        _refuse_taken(fs, path)
        stream.mode = "wb"
        stream.commit()


def _refuse_taken(fs: Any, path: str) -> None:
    fs.invalidate_cache(path)  # what somebody else wrote since counts
    if fs.exists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)


def is_one_store(source: Uri, target: Uri) -> bool:
    """Tell whether objects can be copied from one place to the other without their bytes coming here.

    Parameters
    ----------
    source, target : str or path
        Two URIs.

    Returns
    -------
    bool
        Whether both are of the same object store, reached in the same way.
    """
    if local_text(source) is not None or local_text(target) is not None:
        return False
    with opened(os.fspath(source)) as (ours, _), opened(os.fspath(target)) as (theirs, _):
        return is_object_store(ours) and bool(ours == theirs)


def copy_inside(source: str, target: str, size: int) -> int:
    """Let a store copy an object itself, to a name that nothing has.

    Parameters
    ----------
    source, target : str
        Two objects of one store.
    size : int
        What the object is to have; of one with another size nothing is copied.

    Returns
    -------
    int
        The size of the object, or of what the store made of it.

    Raises
    ------
    AlreadyExistsError
        If there is an object of that name; it is as it was.
    NotFoundError
        If there is nothing to be copied.
    StorageError
        If it cannot be copied, or the copy has another tag than the original; it is removed again.

    Notes
    -----
    The tag that a store gives to what was sent in one request follows from the bytes; it tells nothing where objects
    went in parts.
    """
    with worded(source, "copy"), opened(source) as (fs, src), opened(target) as (_, dst):
        fs.invalidate_cache(src)
        before = fs.info(src)
        if int(before["size"]) != size:
            return int(before["size"])
        _refuse_taken(fs, dst)
        try:
            fs.cp_file(src, dst, **({"IfNoneMatch": "*"} if CONDITIONAL.may(fs, "copy") else {}))
        except OSError as exc:
            CONDITIONAL.note(fs, "copy", exc)
            fs.cp_file(src, dst)
        fs.invalidate_cache(dst)
        after = fs.info(dst)
        if not _is_like(before, after):
            fs.rm_file(dst)
            raise OSError(errno.EIO, f"the copy has another tag than {source}", dst)
        return int(after["size"])


def _is_like(before: dict[str, Any], after: dict[str, Any]) -> bool:
    ours, theirs = (str(told.get("ETag") or "").strip('"') for told in (before, after))
    return "-" in ours + theirs or not (ours and theirs) or ours == theirs
