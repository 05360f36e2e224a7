"""Choosing quanta of a graph: by task, by data ID, and by what comes before and after them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from registry.errors import NotFoundError
from stage.graph.changing.trim import restrict
from stage.graph.layout import INIT_INPUT_ROLES, INIT_OUTPUT_ROLES
from stage.graph.table import Csr, Ints
from stage.pipeline.selecting import chosen_labels

if TYPE_CHECKING:
    from stage.graph.building.prune import Mask
    from stage.graph.graph import QuantumGraph

__all__ = ["chosen_quanta", "marked", "reached", "subgraph", "tasks_chosen", "transposed"]


def tasks_chosen(graph: QuantumGraph, selection: str | Iterable[str]) -> set[str]:
    """Return the tasks of a graph that a selection stands for.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    selection : str or iterable of str
        As for a pipeline: labels, alone or after ``>=``, ``>``, ``<=``, ``<``; see `stage.pipeline.selecting.selected`.

    Returns
    -------
    set of str
        Labels.

    Raises
    ------
    NotFoundError
        If there is no such task; offers the nearest.
    """
    text = selection if isinstance(selection, str) else ",".join(selection)
    before = _tasks_before(graph)

    def expand(names: Iterable[str]) -> set[str]:
        for name in names:
            graph.node(name)
        return set(names)

    def related(labels: set[str], forward: bool) -> set[str]:
        if forward:
            return {label for label, others in before.items() if others & labels}
        return set().union(*(before[label] for label in labels))

    return chosen_labels(text, graph.layout.task_index, expand, related)


def _tasks_before(graph: QuantumGraph) -> dict[str, set[str]]:
    """Return for each task all those that it builds on, directly or through others."""
    maker: dict[str, str] = {}
    before: dict[str, set[str]] = {}
    for task in graph.layout.tasks:
        reads = [c.dataset_type for c in task.connections if c.is_input or c.role in INIT_INPUT_ROLES]
        direct = {maker[name] for name in reads if name in maker}
        before[task.label] = direct.union(*(before[other] for other in direct))
        makes = (c.dataset_type for c in task.connections if c.is_output or c.role in INIT_OUTPUT_ROLES)
        maker.update(dict.fromkeys(makes, task.label))
    return before


def chosen_quanta(
    graph: QuantumGraph,
    ordinals: npt.ArrayLike | None,
    labels: Sequence[str] | str | None,
    data_id: Mapping[str, Any] | None,
) -> Ints:
    """Return the quanta that fulfil all that is asked of them.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    ordinals : array-like of int, optional
        Only these.
    labels : str or sequence of str, optional
        Only those of these tasks, or of those that such expressions choose.
    data_id : mapping, optional
        Only those whose data IDs have these values.

    Returns
    -------
    numpy.ndarray of int64
        Ordinals, rising.

    Raises
    ------
    NotFoundError
        If there is no such task or quantum.
    """
    mask = np.ones(graph.n_quanta, dtype=np.bool_)
    if ordinals is not None:
        mask &= marked(graph.n_quanta, ordinals)
    if labels is not None:
        names = tasks_chosen(graph, labels)
        mask &= np.repeat([t.label in names for t in graph.layout.tasks], list(graph.counts().values()))
    if data_id:
        mask &= marked(graph.n_quanta, graph.find(data_id=data_id))
    return np.flatnonzero(mask).astype(np.int64)


def marked(n: int, ordinals: npt.ArrayLike) -> Mask:
    """Return a mask of some quanta.

    Parameters
    ----------
    n : int
        How many quanta there are.
    ordinals : array-like of int
        Which.

    Returns
    -------
    numpy.ndarray of bool
        `n` values.

    Raises
    ------
    NotFoundError
        If one of them is too large or negative.
    """
    chosen = np.asarray(ordinals, dtype=np.int64)
    if chosen.size and not (0 <= int(chosen.min()) <= int(chosen.max()) < n):
        wrong = int(chosen[(chosen < 0) | (chosen >= n)][0])
        raise NotFoundError(f"no quantum {wrong}: the graph has {n}", code="unknown-quantum")
    mask = np.zeros(n, dtype=np.bool_)
    mask[chosen] = True
    return mask


def reached(ordinals: npt.ArrayLike, step: Csr) -> Ints:
    """Return all that can be reached from some quanta.

    Parameters
    ----------
    ordinals : array-like of int
        Where to begin.
    step : Csr
        For each quantum the next ones: its dependencies, or those that depend on it.

    Returns
    -------
    numpy.ndarray of int64
        Ordinals, rising, without those it began with (unless one leads to another).
    """
    seen = np.zeros(len(step.indptr) - 1, dtype=np.bool_)
    front = np.flatnonzero(marked(len(seen), ordinals))
    while len(front):  # as often as the pipeline is deep
        after = step.take(front).indices
        new = np.zeros_like(seen)
        new[after] = True
        front = np.flatnonzero(new & ~seen)
        seen |= new
    return np.flatnonzero(seen).astype(np.int64)


def transposed(dependencies: Csr) -> Csr:
    """Return for each quantum those that depend on it.

    Parameters
    ----------
    dependencies : Csr
        For each quantum those that it depends on.

    Returns
    -------
    Csr
        As many lists, each rising.
    """
    n = len(dependencies.indptr) - 1
    order = np.argsort(dependencies.indices, kind="stable")
    return Csr.from_pairs(n, dependencies.indices[order].astype(np.int64), dependencies.rows()[order])


def subgraph(graph: QuantumGraph, ordinals: Ints) -> QuantumGraph:
    """Return the part of a graph with only some quanta.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    ordinals : numpy.ndarray of int64
        Which quanta.

    Returns
    -------
    QuantumGraph
        With the ids that quanta and datasets had.
    """
    mask = marked(graph.n_quanta, ordinals)
    cuts = [t.offset for t in graph.layout.tasks][1:]
    return restrict(graph, np.split(mask, cuts))
