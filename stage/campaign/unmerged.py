"""What jobs of a submission have recorded and nobody has merged yet: read from their record files, for whoever looks.

A job that runs records each quantum that ends, so that logs of quanta that failed are found while all others still run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from registry.errors import StageError
from registry.model.records import Artifact, QuantumStatus
from stage.batch.layout import SubmitDir
from stage.campaign.merging import records_below
from stage.campaign.outcomes import has_collection, planned_tasks
from stage.campaign.steps import run_graphs

if TYPE_CHECKING:
    from pathlib import Path

    from registry.registry import Snapshot
    from stage.campaign.layout import Layout
    from stage.execution.outcome import QuantumOutcome
    from stage.graph.graph import QuantumGraph

__all__ = ["Unmerged", "is_complete", "unmerged"]


class Unmerged(NamedTuple):
    """An attempt at a quantum of which staging does not know yet.

    Parameters
    ----------
    task, data_id : str
        Which; the data ID as compact JSON.
    quantum : bytes
        Its id.
    status, message : str
        What became of it.
    attempt : int
        How often it was tried before.
    log : Artifact or None
        Its log, in the campaign's datastore.
    is_last : bool
        Whether it stands above all others, those in staging too.
    before : str
        What staging says of the quantum; empty for nothing.
    """

    task: str
    data_id: str
    quantum: bytes
    status: str
    message: str
    attempt: int
    log: Artifact | None
    is_last: bool
    before: str


def is_complete(snapshot: Snapshot, layout: Layout, run: str) -> bool:
    """Tell whether every planned quantum of a run is recorded as complete: counting is much quicker than reading.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.
    layout : Layout
        The campaign's paths.
    run : str
        The RUN.

    Returns
    -------
    bool
        Whether it is.
    """
    counts = snapshot.count_outcomes(run).rows(("status", "n"))
    n_complete = sum(n for status, n in counts if status in QuantumStatus.COMPLETE)
    return bool(n_complete == sum(planned_tasks(layout, run).values()))


def unmerged(snapshot: Snapshot, layout: Layout, run: str, *, most: int | None = None) -> list[Unmerged]:
    """Read what jobs have recorded of a run that is not complete, and staging does not have.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.
    layout : Layout
        The campaign's paths.
    run : str
        The RUN.
    most : int, optional
        Read nothing where there are more record files: each takes a tenth of a millisecond.

    Returns
    -------
    list of Unmerged
        In the order of the graphs. Files that are damaged, or of another graph, are left out: merging names them.

    Notes
    -----
    Each record file is read once, and staging is asked once, however much there is.
    """
    folder = SubmitDir(layout.submit(run)).records
    if not folder.is_dir() or not has_collection(snapshot, run) or is_complete(snapshot, layout, run):
        return []
    uris = records_below(folder)
    if not uris or (most is not None and len(uris) > most):
        return []
    found = _outcomes(uris)
    rows = snapshot.quanta([run], latest=False, names=("id", "status", "attempt"))
    recorded: dict[bytes, dict[int, str]] = {}
    for quantum, status, attempt in rows.rows(("id", "status", "attempt")):
        recorded.setdefault(quantum, {})[attempt] = status
    return [
        row
        for path in run_graphs(layout, run) or [layout.run_graph(run)]
        for row in _of_graph(path, found, recorded)
    ]


def _outcomes(uris: Iterable[str]) -> dict[bytes, list[QuantumOutcome]]:
    """Return what is recorded, by the id of the graph."""
    from stage.execution.record_file import RecordFile

    out: dict[bytes, list[QuantumOutcome]] = {}
    for uri in uris:
        try:
            record = RecordFile.load(uri)
        except StageError:
            continue
        out.setdefault(record.graph_id, []).extend(record.outcomes)
    return out


def _of_graph(
    path: Path, found: Mapping[bytes, list[QuantumOutcome]], recorded: Mapping[bytes, Mapping[int, str]]
) -> list[Unmerged]:
    from stage.execution.merge import rank
    from stage.graph.graph import QuantumGraph

    try:
        graph = QuantumGraph.load(str(path))
    except StageError:
        return []
    outcomes = sorted(
        (o for o in found.get(graph.id, ()) if 0 <= o.ordinal < graph.n_quanta),
        key=lambda o: (o.ordinal, o.attempt),
    )
    last = {o.ordinal: o for o in sorted(outcomes, key=rank)}
    named = graph.quantum_rows([o.ordinal for o in outcomes])
    logs = _log_ordinals(graph)
    out = []
    for outcome, (quantum, task, data_id) in zip(
        outcomes, named.rows(("id", "task", "data_id")), strict=True
    ):
        known = recorded.get(quantum, {})
        if outcome.attempt not in known or (outcome.is_complete and known[outcome.attempt] != outcome.status):
            before = known[max(known)] if known else ""
            is_last = last[outcome.ordinal] is outcome and before not in QuantumStatus.COMPLETE
            is_last = is_last and (outcome.is_complete or outcome.attempt >= max(known, default=0))
            log = next((Artifact(*a[1:]) for a in outcome.artifacts if a.dataset in logs), None)
            row = (outcome.status, outcome.message, outcome.attempt, log, is_last, before)
            out.append(Unmerged(task, data_id, quantum, *row))
    return out


def _log_ordinals(graph: QuantumGraph) -> frozenset[int]:
    """Return which datasets are logs."""
    names = {c.dataset_type for t in graph.layout.tasks for c in t.connections if c.role == "log"}
    ranges = [np.arange(k.offset, k.offset + k.n_datasets) for k in graph.layout.types if k.name in names]
    return frozenset(np.concatenate(ranges).tolist() if ranges else ())
