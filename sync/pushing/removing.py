"""Removing files upstream that no row names (any more), while pushes go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sync.faults import At, no_fault
from sync.found import below
from sync.transfer import prune_folders, withdraw

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["BATCH", "remove_unnamed"]

BATCH = 256
"""Files that are removed at a time, while nobody else can write."""


def remove_unnamed(
    upstream: Repo, uris: Sequence[str], *, gone: Sequence[str] = (), at: At = no_fault
) -> tuple[int, int]:
    """Remove those of some files that no row names by then, some at a time, each time under upstream's lock.

    Parameters
    ----------
    upstream : Repo
        Open for writing.
    uris : sequence of str
        Relative to its datastore's root. They have to have been there before the ledger last said that a push is
        withdrawn: then a push that has found one looks for it again, and one that has not moved it.
    gone : sequence of str, optional
        Files that may have been removed by a try that was killed, before it came to the directories left empty by that.
    at : callable
        Called with ``files-removing`` after each part.

    Returns
    -------
    (int, int)
        Files that are gone, and files that stay since rows name them.

    Raises
    ------
    StorageError
        If one cannot be removed; those before it are.
    BusyError
        If upstream is locked for too long; as above.
    """
    kept = 0
    root = upstream.datastore.root
    for start in range(0, len(uris), BATCH):
        part = uris[start : start + BATCH]
        with upstream.registry.write() as tx:
            # A file may be recorded by where it is in full, too.
            places = dict(zip(below(root, part), part, strict=True))
            named = tx.recorded_uris([*part, *places])
            named |= {places[place] for place in named & places.keys()}
            going = [uri for uri in part if uri not in named]
            withdraw(going, root)
        kept += len(part) - len(going)
        at("files-removing")
    prune_folders(gone, root)
    return len(uris) - kept, kept
