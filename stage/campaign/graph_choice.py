"""Seeing to it that a campaign has a graph that may be run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from registry.errors import ConflictError, StageError, UsageError
from stage.campaign.building import build_graph
from stage.campaign.discrepancy import begun_with, check_graph_current
from stage.campaign.graphs import open_graph
from stage.campaign.layout import absolute_uri
from stage.campaign.placing import draw_graph, graph_path, place_graph
from stage.campaign.staleness import staleness_notes

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.campaign.run_options import RunOptions
    from stage.campaign.state import CampaignState
    from stage.graph.graph import QuantumGraph

__all__ = ["need_pipeline", "prepare_graph"]


def prepare_graph(change: Change, options: RunOptions) -> list[str]:
    """See to it that the campaign has a graph that may be run.

    Parameters
    ----------
    change : Change
        The change that is being made.
    options : RunOptions
        What to do with the graph there is; without one it is built.

    Returns
    -------
    list of str
        What has changed since the graph was built, and is no reason not to run it.

    Raises
    ------
    UsageError
        If options contradict each other.
    ConflictError
        If pipeline, inputs or query differ from those of the graph, and nothing says what to do.
    """
    entry, wanted = change.state.quantum_graph, options.graph
    options.check(has_graph=entry.uri is not None)
    if options.use_task_configs:
        need_pipeline(change.state)
    if entry.uri is None or options.rebuild:
        # A build looks everything up: there is nothing to refresh but what it extends.
        extends = wanted.extend_qg and entry.uri is not None
        before = None if extends else _graph_of_current_run(change)
        build_graph(
            change,
            replace(
                wanted,
                refresh=wanted.refresh and extends,
                allow_pruning=wanted.allow_pruning and extends,
            ),
        )
        is_there_too = entry.uri == change.state.quantum_graph.uri
        return [] if before is None or not is_there_too else _keep_same(change, before)
    _check_query(entry.data_query, wanted.data_query)
    _check_table(change.layout, entry.data_id_table, wanted.data_id_table)
    if wanted.refresh:
        from stage.campaign.refreshing import refresh_graph

        refresh_graph(change, wanted)
        return []
    _write(change, wanted.write_qg, wanted.qg_dot)
    # With the pipeline's tasks it is seen when they are put into the run's graph whether they fit.
    if not (options.use_qg_configs or options.use_task_configs):
        check_graph_current(change.layout, change.state, change, command=options.command)
    graph = open_graph(change.layout, change.state, change)
    return staleness_notes(change.layout, change.state, graph, ask_upstream=not wanted.offline)


def _graph_of_current_run(change: Change) -> QuantumGraph | None:
    """Return the campaign's graph if the current run was begun with it."""
    run, uri = change.state.collections.current_run, change.state.quantum_graph.uri
    own = begun_with(change.layout, run) if run else None
    if own is None or uri is None:
        return None
    own.close()
    try:
        graph = open_graph(change.layout, change.state)
    except StageError:
        return None  # it is to be built because of that
    return graph.load() if graph.header.created_ns == own.header.created_ns else None


def _keep_same(change: Change, before: QuantumGraph) -> list[str]:
    """Keep the graph that a run was begun with where it would be built again: then that run can be gone on with."""
    from stage.graph.changing.same import same_plan

    place = change.layout.resolve(change.state.quantum_graph.uri or "")
    if not same_plan(before, open_graph(change.layout, change.state, change).load()):
        return []
    change.leave(place)
    return ["the graph that was built is the one there was: the run goes on with it"]


def need_pipeline(state: CampaignState) -> None:
    """Refuse to take tasks from a pipeline that is not there.

    Parameters
    ----------
    state : CampaignState
        The campaign's.

    Raises
    ------
    UsageError
        If it has none.
    """
    if state.pipeline is None:
        raise UsageError(
            f"--use-task-configs takes the tasks of the pipeline, and campaign '{state.name}' has none",
            code="no-pipeline",
            hint="Leave it out, or give a pipeline with -p URI.",
        )


def _check_query(built: str, given: str | None) -> None:
    if given is not None and given != built:
        raise ConflictError(
            f'the graph was built with the query "{built}", not "{given}"',
            code="graph-discrepant",
            hint="Build it again (--rebuild), or leave -d out.",
        )


def _check_table(layout: Layout, built: str, given: str | None) -> None:
    table = layout.relative(absolute_uri(given)) if given else ""
    if given is not None and table != built:
        raise ConflictError(
            f"the graph was built {_table_text(built)}, not {_table_text(table)}",
            code="graph-discrepant",
            hint="Build it again (--rebuild), or leave --data-id-table out.",
        )


def _table_text(table: str) -> str:
    return f"with the table of data IDs '{table}'" if table else "without a table of data IDs"


def _write(change: Change, write_qg: str | None, qg_dot: str | None) -> None:
    """Write the graph there is elsewhere, and draw it, if that was asked for."""
    if write_qg is None and not qg_dot:
        return
    graph = open_graph(change.layout, change.state, change).load()
    if qg_dot:
        draw_graph(change, graph, qg_dot)
    if write_qg is not None:
        uri = graph_path(change.layout, change.state, write_qg)
        place_graph(change, graph, uri)
        entry = replace(change.state.quantum_graph, uri=change.layout.relative(uri))
        change.state = replace(change.state, quantum_graph=entry)
