"""A campaign's pipeline and quantum graph, as they are on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, UsageError
from registry.model.refs import id_text
from stage.campaign.layout import Layout
from stage.campaign.reports import GraphReport
from stage.campaign.state import CampaignState
from stage.campaign.steps import StepPlan

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.graph.file.reader import GraphFile
    from stage.graph.graph import QuantumGraph
    from stage.pipeline.pipeline import Pipeline

__all__ = ["graph_report", "load_pipeline", "open_graph", "show_graph"]


def load_pipeline(layout: Layout, state: CampaignState, change: Change | None = None) -> Pipeline:
    """Read a campaign's pipeline.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Names the pipeline.
    change : Change, optional
        A change that is being made, which may have a newer local pipeline.

    Returns
    -------
    Pipeline
        Checked.

    Raises
    ------
    UsageError
        If the campaign has none.
    NotFoundError
        If it is not there.
    PipelineError
        If it is not well formed.
    """
    from stage.pipeline.pipeline import Pipeline

    if state.pipeline is None:
        raise UsageError(
            f"campaign '{state.name}' has no pipeline",
            code="no-pipeline",
            hint="Give one with -p URI, or 'stage edit -p URI'.",
        )
    uri = layout.resolve(state.pipeline)
    if change is not None and "://" not in uri:
        path, hash_sign, selection = uri.partition("#")
        uri = str(change.current(Path(path))) + hash_sign + selection
    pipeline = Pipeline.load(uri)
    pipeline.check()
    return pipeline


def open_graph(layout: Layout, state: CampaignState, change: Change | None = None) -> GraphFile:
    """Open the campaign's graph file.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Names the graph.
    change : Change, optional
        A change that is being made, which may have a newer graph.

    Returns
    -------
    GraphFile
        Open.

    Raises
    ------
    NotFoundError
        If the campaign has no graph, or it is gone.
    IntegrityError
        If the file is no graph, or damaged.
    """
    from stage.graph.file.reader import GraphFile

    if state.quantum_graph.uri is None:
        raise NotFoundError(
            f"campaign '{state.name}' has no graph yet", code="no-graph", hint="Build one: stage build."
        )
    uri = layout.resolve(state.quantum_graph.uri)
    if change is not None:
        uri = change.current_uri(uri)
    try:
        return GraphFile.open(uri)
    except NotFoundError as exc:
        raise NotFoundError(exc.message, code="no-graph", hint="Build it again: stage build.") from exc


def graph_report(graph: QuantumGraph | GraphFile, uri: str) -> GraphReport:
    """Say what a graph holds.

    Parameters
    ----------
    graph : QuantumGraph or GraphFile
        The graph.
    uri : str
        Where it is.

    Returns
    -------
    GraphReport
        Plain values.
    """
    from sync.filesystem.files import size

    header = graph.header
    plan = StepPlan.of(header)
    return GraphReport(
        uri=uri,
        id=id_text(header.id),
        tasks={t.label: t.n_quanta for t in graph.layout.tasks},
        dataset_types={t.name: {"role": t.role, "n": t.n_datasets} for t in graph.layout.types},
        input_collections=list(header.input_collections),
        data_query=header.where,
        output_run=header.output_run,
        size_bytes=size(uri),
        left_out=list(header.metadata.get("dropped", ())),
        skipped=[facts for facts in header.metadata.get("skipped", ()) if facts["skipped"]],
        step=plan.said(plan.number) if plan.labels else "",
        steps_after=plan.labels[plan.number :],
    )


def show_graph(uri: str) -> GraphReport:
    """Say what a graph file holds.

    Parameters
    ----------
    uri : str
        Where it is.

    Returns
    -------
    GraphReport
        Plain values.

    Raises
    ------
    NotFoundError
        If it is not there.
    IntegrityError
        If it is no graph, or damaged.
    """
    from stage.graph.file.reader import GraphFile

    return graph_report(GraphFile.open(uri), uri)
