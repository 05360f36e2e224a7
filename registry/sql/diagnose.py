"""Why the database refused rows: the first of them at fault, found by asking after it failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from registry.sql.session import ORDINAL, Session

__all__ = ["first_duplicate", "first_existing", "first_unreferenced"]


def first_unreferenced(
    session: Session, stash: sa.FromClause, table: sa.Table
) -> tuple[sa.Table, dict[str, Any]] | None:
    """Find the first row that refers to a record which is not there.

    Parameters
    ----------
    session : Session
        In the transaction that failed, the failed part undone.
    stash : sqlalchemy.FromClause
        The rows, numbered.
    table : sqlalchemy.Table
        Where they were to go; its references are tried whose columns are all in `stash`.

    Returns
    -------
    (sqlalchemy.Table, dict) or None
        The table that lacks a record, and the record's key.
    """
    worst: tuple[int, sa.Table, dict[str, Any]] | None = None
    constraints = [c for c in table.constraints if isinstance(c, sa.ForeignKeyConstraint)]
    for constraint in sorted(constraints, key=lambda c: (len(c.column_keys), c.column_keys)):
        names = list(constraint.column_keys)
        if not all(n in stash.c for n in names):
            continue
        target = constraint.referred_table
        remote = {e.parent.name: e.column.name for e in constraint.elements}
        here = [target.c[remote[n]] == stash.c[n] for n in names]
        statement = (
            sa.select(stash.c[ORDINAL], *(stash.c[n] for n in names))
            .where(*(stash.c[n].is_not(None) for n in names), ~sa.exists().where(*here))
            .order_by(stash.c[ORDINAL])
            .limit(1)
        )
        found = session.fetch(statement)
        if found.n_rows:
            (ordinal, *values) = found.rows()[0]
            # The shortest key comes first: of a detector and its instrument both missing, the instrument is named.
            if worst is None or ordinal < worst[0]:
                worst = (ordinal, target, dict(zip([remote[n] for n in names], values, strict=True)))
    return None if worst is None else worst[1:]


def first_existing(
    session: Session,
    stash: sa.FromClause,
    table: sa.Table,
    key: Sequence[str],
    extra: Sequence[Any] = (),
    *conditions: Any,
) -> tuple[Any, ...] | None:
    """Find the first row whose key is taken.

    Parameters
    ----------
    session : Session
        In the transaction.
    stash : sqlalchemy.FromClause
        The rows, numbered.
    table : sqlalchemy.Table
        Where they were to go.
    key : sequence of str
        Columns of both.
    extra : sequence of column
        What else to return, from either.
    *conditions
        More that must hold.

    Returns
    -------
    tuple or None
        Ordinal, key values and the extra ones.
    """
    session.index(stash, key)
    statement = (
        sa.select(
            stash.c[ORDINAL],
            *(stash.c[n] for n in key),
            *(c.label(f"extra_{i}") for i, c in enumerate(extra)),
        )
        .select_from(
            stash.join(table, sa.and_(*(stash.c[n] == table.c[n] for n in key)))
            if key
            else stash.join(table, sa.true())
        )
        .where(*conditions)
        .order_by(stash.c[ORDINAL])
        .limit(1)
    )
    found = session.fetch(statement)
    return found.rows()[0] if found.n_rows else None


def first_duplicate(session: Session, stash: sa.FromClause, key: Sequence[str]) -> tuple[Any, ...] | None:
    """Find the first key that two of the rows share.

    Parameters
    ----------
    session : Session
        In the transaction.
    stash : sqlalchemy.FromClause
        The rows, numbered.
    key : sequence of str
        Its columns; null is never equal to null. Without any, all rows share it.

    Returns
    -------
    tuple or None
        The ordinals of two rows, and the key's values.
    """
    columns = [stash.c[n] for n in key]
    first, last = sa.func.min(stash.c[ORDINAL]), sa.func.max(stash.c[ORDINAL])
    if not key:
        ends = session.fetch(sa.select(first.label("first"), last.label("last"))).rows()[0]
        return ends if ends[0] != ends[1] else None
    statement = (
        sa.select(first.label("first"), last.label("last"), *columns)
        .where(*(c.is_not(None) for c in columns))
        .group_by(*columns)
        .having(sa.func.count() > 1)
        .order_by(first)
        .limit(1)
    )
    found = session.fetch(statement)
    return found.rows()[0] if found.n_rows else None
