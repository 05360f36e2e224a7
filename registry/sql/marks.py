"""A mark for each RUN that tells, without reading its rows, whether it is as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from registry.model.digest import digest_json
from registry.sql.collections import run_entry
from registry.sql.dataset_types import all_types
from registry.sql.session import Session

__all__ = ["run_marks"]

_PRIME = 1_000_000_007
"""Times are summed modulo a prime, since sums of nanoseconds would leave 64 bits."""


def run_marks(session: Session, runs: Sequence[str]) -> dict[str, str]:
    """Return a text for each RUN that changes when what it holds does.

    Parameters
    ----------
    session : Session
        Where.
    runs : sequence of str
        RUN collections.

    Returns
    -------
    dict of str to str
        RUN to mark. It is made of the number and the highest id of its datasets by type, and of number, attempts and
        times of its quanta by status: a dataset that is made again comes with its quantum, or has a later id.

    Raises
    ------
    NotFoundError
        If there is no such collection.
    ConflictError
        If one is no RUN.

    Notes
    -----
    The database scans the RUN's rows and hands over a few numbers: 50 ms for 10^5 datasets and 3 * 10^4 quanta.
    """
    types = {e.id: e.type for e in all_types(session)}
    groups = list(dict.fromkeys(t.dimensions for t in types.values()))
    out = {}
    for name in dict.fromkeys(runs):
        number = run_entry(session, name).id
        datasets: list[Any] = []
        for group in groups:
            datasets += [
                (types[k].name, n, last.hex())
                for k, n, last in _datasets(session, session.schema.tags(group), number)
            ]
        out[name] = digest_json([sorted(datasets), sorted(map(list, _quanta(session, number)))])
    return out


def _datasets(session: Session, tags: sa.Table, run: int) -> list[tuple[Any, ...]]:
    last = sa.func.max(tags.c.dataset_id, type_=tags.c.dataset_id.type).label("last")
    statement = (
        sa.select(tags.c.dataset_type_id, sa.func.count().label("n"), last)
        .where(tags.c.collection_id == run)
        .group_by(tags.c.dataset_type_id)
    )
    return session.fetch(statement).rows()


def _quanta(session: Session, run: int) -> list[tuple[Any, ...]]:
    q = session.schema["quantum"]
    total = sa.func.sum(sa.func.coalesce(q.c.finished_ns, 0) % _PRIME).label("times")
    statement = (
        sa.select(q.c.status, sa.func.count().label("n"), sa.func.sum(q.c.attempt).label("attempts"), total)
        .where(q.c.run_id == run)
        .group_by(q.c.status)
    )
    return session.fetch(statement).rows()
