"""What there is to know about the collections that somebody names."""

from __future__ import annotations

from collections.abc import Collection as Container
from collections.abc import Sequence
from fnmatch import fnmatchcase

import sqlalchemy as sa

from registry.model.collections import Collection, CollectionType, walk
from registry.sql.collections import Entry, all_entries, children_below, existing, is_glob, matching
from registry.sql.session import Session

__all__ = ["describe", "find_collections", "list_collections"]


def find_collections(
    session: Session, globs: Sequence[str], types: Container[CollectionType] | None = None
) -> list[Collection]:
    """Return the collections that match, with their children.

    Parameters
    ----------
    session : Session
        Where.
    globs : sequence of str
        Names and globs.
    types : collection of CollectionType, optional
        Only these.

    Returns
    -------
    list of Collection
        Sorted by name.

    Raises
    ------
    NotFoundError
        If a name (that is no glob) does not exist.
    """
    found = [e for e in matching(session, globs) if types is None or e.type in types]
    return describe(session, sorted(found, key=lambda e: e.name))


def list_collections(
    session: Session,
    names: Sequence[str],
    types: Container[CollectionType] | None = None,
    *,
    flatten_chains: bool = False,
    include_chains: bool | None = None,
) -> list[Entry]:
    """Return the collections that match, in an order that means something.

    Parameters
    ----------
    session : Session
        Where.
    names : sequence of str
        Names and globs.
    types : collection of CollectionType, optional
        Only these.
    flatten_chains : bool
        Whether what chains search takes part too, at the chain's place.
    include_chains : bool, optional
        Whether chains themselves take part; by default where they are not flattened.

    Returns
    -------
    list of Entry
        Each once. What globs match comes first, in order of registration; then the names as they are given; what
        the chains among them lead to follows each of them, that of chains which a glob matched stands last.

    Raises
    ------
    NotFoundError
        If a name (that is no glob) does not exist.
    """
    globs = [n for n in names if is_glob(n)]
    everything = sorted(all_entries(session)) if globs else []
    matched = [e for e in everything if any(fnmatchcase(e.name, g) for g in globs)]
    start = [existing(session, n) for n in names if not is_glob(n)]
    found = dict.fromkeys(matched)
    if flatten_chains:
        children, met = children_below(session, [*start, *matched])
        below = [e.name for e in start]
        below += [child for e in matched for child in children.get(e.name, ())]
        found |= dict.fromkeys(met[n] for n in walk(below, children))
    else:
        found |= dict.fromkeys(start)
    chains = not flatten_chains if include_chains is None else include_chains
    kept = [e for e in found if chains or e.type is not CollectionType.CHAINED]
    return [e for e in kept if types is None or e.type in types]


def describe(session: Session, found: Sequence[Entry]) -> list[Collection]:
    """Return what there is to know about collections.

    Parameters
    ----------
    session : Session
        Where.
    found : sequence of Entry
        Which.

    Returns
    -------
    list of Collection
        In the same order.
    """
    children, _ = children_below(session, found)
    docs = _docs(session, found)
    return [Collection(e.name, e.type, docs[e.id], tuple(children.get(e.name, ()))) for e in found]


def _docs(session: Session, found: Sequence[Entry]) -> dict[int, str]:
    t = session.schema["collection"]
    if len(found) > 16:
        return dict(session.lookup("collection-docs", lambda: sa.select(t.c.id, t.c.doc)))
    one = sa.select(t.c.doc).where(t.c.id == sa.bindparam("id"))
    return {e.id: session.lookup("collection-doc", lambda: one, id=e.id)[0][0] for e in found}
