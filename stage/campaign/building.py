"""Building a campaign's graph, and fetching what it needs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.campaign.graphs import graph_report, load_pipeline, open_graph
from stage.campaign.layout import Layout, absolute_uri
from stage.campaign.reports import BuildReport, FetchReport
from stage.campaign.repositories import ensure_staging, open_staging, open_upstream
from stage.campaign.sources import sources_document
from stage.campaign.state import CampaignState, GraphEntry

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.graph.graph import QuantumGraph
    from stage.pipeline.pipeline import Pipeline
    from sync.repo import Repo

__all__ = ["build_first", "build_graph", "fetch_graph", "fetch_wanted", "graph_path"]


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
    change: Change,
    *,
    data_query: str | None = None,
    data_id_table: str | None = None,
    write_qg: str | None = None,
    skip_existing_in: Sequence[str] = (),
    fetch: bool = True,
) -> BuildReport:
    """Build the campaign's graph and fetch what it needs.

    Parameters
    ----------
    change : Change
        The change that is being made; gets the graph.
    data_query : str, optional
        Expression that chooses data IDs; the last one by default.
    data_id_table : str, optional
        File of data IDs to keep to; the last one by default, and none if it is empty text.
    write_qg : str, optional
        Where to write the graph.
    skip_existing_in : sequence of str, optional
        Collections and patterns; what was done there is not planned again. Not remembered.
    fetch : bool, optional
        Whether to fetch.

    Returns
    -------
    BuildReport
        What was made.

    Raises
    ------
    NotFoundError
        If a collection to skip what exists in does not exist.
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
    pipeline, sources = _load(change)
    where = state.quantum_graph.data_query if data_query is None else data_query
    table, inputs = _table_uri(state, data_id_table), state.collections.graph_inputs
    began = time.monotonic()
    with open_upstream(state) as upstream:
        ensure_staging(change, upstream)
        with open_staging(layout) as staging:
            graph = _build(
                pipeline, upstream, staging, inputs,
                where=where, table=table and layout.resolve(table), skip=skip_existing_in,
            )  # fmt: skip
        uri = graph_path(layout, state, write_qg)
        written = uri if "://" in uri else str(change.beside(Path(uri)))
        graph.save(written)
        report = replace(graph_report(graph, written), uri=uri)
        seconds = time.monotonic() - began
        fetched = fetch_wanted(layout, upstream, graph.wanted()) if fetch else None
    entry = GraphEntry(layout.relative(uri), inputs, pipeline.fingerprint, where, layout.relative(table))
    change.state = replace(state, quantum_graph=entry)
    if sources is not None:
        change.write(layout.sources, sources)
    return BuildReport(report, seconds, fetched)


def _load(change: Change) -> tuple[Pipeline, bytes | None]:
    """Load the pipeline, and say which files it was made from if these can be looked at later."""
    from stage.pipeline.overrides import noting_files

    with noting_files() as read:
        pipeline = load_pipeline(change.layout, change.state, change)
        fingerprint = pipeline.fingerprint
    moved = {str(change.current(change.layout.pipeline)): str(change.layout.pipeline)}
    return pipeline, sources_document(change.state, fingerprint, read, moved)


def _build(
    pipeline: Pipeline,
    upstream: Repo,
    staging: Repo,
    inputs: Sequence[str],
    *,
    where: str,
    table: str,
    skip: Sequence[str],
) -> QuantumGraph:
    from stage.graph.answers import is_pattern
    from stage.graph.build import build
    from stage.graph.view import BuildView
    from sync.data_id_table import read_data_id_table

    data_ids = read_data_id_table(table, upstream.registry.universe) if table else None
    with BuildView(upstream, staging) as view:
        view.search_path(
            [name for name in skip if not is_pattern(name)]
        )  # a mistyped name would skip nothing
        return build(
            pipeline, view,
            input_collections=inputs, where=where, data_id_table=data_ids, skip_existing_in=skip,
        )  # fmt: skip


def _table_uri(state: CampaignState, data_id_table: str | None) -> str:
    """Return the file of data IDs: the one that is named, else the one that was."""
    if data_id_table is None:
        return state.quantum_graph.data_id_table
    return absolute_uri(data_id_table) if data_id_table else ""


def build_first(
    change: Change, *, data_query: str | None, data_id_table: str | None, fetch: bool
) -> BuildReport | None:
    """Make the staging registry of a new campaign, and its graph if pipeline and inputs are known.

    Parameters
    ----------
    change : Change
        The change that is being made.
    data_query, data_id_table : str, optional
        As for `build_graph`; kept for a later build where there is none now.
    fetch : bool
        Whether to fetch.

    Returns
    -------
    BuildReport or None
        What was built.
    """
    with open_upstream(change.state) as repo:
        ensure_staging(change, repo)
    if change.state.pipeline and change.state.collections.inputs:
        return build_graph(change, data_query=data_query, data_id_table=data_id_table, fetch=fetch)
    table = change.layout.relative(_table_uri(change.state, data_id_table))
    change.state = replace(
        change.state, quantum_graph=GraphEntry(data_query=data_query or "", data_id_table=table)
    )
    return None


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
        notes=[str(note) for note in plan.changed],
        seconds=time.monotonic() - began,
    )
