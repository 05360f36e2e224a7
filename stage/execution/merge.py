"""`merge_records`: bring what batch jobs recorded into staging (the field's transfer-from-graph)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import ConflictError, IntegrityError, NotFoundError
from registry.model.records import QuantumStatus
from registry.model.refs import id_text
from stage.execution.discovered import Discoveries
from stage.execution.outcome import QuantumOutcome
from stage.execution.record import record_discoveries, record_outcomes
from stage.execution.record_file import RecordFile, load_all

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph
    from sync.filesystem.files import Uri
    from sync.repo import Repo

__all__ = ["MergeResult", "check_graph", "merge_outcomes", "merge_records", "rank"]

_BATCH = 5000


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge did.

    Parameters
    ----------
    n_records : int
        Record files read.
    n_quanta : int
        Outcomes in them.
    n_merged : int
        Outcomes written to the registry; the others were there, or were outdone by a later attempt.
    n_datasets : int
        Datasets of those.
    counts : dict of str to int
        Outcomes in the files by status.
    """

    n_records: int
    n_quanta: int
    n_merged: int
    n_datasets: int
    counts: dict[str, int]


def merge_records(staging: Repo, graph: QuantumGraph, record_uris: Sequence[Uri]) -> MergeResult:
    """Record in staging what jobs did; again and in any order with the same result.

    Parameters
    ----------
    staging : Repo
        Writable; the graph's run is prepared there.
    graph : QuantumGraph
        The graph that the jobs ran.
    record_uris : sequence of str or path
        Their record files.

    Returns
    -------
    MergeResult
        What was merged.

    Raises
    ------
    NotFoundError
        If a record file, or an output that one names, is not there.
    IntegrityError
        If a record file is damaged, or an output has not the size that was recorded.
    ConflictError
        If a record file is of another graph. In all these cases nothing has changed.
    """
    records = load_all(record_uris)
    for uri, record in records:
        check_graph(uri, record, graph)
    merged = merge_outcomes(staging, graph, [o for _, r in records for o in r.outcomes])
    return replace(merged, n_records=len(records))


def merge_outcomes(
    staging: Repo,
    graph: QuantumGraph,
    outcomes: Sequence[QuantumOutcome],
    sizes: Mapping[str, int] | None = None,
) -> MergeResult:
    """Record in staging what became of quanta; again and in any order with the same result.

    Parameters
    ----------
    staging : Repo
        Writable; the graph's run is prepared there.
    graph : QuantumGraph
        The graph that was run.
    outcomes : sequence of QuantumOutcome
        What became of them, some perhaps more than once.
    sizes : mapping of str to int, optional
        The files that are there, relative to the datastore's root, with their bytes; each is looked for by default.

    Returns
    -------
    MergeResult
        What was merged.

    Raises
    ------
    NotFoundError
        If an output that one names is not there.
    IntegrityError
        If an output has not the size that was recorded. In both cases nothing has changed.
    """
    outcomes = _each_once(outcomes)
    new, outdone = _not_recorded(staging, graph, outcomes)
    for outcome in new:
        _check_artifacts(staging, graph, outcome, sizes)
    discoveries = Discoveries(graph, staging.datastore)
    found = [o for o in new if discoveries.has(o)]
    new = [o for o in new if not discoveries.has(o)]
    new += [record_discoveries(staging.registry, graph, discoveries, o, keep=True) for o in found]
    for start in range(0, max(len(new), len(outdone)), _BATCH):
        stop = start + _BATCH
        with staging.registry.write() as change:
            record_outcomes(change, graph, new[start:stop], outdone=outdone[start:stop])
    became = {(o.ordinal, o.attempt): o.status for o in [*outcomes, *new]}
    statuses = list(became.values())
    return MergeResult(
        0,
        len(outcomes),
        len(new) + len(outdone),
        sum(len(o.artifacts) for o in new),
        {s: statuses.count(s) for s in sorted(set(statuses))},
    )


def check_graph(uri: str, record: RecordFile, graph: QuantumGraph) -> None:
    """Refuse a record file of another graph.

    Parameters
    ----------
    uri : str
        Where it is.
    record : RecordFile
        What it holds.
    graph : QuantumGraph
        The graph.

    Raises
    ------
    ConflictError
        If it is of another one; names both.
    IntegrityError
        If it names what the graph does not have.
    """
    if record.graph_id != graph.id:
        raise ConflictError(
            f"record file {uri} is of graph {id_text(record.graph_id)} (run '{record.run}'), "
            f"not of {id_text(graph.id)} (run '{graph.output_run}')",
            code="record-of-other-graph",
            hint="Merge it with the graph that its job was given.",
        )
    bad = [o.ordinal for o in record.outcomes if not 0 <= o.ordinal < graph.n_quanta]
    bad += [a.dataset for o in record.outcomes for a in o.artifacts if not 0 <= a.dataset < graph.n_datasets]
    if bad:
        raise IntegrityError(f"record file {uri} names a quantum or dataset {bad[0]} that the graph lacks")


def rank(outcome: QuantumOutcome) -> tuple[bool, int, int]:
    """Order outcomes of one quantum: what is complete stands above all else, then what came later.

    Parameters
    ----------
    outcome : QuantumOutcome
        One of them.

    Returns
    -------
    tuple
        To compare with another's.
    """
    return outcome.status in QuantumStatus.COMPLETE, outcome.attempt, outcome.finished_ns


def _each_once(outcomes: Sequence[QuantumOutcome]) -> list[QuantumOutcome]:
    """Return each attempt at each quantum once, in the order of quanta and attempts."""
    best: dict[tuple[int, int], QuantumOutcome] = {}
    for outcome in outcomes:
        key = (outcome.ordinal, outcome.attempt)
        if key not in best or rank(outcome) > rank(best[key]):
            best[key] = outcome
    return [best[key] for key in sorted(best)]


def _not_recorded(
    staging: Repo, graph: QuantumGraph, outcomes: list[QuantumOutcome]
) -> tuple[list[QuantumOutcome], list[QuantumOutcome]]:
    """Leave out what staging holds already, and tell apart what another attempt has outdone."""
    lowest = (False, -1, 0)
    held: dict[tuple[bytes, int], tuple[bool, int, int]] = {}
    best: dict[bytes, tuple[bool, int, int]] = {}
    with staging.registry.read() as snapshot:
        rows = snapshot.quanta([graph.output_run], latest=False)
    for quantum, status, attempt, finished in rows.rows(("id", "status", "attempt", "finished_ns")):
        held[quantum, attempt] = (status in QuantumStatus.COMPLETE, attempt, finished or 0)
        best[quantum] = max(best.get(quantum, lowest), held[quantum, attempt])
    ids = graph.quantum_ids(np.array([o.ordinal for o in outcomes], dtype=np.int64))
    named = [(i, o) for i, o in zip(ids, outcomes, strict=True) if rank(o) > held.get((i, o.attempt), lowest)]
    for quantum, outcome in named:
        best[quantum] = max(best.get(quantum, lowest), rank(outcome))
    new = [o for i, o in named if rank(o) == best[i]]
    return new, [o for i, o in named if rank(o) != best[i]]


def _check_artifacts(
    staging: Repo, graph: QuantumGraph, outcome: QuantumOutcome, sizes: Mapping[str, int] | None
) -> None:
    for artifact in outcome.artifacts:
        size = None if sizes is None else sizes.get(artifact.uri)
        try:
            size = staging.datastore.size(artifact.uri) if size is None else size
        except NotFoundError as error:
            raise NotFoundError(
                f"{graph.quantum(outcome.ordinal)} recorded {artifact.uri}, which is not there",
                code="artifact-gone",
                hint="Bring the job's outputs to the datastore, or run the job again.",
            ) from error
        if size != artifact.size:
            raise IntegrityError(
                f"{artifact.uri} has {size} bytes, but {artifact.size} were recorded",
                code="artifact-size",
                hint="Run the job again.",
            )
