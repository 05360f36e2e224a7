"""Questions to the collection tables: names, types, what chains search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import sqlalchemy as sa

from registry.errors import ConflictError, NotFoundError, UsageError, nearest
from registry.model.collections import CollectionType, flatten
from registry.sql.failures import damaged
from registry.sql.session import Session

__all__ = [
    "Entry", "all_entries", "check_order", "children_below", "entry", "existing", "existing_of", "is_glob", "matching", "names_of",
    "other_type", "run_entry", "search",
]  # fmt: skip

_GLOB = frozenset("*?[")


def is_glob(name: str) -> bool:
    """Say whether a name is a pattern.

    Parameters
    ----------
    name : str
        A collection, or a pattern with ``*``, ``?``, ``[…]``.

    Returns
    -------
    bool
        Whether it is.
    """
    return not _GLOB.isdisjoint(name)


def check_order(names: Sequence[str]) -> None:
    """Refuse patterns where it counts which collection comes first: what they match has no order.

    Parameters
    ----------
    names : sequence of str
        Collections and patterns.

    Raises
    ------
    UsageError
        If one is a pattern (code ``pattern-in-search-path``).
    """
    for name in names:
        if is_glob(name):
            raise UsageError(
                f"what is first in '{name}' is not defined: the collections that a pattern matches have no order",
                code="pattern-in-search-path", hint="Name the collections in order, or ask for all (find all).",
            )  # fmt: skip


class Entry(NamedTuple):
    """A collection as the other tables refer to it.

    Parameters
    ----------
    id : int
        Its local number.
    name : str
        Its name.
    type : CollectionType
        What it is.
    """

    id: int
    name: str
    type: CollectionType


def _entries(session: Session, rows: Iterable[tuple[Any, ...]]) -> list[Entry]:
    try:
        return [Entry(i, name, CollectionType(kind)) for i, name, kind in rows]
    except ValueError as exc:
        raise damaged(session.place, f"a collection's type: {exc}") from exc


def entry(session: Session, name: str) -> Entry | None:
    """Look a collection up by name.

    Parameters
    ----------
    session : Session
        Where.
    name : str
        Its name.

    Returns
    -------
    Entry or None
        None if there is none.
    """
    t = session.schema["collection"]
    rows = session.lookup(
        "collection-by-name",
        lambda: sa.select(t.c.id, t.c.name, t.c.type).where(t.c.name == sa.bindparam("name")),
        name=name,
    )
    return _entries(session, rows)[0] if rows else None


def all_entries(session: Session) -> list[Entry]:
    """Return every collection.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of Entry
        Sorted by name.
    """
    t = session.schema["collection"]
    return _entries(
        session,
        session.lookup("collections", lambda: sa.select(t.c.id, t.c.name, t.c.type).order_by(t.c.name)),
    )


def _missing(session: Session, name: str, besides: str) -> NotFoundError:
    known = [e.name for e in all_entries(session) if e.name != besides]
    return NotFoundError(
        f"no collection '{name}' in {session.place}", code="no-such-collection", hint=nearest(name, known)
    )


def existing(session: Session, name: str, *, besides: str = "") -> Entry:
    """Return a collection that must be there.

    Parameters
    ----------
    session : Session
        Where.
    name : str
        Its name.
    besides : str, optional
        A collection that is not offered in its place.

    Returns
    -------
    Entry
        It.

    Raises
    ------
    NotFoundError
        If there is none; offers the nearest name.
    """
    found = entry(session, name)
    if found is None:
        raise _missing(session, name, besides)
    return found


def existing_of(session: Session, name: str, kind: CollectionType) -> Entry:
    """Return a collection of a type that must be there.

    Parameters
    ----------
    session : Session
        Where.
    name : str
        Its name.
    kind : CollectionType
        What it must be.

    Returns
    -------
    Entry
        It.

    Raises
    ------
    NotFoundError
        If there is none.
    ConflictError
        If it is of another type.
    """
    found = existing(session, name)
    if found.type is not kind:
        raise other_type(found, kind)
    return found


def run_entry(session: Session, name: str) -> Entry:
    """Return a RUN collection that must be there.

    Parameters
    ----------
    session : Session
        Where.
    name : str
        Its name.

    Returns
    -------
    Entry
        It.

    Raises
    ------
    NotFoundError
        If there is none.
    ConflictError
        If it is of another type.
    """
    return existing_of(session, name, CollectionType.RUN)


def other_type(found: Entry, wanted: CollectionType) -> ConflictError:
    """Return the error that a collection is not what was asked for.

    Parameters
    ----------
    found : Entry
        What there is.
    wanted : CollectionType
        What it should be.

    Returns
    -------
    ConflictError
        To be raised.
    """
    return ConflictError(
        f"collection '{found.name}' is {found.type.name}, not {wanted.name}",
        code="collection-type-differs", hint=f"Name a collection that is {wanted.name}.",
    )  # fmt: skip


def names_of(session: Session, ids: Iterable[int]) -> dict[int, str]:
    """Return the names of collections.

    Parameters
    ----------
    session : Session
        Where.
    ids : iterable of int
        Local numbers.

    Returns
    -------
    dict
        Number to name.
    """
    wanted = set(ids)
    t = session.schema["collection"]
    if len(wanted) > 16:
        return {e.id: e.name for e in all_entries(session) if e.id in wanted}
    one = sa.select(t.c.name).where(t.c.id == sa.bindparam("id"))
    found = {i: session.lookup("collection-by-id", lambda: one, id=i) for i in wanted}
    if gone := [i for i, rows in found.items() if not rows]:
        raise damaged(session.place, f"rows refer to collection {gone[0]}, which is not there")
    return {i: rows[0][0] for i, rows in found.items()}


def children_below(session: Session, start: Iterable[Entry]) -> tuple[dict[str, list[str]], dict[str, Entry]]:
    """Return what chains search, as far down as they lead.

    Parameters
    ----------
    session : Session
        Where.
    start : iterable of Entry
        Where to start.

    Returns
    -------
    (dict of str to list of str, dict of str to Entry)
        The children of every chain that can be reached, in search order, and every collection met.
    """
    c, chain = session.schema["collection"], session.schema["collection_chain"]

    def make() -> sa.Select[Any]:
        reach = sa.select(sa.bindparam("id", type_=sa.Integer).label("id")).cte("reach", recursive=True)
        reach = reach.union(sa.select(chain.c.child_id).join(reach, chain.c.parent_id == reach.c.id))
        parent = c.alias("parent")
        return (
            sa.select(parent.c.name.label("parent"), c.c.id, c.c.name, c.c.type)
            .select_from(reach)
            .join(chain, chain.c.parent_id == reach.c.id)
            .join(c, c.c.id == chain.c.child_id)
            .join(parent, parent.c.id == chain.c.parent_id)
            .order_by(chain.c.parent_id, chain.c.position)
        )

    children: dict[str, dict[str, None]] = {}
    met: dict[str, Entry] = {}
    for first in start:
        met[first.name] = first
        if first.type is CollectionType.CHAINED:
            children.setdefault(first.name, {})
            for parent, *rest in session.lookup("chains", make, id=first.id):
                found = _entries(session, [tuple(rest)])[0]
                met[found.name] = found
                children.setdefault(parent, {})[found.name] = None
                if found.type is CollectionType.CHAINED:
                    children.setdefault(found.name, {})
    return {name: list(of) for name, of in children.items()}, met


def matching(session: Session, names: Sequence[str]) -> list[Entry]:
    """Return the collections that are named.

    Parameters
    ----------
    session : Session
        Where.
    names : sequence of str
        Names and globs.

    Returns
    -------
    list of Entry
        Each once; a glob is expanded in order of name, which is the same in all registries.

    Raises
    ------
    NotFoundError
        If a name (that is no glob) does not exist.
    """
    out: dict[str, Entry] = {}
    everything: list[Entry] | None = None
    for name in names:
        if not is_glob(name):
            out.setdefault(name, existing(session, name))
            continue
        everything = all_entries(session) if everything is None else everything
        for found in everything:
            if fnmatchcase(found.name, name):
                out.setdefault(found.name, found)
    return list(out.values())


def search(session: Session, names: Sequence[str]) -> list[Entry]:
    """Flatten names into a search path.

    Parameters
    ----------
    session : Session
        Where.
    names : sequence of str
        Collections and globs, in order.

    Returns
    -------
    list of Entry
        No chains, each collection once, in search order.

    Raises
    ------
    NotFoundError
        If a name (that is no glob) does not exist.
    """
    start = matching(session, names)
    children, met = children_below(session, start)
    return [met[name] for name in flatten([e.name for e in start], children)]
