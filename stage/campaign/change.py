"""One change of a campaign: all of it or nothing.

New content is written beside the old; at the end the files are renamed into place and the state is saved last, so that a
command that fails leaves every byte as it was.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stage.campaign.files import remove_paths, sync_directory, write_atomically
from stage.campaign.history import put_back_history
from stage.campaign.layout import Layout, campaign_exists
from stage.campaign.lock import campaign_lock
from stage.campaign.run_dirs import check_run_dirs, show_runs
from stage.campaign.stack import align_chain, forget_begun_runs
from stage.campaign.state import CampaignState, load_state, save_state
from stage.campaign.undo import Undo, recover
from stage.campaign.unfinished import forget_unfinished, has_arrived, settle
from sync.faults import At, no_fault

__all__ = ["Change", "changing"]

_log = logging.getLogger(__name__)


class Change:
    """A change that is being made.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state before; of a new campaign, what it begins with.
    is_new : bool, optional
        Whether there is no state file yet.

    Attributes
    ----------
    state : CampaignState
        What it will be; assign to it.
    on_keep : callable or None
        Called when all is in its place; if it fails, all is taken back.
    told : dict
        What else it changes than the state, for the history: name to old and new.
    at : callable
        Called with the name of each durable step that is done.
    has_left_over : bool
        Whether it goes on with files that an earlier command had brought for a campaign that it did not finish.
    """

    def __init__(self, layout: Layout, state: CampaignState, *, is_new: bool = False) -> None:
        self.layout = layout
        self.state = state
        self.on_keep: Callable[[], None] | None = None
        self.told: dict[str, tuple[Any, Any]] = {}
        self.at: At = no_fault
        self.has_left_over = False
        self._before = None if is_new else state
        self._saved = self._before
        self._pending: dict[Path, Path] = {}
        self._uploads: dict[str, Path] = {}
        self._undo = Undo(layout)
        self._removed: list[Path] = []
        self._created: list[Path] = []
        self._arriving: list[Path] = []
        self._undoing: list[Callable[[], None]] = []

    @property
    def is_new(self) -> bool:
        """Whether there was no campaign before."""
        return self._before is None

    @property
    def moves_stack(self) -> bool:
        """Whether the chain or what it is to hold is not what it was before, or at the last `keep`."""
        if self._before is None:
            return False
        before, now = self._before.collections, self.state.collections
        return (before.chain, before.stack) != (now.chain, now.stack)

    def undoing(self, action: Callable[[], None]) -> None:
        """Note how to take back what this change does elsewhere than in files.

        Parameters
        ----------
        action : callable
            Called if the change fails before the next `keep`, when the files are as they were.
        """
        self._undoing.append(action)

    def beside(self, final: Path) -> Path:
        """Return a path to write a new file to; it replaces `final` when the change is done.

        Parameters
        ----------
        final : pathlib.Path
            Where the file is to be.

        Returns
        -------
        pathlib.Path
            In the same directory; the same for the same `final`.
        """
        path = final.with_name(f".{final.stem}.new-{os.getpid()}{final.suffix}")
        self._pending[final] = path
        return path

    def beside_uri(self, uri: str) -> Path:
        """Return a local path to write something to that is to be at a URI when the change is done.

        Parameters
        ----------
        uri : str
            Where it is to be: an absolute path, or a URI of another file system.

        Returns
        -------
        pathlib.Path
            As of `beside`; what goes elsewhere waits in the campaign's directory, since over there nothing can be
            put back.
        """
        if "://" not in uri:
            return self.beside(Path(uri))
        name = f".upload-{len(self._uploads)}.new-{os.getpid()}{Path(uri).suffix}"
        return self._uploads.setdefault(uri, self.layout.root / name)

    def write(self, final: Path, data: bytes) -> Path:
        """Write a file's new content beside it.

        Parameters
        ----------
        final : pathlib.Path
            Where it is to be.
        data : bytes
            The content.

        Returns
        -------
        pathlib.Path
            Where it is until the change is done.
        """
        path = self.beside(final)
        write_atomically(path, data)
        return path

    def current(self, final: Path) -> Path:
        """Return where a file's newest content is.

        Parameters
        ----------
        final : pathlib.Path
            A file of the campaign.

        Returns
        -------
        pathlib.Path
            The one beside it if this change wrote one, else itself.
        """
        return self._pending.get(final, final)

    def current_uri(self, uri: str) -> str:
        """Return where the newest content of a URI is.

        Parameters
        ----------
        uri : str
            An absolute path, or a URI of another file system.

        Returns
        -------
        str
            A local path if this change wrote it, else itself.
        """
        return str(self._uploads.get(uri, uri) if "://" in uri else self.current(Path(uri)))

    def leave(self, uri: str) -> None:
        """Leave what is at a URI as it is after all: what this change wrote to take its place goes.

        Parameters
        ----------
        uri : str
            An absolute path, or a URI of another file system.
        """
        written = self._uploads.pop(uri, None) if "://" in uri else self._pending.pop(Path(uri), None)
        if written is not None:
            written.unlink(missing_ok=True)

    def removing(self, path: Path) -> None:
        """Note that a file goes when the change is done.

        Parameters
        ----------
        path : pathlib.Path
            A file of the campaign; it need not exist.
        """
        self._removed.append(path)

    def creating(self, path: Path) -> None:
        """Note that this change makes a file or directory, to be removed if it fails.

        Parameters
        ----------
        path : pathlib.Path
            What is about to be made; nothing is noted if it is there.
        """
        if not path.exists():
            self._created.append(path)

    def arriving(self) -> None:
        """Note that files of inputs are about to come: if the change fails, those that have arrived stay for the next try."""
        layout = self.layout
        # A registry is made anew with a new campaign; one that exists would miss it beside such files.
        stays = (layout.data, layout.unfinished if self.is_new else layout.staging)
        self._arriving += [path for path in self._created if path in stays]
        self._created = [path for path in self._created if path not in stays]

    def replacing(self, paths: Sequence[Path], history: Mapping[int, Sequence[Any] | None]) -> None:
        """Note which entries of the history are about to be replaced or made, when all else is in its place.

        Parameters
        ----------
        paths : sequence of pathlib.Path
            Their files.
        history : mapping of int to sequence or None
            Their rows as they are; None for one that is not there.
        """
        if self.is_new:
            self._created += [path for path in paths if not path.exists()]
        else:
            self._undo.add(paths)
            self._undo.add_history(history)

    def creating_tree(self, path: Path) -> None:
        """Note that this change makes a directory and perhaps some above it.

        Parameters
        ----------
        path : pathlib.Path
            A directory of the campaign.
        """
        missing = [p for p in (path, *path.parents) if not p.exists()]
        self._created += missing[-1:]

    def save_now(self) -> None:
        """Put what was changed so far in its place: files first, then the state.

        A failure can still take all of it back, until `keep`; so can the next command if this process is killed.
        """
        check_run_dirs(self.layout, self.state)
        self._upload()
        ready = {final: path for final, path in self._pending.items() if path.exists()}
        gone = [path for path in self._removed if path.exists()]
        if gone:
            self._undo.add(gone)
        if (ready or self.state != self._saved) and self._before is not None:
            self._undo.add([self.layout.state, *ready])
        elif ready:
            new = [final for final in ready if not final.exists()]
            self._created += new
            self._undo.add([self.layout.state, *new])
        for final, path in ready.items():
            path.replace(final)
            sync_directory(final.parent)
            _log.debug("wrote %s", final)
        self._pending.clear()
        for path in gone:
            path.unlink()
        self._removed.clear()
        if self.state != self._saved:
            save_state(self.state, self.layout.state)
            self._saved = self.state
            _log.debug("wrote %s", self.layout.state)

    def _upload(self) -> None:
        """Send what goes to other file systems, before anything here is replaced."""
        for uri, path in self._uploads.items():
            if path.exists():
                from sync.filesystem import files

                files.copy(str(path), uri)
                path.unlink()
        self._uploads.clear()

    def keep(self) -> None:
        """Save, and let go of what there was before: from here on a failure takes nothing back.

        Raises
        ------
        AlreadyExistsError
            If a new campaign would be made around the files of another command that was broken off.
        """
        if self.is_new:
            settle(self)
        self.save_now()
        self.at("saved")
        if self.on_keep is not None:
            self.on_keep()
        self._undo.forget()
        if self.is_new:
            forget_unfinished(self.layout)
            self.has_left_over = False
        self._created.clear()
        self._arriving.clear()
        self._undoing.clear()
        before, self._before = self._before, self.state
        if self.state.run_dirs or (before is not None and before.run_dirs):
            known = (before or self.state).collections.created
            show_runs(self.layout, self.state, (*known, *self.state.collections.created))

    def discard(self) -> None:
        """Leave all as it was before, or at the last `keep`."""
        _log.debug("taking back what was changed in %s", self.layout.root)
        for path in (*self._pending.values(), *self._uploads.values()):
            path.unlink(missing_ok=True)
        is_back = self._undo.put_back()
        while self._undoing:
            self._undoing.pop()()
        remove_paths(self._created)
        if (self._arriving or self.has_left_over) and has_arrived(self.layout):
            _log.warning(
                "the files that have arrived stay in %s; the same command goes on with them",
                self.layout.data_root,
            )
        else:
            remove_paths(self._arriving)
        if self._before is None:
            self.layout.state.unlink(missing_ok=True)
        elif self._saved != self._before and not is_back:
            save_state(self._before, self.layout.state)


@contextmanager
def changing(
    layout: Layout,
    command: str = "",
    *,
    new: CampaignState | None = None,
    timeout_s: float | None = None,
    first: Callable[[], None] | None = None,
) -> Iterator[Change]:
    """Change a campaign under its lock.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    command : str, optional
        What the holder does, for others' error messages.
    new : CampaignState, optional
        For a campaign without a state file: what it begins with.
    timeout_s : float, optional
        Longest wait for the lock, in seconds; by default that of `stage.campaign.lock.lock_timeout`.
    first : callable, optional
        Called under the lock, before anything else.

    Yields
    ------
    Change
        Whose state is saved at the end; after an exception all is as it was before, or as it was at the last
        `Change.keep`.

    Raises
    ------
    BusyError
        If another command is changing it.
    AlreadyExistsError
        If a new one is there already.
    """
    with campaign_lock(layout.lock, command, timeout_s):
        if first is not None:
            first()
        forget_begun_runs(layout)
        put_back_history(layout)
        if recover(layout):
            _log.warning("took back what a killed command had left half done in %s", layout.root)
            if layout.state.exists():
                align_chain(layout, load_state(layout.state))
        if layout.state.exists():
            forget_unfinished(layout)
            if new is not None:  # somebody else was quicker
                raise campaign_exists(layout)
        change = Change(layout, new or load_state(layout.state), is_new=new is not None)
        try:
            yield change
            change.keep()
        except BaseException:
            change.discard()
            if not layout.state.exists():  # while nobody else can have it
                layout.lock.unlink(missing_ok=True)
            raise
