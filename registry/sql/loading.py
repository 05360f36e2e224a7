"""Rows into tables, many at once: what a query gives, or what a caller hands over."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.failures import translated
from registry.sql.rows_sqlite import insert_columns
from registry.sql.session import Session

__all__ = ["OnExisting", "insert_from", "load_rows"]

OnExisting = Literal["error", "skip", "replace"]


def insert_from(
    session: Session,
    table: sa.Table,
    names: list[str],
    rows: sa.Select[Any],
    on_existing: OnExisting,
    *,
    form: tuple[str, sa.FromClause] | None = None,
    **parameters: Any,
) -> int:
    """Insert what a query gives.

    Parameters
    ----------
    session : Session
        In a write transaction.
    table : sqlalchemy.Table
        Where.
    names : list of str
        Its columns, in the query's order.
    rows : sqlalchemy.Select
        The query; must have a WHERE or ORDER BY, without which SQLite's grammar is ambiguous here.
    on_existing : {"error", "skip", "replace"}
        What a row with a primary key that is taken does. Alternate keys always fail.
    form : (str, sqlalchemy.FromClause), optional
        What to call this form of query, and the rows handed over that it takes from: it is compiled once, for each table.
    **parameters
        Values to bind, by the names that stand for them in the query.

    Returns
    -------
    int
        Rows inserted or replaced.

    Raises
    ------
    ConstraintViolation
        If the database refuses a row.
    """

    def make() -> sa.Insert:
        return _insert_into(session, table, names, on_existing, rows)

    if form is None:
        n_rows = session.execute(make(), **parameters)
    else:
        key = ("insert", form[0], table.name, on_existing, *names)
        n_rows = session.change(key, make, [form[1]], **parameters)
    session.database.written(table, n_rows)
    return n_rows


def load_rows(session: Session, table: sa.Table, rows: Columns, on_existing: OnExisting = "error") -> int:
    """Insert rows, all of them or (within a savepoint) none.

    Parameters
    ----------
    session : Session
        In a write transaction.
    table : sqlalchemy.Table
        Where.
    rows : Columns
        Columns of the table, with values that fit them.
    on_existing : {"error", "skip", "replace"}
        As for `insert_from`.

    Returns
    -------
    int
        Rows inserted or replaced.

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
    if not session.takes_rows:
        with session.stash(rows, {n: table.c[n].type for n in names}) as stash:
            chosen = sa.select(*(stash.c[n] for n in names)).where(sa.true())
            return insert_from(session, table, names, chosen, on_existing, form=("rows", stash))
    form = session.statements.form(
        ("load", table.name, on_existing, *names), lambda: _insert_into(session, table, names, on_existing)
    )
    with translated(database.place):
        n_rows = insert_columns(database.driver, form.text, [rows[n] for n in names])
    database.written(table, n_rows)
    return n_rows


def _insert_into(
    session: Session,
    table: sa.Table,
    names: list[str],
    on_existing: OnExisting,
    rows: sa.Select[Any] | None = None,
) -> sa.Insert:
    """Return the insertion of what a query gives, or of rows that come as parameters."""
    key = [c.name for c in table.primary_key]
    # A table by its columns alone: what else it has, and whether it may be left out, the database knows.
    into = sa.table(table.name, *(sa.column(n, table.c[n].type) for n in names))
    # Loading the dialect that is not in use takes as long as a small question.
    insert = import_module(f"sqlalchemy.dialects.{session.database.dialect.name}").insert(into)
    insert = (
        insert.values({n: sa.bindparam(n) for n in names})
        if rows is None
        else insert.from_select(names, rows)
    )
    rest = {n: insert.excluded[n] for n in names if n not in key}
    if on_existing == "skip" or (on_existing == "replace" and not rest):
        insert = insert.on_conflict_do_nothing(index_elements=key)
    elif on_existing == "replace" and not _may_only_add(session, table):
        insert = insert.on_conflict_do_update(index_elements=key, set_=rest)
    return insert  # type: ignore[no-any-return]


def _may_only_add(session: Session, table: sa.Table) -> bool:
    """Tell whether this user may replace no row: asking for it would be refused even where none is there."""
    if session.database.dialect.name != "postgresql":
        return False
    asked = "SELECT has_any_column_privilege(quote_ident(%s)::regclass, 'UPDATE')"
    return not session.database.query(asked, [table.name])[0][0]
