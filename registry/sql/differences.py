"""Comparing two runs in the database: only what differs comes back, with how much of it there is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.collections import run_entry
from registry.sql.dataset_types import all_types
from registry.sql.fixed_tables import IdType
from registry.sql.latest import is_latest_of_runs
from registry.sql.session import Session

__all__ = ["Side", "differing_inputs", "differing_quanta", "same_quanta"]

_OLD, _NEW = "old", "new"


class Side(NamedTuple):
    """One of two runs.

    Parameters
    ----------
    session : Session
        Of the registry that has it.
    run : str
        The RUN.
    """

    session: Session
    run: str


Types = Mapping[str, sa.types.TypeEngine[Any]]
Maker = Callable[[Side], sa.Select[Any]]


@contextlib.contextmanager
def beside(old: Side, new: Side, make: Maker, types: Types) -> Iterator[list[sa.FromClause]]:
    """Yield the rows of two runs so that one statement can be about both.

    Parameters
    ----------
    old, new : Side
        The runs. Where they are of two registries, the rows of the newer are handed over to that of the older.
    make : callable
        Makes the statement of one run's rows.
    types : mapping of str to sqlalchemy type
        The columns of these rows.

    Yields
    ------
    list of sqlalchemy.FromClause
        Those of the old run, and those of the new.
    """
    first = make(old).subquery(_OLD)
    if new.session is old.session:
        yield [first, make(new).subquery(_NEW)]
        return
    with old.session.stash(new.session.fetch(make(new)), types) as handed_over:
        yield [first, handed_over]


def _side_by_side(
    sides: Sequence[sa.FromClause], keys: Sequence[str], value: str, more: Sequence[str] = ()
) -> sa.Subquery:
    """Return each key once, with the value that it has on both sides: null where it has none.

    Notes
    -----
    By sorting, which takes as long whatever the keys are and needs no index of theirs.
    """
    parts = []
    for place, rows in enumerate(sides):
        mine = rows.c[value]
        nothing = sa.cast(sa.null(), mine.type)
        values = (mine, nothing) if place == 0 else (nothing, mine)
        named = [v.label(n) for v, n in zip(values, (_OLD, _NEW), strict=True)]
        parts.append(sa.select(*(rows.c[n] for n in (*keys, *more)), *named))
    both = sa.union_all(*parts).subquery("both")
    return (
        sa.select(*(both.c[n] for n in keys), *(sa.func.max(both.c[n]).label(n) for n in (*more, _OLD, _NEW)))
        .group_by(*(both.c[n] for n in keys))
        .subquery("pairs")
    )


def some_of_each(
    rows: sa.FromClause, by: Sequence[str], order: Sequence[str], shown: int, *, where: Any = None
) -> sa.Select[Any]:
    """Return a few rows of each kind, each with how many of its kind there are.

    Parameters
    ----------
    rows : sqlalchemy.FromClause
        The rows.
    by : sequence of str
        The columns whose values make up a kind.
    order : sequence of str
        The columns by which the first few are chosen.
    shown : int
        How many of each kind.
    where : sqlalchemy condition, optional
        What the rows fulfil that count.

    Returns
    -------
    sqlalchemy.Select
        The columns of `rows` and ``n``, in order.
    """
    kinds, ordered = [rows.c[n] for n in by], [rows.c[n] for n in order]
    counted = sa.select(
        *rows.c,
        sa.func.count().over(partition_by=kinds).label("n"),
        sa.func.row_number().over(partition_by=kinds, order_by=ordered or kinds).label("place"),
    )
    found = (counted if where is None else counted.where(where)).subquery("counted")
    return (
        sa.select(*(c for c in found.c if c.name != "place"))
        .where(found.c.place <= shown)
        .order_by(*(found.c[n] for n in by), found.c.place)
    )


def _quanta_of(side: Side) -> sa.Select[Any]:
    session, number = side.session, run_entry(side.session, side.run).id
    q = session.schema["quantum"]
    return sa.select(q.c.task, q.c.data_id, q.c.status).where(
        q.c.run_id == number, is_latest_of_runs(session, [number])
    )


def differing_quanta(old: Side, new: Side, shown: int) -> Columns:
    """Return quanta that came to something else in another run.

    Parameters
    ----------
    old, new : Side
        The runs.
    shown : int
        How many data IDs of each task and change to return.

    Returns
    -------
    Columns
        ``task``, ``data_id``, ``old``, ``new`` (null where a run does not have it), ``n``: how many of the task there
        are with that change.
    """
    q = old.session.schema["quantum"]
    types = {n: q.c[n].type for n in ("task", "data_id", "status")}
    with beside(old, new, _quanta_of, types) as sides:
        pairs = _side_by_side(sides, ("task", "data_id"), "status")
        other = pairs.c.old.is_distinct_from(pairs.c.new)
        return old.session.fetch(some_of_each(pairs, ("task", _OLD, _NEW), ("data_id",), shown, where=other))


def _inputs_of(side: Side) -> sa.Select[Any]:
    session, number = side.session, run_entry(side.session, side.run).id
    q, i, d = (session.schema[n] for n in ("quantum", "quantum_input", "dataset"))
    source = q.join(i, i.c.quantum_id == q.c.id).join(d, d.c.id == i.c.dataset_id)
    was_read = sa.case((i.c.was_read, 1), else_=0).label("was_read")
    return (
        sa.select(d.c.id, d.c.dataset_type_id.label("kind"), d.c.run_id.label("run"), was_read)
        .select_from(source)
        .where(q.c.run_id == number, d.c.run_id != number)
    )


def differing_inputs(old: Side, new: Side, shown: int) -> tuple[Columns, Columns]:
    """Compare which datasets of other collections the quanta of two runs were given, and which they read.

    Parameters
    ----------
    old, new : Side
        The runs.
    shown : int
        How many datasets of each kind to return.

    Returns
    -------
    Columns
        ``dataset_type``, ``run`` (that has them), ``old``, ``new`` (1 read, 0 only offered, null not even that), and
        how many such datasets there are: ``n``.
    Columns
        Some of those that differ: ``id``, ``dataset_type``, ``old``, ``new``.
    """
    session = old.session
    names = _Names(session)
    types: Types = {"id": IdType(), "kind": sa.Integer(), "run": sa.Integer(), "was_read": sa.Integer()}
    with _inputs_beside(old, new, names, types) as sides:
        pairs = _side_by_side(sides, ("id",), "was_read", ("kind", "run"))
        kinds = [pairs.c[n] for n in ("kind", "run", _OLD, _NEW)]
        counts = session.fetch(sa.select(*kinds, sa.func.count().label("n")).group_by(*kinds))
        some = Columns({"id": [], "kind": [], _OLD: [], _NEW: []})
        if any(o != n for o, n in counts.rows((_OLD, _NEW))):
            other = pairs.c.old.is_distinct_from(pairs.c.new)
            some = session.fetch(some_of_each(pairs, ("kind", _OLD, _NEW), ("id",), shown, where=other))
    return (
        names.named(counts, "kind", "dataset_type").select(("dataset_type", "run", _OLD, _NEW, "n")),
        names.named(some, "kind", "dataset_type").select(("id", "dataset_type", _OLD, _NEW)),
    )


@contextlib.contextmanager
def _inputs_beside(old: Side, new: Side, names: _Names, types: Types) -> Iterator[list[sa.FromClause]]:
    if new.session is old.session:
        with beside(old, new, _inputs_of, types) as sides:
            yield sides
        return
    theirs = _Names(new.session).named(new.session.fetch(_inputs_of(new)), "kind", "kind")
    first = _inputs_of(old).subquery(_OLD)
    with old.session.stash(names.numbered(theirs), types) as handed_over:
        yield [first, handed_over]


class _Names:
    """Names of a registry's dataset types and collections, and numbers for those that it does not have."""

    def __init__(self, session: Session) -> None:
        collections = session.schema["collection"]
        rows = session.fetch(sa.select(collections.c.id, collections.c.name)).rows()
        self._of = {"kind": {e.id: e.type.name for e in all_types(session)}, "run": dict(rows)}

    def named(self, rows: Columns, column: str, name: str) -> Columns:
        """Return rows with names in place of numbers, of dataset types and of runs if there are any."""
        out = rows.with_column(name, self._names(column, rows))
        return out.with_column("run", self._names("run", rows)) if "run" in rows else out

    def _names(self, column: str, rows: Columns) -> list[str]:
        return [self._of[column][int(n)] for n in rows[column].tolist()]

    def numbered(self, rows: Columns) -> Columns:
        """Return rows with numbers in place of names."""
        for column in ("kind", "run"):
            known = {name: number for number, name in self._of[column].items()}
            for name in sorted(set(rows[column].tolist()) - known.keys()):
                number = known[name] = -1 - len(known)
                self._of[column][number] = name
            numbers = np.fromiter(map(known.__getitem__, rows[column].tolist()), np.int64, rows.n_rows)
            rows = rows.with_column(column, numbers)
        return rows


def same_quanta(old: Side, new: Side, statuses: Sequence[str], step: int) -> Columns:
    """Return quanta of two runs with the same task and data ID.

    Parameters
    ----------
    old, new : Side
        The runs.
    statuses : sequence of str
        What became of them, in both.
    step : int
        Only one of so many, chosen evenly.

    Returns
    -------
    Columns
        ``task``, ``data_id``, ``old``, ``new``: both ids.
    """
    q, their = old.session.schema["quantum"], new.session.schema["quantum"]
    number = run_entry(new.session, new.run).id
    mine = _chosen(old, statuses, step)
    types = {"task": q.c.task.type, "data_id": q.c.data_id.type, "id": IdType()}
    with new.session.stash(mine, types, key=("task", "data_id")) as given:
        source = their.join(given, sa.and_(given.c.task == their.c.task, given.c.data_id == their.c.data_id))
        return new.session.fetch(
            sa.select(their.c.task, their.c.data_id, given.c.id.label(_OLD), their.c.id.label(_NEW))
            .select_from(source)
            .where(
                their.c.run_id == number,
                their.c.status.in_(list(statuses)),
                is_latest_of_runs(new.session, [number]),
            )
            .order_by(their.c.task, their.c.data_id)
        )


def _chosen(side: Side, statuses: Sequence[str], step: int) -> Columns:
    q, number = side.session.schema["quantum"], run_entry(side.session, side.run).id
    rows = sa.select(
        q.c.task, q.c.data_id, q.c.id, sa.func.row_number().over(order_by=[q.c.task, q.c.id]).label("place")
    ).where(
        q.c.run_id == number,
        q.c.status.in_(list(statuses)),
        is_latest_of_runs(side.session, [number]),
    )
    found = rows.subquery("numbered")
    return side.session.fetch(
        sa.select(found.c.task, found.c.data_id, found.c.id).where(found.c.place % step == 1 % step)
    )
