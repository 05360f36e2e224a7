"""Statements of the plain tables, whose rows only the layers above understand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from registry.errors import AlreadyExistsError, NotFoundError, UsageError, nearest
from registry.model.columns import Columns
from registry.model.refs import id_text
from registry.sql.diagnose import first_duplicate, first_existing, first_unreferenced
from registry.sql.failures import ConstraintViolation
from registry.sql.keys import check_parameters, check_values
from registry.sql.loading import OnExisting, insert_from, load_rows
from registry.sql.session import ORDINAL, Session

__all__ = [
    "PLAIN_TABLES", "OnExisting", "delete_listed", "delete_rows", "insert_rows", "plain_table", "read_table",
]  # fmt: skip

PLAIN_TABLES = ("baseline", "campaign", "history", "journal", "push_ledger", "repository")


def _last_of_each(stash: sa.FromClause, names: list[str], key: list[str]) -> sa.Select[Any]:
    """Keep of rows with one key the last, as SQLite does; PostgreSQL refuses to replace a row twice at once."""
    later = sa.func.row_number().over(
        partition_by=[stash.c[n] for n in key], order_by=stash.c[ORDINAL].desc()
    )
    ranked = sa.select(*(stash.c[n] for n in names), stash.c[ORDINAL], later.label("place_")).subquery()
    chosen = sa.select(*(ranked.c[n] for n in names)).where(ranked.c.place_ == 1)
    return chosen.order_by(ranked.c[ORDINAL])


def plain_table(session: Session, name: str) -> sa.Table:
    """Return a plain table by name.

    Parameters
    ----------
    session : Session
        Where.
    name : str
        One of `PLAIN_TABLES`.

    Returns
    -------
    sqlalchemy.Table
        It.

    Raises
    ------
    UsageError
        If it is none.
    """
    if name not in PLAIN_TABLES:
        raise UsageError(
            f"'{name}' is not a plain table", code="unknown-table", hint=nearest(name, PLAIN_TABLES)
        )
    return session.schema[name]


def _equal(table: sa.Table, equals: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
    _check_names(table, equals)
    return [table.c[n] == v for n, v in equals.items()]


def _check_names(table: sa.Table, equals: dict[str, Any]) -> None:
    for name in equals:
        if name not in table.c:
            raise UsageError(
                f"{table.name} has no column '{name}'",
                code="unknown-column",
                hint=nearest(name, table.c.keys()),
            )


def read_table(session: Session, name: str, equals: dict[str, Any]) -> Columns:
    """Return rows of a plain table.

    Parameters
    ----------
    session : Session
        Where.
    name : str
        The table.
    equals : dict
        Values that columns must have.

    Returns
    -------
    Columns
        All columns, ordered by primary key.
    """
    table = plain_table(session, name)
    if None in equals.values():  # what is asked is another question then
        return session.fetch(sa.select(table).where(*_equal(table, equals)).order_by(*table.primary_key))
    _check_names(table, equals)
    check_parameters(equals)

    def make() -> sa.Select[Any]:
        same = [table.c[n] == sa.bindparam(f"value_{n}", type_=table.c[n].type) for n in equals]
        return sa.select(table).where(*same).order_by(*table.primary_key)

    return session.answer(("table", name, *equals), make, **{f"value_{n}": v for n, v in equals.items()})


def delete_rows(session: Session, name: str, equals: dict[str, Any]) -> None:
    """Delete rows of a plain table.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The table.
    equals : dict
        Values that columns must have.
    """
    table = plain_table(session, name)
    session.execute(sa.delete(table).where(*_equal(table, equals)))


def delete_listed(session: Session, name: str, rows: Columns) -> None:
    """Delete the rows of a plain table that have some of the given values.

    Parameters
    ----------
    session : Session
        In a write transaction.
    name : str
        The table.
    rows : Columns
        Some of its columns; a row goes if it has all values of one of these.
    """
    table = plain_table(session, name)
    types = {n: table.c[n].type for n in rows.names}
    with session.stash(rows, types) as stash:
        same = sa.exists().where(*(stash.c[n] == table.c[n] for n in types)).correlate(table)
        session.index(stash, list(types))
        session.execute(sa.delete(table).where(same))


def insert_rows(session: Session, table: sa.Table, rows: Columns, on_existing: OnExisting = "error") -> int:
    """Insert rows as they are.

    Parameters
    ----------
    session : Session
        In a write transaction.
    table : sqlalchemy.Table
        Where.
    rows : Columns
        Columns of the table; those left out take their defaults.
    on_existing : {"error", "skip", "replace"}
        What a row with a primary key that is taken does.

    Returns
    -------
    int
        Rows inserted or replaced.

    Raises
    ------
    NotFoundError
        If a row refers to something that is not there.
    AlreadyExistsError
        If a key is taken (or there twice) and `on_existing` is "error".
    UsageError
        If a column is unknown, or one is missing or null that may not be.
    """
    for name in rows.names:
        if name not in table.c:
            raise UsageError(
                f"{table.name} has no column '{name}'",
                code="unknown-column",
                hint=nearest(name, table.c.keys()),
            )
    names = [c.name for c in table.c if c.name in rows]
    types = {n: table.c[n].type for n in names}
    if session.takes_rows:
        return _load(session, table, rows, types, on_existing)
    with session.stash(rows, types, numbered=True) as stash:
        chosen = sa.select(*(stash.c[n] for n in names)).where(sa.true()).order_by(stash.c[ORDINAL])
        key = [c.name for c in table.primary_key if c.name in rows]
        if on_existing == "replace" and key:
            chosen = _last_of_each(stash, names, key)
        try:
            with session.savepoint():
                return insert_from(session, table, names, chosen, on_existing)
        except ConstraintViolation as exc:
            raise _explain(session, stash, table, exc) from exc


def _load(
    session: Session, table: sa.Table, rows: Columns, types: Mapping[str, Any], on_existing: OnExisting
) -> int:
    """Insert rows the quickest way; only what is refused is handed over, to be told."""
    check_values(rows, types)
    try:
        with session.savepoint():
            return load_rows(session, table, rows.select(list(types)), on_existing)
    except ConstraintViolation as exc:
        with session.stash(rows, types, numbered=True) as stash:
            raise _explain(session, stash, table, exc) from exc


def _explain(session: Session, stash: sa.FromClause, table: sa.Table, exc: ConstraintViolation) -> Exception:
    key = [c.name for c in table.primary_key]
    if exc.kind == "unique" and all(n in stash.c for n in key):
        taken = first_existing(session, stash, table, key)
        values = list(taken[1:] if taken is not None else (first_duplicate(session, stash, key) or ())[2:])
        shown = ", ".join(f"{n}={_show(v)}" for n, v in zip(key, values, strict=False))
        return AlreadyExistsError(f"{table.name} has a row of {shown} already", code="row-exists")
    missing = first_unreferenced(session, stash, table) if exc.kind == "reference" else None
    if missing is not None:
        target, (value, *_) = missing[0].name, missing[1].values()
        return NotFoundError(f"no {target} {_show(value)} in {session.place}", code=f"no-such-{target}")
    return UsageError(f"{table.name}: {exc.detail}", code="bad-row")


def _show(value: Any) -> str:
    if isinstance(value, bytes):
        return id_text(value) if len(value) == 16 else value.hex()
    return repr(value)
