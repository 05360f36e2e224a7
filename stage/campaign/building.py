"""Building a campaign's graph, and fetching what it needs."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.campaign.graphs import graph_report, load_pipeline, open_graph
from stage.campaign.layout import Layout, absolute_uri
from stage.campaign.reports import BuildReport, FetchReport
from stage.campaign.repositories import ensure_staging, open_staging, open_upstream
from stage.campaign.state import CampaignState, GraphEntry

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.graph.graph import QuantumGraph
    from stage.pipeline.pipeline import Pipeline
    from sync.repo import Repo

__all__ = ["build_graph", "fetch_graph", "fetch_wanted", "graph_path"]


def graph_path(layout: Layout, state: CampaignState, write_qg: str | None = None) -> str:
    """Return where a new graph is to be written.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    write_qg : str, optional
        Where the user wants it.

    Returns
    -------
    str
        An absolute path or URI; by default ``<name>.qg`` in the campaign.
    """
    return absolute_uri(write_qg) if write_qg else str(layout.root / f"{state.name}.qg")


def build_graph(
    change: Change, *, data_query: str | None = None, write_qg: str | None = None, fetch: bool = True
) -> BuildReport:
    """Build the campaign's graph and fetch what it needs.

    Parameters
    ----------
    change : Change
        The change that is being made; gets the graph.
    data_query : str, optional
        Expression that chooses data IDs; the last one by default.
    write_qg : str, optional
        Where to write the graph.
    fetch : bool, optional
        Whether to fetch.

    Returns
    -------
    BuildReport
        What was made.

    Raises
    ------
    UsageError
        If there is no pipeline or there are no inputs, or the query is wrong.
    StageError
        If upstream cannot be reached, the pipeline is wrong, or the graph would be empty.
    """
    layout, state = change.layout, change.state
    if not state.collections.inputs:
        raise UsageError(
            f"campaign '{state.name}' has no input collections",
            code="no-inputs",
            hint="Name them with -i COLL[,COLL…], or 'stage edit -i COLL'.",
        )
    pipeline = load_pipeline(layout, state, change)
    where = state.quantum_graph.data_query if data_query is None else data_query
    began = time.monotonic()
    with open_upstream(state) as upstream:
        ensure_staging(change, upstream)
        with open_staging(layout) as staging:
            graph = _build(pipeline, upstream, staging, state, where)
        uri = graph_path(layout, state, write_qg)
        written = uri if "://" in uri else str(change.beside(Path(uri)))
        graph.save(written)
        report = replace(graph_report(graph, written), uri=uri)
        seconds = time.monotonic() - began
        fetched = fetch_wanted(layout, upstream, graph.wanted()) if fetch else None
    entry = GraphEntry(layout.relative(uri), state.collections.graph_inputs, pipeline.fingerprint, where)
    change.state = replace(state, quantum_graph=entry)
    return BuildReport(report, seconds, fetched)


def _build(
    pipeline: Pipeline, upstream: Repo, staging: Repo, state: CampaignState, where: str
) -> QuantumGraph:
    from stage.graph.build import build
    from stage.graph.view import BuildView

    with BuildView(upstream, staging) as view:
        return build(pipeline, view, input_collections=state.collections.graph_inputs, where=where)


def fetch_graph(layout: Layout, state: CampaignState, change: Change) -> FetchReport:
    """Fetch what the campaign's graph needs.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    change : Change
        The change that is being made.

    Returns
    -------
    FetchReport
        What was brought.

    Raises
    ------
    NotFoundError
        If there is no graph, or upstream cannot be reached.
    """
    wanted = open_graph(layout, state).load().wanted()
    with open_upstream(state) as upstream:
        ensure_staging(change, upstream)
        return fetch_wanted(layout, upstream, wanted)


def fetch_wanted(layout: Layout, upstream: Repo, wanted: Any) -> FetchReport:
    """Bring rows from upstream into staging.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    upstream : Repo
        Where they are, open.
    wanted : Wanted
        Which.

    Returns
    -------
    FetchReport
        What was brought.
    """
    from sync.clone import execute_fetch, plan_fetch

    began = time.monotonic()
    with open_staging(layout, writable=True) as staging:
        plan = plan_fetch(upstream, staging, wanted)
        execute_fetch(plan, staging)
    datasets: dict[str, int] = {}
    for batch in plan.datasets:
        name = batch.dataset_type.name
        datasets[name] = datasets.get(name, 0) + batch.rows.n_rows
    return FetchReport(
        counts={kind: dict(classes) for kind, classes in plan.counts.items()},
        datasets=datasets,
        referred_bytes=plan.size_bytes,
        notes=[str(note) for note in (*plan.changed, *plan.left)],
        seconds=time.monotonic() - began,
    )
