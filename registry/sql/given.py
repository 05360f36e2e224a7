"""Datasets that exist elsewhere, handed over by their data IDs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.keys import with_checked_keys
from registry.sql.members import MERGED, VALID_BEGIN, VALID_END
from registry.sql.session import Session

__all__ = ["given_members", "with_given"]

_SPAN = (VALID_BEGIN, VALID_END)


@contextlib.contextmanager
def given_members(session: Session, rows: Columns) -> Iterator[sa.FromClause]:
    """Hand data IDs over to the database.

    Parameters
    ----------
    session : Session
        Where.
    rows : Columns
        Dimensions, or a column of no meaning where a type has none; and perhaps `VALID_BEGIN` and `VALID_END`.

    Yields
    ------
    sqlalchemy.FromClause
        As `registry.sql.members.exists_query`. Only valid within.
    """
    universe = session.schema.universe
    dims = [n for n in rows.names if n in universe.elements]
    types: dict[str, sa.types.TypeEngine[Any]] = {n: sa.BigInteger() for n in rows.names}
    types |= session.schema.dimension_types(dims)
    checked = with_checked_keys(universe, rows, dims).unique()
    dated = VALID_BEGIN in rows
    with session.stash(checked, types, key=() if dated else rows.names) as stash:
        if not dated:
            yield stash
            return
        session.index(stash, dims)
        yield sa.select(*stash.c, sa.literal(1).label(MERGED)).subquery("dated")


@contextlib.contextmanager
def with_given(session: Session, members: sa.FromClause, rows: Columns) -> Iterator[sa.FromClause]:
    """Add data IDs that are handed over to those that the database has.

    Parameters
    ----------
    session : Session
        Where.
    members : sqlalchemy.FromClause
        From `registry.sql.members.exists_query`.
    rows : Columns
        As for `given_members`.

    Yields
    ------
    sqlalchemy.FromClause
        As `registry.sql.members.exists_query`. Only valid within.
    """
    with given_members(session, rows) as given:
        names = [c.name for c in members.c if c.name not in (*_SPAN, MERGED)]
        dated = any(VALID_BEGIN in side.c for side in (members, given))
        parts = [
            _spans(side, names) if dated else sa.select(*(side.c[n] for n in names))
            for side in (members, given)
        ]
        yield sa.union(*parts).subquery("there_and_elsewhere")


def _spans(side: sa.FromClause, names: list[str]) -> sa.Select[Any]:
    """Select data IDs with the time that each counts for: null where it counts always."""
    spans = [
        side.c[n] if n in side.c else sa.cast(sa.null(), sa.BigInteger).label(n)
        for n in _SPAN
    ]  # fmt: skip
    return sa.select(*(side.c[n] for n in names), *spans, sa.literal(1).label(MERGED))
