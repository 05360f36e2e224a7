"""A mark for each RUN that tells, without reading its rows, whether it is as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from registry.model.digest import digest_json
from registry.sql.collections import run_entry
from registry.sql.dataset_types import all_types
from registry.sql.fixed_tables import LastId
from registry.sql.provenance import of_runs, run_values
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
    The database scans the runs' rows and hands over a few numbers, in one statement for each set of dimensions and one
    for quanta: 50 ms for 10^5 datasets and 3 * 10^4 quanta.
    """
    numbers = {run_entry(session, name).id: name for name in dict.fromkeys(runs)}
    datasets, quanta = _datasets(session, list(numbers)), _quanta(session, list(numbers))
    return {name: digest_json([sorted(datasets[n]), sorted(quanta[n])]) for n, name in numbers.items()}


def _datasets(session: Session, runs: list[int]) -> dict[int, list[list[Any]]]:
    types = {e.id: e.type for e in all_types(session)}
    out: dict[int, list[list[Any]]] = {n: [] for n in runs}
    for group in dict.fromkeys(t.dimensions for t in types.values()):
        t = session.schema.tags(group)

        def make(t: sa.Table = t) -> sa.Select[Any]:
            last = LastId(t.c.dataset_id).label("last")
            columns = (t.c.collection_id, t.c.dataset_type_id, sa.func.count().label("n"), last)
            mine = sa.select(*columns).where(of_runs(t.c.collection_id, len(runs)))
            return mine.group_by(t.c.collection_id, t.c.dataset_type_id)

        found = session.answer(("mark", t.name, len(runs)), make, **run_values(runs))
        for run, kind, n, highest in found.rows():
            out[run].append([types[kind].name, n, highest.hex()])
    return out


def _quanta(session: Session, runs: list[int]) -> dict[int, list[list[Any]]]:
    q = session.schema["quantum"]

    def make() -> sa.Select[Any]:
        times = sa.func.coalesce(q.c.finished_ns, sa.literal_column("0")) % sa.literal_column(str(_PRIME))
        counts = (sa.func.count().label("n"), sa.func.sum(q.c.attempt).label("attempts"))
        mine = sa.select(q.c.run_id, q.c.status, *counts, sa.func.sum(times).label("times"))
        return mine.where(of_runs(q.c.run_id, len(runs))).group_by(q.c.run_id, q.c.status)

    out: dict[int, list[list[Any]]] = {n: [] for n in runs}
    for run, *rest in session.answer(("mark", "quantum", len(runs)), make, **run_values(runs)).rows():
        out[run].append(rest)
    return out
