"""Taking over a quantum graph that was built elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.errors import UsageError
from stage.campaign.building import extended_graph, fetch_for, open_view
from stage.campaign.graph_reports import BuildReport, RefreshReport
from stage.campaign.graphs import load_pipeline, open_graph
from stage.campaign.layout import absolute_uri
from stage.campaign.options import DEFINING, EditOptions
from stage.campaign.placing import graph_path, place_graph
from stage.campaign.repositories import open_both
from stage.campaign.staleness import read_digests
from stage.campaign.state import GraphEntry

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.graph_options import GraphOptions
    from stage.graph.graph import QuantumGraph
    from sync.repo import Repo

__all__ = ["import_graph", "refuse_definition"]


def refuse_definition(edits: EditOptions) -> None:
    """Refuse options that say what the graph says already.

    Parameters
    ----------
    edits : EditOptions
        What was given.

    Raises
    ------
    UsageError
        If one is about the pipeline or the inputs.
    """
    given = [name for name in DEFINING if edits.get(name)]
    if given:
        option = "--" + given[0].replace("_", "-")
        raise UsageError(
            f"{option} cannot go with an import: the graph says which tasks there are and what they read",
            code="import-defines",
            hint="Import first, then change the campaign: stage edit.",
        )


def import_graph(change: Change, uri: str, options: GraphOptions) -> BuildReport:
    """Make a graph that was built elsewhere the campaign's own.

    Parameters
    ----------
    change : Change
        The change that is being made; gets the graph.
    uri : str
        Where the graph is; it stays as it is.
    options : GraphOptions
        Whether it is refreshed, or added to the graph there is.

    Returns
    -------
    BuildReport
        What it holds.

    Raises
    ------
    NotFoundError
        If there is no such file, or upstream cannot be reached.
    ConflictError
        If it does not fit the campaign's dimensions, or reads datasets that are in neither of its repositories.
    UsageError
        If options do not go together.
    """
    from stage.graph.changing.adopt import check_import
    from stage.graph.graph import QuantumGraph

    options = options.checked(builds=False)
    began = time.monotonic()
    graph = QuantumGraph.load(absolute_uri(uri))
    query = graph.header.where
    refreshed, fingerprint, digests = None, None, {}
    with open_both(change, offline=options.offline) as (upstream, staging):
        check_import(graph, staging.registry.universe)
        graph = _as_ours(change, graph, upstream, staging)
        if options.extend_qg and change.state.quantum_graph.uri is not None:
            graph = extended_graph(open_graph(change.layout, change.state, change).load(), graph)
        if options.refresh:
            graph, refreshed, fingerprint = _refreshed(change, graph, options, upstream, staging)
            digests = read_digests(change.state, graph, upstream, staging)
        _check_rows(graph, upstream, staging)
    place = graph_path(change.layout, change.state, options.write_qg)
    report = place_graph(change, graph, place, options.qg_dot)
    seconds = time.monotonic() - began
    fetched = fetch_for(change, graph) if options.fetch and not options.offline else None
    collections = change.state.collections.graph_inputs if options.refresh else None
    entry = GraphEntry(change.layout.relative(place), collections, fingerprint, query, digests=digests)
    change.state = replace(change.state, quantum_graph=entry)
    return BuildReport(report, seconds, fetched, refreshed)


def _as_ours(change: Change, graph: QuantumGraph, upstream: Repo | None, staging: Repo) -> QuantumGraph:
    """Return a graph of no run, which names as its inputs only collections that are there."""
    from stage.graph.changing.retask import with_header

    there = {c for repo in (upstream, staging) if repo is not None for c in _names(repo)}
    inputs = tuple(name for name in graph.header.input_collections if name in there)
    return with_header(
        graph.retarget("") if graph.output_run else graph,
        input_collections=inputs or change.state.collections.graph_inputs,
    )


def _names(repo: Repo) -> Sequence[str]:
    with repo.registry.read() as snapshot:
        return [c.name for c in snapshot.collections()]


def _refreshed(
    change: Change, graph: QuantumGraph, options: GraphOptions, upstream: Repo | None, staging: Repo
) -> tuple[QuantumGraph, RefreshReport, str | None]:
    from stage.campaign.building import need_inputs
    from stage.campaign.refreshing import refreshed_graph

    need_inputs(change.state)
    has_pipeline = change.state.pipeline is not None
    pipeline = load_pipeline(change.layout, change.state, change).first if has_pipeline else None
    with open_view(change.state, upstream, staging) as view:
        graph, report = refreshed_graph(change, graph, view, options, pipeline)
    return graph, report, pipeline.fingerprint if pipeline is not None else None


def _check_rows(graph: QuantumGraph, upstream: Repo | None, staging: Repo) -> None:
    """Refuse a graph whose dataset types are others here, or that reads what neither side holds."""
    from stage.graph.changing.adopt import check_inputs, check_registered
    from stage.graph.wanted import STAGING, UPSTREAM

    repos = {UPSTREAM: upstream, STAGING: staging}
    with ExitStack() as stack:
        sides = {
            side: stack.enter_context(repo.registry.read())
            for side, repo in repos.items()
            if repo is not None
        }
        for snapshot in sides.values():
            check_registered(graph, snapshot)
        check_inputs(graph, sides)
