"""Drop quanta without the inputs that they require, and all that hangs on them, up to a fixed point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stage.graph.table import Csr, Ints

__all__ = ["DraftConnection", "DraftTask", "Dropped", "members", "prune", "surviving"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class DraftConnection:
    """One connection of a task before pruning.

    Parameters
    ----------
    name : str
        Name within the task.
    dataset_type : str
        Name of the dataset type.
    is_input : bool
        Whether quanta read it.
    minimum : int
        Fewest datasets with which a quantum of an input is kept.
    edges : Csr
        Rows of the dataset type for each quantum.
    """

    name: str
    dataset_type: str
    is_input: bool
    minimum: int
    edges: Csr


@dataclass(frozen=True, slots=True, eq=False)
class DraftTask:
    """One task before pruning.

    Parameters
    ----------
    label : str
        The task.
    n_quanta : int
        How many it has.
    connections : sequence of DraftConnection
        Those with edges.
    """

    label: str
    n_quanta: int
    connections: Sequence[DraftConnection]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Quanta that were dropped for want of one input.

    Parameters
    ----------
    label, connection, dataset_type : str
        Of the task and its input.
    n_dropped, n_before : int
        Quanta dropped, and how many the task had before this input was looked at.
    minimum : int
        Datasets that each would have needed.
    """

    label: str
    connection: str
    dataset_type: str
    n_dropped: int
    n_before: int
    minimum: int


@dataclass(slots=True, eq=False)
class Pruned:
    """What is left.

    Parameters
    ----------
    quanta : dict of str to mask
        By task, which quanta are kept.
    datasets : dict of str to mask
        By dataset type, which datasets are kept.
    dropped : list of Dropped
        Why quanta went, in the order found.
    """

    quanta: dict[str, Mask] = field(default_factory=dict)
    datasets: dict[str, Mask] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)


def prune(
    tasks: Sequence[DraftTask],
    existing: Mapping[str, Mask],
    n_datasets: Mapping[str, int],
    skipped: Mapping[str, Mask] | None = None,
) -> Pruned:
    """Decide which quanta and datasets a graph keeps.

    Parameters
    ----------
    tasks : sequence of DraftTask
        In an order in which every producer comes before its consumers, so that one pass reaches the fixed point.
    existing : mapping of str to mask
        By overall input, and by output of skipped quanta, which of its datasets there are.
    n_datasets : mapping of str to int
        By dataset type, how many rows it has.
    skipped : mapping of str to mask, optional
        By task, which of its quanta are not done again, whatever their inputs.

    Returns
    -------
    Pruned
        A quantum is kept if each of its inputs keeps as many datasets as it requires; a planned dataset if a kept
        quantum makes it; one that exists if a kept quantum reads it.
    """
    out, done = Pruned(), skipped or {}
    there = {name: np.zeros(n, dtype=np.bool_) for name, n in n_datasets.items()}
    there.update({name: mask.copy() for name, mask in existing.items()})
    for task in tasks:
        kept = ~done[task.label] if task.label in done else np.ones(task.n_quanta, dtype=np.bool_)
        for connection in task.connections:
            if connection.is_input and connection.minimum > 0:
                enough = _counts(connection.edges, there[connection.dataset_type]) >= connection.minimum
                before = int(np.count_nonzero(kept))
                kept &= enough
                lost = before - int(np.count_nonzero(kept))
                if lost:
                    out.dropped.append(
                        Dropped(
                            task.label,
                            connection.name,
                            connection.dataset_type,
                            lost,
                            before,
                            connection.minimum,
                        )
                    )
        out.quanta[task.label] = kept
        for connection in task.connections:
            if not connection.is_input:
                there[connection.dataset_type][members(connection.edges, kept)] = True
    unread = {name: mask.copy() for name, mask in existing.items()}
    for task in tasks:
        for connection in task.connections:
            if connection.is_input and connection.dataset_type in unread:
                unread[connection.dataset_type][members(connection.edges, out.quanta[task.label])] = False
    out.datasets = {name: mask & ~unread[name] if name in unread else mask for name, mask in there.items()}
    return out


def _counts(edges: Csr, there: Mask) -> Ints:
    """Count for each quantum the datasets that are there."""
    running = np.concatenate([[0], np.cumsum(there[edges.indices])])
    counts: Ints = running[edges.indptr[1:]] - running[edges.indptr[:-1]]
    return counts


def members(edges: Csr, kept: Mask) -> npt.NDArray[np.int32]:
    """Return the datasets that some quanta have.

    Parameters
    ----------
    edges : Csr
        The datasets of all quanta.
    kept : mask
        Which quanta.

    Returns
    -------
    numpy.ndarray of int32
        Rows of the datasets, with repeats.
    """
    return edges.indices if kept.all() else edges.indices[np.repeat(kept, np.diff(edges.indptr))]


def surviving(edges: Csr, quanta: Mask, datasets: Mask) -> Csr:
    """Return the edges between kept quanta and kept datasets, both numbered anew.

    Parameters
    ----------
    edges : Csr
        Edges before pruning.
    quanta, datasets : mask
        Which are kept.

    Returns
    -------
    Csr
        One list a kept quantum.
    """
    if quanta.all() and datasets.all():
        return edges
    live = np.repeat(quanta, np.diff(edges.indptr)) & datasets[edges.indices]
    number = np.cumsum(datasets, dtype=np.int32) - np.int32(1)
    counts = _counts(edges, datasets)[quanta]
    return Csr(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), number[edges.indices[live]])
