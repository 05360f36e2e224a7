"""A temporary registry of two registries' rows, in which a question is asked that both have to answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from registry.model.columns import Columns
from registry.sql.dimensions import insert_records
from registry.sql.engine_sqlite import open_temporary
from registry.sql.loading import load_rows
from registry.sql.overlay import Met
from registry.sql.session import Session, Statements
from registry.sql.version import make_tables

__all__ = ["filled"]


@contextlib.contextmanager
def filled(met: Met) -> Iterator[Session]:
    """Make a temporary registry.

    Parameters
    ----------
    met : Met
        What was read of one registry, with the records that only the other has.

    Yields
    ------
    Session
        All dimension records are there, and what overlaps what. It has no collections and no datasets, and is gone
        afterwards.

    Raises
    ------
    ConflictError
        If two records, one of each registry, have the same alternate key (``record-key-taken``).
    """
    schema = met.session.schema
    database = open_temporary(met.session.place)
    try:
        database.begin_write(0.0)
        make_tables(database, schema.universe_tables())
        session = Session(database, schema, Statements(database.dialect))
        for name, rows in met.records.items():
            load_rows(session, schema.dimension(name), rows)
        for table, rows in met.overlaps.items():
            load_rows(session, schema.metadata.tables[table], rows)
        for element in met.group.elements:
            local = met.local.get(element.name)
            if local is not None and local.n_rows:
                insert_records(session, element, local if met.on_sky else _without_regions(local), "error")
        yield session
    finally:
        database.close()


def _without_regions(rows: Columns) -> Columns:
    """Leave out regions where none matters: what they overlap need not be found out."""
    return rows.with_column("region", np.full(rows.n_rows, None)) if "region" in rows else rows
