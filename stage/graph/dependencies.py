"""Which quanta must come before which: computed from edges by joins of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import unique_values
from stage.graph.table import Csr, Ints

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph

__all__ = ["compute_dependencies", "consumers", "producers"]


def producers(graph: QuantumGraph) -> Ints:
    """Return the quantum that makes each dataset.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.

    Returns
    -------
    numpy.ndarray of int64, shape (n_datasets,)
        Ordinals; -1 where no quantum makes it.
    """
    out = np.full(graph.n_datasets, -1, dtype=np.int64)
    for task, layout in zip(graph.task_rows, graph.layout.tasks, strict=True):
        for connection in task.connections:
            if connection.is_output:
                csr = task.edges[connection.name]
                out[_datasets(graph, connection.dataset_type, csr)] = csr.rows() + layout.offset
    return out


def consumers(graph: QuantumGraph) -> Csr:
    """Return the quanta that read each dataset.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.

    Returns
    -------
    Csr
        One list of ordinals a dataset, rising and without repeats.
    """
    datasets, quanta = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for task, layout in zip(graph.task_rows, graph.layout.tasks, strict=True):
        for connection in task.connections:
            if connection.is_input:
                csr = task.edges[connection.name]
                datasets.append(_datasets(graph, connection.dataset_type, csr))
                quanta.append(csr.rows() + layout.offset)
    pairs = unique_values((np.concatenate(datasets) << 32) | np.concatenate(quanta))
    return Csr.from_pairs(graph.n_datasets, pairs >> 32, pairs & 0xFFFFFFFF)


def compute_dependencies(graph: QuantumGraph) -> Csr:
    """Return for each quantum those before it whose outputs it reads.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.

    Returns
    -------
    Csr
        One list of ordinals a quantum, rising and without repeats.
    """
    maker = producers(graph)
    empty = np.zeros(0, dtype=np.int64)
    later, earlier = [empty], [empty]
    for task, layout in zip(graph.task_rows, graph.layout.tasks, strict=True):
        pairs = [empty]
        for connection in task.connections:
            if not connection.is_input:
                continue
            csr = task.edges[connection.name]
            made_by = maker[_datasets(graph, connection.dataset_type, csr)]
            internal = made_by >= 0
            pairs.append(((csr.rows() + layout.offset)[internal] << 32) | made_by[internal])
        merged = np.concatenate(pairs)
        if len(pairs) > 2 or np.any(merged[1:] <= merged[:-1]):  # several connections may name one producer
            merged = unique_values(merged)
        later.append(merged >> 32)
        earlier.append(merged & 0xFFFFFFFF)
    return Csr.from_pairs(graph.n_quanta, np.concatenate(later), np.concatenate(earlier))


def _datasets(graph: QuantumGraph, dataset_type: str, csr: Csr) -> Ints:
    offset = graph.layout.types[graph.layout.type_index[dataset_type]].offset
    return csr.indices.astype(np.int64) + offset
