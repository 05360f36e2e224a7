"""Rows straight into a table, without handing them over first: the way of bulk loads that must not meet a taken key."""

from __future__ import annotations

import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.failures import translated
from registry.sql.plain import insert_from
from registry.sql.session import Session

__all__ = ["load_rows"]


def load_rows(session: Session, table: sa.Table, rows: Columns) -> None:
    """Insert rows, all of them or (within a savepoint) none.

    Parameters
    ----------
    session : Session
        In a write transaction.
    table : sqlalchemy.Table
        Where.
    rows : Columns
        Columns of the table, with values that fit them.

    Raises
    ------
    ConstraintViolation
        If the database refuses a row.

    Notes
    -----
    SQLite takes a row from here for two thirds of what it costs to hand it over and insert it from there.
    PostgreSQL takes many at once only by COPY, which is how they are handed over.
    """
    names = [c.name for c in table.c if c.name in rows]
    database = session.database
    if database.dialect.name != "sqlite":
        with session.stash(rows, {n: table.c[n].type for n in names}) as stash:
            chosen = sa.select(*(stash.c[n] for n in names)).where(sa.true())
            insert_from(session, table, names, chosen, "error")
        return
    text, _ = session.statements.text(
        ("load", table.name, *names), lambda: sa.insert(table).values({n: sa.bindparam(n) for n in names})
    )
    with translated(database.place):
        database.driver.executemany(text, zip(*(rows[n].tolist() for n in names), strict=True))
    database.written(table, rows.n_rows)
