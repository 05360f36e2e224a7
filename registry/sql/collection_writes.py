"""Statements that make collections and say what chains search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from registry.errors import ConflictError, NotFoundError, UsageError, nearest
from registry.model.collections import CollectionType, check_collection_name, check_no_cycle
from registry.model.columns import Columns
from registry.sql.collections import Entry, children_below, entry, existing, existing_of, other_type
from registry.sql.loading import insert_from
from registry.sql.session import Session

__all__ = ["extend_chain", "pop_chain", "prepend_chain", "register", "remove_from_chain", "set_chain"]


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
            raise other_type(found, kind)
        return False
    session.execute(sa.insert(session.schema["collection"]), name=name, type=int(kind), doc=doc)
    return True


def _made(session: Session, name: str) -> tuple[Entry, list[str]]:
    """Return a chain, made where it is absent, and what it searches."""
    register(session, name, CollectionType.CHAINED)
    parent = existing(session, name)
    return parent, children_below(session, [parent])[0][name]


def _there(session: Session, name: str) -> tuple[Entry, list[str]]:
    """Return a chain that must be there, and what it searches."""
    parent = existing_of(session, name, CollectionType.CHAINED)
    return parent, children_below(session, [parent])[0][name]


def _children(session: Session, name: str, children: Sequence[str]) -> list[Entry]:
    """Return collections that a chain may search, each once."""
    # The chain may have been made a moment ago for this; no chain searches itself.
    entries = [existing(session, child, besides=name) for child in dict.fromkeys(children)]
    check_no_cycle(name, [e.name for e in entries], children_below(session, entries)[0])
    return entries


def _insert(session: Session, parent: Entry, children: Sequence[Entry], first: int) -> None:
    """Put children at positions from `first` on."""
    t = session.schema["collection_chain"]
    places = range(first, first + len(children))
    rows = Columns({"position": list(places), "child_id": [e.id for e in children]})
    types: dict[str, sa.types.TypeEngine[Any]] = {"position": sa.Integer(), "child_id": sa.Integer()}
    with session.stash(rows, types) as stash:
        into = sa.bindparam("into", type_=sa.Integer)
        chosen = sa.select(into, stash.c.position, stash.c.child_id).where(sa.true())
        names = ["parent_id", "position", "child_id"]
        insert_from(session, t, names, chosen, "error", form=("children", stash), into=parent.id)


def _remove(session: Session, parent: Entry, children: Sequence[Entry]) -> None:
    t = session.schema["collection_chain"]
    rows = Columns({"child_id": [e.id for e in children]})
    with session.stash(rows, {"child_id": sa.Integer()}) as stash:
        session.execute(
            sa.delete(t).where(t.c.parent_id == parent.id, t.c.child_id.in_(sa.select(stash.c.child_id)))
        )


def _end(session: Session, parent: Entry, which: Any) -> int | None:
    """Return the lowest or highest position in a chain; None where it is empty."""
    t = session.schema["collection_chain"]
    found = session.fetch(sa.select(which(t.c.position).label("place")).where(t.c.parent_id == parent.id))
    value = found["place"].tolist()[0]
    return None if value is None else int(value)


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
    parent, now = _made(session, name)
    if expected is not None and now != list(expected):
        raise ConflictError(
            f"chain '{name}' has changed: expected ({', '.join(expected)}), found ({', '.join(now)})",
            code="chain-changed", hint="Read it again and repeat the change.",
            context={"expected": list(expected), "found": now},
        )  # fmt: skip
    entries = _children(session, name, children)
    t = session.schema["collection_chain"]
    session.execute(sa.delete(t).where(t.c.parent_id == parent.id))
    _insert(session, parent, entries, 0)


def prepend_chain(session: Session, name: str, children: Sequence[str]) -> None:
    """Put collections before what a chain searches, making it where it is absent.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The chain.
    children : sequence of str
        Existing collections, in search order; those that it has move to the front.

    Raises
    ------
    ConflictError
        If it would contain itself, or the name is not a chain's.
    NotFoundError
        If a child does not exist.
    """
    parent, _ = _made(session, name)
    entries = _children(session, name, children)
    _remove(session, parent, entries)
    _insert(session, parent, entries, (_end(session, parent, sa.func.min) or 0) - len(entries))


def extend_chain(session: Session, name: str, children: Sequence[str]) -> None:
    """Put collections after what a chain searches, making it where it is absent.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The chain.
    children : sequence of str
        Existing collections, in search order; those that it has move to the end.

    Raises
    ------
    ConflictError
        If it would contain itself, or the name is not a chain's.
    NotFoundError
        If a child does not exist.
    """
    parent, _ = _made(session, name)
    entries = _children(session, name, children)
    _remove(session, parent, entries)
    last = _end(session, parent, sa.func.max)
    _insert(session, parent, entries, 0 if last is None else last + 1)


def remove_from_chain(session: Session, name: str, children: Sequence[str]) -> None:
    """Take collections out of a chain.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The chain.
    children : sequence of str
        Some of its own children.

    Raises
    ------
    ConflictError
        If the name is not a chain's.
    NotFoundError
        If there is no such chain, or it does not search one of them (code ``not-in-chain``).
    """
    parent, now = _there(session, name)
    for child in children:
        if child not in now:
            existing(session, child)
            raise NotFoundError(
                f"chain '{name}' does not search '{child}'", code="not-in-chain", hint=nearest(child, now)
            )
    _remove(session, parent, [existing(session, child) for child in dict.fromkeys(children)])


def pop_chain(session: Session, name: str, n: int) -> list[str]:
    """Take the first collections out of a chain.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The chain.
    n : int
        How many.

    Returns
    -------
    list of str
        They, in search order.

    Raises
    ------
    ConflictError
        If the name is not a chain's.
    NotFoundError
        If there is no such chain.
    UsageError
        If it does not have so many (code ``chain-too-short``).
    """
    parent, now = _there(session, name)
    if not 0 < n <= len(now):
        raise UsageError(
            f"chain '{name}' searches {len(now)} collections: {n} cannot be taken from it",
            code="chain-too-short", hint="Ask what it searches: stage query collections.",
        )  # fmt: skip
    _remove(session, parent, [existing(session, child) for child in now[:n]])
    return now[:n]
