"""Statements that remove datasets, collections and dataset types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from registry.errors import ConflictError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dimensions import DimensionGroup
from registry.sql.collections import Entry, existing, names_of
from registry.sql.dataset_types import all_types, find_type
from registry.sql.fixed_tables import IdType
from registry.sql.keys import check_ids
from registry.sql.session import Session

__all__ = ["chains_of", "delete_datasets", "holders_of", "remove_collection", "remove_type"]

_MOST_SHOWN = 12


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


def remove_type(session: Session, name: str) -> None:
    """Remove a dataset type that has no datasets.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The dataset type.

    Raises
    ------
    NotFoundError
        If there is none.
    ConflictError
        If there are datasets of it; says how many each collection holds.
    """
    found = find_type(session, name)
    # Whatever holds a dataset, its run does too; so the tags alone tell whether there is one.
    t = session.schema.tags(found.type.dimensions)
    held = session.fetch(
        sa.select(t.c.collection_id, sa.func.count().label("n"))
        .where(t.c.dataset_type_id == found.id)
        .group_by(t.c.collection_id)
    )
    if held.n_rows:
        names = names_of(session, held["collection_id"].tolist())
        counts = {names[number]: int(n) for number, n in held.rows()}
        raise ConflictError(
            f"dataset type '{name}' cannot be removed: there are datasets of it in {_counted(counts)}",
            code="dataset-type-in-use", hint="Remove them first.", context={"collections": counts},
        )  # fmt: skip
    k = session.schema["dataset_type"]
    session.execute(sa.delete(k).where(k.c.id == found.id))


def remove_collection(session: Session, name: str, *, unlink: bool = False, purge: bool = False) -> None:
    """Remove a collection; a RUN goes with its datasets and the provenance of its quanta.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The collection.
    unlink : bool
        Whether to take it out of the chains that search it.
    purge : bool
        Whether to take its datasets out of the TAGGED and CALIBRATION collections that hold them.

    Raises
    ------
    NotFoundError
        If there is none.
    ConflictError
        If something else refers to it that may not be changed; names all of it.
    """
    found = existing(session, name)
    chains = [] if unlink else chains_of(session, found)
    holders = {} if purge else holders_of(session, found)
    if chains or holders:
        raise _in_use(found, chains, holders)
    with session.savepoint():
        if found.type is CollectionType.RUN:
            _empty_run(session, found)
        for table in _holding(session):
            session.execute(sa.delete(table).where(table.c.collection_id == found.id))
        chain = session.schema["collection_chain"]
        session.execute(sa.delete(chain).where(chain.c.child_id == found.id))
        c = session.schema["collection"]
        session.execute(sa.delete(c).where(c.c.id == found.id))


def _in_use(found: Entry, chains: Sequence[str], holders: dict[str, int]) -> ConflictError:
    told, ways = [], []
    if chains:
        told.append(f"it is searched by {_listed(chains)}")
        ways.append("take it out of those chains (--unlink)")
    if holders:
        told.append(f"datasets of it are in {_counted(holders)}")
        ways.append("take them out of those collections (--purge)")
    return ConflictError(
        f"collection '{found.name}' cannot be removed: {'; '.join(told)}",
        code="collection-in-use", hint=f"First {' and '.join(ways)}.",
        context={"chains": list(chains), "collections": dict(holders)},
    )  # fmt: skip


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _counted(counts: dict[str, int]) -> str:
    return _listed([f"{name} ({n})" for name, n in sorted(counts.items())])


def chains_of(session: Session, found: Entry) -> list[str]:
    """Return the chains that search a collection.

    Parameters
    ----------
    session : Session
        Where.
    found : Entry
        The collection.

    Returns
    -------
    list of str
        Those of which it is a child, sorted by name.
    """
    chain = session.schema["collection_chain"]
    parents = session.fetch(sa.select(chain.c.parent_id).distinct().where(chain.c.child_id == found.id))
    return sorted(names_of(session, parents["parent_id"].tolist()).values())


def holders_of(session: Session, found: Entry) -> dict[str, int]:
    """Count the datasets of a RUN that other collections hold.

    Parameters
    ----------
    session : Session
        Where.
    found : Entry
        The collection; one that is no RUN owns nothing that others could hold.

    Returns
    -------
    dict of str to int
        TAGGED and CALIBRATION collections to number of datasets.
    """
    counts: dict[int, int] = {}
    if found.type is CollectionType.RUN:
        for group, table in _tables(session):
            t = table.alias("held")
            held = session.fetch(
                sa.select(t.c.collection_id, sa.func.count(t.c.dataset_id.distinct()).label("n"))
                .where(t.c.collection_id != found.id, t.c.dataset_id.in_(_owned(session, group, found)))
                .group_by(t.c.collection_id)
            )
            for number, n in held.rows():
                counts[number] = counts.get(number, 0) + int(n)
    names = names_of(session, counts)
    return {names[number]: n for number, n in counts.items()}


def _tables(session: Session) -> Iterator[tuple[DimensionGroup, sa.Table]]:
    """Return the tables that say what collections hold, with the dimensions of each."""
    types = [e.type for e in all_types(session)]
    for group in dict.fromkeys(t.dimensions for t in types):
        yield group, session.schema.tags(group)
    for group in dict.fromkeys(t.dimensions for t in types if t.is_calibration):
        yield group, session.schema.calibs(group)


def _holding(session: Session) -> Iterator[sa.Table]:
    return (table for _, table in _tables(session))


def _empty_run(session: Session, run: Entry) -> None:
    d = session.schema["dataset"]
    for group in dict.fromkeys(group for group, _ in _tables(session)):
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
