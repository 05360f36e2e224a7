"""Where the workers of a run have their temporary files: a directory that goes with the run, however it ends.

A process that is killed removes nothing. So each worker has a directory of its own, which goes with it, within one of
the run; and that of a run whose head was killed goes when the next one begins.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

__all__ = ["RunScratch"]

_PREFIX = "stage-run-"
_LOCK = ".lock"


class RunScratch:
    """The temporary directory of a run, held as long as its head lives.

    A context manager: at its end the directory goes with all that is in it.
    """

    def __init__(self) -> None:
        self._n = 0

    def __enter__(self) -> Self:
        _remove_dead(Path(tempfile.gettempdir()))
        self._root = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Locked before it has the name by which others look for it.
        new = self._root / f"{_LOCK}.new"
        self._handle = os.open(new, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        new.rename(self._root / _LOCK)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        os.close(self._handle)

    def directory(self) -> str:
        """Make a directory for one worker.

        Returns
        -------
        str
            Its path.
        """
        self._n += 1
        path = self._root / str(self._n)
        path.mkdir()
        return str(path)

    def remove(self, directory: str) -> None:
        """Remove what a worker has left.

        Parameters
        ----------
        directory : str
            As `directory` gave it.
        """
        shutil.rmtree(directory, ignore_errors=True)


def _remove_dead(parent: Path) -> None:
    """Remove the directories of runs whose heads are gone: their locks are free."""
    with contextlib.suppress(OSError):
        for path in parent.glob(f"{_PREFIX}*"):
            _remove_if_dead(path)


def _remove_if_dead(path: Path) -> None:
    # One without a lock is just being made, or is none of ours.
    with contextlib.suppress(OSError):
        handle = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(handle)
