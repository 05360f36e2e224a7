"""`FarPlaces`: names below the one directory in which everything is written on a far machine, and no others.

It runs there, with nothing but the standard library.
"""
# ruff: noqa: PTH103, PTH108, PTH111, PTH112, PTH119, PTH120

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator

__all__ = ["FarPlaces", "FarTrouble", "worded"]

_ASIDE = "tmp"
_PARTIAL = "files/partial"
_STALE_S = 7 * 24 * 3600.0


class FarTrouble(Exception):  # noqa: N818 - it is told to the other end, which has errors for it
    """What the other end is to be told.

    Parameters
    ----------
    code : str
        Kind of trouble: ``far-disk``, ``far-outside``, ``far-corrupt``, ``far-start``.
    message : str
        What happened, to which thing.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextlib.contextmanager
def worded(path: str, verb: str = "write") -> Iterator[None]:
    """Tell what the system says about a file, with its directory.

    Parameters
    ----------
    path : str
        Which.
    verb : str, optional
        What was to be done with it.

    Yields
    ------
    None
        While it is done.

    Raises
    ------
    FarTrouble
        If the system does not let it be done.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            why = f"no space left there ({why})"
        raise FarTrouble("far-disk", f"cannot {verb} {path}: {why}") from error


class FarPlaces:
    """Names below a directory; nothing that is asked for can lie anywhere else.

    Parameters
    ----------
    base : str
        The directory, which is made; ``~`` is the home directory there.

    Raises
    ------
    FarTrouble
        If it cannot be made or written.
    """

    def __init__(self, base: str) -> None:
        self.base = os.path.realpath(os.path.expanduser(base))
        self._folders: dict[str, str] = {}
        self._count = 0
        with worded(self.base):
            os.makedirs(self.base, mode=0o700, exist_ok=True)
            os.makedirs(f"{self.base}/{_ASIDE}", exist_ok=True)
            if not os.access(self.base, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "it is not ours to write")
        self._sweep()

    def to_write(self, name: str) -> str:
        """Return where a file of this name is to go; its directory is made.

        Parameters
        ----------
        name : str
            Relative.

        Returns
        -------
        str
            An absolute path below the base. A link in the place itself is not followed but replaced.
        """
        folder, _, last = self._checked(name).rpartition("/")
        found = self._folders.get(folder)
        if found is None or not os.path.isdir(found):
            found = self._folder(folder)
        return f"{found}/{last}"

    def to_read(self, name: str) -> str:
        """Return where a file of this name is.

        Parameters
        ----------
        name : str
            Relative; empty is the base.

        Returns
        -------
        str
            Its real path, which is below the base.
        """
        path = os.path.realpath(f"{self.base}/{self._checked(name)}" if name else self.base)
        return self._inside(path, name)

    def aside(self) -> str:
        """Return a new name for a file that is not complete.

        Returns
        -------
        str
            On the same file system as all others.
        """
        self._count += 1
        return f"{self.base}/{_ASIDE}/{os.uname().nodename}.{os.getpid()}.{self._count}"

    def remove(self, name: str) -> None:
        """Remove a tree; links in it are not followed.

        Parameters
        ----------
        name : str
            Relative; what is not there is removed already.
        """
        checked = self._checked(name)
        parent = self.to_read(os.path.dirname(checked))
        path = f"{parent}/{os.path.basename(checked)}"
        self._folders.clear()
        with worded(path, "remove"):
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                return
            if stat.S_ISDIR(mode):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def _checked(self, name: str) -> str:
        parts = name.split("/")
        if name.startswith("/") or "\0" in name or any(part in {"", ".", ".."} for part in parts):
            raise FarTrouble("far-outside", f"'{name}' is no name below {self.base}")
        return name

    def _inside(self, path: str, name: str) -> str:
        if path != self.base and not path.startswith(self.base.rstrip("/") + "/"):
            raise FarTrouble("far-outside", f"'{name}' leads out of {self.base}, to {path}")
        return path

    def _folder(self, folder: str) -> str:
        # Looked at before it is made: what leads out is not to get so much as a directory there.
        found = self._inside(os.path.realpath(f"{self.base}/{folder}" if folder else self.base), folder)
        with worded(found):
            os.makedirs(found, exist_ok=True)
        self._folders[folder] = found
        return found

    def _sweep(self) -> None:
        """Remove what others have left incomplete a long time ago, and nobody has gone on with."""
        for folder in (f"{self.base}/{_ASIDE}", f"{self.base}/{_PARTIAL}"):
            with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
                for entry in entries:
                    _remove_stale(entry)


def _remove_stale(entry: os.DirEntry[str]) -> None:
    with contextlib.suppress(OSError):
        if entry.stat(follow_symlinks=False).st_mtime < time.time() - _STALE_S:
            os.unlink(entry.path)
