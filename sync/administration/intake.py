"""Putting many files in place at once, before rows name them, and taking them away again if none ever will."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from registry.errors import NotFoundError, StageError, StorageError, UsageError, nearest
from sync.datastore import Datastore, TransferMode
from sync.filesystem import files
from sync.filesystem.durable import flush
from sync.filesystem.file_errors import worded
from sync.filesystem.sharing import adopt_link

__all__ = ["MODES", "Intake", "check_mode", "listed", "sizes"]

MODES: tuple[TransferMode, ...] = ("copy", "link", "symlink", "move", "direct")
SHOWN = 10
_BATCH = 64
_SLOW_S = 100e-6
_THREADS = min(8, os.cpu_count() or 1)


class Intake:
    """Puts files into a datastore.

    Parameters
    ----------
    datastore : Datastore
        Where.
    """

    def __init__(self, datastore: Datastore) -> None:
        self.datastore = datastore
        self.made: list[str] = []
        self.moved: list[str] = []

    def put(
        self,
        mode: TransferMode,
        paths: Sequence[str],
        uris: Sequence[str],
        found: Sequence[int],
        *,
        checksum: bool = True,
    ) -> tuple[Sequence[int], Sequence[str]]:
        """Put files in place.

        Parameters
        ----------
        mode : {"copy", "link", "symlink", "move", "direct"}
            How; a move only copies, until `finish`.
        paths : sequence of str
            The files, absolute.
        uris : sequence of str
            What the datastore will call them.
        found : sequence of int
            Their sizes.
        checksum : bool, optional
            Whether to take checksums where bytes would not have to be read otherwise.

        Returns
        -------
        sizes : sequence of int
            Bytes.
        checksums : sequence of str
            As artifacts record them; empty where none was taken.

        Raises
        ------
        UsageError
            If a remote file is to be linked.
        StorageError
            If a file cannot be read or put in place; a link across file systems has the code ``cross-device``.
        """
        if mode == "direct":
            return self._inspect(paths, found, checksum=checksum)
        targets = [self.datastore.locate(uri) for uri in uris]
        # Noted before they exist, so that an interruption at any moment leaves none behind.
        self.made += uris
        if mode in {"copy", "move"}:
            taken = _all(files.copy, paths, targets)
            result: tuple[Sequence[int], Sequence[str]] = [size for size, _ in taken], [d for _, d in taken]
        else:
            result = self._inspect(paths, found, checksum=checksum)
            _all(files.symlink if mode == "symlink" else _link, paths, targets)
        if mode == "move":
            self.moved += paths
        root = self.datastore.root
        if files.is_local(root) and mode != "symlink":
            with worded(root, "flush"):
                flush(uris, root)
        return result

    def _inspect(
        self, paths: Sequence[str], found: Sequence[int], *, checksum: bool
    ) -> tuple[Sequence[int], Sequence[str]]:
        if not checksum:
            return found, [""] * len(found)
        taken = _all(files.checksum, paths)
        return [size for size, _ in taken], [digest for _, digest in taken]

    def undo(self, keep: Callable[[str], bool] = lambda _: False) -> None:
        """Remove what was put in place; sources are untouched still.

        Parameters
        ----------
        keep : callable, optional
            Says of a URI whether a row names it after all.
        """
        gone = [uri for uri in self.made if not keep(uri)]
        for uri in gone:
            with contextlib.suppress(StageError):
                self.datastore.remove(uri)
        for uri in {os.path.split(uri)[0] + "/x" for uri in gone}:
            self.datastore.prune(uri)

    def finish(self) -> None:
        """Remove the sources of what was moved, now that rows name the copies.

        Raises
        ------
        StorageError
            If some cannot be removed.
        """
        left = []
        for path in dict.fromkeys(self.moved):
            try:
                files.remove(path, missing_ok=True)
            except StorageError as exc:
                left.append(exc.message)
        if left:
            raise StorageError(
                f"all {len(self.moved)} files were taken in, but {len(left)} of their sources are still there: {left[0]}",
                code="sources-left",
                hint="Remove them by hand.",
            )


def check_mode(mode: str, more: Sequence[str] = ()) -> None:
    """Refuse a mode that does not exist.

    Parameters
    ----------
    mode : str
        How files are to be taken in.
    more : sequence of str, optional
        What else may be said.

    Raises
    ------
    UsageError
        If it is none; offers the nearest.
    """
    known = (*MODES, *more)
    if mode not in known:
        raise UsageError(f"no ingest mode '{mode}'", code="bad-mode", hint=nearest(mode, known))


def sizes(paths: Sequence[str]) -> list[int | None]:
    """Look at many files.

    Parameters
    ----------
    paths : sequence of str
        Absolute paths or URIs.

    Returns
    -------
    list of int or None
        Bytes; None where there is no such file.

    Raises
    ------
    StorageError
        If that cannot be known.
    """
    found: list[int | None] = []
    start = time.perf_counter()
    for path in paths:
        found.append(_size_or_none(path))
        # Threads only pay where the file system makes one wait.
        if len(found) == _BATCH and time.perf_counter() - start > _BATCH * _SLOW_S:
            break
    return found + _all(_size_or_none, paths[len(found) :])


def listed(few: Sequence[str], count: int) -> str:
    """Name the first of many.

    Parameters
    ----------
    few : sequence of str
        Texts.
    count : int
        How many there are in all.

    Returns
    -------
    str
        As ``a; b and 3 more``.
    """
    rest = f" and {count - len(few)} more" if count > len(few) else ""
    return f"{'; '.join(few)}{rest}"


def _size_or_none(path: str) -> int | None:
    if path.startswith("/"):
        with contextlib.suppress(OSError):
            return os.stat(path).st_size  # noqa: PTH116 - thousands at a time
    try:
        return files.size(path)
    except NotFoundError:
        return None


def _link(path: str, target: str) -> None:
    files.link(path, target)
    adopt_link(target)


def _all(act: Callable[..., Any], *columns: Sequence[str]) -> list[Any]:
    """Do `act` for each row, in order, by a few threads that each take many rows at a time."""
    n = len(columns[0])
    if n <= _BATCH:
        return list(map(act, *columns))
    starts = range(0, n, _BATCH)
    with ThreadPoolExecutor(_THREADS) as pool:
        done = pool.map(lambda i: list(map(act, *(c[i : i + _BATCH] for c in columns))), starts)
        return [item for part in done for item in part]
