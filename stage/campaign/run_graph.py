"""The graph that one run executes: the campaign's, for that RUN, with the settings that it is to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from registry.errors import ConflictError
from stage.campaign.building import open_view
from stage.campaign.categories import category_collections, check_category
from stage.campaign.discrepancy import begun_with
from stage.campaign.graphs import load_pipeline, open_graph
from stage.campaign.repositories import open_both
from stage.campaign.step_graphs import Elsewhere

if TYPE_CHECKING:
    from pathlib import Path

    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.campaign.run_options import RunOptions
    from stage.graph.file.reader import GraphFile
    from stage.graph.graph import QuantumGraph
    from stage.pipeline.node import TaskNode
    from stage.pipeline.pipeline import Pipeline

__all__ = ["graph_of_run", "leave_out_done", "note_finish", "save_run_graph", "stays_open"]


def graph_of_run(change: Change, run: str, options: RunOptions) -> tuple[QuantumGraph, bool]:
    """Return the graph of a run: its own where it has one, else made from the campaign's.

    Parameters
    ----------
    change : Change
        The change that is being made.
    run : str
        The RUN.
    options : RunOptions
        Whose settings the tasks get.

    Returns
    -------
    graph : QuantumGraph
        For that RUN.
    is_new : bool
        Whether it is not the one that is on disk.

    Raises
    ------
    ConflictError
        If the run was begun with another graph or other settings, or the pipeline's tasks cannot do the graph's quanta.
    """
    from stage.graph.changing.retask import with_tasks

    source = open_graph(change.layout, change.state, change)
    pipeline = _pipeline(change)
    own = _own(change, run)
    if own is None:
        graph = source.load()
        if options.use_task_configs and pipeline is not None:
            graph = with_tasks(graph, pipeline)
        return graph.retarget(run), True
    is_extended = own.header.created_ns in source.header.metadata.get("extends", ())
    if own.header.created_ns != source.header.created_ns and not is_extended:
        raise ConflictError(
            f"run '{run}' was begun with another graph",
            code="run-graph-differs",
            hint="Give the same command --new-run too, or --replace to drop that run.",
        )
    nodes = pipeline.nodes if options.use_task_configs and pipeline is not None else source.tasks
    _check_settings(run, own, nodes, None if options.use_qg_configs else pipeline)
    if is_extended:
        return _extended(own.load(), source.load().retarget(run)), True
    return own.load(), False


def _own(change: Change, run: str) -> GraphFile | None:
    """Open the graph that a run was begun with, as this change has it."""
    from stage.graph.file.reader import GraphFile

    path = change.layout.run_graph(run)
    newest = change.current(path)
    return GraphFile.open(str(newest)) if newest != path else begun_with(change.layout, run)


def _pipeline(change: Change) -> Pipeline | None:
    if change.state.pipeline is None:
        return None
    return load_pipeline(change.layout, change.state, change).first


def _check_settings(run: str, own: GraphFile, nodes: Sequence[TaskNode], pipeline: Pipeline | None) -> None:
    """Refuse to go on with a run that was begun with settings of neither the graph nor the pipeline."""
    from stage.graph.changing.retask import has_tasks_of

    ours = [node for node in nodes if node.label in own.layout.task_index]
    if has_tasks_of(own, ours):
        return
    if pipeline is not None and own.header.pipeline_fingerprint == pipeline.fingerprint:
        return
    changed = [n.label for n in ours if own.node(n.label).fingerprint != n.fingerprint]
    raise ConflictError(
        f"run '{run}' was begun with other settings of {', '.join(changed) or 'its tasks'}",
        code="run-graph-differs",
        hint="Give the same command --new-run too, or --replace to drop that run.",
        context={"tasks": changed},
    )


def _extended(own: QuantumGraph, more: QuantumGraph) -> QuantumGraph:
    """Return a run's graph with the quanta that the campaign's has got since; what is there keeps its ids."""
    from stage.graph.changing.extend import extend
    from stage.graph.changing.retask import with_header

    left_out = Elsewhere.of(own.header).besides(Elsewhere.of(more.header))
    return with_header(extend(own, more), created_ns=more.header.created_ns, metadata=left_out)


def save_run_graph(change: Change, graph: QuantumGraph) -> None:
    """Write the graph that a run executes, beside what is there now.

    Parameters
    ----------
    change : Change
        The change that is being made; puts it in its place.
    graph : QuantumGraph
        For a RUN.
    """
    path = change.layout.run_graph(graph.output_run)
    change.creating_tree(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    graph.save(str(change.beside(path)), durable=True)


def note_finish(change: Change, run: str, finish: bool | None, *, is_taken_up: bool) -> None:
    """Remember beside a run's graph whether it stays the current one when it is complete.

    Parameters
    ----------
    change : Change
        The change that is being made.
    run : str
        The RUN.
    finish : bool or None
        What was asked for.
    is_taken_up : bool
        Whether this change made it the current one: then what was said of it before is no more.
    """
    path = _open_mark(change.layout, run)
    stays = finish is False
    if stays or (is_taken_up and path.exists()):
        change.creating_tree(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        change.write(path, b"open\n" if stays else b"")


def stays_open(layout: Layout, run: str) -> bool:
    """Tell whether a run stays the current one when it is complete, unless told otherwise.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        The RUN.

    Returns
    -------
    bool
        By default not; so it is for a run that was made by ``prep`` or begun with ``--no-finish``.
    """
    try:
        return bool(_open_mark(layout, run).read_bytes())
    except FileNotFoundError:
        return False


def _open_mark(layout: Layout, run: str) -> Path:
    return layout.submit(run) / ".open"


def leave_out_done(
    change: Change, graph: QuantumGraph, options: RunOptions
) -> tuple[QuantumGraph, Mapping[str, int]]:
    """Leave out of a run's graph what is done in other collections; the campaign's graph stays as it is.

    Parameters
    ----------
    change : Change
        The change that is being made.
    graph : QuantumGraph
        For the current run. What is done in that itself is not run again anyway.
    options : RunOptions
        ``skip_existing_in`` names the category of these collections.

    Returns
    -------
    graph : QuantumGraph
        Whose quanta read what others have made where these are left out.
    skipped : mapping of str to int
        Task to number of quanta that were left out.
    """
    from stage.graph.changing.refresh import leave_out
    from stage.graph.changing.retask import with_header

    run, category = graph.output_run, check_category(options.skip_existing_in)
    elsewhere = [c for c in category_collections(change.state.collections, category) if c != run]
    if not elsewhere:
        return graph, {}
    # What the campaign's runs hold is in staging.
    offline = options.graph.offline or category != "INPUTS"
    with (
        open_both(change, offline=offline) as sides,
        open_view(change.state, *sides) as view,
    ):
        found = leave_out(graph, view, existing_in=elsewhere)
    # The graphs of later steps are made by what the first one's says.
    noted = Elsewhere.of(graph.header).besides(Elsewhere(skip=tuple(elsewhere)))
    created = graph.header.created_ns
    return with_header(found.graph, created_ns=created, metadata=noted), found.trimmed
