"""`FarContent`: files by their checksums, kept once on a far machine and linked to wherever they are needed.

It runs there, with nothing but the standard library and blake3.
"""
# ruff: noqa: PTH101, PTH104, PTH105, PTH108, PTH123

from __future__ import annotations

import fcntl
import os
import re
import shutil
from typing import Any

from stage.batch.engines.ssh.far_places import FarPlaces, FarTrouble, worded

__all__ = ["FarContent", "Held"]

_CHECKSUM = re.compile(r"blake3:[0-9a-f]{64}")
_STORE = "files"
_READ = 1 << 20


class Held:
    """The beginning of a file that is not complete; it stays when the line breaks, and the rest is added to it.

    Parameters
    ----------
    path : str
        Where.
    fd : int
        Open for reading and writing, and locked: nobody else adds to it.
    size : int
        How much there is.
    """

    def __init__(self, path: str, fd: int, size: int) -> None:
        self.path, self.fd, self.size = path, fd, size

    def hash(self, hasher: Any) -> None:
        """Let a hasher take what there is.

        Parameters
        ----------
        hasher : blake3
            Fresh.
        """
        offset = 0
        while offset < self.size and (part := os.pread(self.fd, min(_READ, self.size - offset), offset)):
            hasher.update(part)
            offset += len(part)
        os.lseek(self.fd, self.size, os.SEEK_SET)


class FarContent:
    """What is kept by content.

    Parameters
    ----------
    places : FarPlaces
        Below the base.
    """

    def __init__(self, places: FarPlaces) -> None:
        self._places = places
        self._started = _started()

    def has(self, name: str, size: int, checksum: str, executable: bool) -> bool:
        """Tell whether a file is there; one that is kept by content gets its name.

        Parameters
        ----------
        name : str
            Its name.
        size : int
            Its size.
        checksum : str
            What it holds; empty if its name and size say enough.
        executable : bool
            Whether it can be run.

        Returns
        -------
        bool
            False if it has to be sent.
        """
        path = self._places.to_write(name)
        there = _stat(path)
        if not checksum:
            return there is not None and there.st_size == size
        kept_at = self._path(checksum)
        kept = self._kept(kept_at, size, checksum)
        if kept is not None and there is not None and os.path.samestat(there, kept):
            return not executable
        is_like = there is not None and there.st_size == size and bool(there.st_mode & 0o100) >= executable
        if is_like and self._holds(path, checksum):
            return True
        if kept is None:
            return False
        self.name(kept_at, path, executable=executable)
        return True

    def keep(self, aside: str, checksum: str) -> str:
        """Take a complete file.

        Parameters
        ----------
        aside : str
            Where it is; it is moved.
        checksum : str
            What it holds.

        Returns
        -------
        str
            Where it is kept.
        """
        path = self._path(checksum)
        there = _stat(path)
        with worded(path):
            if there is not None and there.st_size == os.lstat(aside).st_size:
                os.unlink(aside)  # somebody else has brought it meanwhile
                return path
            os.chmod(aside, 0o444)  # all its names share one inode: a job is not to write into it
            os.rename(aside, path)
        return path

    def name(self, kept_at: str, path: str, *, executable: bool) -> None:
        """Give a file that is kept another name, instead of whatever has that.

        Parameters
        ----------
        kept_at, path : str
            Where it is kept, and where it is needed.
        executable : bool
            Whether it can be run there; then it is a copy, since links share their mode.
        """
        with worded(path):
            if not executable and _linked(kept_at, path):
                return
            aside = self._places.aside()
            if executable or not _linked(kept_at, aside):
                shutil.copyfile(kept_at, aside)
                os.chmod(aside, 0o755 if executable else 0o644)
            os.replace(aside, path)
            # Of two names of one file the system moves none.
            if os.path.lexists(aside):
                os.unlink(aside)

    def held(self, checksum: str) -> Held | None:
        """Return what is there of a file that did not come whole.

        Parameters
        ----------
        checksum : str
            What it is to hold.

        Returns
        -------
        Held or None
            Perhaps empty; None if somebody else adds to it, or files cannot be locked.
        """
        path = self._places.to_write(f"{_STORE}/partial/{_hex(checksum)}")
        with worded(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = _stat(path)
            # Whoever had it locked may have completed it in between.
            if there is not None and os.path.samestat(there, os.fstat(fd)):
                return Held(path, fd, there.st_size)
        except OSError:
            pass
        os.close(fd)
        return None

    def _kept(self, kept_at: str, size: int, checksum: str) -> os.stat_result | None:
        """Look at what is kept. What is older than the last start of the machine may have been lost with it: it is read once."""
        found = _stat(kept_at)
        if found is None or (found.st_size == size and found.st_mtime >= self._started):
            return found
        with worded(kept_at):
            if found.st_size == size and self._holds(kept_at, checksum):
                os.utime(kept_at)
                return found
            os.unlink(kept_at)
        return None

    def _path(self, checksum: str) -> str:
        digest = _hex(checksum)
        return self._places.to_write(f"{_STORE}/{digest[:2]}/{digest}")

    def _holds(self, path: str, checksum: str) -> bool:
        from blake3 import blake3

        hasher = blake3()
        with worded(path, "read"), open(path, "rb") as source:
            while part := source.read(_READ):
                hasher.update(part)
        return f"blake3:{hasher.hexdigest()}" == checksum


def _hex(checksum: str) -> str:
    if not _CHECKSUM.fullmatch(checksum):
        raise FarTrouble("far-corrupt", f"'{checksum}' is no checksum of a file")
    return checksum.partition(":")[2]


def _started() -> float:
    """Return when the machine was started, in seconds since 1970; 0 where it does not tell."""
    try:
        with open("/proc/stat", "rb") as source:
            return float(source.read().partition(b"\nbtime ")[2].split(None, 1)[0])
    except (OSError, ValueError, IndexError):
        return 0.0


def _linked(kept_at: str, path: str) -> bool:
    """Give a file another name; false if the name is taken, or there are no links: then a copy does as well."""
    try:
        os.link(kept_at, path)
    except OSError:
        return False
    return True


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
