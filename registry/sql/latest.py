"""Which attempt at a quantum counts: the last one."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from registry.sql.session import Session

__all__ = ["is_latest", "is_latest_of_runs"]


def is_latest(quantum: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition that a row is the last attempt at its quantum.

    Parameters
    ----------
    quantum : sqlalchemy.Table
        The table of quanta.

    Returns
    -------
    sqlalchemy.ColumnElement
        The condition; one lookup a row.
    """
    other = quantum.alias("other")
    last = sa.select(sa.func.max(other.c.attempt)).where(other.c.id == quantum.c.id).scalar_subquery()
    return quantum.c.attempt == last


def is_latest_of_runs(session: Session, runs: Sequence[int]) -> sa.ColumnElement[bool]:
    """Return the condition that a row is the last attempt at its quantum, for quanta of some runs.

    Parameters
    ----------
    session : Session
        Where.
    runs : sequence of int
        Numbers of the runs; the rows are of no others.

    Returns
    -------
    sqlalchemy.ColumnElement
        The condition. Most quanta are tried once: only those that were tried again are looked up one by one, and the
        index of runs tells which they are.
    """
    q = session.schema["quantum"]
    tried = q.alias("tried")
    again = sa.select(tried.c.id).where(tried.c.run_id.in_(runs), tried.c.attempt > 0)
    return sa.case((q.c.id.in_(again), is_latest(q)), else_=sa.true())
