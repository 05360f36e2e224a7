"""System calls on local files: write aside, rename, make durable. Errors are the system's own; see `sync.filesystem.files`."""
# ruff: noqa: PTH105, PTH106, PTH108, PTH116, PTH118, PTH120, PTH211
# pathlib costs more than the system calls that it wraps, and this module is on every hot path

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator

from sync.filesystem.names import aside_name, is_aside
from sync.filesystem.sharing import make_folders, share_file
from sync.filesystem.tally import Tally

__all__ = [
    "CHUNK_BYTES",
    "aside_name",
    "checksum",
    "chunks",
    "is_aside",
    "link",
    "prune_empty",
    "read",
    "read_range",
    "symlink",
    "walk",
    "write",
    "write_chunks",
]

CHUNK_BYTES = 1 << 20
_READ = os.O_RDONLY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def read(path: str) -> bytes:
    """Read a whole file.

    Parameters
    ----------
    path : str
        Which.

    Returns
    -------
    bytes
        All of it.
    """
    fd = os.open(path, _READ)
    try:
        expected = os.fstat(fd).st_size
        data = os.read(fd, expected + 1)
        if len(data) == expected:
            return data
        # Larger than one call gives, or growing: go on to the end.
        parts = [data]
        while part := os.read(fd, CHUNK_BYTES):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def read_range(path: str, start: int, length: int) -> bytes:
    """Read a part of a file.

    Parameters
    ----------
    path : str
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
    fd = os.open(path, _READ)
    try:
        offset = start if start >= 0 else max(0, os.fstat(fd).st_size + start)
        parts: list[bytes] = []
        while length > 0 and (part := os.pread(fd, length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(fd)


def chunks(path: str) -> Iterator[bytes]:
    """Read a file piece by piece.

    Parameters
    ----------
    path : str
        Which.

    Yields
    ------
    bytes
        Pieces of at most `CHUNK_BYTES`.
    """
    fd = os.open(path, _READ)
    try:
        while part := os.read(fd, CHUNK_BYTES):
            yield part
    finally:
        os.close(fd)


def checksum(path: str) -> tuple[int, str]:
    """Read a file and return its size and checksum.

    Parameters
    ----------
    path : str
        Which.

    Returns
    -------
    size : int
        Bytes.
    checksum : str
        As artifacts record it: ``blake3:…``.
    """
    tally = Tally()
    fd = os.open(path, _READ)
    try:
        while part := os.read(fd, CHUNK_BYTES):
            tally.take(part)
    finally:
        os.close(fd)
    return tally.size, tally.checksum


def write(path: str, data: bytes, durable: bool = False) -> None:
    """Write a file aside and rename it.

    Parameters
    ----------
    path : str
        Where; missing parents are made.
    data : bytes
        What.
    durable : bool, optional
        Whether to wait for the disk.
    """
    write_chunks(path, (data,), durable)


def write_chunks(path: str, parts: Iterable[bytes], durable: bool = False) -> None:
    """Write a file aside from pieces and rename it.

    Parameters
    ----------
    path : str
        Where; missing parents are made.
    parts : iterable of bytes
        What.
    durable : bool, optional
        Whether to wait for the disk.
    """
    fd = -1

    def make(aside: str) -> None:
        nonlocal fd
        fd = os.open(aside, _CREATE, 0o666)
        share_file(fd, os.path.dirname(aside))

    def fill(_aside: str) -> None:
        try:
            for part in parts:
                _write_all(fd, part)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)

    _publish(path, make, fill, durable)


def link(src: str, dst: str, durable: bool = False) -> None:
    """Give a file a second name.

    Parameters
    ----------
    src, dst : str
        The file and its new name; a link of that name is replaced.
    durable : bool, optional
        Whether to wait for the disk, for the file's bytes too.
    """
    if durable:
        _sync(src)
    try:
        os.link(src, dst)
    except FileNotFoundError:
        _publish(dst, lambda aside: os.link(src, aside), None, durable)
    except FileExistsError:
        # Renaming one name of a file to another name of the same file does nothing and leaves both. A symbolic link to
        # it is no such name.
        there = os.lstat(dst)
        if not any(os.path.samestat(found, there) for found in (os.stat(src), os.lstat(src))):
            _publish(dst, lambda aside: os.link(src, aside), None, durable)
    if durable:
        _sync(os.path.dirname(dst) or ".")


def symlink(src: str, dst: str, durable: bool = False) -> None:
    """Make a symbolic link.

    Parameters
    ----------
    src, dst : str
        What it says, and its name; what had that name is replaced.
    durable : bool, optional
        Whether to wait for the disk.
    """
    _publish(dst, lambda aside: os.symlink(src, aside), None, durable)


def walk(root: str) -> Iterator[str]:
    """Name the files below a directory.

    Parameters
    ----------
    root : str
        The directory; one that does not exist has no files.

    Yields
    ------
    str
        Paths relative to it, in no order.
    """
    todo = [""]
    while todo:
        folder = todo.pop()
        try:
            entries = os.scandir(os.path.join(root, folder) if folder else root)
        except FileNotFoundError:
            continue
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(f"{folder}{entry.name}/")
                else:
                    yield folder + entry.name


def prune_empty(folder: str, root: str) -> None:
    """Remove a directory and its parents as far as they are empty, up to a root that stays.

    Parameters
    ----------
    folder : str
        Where to begin, below `root`.
    root : str
        Where to stop.
    """
    top = root.rstrip("/") + "/"
    while folder.startswith(top):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass  # whoever removed it may have died before its parent
        except OSError:
            return
        folder = os.path.dirname(folder)


def _publish(
    path: str, make: Callable[[str], None], fill: Callable[[str], None] | None, durable: bool
) -> None:
    """Make something aside, in a directory that is made when it proves missing, and rename it to `path`."""
    folder, slash, _ = path.rpartition("/")
    aside = f"{folder}{slash}{aside_name()}"
    try:
        make(aside)
    except FileNotFoundError:
        # Trying first costs nothing where the directory is there, as it nearly always is.
        _make_folder(folder or ".", durable)
        make(aside)
    try:
        if fill is not None:
            fill(aside)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise
    if durable:
        _sync(folder or (slash or "."))


def _make_folder(folder: str, durable: bool) -> None:
    made = make_folders(folder)
    for name in made if durable else ():
        _sync(os.path.dirname(name) or ".")


def _write_all(fd: int, data: bytes) -> None:
    done = os.write(fd, data)
    if done < len(data):
        view = memoryview(data)
        while done < len(view):
            done += os.write(fd, view[done:])


def _sync(path: str) -> None:
    """Wait until a file's bytes, or a directory's names, are on the disk."""
    fd = os.open(path, _READ)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
