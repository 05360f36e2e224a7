"""Drop quanta without the inputs that they require, and all that hangs on them, up to a fixed point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stage.graph.table import Csr, Ints

__all__ = [
    "FIRST", "DraftConnection", "DraftTask", "Dropped", "Mask", "Pruned", "Refused", "TaskHooks", "counts", "members", "prune",
    "surviving",
]  # fmt: skip

Mask = npt.NDArray[np.bool_]
FIRST = 3
"""How many of the quanta that are dropped for one reason are remembered."""


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
    first : tuple of int
        The first few of them: rows of the task's quanta before anything was dropped.
    """

    label: str
    connection: str
    dataset_type: str
    n_dropped: int
    n_before: int
    minimum: int
    first: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """Quanta that a task's own code dropped, for one reason.

    Parameters
    ----------
    label : str
        The task.
    hook : str
        Which of its hooks.
    reason : str
        What it said.
    n_dropped, n_before : int
        Quanta dropped, and how many it was asked about.
    first : tuple of int
        The first few of them: rows of the task's quanta before anything was dropped.
    """

    label: str
    hook: str
    reason: str
    n_dropped: int
    n_before: int
    first: tuple[int, ...] = field(default=(), compare=False)


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
    refused : list of Refused
        Which quanta tasks' own code dropped, in the order found.
    tasks : list of DraftTask
        The tasks, with the edges that hooks have left them.
    """

    quanta: dict[str, Mask] = field(default_factory=dict)
    datasets: dict[str, Mask] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    tasks: list[DraftTask] = field(default_factory=list)


class TaskHooks(Protocol):
    """What tasks' own code has to say while a graph is pruned; called once for each task, producers first."""

    def define(self, task: DraftTask, there: Mapping[str, Mask]) -> tuple[DraftTask, Mask | None]:
        """Let a task divide its work.

        Parameters
        ----------
        task : DraftTask
            As divided by connections.
        there : mapping of str to mask
            By dataset type, what exists or will be made by tasks before it.

        Returns
        -------
        task : DraftTask
            With its edges.
        quanta : mask or None
            Which of its quanta there are; None for all.
        """

    def adjust(
        self, task: DraftTask, kept: Mask, there: Mapping[str, Mask]
    ) -> tuple[DraftTask, Mask, list[Refused]]:
        """Let a task drop datasets and quanta.

        Parameters
        ----------
        task : DraftTask
            With its edges.
        kept : mask
            Quanta that have what they require.
        there : mapping of str to mask
            By dataset type, what exists or will be made by tasks before it.

        Returns
        -------
        task : DraftTask
            With the edges that are left.
        kept : mask
            Quanta that are left.
        refused : list of Refused
            Why others went.
        """


def prune(
    tasks: Sequence[DraftTask],
    existing: Mapping[str, Mask],
    n_datasets: Mapping[str, int],
    skipped: Mapping[str, Mask] | None = None,
    hooks: TaskHooks | None = None,
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
    hooks : TaskHooks, optional
        Tasks' own code, where tasks have some.

    Returns
    -------
    Pruned
        A quantum is kept if each of its inputs keeps as many datasets as it requires, and its task does not refuse
        it; a planned dataset if a kept quantum makes it; one that exists if a kept quantum reads it.
    """
    out, done = Pruned(), skipped or {}
    there = {name: np.zeros(n, dtype=np.bool_) for name, n in n_datasets.items()}
    there.update({name: mask.copy() for name, mask in existing.items()})
    for given in tasks:
        task, defined = hooks.define(given, there) if hooks is not None else (given, None)
        kept = ~done[task.label] if task.label in done else np.ones(task.n_quanta, dtype=np.bool_)
        if defined is not None:
            out.refused += _undefined(task.label, kept, defined)
            kept &= defined
        kept = _with_inputs(task, kept, there, out.dropped)
        if hooks is not None:
            task, kept, refused = hooks.adjust(task, kept, there)
            out.refused += refused
        out.quanta[task.label] = kept
        out.tasks.append(task)
        for connection in task.connections:
            if not connection.is_input:
                there[connection.dataset_type][members(connection.edges, kept)] = True
    unread = {name: mask.copy() for name, mask in existing.items()}
    for task in out.tasks:
        for connection in task.connections:
            if connection.is_input and connection.dataset_type in unread:
                unread[connection.dataset_type][members(connection.edges, out.quanta[task.label])] = False
    out.datasets = {name: mask & ~unread[name] if name in unread else mask for name, mask in there.items()}
    return out


def _undefined(label: str, kept: Mask, defined: Mask) -> list[Refused]:
    """Note which candidates are no quanta in a task's own division."""
    left_out = np.flatnonzero(kept & ~defined)
    if not len(left_out):
        return []
    first = tuple(left_out[:FIRST].tolist())
    reason = "no quanta in the task's own division"
    return [Refused(label, "define_quanta", reason, len(left_out), int(np.count_nonzero(kept)), first)]


def _with_inputs(task: DraftTask, kept: Mask, there: Mapping[str, Mask], dropped: list[Dropped]) -> Mask:
    """Return the quanta that have as many of each input as they require; note why others go."""
    for c in task.connections:
        if not c.is_input or c.minimum <= 0:
            continue
        lacking = kept & (counts(c.edges, there[c.dataset_type]) < c.minimum)
        n_lost = int(np.count_nonzero(lacking))
        if n_lost:
            first = tuple(np.flatnonzero(lacking)[:FIRST].tolist())
            n_before = int(np.count_nonzero(kept))
            dropped.append(Dropped(task.label, c.name, c.dataset_type, n_lost, n_before, c.minimum, first))
            kept = kept & ~lacking
    return kept


def counts(edges: Csr, there: Mask) -> Ints:
    """Count for each quantum the datasets that are there.

    Parameters
    ----------
    edges : Csr
        The datasets of all quanta.
    there : mask
        Which there are.

    Returns
    -------
    numpy.ndarray of int64
        One number a quantum.
    """
    running = np.concatenate([[0], np.cumsum(there[edges.indices])])
    found: Ints = running[edges.indptr[1:]] - running[edges.indptr[:-1]]
    return found


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
    lengths = counts(edges, datasets)[quanta]
    return Csr(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), number[edges.indices[live]])
