"""What of a graph is done already, by what the staging registry holds of its run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from registry.errors import NotFoundError
from registry.model.records import QuantumStatus
from stage.graph.dependencies import producers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.model.columns import Columns
    from registry.registry import Snapshot
    from stage.graph.graph import QuantumGraph
    from sync.repo import Repo

__all__ = ["Completed", "completed"]


@dataclass(frozen=True, slots=True)
class Completed:
    """What need not run again.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (n_quanta,)
        Which quanta are complete.
    attempts : mapping of int to int
        For others that were tried, the number of the next attempt.
    absent : mapping of int to list of int
        For complete quanta, the datasets that they were expected to make and did not.
    """

    mask: npt.NDArray[np.bool_]
    attempts: Mapping[int, int] = field(default_factory=dict)
    absent: Mapping[int, list[int]] = field(default_factory=dict)


def completed(staging: Repo, graph: QuantumGraph) -> Completed:
    """Find out which quanta of a graph are complete in its run.

    Parameters
    ----------
    staging : Repo
        The staging repository.
    graph : QuantumGraph
        A graph that has a RUN; one that staging does not know yet has nothing complete.

    Returns
    -------
    Completed
        A quantum is complete if an attempt at it succeeded or found no work, and all that it made is still
        there.
    """
    nothing = Completed(np.zeros(graph.n_quanta, dtype=np.bool_))
    if not graph.n_quanta:
        return nothing
    with staging.registry.read() as snapshot, contextlib.suppress(NotFoundError):
        snapshot.collection(graph.output_run)
        return _completed(snapshot, graph, snapshot.quanta([graph.output_run], latest=False))
    return nothing


def _completed(snapshot: Snapshot, graph: QuantumGraph, quanta: Columns) -> Completed:
    place = {i: n for n, i in enumerate(graph.quantum_ids(np.arange(graph.n_quanta)))}
    ordinals = np.array([place.get(i, -1) for i in quanta["id"].tolist()], dtype=np.int64)
    ours = ordinals >= 0
    status = np.array([s in QuantumStatus.COMPLETE for s in quanta["status"].tolist()], dtype=np.bool_)
    mask = np.zeros(graph.n_quanta, dtype=np.bool_)
    mask[ordinals[ours & status]] = True
    outputs = snapshot.quantum_outputs([graph.output_run])
    made_by = np.array([place.get(i, -1) for i in outputs["quantum_id"].tolist()], dtype=np.int64)
    dataset_ids = outputs["dataset_id"].tolist()
    there = snapshot.existing_ids(dataset_ids)
    is_gone = np.array([i not in there for i in dataset_ids], dtype=np.bool_)
    mask[made_by[(made_by >= 0) & is_gone]] = False
    # A blocked quantum was not tried: its record is replaced. Others get a new one.
    tried = ours & ~mask[ordinals]
    was_run = np.array([s != QuantumStatus.BLOCKED for s in quanta["status"].tolist()], dtype=np.int64)
    numbers = quanta["attempt"].astype(np.int64) + was_run
    # Rows come by attempt, so the last of a quantum's counts.
    attempts = dict(zip(ordinals[tried].tolist(), numbers[tried].tolist(), strict=True))
    return Completed(mask, attempts, _absent(graph, mask, dataset_ids))


def _absent(
    graph: QuantumGraph, mask: npt.NDArray[np.bool_], dataset_ids: list[bytes]
) -> dict[int, list[int]]:
    """Name for each complete quantum the planned datasets that are not among those recorded."""
    maker = producers(graph)
    planned = np.flatnonzero(maker >= 0)
    planned = planned[mask[maker[planned]]]
    if not len(planned):
        return {}
    made = set(dataset_ids)
    lacks = np.array([i not in made for i in graph.dataset_ids(planned)], dtype=np.bool_)
    missing: dict[int, list[int]] = {}
    for dataset, quantum in zip(planned[lacks].tolist(), maker[planned[lacks]].tolist(), strict=True):
        missing.setdefault(quantum, []).append(dataset)
    return missing
