"""Going through the steps of a pipeline: each step's graph is built when the last one's outputs are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import IntegrityError, StageError, UsageError
from stage.campaign.layout import Layout

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.change import Change
    from stage.campaign.run_options import RunOptions
    from stage.execution.progress import ProgressEvent, RunSummary
    from stage.graph.building.view import BuildView
    from stage.graph.file.reader import GraphFile
    from stage.graph.graph import QuantumGraph
    from stage.graph.layout import Header
    from stage.pipeline.node import TaskNode
    from stage.pipeline.pipeline import Pipeline
    from sync.repo import Repo

__all__ = ["StepPlan", "built_nodes", "run_graphs", "run_steps", "step_graph_path", "steps_left"]

Progress = Callable[["ProgressEvent"], Any]
Execute = Callable[[str, "QuantumGraph", Progress | None], "RunSummary"]


@dataclass(frozen=True)
class StepPlan:
    """What a graph says of the steps that it is one of.

    Parameters
    ----------
    labels : tuple of str
        All steps, in order; empty for a pipeline without.
    number : int
        Which of them the graph holds, from 1.
    pipeline : str
        The whole pipeline as it was when the first step's graph was built, in YAML.
    """

    labels: tuple[str, ...] = ()
    number: int = 1
    pipeline: str = ""

    @classmethod
    def of(cls, header: Header) -> StepPlan:
        """Read it from a graph's header.

        Parameters
        ----------
        header : Header
            Of any graph.

        Returns
        -------
        StepPlan
            Without labels for a graph that is no step.

        Raises
        ------
        IntegrityError
            If what it says cannot be read.
        """
        document = header.metadata.get("step")
        if not document:
            return cls()
        try:
            return cls(tuple(document["steps"]), int(document["number"]), str(document["pipeline"]))
        except (KeyError, TypeError, ValueError) as exc:
            raise IntegrityError(f"what the graph says of its steps cannot be read: {exc}") from exc

    @property
    def label(self) -> str:
        """The step that the graph holds; empty for a graph that is no step."""
        return self.labels[self.number - 1] if self.labels else ""

    def said(self, number: int) -> str:
        """Word one of the steps.

        Parameters
        ----------
        number : int
            Which, from 1.

        Returns
        -------
        str
            As ``step 2 of 3 'work'``.
        """
        return f"step {number} of {len(self.labels)} '{self.labels[number - 1]}'"


def step_graph_path(layout: Layout, run: str, number: int) -> Path:
    """Return where the graph of one step of a run is.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        A RUN collection.
    number : int
        The step, from 1.

    Returns
    -------
    pathlib.Path
        ``submit/<run>/graph.qg`` for the first, ``graph.step-<n>.qg`` for those after it.
    """
    first = layout.run_graph(run)
    return first if number == 1 else first.with_name(f"{first.stem}.step-{number}{first.suffix}")


def run_graphs(layout: Layout, run: str) -> list[Path]:
    """Return the graphs of a run, as far as they are built.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        A RUN collection.

    Returns
    -------
    list of pathlib.Path
        One a step, in order; one for a pipeline without steps.
    """
    out: list[Path] = []
    while (path := step_graph_path(layout, run, len(out) + 1)).is_file():
        out.append(path)
    return out


def steps_left(layout: Layout, run: str) -> tuple[str, ...]:
    """Return the steps of a run whose graphs are still to be built.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        A RUN collection.

    Returns
    -------
    tuple of str
        Their labels; none if the run's graph is gone.
    """
    from stage.graph.file.reader import GraphFile

    paths = run_graphs(layout, run)
    try:
        return StepPlan.of(GraphFile.open(str(paths[0])).header).labels[len(paths) :] if paths else ()
    except StageError:
        return ()


def built_nodes(graph: GraphFile) -> dict[str, TaskNode]:
    """Return the tasks of a graph, and those of the steps that are to follow it, as they were when it was built.

    Parameters
    ----------
    graph : GraphFile
        A first step's graph, or any other.

    Returns
    -------
    dict of str to TaskNode
        By label.
    """
    from stage.pipeline.settle import definition_of_text, settle_nodes

    nodes = {node.label: node for node in graph.tasks}
    plan = StepPlan.of(graph.header)
    if plan.labels:
        whole = settle_nodes(definition_of_text(plan.pipeline, "the pipeline in the graph"))
        nodes = {**{node.label: node for node in whole}, **nodes}
    return nodes


def run_steps(change: Change, graph: QuantumGraph, execute: Execute, options: RunOptions) -> RunSummary:
    """Execute a run's graph, and those of the steps that follow, each built when all before it is done.

    Parameters
    ----------
    change : Change
        The change that is being made; kept already, so that a killed run can be gone on with.
    graph : QuantumGraph
        The graph of the first step, or of a pipeline without steps; its RUN is that of all steps.
    execute : callable
        Runs what is left of a graph: takes its file, the graph, and whom to tell of progress.
    options : RunOptions
        Whom to tell (``step`` of each event says which step it is about), and how graphs are built.

    Returns
    -------
    RunSummary
        Of all steps that were begun. Those after a failure or an interruption were not: the same command goes on there.

    Raises
    ------
    UsageError
        If a step has nothing to do although those before it made something (``empty-graph``). What is done stays.
    StageError
        If upstream cannot be reached, or a graph cannot be built. What is done stays.
    """
    plan, run, on_progress = StepPlan.of(graph.header), graph.output_run, options.on_progress
    first = step_graph_path(change.layout, run, 1)
    summary = execute(str(first), graph, _told(on_progress, plan, 1))
    graphs = [graph]
    for number in range(2, len(plan.labels) + 1):
        if not summary.is_complete:
            break
        graphs.append(_step_graph(change, plan, number, graphs, options))
        path = step_graph_path(change.layout, run, number)
        summary = _joined(summary, execute(str(path), graphs[-1], _told(on_progress, plan, number)))
    return summary


def _told(on_progress: Progress | None, plan: StepPlan, number: int) -> Progress | None:
    """Return whom to tell of one step's progress."""
    if on_progress is None or not plan.labels:
        return on_progress
    said = plan.said(number)
    return lambda event: on_progress(replace(event, step=said))


def _joined(before: RunSummary, now: RunSummary) -> RunSummary:
    return replace(
        now,
        tasks={**before.tasks, **now.tasks},
        failures=(*before.failures, *now.failures),
        elapsed_s=before.elapsed_s + now.elapsed_s,
    )


# -- one step's graph -----------------------------------------------------------------------------------------


def _step_graph(
    change: Change, plan: StepPlan, number: int, earlier: list[QuantumGraph], options: RunOptions
) -> QuantumGraph:
    """Return the graph of a later step: the one there is, unless those before it have grown since."""
    from stage.campaign.fetching import ensure_fetched
    from stage.graph.file.reader import GraphFile

    run = earlier[0].output_run
    path = step_graph_path(change.layout, run, number)
    before = [g.header.created_ns for g in earlier]
    own = GraphFile.open(str(path)).load() if path.is_file() else None
    if own is not None and list(own.header.metadata.get("after", ())) == before:
        return own
    graph = _built(change, plan, number, earlier, options, is_grown=own is not None)
    if own is not None:
        graph = _grown(own, graph)
    if not options.graph.offline:
        ensure_fetched(change, graph)
    graph.save(str(path), durable=True)
    return graph


def _grown(own: QuantumGraph, new: QuantumGraph) -> QuantumGraph:
    from stage.graph.changing.extend import extend
    from stage.graph.changing.retask import with_header

    header = new.header
    return with_header(
        extend(own, new), created_ns=header.created_ns, metadata={"after": header.metadata["after"]}
    )


def _built(
    change: Change,
    plan: StepPlan,
    number: int,
    earlier: list[QuantumGraph],
    options: RunOptions,
    *,
    is_grown: bool,
) -> QuantumGraph:
    """Build one step's graph; an empty one if those before it have made nothing for it."""
    from stage.campaign.building import open_view
    from stage.campaign.repositories import open_both
    from stage.pipeline.pipeline import Pipeline
    from stage.pipeline.settle import definition_of_text

    whole = Pipeline(definition_of_text(plan.pipeline, "the pipeline in the graph"))
    pipeline = whole.step(plan.labels[number - 1])
    elsewhere = _elsewhere(change, earlier[0].output_run, options)
    is_over = bool(elsewhere) or _made_nothing(change, pipeline, earlier)
    with (
        open_both(change, offline=options.graph.offline) as (upstream, staging),
        open_view(change.state, upstream, staging) as view,
    ):
        try:
            return _ask(change, pipeline, view, earlier, elsewhere, clobber=is_grown, allow_empty=is_over)
        except UsageError as exc:
            if exc.code != "empty-graph":
                raise
            raise UsageError(
                f"{plan.said(number)} has nothing to do: {exc.message}",
                code=exc.code,
                hint=exc.hint,
                context=exc.context,
            ) from exc


def _elsewhere(change: Change, run: str, options: RunOptions) -> tuple[str, ...]:
    """Return the collections in which what is done already is not to be done again."""
    from stage.campaign.categories import category_collections

    if not options.skip_existing_in:
        return ()
    found = category_collections(change.state.collections, options.skip_existing_in)
    return tuple(c for c in found if c != run)


def _ask(
    change: Change,
    pipeline: Pipeline,
    view: BuildView,
    earlier: list[QuantumGraph],
    elsewhere: tuple[str, ...],
    *,
    clobber: bool = False,
    allow_empty: bool = False,
) -> QuantumGraph:
    from stage.graph.building.build import build
    from sync.data_id_table import read_data_id_table

    first, entry = earlier[0].header, change.state.quantum_graph
    table = change.layout.resolve(entry.data_id_table) if entry.data_id_table else ""
    run = first.output_run
    return build(
        pipeline,
        view,
        input_collections=(run, *(c for c in first.input_collections if c != run)),
        where=entry.data_query,
        data_id_table=read_data_id_table(table, view.universe) if table else None,
        output_run=run,
        skip_existing_in=(*first.metadata.get("skip_existing_in", ()), *elsewhere),
        metadata={"after": [g.header.created_ns for g in earlier]},
        clobber=clobber,
        allow_empty=allow_empty,
    )


def _made_nothing(change: Change, pipeline: Pipeline, earlier: list[QuantumGraph]) -> bool:
    """Tell whether earlier steps found out no dimension records, or made none of what a step reads of theirs."""
    from stage.campaign.repositories import open_staging

    made = {c.dataset_type for g in earlier for n in g.tasks for c in n.outputs}
    read = {c.dataset_type for n in pipeline.nodes for c in n.inputs} & made
    records = {c.dataset_type for g in earlier for n in g.tasks for c in n.connections if c.records}
    run = earlier[0].output_run
    with open_staging(change.layout) as staging, staging.registry.read() as snapshot:
        there = {name for name, _ in snapshot.count_datasets([run]).rows(("dataset_type", "run"))}
        if read and not read & there:
            return True
        return bool(records) and not _has_records(snapshot, staging, run, records & there)


def _has_records(snapshot: Snapshot, staging: Repo, run: str, names: Iterable[str]) -> bool:
    from registry.model.records import Artifact

    for name in sorted(names):
        rows = snapshot.datasets(name, [run], artifacts=True)
        kind = snapshot.dataset_type(name).storage_class
        if any(staging.datastore.get(Artifact(*a), kind) for a in rows.rows(Artifact._fields)):
            return True
    return False
