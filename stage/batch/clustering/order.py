"""The order of clusters: contracted tasks first, then, only where that does not settle it, jobs; cycles are shown as paths."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import numpy as np

from registry.errors import UsageError
from stage.graph.table import Csr, Ints

__all__ = ["label_order", "settled_order"]


def label_order(
    tasks: Sequence[str], edges: Iterable[tuple[int, int]], label_of: Mapping[int, str]
) -> list[str]:
    """Order the labels of clusters such that what is waited for comes first.

    Parameters
    ----------
    tasks : sequence of str
        All tasks, in order.
    edges : iterable of (int, int)
        Which task reads what which one makes.
    label_of : mapping of int to str
        For each task the label of its clusters.

    Returns
    -------
    list of str
        The labels; where nothing else settles it, in the order of the tasks.

    Raises
    ------
    UsageError
        If one would have to wait for itself (``cluster-cycle``); it says the path.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for task in range(len(tasks)):
        sorter.add(label_of[task])
    for first, second in sorted(edges):
        if label_of[first] != label_of[second]:
            sorter.add(label_of[second], label_of[first])
    try:
        sorter.prepare()
    except CycleError as error:
        path = _with_tasks(list(error.args[1]), tasks, sorted(edges), label_of)
        raise UsageError(
            f"the clusters wait for each other in a circle: {' -> '.join(path)}",
            code="cluster-cycle",
            hint="Put the tasks between into the same cluster, or take one of its ends out.",
        ) from error
    rank = {label_of[t]: t for t in reversed(range(len(tasks)))}
    out: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=rank.__getitem__)
        out += ready
        sorter.done(*ready)
    return out


def _with_tasks(
    labels: list[str], tasks: Sequence[str], edges: list[tuple[int, int]], label_of: Mapping[int, str]
) -> list[str]:
    """Say by which task each cluster of a circle is entered."""
    path = [labels[0]]
    for before, label in itertools.pairwise(labels):
        by = next(tasks[b] for a, b in edges if label_of[a] == before and label_of[b] == label)
        path.append(label if by == label else f"{label} (by {by})")
    return path


def settled_order(parents: Csr, names: Sequence[str]) -> Ints | None:
    """Return an order of clusters in which each comes after those that it waits for.

    Parameters
    ----------
    parents : Csr
        What each waits for.
    names : sequence of str
        For errors.

    Returns
    -------
    numpy.ndarray of int64 or None
        Their numbers in the new order; None if they are in such an order already.

    Raises
    ------
    UsageError
        If there is none (``cluster-cycle``); it says the path.
    """
    child = parents.rows()
    if not np.any(parents.indices >= child):
        return None
    n = len(names)
    by_parent = np.argsort(parents.indices, kind="stable")
    children = Csr.from_pairs(n, parents.indices[by_parent].astype(np.int64), child[by_parent])
    waits = np.diff(parents.indptr)
    level = np.flatnonzero(waits == 0)
    found = [level]
    while len(level):
        reached = children.take(level).indices
        np.subtract.at(waits, reached, 1)
        level = np.unique(reached[waits[reached] == 0]).astype(np.int64)
        found.append(level)
    order = np.concatenate(found)
    if len(order) < n:
        _refuse(parents, waits, names)
    return order


def _refuse(parents: Csr, waits: Ints, names: Sequence[str]) -> None:
    """Walk from one that waits to one that it waits for, until one comes again."""
    at = int(np.flatnonzero(waits > 0)[0])
    path: list[int] = []
    while at not in path:
        path.append(at)
        at = next(int(p) for p in parents.of(at) if waits[p] > 0)
    circle = [at, *reversed(path[path.index(at) :])]
    shown = [names[c] for c in circle]
    if len(shown) > 9:
        shown = [*shown[:4], "…", *shown[-4:]]
    raise UsageError(
        f"the jobs wait for each other in a circle: {' -> '.join(shown)}",
        code="cluster-cycle",
        hint="Their quanta depend on each other across the values of the cluster's dimensions: choose others.",
    )
