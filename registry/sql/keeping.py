"""Statements for the keeper of a repository: what there is in all, who holds it, and artifact records that go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from registry.model.columns import Columns
from registry.sql.collections import names_of
from registry.sql.dataset_types import all_types
from registry.sql.datasets import recorded_uris
from registry.sql.fixed_tables import IdType
from registry.sql.keys import check_ids
from registry.sql.session import Session

__all__ = [
    "artifact_uris", "count_artifacts", "count_quanta", "count_rows", "database_bytes", "holders", "remove",
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
