"""Whether the overlap tables say what the regions of the records do, and their making anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sqlalchemy as sa

from registry.model.columns import Columns, group_codes
from registry.model.dimensions import DimensionElement
from registry.sql.engine_sqlite import open_temporary
from registry.sql.integrity import Fault
from registry.sql.loading import load_rows
from registry.sql.overlaps import insert_overlaps
from registry.sql.session import Session, Statements
from registry.sql.version import make_tables

__all__ = ["bare_regions", "overlap_faults", "rebuild_overlaps"]


def bare_regions(session: Session) -> list[Fault]:
    """Find records whose region touches no pixel, as far as is noted.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of Fault
        ``overlap-differs``; one statement an element with regions.
    """
    out = []
    for element in _on_sky(session):
        records, overlap = session.schema.dimension(element.name), session.schema.overlap(element.name)
        keys = [records.c[n] for n in element.required]
        noted = sa.exists().where(*(overlap.c[k.name] == k for k in keys))
        found = session.fetch(sa.select(*keys).where(records.c.region.is_not(None), ~noted).order_by(*keys))
        if found.n_rows:
            out.append(Fault("overlap-differs", overlap.name, _named(found, element.required)))
    return out


def overlap_faults(session: Session) -> list[Fault]:
    """Work out anew what overlaps what, and compare.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of Fault
        ``overlap-differs``, with rows that are missing and rows that are too many.

    Notes
    -----
    All records with regions are put into a temporary registry, by the code that puts them into any.
    """
    elements = _on_sky(session)
    held = {e.name: session.fetch(sa.select(session.schema.dimension(e.name))) for e in elements}
    if not any(rows.n_rows for rows in held.values()):
        return []
    schema = session.schema
    database = open_temporary(session.place)
    try:
        database.begin_write(0.0)
        make_tables(database, schema.universe_tables())
        anew = Session(database, schema, Statements(database.dialect))
        for element in elements:
            load_rows(anew, schema.dimension(element.name), held[element.name])
            insert_overlaps(anew, element, held[element.name])
        return [fault for table in _tables(session) if (fault := _compare(session, anew, table)) is not None]
    finally:
        database.close()


def rebuild_overlaps(session: Session) -> int:
    """Make the overlap tables anew from the regions of the records.

    Parameters
    ----------
    session : Session
        In a write transaction.

    Returns
    -------
    int
        Records with regions.
    """
    for table in reversed(_tables(session)):
        session.execute(sa.delete(table))
    n_records = 0
    for element in _on_sky(session):
        records = session.schema.dimension(element.name)
        names = [*element.required, "region"]
        rows = session.fetch(sa.select(*(records.c[n] for n in names)).where(records.c.region.is_not(None)))
        n_records += rows.n_rows
        insert_overlaps(session, element, rows)
    return n_records


def _on_sky(session: Session) -> list[DimensionElement]:
    return [e for e in session.schema.universe.elements.values() if e.has_table and e.region]


def _tables(session: Session) -> list[sa.Table]:
    return [*(session.schema.overlap(e.name) for e in _on_sky(session)), *session.schema.pairs.values()]


def _compare(session: Session, anew: Session, table: sa.Table) -> Fault | None:
    ours, right = (s.fetch(sa.select(table)) for s in (session, anew))
    if not ours.n_rows and not right.n_rows:
        return None
    names = [c.name for c in table.c]
    codes = group_codes([np.concatenate([ours[n], right[n]]) for n in names])
    mine, theirs = codes[: ours.n_rows], codes[ours.n_rows :]
    extra = ours.take(np.flatnonzero(~np.isin(mine, theirs)))
    missing = right.take(np.flatnonzero(~np.isin(theirs, mine)))
    items = (*_named(missing, names, "missing: "), *_named(extra, names, "too many: "))
    return Fault("overlap-differs", table.name, items) if items else None


def _named(rows: Columns, names: tuple[str, ...] | list[str], word: str = "") -> tuple[str, ...]:
    def lines() -> Iterator[str]:
        for row in rows.rows(tuple(names)):
            yield word + ", ".join(f"{n} {v}" for n, v in zip(names, row, strict=True))

    return tuple(lines())
