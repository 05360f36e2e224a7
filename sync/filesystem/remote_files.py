"""The same file operations on every scheme that fsspec knows; see `sync.filesystem.files`.

Object stores publish a whole object at once, so they are written to directly; elsewhere a file is written
aside and moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from sync.filesystem.local_files import CHUNK_BYTES
from sync.filesystem.remote_access import aside_of, filesystem, is_object_store, opened, told_by

__all__ = [
    "chunks",
    "details",
    "exists",
    "read",
    "read_range",
    "remove",
    "size",
    "walk",
    "write",
    "write_chunks",
]


def read(uri: str) -> bytes:
    """Read a whole file.

    Parameters
    ----------
    uri : str
        Which.

    Returns
    -------
    bytes
        All of it.
    """
    with opened(uri) as (fs, path):
        return bytes(fs.cat_file(path))


def read_range(uri: str, start: int, length: int) -> bytes:
    """Read a part of a file.

    Parameters
    ----------
    uri : str
        Which.
    start : int
        First byte; counted from the end if negative.
    length : int
        How many bytes.

    Returns
    -------
    bytes
        Fewer than `length` where the file ends before.
    """
    if length <= 0:
        return b""
    with opened(uri) as (fs, path):
        if start >= 0:
            try:
                # One request: a store itself ends a range where the object ends.
                return bytes(fs.cat_file(path, start=start, end=start + length))
            except Exception:
                # Some refuse a range that begins beyond the end.
                if start < int(fs.info(path)["size"]):
                    raise
                return b""
        total = int(fs.info(path)["size"])
        first = max(0, total + start)
        last = min(first + length, total)
        return bytes(fs.cat_file(path, start=first, end=last)) if last > first else b""


def chunks(uri: str) -> Iterator[bytes]:
    """Read a file piece by piece.

    Parameters
    ----------
    uri : str
        Which.

    Yields
    ------
    bytes
        Pieces of at most `sync.filesystem.local_files.CHUNK_BYTES`.
    """
    with opened(uri) as (fs, path), fs.open(path, "rb") as stream:
        while part := stream.read(CHUNK_BYTES):
            yield part


def size(uri: str) -> int:
    """Return the size of a file in bytes.

    Parameters
    ----------
    uri : str
        Which.

    Returns
    -------
    int
        Bytes.
    """
    with opened(uri) as (fs, path):
        return int(fs.info(path)["size"])


def exists(uri: str) -> bool:
    """Tell whether a file or a directory is there.

    Parameters
    ----------
    uri : str
        Which.

    Returns
    -------
    bool
        Whether it is.
    """
    with opened(uri) as (fs, path):
        return bool(fs.exists(path))


def write(uri: str, data: bytes) -> None:
    """Write a whole file.

    Parameters
    ----------
    uri : str
        Where.
    data : bytes
        What.
    """
    with opened(uri) as (fs, path), aside_of(fs, path) as target:
        fs.pipe_file(target, bytes(data))


def write_chunks(uri: str, parts: Iterable[bytes]) -> None:
    """Write a whole file from pieces.

    Parameters
    ----------
    uri : str
        Where.
    parts : iterable of bytes
        What; an error while they come leaves nothing under that name.
    """
    fs, path = filesystem(uri)
    # An object store shows nothing until it is told to; elsewhere the name aside serves for that.
    held = {"autocommit": False} if is_object_store(fs) else {}
    with aside_of(fs, path) as target:
        with told_by(uri):
            stream = fs.open(target, "wb", **held)
        try:
            # What goes wrong where the pieces come from is not the store's failure, and is not worded so.
            for part in parts:
                with told_by(uri):
                    stream.write(part)
            with told_by(uri):
                stream.close()
                if held:
                    stream.commit()
        except BaseException:
            with suppress(Exception):
                (stream.discard if held else stream.close)()
            if held:
                stream.closed = True  # else it would be flushed once more when it is forgotten
            raise


def remove(uri: str) -> None:
    """Remove a file.

    Parameters
    ----------
    uri : str
        Which.
    """
    with opened(uri) as (fs, path):
        # Object stores are silent about removing what is not there.
        if not fs.exists(path):
            raise FileNotFoundError(uri)
        fs.rm_file(path)


def walk(root: str) -> list[str]:
    """Name the files below a directory.

    Parameters
    ----------
    root : str
        The directory; one that does not exist has no files.

    Returns
    -------
    list of str
        Paths relative to it, in no order.
    """
    with opened(root) as (fs, path):
        fs.invalidate_cache(path)
        prefix = path.rstrip("/") + "/"
        found = [str(name) for name in fs.find(path)]
        # Others write there too: what was listed must not answer later questions.
        fs.invalidate_cache(path)
        return [name[len(prefix) :] for name in found if name.startswith(prefix)]


def details(root: str) -> list[tuple[str, int, float]]:
    """Name the files below a directory, with what a file system tells of each.

    Parameters
    ----------
    root : str
        The directory; one that does not exist has no files.

    Returns
    -------
    list of (str, int, float)
        Path relative to it, bytes, and when it was changed last (seconds since 1970; 0 where nobody knows).
    """
    with opened(root) as (fs, path):
        fs.invalidate_cache(path)
        prefix = path.rstrip("/") + "/"
        found = fs.find(path, detail=True)
        fs.invalidate_cache(path)
        return [
            (str(name)[len(prefix) :], int(told.get("size") or 0), _changed(told))
            for name, told in found.items()
            if str(name).startswith(prefix)
        ]


def _changed(told: dict[str, Any]) -> float:
    """Return the time that a file system gives a file; each calls it otherwise."""
    found = next(
        (told[k] for k in ("LastModified", "last_modified", "updated", "mtime", "created") if told.get(k)), 0
    )
    return float(found.timestamp() if hasattr(found, "timestamp") else found)
