"""The graph of one step: built on what the steps before it have made, without what is done elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registry.errors import UsageError
from stage.campaign.steps import StepPlan, step_graph_path

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.graph.building.view import BuildView
    from stage.graph.graph import QuantumGraph
    from stage.graph.layout import Header
    from stage.pipeline.pipeline import Pipeline
    from sync.repo import Repo

__all__ = ["Elsewhere", "StepGraph", "build_step", "own_step_graph", "step_graph"]


@dataclass(frozen=True)
class Elsewhere:
    """Where what is done already is looked for, in every step alike.

    Parameters
    ----------
    skip : tuple of str
        Collections and patterns: what is done there is left out of what this run executes.
    trim : tuple of str
        The same for the graph itself, when it was built or refreshed.
    """

    skip: tuple[str, ...] = ()
    trim: tuple[str, ...] = ()

    @classmethod
    def of(cls, header: Header) -> Elsewhere:
        """Read it from the graph of the first step.

        Parameters
        ----------
        header : Header
            Its header.

        Returns
        -------
        Elsewhere
            As that graph was made; so a run that is gone on with leaves out what it left out before.
        """
        known = header.metadata
        return cls(tuple(known.get("left_out_in", ())), tuple(known.get("trimmed_in", ())))

    def besides(self, more: Elsewhere) -> dict[str, list[str]]:
        """Return what a graph remembers of this and of another.

        Parameters
        ----------
        more : Elsewhere
            What is left out from now on.

        Returns
        -------
        dict
            For the metadata of its header; empty if nothing is left out.
        """
        both = {
            "left_out_in": list(dict.fromkeys((*self.skip, *more.skip))),
            "trimmed_in": list(dict.fromkeys((*self.trim, *more.trim))),
        }
        return {name: found for name, found in both.items() if found}

    def without(self, run: str) -> Elsewhere:
        """Leave a run out of these: what it has done itself is known anyway.

        Parameters
        ----------
        run : str
            A RUN.

        Returns
        -------
        Elsewhere
            All other collections.
        """
        return Elsewhere(tuple(c for c in self.skip if c != run), tuple(c for c in self.trim if c != run))


@dataclass(frozen=True)
class StepGraph:
    """The graph of one step, and what was left out of it.

    Parameters
    ----------
    graph : QuantumGraph
        Perhaps without quanta.
    skipped : mapping of str to int
        By task, quanta that this run leaves out as done elsewhere.
    trimmed : mapping of str to int
        By task, quanta that the graph was trimmed of.
    """

    graph: QuantumGraph
    skipped: Mapping[str, int] = field(default_factory=dict)
    trimmed: Mapping[str, int] = field(default_factory=dict)


def step_graph(
    change: Change, plan: StepPlan, number: int, earlier: Sequence[QuantumGraph], *, offline: bool
) -> StepGraph:
    """Return the graph of a later step: the one there is, unless those before it have grown since.

    Parameters
    ----------
    change : Change
        The change that is being made; the graph is written beside that of the first step.
    plan : StepPlan
        Of the first step's graph.
    number : int
        Which step, from 2.
    earlier : sequence of QuantumGraph
        Those before it, all executed.
    offline : bool
        Ask staging alone.

    Returns
    -------
    StepGraph
        With what it needs fetched.

    Raises
    ------
    UsageError
        If it has nothing to do although those before it made something (``empty-graph``).
    StageError
        If upstream cannot be reached, or it cannot be built.
    """
    from stage.campaign.fetching import ensure_fetched

    own, is_current = own_step_graph(change.layout, number, earlier)
    if own is not None and is_current:
        return StepGraph(own)
    found = build_step(change, plan, number, earlier, offline=offline, is_grown=own is not None)
    if own is not None:
        found = StepGraph(_grown(own, found.graph), found.skipped, found.trimmed)
    if not offline:
        ensure_fetched(change, found.graph)
    path = step_graph_path(change.layout, earlier[0].output_run, number)
    found.graph.save(str(path), durable=True)
    return found


def own_step_graph(
    layout: Layout, number: int, earlier: Sequence[QuantumGraph]
) -> tuple[QuantumGraph | None, bool]:
    """Return the graph of a later step as a run has it.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    number : int
        Which step, from 2.
    earlier : sequence of QuantumGraph
        Those before it.

    Returns
    -------
    graph : QuantumGraph or None
        None if it is not built yet.
    is_current : bool
        Whether it stays: none of those before it has grown since.
    """
    from stage.graph.file.reader import GraphFile

    path = step_graph_path(layout, earlier[0].output_run, number)
    own = GraphFile.open(str(path)).load() if path.is_file() else None
    return own, own is not None and list(own.header.metadata.get("after", ())) == _times(earlier)


def _times(graphs: Iterable[QuantumGraph]) -> list[int]:
    return [g.header.created_ns for g in graphs]


def _grown(own: QuantumGraph, new: QuantumGraph) -> QuantumGraph:
    from stage.graph.changing.extend import extend
    from stage.graph.changing.retask import with_header

    header = new.header
    return with_header(
        extend(own, new), created_ns=header.created_ns, metadata={"after": header.metadata["after"]}
    )


def build_step(
    change: Change,
    plan: StepPlan,
    number: int,
    earlier: Sequence[QuantumGraph],
    *,
    offline: bool,
    is_grown: bool = False,
) -> StepGraph:
    """Build one step's graph; an empty one if those before it have made nothing for it, or all is done elsewhere.

    Parameters
    ----------
    change : Change
        The change that is being made; nothing is written.
    plan : StepPlan
        Of the first step's graph.
    number : int
        Which step, from 2.
    earlier : sequence of QuantumGraph
        Those before it.
    offline : bool
        Ask staging alone.
    is_grown : bool, optional
        Whether the run has a graph of this step already, and may have done some of it.

    Returns
    -------
    StepGraph
        In memory.

    Raises
    ------
    UsageError
        If it has nothing to do although those before it made something (``empty-graph``).
    StageError
        If upstream cannot be reached, or it cannot be built.
    """
    from stage.campaign.building import open_view
    from stage.campaign.repositories import open_both
    from stage.pipeline.pipeline import Pipeline
    from stage.pipeline.settle import definition_of_text

    whole = Pipeline(definition_of_text(plan.pipeline, "the pipeline in the graph"))
    pipeline = whole.step(plan.labels[number - 1])
    first = earlier[0].header
    elsewhere = Elsewhere.of(first).without(first.output_run)
    may_be_empty = elsewhere != Elsewhere() or _made_nothing(change, pipeline, earlier)
    with (
        open_both(change, offline=offline) as (upstream, staging),
        open_view(change.state, upstream, staging) as view,
    ):
        try:
            graph = _ask(change, pipeline, view, earlier, clobber=is_grown, allow_empty=may_be_empty)
        except UsageError as exc:
            if exc.code != "empty-graph":
                raise
            raise UsageError(
                f"{plan.said(number)} has nothing to do: {exc.message}",
                code=exc.code,
                hint=exc.hint,
                context=exc.context,
            ) from exc
        return _left_out(graph, view, elsewhere)


def _search_path(view: BuildView, earlier: Sequence[QuantumGraph]) -> tuple[str, ...]:
    """Return where a step's inputs are searched: in the run itself if it has anything, and where what it left out is."""
    header = earlier[0].header
    left_out = Elsewhere.of(header).without(header.output_run)
    there = [place.collection for place in view.known_path((*left_out.skip, *left_out.trim))]
    own = (header.output_run,) if any(g.n_quanta for g in earlier) else ()
    inputs = (c for c in header.input_collections if c != header.output_run)
    return tuple(dict.fromkeys((*own, *there, *inputs)))


def _ask(
    change: Change,
    pipeline: Pipeline,
    view: BuildView,
    earlier: Sequence[QuantumGraph],
    *,
    clobber: bool,
    allow_empty: bool,
) -> QuantumGraph:
    from stage.graph.building.build import build
    from sync.tables.data_ids import read_data_id_table

    first, entry = earlier[0].header, change.state.quantum_graph
    table = change.layout.resolve(entry.data_id_table) if entry.data_id_table else ""
    return build(
        pipeline,
        view,
        input_collections=_search_path(view, earlier),
        where=entry.data_query,
        data_id_table=read_data_id_table(table, view.universe) if table else None,
        output_run=first.output_run,
        skip_existing_in=first.metadata.get("skip_existing_in", ()),
        metadata={"after": _times(earlier)},
        clobber=clobber,
        allow_empty=allow_empty or bool(first.metadata.get("skip_existing_in")),
    )


def _left_out(graph: QuantumGraph, view: BuildView, elsewhere: Elsewhere) -> StepGraph:
    """Leave out of a new graph what is done elsewhere, as it was left out of the first step's."""
    from stage.graph.changing.refresh import leave_out, refresh
    from stage.graph.changing.retask import with_header

    created, trimmed, skipped = graph.header.created_ns, {}, {}
    if elsewhere.trim and graph.n_quanta:
        found = refresh(
            graph,
            view,
            input_collections=graph.header.input_collections,
            trim_existing_in=elsewhere.trim,
            allow_pruning=True,
            allow_empty=True,
        )
        graph, trimmed = found.graph, found.trimmed
    if elsewhere.skip and graph.n_quanta:
        found = leave_out(graph, view, existing_in=elsewhere.skip)
        graph, skipped = found.graph, found.trimmed
    return StepGraph(with_header(graph, created_ns=created), skipped, trimmed)


# -- what the steps before it have made -----------------------------------------------------------------------


def _made_nothing(change: Change, pipeline: Pipeline, earlier: Sequence[QuantumGraph]) -> bool:
    """Tell whether earlier steps found out no dimension records, or made none of what a step reads of theirs."""
    from stage.campaign.repositories import open_staging

    if not any(g.n_quanta for g in earlier):
        return True
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
