"""What tasks and pipelines themselves say that quanta need, as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stage.batch.clustering.quanta import Declared
from stage.graph.table import Coded, Column
from stage.pipeline.resources import Resources

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph

__all__ = ["declared_of"]

_FIELDS = ("cpus", "memory_mb", "walltime_s")


def declared_of(graph: QuantumGraph) -> tuple[Declared, ...]:
    """Return what each task of a graph says that its quanta need.

    Parameters
    ----------
    graph : QuantumGraph
        In memory.

    Returns
    -------
    tuple of Declared
        One a task. One core is what a task has that says nothing, so it counts as nothing said. What follows from
        inputs is known only when a quantum is about to run, and counts there.
    """
    found = []
    for rows, node in zip(graph.task_rows, graph.tasks, strict=True):
        if rows.hints is None:
            found.append(_same(node.resources))
        else:
            found.append(_each(rows.hints.columns["resources"]))
    return tuple(found)


def _same(resources: Resources) -> Declared:
    cpus = resources.cpus if resources.cpus > 1 else 0
    return Declared(cpus, resources.memory_mb or 0, resources.walltime_s or 0)


def _each(column: Column) -> Declared:
    """Read each distinct text once."""
    if isinstance(column, Coded):
        texts, codes = column.values.tolist(), column.codes.astype(np.int64)
    else:
        found, inverse = np.unique(column.astype(str), return_inverse=True)
        texts, codes = found.tolist(), inverse.astype(np.int64)
    known = [_same(Resources.from_text(str(text))) for text in texts]
    values = [np.array([getattr(k, f) for k in known], dtype=np.int64)[codes] for f in _FIELDS]
    return Declared(*values)
