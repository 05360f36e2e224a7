"""Statements by which what a push brought is taken back: who reads it, and rows of provenance that go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.fixed_tables import IdType, string_type
from registry.sql.provenance import with_run_names
from registry.sql.session import Session

__all__ = ["forget_links", "forget_quanta", "pushes_with", "readers"]


def readers(session: Session, ids: Sequence[bytes], besides: Sequence[bytes]) -> Columns:
    """Count the quanta that read some datasets.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        The datasets.
    besides : sequence of bytes
        Quanta that do not count.

    Returns
    -------
    Columns
        ``run``, ``n``; the RUNs whose quanta do, in no order.
    """
    read, q = session.schema["quantum_input"], session.schema["quantum"]
    one = {"id": IdType()}
    with (
        session.stash(Columns({"id": list(ids)}), one, key=("id",)) as given,
        session.stash(Columns({"id": sorted(set(besides))}), one, key=("id",)) as going,
    ):
        source = given.join(read, read.c.dataset_id == given.c.id).join(q, q.c.id == read.c.quantum_id)
        found = session.fetch(
            sa.select(q.c.run_id, sa.func.count(q.c.id.distinct()).label("n"))
            .select_from(source)
            .where(~sa.exists().where(going.c.id == q.c.id))
            .group_by(q.c.run_id)
        )
    return with_run_names(session, found, ("run", "n")) if found.n_rows else Columns({"run": [], "n": []})


def forget_quanta(session: Session, rows: Columns) -> int:
    """Delete attempts at quanta; what a quantum read and made is forgotten with its last attempt.

    Parameters
    ----------
    session : Session
        In a write transaction.
    rows : Columns
        ``id``, ``attempt``; unknown ones are ignored.

    Returns
    -------
    int
        Attempts deleted.
    """
    q = session.schema["quantum"]
    with session.stash(
        rows.select(("id", "attempt")), {"id": IdType(), "attempt": sa.SmallInteger()}
    ) as given:
        same = sa.exists().where(given.c.id == q.c.id, given.c.attempt == q.c.attempt)
        n = session.execute(sa.delete(q).where(same))
        for name in ("quantum_input", "quantum_output"):
            t = session.schema[name]
            left = sa.exists().where(q.c.id == t.c.quantum_id)
            session.execute(sa.delete(t).where(t.c.quantum_id.in_(sa.select(given.c.id)), ~left))
    return n


def forget_links(session: Session, table: str, rows: Columns) -> None:
    """Delete single rows of what quanta read, or made.

    Parameters
    ----------
    session : Session
        In a write transaction.
    table : {"quantum_input", "quantum_output"}
        Which.
    rows : Columns
        ``quantum_id``, ``dataset_id``, ``connection``; unknown ones are ignored.
    """
    t = session.schema[table]
    types: dict[str, sa.types.TypeEngine[Any]] = {
        "quantum_id": IdType(), "dataset_id": IdType(), "connection": string_type(64),
    }  # fmt: skip
    with session.stash(rows.select(tuple(types)), types) as given:
        same = sa.exists().where(*(given.c[name] == t.c[name] for name in types))
        session.execute(sa.delete(t).where(same))


def pushes_with(session: Session, word: str) -> Columns:
    """Return the pushes whose summary contains a text.

    Parameters
    ----------
    session : Session
        Where.
    word : str
        The text.

    Returns
    -------
    Columns
        ``id``, ``summary``; ordered by id.
    """
    t = session.schema["push_ledger"]
    return session.fetch(
        sa.select(t.c.id, t.c.summary).where(t.c.summary.contains(word, autoescape=True)).order_by(t.c.id)
    )
