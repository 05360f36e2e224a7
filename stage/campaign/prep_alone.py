"""Making a RUN ready before there is a graph: its collection, the settings of the tasks, and what else is written once.

The graph that is built later is run into it, with the settings that it was made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stage.campaign.building import need_inputs, open_view
from stage.campaign.deciding import taken_names
from stage.campaign.dropping import execute_drop, plan_drop
from stage.campaign.graphs import load_pipeline, open_graph
from stage.campaign.outcomes import has_collection
from stage.campaign.outputs import begin_outputs, refuse_given_run
from stage.campaign.repositories import open_both, open_staging
from stage.campaign.run_graph import note_finish
from stage.campaign.stack import choose_run, set_campaign_chain, take_back_run

if TYPE_CHECKING:
    from registry.model.columns import Columns
    from stage.campaign.change import Change
    from stage.campaign.run_options import RunOptions
    from stage.graph.graph import QuantumGraph
    from stage.pipeline.pipeline import Pipeline

__all__ = ["prepare_without_graph"]


def prepare_without_graph(change: Change, options: RunOptions) -> str:
    """Make a RUN ready to be written by the pipeline's tasks, whatever they will be run on.

    Parameters
    ----------
    change : Change
        The change that is being made; the campaign has no graph, and gets none.
    options : RunOptions
        Which RUN.

    Returns
    -------
    str
        The RUN, which is the campaign's current one.

    Raises
    ------
    NotFoundError
        If there is no pipeline either, or the graph was asked for.
    ConflictError
        If the RUN has settings that are not the pipeline's.
    StageError
        If something else is wrong; all is as it was.
    """
    from stage.execution.prep import prepare_run

    before = change.state
    if before.pipeline is None or options.use_qg_configs:
        open_graph(change.layout, before)
    need_inputs(before)
    options.stack.check()
    change.state, run = choose_run(
        before,
        new_run=options.new_run,
        continue_run=options.continue_run,
        replace=options.stack.replace,
        restart=options.stack.restart,
        taken=taken_names(change),
    )
    left = change.state.collections.runs
    dropped = plan_drop(
        change.layout, [name for name in before.collections.runs if name not in left], options.stack.mode
    )
    graph = _empty_graph(change, load_pipeline(change.layout, change.state, change).first, run)
    note_finish(change, run, options.finish, is_taken_up=before.collections.current_run != run)
    change.save_now()
    with open_staging(change.layout, writable=True) as staging:
        with staging.registry.read() as snapshot:
            names = (run, change.state.collections.chain or "")
            begun, chain = ("" if has_collection(snapshot, name) else name for name in names)
        if begun:
            begin_outputs(change, staging, begun)
        else:
            refuse_given_run(staging.datastore.root, run)
        change.undoing(lambda: take_back_run(change.layout, begun, chain))
        prepare_run(staging, graph)
        change.state = set_campaign_chain(staging, change.state)
    change.keep()
    execute_drop(change, dropped.runs, dropped.mode)
    change.keep()
    return run


def _empty_graph(change: Change, pipeline: Pipeline, run: str) -> QuantumGraph:
    """Return what a pipeline writes once into a RUN, as a graph without quanta."""
    from stage.graph.building.build import build

    with (
        open_both(change) as (upstream, staging),
        open_view(change.state, upstream, staging) as view,
    ):
        return build(
            pipeline,
            view,
            input_collections=change.state.collections.graph_inputs,
            output_run=run,
            data_id_table=_no_data_ids(pipeline),
            allow_empty=True,
        )


def _no_data_ids(pipeline: Pipeline) -> Columns | None:
    """Return a table of none, so that no data is asked for; None if the tasks have no dimensions."""
    from registry.model.columns import Columns

    names = next((node.dimensions for node in pipeline.nodes if node.dimensions), ())
    return Columns.from_rows(tuple(names)[:1], []) if names else None
