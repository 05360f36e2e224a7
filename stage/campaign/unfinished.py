"""A new campaign that was broken off: what is left of it, and how the next one goes on with that.

A campaign is there from the moment at which its state file is, the last of its files. What comes before is made anew in a moment, all but
the files of inputs: copies of them can be a night's work. So a note says, before the first of them comes, of which upstream they are.
With it they stay, whether the command was killed, interrupted or failed, and the next clone of the same upstream into that directory finds
them under their names, compares each with what upstream records, and fetches the rest.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from registry.errors import AlreadyExistsError, StageError
from stage.campaign.files import remove_paths, write_atomically
from stage.campaign.layout import campaign_exists
from stage.campaign.lock import Holder, read_holder
from sync.fetching.binding import BINDING
from sync.filesystem import files
from sync.filesystem.local_files import is_aside, prune_empty, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stage.campaign.change import Change
    from stage.campaign.layout import Layout

__all__ = [
    "Unfinished", "clear_for_clone", "forget_unfinished", "has_arrived", "read_unfinished", "settle", "take_up",
    "unfinished_error",
]  # fmt: skip

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unfinished:
    """What the note says.

    Parameters
    ----------
    upstream : str
        Identity of the upstream whose files they are.
    holder : Holder
        Which command began it, and when.
    """

    upstream: str
    holder: Holder


def read_unfinished(layout: Layout) -> Unfinished | None:
    """Read whose files a new campaign has that was broken off.

    Parameters
    ----------
    layout : Layout
        Its paths.

    Returns
    -------
    Unfinished or None
        None if there is no note, or nobody can read it: then its files are not to be trusted.
    """
    try:
        document = json.loads(layout.unfinished.read_bytes())
        return Unfinished(document["upstream"], Holder(**document["holder"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def unfinished_error(layout: Layout) -> AlreadyExistsError | None:
    """Make the error of whoever would do something else with such a directory than to go on.

    Parameters
    ----------
    layout : Layout
        Its paths.

    Returns
    -------
    AlreadyExistsError or None
        To be raised; None if nothing was broken off there.
    """
    note = read_unfinished(layout)
    if note is None:
        return None
    since = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(note.holder.since_ns / 1e9))
    living = read_holder(layout.lock)
    if living is not None and living.pid == os.getpid():
        living = None  # it is this very command that asks
    return AlreadyExistsError(
        f"{layout.shown} is no campaign yet: {living} is making it"
        if living is not None
        else f"{layout.shown} is no campaign yet: '{note.holder.command}' was broken off there (begun {since} on {note.holder.host})",
        code="clone-unfinished",
        hint="Wait for it to end."
        if living is not None
        else "Give the same command again, which goes on with the files that have arrived; or give them up: "
        f"remove {layout.shown}.",
    )


def clear_for_clone(layout: Layout, name: str, *, dry_run: bool = False) -> None:
    """Refuse a directory in use; remove what a clone left that was broken off, but for files of inputs that have a note.

    Parameters
    ----------
    layout : Layout
        The paths of the new campaign.
    name : str
        Its name.
    dry_run : bool, optional
        Only refuse; what is removed is removed under the lock.

    Raises
    ------
    AlreadyExistsError
        If something else is there.
    """
    root = layout.root
    if not root.exists():
        return
    if not root.is_dir():
        raise AlreadyExistsError(f"{root} is a file", code="directory-in-use", hint="Name another directory.")
    if layout.state.exists():  # somebody else was quicker
        raise campaign_exists(layout)
    found = {p.name for p in root.iterdir() if not p.name.startswith(".campaign.afar")}
    begin = ("staging.sqlite3", ".staging.sqlite3.", ".campaign.", "..campaign.", "pipeline.yaml")
    whole = {layout.data.name, f"{name}.qg"}
    ours = {n for n in found if n in whole or n.startswith(begin) or fnmatch(n, ".*.new-*") or is_aside(n)}
    strange = found - ours
    if found and (strange or not found & {layout.lock.name, layout.unfinished.name}):
        raise AlreadyExistsError(
            f"{root} is not empty",
            code="directory-in-use",
            hint="Name a new directory, or use 'stage init' there.",
        )
    if not dry_run:
        stays = {layout.lock.name}
        if read_unfinished(layout) is not None:
            stays |= {layout.unfinished.name, layout.data.name}
        remove_paths([root / n for n in found - stays])


def take_up(change: Change, upstream_id: str) -> bool:
    """Go on with the files of a new campaign that was broken off, if they are of the same upstream; else remove them.

    Parameters
    ----------
    change : Change
        The change that makes the campaign.
    upstream_id : str
        Identity of its upstream.

    Returns
    -------
    bool
        Whether there was a note; then nothing is wrong with files that no registry knows.

    Raises
    ------
    AlreadyExistsError
        If the campaign is kept at a URI where files are that nobody knows of.
    """
    layout = change.layout
    note = read_unfinished(layout)
    if note is None:
        _check_none_afar(layout)
    elif note.upstream == upstream_id and has_arrived(layout):
        _log.warning(
            "going on with the files that '%s' had brought when it was broken off", note.holder.command
        )
        files.remove(files.join(layout.data_root, BINDING), missing_ok=True)  # which is written anew
        change.has_left_over = True
    else:
        _give_up(layout)
    if change.state.artifacts != "direct" and (me := read_holder(layout.lock)) is not None:
        change.creating(layout.unfinished)
        text = json.dumps({"upstream": upstream_id, "holder": asdict(me)})
        write_atomically(layout.unfinished, f"{text}\n".encode())
        change.at("noted")
    return note is not None


def has_arrived(layout: Layout) -> bool:
    """Tell whether a campaign has files of inputs.

    Parameters
    ----------
    layout : Layout
        Its paths.

    Returns
    -------
    bool
        True also if its store does not say: nothing that may be there is given up.
    """
    try:
        return any(name != BINDING and not is_aside(name) for name in _names(layout))
    except StageError:
        return True


def settle(change: Change) -> None:
    """See to it, before a new campaign is saved, that it has no files but those that its rows name.

    Parameters
    ----------
    change : Change
        The change that makes it; its staging, if it has one, has all rows.

    Raises
    ------
    AlreadyExistsError
        If the files are another command's, with which this one has not gone on.
    """
    from registry.keeping import artifact_uris
    from stage.campaign.repositories import open_staging
    from sync.administration.orphans import named_files

    layout = change.layout
    if not layout.staging.exists() and (error := unfinished_error(layout)):
        raise error
    if not change.has_left_over:
        return
    with open_staging(layout) as staging, staging.registry.read() as snapshot:
        named = named_files(artifact_uris(snapshot), layout.data_root)
    gone = [name for name in _names(layout) if name not in named and name != BINDING]
    if gone:
        _log.info("removing %d files that were left and that no row names", len(gone))
    for name in gone:
        files.remove(files.join(layout.data_root, name), missing_ok=True)
        if not layout.kept_at:
            prune_empty(str((layout.data / name).parent), str(layout.data))
    change.at("left-over-gone")


def forget_unfinished(layout: Layout) -> None:
    """Remove the note, when the campaign is there.

    Parameters
    ----------
    layout : Layout
        Its paths.
    """
    with suppress(OSError):  # the next command that changes the campaign does it
        layout.unfinished.unlink(missing_ok=True)


def _names(layout: Layout) -> Iterator[str]:
    """Name the files below the campaign's datastore, also those that were being written aside."""
    yield from files.list_files(layout.data_root) if layout.kept_at else walk(str(layout.data))


def _give_up(layout: Layout) -> None:
    """Remove the files of another upstream, or none, and their note last."""
    if layout.kept_at:
        for name in list(_names(layout)):
            files.remove(files.join(layout.data_root, name), missing_ok=True)
    remove_paths([layout.data, layout.unfinished])


def _check_none_afar(layout: Layout) -> None:
    """Refuse to make a campaign around objects of which no note tells whose they are: their sizes alone would count."""
    if layout.kept_at and any(name != BINDING for name in files.list_files(layout.data_root)):
        raise AlreadyExistsError(
            f"{files.redact(layout.data_root)} holds files already, and nothing tells whose they are",
            code="directory-in-use",
            hint="A clone that was killed on another machine leaves such: clone there again, remove them, or name another URI.",
        )
