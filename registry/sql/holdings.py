"""What collections hold, in short: which dataset types, for which governors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from registry.model.columns import Columns
from registry.model.dimensions import DimensionGroup
from registry.sql.collections import Entry
from registry.sql.dataset_types import TypeEntry, all_types
from registry.sql.members import path_of
from registry.sql.session import Session

__all__ = ["SUMMARY", "summary"]

SUMMARY = ("collection", "dataset_type", "governor", "value")
"""Columns of a summary: a governor (instrument, skymap) and a value of it; both empty where a type has none."""


def summary(session: Session, entries: Sequence[Entry]) -> Columns:
    """Say which dataset types collections hold, and for which governors.

    Parameters
    ----------
    session : Session
        Where.
    entries : sequence of Entry
        Collections, no chains.

    Returns
    -------
    Columns
        `SUMMARY`, each row once, sorted.

    Notes
    -----
    One or two statements for each set of dimensions that dataset types have, which look into an index once for
    each collection, type and governor, however many datasets there are.
    """
    types = all_types(session)
    kinds, collections = {e.id: e.type.name for e in types}, {e.id: e.name for e in entries}
    rows: set[tuple[str, str, str, str]] = set()
    with path_of(session, entries) as path:
        for group in dict.fromkeys(e.type.dimensions for e in types):
            of_group = [e for e in types if e.type.dimensions == group]
            governors: list[str] = [n for n in group.required if n in session.schema.universe.governors]
            for governor in governors or [""]:
                found = session.fetch(_held(session, group, of_group, governor, path))
                rows |= {
                    (collections[c], kinds[k], governor, value)
                    for c, k, value in found.rows()
                }  # fmt: skip
    return Columns.from_rows(SUMMARY, sorted(rows))


def _held(
    session: Session, group: DimensionGroup, types: Sequence[TypeEntry], governor: str, path: sa.FromClause
) -> sa.Select[Any]:
    """Select the collections, types and governor values for which there is at least one dataset."""
    kinds = session.schema["dataset_type"]
    source: sa.FromClause = path.join(kinds, kinds.c.id.in_([e.id for e in types]))
    value: sa.ColumnElement[Any] = sa.literal("", sa.String)
    if governor:
        records = session.schema.dimension(governor)
        source, value = source.join(records, sa.true()), records.c[governor]
    tables = [session.schema.tags(group)]
    if any(e.type.is_calibration for e in types):
        tables.append(session.schema.calibs(group))
    probes = [
        sa.select(sa.literal(1))
        .where(
            t.c.collection_id == path.c.collection_id,
            t.c.dataset_type_id == kinds.c.id,
            *([t.c[governor] == value] if governor else []),
        )
        .limit(1)
        .scalar_subquery()
        for t in tables
    ]
    chosen = [path.c.collection_id, kinds.c.id.label("kind"), value.label("value")]
    return sa.select(*chosen).select_from(source).where(sa.or_(*(p.is_not(None) for p in probes)))
