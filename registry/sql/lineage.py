"""Statements about quanta: what they came to, and where the artifacts are that they made."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.collections import run_entry
from registry.sql.datasets import ARTIFACT_COLUMNS
from registry.sql.fixed_tables import IdType
from registry.sql.latest import is_latest, is_latest_of_runs
from registry.sql.provenance import with_run_names
from registry.sql.session import Session

__all__ = [
    "artifacts_of_quanta",
    "count_outcomes",
    "known_to_quanta",
    "outcomes",
    "quanta_by_id",
]


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
            .where(is_latest(q))
            .order_by(q.c.id)
        )
    return with_run_names(session, rows, names)


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
    q, number = session.schema["quantum"], run_entry(session, run).id
    asked = [q.c.run_id == number, is_latest_of_runs(session, [number])]
    if task is not None:
        asked.append(q.c.task == task)
    return session.fetch(sa.select(q.c.id, q.c.task, q.c.data_id, q.c.status).where(*asked))


def count_outcomes(session: Session, run: str) -> Columns:
    """Count a run's quanta by what became of them.

    Parameters
    ----------
    session : Session
        Where.
    run : str
        The RUN.

    Returns
    -------
    Columns
        ``task``, ``status``, ``n``; the last attempt at each counts.
    """
    q, number = session.schema["quantum"], run_entry(session, run).id
    return session.fetch(
        sa.select(q.c.task, q.c.status, sa.func.count().label("n"))
        .where(q.c.run_id == number, is_latest_of_runs(session, [number]))
        .group_by(q.c.task, q.c.status)
        .order_by(q.c.task, q.c.status)
    )


def artifacts_of_quanta(session: Session, ids: Sequence[bytes], connection: str) -> Columns:
    """Return the artifacts of what quanta made by one connection.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        The quanta.
    connection : str
        The connection.

    Returns
    -------
    Columns
        ``quantum_id`` and `registry.sql.datasets.ARTIFACT_COLUMNS`, in no order; without datasets that have no artifact.
    """
    made, a = session.schema["quantum_output"], session.schema["artifact"]
    with session.stash(Columns({"id": sorted(set(ids))}), {"id": IdType()}, key=["id"]) as given:
        source = given.join(made, made.c.quantum_id == given.c.id).join(a, a.c.id == made.c.dataset_id)
        return session.fetch(
            sa.select(made.c.quantum_id, *(a.c[n] for n in ARTIFACT_COLUMNS))
            .select_from(source)
            .where(made.c.connection == connection)
        )


def known_to_quanta(session: Session, ids: Sequence[bytes]) -> set[bytes]:
    """Return those datasets that quanta have read or made.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        Datasets, registered or not.

    Returns
    -------
    set of bytes
        A part of `ids`; what was only offered to quanta is left out.
    """
    read, made = session.schema["quantum_input"], session.schema["quantum_output"]
    with session.stash(Columns({"id": sorted(set(ids))}), {"id": IdType()}, key=["id"]) as given:
        was_read = sa.exists().where(read.c.dataset_id == given.c.id, read.c.was_read).correlate(given)
        was_made = sa.exists().where(made.c.dataset_id == given.c.id).correlate(given)
        found = session.fetch(sa.select(given.c.id).where(sa.or_(was_read, was_made)))
        return set(found["id"].tolist())
