"""Building a campaign's graph: anew, or onto the one there is."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.errors import UsageError
from stage.campaign.categories import expand_categories
from stage.campaign.fetching import fetch_wanted
from stage.campaign.graph_options import GraphOptions
from stage.campaign.graph_reports import BuildReport, RefreshReport
from stage.campaign.graphs import load_pipeline, open_graph
from stage.campaign.layout import absolute_uri
from stage.campaign.outcomes import has_collection
from stage.campaign.placing import graph_path, place_graph
from stage.campaign.repositories import ensure_staging, open_both, open_staging, open_upstream
from stage.campaign.sources import sources_document
from stage.campaign.staleness import read_digests
from stage.campaign.state import CampaignState, GraphEntry
from stage.campaign.step_graphs import Elsewhere

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.graph.building.view import BuildView
    from stage.graph.graph import QuantumGraph
    from stage.pipeline.pipeline import Pipeline

__all__ = [
    "build_first",
    "build_graph",
    "extended_graph",
    "fetch_for",
    "graph_of_now",
    "load_noted",
    "need_inputs",
    "open_view",
]

_log = logging.getLogger(__name__)


class _Choice(NamedTuple):
    """Which quanta are wanted: what was asked for now, and else what was asked for last."""

    where: str
    table: str
    skip: tuple[str, ...]

    @classmethod
    def of(cls, state: CampaignState, options: GraphOptions) -> _Choice:
        entry = state.quantum_graph
        table = options.data_id_table
        skip = entry.skip_existing_in if options.skip_existing_in is None else options.skip_existing_in
        return cls(
            entry.data_query if options.data_query is None else options.data_query,
            entry.data_id_table if table is None else absolute_uri(table) if table else "",
            tuple(name for name in skip if name),
        )


def build_graph(change: Change, options: GraphOptions | None = None) -> BuildReport:
    """Build the campaign's graph and fetch what it needs.

    Parameters
    ----------
    change : Change
        The change that is being made; gets the graph.
    options : GraphOptions, optional
        What to build.

    Returns
    -------
    BuildReport
        What was made.

    Raises
    ------
    NotFoundError
        If a collection to skip what exists in does not exist.
    UsageError
        If there is no pipeline or there are no inputs, options do not go together, the query is wrong, or the graph
        would be empty.
    ConflictError
        If the graph to be extended has other tasks of the same labels.
    StageError
        If upstream cannot be reached, or the pipeline is wrong.
    """
    options = (options or GraphOptions()).checked(builds=True)
    state = change.state
    need_inputs(state)
    pipeline, sources = load_noted(change)
    choice, base = _Choice.of(state, options), _base(change, options)
    if base is not None:
        _check_same_table(change.layout, state, choice)
    began = time.monotonic()
    _log.info("building the graph of %s", choice.where or "all data IDs")
    with open_both(change, offline=options.offline) as (upstream, staging):
        with open_view(state, upstream, staging) as view:
            graph, refreshed = _build(change, view, options, _Wanted(pipeline, choice, base))
        digests = read_digests(state, graph, upstream, staging)
    uri = graph_path(change.layout, state, options.write_qg)
    report = place_graph(change, graph, uri, options.qg_dot)
    seconds = time.monotonic() - began
    _log.info("built %d quanta in %.1f s", sum(report.tasks.values()), seconds)
    fetched = fetch_for(change, graph) if options.fetch and not options.offline else None
    relative = change.layout.relative
    entry = GraphEntry(
        relative(uri),
        state.collections.graph_inputs,
        pipeline.fingerprint,
        _joined(state.quantum_graph.data_query, choice.where) if base is not None else choice.where,
        relative(choice.table),
        choice.skip,
        digests,
    )
    change.state = replace(change.state, quantum_graph=entry)
    if sources is not None:
        change.write(change.layout.sources, sources)
    return BuildReport(report, seconds, fetched, refreshed, graph.header.metadata.get("explanation"))


def need_inputs(state: CampaignState) -> None:
    """Refuse to search nowhere.

    Parameters
    ----------
    state : CampaignState
        The campaign's.

    Raises
    ------
    UsageError
        If it has no input collections.
    """
    if not state.collections.inputs:
        raise UsageError(
            f"campaign '{state.name}' has no input collections",
            code="no-inputs",
            hint="Name them with -i COLL[,COLL…], or 'stage edit -i COLL'.",
        )


def load_noted(change: Change) -> tuple[Pipeline, bytes | None]:
    """Load the pipeline, and say which files it was made from if these can be looked at later.

    Parameters
    ----------
    change : Change
        The change that is being made.

    Returns
    -------
    pipeline : Pipeline
        Checked.
    sources : bytes or None
        Content of the file that notes it.
    """
    from stage.pipeline.overrides import noting_files

    with noting_files() as read:
        pipeline = load_pipeline(change.layout, change.state, change).first
        fingerprint = pipeline.fingerprint
    moved = {str(change.current(change.layout.pipeline)): str(change.layout.pipeline)}
    return pipeline, sources_document(change.state, fingerprint, read, moved)


def open_view(state: CampaignState, upstream: Any, staging: Any) -> BuildView:
    """Make the view in which a campaign's graph is built: its own runs are looked up in staging.

    Parameters
    ----------
    state : CampaignState
        The campaign's.
    upstream : Repo or None
        Open; None to ask staging alone.
    staging : Repo
        Open.

    Returns
    -------
    BuildView
        To be entered.
    """
    from stage.graph.building.view import BuildView

    return BuildView(upstream, staging, local=state.collections.runs, offline=upstream is None)


def fetch_for(change: Change, graph: QuantumGraph) -> Any:
    """Fetch what a new graph needs.

    Parameters
    ----------
    change : Change
        The change that is being made; staging is there.
    graph : QuantumGraph
        The graph.

    Returns
    -------
    FetchReport
        What was brought.
    """
    with open_upstream(change.state, layout=change.layout, change=change) as upstream:
        return fetch_wanted(change, upstream, graph.wanted())


# -- the graph ------------------------------------------------------------------------------------------------


class _Wanted(NamedTuple):
    """What is to be built, and onto what."""

    pipeline: Pipeline
    choice: _Choice
    base: QuantumGraph | None


def _build(
    change: Change, view: BuildView, options: GraphOptions, wanted: _Wanted
) -> tuple[QuantumGraph, RefreshReport | None]:
    from stage.campaign.refreshing import refreshed_graph, trimmed_graph
    from stage.graph.building.answers import is_pattern
    from stage.graph.building.build import build
    from sync.tables.data_ids import read_data_id_table

    state, (pipeline, choice, base) = change.state, wanted
    data_ids = (
        read_data_id_table(change.layout.resolve(choice.table), view.universe) if choice.table else None
    )
    skip = _expanded(change, choice.skip)
    # A mistyped name would skip nothing.
    view.search_path([name for name in skip if not is_pattern(name)])
    refreshed = None
    if base is not None and options.refresh:
        base, refreshed = refreshed_graph(change, base, view, options, pipeline)
    graph = build(
        pipeline, view,
        input_collections=state.collections.graph_inputs, where=choice.where, data_id_table=data_ids,
        skip_existing_in=skip, allow_empty=options.allow_empty, explain=options.explain,
    )  # fmt: skip
    if options.trim_existing_in:
        graph, refreshed = trimmed_graph(change, graph, view, options)
    return (graph if base is None else extended_graph(base, graph)), refreshed


def _expanded(change: Change, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the collections to skip what exists in; a RUN that this very command begins is not there yet."""
    run = change.state.collections.current_run
    expanded = expand_categories(change.state, names)
    if run not in expanded or run in names:
        return expanded
    with open_staging(change.layout) as staging, staging.registry.read() as snapshot:
        return expanded if has_collection(snapshot, run) else tuple(n for n in expanded if n != run)


def graph_of_now(change: Change, view: BuildView) -> QuantumGraph:
    """Build in memory what a rebuild would build; nothing is written.

    Parameters
    ----------
    change : Change
        Says what is searched and chosen.
    view : BuildView
        Where to look; open.

    Returns
    -------
    QuantumGraph
        Perhaps without quanta.
    """
    pipeline = load_pipeline(change.layout, change.state, change).first
    wanted = _Wanted(pipeline, _Choice.of(change.state, GraphOptions()), None)
    return _build(change, view, GraphOptions(allow_empty=True), wanted)[0]


def _base(change: Change, options: GraphOptions) -> QuantumGraph | None:
    """Return the graph to be extended, if that was asked for and there is one."""
    if not options.extend_qg and options.refresh:
        raise UsageError(
            "a build looks everything up anew; --refresh is for a graph that is extended",
            code="needs-extend",
            hint="Leave --refresh out, or give --extend-qg too.",
        )
    if not options.extend_qg or change.state.quantum_graph.uri is None:
        return None
    return open_graph(change.layout, change.state, change).load()


def _check_same_table(layout: Layout, state: CampaignState, choice: _Choice) -> None:
    """Refuse to extend by what a rebuild could not build again."""
    before = state.quantum_graph.data_id_table
    if before != layout.relative(choice.table):
        raise UsageError(
            f"the graph was built with the table of data IDs '{before or '(none)'}', not "
            f"'{choice.table or '(none)'}': extended by another, it could not be built again",
            code="extend-table",
            hint="Put the data IDs of both into one table and build with that, or choose them with -d.",
        )


def _joined(before: str, now: str) -> str:
    """Return the query for which a rebuild makes what an extended graph holds; each alternative is in it once."""
    from stage.campaign.alternatives import alternatives

    if not (before and now):
        return ""
    either = dict.fromkeys((*alternatives(before), *alternatives(now)))
    return next(iter(either)) if len(either) == 1 else " OR ".join(f"({text})" for text in either)


def extended_graph(base: QuantumGraph, graph: QuantumGraph) -> QuantumGraph:
    """Return a graph with the quanta of two, which remembers what it began as.

    Parameters
    ----------
    base, graph : QuantumGraph
        The one that there is, whose ids stay, and the one that is added.

    Returns
    -------
    QuantumGraph
        A run that was begun with `base` can go on with it.

    Raises
    ------
    ConflictError
        If a task of both is not the same.
    """
    from stage.graph.changing.extend import extend
    from stage.graph.changing.retask import with_header

    before = base.header
    metadata: dict[str, Any] = {
        "extends": [before.created_ns, *before.metadata.get("extends", ())],
        **Elsewhere.of(before).besides(Elsewhere.of(graph.header)),
    }
    if "explanation" in graph.header.metadata:
        metadata["explanation"] = graph.header.metadata["explanation"]
    fingerprint = graph.header.pipeline_fingerprint
    return with_header(
        extend(base, graph), created_ns=time.time_ns(), pipeline_fingerprint=fingerprint, metadata=metadata
    )


# -- a new campaign -------------------------------------------------------------------------------------------


def build_first(
    change: Change, *, data_query: str | None, data_id_table: str | None, fetch: bool
) -> BuildReport | None:
    """Make the staging registry of a new campaign, and its graph if pipeline and inputs are known.

    Parameters
    ----------
    change : Change
        The change that makes the campaign.
    data_query : str or None
        Expression that chooses data IDs.
    data_id_table : str or None
        File of data IDs to keep to.
    fetch : bool
        Whether to fetch what the graph needs.

    Returns
    -------
    BuildReport or None
        None if there was nothing to build.
    """
    with open_upstream(change.state, layout=change.layout, change=change) as upstream:
        ensure_staging(change, upstream)
    if change.state.pipeline and change.state.collections.inputs:
        return build_graph(change, GraphOptions(data_query, data_id_table, fetch=fetch))
    table = absolute_uri(data_id_table) if data_id_table else ""
    entry = GraphEntry(data_query=data_query or "", data_id_table=change.layout.relative(table))
    change.state = replace(change.state, quantum_graph=entry)
    return None
