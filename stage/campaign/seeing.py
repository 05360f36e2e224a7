"""Pictures of graphs, with what became of their quanta in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from registry.errors import NotFoundError

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from registry.snapshot import Snapshot
    from stage.campaign.layout import Layout
    from stage.campaign.reports import TaskCounts
    from stage.graph.file.reader import GraphFile
    from stage.graph.graph import QuantumGraph

__all__ = ["draw_graph", "run_statuses", "task_statuses"]


def run_statuses(snapshot: Snapshot, run: str, graph: QuantumGraph) -> dict[int, str]:
    """Say what became of a graph's quanta in a run.

    Parameters
    ----------
    snapshot : Snapshot
        Of the registry that recorded the run.
    run : str
        The RUN.
    graph : QuantumGraph
        The graph, or one of the same tasks and data IDs.

    Returns
    -------
    dict
        Ordinal to status; quanta without an outcome are absent.

    Raises
    ------
    NotFoundError
        If nothing is recorded of that run (``no-run``).
    """
    recorded: Columns = snapshot.quanta([run])
    if not recorded.n_rows:
        raise NotFoundError(
            f"no quantum of '{run}' has an outcome", code="no-run", hint="Runs are listed by 'stage status'."
        )
    rows = graph.quantum_rows(np.arange(graph.n_quanta))
    place = dict(zip(rows.rows(("task", "data_id")), rows["ordinal"].tolist(), strict=True))
    found = zip(recorded.rows(("task", "data_id")), recorded["status"].tolist(), strict=True)
    return {place[key]: status for key, status in found if key in place}


def task_statuses(snapshot: Snapshot, layout: Layout, run: str) -> TaskCounts:
    """Say how many quanta of each task became what in a run.

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
    mapping of str to mapping
        Label to status to number.

    Raises
    ------
    NotFoundError
        If there is no such run (``no-run``).
    """
    from stage.campaign.outcomes import has_collection, planned_tasks, task_counts

    planned = planned_tasks(layout, run)
    if not planned and not has_collection(snapshot, run):
        raise NotFoundError(
            f"no quantum of '{run}' has an outcome", code="no-run", hint="Runs are listed by 'stage status'."
        )
    return task_counts(snapshot, run, planned)


def draw_graph(
    graph: GraphFile | QuantumGraph,
    format: str = "text",  # noqa: A002 - the option's name
    *,
    snapshot: Snapshot | None = None,
    run: str = "",
    max_nodes: int = 200,
) -> str:
    """Draw a graph, perhaps with what became of its quanta.

    Parameters
    ----------
    graph : GraphFile or QuantumGraph
        The graph.
    format : {"text", "dot", "mermaid", "svg"}, optional
        Form of the picture.
    snapshot : Snapshot, optional
        Of the registry that recorded a run: then the picture shows what became of each quantum.
    run : str, optional
        That RUN.
    max_nodes : int, optional
        A graph with more quanta and datasets is drawn task by task.

    Returns
    -------
    str
        The picture.

    Raises
    ------
    UsageError
        If there is no such form.
    NotFoundError
        If nothing is recorded of that run.
    """
    from stage.graph.drawing import draw
    from stage.graph.file.reader import GraphFile

    status = None
    if snapshot is not None:
        graph = graph.load() if isinstance(graph, GraphFile) else graph
        status = run_statuses(snapshot, run, graph)
    return draw(graph, format, status=status, max_nodes=max_nodes)
