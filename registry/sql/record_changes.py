"""Statements that change or remove dimension records that are there."""

from __future__ import annotations

import sqlalchemy as sa

from registry.errors import ConflictError, UsageError
from registry.model.columns import Columns
from registry.model.dimensions import DimensionElement
from registry.sql.failures import ConstraintViolation
from registry.sql.keys import check_columns, with_checked_keys
from registry.sql.overlaps import insert_overlaps
from registry.sql.session import Session

__all__ = ["remove_records", "replace_records"]


def replace_records(session: Session, element: DimensionElement, rows: Columns) -> int:
    """Put other values into dimension records, and look anew at what their regions touch.

    Parameters
    ----------
    session : Session
        In a write transaction.
    element : DimensionElement
        Whose records.
    rows : Columns
        All columns of `DimensionElement.record_columns`, each key once; keys without a record are ignored.

    Returns
    -------
    int
        Records that were there.

    Raises
    ------
    ConflictError
        If an alternate key is another record's (code ``record-key-taken``), or a record that one refers to is missing
        (code ``record-refused``).
    UsageError
        If the element has no records of its own, or a column is missing.
    """
    rows = _checked(session, element, rows, element.record_columns)
    table = session.schema.dimension(element.name)
    others = [n for n in element.record_columns if n not in element.required]
    if not (rows.n_rows and others):
        return 0
    types = {n: table.c[n].type for n in element.record_columns}
    try:
        with session.savepoint(), session.stash(rows, types, numbered=True) as stash:
            session.index(stash, element.required)
            same = [table.c[n] == stash.c[n] for n in element.required]
            n_rows = session.execute(sa.update(table).where(*same).values({n: stash.c[n] for n in others}))
            if element.region:
                _look_again(session, element, stash)
    except ConstraintViolation as exc:
        raise _refused(element, exc) from exc
    return n_rows


def _look_again(session: Session, element: DimensionElement, stash: sa.FromClause) -> None:
    """Replace what is known of the regions of changed records; they may be other ones now, or gone."""
    table, required = session.schema.dimension(element.name), element.required
    pairs = (t for names, t in session.schema.pairs.items() if element.name in names)
    for known in (session.schema.overlap(element.name), *pairs):
        session.execute(sa.delete(known).where(_among(known, stash, required)))
    here = table.join(stash, sa.and_(*(table.c[n] == stash.c[n] for n in required)))
    columns = [table.c[n] for n in (*required, "region")]
    insert_overlaps(session, element, session.fetch(sa.select(*columns).select_from(here)))


def remove_records(session: Session, element: DimensionElement, keys: Columns) -> int:
    """Remove dimension records to which nothing refers.

    Parameters
    ----------
    session : Session
        In a write transaction.
    element : DimensionElement
        Whose records.
    keys : Columns
        Their required dimensions; unknown keys are ignored.

    Returns
    -------
    int
        Records that were there.

    Raises
    ------
    ConflictError
        If something refers to one of them (code ``record-in-use``); none is removed.
    UsageError
        If the element has no records of its own.
    """
    rows = _checked(session, element, keys, element.required)
    if not rows.n_rows:
        return 0
    table = session.schema.dimension(element.name)
    types = {n: table.c[n].type for n in element.required}
    try:
        with session.savepoint(), session.stash(rows, types) as stash:
            session.index(stash, element.required)
            return session.execute(sa.delete(table).where(_among(table, stash, element.required)))
    except ConstraintViolation as exc:
        raise ConflictError(
            f"{element.name} records cannot be removed: other records or datasets refer to them",
            code="record-in-use", hint="Remove what refers to them first.",
        ) from exc  # fmt: skip


def _checked(session: Session, element: DimensionElement, rows: Columns, names: tuple[str, ...]) -> Columns:
    if not element.has_table:
        raise UsageError(f"'{element.name}' has no records of its own", code="no-records")
    check_columns(rows, names, names, f"'{element.name}' records")
    dimensions = [n for n in (*element.required, *element.implied) if n in names]
    return with_checked_keys(session.schema.universe, rows.select(names), dimensions, element.implied)


def _among(table: sa.Table, stash: sa.FromClause, names: tuple[str, ...]) -> sa.ColumnElement[bool]:
    return sa.exists().where(*(stash.c[n] == table.c[n] for n in names)).correlate(table)


def _refused(element: DimensionElement, exc: ConstraintViolation) -> ConflictError:
    if exc.kind == "unique":
        return ConflictError(
            f"{element.name} records cannot be changed: an alternate key is another record's ({exc.detail})",
            code="record-key-taken",
        )
    return ConflictError(
        f"{element.name} records cannot be changed: {exc.detail}",
        code="record-refused",
        hint="Insert the records to which they refer first.",
    )
