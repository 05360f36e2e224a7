"""What a campaign's files were before a change, until it is known that the change is whole.

Files are replaced one by one, so a process killed in between would leave a new graph beside an old state. Before the first is
replaced, the old ones are linked into a directory with a list of them. Renaming that directory is the moment at which
the change is made; if it is still there under its first name, the next command that changes the campaign puts all back.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stage.campaign.files import sync_directory, write_atomically
from stage.campaign.layout import Layout

__all__ = ["Undo", "duplicate", "history_before", "is_half_done", "recover", "state_before"]

_OPEN, _CLOSED = ".campaign.undo", ".campaign.undone"
_LIST, _HISTORY = "list.json", "history.json"
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


class Undo:
    """The files that one change replaces.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    """

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.root / _OPEN
        self._closed = layout.root / _CLOSED
        self._known: dict[str, str | None] = {}

    def add(self, paths: Iterable[Path]) -> None:
        """Keep what files are now, before they are replaced.

        Parameters
        ----------
        paths : iterable of pathlib.Path
            Files about to be replaced or made.
        """
        new = [p for p in paths if str(p) not in self._known]
        if not new:
            return
        self._folder.mkdir(exist_ok=True)
        for path in new:
            backup = self._folder / str(len(self._known))
            if path.exists():
                duplicate(path, backup)
            self._known[str(path)] = backup.name if path.exists() else None
        root = self._folder.parent
        entries = [[os.path.relpath(path, root), name] for path, name in self._known.items()]
        write_atomically(self._folder / _LIST, json.dumps(entries).encode())
        sync_directory(root)

    def add_history(self, rows: Mapping[int, Sequence[Any] | None]) -> None:
        """Keep what the history says now, before entries of it are replaced; after `add`.

        Parameters
        ----------
        rows : mapping of int to sequence or None
            Position to its row; None where there is none yet.
        """
        entries = [[position, row] for position, row in rows.items()]
        write_atomically(self._folder / _HISTORY, json.dumps(entries).encode())

    def forget(self) -> None:
        """Let go of the old files: the change is made."""
        if self._known:
            shutil.rmtree(self._closed, ignore_errors=True)
            self._folder.rename(self._closed)
            shutil.rmtree(self._closed, ignore_errors=True)
            self._known.clear()

    def put_back(self) -> bool:
        """Put the old files back in their places, and remove those that were new.

        Returns
        -------
        bool
            Whether there were any.
        """
        if not self._known:
            return False
        _put_back(self._folder)
        self._known.clear()
        return True


def duplicate(path: Path, other: Path) -> None:
    """Give a file a second name; where that cannot be, as on another file system, copy it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    other : pathlib.Path
        A name that is free.
    """
    try:
        os.link(path, other)
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        shutil.copy2(path, other)


def _put_in_place(aside: Path, path: Path) -> None:
    try:
        aside.replace(path)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        write_atomically(path, aside.read_bytes())


def _put_back(folder: Path) -> None:
    try:
        entries = json.loads((folder / _LIST).read_bytes())
    except FileNotFoundError:
        entries = []  # killed before anything was replaced
    for relative, backup in entries:
        path = Path(os.path.normpath(folder.parent / relative))
        if backup is None:
            path.unlink(missing_ok=True)
        elif (folder / backup).exists():
            # A second link takes the place of the new file; the backup stays until all are back.
            aside = folder / f"{backup}.back"
            aside.unlink(missing_ok=True)
            duplicate(folder / backup, aside)
            _put_in_place(aside, path)
    shutil.rmtree(folder, ignore_errors=True)


def state_before(layout: Layout) -> bytes | None:
    """Return the state file as it was before a change that a killed command left half done.

    Parameters
    ----------
    layout : Layout
        The campaign's paths; its lock is held.

    Returns
    -------
    bytes or None
        None if no change was left half done, or it had not come to the state yet.
    """
    folder = layout.root / _OPEN
    try:
        entries = dict(json.loads((folder / _LIST).read_bytes()))
        backup = entries.get(layout.state.name)
        return None if backup is None else (folder / backup).read_bytes()
    except FileNotFoundError:
        return None


def history_before(layout: Layout) -> dict[int, Sequence[Any] | None]:
    """Return what the history said before a change that a killed command left half done.

    Parameters
    ----------
    layout : Layout
        The campaign's paths; its lock is held.

    Returns
    -------
    dict of int to sequence or None
        Position to the row that was there; None where there was none. Empty if nothing is to be put back.
    """
    try:
        return dict(json.loads((layout.root / _OPEN / _HISTORY).read_bytes()))
    except FileNotFoundError:
        return {}


def is_half_done(layout: Layout) -> bool:
    """Tell whether a change was begun and neither made nor taken back.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.

    Returns
    -------
    bool
        True also while a command is making one.
    """
    return (layout.root / _OPEN).is_dir() and not _is_made(layout)


def _is_made(layout: Layout) -> bool:
    """Tell whether a new campaign is there after all: its state is written when all else is in its place."""
    try:
        entries = dict(json.loads((layout.root / _OPEN / _LIST).read_bytes()))
    except FileNotFoundError:
        return False
    return entries.get(layout.state.name, "") is None and layout.state.exists()


def recover(layout: Layout) -> bool:
    """Finish or take back what a killed command left half done.

    Parameters
    ----------
    layout : Layout
        The campaign's paths; its lock is held.

    Returns
    -------
    bool
        Whether something was taken back.
    """
    shutil.rmtree(layout.root / _CLOSED, ignore_errors=True)
    for path in layout.root.glob(".*.new-*"):
        path.unlink(missing_ok=True)
    folder = layout.root / _OPEN
    if not folder.is_dir():
        return False
    if _is_made(layout):
        shutil.rmtree(folder, ignore_errors=True)
        return False
    _put_back(folder)
    return True
