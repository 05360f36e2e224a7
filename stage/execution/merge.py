"""`merge_records`: bring what batch jobs recorded into staging (the field's transfer-from-graph)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import ConflictError, IntegrityError, NotFoundError, StageError
from registry.model.garbage import without_collection
from registry.model.records import Artifact, QuantumStatus
from registry.model.refs import id_text
from stage.execution.discovered import Discoveries
from stage.execution.outcome import QuantumOutcome, StoredArtifact
from stage.execution.record import record_discoveries, record_outcomes
from stage.execution.record_file import RecordFile
from sync.faults import At, no_fault
from sync.filesystem import files
from sync.sizes import sizes_of

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph
    from sync.filesystem.files import Uri
    from sync.repo import Repo

__all__ = ["MergeResult", "check_graph", "merge_outcomes", "merge_records", "rank"]

_BATCH = 20_000
"""Outcomes in a transaction."""

Key = tuple[int, int]
"""A quantum's ordinal, and the number of an attempt at it."""


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
    refused : dict of str to str
        Record files and quanta that were left out, and why.
    """

    n_records: int
    n_quanta: int
    n_merged: int
    n_datasets: int
    counts: dict[str, int]
    refused: dict[str, str] = field(default_factory=dict)


def merge_records(
    staging: Repo,
    graph: QuantumGraph,
    record_uris: Sequence[Uri],
    *,
    leave_out_bad: bool = False,
    at: At = no_fault,
) -> MergeResult:
    """Record in staging what jobs did; again and in any order with the same result.

    Parameters
    ----------
    staging : Repo
        Writable; the graph's run is prepared there.
    graph : QuantumGraph
        The graph that the jobs ran.
    record_uris : sequence of str or path
        Their record files.
    leave_out_bad : bool, optional
        Whether a record file that is damaged, or a quantum whose files are not there as recorded, is left out and
        named; all others are then merged.
    at : callable, optional
        Called between durable steps, see `sync.faults`.

    Returns
    -------
    MergeResult
        What was merged.

    Raises
    ------
    NotFoundError
        If a record file, or an output that one names, is not there.
    IntegrityError
        If a record file is damaged, or an output is not what was recorded.
    ConflictError
        If a record file is of another graph. In all these cases nothing has changed.

    Notes
    -----
    Jobs may still be running: what they have recorded so far is merged, and the rest another time. Outputs are looked for
    and their sizes compared; where a job was started more than once, also their checksums.
    """
    refused: dict[str, str] = {}
    with without_collection():
        loaded = list(_read(record_uris, graph, refused if leave_out_bad else None))
        outcomes = [o for record in loaded for o in record.outcomes]
    doubtful = {(o.ordinal, o.attempt) for record in loaded if record.start for o in record.outcomes}
    merged = merge_outcomes(
        staging,
        graph,
        outcomes,
        doubtful=doubtful,
        refused=refused if leave_out_bad else None,
        at=at,
    )
    return replace(merged, n_records=len(loaded), refused=refused)


def _read(uris: Sequence[Uri], graph: QuantumGraph, refused: dict[str, str] | None) -> Iterator[RecordFile]:
    """Read record files, each checked; those that are not good are an error, or noted if that is asked for."""
    for uri in uris:
        try:
            record = RecordFile.load(uri)
            check_graph(files.redact(uri), record, graph)
        except (NotFoundError, IntegrityError, ConflictError) as error:
            if refused is None:
                raise
            refused[files.redact(uri)] = error.message
        else:
            yield record


def merge_outcomes(
    staging: Repo,
    graph: QuantumGraph,
    outcomes: Sequence[QuantumOutcome],
    sizes: Mapping[str, int] | None = None,
    *,
    doubtful: Collection[Key] = (),
    refused: dict[str, str] | None = None,
    at: At = no_fault,
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
    doubtful : collection of (int, int), optional
        Ordinals and attempts of outcomes whose files are read and compared with their checksums.
    refused : dict, optional
        Takes quanta whose files are not there as recorded, and why; these are left out. Without it, they are an error.
    at : callable, optional
        Called between durable steps, see `sync.faults`.

    Returns
    -------
    MergeResult
        What was merged.

    Raises
    ------
    NotFoundError
        If an output that one names is not there.
    IntegrityError
        If an output is not what was recorded. In both cases nothing has changed.
    """
    outcomes = _each_once(outcomes)
    new, outdone = _not_recorded(staging, graph, outcomes)
    if bad := _without_their_files(staging, graph, new, sizes, doubtful):
        if refused is None:
            raise next(iter(bad.values()))
        refused.update({str(graph.quantum(new[i].ordinal)): error.message for i, error in bad.items()})
        new = [o for i, o in enumerate(new) if i not in bad]
    at("outputs-checked")
    discoveries = Discoveries(graph, staging.datastore)
    found = [o for o in new if discoveries.has(o)]
    new = [o for o in new if not discoveries.has(o)]
    for outcome in found:
        new.append(record_discoveries(staging.registry, graph, discoveries, outcome, keep=True))
        at("discovery-recorded")
    for start in range(0, max(len(new), len(outdone)), _BATCH):
        stop = start + _BATCH
        with staging.registry.write() as change:
            record_outcomes(change, graph, new[start:stop], outdone=outdone[start:stop])
            at("batch-written")
        at("batch-recorded")
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
    n_quanta, n_datasets = graph.n_quanta, graph.n_datasets
    bad = [o.ordinal for o in record.outcomes if not 0 <= o.ordinal < n_quanta]
    bad += [a.dataset for o in record.outcomes for a in o.artifacts if not 0 <= a.dataset < n_datasets]
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
    best: dict[Key, QuantumOutcome] = {}
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
    names = ("id", "status", "attempt", "finished_ns")
    with staging.registry.read() as snapshot:
        rows = snapshot.quanta([graph.output_run], latest=False, names=names)
    for quantum, status, attempt, finished in rows.rows(names):
        held[quantum, attempt] = (status in QuantumStatus.COMPLETE, attempt, finished or 0)
        best[quantum] = max(best.get(quantum, lowest), held[quantum, attempt])
    ids = graph.quantum_ids(np.array([o.ordinal for o in outcomes], dtype=np.int64))
    named = [(i, o) for i, o in zip(ids, outcomes, strict=True) if rank(o) > held.get((i, o.attempt), lowest)]
    for quantum, outcome in named:
        best[quantum] = max(best.get(quantum, lowest), rank(outcome))
    new = [o for i, o in named if rank(o) == best[i]]
    return new, [o for i, o in named if rank(o) != best[i]]


def _without_their_files(
    staging: Repo,
    graph: QuantumGraph,
    outcomes: Sequence[QuantumOutcome],
    sizes: Mapping[str, int] | None,
    doubtful: Collection[Key],
) -> dict[int, StageError]:
    """Return the places of outcomes whose files are not there as they were recorded, and what is wrong with each."""
    stored = [a for o in outcomes for a in o.artifacts]
    if not stored:
        return {}
    uris = [a.uri for a in stored]
    found = np.array([(sizes or {}).get(uri, -1) for uri in uris], dtype=np.int64)
    unknown = np.flatnonzero(found < 0)
    found[unknown] = sizes_of([uris[i] for i in unknown.tolist()], staging.datastore.root)
    place = np.repeat(np.arange(len(outcomes)), [len(o.artifacts) for o in outcomes])
    bad: dict[int, StageError] = {}
    for i in np.flatnonzero(found != np.array([a.size for a in stored], dtype=np.int64)).tolist():
        at = int(place[i])
        bad.setdefault(at, _wrong_file(str(graph.quantum(outcomes[at].ordinal)), stored[i], int(found[i])))
    for at, outcome in enumerate(outcomes if doubtful else ()):
        if at not in bad and (outcome.ordinal, outcome.attempt) in doubtful:
            try:
                for artifact in outcome.artifacts:
                    staging.datastore.verify(Artifact(*artifact[1:]))
            except (NotFoundError, IntegrityError) as error:
                bad[at] = error
    return dict(sorted(bad.items()))


def _wrong_file(quantum: str, artifact: StoredArtifact, size: int) -> StageError:
    uri, recorded = artifact.uri, artifact.size
    if size < 0:
        return NotFoundError(
            f"{quantum} recorded {uri}, which is not there",
            code="artifact-gone",
            hint="Bring the job's outputs to the datastore, or run the job again.",
        )
    return IntegrityError(
        f"{uri} has {size} bytes, but {recorded} were recorded",
        code="artifact-size",
        hint="Run the job again.",
    )
