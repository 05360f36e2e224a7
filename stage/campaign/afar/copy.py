"""`WorkingCopy`: a campaign that is kept at a URI, as files of this machine that all commands work on.

A campaign's registry and its lock need a local file system. So a campaign at ``s3://…`` has a directory among this user's state:
what others have saved is brought there before it is read or changed, and what a command changed is saved when it ends, whole or
not at all (`stage.campaign.afar.generations`). A command that is killed leaves what it had done in the copy; the next one on
this machine saves it.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from registry.errors import ConflictError, StageError, StorageError
from registry.model.digest import digest_bytes
from stage.campaign.afar.generations import Generations
from stage.campaign.afar.lease import holder_of, lease
from stage.campaign.afar.listing import PIECE_BYTES, Entry, Listing, entries_of, names_in, pieces_in
from stage.campaign.files import sync_directory, write_atomically
from stage.campaign.layout import AFAR_FILE
from stage.campaign.lock import Holder, read_holder
from stage.state_directory import STATE_VARIABLE, state_directory
from sync.filesystem import files

__all__ = ["WorkingCopy", "copy_at", "copy_for"]

_log = logging.getLogger(__name__)
_BASE = ".campaign.afar.json"
_LOCK = ".campaign.afar.lock"
_BRINGING = ".campaign.afar.bringing"


@dataclass(frozen=True)
class WorkingCopy:
    """A campaign's files on this machine.

    Parameters
    ----------
    root : pathlib.Path
        Its directory here.
    uri : str
        Where it is kept.
    """

    root: Path
    uri: str

    @property
    def kept(self) -> Generations:
        """What is kept of it at the URI."""
        return Generations(self.uri)

    def base(self) -> Listing:
        """Return what the copy was when it was last the same as what is kept.

        Returns
        -------
        Listing
            The empty one at first.
        """
        try:
            return Listing.from_json((self.root / _BASE).read_bytes(), str(self.root / _BASE))
        except FileNotFoundError:
            return Listing()

    def holder(self) -> Holder | None:
        """Return who is changing the campaign, on whatever machine.

        Returns
        -------
        Holder or None
            None if nobody is, or that cannot be told now.
        """
        try:
            return holder_of(self.kept.lock)
        except StageError as error:
            _log.warning("who is changing %s cannot be told: %s", files.redact(self.uri), error)
            return None

    def refresh(self) -> None:
        """Bring what others have saved, unless a command here is at work or has left something that is not saved.

        Raises
        ------
        StorageError
            If the store does not answer.
        """
        holder = read_holder(self.root / ".campaign.lock")
        if holder is not None:
            _log.debug("%s: %s is at work on it here", self.uri, holder)
            return
        with self._alone():
            base, latest = self.base(), self.kept.latest()
            if latest == base.number:
                return
            if self._changed(base)[1]:
                _log.warning(
                    "%s has changes that were not saved at %s; the next change does",
                    self.root,
                    files.redact(self.uri),
                )
                return
            self._bring(base, self.kept.load(latest))

    @contextmanager
    def changing(self, me: Holder, timeout_s: float) -> Iterator[None]:
        """Change the campaign: begin with what is kept, and save what has changed in the end.

        Parameters
        ----------
        me : Holder
            This process, which has the lock of the copy.
        timeout_s : float
            Longest wait for somebody on another machine, in seconds.

        Yields
        ------
        None
            Nothing.

        Raises
        ------
        BusyError
            If somebody is changing it on another machine.
        ConflictError
            If the copy has changes that were not saved, and others have saved since.
        StorageError
            If it cannot be saved: then what was changed is in the copy, and the next command saves it.
        """
        with lease(self.kept.lock, me, timeout_s):
            self._settle(me)
            try:
                yield
            except BaseException:
                try:
                    self._save(me)
                except StageError as error:
                    _log.warning("what is as it was here could not be saved: %s", error)
                raise
            self._save(me)

    def _settle(self, me: Holder) -> None:
        """Make the copy and what is kept the same, before a change."""
        base, latest = self.base(), self.kept.latest()
        now, is_changed = self._changed(base)
        if latest == base.number:
            if is_changed:
                _log.warning("saving what an earlier command has left in %s", self.root)
                self._save(me)
            return
        newest = self.kept.load(latest)
        if is_changed and _content(now) != _content(newest.entries):
            raise ConflictError(
                f"{self.root} has changes that were not saved, and {files.redact(self.uri)} was changed since by {newest.by}",
                code="campaign-moved-on",
                hint=f"Move the copy away, to look at it or to take what is in it, and begin with theirs: mv {self.root} {self.root}.mine",
            )
        self._bring(base, newest)

    def _save(self, me: Holder) -> None:
        base = self.base()
        known = pieces_in([base])
        try:
            with self.kept.sending() as send:
                names = names_in(self.root)
                now = entries_of(self.root, names, base.entries, lambda p, data: p in known or send(p, data))
            if _content(now) == _content(base.entries):
                return
            listing = Listing(base.number + 1, now, str(me))
            self.kept.add(listing)
        except StorageError as error:
            error.add_note(
                f"What was changed is in {self.root}; the next command that changes the campaign saves it."
            )
            raise
        write_atomically(self.root / _BASE, listing.to_json())
        _log.info("saved generation %d at %s", listing.number, files.redact(self.uri))

    def _changed(self, base: Listing) -> tuple[dict[str, Entry], bool]:
        now = entries_of(self.root, names_in(self.root), base.entries)
        # Half of what was being brought when somebody pulled the plug is no change of ours.
        is_half_brought = (self.root / _BRINGING).exists()
        return now, not is_half_brought and _content(now) != _content(base.entries)

    def _bring(self, base: Listing, newest: Listing) -> None:
        """Make the files here what a generation says, file by file; the list of them last."""
        bringing = self.root / _BRINGING
        bringing.touch()
        sync_directory(self.root)
        entries: dict[str, Entry] = {}
        for name, entry in newest.entries.items():
            path = self.root / name
            before = base.entries.get(name)
            if before is None or before.content != entry.content or not os.path.lexists(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._make(path, entry, before)
            mtime_ns = 0 if entry.link else path.stat().st_mtime_ns
            entries[name] = replace(entry, mtime_ns=mtime_ns)
        for name in base.entries.keys() - newest.entries.keys():
            (self.root / name).unlink(missing_ok=True)
        write_atomically(self.root / _BASE, replace(newest, entries=entries).to_json())
        bringing.unlink()
        _log.info("brought generation %d of %s", newest.number, files.redact(self.uri))

    def _make(self, path: Path, entry: Entry, before: Entry | None) -> None:
        aside = path.with_name(f".{path.name}.new-{os.getpid()}")
        try:
            if entry.link:
                aside.symlink_to(entry.link)
            else:
                self._write(aside, path, entry, before)
            aside.replace(path)
        except OSError as error:
            raise StorageError(
                f"cannot write {path}: {error.strerror or error}", code="cannot-write"
            ) from error
        finally:
            aside.unlink(missing_ok=True)

    def _write(self, aside: Path, path: Path, entry: Entry, before: Entry | None) -> None:
        """Write a file from the pieces that are here in its earlier form, and from those that are kept."""
        here = _pieces_here(path, before, set(entry.pieces)) if before else {}
        far = self.kept.read(p for p in entry.pieces if p not in here)
        with aside.open("wb") as out:
            for piece in entry.pieces:
                out.write(_piece_at(path, here[piece]) if piece in here else next(far))
            out.flush()
            os.fsync(out.fileno())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.root / _LOCK).open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _content(entries: Mapping[str, Entry]) -> dict[str, tuple[object, ...]]:
    return {name: entry.content for name, entry in entries.items()}


def _pieces_here(path: Path, before: Entry, wanted: set[str]) -> dict[str, int]:
    """Find the places of pieces in a file that may no longer be what it was."""
    if not path.is_file():
        return {}
    likely = {piece: place for place, piece in enumerate(before.pieces) if piece in wanted}
    return {piece: place for piece, place in likely.items() if digest_bytes(_piece_at(path, place)) == piece}


def _piece_at(path: Path, place: int) -> bytes:
    with path.open("rb") as handle:
        handle.seek(place * PIECE_BYTES)
        return handle.read(PIECE_BYTES)


def copy_for(uri: str) -> WorkingCopy:
    """Return this machine's copy of a campaign, as new as can be had; make the directory if need be.

    Parameters
    ----------
    uri : str
        The campaign's directory, at a URI that is not local.

    Returns
    -------
    WorkingCopy
        Empty if nothing is kept there.

    Raises
    ------
    StorageError
        If the store does not answer, or the cache cannot be written.
    """
    text = uri.rstrip("/")
    name = text.rpartition("/")[2] or "campaign"
    root = state_directory() / "campaigns" / sha256(text.encode()).hexdigest()[:16] / name
    if not root.exists():
        Generations(text).latest()  # what cannot be reached leaves nothing here
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / AFAR_FILE).write_text(text)
    except OSError as error:
        raise StorageError(
            f"cannot make the working copy {root}: {error.strerror or error}",
            code="no-working-copy",
            hint=f"Name a directory with room: export {STATE_VARIABLE}=DIR.",
        ) from error
    found = WorkingCopy(root, text)
    try:
        found.refresh()
    except StorageError as error:
        known = found.base()
        if not known.number:
            raise
        # Who looks is better served with what is here; who changes something is refused when he asks for the lock.
        _log.warning("%s; this is what %s saved last, as far as this machine knows", error, known.by)
    return found


def copy_at(root: Path) -> WorkingCopy | None:
    """Return what a directory is a copy of.

    Parameters
    ----------
    root : pathlib.Path
        A campaign's directory.

    Returns
    -------
    WorkingCopy or None
        None for a campaign that is where it is.
    """
    try:
        return WorkingCopy(root, (root / AFAR_FILE).read_text())
    except OSError:
        return None
