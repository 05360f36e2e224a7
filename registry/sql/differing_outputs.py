"""Comparing what two runs made of one dataset type, in the database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.collections import run_entry
from registry.sql.dataset_types import TypeEntry, lookup_type
from registry.sql.differences import Side, some_of_each
from registry.sql.fixed_tables import IdType

__all__ = ["CHANGES", "changed_outputs", "differing_outputs"]

CHANGES = ("changed", "old", "new", "unknown")
"""What is the matter with a data ID: other content, only in the old run, only in the new, or nobody can tell, as a
file is gone."""


class _Held(NamedTuple):
    """What a run holds of a dataset type, for a statement."""

    source: sa.FromClause
    rows: sa.FromClause
    checksum: sa.ColumnElement[str]
    id: sa.ColumnElement[bytes]
    uri: sa.ColumnElement[str]


def _in_place(side: Side, entry: TypeEntry, name: str) -> tuple[_Held, sa.ColumnElement[bool]]:
    t = side.session.schema.tags(entry.type.dimensions).alias(name)
    a = side.session.schema["artifact"].alias(f"{name}_artifact")
    held = _Held(a, t, a.c.checksum, t.c.dataset_id, a.c.uri)
    is_its = sa.and_(
        t.c.collection_id == run_entry(side.session, side.run).id, t.c.dataset_type_id == entry.id
    )
    return held, is_its


@contextlib.contextmanager
def _joined(
    old: Side, new: Side, entries: tuple[TypeEntry, TypeEntry]
) -> Iterator[tuple[_Held, _Held, sa.FromClause, sa.ColumnElement[bool]]]:
    """Yield the old run's datasets, each with the new one's of its data ID, if there is one."""
    mine, is_mine = _in_place(old, entries[0], "x")
    dims = entries[0].type.dimensions.required
    source = mine.rows.outerjoin(mine.source, mine.source.c.id == mine.id)
    if new.session is old.session:
        theirs, is_theirs = _in_place(new, entries[1], "y")
        like = sa.and_(is_theirs, *(theirs.rows.c[n] == mine.rows.c[n] for n in dims))
        joined = source.outerjoin(theirs.rows, like).outerjoin(theirs.source, theirs.source.c.id == theirs.id)
        yield mine, theirs, joined, is_mine
        return
    rows = new.session.fetch(_all_of(new, entries[1]))
    types = {n: mine.rows.c[n].type for n in dims}
    types |= {"dataset_id": IdType(), "checksum": mine.checksum.type, "uri": mine.uri.type}
    with old.session.stash(rows, types, key=dims) as given:
        theirs = _Held(given, given, given.c.checksum, given.c.dataset_id, given.c.uri)
        like = sa.and_(sa.true(), *(given.c[n] == mine.rows.c[n] for n in dims))
        yield mine, theirs, source.outerjoin(given, like), is_mine


def _all_of(side: Side, entry: TypeEntry) -> sa.Select[tuple[object, ...]]:
    held, is_its = _in_place(side, entry, "x")
    return (
        sa.select(*(held.rows.c[n] for n in entry.type.dimensions.required), held.id, held.checksum, held.uri)
        .select_from(held.rows.outerjoin(held.source, held.source.c.id == held.id))
        .where(is_its)
    )


def _known(held: _Held) -> sa.ColumnElement[str]:
    return sa.func.coalesce(held.checksum, "")


def _change(mine: _Held, theirs: _Held) -> sa.ColumnElement[str]:
    """Return what is the matter with a data ID; null if nothing is."""
    return sa.case(
        (theirs.id.is_(None), sa.literal("old")),
        (sa.or_(_known(mine) == "", _known(theirs) == ""), sa.literal("unknown")),
        (mine.checksum != theirs.checksum, sa.literal("changed")),
    )


def differing_outputs(old: Side, new: Side, dataset_type: str, n: tuple[int, int], shown: int) -> Columns:
    """Return what differs of the datasets of one type that two runs made.

    Parameters
    ----------
    old, new : Side
        The runs.
    dataset_type : str
        The type.
    n : (int, int)
        How many datasets of it the runs hold.
    shown : int
        How many data IDs of each change to return.

    Returns
    -------
    Columns
        The required dimensions, ``change`` (one of `CHANGES`), and ``n``: how many there are with that change.
    """
    found = [
        lookup_type(side.session, dataset_type) if held else None
        for side, held in zip((old, new), n, strict=True)
    ]
    first, second = found
    if first is None or second is None or first.type.dimensions.required != second.type.dimensions.required:
        parts = [
            _all_as(side, entry, change, shown, held)
            for side, entry, change, held in zip((old, new), found, ("old", "new"), n, strict=True)
            if entry is not None
        ]
        return parts[0] if len(parts) == 1 else _together(parts)
    parts = [_gone(old, new, (first, second), shown)]
    n_gone = sum({c: k for c, k in parts[0].rows(("change", "n")) if c == "old"}.values())
    if n[1] > n[0] - n_gone:
        # The other way round, what the new run lacks is what only the old one has.
        came = _gone(new, old, (second, first), shown)
        came = came.take(came["change"] == "old")
        parts.append(came.with_column("change", ["new"] * came.n_rows))
    return Columns.concat(parts)


def _gone(old: Side, new: Side, entries: tuple[TypeEntry, TypeEntry], shown: int) -> Columns:
    dims = entries[0].type.dimensions.required
    with _joined(old, new, entries) as (mine, theirs, joined, is_mine):
        change = _change(mine, theirs)
        rows = (
            sa.select(*(mine.rows.c[n] for n in dims), change.label("change"))
            .select_from(joined)
            .where(is_mine, change.is_not(None))
            .subquery("differing")
        )
        return old.session.fetch(some_of_each(rows, ("change",), dims, shown))


def _all_as(side: Side, entry: TypeEntry, change: str, shown: int, n: int) -> Columns:
    dims = entry.type.dimensions.required
    held, is_its = _in_place(side, entry, "x")
    rows = side.session.fetch(
        sa.select(*(held.rows.c[d] for d in dims), sa.literal(change).label("change"))
        .where(is_its)
        .order_by(*(held.rows.c[d] for d in dims))
        .limit(shown)
    )
    return rows.with_column("n", [n] * rows.n_rows)


def _together(parts: list[Columns]) -> Columns:
    """Return rows of types that have one name and other dimensions: those that only some have are left out."""
    common = [name for name in parts[0].names if all(name in part for part in parts)]
    return Columns.concat([part.select(common) for part in parts])


def changed_outputs(old: Side, new: Side, dataset_type: str) -> Columns:
    """Return the datasets of one type that two runs made of the same data IDs, with other content.

    Parameters
    ----------
    old, new : Side
        The runs.
    dataset_type : str
        A type that both have, with the same dimensions.

    Returns
    -------
    Columns
        The required dimensions, ``old`` and ``new``: both ids.
    """
    entries = [lookup_type(side.session, dataset_type) for side in (old, new)]
    first, second = entries
    if first is None or second is None or first.type.dimensions.required != second.type.dimensions.required:
        return Columns({"old": [], "new": []})
    dims = first.type.dimensions.required
    with _joined(old, new, (first, second)) as (mine, theirs, joined, is_mine):
        return old.session.fetch(
            sa.select(*(mine.rows.c[n] for n in dims), mine.id.label("old"), theirs.id.label("new"))
            .select_from(joined)
            .where(is_mine, _change(mine, theirs) == "changed")
            .order_by(*(mine.rows.c[n] for n in dims))
        )
