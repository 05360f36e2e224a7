"""Statements that remove datasets and collections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from registry.errors import ConflictError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dimensions import DimensionGroup
from registry.sql.collections import Entry, existing, names_of
from registry.sql.dataset_types import all_types
from registry.sql.fixed_tables import IdType
from registry.sql.keys import check_ids
from registry.sql.session import Session

__all__ = ["delete_datasets", "remove_collection"]


def delete_datasets(session: Session, ids: Sequence[bytes]) -> None:
    """Delete datasets with their tags, validity ranges and artifact records.

    Parameters
    ----------
    session : Session
        In a write transaction.
    ids : sequence of bytes
        16 bytes each; unknown ones are ignored.

    Notes
    -----
    Provenance stays: a quantum goes on naming what it read and made.
    """
    rows = Columns({"id": ids})
    check_ids(rows)
    d = session.schema["dataset"]
    with session.stash(rows, {"id": IdType()}) as stash:
        session.execute(sa.delete(d).where(d.c.id.in_(sa.select(stash.c.id))))


def remove_collection(session: Session, name: str) -> None:
    """Remove a collection; a RUN goes with its datasets and the provenance of its quanta.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The collection.

    Raises
    ------
    NotFoundError
        If there is none.
    ConflictError
        If a chain searches it, or another collection holds datasets of it; names them.
    """
    found = existing(session, name)
    _refuse_if_chained(session, found)
    with session.savepoint():
        if found.type is CollectionType.RUN:
            _empty_run(session, found)
        for table in _holding(session):
            session.execute(sa.delete(table).where(table.c.collection_id == found.id))
        c = session.schema["collection"]
        session.execute(sa.delete(c).where(c.c.id == found.id))


def _refuse_if_chained(session: Session, found: Entry) -> None:
    chain = session.schema["collection_chain"]
    parents = session.fetch(sa.select(chain.c.parent_id).distinct().where(chain.c.child_id == found.id))[
        "parent_id"
    ]
    if len(parents):
        names = sorted(names_of(session, parents.tolist()).values())
        raise ConflictError(
            f"collection '{found.name}' is searched by {', '.join(names)}",
            code="collection-in-use", hint="Take it out of those chains first.", context={"chains": names},
        )  # fmt: skip


def _holding(session: Session) -> Iterator[sa.Table]:
    """Return the tables that say what collections hold."""
    types = [e.type for e in all_types(session)]
    for group in dict.fromkeys(t.dimensions for t in types):
        yield session.schema.tags(group)
    for group in dict.fromkeys(t.dimensions for t in types if t.is_calibration):
        yield session.schema.calibs(group)


def _empty_run(session: Session, run: Entry) -> None:
    types = [e.type for e in all_types(session)]
    holders: set[int] = set()
    for group in dict.fromkeys(t.dimensions for t in types):
        owned = _owned(session, group, run)
        tables = [session.schema.tags(group)]
        if any(t.is_calibration and t.dimensions == group for t in types):
            tables.append(session.schema.calibs(group))
        for table in tables:
            held = sa.select(table.c.collection_id).distinct().where(table.c.dataset_id.in_(owned))
            found = session.fetch(held.where(table.c.collection_id != run.id))
            holders |= set(found["collection_id"].tolist())
    if holders:
        names = sorted(names_of(session, holders).values())
        raise ConflictError(
            f"datasets of run '{run.name}' are in {', '.join(names)}",
            code="collection-in-use", hint="Take them out of those collections first.", context={"collections": names},
        )  # fmt: skip
    d = session.schema["dataset"]
    for group in dict.fromkeys(t.dimensions for t in types):
        session.execute(sa.delete(d).where(d.c.id.in_(_owned(session, group, run))))
    _forget_quanta(session, run)


def _owned(session: Session, group: DimensionGroup, run: Entry) -> sa.Select[Any]:
    tags = session.schema.tags(group)
    return sa.select(tags.c.dataset_id).where(tags.c.collection_id == run.id)


def _forget_quanta(session: Session, run: Entry) -> None:
    q = session.schema["quantum"]
    chosen = sa.select(q.c.id).where(q.c.run_id == run.id)
    for name in ("quantum_input", "quantum_output"):
        table = session.schema[name]
        session.execute(sa.delete(table).where(table.c.quantum_id.in_(chosen)))
    session.execute(sa.delete(q).where(q.c.run_id == run.id))
