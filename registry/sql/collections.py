"""Statements of the collection tables: names, types, chains."""

from __future__ import annotations

from collections.abc import Collection as Container
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import sqlalchemy as sa

from registry.errors import ConflictError, NotFoundError, nearest
from registry.model.collections import (
    Collection,
    CollectionType,
    check_collection_name,
    check_no_cycle,
    flatten,
)
from registry.sql.failures import damaged
from registry.sql.session import Session

__all__ = [
    "Entry", "all_entries", "describe", "entry", "existing", "find_collections", "names_of", "register", "run_entry",
    "search", "set_chain",
]  # fmt: skip

_GLOB = frozenset("*?[")


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


def _missing(session: Session, name: str) -> NotFoundError:
    known = [e.name for e in all_entries(session)]
    return NotFoundError(
        f"no collection '{name}' in {session.place}", code="no-such-collection", hint=nearest(name, known)
    )


def existing(session: Session, name: str) -> Entry:
    """Return a collection that must be there.

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
        If there is none; offers the nearest name.
    """
    found = entry(session, name)
    if found is None:
        raise _missing(session, name)
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
    found = existing(session, name)
    if found.type is not CollectionType.RUN:
        raise _other_type(found, CollectionType.RUN)
    return found


def _other_type(found: Entry, wanted: CollectionType) -> ConflictError:
    return ConflictError(
        f"collection '{found.name}' is {found.type.name}, not {wanted.name}",
        code="collection-type-differs", hint="Choose another name.",
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


def _chains(session: Session, start: Iterable[Entry]) -> tuple[dict[str, list[str]], dict[str, Entry]]:
    """Return the children of every chain that can be reached, and every collection met."""
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


def _matching(session: Session, names: Sequence[str]) -> list[Entry]:
    """Return the collections named, globs expanded in order of name, each once."""
    out: dict[str, Entry] = {}
    everything: list[Entry] | None = None
    for name in names:
        if _GLOB.isdisjoint(name):
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
    start = _matching(session, names)
    children, met = _chains(session, start)
    return [met[name] for name in flatten([e.name for e in start], children)]


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
    found = [e for e in _matching(session, globs) if types is None or e.type in types]
    return describe(session, sorted(found, key=lambda e: e.name))


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
    children, _ = _chains(session, found)
    docs = _docs(session, found)
    return [Collection(e.name, e.type, docs[e.id], tuple(children.get(e.name, ()))) for e in found]


def _docs(session: Session, found: Sequence[Entry]) -> dict[int, str]:
    t = session.schema["collection"]
    if len(found) > 16:
        return dict(session.lookup("collection-docs", lambda: sa.select(t.c.id, t.c.doc)))
    one = sa.select(t.c.doc).where(t.c.id == sa.bindparam("id"))
    return {e.id: session.lookup("collection-doc", lambda: one, id=e.id)[0][0] for e in found}


def register(session: Session, name: str, kind: CollectionType, doc: str = "") -> bool:
    """Make a collection unless it is there.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        Its name.
    kind : CollectionType
        What it shall be.
    doc : str
        What it is for; not changed where it exists.

    Returns
    -------
    bool
        True if it is new.

    Raises
    ------
    UsageError
        If it is no usable name.
    ConflictError
        If one of another type has that name.
    """
    check_collection_name(name)
    found = entry(session, name)
    if found is not None:
        if found.type is not kind:
            raise _other_type(found, kind)
        return False
    session.execute(sa.insert(session.schema["collection"]), name=name, type=int(kind), doc=doc)
    return True


def set_chain(session: Session, name: str, children: Sequence[str], expected: Sequence[str] | None) -> None:
    """Define what a chain searches, making it where it is absent.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The chain.
    children : sequence of str
        Existing collections, in search order.
    expected : sequence of str or None
        What it must hold now (an absent chain holds nothing); None for anything.

    Raises
    ------
    ConflictError
        If it holds something else, would contain itself, or the name is not a chain's.
    NotFoundError
        If a child does not exist.
    """
    register(session, name, CollectionType.CHAINED)
    parent = existing(session, name)
    now = _chains(session, [parent])[0][name]
    if expected is not None and now != list(expected):
        raise ConflictError(
            f"chain '{name}' has changed: expected ({', '.join(expected)}), found ({', '.join(now)})",
            code="chain-changed", hint="Read it again and repeat the change.",
            context={"expected": list(expected), "found": now},
        )  # fmt: skip
    unique = list(dict.fromkeys(children))
    entries = [existing(session, child) for child in unique]
    reachable: Mapping[str, Sequence[str]] = _chains(session, entries)[0]
    check_no_cycle(name, unique, reachable)
    t = session.schema["collection_chain"]
    session.execute(sa.delete(t).where(t.c.parent_id == parent.id))
    for position, child in enumerate(entries):
        session.execute(sa.insert(t), parent_id=parent.id, position=position, child_id=child.id)
