"""Why a dataset is not there: what its run's graph planned, and what became of the quantum that was to make it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import StageError
from registry.model.records import QuantumStatus
from stage.campaign.graph_reports import Document
from stage.campaign.steps import run_graphs

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.layout import Layout
    from stage.graph.graph import QuantumGraph

__all__ = ["Absence", "Cause", "absences", "planned_types"]

_MOST_CAUSES = 20
_NOT_MADE_HERE = {"input": 1, "no-data-id": 2, "no-type": 3}
"""Answers of graphs that do not make something, those that know most of it first."""


@dataclass(frozen=True)
class Cause(Document):
    """A quantum that failed, and blocks what builds on it.

    Parameters
    ----------
    task, data_id, message : str
        Which, and why; the data ID as compact JSON.
    """

    task: str
    data_id: str
    message: str


@dataclass(frozen=True)
class Absence(Document):
    """Why one run does not have a dataset.

    Parameters
    ----------
    run : str
        The RUN.
    why : {"failed", "blocked", "no-work", "not-made", "not-run", "removed", "input", "no-data-id", "no-type"}
        The quantum that was to make it failed, waits for one that did, found nothing to do, succeeded without it, or
        has not run; it was made and removed since; it is an input of the run's graph, which nothing in it makes; or
        the graph has that dataset type for other data IDs only, or not at all.
    task : str
        What was to make it; empty if nothing was.
    data_id : str
        Of that quantum, as compact JSON; ``null`` if there is none.
    message : str
        What is recorded of the quantum.
    causes : sequence of Cause
        The quanta whose failure blocks it, the first few of them.
    n_planned : int
        How many datasets of the type the graph has.
    """

    run: str
    why: str
    task: str = ""
    data_id: str = "null"
    message: str = ""
    causes: Sequence[Cause] = ()
    n_planned: int = 0


def planned_types(layout: Layout, runs: Sequence[str]) -> set[str]:
    """Return the dataset types that the graphs of runs have.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    runs : sequence of str
        The runs; of those whose graphs are gone nothing is told.

    Returns
    -------
    set of str
        Names.
    """
    from stage.graph.file.reader import GraphFile

    out: set[str] = set()
    for run in runs:
        for path in run_graphs(layout, run):
            with GraphFile.open(str(path)) as graph:
                out |= set(graph.layout.type_index)
    return out


def absences(
    snapshot: Snapshot, layout: Layout, runs: Sequence[str], dataset_type: str, data_id: Mapping[str, Any]
) -> list[Absence]:
    """Say of each run why it does not have a dataset.

    Parameters
    ----------
    snapshot : Snapshot
        Of staging.
    layout : Layout
        The campaign's paths.
    runs : sequence of str
        The runs, the newest first.
    dataset_type : str
        The dataset's type.
    data_id : mapping
        Values of its required dimensions.

    Returns
    -------
    list of Absence
        One a run whose graph is there.
    """
    from stage.graph.graph import QuantumGraph

    out = []
    for run in runs:
        try:
            graphs = [QuantumGraph.load(str(path)) for path in run_graphs(layout, run)]
        except StageError:
            continue
        found = [_absence(snapshot, run, graph, dataset_type, data_id) for graph in graphs]
        if found:
            # A later step's graph has as an input what an earlier one makes.
            out.append(min(found, key=lambda each: _NOT_MADE_HERE.get(each.why, 0)))
    return out


def _absence(
    snapshot: Snapshot, run: str, graph: QuantumGraph, dataset_type: str, data_id: Mapping[str, Any]
) -> Absence:
    from stage.graph.dependencies import producers
    from stage.graph.texts import matching_rows

    place = graph.layout.type_index.get(dataset_type)
    if place is None:
        return Absence(run, "no-type")
    kind = graph.layout.types[place]
    rows = matching_rows(graph.type_rows[place].table, data_id)
    if not len(rows):
        return Absence(run, "no-data-id", n_planned=kind.n_datasets)
    ordinal = int(rows[0]) + kind.offset
    maker = int(producers(graph)[ordinal])
    if maker < 0:
        return Absence(run, "not-run" if kind.is_planned else "input", n_planned=kind.n_datasets)
    quantum_id, task, quantum = next(iter(graph.quantum_rows([maker]).rows(("id", "task", "data_id"))))
    recorded = snapshot.quanta_by_id([quantum_id])
    if not recorded.n_rows:
        return Absence(run, "not-run", task, quantum, n_planned=kind.n_datasets)
    ((status, message),) = recorded.rows(("status", "message"))
    made = status in QuantumStatus.COMPLETE and _was_made(
        snapshot, quantum_id, graph.dataset_ids([ordinal])[0]
    )
    why = "removed" if made else "not-made" if status == QuantumStatus.SUCCEEDED else status
    causes = _causes(snapshot, graph, maker) if status == QuantumStatus.BLOCKED else ()
    return Absence(run, why, task, quantum, message or "", causes, kind.n_datasets)


def _was_made(snapshot: Snapshot, quantum_id: bytes, dataset_id: bytes) -> bool:
    return dataset_id in snapshot.walk([quantum_id], up=False, depth=0).datasets["id"].tolist()


def _causes(snapshot: Snapshot, graph: QuantumGraph, quantum: int) -> tuple[Cause, ...]:
    before = graph.ancestors([quantum])
    rows = snapshot.quanta_by_id(graph.quantum_ids(before))
    failed = rows.take(rows["status"] == QuantumStatus.FAILED)
    listed = sorted(failed.rows(("task", "data_id", "message")))
    return tuple(Cause(task, data_id, message or "") for task, data_id, message in listed[:_MOST_CAUSES])
