"""Reading and writing whole files at any URI: the one file API of the upper layers.

A local file (a plain path or ``file://``) is reached by system calls; every other scheme goes through fsspec,
which is loaded when the first such URI is met. Nothing appears under its name before it is whole: bytes are written
aside, under a name that every reader ignores, and then renamed. A killed writer leaves such a file and no more.
"""
# ruff: noqa: PTH108,PTH110,PTH116
# pathlib costs more than the system calls that it wraps, and this module is on every hot path

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator

from registry.errors import NotFoundError, UsageError
from sync.filesystem import local_files as local
from sync.filesystem import remote_files as remote
from sync.filesystem.file_errors import worded
from sync.filesystem.tally import Tally, counted
from sync.filesystem.uris import Uri, absolute, is_absolute, is_local, join, local_path, local_text, redact

__all__ = [
    "Uri",
    "absolute",
    "checksum",
    "copy",
    "exists",
    "is_absolute",
    "is_local",
    "join",
    "link",
    "list_files",
    "local_path",
    "local_text",
    "read_bytes",
    "read_chunks",
    "read_range",
    "redact",
    "remove",
    "size",
    "symlink",
    "write_bytes",
    "write_stream",
]


def read_bytes(uri: Uri) -> bytes:
    """Read a whole file.

    Parameters
    ----------
    uri : str or path
        Which.

    Returns
    -------
    bytes
        All of it.

    Raises
    ------
    NotFoundError
        If there is none.
    StorageError
        If it cannot be read.
    """
    path = local_text(uri)
    with worded(uri, "read"):
        if path is None:
            return remote.read(os.fspath(uri))
        return local.read(path)


def read_range(uri: Uri, start: int, length: int) -> bytes:
    """Read a part of a file.

    Parameters
    ----------
    uri : str or path
        Which.
    start : int
        First byte; counted from the end if negative.
    length : int
        How many bytes.

    Returns
    -------
    bytes
        Fewer than `length` where the file ends before.

    Raises
    ------
    NotFoundError
        If there is none.
    StorageError
        If it cannot be read.
    """
    path = local_text(uri)
    with worded(uri, "read"):
        if path is None:
            return remote.read_range(os.fspath(uri), start, length)
        return local.read_range(path, start, length)


def read_chunks(uri: Uri) -> Iterator[bytes]:
    """Read a file piece by piece.

    Parameters
    ----------
    uri : str or path
        Which.

    Yields
    ------
    bytes
        Pieces of at most a megabyte.

    Raises
    ------
    NotFoundError
        If there is none.
    StorageError
        If it cannot be read.
    """
    path = local_text(uri)
    with worded(uri, "read"):
        yield from remote.chunks(os.fspath(uri)) if path is None else local.chunks(path)


def size(uri: Uri) -> int:
    """Return the size of a file in bytes.

    Parameters
    ----------
    uri : str or path
        Which.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    NotFoundError
        If there is none.
    StorageError
        If that cannot be known.
    """
    path = local_text(uri)
    with worded(uri, "stat"):
        if path is None:
            return remote.size(os.fspath(uri))
        return os.stat(path).st_size


def checksum(uri: Uri) -> tuple[int, str]:
    """Read a file and return its size and checksum.

    Parameters
    ----------
    uri : str or path
        Which.

    Returns
    -------
    (int, str)
        The bytes, and the checksum as artifacts record it: ``blake3:…``.

    Raises
    ------
    NotFoundError
        If there is none.
    StorageError
        If it cannot be read.
    """
    path = local_text(uri)
    with worded(uri, "read"):
        return counted(remote.chunks(os.fspath(uri))) if path is None else local.checksum(path)


def exists(uri: Uri) -> bool:
    """Tell whether a file or a directory is there.

    Parameters
    ----------
    uri : str or path
        Which.

    Returns
    -------
    bool
        False also where a symbolic link leads nowhere.

    Raises
    ------
    StorageError
        If that cannot be known.
    """
    path = local_text(uri)
    with worded(uri, "look for"):
        if path is None:
            return remote.exists(os.fspath(uri))
        return os.path.exists(path)


def write_bytes(uri: Uri, data: bytes, *, durable: bool = False) -> None:
    """Write a whole file, or replace it, at once.

    Parameters
    ----------
    uri : str or path
        Where; missing parents are made.
    data : bytes
        What.
    durable : bool, optional
        Whether to return only when it would survive a power cut.

    Raises
    ------
    StorageError
        If it cannot be written; then nothing has changed under that name.
    """
    path = local_text(uri)
    with worded(uri, "write"):
        if path is None:
            remote.write(os.fspath(uri), data)
        else:
            local.write(path, data, durable)


def write_stream(uri: Uri, chunks: Iterable[bytes], *, durable: bool = False) -> tuple[int, str]:
    """Write a whole file from pieces, and take its checksum as they pass.

    Parameters
    ----------
    uri : str or path
        Where; missing parents are made.
    chunks : iterable of bytes
        The pieces.
    durable : bool, optional
        Whether to return only when it would survive a power cut.

    Returns
    -------
    size : int
        Bytes written.
    checksum : str
        As artifacts record it: ``blake3:…``.

    Raises
    ------
    StorageError
        If it cannot be written; then nothing has changed under that name.
    """
    path = local_text(uri)
    tally = Tally()
    with worded(uri, "write"):
        if path is None:
            remote.write_chunks(os.fspath(uri), tally.passing(chunks))
        else:
            local.write_chunks(path, tally.passing(chunks), durable)
    return tally.size, tally.checksum


def copy(src: Uri, dst: Uri, *, durable: bool = False) -> tuple[int, str]:
    """Copy a file and take its checksum as the bytes pass.

    Parameters
    ----------
    src, dst : str or path
        From where, to where; missing parents are made.
    durable : bool, optional
        Whether to return only when the copy would survive a power cut.

    Returns
    -------
    size : int
        Bytes copied.
    checksum : str
        As artifacts record it: ``blake3:…``.

    Raises
    ------
    NotFoundError
        If `src` is not there.
    StorageError
        If it cannot be read or written; then nothing has changed under `dst`.
    """
    return write_stream(dst, read_chunks(src), durable=durable)


def link(src: Uri, dst: Uri, *, durable: bool = False) -> None:
    """Give a local file a second name (a hard link), in place of what had it.

    Parameters
    ----------
    src, dst : str or path
        The file, and its new name; missing parents are made.
    durable : bool, optional
        Whether to return only when file and name would survive a power cut.

    Raises
    ------
    UsageError
        If one of them is not local.
    NotFoundError
        If `src` is not there.
    StorageError
        With code ``"cross-device"`` if they are on two file systems; else as for `write_bytes`.
    """
    _as_local(local.link, src, dst, durable)


def symlink(src: Uri, dst: Uri, *, durable: bool = False) -> None:
    """Make a symbolic link to a local file, in place of what had the name.

    Parameters
    ----------
    src, dst : str or path
        The file, and the link; missing parents are made.
    durable : bool, optional
        Whether to return only when the link would survive a power cut.

    Raises
    ------
    UsageError
        If one of them is not local.
    StorageError
        As for `write_bytes`.
    """
    _as_local(local.symlink, absolute(src), dst, durable)


def remove(uri: Uri, *, missing_ok: bool = False) -> None:
    """Remove a file.

    Parameters
    ----------
    uri : str or path
        Which.
    missing_ok : bool, optional
        Whether it may be gone already.

    Raises
    ------
    NotFoundError
        If there is none and `missing_ok` is false.
    StorageError
        If it cannot be removed.
    """
    path = local_text(uri)
    with (
        contextlib.suppress(NotFoundError) if missing_ok else contextlib.nullcontext(),
        worded(uri, "remove"),
    ):
        if path is None:
            remote.remove(os.fspath(uri))
        else:
            os.unlink(path)


def list_files(root: Uri) -> list[str]:
    """Name all files below a directory; what writers left aside is left out.

    Parameters
    ----------
    root : str or path
        The directory; symbolic links to directories are not followed.

    Returns
    -------
    list of str
        Paths relative to `root`, sorted; empty where there is no such directory.

    Raises
    ------
    StorageError
        If it cannot be listed.
    """
    path = local_text(root)
    with worded(root, "list"):
        names = remote.walk(os.fspath(root)) if path is None else local.walk(path)
        return sorted(n for n in names if not local.is_aside(n))


def _as_local(act: Callable[[str, str, bool], None], src: Uri, dst: Uri, durable: bool) -> None:
    source, target = local_text(src), local_text(dst)
    if source is None or target is None:
        far = src if source is None else dst
        raise UsageError(
            f"cannot link '{redact(far)}', which is not a local file",
            code="not-local",
            hint="Copy instead of linking.",
        )
    with worded(dst, "link"):
        act(source, target, durable)
