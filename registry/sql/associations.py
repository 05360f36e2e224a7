"""Which datasets TAGGED and CALIBRATION collections hold, read all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dimensions import DimensionGroup
from registry.sql.collections import search
from registry.sql.dataset_types import all_types
from registry.sql.members import path_of
from registry.sql.session import Session

__all__ = ["associations"]


def associations(session: Session, names: Sequence[str]) -> Columns:
    """Return what TAGGED and CALIBRATION collections hold.

    Parameters
    ----------
    session : Session
        Where.
    names : sequence of str
        Collections and patterns, chains expanded; RUN collections among them are left out.

    Returns
    -------
    Columns
        ``collection``, ``id``, ``valid_begin``, ``valid_end`` (null for what is tagged); ordered by collection, begin
        and id. One or two statements for each set of dimensions that dataset types have.
    """
    entries = search(session, names)
    tagged = [e for e in entries if e.type is CollectionType.TAGGED]
    dated = [e for e in entries if e.type is CollectionType.CALIBRATION]
    types = [e.type for e in all_types(session)]
    never = sa.null().cast(sa.BigInteger)
    rows: list[tuple[Any, ...]] = []
    if tagged:
        with path_of(session, tagged) as path:
            for group in _groups(types):
                t = session.schema.tags(group)
                rows += _held(session, t, path, never, never)
    if dated:
        with path_of(session, dated) as path:
            for group in _groups(kind for kind in types if kind.is_calibration):
                t = session.schema.calibs(group)
                rows += _held(session, t, path, t.c.valid_begin, t.c.valid_end)
    called = {e.id: e.name for e in entries}
    named = sorted((called[number], begin, i, end) for number, i, begin, end in rows)
    return Columns.from_rows(("collection", "valid_begin", "id", "valid_end"), named).select(
        ("collection", "id", "valid_begin", "valid_end")
    )


def _groups(types: Any) -> list[DimensionGroup]:
    return list(dict.fromkeys(kind.dimensions for kind in types))


def _held(
    session: Session, table: sa.Table, path: sa.FromClause, begin: Any, end: Any
) -> list[tuple[Any, ...]]:
    columns = (table.c.collection_id, table.c.dataset_id, begin.label("begin"), end.label("end"))
    source = table.join(path, path.c.collection_id == table.c.collection_id)
    return session.fetch(sa.select(*columns).select_from(source)).rows()
