"""Statements for the keeper of a repository: what there is in all, who holds it, and artifact records that go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.collections import names_of
from registry.sql.dataset_types import all_types
from registry.sql.datasets import recorded_uris
from registry.sql.fixed_tables import IdType
from registry.sql.keys import check_ids
from registry.sql.session import Session

__all__ = [
    "artifact_uris", "count_artifacts", "count_quanta", "count_rows", "database_bytes", "holders", "lost_outputs",
    "odd_quanta", "outputs_of_quanta", "remove", "run_sizes", "take_artifacts", "without_artifacts",
]  # fmt: skip

_SCHEMA_BYTES = """
SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
WHERE relkind = 'r' AND relnamespace = to_regnamespace(quote_ident(current_schema()))
"""


def count_rows(session: Session, tables: Sequence[str]) -> dict[str, int]:
    """Count the rows of tables.

    Parameters
    ----------
    session : Session
        Where.
    tables : sequence of str
        Names in the schema.

    Returns
    -------
    dict of str to int
        By name; one statement.
    """
    known = session.schema.metadata.tables
    counts = [sa.select(sa.func.count()).select_from(known[t]).scalar_subquery().label(t) for t in tables]
    if not counts:
        return {}
    row = session.fetch(sa.select(*counts)).rows()[0]
    return {name: int(n) for name, n in zip(tables, row, strict=True)}


def count_quanta(session: Session) -> dict[str, int]:
    """Count the attempts at quanta by what became of them.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    dict of str to int
        Status to number.
    """
    q = session.schema["quantum"]
    found = session.fetch(sa.select(q.c.status, sa.func.count().label("n")).group_by(q.c.status))
    return dict(sorted(found.rows()))


def count_artifacts(session: Session) -> tuple[int, int]:
    """Count artifact records and the bytes that they tell of.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    (int, int)
        Number and bytes.
    """
    a = session.schema["artifact"]
    # PostgreSQL sums 64-bit integers into a decimal number of any length.
    total = sa.cast(sa.func.coalesce(sa.func.sum(a.c.size), 0), sa.BigInteger).label("size")
    columns: list[Any] = [sa.func.count().label("n"), total]
    n, size = session.fetch(sa.select(*columns).select_from(a)).rows()[0]
    return int(n), int(size)


def run_sizes(session: Session) -> dict[str, tuple[int, int]]:
    """Count the datasets of each RUN, and the bytes of their artifacts.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    dict of str to (int, int)
        RUN to number and bytes; RUNs without datasets are absent.
    """
    d, a = session.schema["dataset"], session.schema["artifact"]
    total = sa.cast(sa.func.coalesce(sa.func.sum(a.c.size), 0), sa.BigInteger).label("size")
    statement = sa.select(d.c.run_id, sa.func.count().label("n"), total)
    found = session.fetch(statement.select_from(d.outerjoin(a, a.c.id == d.c.id)).group_by(d.c.run_id)).rows()
    names = names_of(session, [int(number) for number, _, _ in found])
    return {names[int(number)]: (int(n), int(size)) for number, n, size in found}


def lost_outputs(session: Session, run: int) -> list[bytes]:
    """Return what quanta of a RUN have made and is no dataset any more.

    Parameters
    ----------
    session : Session
        Where.
    run : int
        Local number of the RUN.

    Returns
    -------
    list of bytes
        Ids, in no order.
    """
    o, q, d = (session.schema[name] for name in ("quantum_output", "quantum", "dataset"))
    # Each output is looked up where it stands: to send all ids to and from costs ten times as much.
    known = sa.exists().where(d.c.id == o.c.dataset_id)
    mine = sa.select(q.c.id).where(q.c.run_id == run)
    found = session.fetch(sa.select(o.c.dataset_id).where(o.c.quantum_id.in_(mine), ~known))
    ids: list[bytes] = found["dataset_id"].tolist()
    return ids


def odd_quanta(session: Session, run: int, n_outputs: Mapping[str, int]) -> list[bytes]:
    """Return the quanta of a RUN that have not made as many datasets as others of their task.

    Parameters
    ----------
    session : Session
        Where.
    run : int
        Local number of the RUN.
    n_outputs : mapping of str to int
        Task to the number; at least one.

    Returns
    -------
    list of bytes
        Ids, in no order. What is no dataset any more does not count; quanta of other tasks are all among them, unless
        all numbers are equal.
    """
    o, q, d = (session.schema[name] for name in ("quantum_output", "quantum", "dataset"))
    joined = sa.select(sa.func.count()).select_from(o.join(d, d.c.id == o.c.dataset_id))
    n_known = joined.where(o.c.quantum_id == q.c.id).scalar_subquery()
    # Where one number does for all, the index of runs has all that is needed of quanta.
    numbers = set(n_outputs.values())
    expected = numbers.pop() if len(numbers) == 1 else sa.case(dict(n_outputs), value=q.c.task, else_=-1)
    ids: list[bytes] = session.fetch(sa.select(q.c.id).where(q.c.run_id == run, n_known != expected))[
        "id"
    ].tolist()
    return ids


def outputs_of_quanta(session: Session, ids: Sequence[bytes]) -> Columns:
    """Return what some quanta have made.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        The quanta, each once.

    Returns
    -------
    Columns
        ``quantum_id``, ``dataset_id``, ``is_known``: whether it is a dataset still; in no order.
    """
    o, d = session.schema["quantum_output"], session.schema["dataset"]
    known = sa.exists().where(d.c.id == o.c.dataset_id)
    with session.stash(Columns({"id": list(ids)}), {"id": IdType()}, key=["id"]) as given:
        return session.fetch(
            sa.select(o.c.quantum_id, o.c.dataset_id, known.label("is_known")).select_from(
                given.join(o, o.c.quantum_id == given.c.id)
            )
        )


def database_bytes(session: Session) -> int:
    """Return how large the database is.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    int
        Bytes of a file of SQLite; of a schema of PostgreSQL, those of its tables and their indexes.
    """
    query = session.database.query
    if session.database.dialect.name == "sqlite":
        return int(query("PRAGMA page_count", [])[0][0]) * int(query("PRAGMA page_size", [])[0][0])
    return int(query(_SCHEMA_BYTES, [])[0][0])


def artifact_uris(session: Session) -> list[str]:
    """Return where all artifacts are.

    Parameters
    ----------
    session : Session
        Where.

    Returns
    -------
    list of str
        URIs as they are recorded, in no order.
    """
    a = session.schema["artifact"]
    return session.fetch(sa.select(a.c.uri))["uri"].tolist()  # type: ignore[no-any-return]


def holders(session: Session, ids: Sequence[bytes]) -> dict[str, int]:
    """Count how many of some datasets each collection holds, the RUNs that own them among them.

    Parameters
    ----------
    session : Session
        Where.
    ids : sequence of bytes
        16 bytes each.

    Returns
    -------
    dict of str to int
        Collection to number of datasets; chains hold none.
    """
    with session.stash(Columns({"id": ids}), {"id": IdType()}, key=("id",)) as stash:
        return _holders(session, stash)


def remove(
    session: Session,
    ids: Sequence[bytes],
    uris: Sequence[str],
    *,
    purge: bool,
    refuse: Callable[[Mapping[str, int]], None],
) -> tuple[int, set[str]]:
    """Delete datasets with all that belongs to them, or their artifact records alone; provenance stays.

    Parameters
    ----------
    session : Session
        In a write transaction.
    ids : sequence of bytes
        16 bytes each; unknown ones are ignored.
    uris : sequence of str
        URIs of their artifacts.
    purge : bool
        Whether the datasets go too.
    refuse : callable
        Is told how many of them each collection holds, and raises if they have to stay.

    Returns
    -------
    (int, set of str)
        Rows deleted, and those of the URIs that artifacts of other datasets have too.
    """
    rows = Columns({"id": ids})
    check_ids(rows)
    table = session.schema["dataset" if purge else "artifact"]
    with session.stash(rows, {"id": IdType()}, key=("id",)) as stash:
        refuse(_holders(session, stash))
        # Only rows are left then that stay.
        n_rows = session.execute(sa.delete(table).where(table.c.id.in_(sa.select(stash.c.id))))
    return n_rows, recorded_uris(session, uris) if uris else set()


def without_artifacts(session: Session, run_id: int) -> list[bytes]:
    """Return the datasets of a RUN that have no artifact record.

    Parameters
    ----------
    session : Session
        Where.
    run_id : int
        The RUN's number.

    Returns
    -------
    list of bytes
        Their ids, in no order; one statement.
    """
    d, a = session.schema["dataset"], session.schema["artifact"]
    bare = ~sa.exists(sa.select(a.c.id).where(a.c.id == d.c.id))
    return session.fetch(sa.select(d.c.id).where(d.c.run_id == run_id, bare))["id"].tolist()  # type: ignore[no-any-return]


def take_artifacts(session: Session, ids: Sequence[bytes]) -> Columns:
    """Delete artifact records, whoever holds their datasets.

    Parameters
    ----------
    session : Session
        In a write transaction.
    ids : sequence of bytes
        16 bytes each; those without a record are ignored.

    Returns
    -------
    Columns
        ``uri`` and ``size`` of those whose files no other dataset has.
    """
    a = session.schema["artifact"]
    with session.stash(Columns({"id": ids}), {"id": IdType()}, key=("id",)) as stash:
        chosen = a.c.id.in_(sa.select(stash.c.id))
        rows = session.fetch(sa.select(a.c.uri, a.c.size).where(chosen))
        session.execute(sa.delete(a).where(chosen))
    shared = recorded_uris(session, rows["uri"].tolist()) if rows.n_rows else set()
    return rows.take(np.array([uri not in shared for uri in rows["uri"].tolist()], dtype=np.bool_))


def _holders(session: Session, stash: sa.FromClause) -> dict[str, int]:
    counts: dict[int, int] = {}
    for table in _holding(session):
        found = session.fetch(
            sa.select(table.c.collection_id, sa.func.count(table.c.dataset_id.distinct()).label("n"))
            .where(table.c.dataset_id.in_(sa.select(stash.c.id)))
            .group_by(table.c.collection_id)
        )
        for collection, n in found.rows():
            counts[collection] = counts.get(collection, 0) + int(n)
    names = names_of(session, list(counts))
    return {names[number]: n for number, n in sorted(counts.items(), key=lambda item: names[item[0]])}


def _holding(session: Session) -> Iterator[sa.Table]:
    """Return the tables that say what collections hold."""
    types = [e.type for e in all_types(session)]
    for group in dict.fromkeys(t.dimensions for t in types):
        yield session.schema.tags(group)
    for group in dict.fromkeys(t.dimensions for t in types if t.is_calibration):
        yield session.schema.calibs(group)
