"""Statements over many runs' provenance: what came of what, and what one run's quanta came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.collections import run_entry
from registry.sql.dataset_types import find_type
from registry.sql.fixed_tables import IdType
from registry.sql.provenance import with_run_names
from registry.sql.session import Session

__all__ = [
    "LINEAGE",
    "checksums",
    "dataset_types_by_id",
    "inputs_from_outside",
    "lineage",
    "outcomes",
    "quanta_by_id",
]

LINEAGE = ("depth", "quantum_id", "made", "dataset_id", "connection", "was_read")
"""One dataset that a quantum read, or made. `depth` counts the quanta between it and where the question began."""

_DEEPEST = 1000


def lineage(session: Session, ids: Sequence[bytes], *, up: bool, depth: int | None) -> Columns:
    """Follow datasets or quanta to what they came from, or to what came of them.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        Of datasets, or of quanta, which then are among those returned.
    up : bool
        Whether to go to what they came from.
    depth : int or None
        Over so many quanta one after another at most.

    Returns
    -------
    Columns
        `LINEAGE`: all that the quanta that were reached read and made. One statement, of which the database does the
        walking; each quantum is reached once, however many ways lead to it.
    """
    read, made = session.schema["quantum_input"], session.schema["quantum_output"]
    towards, back = (made, read) if up else (read, made)
    starts = Columns({"id": sorted(set(ids))})
    with session.stash(starts, {"id": IdType()}, key=["id"]) as given:
        reached = _reached(session, given, towards, back, _DEEPEST if depth is None else depth)
        parts = [_links(reached, read, made=False), _links(reached, made, made=True)]
        return session.fetch(sa.union_all(*parts)).select(LINEAGE)


def _reached(session: Session, given: sa.FromClause, towards: sa.Table, back: sa.Table, depth: int) -> sa.CTE:
    """Return the quanta that are reached, each with the length of the shortest way."""
    quantum = session.schema["quantum"]
    nearest = sa.select(
        towards.c.quantum_id.label("quantum_id"), sa.literal_column("1").label("depth")
    ).select_from(given.join(towards, towards.c.dataset_id == given.c.id))
    themselves = sa.select(quantum.c.id, sa.literal_column("0")).select_from(
        given.join(quantum, quantum.c.id == given.c.id)
    )
    first = sa.union(nearest, themselves).subquery("first")
    walk = sa.select(first.c.quantum_id, first.c.depth).cte("walk", recursive=True)
    step = walk.join(back, back.c.quantum_id == walk.c.quantum_id)
    step = step.join(towards, towards.c.dataset_id == back.c.dataset_id)
    # A way that leads round in a circle, which only damage can make, ends by its length.
    walk = walk.union(
        sa.select(towards.c.quantum_id, walk.c.depth + 1).select_from(step).where(walk.c.depth < depth)
    )
    least = sa.func.min(walk.c.depth).label("depth")
    return (
        sa.select(walk.c.quantum_id, least)
        .where(walk.c.depth <= depth)
        .group_by(walk.c.quantum_id)
        .cte("reached")
    )


def _links(reached: sa.CTE, table: sa.Table, *, made: bool) -> sa.Select[Any]:
    was_read = sa.cast(sa.null(), sa.Boolean) if made else table.c.was_read
    return sa.select(
        reached.c.depth,
        reached.c.quantum_id,
        sa.literal(made, sa.Boolean).label("made"),
        table.c.dataset_id,
        table.c.connection,
        was_read.label("was_read"),
    ).select_from(reached.join(table, table.c.quantum_id == reached.c.quantum_id))


def _is_latest(session: Session) -> sa.ColumnElement[bool]:
    q = session.schema["quantum"]
    other = q.alias("other")
    last = sa.select(sa.func.max(other.c.attempt)).where(other.c.id == q.c.id).scalar_subquery()
    return q.c.attempt == last


def quanta_by_id(session: Session, ids: Sequence[bytes], names: Sequence[str]) -> Columns:
    """Return the last attempts at quanta.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        Which; those that were never executed are left out.
    names : sequence of str
        Columns of `registry.model.records.QUANTUM`, ``run`` among them.

    Returns
    -------
    Columns
        These, ordered by id.
    """
    q = session.schema["quantum"]
    with session.stash(Columns({"id": sorted(set(ids))}), {"id": IdType()}, key=["id"]) as given:
        rows = session.fetch(
            sa.select(*(q.c[n] for n in names if n != "run"), q.c.run_id)
            .select_from(given.join(q, q.c.id == given.c.id))
            .where(_is_latest(session))
            .order_by(q.c.id)
        )
    return with_run_names(session, rows, names)


def dataset_types_by_id(session: Session, ids: Sequence[bytes]) -> Columns:
    """Return what datasets are, without their data IDs.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        Which; those that are not there are left out.

    Returns
    -------
    Columns
        ``id``, ``dataset_type``, ``run``; in no order.
    """
    d, kind = session.schema["dataset"], session.schema["dataset_type"]
    with session.stash(Columns({"id": sorted(set(ids))}), {"id": IdType()}, key=["id"]) as given:
        source = given.join(d, d.c.id == given.c.id).join(kind, kind.c.id == d.c.dataset_type_id)
        rows = session.fetch(
            sa.select(d.c.id, kind.c.name.label("dataset_type"), d.c.run_id).select_from(source)
        )
    return with_run_names(session, rows, ("id", "dataset_type", "run"))


def outcomes(session: Session, run: str, task: str | None) -> Columns:
    """Return what became of a run's quanta, and no more.

    Parameters
    ----------
    session : Session
        Where.
    run : str
        The RUN.
    task : str or None
        Only of this task.

    Returns
    -------
    Columns
        ``id``, ``task``, ``data_id``, ``status``; the last attempt at each, in no order.
    """
    q = session.schema["quantum"]
    asked = [q.c.run_id == run_entry(session, run).id, _is_latest(session)]
    if task is not None:
        asked.append(q.c.task == task)
    return session.fetch(sa.select(q.c.id, q.c.task, q.c.data_id, q.c.status).where(*asked))


def inputs_from_outside(session: Session, run: str) -> Columns:
    """Return the datasets of other collections that a run's quanta took.

    Parameters
    ----------
    session : Session
        Where.
    run : str
        The RUN.

    Returns
    -------
    Columns
        ``id``, ``dataset_type``, ``run``; each dataset once.
    """
    q, read, d = (session.schema[n] for n in ("quantum", "quantum_input", "dataset"))
    kind, number = session.schema["dataset_type"], run_entry(session, run).id
    taken = (
        sa.select(read.c.dataset_id)
        .select_from(q.join(read, read.c.quantum_id == q.c.id))
        .where(q.c.run_id == number)
        .distinct()
        .subquery("taken")
    )
    source = taken.join(d, d.c.id == taken.c.dataset_id).join(kind, kind.c.id == d.c.dataset_type_id)
    rows = session.fetch(
        sa.select(d.c.id, kind.c.name.label("dataset_type"), d.c.run_id)
        .select_from(source)
        .where(d.c.run_id != number)
    )
    return with_run_names(session, rows, ("id", "dataset_type", "run"))


def checksums(session: Session, dataset_type: str, run: str) -> Columns:
    """Return what a run holds of a dataset type, and no more than tells whether another run holds the same.

    Parameters
    ----------
    session : Session
        Where.
    dataset_type : str
        The dataset type.
    run : str
        The RUN.

    Returns
    -------
    Columns
        The required dimensions, ``id`` and ``checksum`` (null where there is no artifact record), in no order.
    """
    found, number = find_type(session, dataset_type), run_entry(session, run).id
    t, a = session.schema.tags(found.type.dimensions), session.schema["artifact"]
    names = found.type.dimensions.required
    return session.fetch(
        sa.select(*(t.c[n] for n in names), t.c.dataset_id.label("id"), a.c.checksum)
        .select_from(t.outerjoin(a, a.c.id == t.c.dataset_id))
        .where(t.c.collection_id == number, t.c.dataset_type_id == found.id)
    )
