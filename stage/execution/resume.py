"""What of a graph is done already, by what the staging registry holds of its run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from registry import keeping
from registry.errors import NotFoundError
from registry.model.records import QuantumStatus
from stage.execution.outcome import StoredArtifact
from stage.graph.dependencies import consumers, producers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry.registry import Snapshot
    from stage.graph.graph import QuantumGraph
    from sync.repo import Repo

    Mask = npt.NDArray[np.bool_]

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
    again : numpy.ndarray of bool, optional
        Which of the others were complete, and run again only since files that they made were removed and are needed.
    standing : mapping of int to tuple of StoredArtifact
        For those, what they made that is still recorded; only the same bytes may take its place.
    """

    mask: npt.NDArray[np.bool_]
    attempts: Mapping[int, int] = field(default_factory=dict)
    absent: Mapping[int, list[int]] = field(default_factory=dict)
    again: npt.NDArray[np.bool_] | None = None
    standing: Mapping[int, tuple[StoredArtifact, ...]] = field(default_factory=dict)


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
        A quantum is complete if an attempt at it succeeded or found no work, all that it made is still known, and
        no quantum that is not complete reads a file of it that was removed.
    """
    nothing = Completed(np.zeros(graph.n_quanta, dtype=np.bool_))
    if not graph.n_quanta:
        return nothing
    with staging.registry.read() as snapshot, contextlib.suppress(NotFoundError):
        return _completed(snapshot, graph)
    return nothing


def _completed(snapshot: Snapshot, graph: QuantumGraph) -> Completed:
    run = graph.output_run
    snapshot.collection(run)
    quanta = snapshot.quanta([run], latest=False, names=("id", "status", "attempt"))
    ordinals = graph.quantum_ordinals(quanta["id"].tolist())
    ours, status = ordinals >= 0, quanta["status"]
    mask = np.zeros(graph.n_quanta, dtype=np.bool_)
    for complete in QuantumStatus.COMPLETE:
        mask[ordinals[ours & (status == complete)]] = True
    made = _made(snapshot, graph, mask)
    again = _to_be_made_again(snapshot, graph, mask)
    mask &= ~again
    # A blocked quantum was not tried: its record is replaced. Others get a new one.
    tried = ours & ~mask[ordinals]
    numbers = quanta["attempt"].astype(np.int64) + (status != QuantumStatus.BLOCKED)
    # Rows come by attempt, so the last of a quantum's counts.
    attempts = dict(zip(ordinals[tried].tolist(), numbers[tried].tolist(), strict=True))
    standing = _standing(snapshot, graph, np.flatnonzero(again), made)
    return Completed(mask, attempts, _absent(graph, mask, made), again, standing)


def _made(snapshot: Snapshot, graph: QuantumGraph, complete: Mask) -> Mask:
    """Say which datasets complete quanta have made, and take those for incomplete that made what is known no more."""
    made = np.ones(graph.n_datasets, dtype=np.bool_)
    odd = complete & _odd(snapshot, graph) if complete.any() else complete
    if odd.any():
        rows = keeping.outputs_of_quanta(snapshot, graph.quantum_ids(np.flatnonzero(odd)))
        planned = graph.outputs_of(np.flatnonzero(odd)).dataset
        recorded = graph.dataset_ordinals(rows["dataset_id"].tolist())
        made[planned] = False
        made[recorded[recorded >= 0]] = True
        is_lost = ~rows["is_known"].astype(np.bool_)
        complete[graph.quantum_ordinals(rows["quantum_id"][is_lost].tolist())] = False
    return made


def _odd(snapshot: Snapshot, graph: QuantumGraph) -> Mask:
    """Say which quanta may not have made all that they were expected to: they are told by how much they made.

    A quantum records nothing that is not planned, so that of most the number is enough.
    """
    odd = np.ones(graph.n_quanta, dtype=np.bool_)
    if graph.header.origins:  # what was planned once may be planned no more
        return odd
    maker = producers(graph)
    n_planned = np.bincount(maker[maker >= 0], minlength=graph.n_quanta)
    usual = {}
    for task in graph.layout.tasks:
        if task.n_quanta:
            mine = slice(task.offset, task.offset + task.n_quanta)
            usual[task.label] = int(np.bincount(n_planned[mine]).argmax())
            odd[mine] = n_planned[mine] != usual[task.label]
    found = graph.quantum_ordinals(keeping.odd_quanta(snapshot, graph.output_run, usual))
    odd[found[found >= 0]] = True
    return odd


def _to_be_made_again(snapshot: Snapshot, graph: QuantumGraph, complete: Mask) -> Mask:
    """Say which complete quanta have to run again since others read files of theirs that are there no more."""
    again = np.zeros(graph.n_quanta, dtype=np.bool_)
    if complete.all() or not complete.any():
        return again
    maker = producers(graph)
    without_file = graph.dataset_ordinals(keeping.without_artifacts(snapshot, graph.output_run))
    gone = np.zeros(graph.n_datasets, dtype=np.bool_)
    gone[without_file[without_file >= 0]] = True
    gone &= maker >= 0
    if not gone.any():
        return again
    readers = consumers(graph)
    datasets = readers.rows()
    of_gone = gone[datasets]
    made_by, read_by = maker[datasets[of_gone]], readers.indices[of_gone].astype(np.int64)
    due = ~complete
    # Each turn goes one quantum further up a chain of files that are gone.
    while len(more := made_by[due[read_by] & ~due[made_by]]):
        due[more] = again[more] = True
    return again


def _standing(
    snapshot: Snapshot, graph: QuantumGraph, quanta: npt.NDArray[np.int64], made: Mask
) -> dict[int, tuple[StoredArtifact, ...]]:
    """Return what quanta that run again have made and is recorded still, without their logs and metadata."""
    if not len(quanta):
        return {}
    own = [c.name for t in graph.layout.tasks for c in t.connections if c.role != "output"]
    edges = graph.outputs_of(quanta)
    kept = np.flatnonzero(made[edges.dataset] & ~np.isin(edges.connection.astype(np.str_), own))
    datasets = edges.dataset[kept]
    ids = graph.dataset_ids(datasets)
    place = dict(zip(ids, zip(edges.quantum[kept].tolist(), datasets.tolist(), strict=True), strict=True))
    out: dict[int, tuple[StoredArtifact, ...]] = {}
    for rows in snapshot.datasets_by_id(ids, artifacts=True).values():
        for i, uri, *rest in rows.rows(("id", "uri", "size", "checksum", "formatter")):
            if uri is not None:
                q, d = place[i]
                out[q] = (*out.get(q, ()), StoredArtifact(d, uri, *rest))
    return out


def _absent(graph: QuantumGraph, mask: Mask, made: Mask) -> dict[int, list[int]]:
    """Name for each complete quantum the planned datasets that are not among those recorded."""
    if not mask.any():
        return {}
    maker = producers(graph)
    lacks = np.flatnonzero((maker >= 0) & ~made)
    lacks = lacks[mask[maker[lacks]]]
    missing: dict[int, list[int]] = {}
    for dataset, quantum in zip(lacks.tolist(), maker[lacks].tolist(), strict=True):
        missing.setdefault(quantum, []).append(dataset)
    return missing
