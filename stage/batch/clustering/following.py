"""Clusters of quanta that do not have their section's dimensions: those of the quanta that they depend on, or that depend on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stage.batch.clustering.sections import Section, bad_section
from stage.graph.table import Csr, Ints

if TYPE_CHECKING:
    from stage.batch.clustering.quanta import QuantaTable

__all__ = ["follow", "span_of"]


def follow(
    table: QuantaTable, section: Section, quanta: Ints, cluster_of: Ints, names: Sequence[str]
) -> None:
    """Fill in the clusters of quanta that have none, task by task from one end of the section.

    Parameters
    ----------
    table : QuantaTable
        The quanta.
    section : Section
        It says from which end.
    quanta : numpy.ndarray of int64
        Its quanta.
    cluster_of : numpy.ndarray of int64
        Their clusters, -1 where there is none; changed in place.
    names : sequence of str
        Of the clusters, for errors.

    Raises
    ------
    UsageError
        If a quantum would belong to two.
    """
    known = np.full(table.n_quanta, -1, dtype=np.int64)
    known[quanta] = cluster_of
    dependencies = table.dependencies
    tasks = list(section.tasks)
    if section.method == "sink":
        later, earlier = dependencies.rows(), dependencies.indices
        order = np.argsort(earlier, kind="stable")
        dependencies = Csr.from_pairs(table.n_quanta, earlier[order].astype(np.int64), later[order])
        tasks.reverse()
    for task in tasks:
        mine = table.quanta_of(task)
        mine = mine[known[mine] < 0]
        low, high = span_of(dependencies.take(mine), known)
        if np.any(low < high):
            place = int(np.argmax(low < high))
            raise bad_section(
                section.label,
                f"{table.describe(int(mine[place]))} would belong to two, {names[low[place]]} and {names[high[place]]}",
            )
        known[mine] = high
    cluster_of[:] = known[quanta]


def span_of(lists: Csr, value_of: Ints) -> tuple[Ints, Ints]:
    """Return for each list the least and the greatest of its entries' values, those below 0 not counted.

    Parameters
    ----------
    lists : Csr
        The lists.
    value_of : numpy.ndarray of int64
        Values of what they have.

    Returns
    -------
    least, greatest : numpy.ndarray of int64
        Both -1 where there is none.
    """
    n = len(lists.indptr) - 1
    high = np.full(n, -1, dtype=np.int64)
    low = np.full(n, np.iinfo(np.int64).max, dtype=np.int64)
    values = value_of[lists.indices]
    rows = lists.rows()[values >= 0]
    values = values[values >= 0]
    np.maximum.at(high, rows, values)
    np.minimum.at(low, rows, values)
    low[high < 0] = -1
    return low, high
