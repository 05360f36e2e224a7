"""Statements of the provenance tables: quanta, what they read and what they made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from registry.errors import UsageError
from registry.model.columns import Columns
from registry.model.records import QUANTUM, QUANTUM_INPUT, QUANTUM_OUTPUT
from registry.sql.collections import names_of, run_entry
from registry.sql.latest import is_latest, is_latest_of_runs
from registry.sql.plain import insert_rows
from registry.sql.session import Session

__all__ = [
    "insert_inputs", "insert_outputs", "insert_quanta", "of_runs", "quanta", "quantum_links", "run_values",
    "with_run_names",
]  # fmt: skip


def with_run_names(session: Session, rows: Columns, names: Sequence[str]) -> Columns:
    """Replace the column ``run_id`` by ``run``.

    Parameters
    ----------
    session : Session
        Where.
    rows : Columns
        With ``run_id``.
    names : sequence of str
        The columns to return, ``run`` among them.

    Returns
    -------
    Columns
        In the order of `names`; equal runs share one string.
    """
    numbers, inverse = np.unique(rows["run_id"].astype(np.int64), return_inverse=True)
    known = names_of(session, numbers.tolist())
    texts = np.empty(len(numbers), dtype=object)
    texts[:] = [known[n] for n in numbers.tolist()]
    return rows.with_column("run", texts[inverse]).select(names)


def _run_numbers(session: Session, runs: Sequence[str]) -> list[int]:
    return [run_entry(session, name).id for name in dict.fromkeys(runs)]


def of_runs(column: sa.ColumnElement[int], n: int) -> sa.ColumnElement[bool]:
    """Return the condition that a row is one of n runs, whose numbers are bound as `run_values` names them.

    Parameters
    ----------
    column : sqlalchemy.ColumnElement
        Numbers of runs.
    n : int
        How many runs.

    Returns
    -------
    sqlalchemy.ColumnElement
        For statements that are compiled once for each n.
    """
    return column.in_([sa.bindparam(f"run_{i}", type_=sa.Integer) for i in range(n)])


def run_values(numbers: Sequence[int]) -> dict[str, Any]:
    """Return the values to bind for `of_runs`.

    Parameters
    ----------
    numbers : sequence of int
        The runs.

    Returns
    -------
    dict of str to int
        By name.
    """
    return {f"run_{i}": number for i, number in enumerate(numbers)}


def quanta(
    session: Session,
    runs: Sequence[str] | None,
    task: str | None,
    status: Sequence[str] | None,
    *,
    latest: bool,
    data_id: Mapping[str, str] | None = None,
    names: Sequence[str] = QUANTUM,
) -> Columns:
    """Return quanta.

    Parameters
    ----------
    session : Session
        Where.
    runs : sequence of str or None
        Their runs; None for all.
    task : str or None
        Their task's label.
    status : sequence of str or None
        What became of them.
    latest : bool
        Whether only the last attempt at each counts.
    data_id : mapping of str to str, optional
        Values of their data IDs, as text. A few others may be among them, where a value looks like part of another.
    names : sequence of str, optional
        Columns of `registry.model.records.QUANTUM`; all by default.

    Returns
    -------
    Columns
        These, ordered by id and attempt.
    """
    t = session.schema["quantum"]
    statement = sa.select(*(t.c["run_id" if n == "run" else n] for n in names))
    numbers = None if runs is None else _run_numbers(session, runs)
    if numbers is not None and not latest and task is None and status is None and not data_id:
        rows = _all_of_runs(session, statement, names, numbers)
        return with_run_names(session, rows, names) if "run" in names else rows
    if numbers is not None:
        statement = statement.where(t.c.run_id.in_(numbers))
    if task is not None:
        statement = statement.where(t.c.task == task)
    if status is not None:
        statement = statement.where(t.c.status.in_(list(status)))
    for name, value in (data_id or {}).items():
        statement = statement.where(_may_have(t.c.data_id, name, value))
    if latest:
        statement = statement.where(is_latest(t) if numbers is None else is_latest_of_runs(session, numbers))
    rows = session.fetch(statement.order_by(t.c.id, t.c.attempt))
    return with_run_names(session, rows, names) if "run" in names else rows


def _all_of_runs(
    session: Session, statement: sa.Select[Any], names: Sequence[str], numbers: Sequence[int]
) -> Columns:
    """Return every attempt at the quanta of runs."""
    t, n = session.schema["quantum"], len(numbers)

    def make() -> sa.Select[Any]:
        return statement.where(of_runs(t.c.run_id, n)).order_by(t.c.id, t.c.attempt)

    return session.answer(("quanta", n, *names), make, **run_values(numbers))


def _may_have(column: sa.ColumnElement[str], name: str, value: str) -> sa.ColumnElement[bool]:
    """Return whether the text of a data ID has a value, of which nobody knows here if it is a number."""
    key, text = json.dumps(name), json.dumps(value)[1:-1]
    if text != value or not value.isascii():
        return sa.true()
    forms = (f"{key}:{value},", f"{key}:{value}}}", f'{key}:"{value}"')
    return sa.or_(*(column.contains(form, autoescape=True) for form in forms))


def quantum_links(session: Session, table: str, runs: Sequence[str]) -> Columns:
    """Return what the quanta of runs read, or made.

    Parameters
    ----------
    session : Session
        Where.
    table : {"quantum_input", "quantum_output"}
        Which.
    runs : sequence of str
        The quanta's runs.

    Returns
    -------
    Columns
        `registry.model.records.QUANTUM_INPUT` or ``QUANTUM_OUTPUT``, ordered by quantum.
    """
    t, q, numbers = session.schema[table], session.schema["quantum"], _run_numbers(session, runs)
    names = QUANTUM_INPUT if table == "quantum_input" else QUANTUM_OUTPUT

    def make() -> sa.Select[Any]:
        chosen = sa.select(q.c.id).where(of_runs(q.c.run_id, len(numbers)))
        return sa.select(*(t.c[n] for n in names)).where(t.c.quantum_id.in_(chosen)).order_by(*t.primary_key)

    return session.answer((table, len(numbers)), make, **run_values(numbers))


def _checked(rows: Columns, names: Sequence[str], what: str) -> Columns:
    missing = [n for n in names if n not in rows]
    if missing:
        raise UsageError(f"rows of {what} lack {', '.join(missing)}", code="missing-column")
    return rows.select(names)


def insert_quanta(session: Session, rows: Columns) -> None:
    """Record executions of quanta; one of the same id and attempt is replaced.

    Parameters
    ----------
    session : Session
        In a write transaction.
    rows : Columns
        `registry.model.records.QUANTUM`.
    """
    rows = _checked(rows, QUANTUM, "quanta")
    numbers = {name: run_entry(session, name).id for name in set(rows["run"].tolist())}
    rows = rows.with_column("run_id", [numbers[name] for name in rows["run"].tolist()])
    rows = rows.select([*(n for n in QUANTUM if n != "run"), "run_id"])
    insert_rows(session, session.schema["quantum"], rows, "replace")


def insert_inputs(session: Session, rows: Columns) -> None:
    """Record what quanta read; whether it was read replaces what was recorded before.

    Parameters
    ----------
    session : Session
        In a write transaction.
    rows : Columns
        `registry.model.records.QUANTUM_INPUT`.
    """
    insert_rows(
        session, session.schema["quantum_input"], _checked(rows, QUANTUM_INPUT, "quantum inputs"), "replace"
    )


def insert_outputs(session: Session, rows: Columns) -> None:
    """Record what quanta made; what is recorded already stays.

    Parameters
    ----------
    session : Session
        In a write transaction.
    rows : Columns
        `registry.model.records.QUANTUM_OUTPUT`.
    """
    insert_rows(
        session, session.schema["quantum_output"], _checked(rows, QUANTUM_OUTPUT, "quantum outputs"), "skip"
    )
