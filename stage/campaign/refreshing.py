"""Refreshing a campaign's graph: its datasets are looked up again, and no quantum is ever added."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from stage.campaign.building import fetch_for, load_noted, need_inputs, open_view
from stage.campaign.categories import category_collections
from stage.campaign.graph_reports import BuildReport, RefreshReport
from stage.campaign.graphs import open_graph
from stage.campaign.placing import graph_path, place_graph
from stage.campaign.repositories import open_both
from stage.campaign.staleness import read_digests
from stage.campaign.step_graphs import Elsewhere
from stage.campaign.steps import StepPlan

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.graph_options import GraphOptions
    from stage.graph.building.question import View
    from stage.graph.graph import QuantumGraph
    from stage.pipeline.pipeline import Pipeline

__all__ = ["refresh_graph", "refreshed_graph", "trimmed_graph"]


def refresh_graph(change: Change, options: GraphOptions) -> BuildReport:
    """Look up again what the campaign's graph reads, and take over the settings of the pipeline.

    Parameters
    ----------
    change : Change
        The change that is being made; gets the graph.
    options : GraphOptions
        What it may do.

    Returns
    -------
    BuildReport
        What the graph is now, and what has changed.

    Raises
    ------
    NotFoundError
        If there is no graph, or upstream cannot be reached.
    ConflictError
        If quanta would have to be dropped and that was not allowed, or the pipeline has other tasks, dimensions or
        connections than the graph.
    UsageError
        If the campaign has nowhere to look, or the graph would be left empty and that was not allowed.
    """
    options = replace(options, refresh=True).checked(builds=False)
    layout, state = change.layout, change.state
    graph = open_graph(layout, state, change).load()
    need_inputs(state)
    pipeline, sources = load_noted(change) if state.pipeline is not None else (None, None)
    began = time.monotonic()
    with open_both(change, offline=options.offline) as (upstream, staging):
        with open_view(state, upstream, staging) as view:
            graph, found = refreshed_graph(change, graph, view, options, pipeline)
            _refresh_current_run(change, view, options)
        digests = read_digests(state, graph, upstream, staging)
    entry = state.quantum_graph
    is_moved = options.write_qg is not None
    uri = graph_path(layout, state, options.write_qg) if is_moved else layout.resolve(entry.uri or "")
    report = place_graph(change, graph, uri, options.qg_dot)
    seconds = time.monotonic() - began
    fetched = fetch_for(change, graph) if options.fetch and not options.offline else None
    entry = replace(
        entry,
        uri=layout.relative(uri),
        collections=state.collections.graph_inputs,
        pipeline_fingerprint=pipeline.fingerprint if pipeline is not None else entry.pipeline_fingerprint,
        digests=digests,
    )
    change.state = replace(change.state, quantum_graph=entry)
    if sources is not None:
        change.write(layout.sources, sources)
    told = graph.header.metadata.get("explanation") if options.explain else None
    return BuildReport(report, seconds, fetched, found, told)


def refreshed_graph(
    change: Change, graph: QuantumGraph, view: View, options: GraphOptions, pipeline: Pipeline | None
) -> tuple[QuantumGraph, RefreshReport]:
    """Return a graph as it is when its datasets are looked up again.

    Parameters
    ----------
    change : Change
        The change that is being made; says what is searched.
    graph : QuantumGraph
        Stays as it is.
    view : View
        Where to look.
    options : GraphOptions
        What may be dropped.
    pipeline : Pipeline or None
        Whose settings it gets; None to keep its own.

    Returns
    -------
    graph : QuantumGraph
        Runs that were begun with the old one are still its own.
    report : RefreshReport
        What has changed.
    """
    from stage.graph.changing.retask import with_tasks

    return _refresh(change, with_tasks(graph, pipeline) if pipeline else graph, view, options)


def trimmed_graph(
    change: Change, graph: QuantumGraph, view: View, options: GraphOptions
) -> tuple[QuantumGraph, RefreshReport]:
    """Return a new graph without the quanta whose outputs are all there.

    Parameters
    ----------
    change : Change
        The change that is being made; says what is searched.
    graph : QuantumGraph
        Just built.
    view : View
        Where to look.
    options : GraphOptions
        Which category of collections counts.

    Returns
    -------
    graph : QuantumGraph
        With no more quanta than it had.
    report : RefreshReport
        How many were dropped.
    """
    return _refresh(change, graph, view, replace(options, allow_pruning=True))


def _refresh(
    change: Change, graph: QuantumGraph, view: View, options: GraphOptions
) -> tuple[QuantumGraph, RefreshReport]:
    from stage.graph.changing.refresh import refresh

    c = change.state.collections
    trim = category_collections(c, options.trim_existing_in)
    has_steps = bool(StepPlan.of(graph.header).labels)
    found = refresh(
        graph,
        view,
        input_collections=c.graph_inputs,
        skip_run=c.current_run or "",
        trim_existing_in=trim,
        allow_pruning=options.allow_pruning,
        # A first step that is done says nothing of those that follow.
        allow_empty=options.allow_empty or has_steps,
        explain=options.explain,
    )
    report = RefreshReport(
        dict(found.resolved), _some(found.replaced), _some(found.unresolved), found.trimmed, found.pruned
    )
    return _as_of(found.graph, graph, trim), report


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: n for name, n in counts.items() if n}


def _as_of(graph: QuantumGraph, before: QuantumGraph, trim: tuple[str, ...] = ()) -> QuantumGraph:
    """Return a refreshed graph as one that a run made from the old one is still a run of.

    It remembers what it was trimmed of: the graphs of later steps, which are built when it has run, will be so too.
    """
    from stage.graph.changing.retask import with_header

    noted = Elsewhere.of(before.header).besides(Elsewhere(trim=trim))
    return with_header(graph, created_ns=before.header.created_ns, metadata=noted)


def _refresh_current_run(change: Change, view: View, options: GraphOptions) -> None:
    """Refresh what the current run executes, if it was begun with this graph: its quanta keep their ids.

    What is done in it already stays; its settings are those that it was begun with.
    """
    from stage.campaign.discrepancy import is_run_of
    from stage.graph.changing.refresh import refresh
    from stage.graph.file.reader import GraphFile

    layout, run = change.layout, change.state.collections.current_run
    if run is None or not is_run_of(layout, run, open_graph(layout, change.state, change)):
        return
    path = layout.run_graph(run)
    graph = GraphFile.open(str(path)).load()
    found = refresh(
        graph,
        view,
        input_collections=change.state.collections.graph_inputs,
        allow_pruning=options.allow_pruning,
        allow_empty=True,
    )
    _as_of(found.graph, graph).save(str(change.beside(path)), durable=True)
