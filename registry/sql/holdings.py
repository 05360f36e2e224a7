"""What collections hold, in short: which dataset types, for which governors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from registry.model.columns import Columns
from registry.model.dimensions import DimensionGroup
from registry.sql.collections import Entry
from registry.sql.dataset_types import all_types
from registry.sql.long_lists import InLongList, list_text
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
    searched = list_text(list(collections))
    rows: set[tuple[str, str, str, str]] = set()
    for group in dict.fromkeys(e.type.dimensions for e in types):
        of_group = [e for e in types if e.type.dimensions == group]
        dated = any(e.type.is_calibration for e in of_group)
        governors: list[str] = [n for n in group.required if n in session.schema.universe.governors]
        for governor in governors or [""]:
            found = session.answer(
                ("held", group.key, governor, dated),
                partial(_held, session, group, governor, dated=dated),
                searched=searched, kinds=list_text([e.id for e in of_group]),
            )  # fmt: skip
            rows |= {(collections[c], kinds[k], governor, value) for c, k, value in found.rows()}
    return Columns.from_rows(SUMMARY, sorted(rows))


def _held(session: Session, group: DimensionGroup, governor: str, *, dated: bool) -> sa.Select[Any]:
    """Select the collections, types and governor values for which there is at least one dataset."""
    kinds, held = session.schema["dataset_type"], session.schema["collection"]
    source: sa.FromClause = held.join(kinds, sa.true())
    value: sa.ColumnElement[Any] = sa.literal_column("''", sa.String)
    if governor:
        records = session.schema.dimension(governor)
        source, value = source.join(records, sa.true()), records.c[governor]
    tables = [session.schema.tags(group), *([session.schema.calibs(group)] if dated else [])]
    probes = [
        sa.exists().where(
            t.c.collection_id == held.c.id,
            t.c.dataset_type_id == kinds.c.id,
            *([t.c[governor] == value] if governor else []),
        )
        for t in tables
    ]
    among = [
        InLongList(column, sa.bindparam(name, type_=sa.Text()))
        for column, name in ((held.c.id, "searched"), (kinds.c.id, "kinds"))
    ]
    chosen = [held.c.id.label("collection_id"), kinds.c.id.label("kind"), value.label("value")]
    return sa.select(*chosen).select_from(source).where(*among, sa.or_(*probes))
