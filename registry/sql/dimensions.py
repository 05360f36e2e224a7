"""Statements of the dimension record tables and of their overlaps with the sky's pixels."""

from __future__ import annotations

import contextlib
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from registry.errors import ConflictError, DataIdError, UsageError
from registry.model.columns import Array, Columns, group_codes
from registry.model.dimensions import DimensionElement
from registry.sql.diagnose import first_duplicate, first_existing, first_unreferenced
from registry.sql.failures import ConstraintViolation
from registry.sql.keys import check_columns, check_values, key_text, with_checked_keys
from registry.sql.loading import insert_from, load_rows
from registry.sql.overlaps import insert_overlaps
from registry.sql.session import ORDINAL, Session

__all__ = ["OnRecord", "insert_records"]

OnRecord = Literal["error", "skip", "compare"]


def insert_records(session: Session, element: DimensionElement, rows: Columns, on_existing: OnRecord) -> int:
    """Insert dimension records: all of them, or on an error none.

    Parameters
    ----------
    session : Session
        In a write transaction.
    element : DimensionElement
        Whose records.
    rows : Columns
        Columns of `DimensionElement.record_columns`; nullable ones may be left out.
    on_existing : {"error", "skip", "compare"}
        What a record with a key that is taken does: fail; nothing; nothing if it is the same, else fail.

    Returns
    -------
    int
        Records that were new.

    Raises
    ------
    ConflictError
        If a record exists, or exists with other values; names the first.
    DataIdError
        If a record that one refers to is missing, or a value that must be there is null.
    UsageError
        If the element has no records of its own, or a column is unknown.
    """
    if not element.has_table:
        source = (
            f"they are the distinct values in {element.view_of}" if element.view_of else "they are computed"
        )
        raise UsageError(f"'{element.name}' has no records of its own: {source}", code="no-records")
    rows = _complete(session, element, rows)
    if not rows.n_rows:
        return 0
    table = session.schema.dimension(element.name)
    types = {n: table.c[n].type for n in element.record_columns}
    if on_existing == "error":
        try:
            return _insert_new(session, element, rows, types)
        except ConstraintViolation as exc:
            with session.stash(rows, types, numbered=True) as stash:
                raise _explain(session, element, stash, on_existing, exc) from exc
    if not session.fetch(sa.select(sa.literal(1).label("there")).select_from(table).limit(1)).n_rows:
        # None can be there already; a key that is given twice goes the other way.
        with contextlib.suppress(ConstraintViolation):
            return _insert_new(session, element, rows, types)
    with session.stash(rows, types, numbered=True) as stash:
        try:
            with session.savepoint():
                return _insert(session, element, rows, stash, on_existing)
        except ConstraintViolation as exc:
            raise _explain(session, element, stash, on_existing, exc) from exc


def _insert_new(
    session: Session,
    element: DimensionElement,
    rows: Columns,
    types: dict[str, sa.types.TypeEngine[Any]],
) -> int:
    """Insert records of which none may exist, the quickest way."""
    check_values(rows, types)
    ordered = _by_key(element, rows)
    with session.savepoint():
        load_rows(session, session.schema.dimension(element.name), ordered)
        if element.region:
            insert_overlaps(session, element, ordered)
    return rows.n_rows


def _complete(session: Session, element: DimensionElement, rows: Columns) -> Columns:
    """Return all columns of a record, those left out null, with keys of the right type."""
    what = f"'{element.name}' records"
    check_columns(rows, element.required, element.record_columns, what)
    null = np.full(rows.n_rows, None, dtype=object)
    rows = Columns({n: rows.get(n, null) for n in element.record_columns})
    dimensions = [*element.required, *element.implied]
    return with_checked_keys(session.schema.universe, rows, dimensions, element.implied)


def _by_key(element: DimensionElement, rows: Columns) -> Columns:
    """Return records in the order in which the table keeps them, where that costs less than it spares."""
    keys = [rows[n] for n in element.required]
    if keys[-1].dtype == object:
        return rows
    return rows.take(np.argsort(group_codes(keys), kind="stable"))


def _insert(
    session: Session, element: DimensionElement, rows: Columns, stash: sa.FromClause, on_existing: OnRecord
) -> int:
    """Insert records of which some may exist."""
    table = session.schema.dimension(element.name)
    names = list(element.record_columns)
    regions = element.region and any(region is not None for region in rows["region"].tolist())
    fresh = _fresh(session, element, stash, rows.n_rows) if regions else None
    chosen = sa.select(*(stash.c[n] for n in names)).where(sa.true()).order_by(stash.c[ORDINAL])
    n_new = insert_from(session, table, names, chosen, "skip")
    if on_existing == "compare" and n_new < rows.n_rows:
        _refuse_differences(session, element, stash)
    if fresh is not None:
        insert_overlaps(session, element, rows.take(fresh))
    return n_new


def _fresh(session: Session, element: DimensionElement, stash: sa.FromClause, n_rows: int) -> Array:
    """Return the indices of the rows with keys that are not taken."""
    fresh = np.ones(n_rows, dtype=np.bool_)
    table = session.schema.dimension(element.name)
    same = sa.and_(*(stash.c[n] == table.c[n] for n in element.required))
    found = session.fetch(sa.select(stash.c[ORDINAL]).select_from(stash.join(table, same)))
    fresh[found[ORDINAL].astype(np.int64)] = False
    return np.flatnonzero(fresh)


def _refuse_differences(session: Session, element: DimensionElement, stash: sa.FromClause) -> None:
    """Compare, all at once, the records that were handed over with those that are there now."""
    table = session.schema.dimension(element.name)
    names = [n for n in element.record_columns if n not in element.required]
    if not names:
        return
    differs = sa.or_(*(stash.c[n].is_distinct_from(table.c[n]) for n in names))
    extra = [*(stash.c[n] for n in names), *(table.c[n] for n in names)]
    found = first_existing(session, stash, table, element.required, extra, differs)
    if found is None:
        return
    key = found[1 : 1 + len(element.required)]
    ours, theirs = found[1 + len(key) :][: len(names)], found[1 + len(key) + len(names) :]
    column, a, b = next((n, a, b) for n, a, b in zip(names, ours, theirs, strict=True) if a != b)
    raise ConflictError(
        f"{element.name} {key_text(element.required, key)} differs in {column}: "
        f"given {_show(a)}, {session.place} has {_show(b)}",
        code="record-differs",
        hint="Records that exist are never changed by an insert; correct the given ones.",
        context={"element": element.name, "key": key, "column": column, "ours": a, "theirs": b},
    )


def _explain(session: Session, element: DimensionElement, stash: sa.FromClause, on_existing: OnRecord,
             exc: ConstraintViolation) -> Exception:  # fmt: skip
    table = session.schema.dimension(element.name)
    if exc.kind == "unique" or (exc.kind == "reference" and on_existing == "error"):
        # Rows that go in one by one meet the first fault, all at once a taken key before a missing record.
        taken = _explain_taken(session, element, stash, on_existing)
        if taken is not None:
            return taken
    if exc.kind == "reference":
        missing = first_unreferenced(session, stash, table)
        if missing is not None:
            return missing_record(missing, f"a '{element.name}' record")
    if exc.kind == "null":
        for column in (c for c in table.c if not c.nullable):
            empty = session.fetch(
                sa.select(*(stash.c[n] for n in element.required))
                .where(stash.c[column.name].is_(None))
                .limit(1)
            )
            if empty.n_rows:
                key = key_text(element.required, empty.rows()[0])
                return DataIdError(f"{element.name} {key} has no {column.name}", code="record-null")
    return DataIdError(f"{element.name} records were refused: {exc.detail}", code="bad-record")


def missing_record(missing: tuple[sa.Table, dict[str, Any]], what: str) -> DataIdError:
    """Say that a dimension record is not there.

    Parameters
    ----------
    missing : (sqlalchemy.Table, dict)
        Table and key, as `first_unreferenced` returns them.
    what : str
        What refers to it.

    Returns
    -------
    DataIdError
        To be raised.
    """
    table, key = missing
    name = table.name.removeprefix("dim_")
    return DataIdError(
        f"no {name} record {key_text(list(key), list(key.values()))}, to which {what} refers",
        code="missing-record", hint=f"Insert the {name} record first.", context={"element": name, "key": key},
    )  # fmt: skip


def _explain_taken(
    session: Session, element: DimensionElement, stash: sa.FromClause, on_existing: OnRecord
) -> ConflictError | None:
    """Say which key, the record's own or an alternate one, is taken or is there twice."""
    table = session.schema.dimension(element.name)
    others = tuple(n for n in element.required if n != element.name)
    keys = [(*others, c.name) for c in element.unique]
    if on_existing == "error":
        keys.insert(0, element.required)
    for key in keys:
        own = key == element.required
        # For an alternate key, a record of the same own key is no other record.
        same = [stash.c[n] == table.c[n] for n in element.required]
        taken = first_existing(session, stash, table, key, (), *([] if own else [~sa.and_(*same)]))
        if taken is not None:
            return ConflictError(
                f"{element.name} {key_text(key, [_show(v) for v in taken[1:]])} exists already in {session.place}",
                code="record-exists" if own else "record-key-taken",
                hint="Leave out what is there, or ask for it to be skipped or compared." if own else "",
                context={"element": element.name, "key": dict(zip(key, taken[1:], strict=True))},
            )
        twice = first_duplicate(session, stash, key)
        if twice is not None:
            return ConflictError(
                f"{element.name} {key_text(key, [_show(v) for v in twice[2:]])} is given twice (rows {twice[0]} and {twice[1]})",
                code="record-twice",
                context={"element": element.name, "rows": twice[:2]},
            )
    return None


def _show(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{value[:8].hex()}… ({len(value)} bytes)" if len(value) > 16 else value.hex()
    return "null" if value is None else str(value)
