"""Choosing quanta by an expression on their data IDs, as a run recorded them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Array, Columns, unique_values
from registry.model.in_time import row_in

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionGroup
    from registry.registry import Snapshot

__all__ = ["chosen_by_query"]


def chosen_by_query(snapshot: Snapshot, quanta: Columns, query: str) -> Columns:
    """Return the quanta whose data IDs fulfil an expression.

    Parameters
    ----------
    snapshot : Snapshot
        Of the registry that recorded them, whose dimension records are asked.
    quanta : Columns
        ``task``, ``data_id`` (compact JSON), and others.
    query : str
        The expression. Quanta whose data IDs do not tell what it asks for do not fulfil it.

    Returns
    -------
    Columns
        Rows of `quanta`. One question a task.

    Raises
    ------
    QueryError
        If the expression is not understood.
    """
    numbers = np.arange(quanta.n_rows)
    tasks = quanta["task"]
    kept = [
        mine[_fulfils(snapshot, quanta["data_id"][mine], query)]
        for mine in (numbers[tasks == task] for task in sorted(set(tasks.tolist())))
    ]
    return quanta.take(unique_values(np.concatenate(kept)) if kept else numbers)


def _fulfils(snapshot: Snapshot, texts: Array, query: str) -> Array:
    from registry.query.bind import bind
    from registry.query.parser import parse

    documents = [json.loads(text) for text in texts.tolist()]
    names = list(documents[0])
    table = Columns({name: [d[name] for d in documents] for name in names})
    group = snapshot.universe.group(names)
    # Where all are of one instrument, it need not be said.
    values = {name: set(table[name].tolist()) for name in names if name in snapshot.universe.governors}
    defaults = {name: found.pop() for name, found in values.items() if len(found) == 1}
    asked = bind(parse(query), snapshot.universe, group, defaults=defaults)
    if not _tells(group, asked.group):
        return np.zeros(len(texts), dtype=np.bool_)
    rows = snapshot.data_ids(group, where=query, defaults=defaults, table=table)
    if not names:
        return np.full(len(texts), rows.n_rows > 0)
    return row_in([table[n] for n in names], [rows[n] for n in names]) >= 0


def _tells(group: DimensionGroup, asked: DimensionGroup) -> bool:
    """Tell whether data IDs of a group fix all dimensions that an expression is about."""
    return set(asked.names) <= set(group.names)
