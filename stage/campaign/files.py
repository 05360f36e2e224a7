"""Small local files of a campaign: written whole or not at all, on whatever file system they are."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from registry.errors import StorageError
from stage.campaign.layout import AFAR_FILE

__all__ = ["allows_wal", "file_system", "is_network", "remove_paths", "sync_directory", "write_atomically"]

_NETWORK_TYPES = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "orangefs", "pvfs2",
        "glusterfs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone",
        "panfs", "wekafs", "ncpfs", "coda", "virtiofs", "davfs", "fuse.davfs",
    }
)  # fmt: skip
_SQLITE_SUFFIXES = ("", "-wal", "-shm", "-journal")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash at any moment, meets the old content or the new.

    Parameters
    ----------
    path : pathlib.Path
        A local file; its directory exists.
    data : bytes
        All of its content.

    Raises
    ------
    StorageError
        If it cannot be written; the old file is as it was.
    """
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name.lstrip('.')}.new-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
        sync_directory(path.parent)
    except OSError as exc:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise StorageError(f"cannot write {path}: {exc.strerror or exc}") from exc


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable.

    Parameters
    ----------
    path : pathlib.Path
        A local directory.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_paths(paths: Iterable[Path]) -> None:
    """Remove files and directories, a database's side files with it.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        What to remove; it need not exist.
    """
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            for suffix in _SQLITE_SUFFIXES:
                path.with_name(path.name + suffix).unlink(missing_ok=True)


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _unescape(field: str) -> str:
    return field.encode().decode("unicode_escape") if "\\" in field else field


def allows_wal(directory: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Tell whether SQLite's write-ahead log can be trusted in a directory.

    Parameters
    ----------
    directory : pathlib.Path
        An existing directory.
    mounts : pathlib.Path, optional
        The table of mounts.

    Returns
    -------
    bool
        False on network file systems: the log needs memory shared by all readers, which they do not give. False too for the
        copy of a campaign that is kept elsewhere, whose database is one file that can be sent.
    """
    return not (directory / AFAR_FILE).exists() and not is_network(file_system(directory, mounts)[1])


def is_network(kind: str) -> bool:
    """Tell whether a kind of file system is on another machine.

    Parameters
    ----------
    kind : str
        As the table of mounts calls it.

    Returns
    -------
    bool
        Whether it is known to be.
    """
    return kind in _NETWORK_TYPES


def file_system(directory: Path, mounts: Path = Path("/proc/mounts")) -> tuple[str, str]:
    """Return on what file system a directory is.

    Parameters
    ----------
    directory : pathlib.Path
        An existing directory.
    mounts : pathlib.Path, optional
        The table of mounts.

    Returns
    -------
    (str, str)
        Where it is mounted, and its kind; both empty where there is no table of mounts: not Linux, where home
        directories on a network are rare.
    """
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return "", ""
    where = directory.resolve()
    best, place, kind = -1, "", ""
    for fields in (line.split() for line in lines):
        if len(fields) < 3:
            continue
        point = Path(_unescape(fields[1]))
        if where.is_relative_to(point) and len(point.parts) >= best:
            best, place, kind = len(point.parts), str(point), fields[2]
    return place, kind
