"""Looking for collections that need not be there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from registry.model.collections import Collection, CollectionType

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = ["collections_below", "known_collections"]


def known_collections(snapshot: Snapshot, names: Iterable[str]) -> dict[str, Collection]:
    """Return those of some collections that exist.

    Parameters
    ----------
    snapshot : Snapshot
        Where to look.
    names : iterable of str
        Their names.

    Returns
    -------
    dict of str to Collection
        By name; the others are left out.
    """
    # A name whose first character is a class of one is a pattern, and a pattern that matches nothing is no error.
    patterns = [f"[{name[0]}]{name[1:]}" for name in dict.fromkeys(names)]
    return {c.name: c for c in snapshot.collections(patterns)} if patterns else {}


def collections_below(snapshot: Snapshot, names: Iterable[str]) -> dict[str, Collection]:
    """Return collections with all that their chains lead to.

    Parameters
    ----------
    snapshot : Snapshot
        Where to look.
    names : iterable of str
        Where to start; those that do not exist are left out.

    Returns
    -------
    dict of str to Collection
        By name.
    """
    out = known_collections(snapshot, names)
    todo = list(out.values())
    while todo:
        chains = [c for c in todo if c.type is CollectionType.CHAINED]
        new = dict.fromkeys(child for c in chains for child in c.children if child not in out)
        todo = snapshot.collections(list(new)) if new else []
        out |= {c.name: c for c in todo}
    return out
