"""Build a quantum graph: ask for data IDs, relate, resolve, prune, look up, number."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError, QueryError
from registry.model.columns import Columns
from registry.model.refs import new_id
from stage.graph.building.assemble import Assembly
from stage.graph.building.candidates import Candidates
from stage.graph.building.checks import check_output
from stage.graph.building.found import FoundTable, find_datasets
from stage.graph.building.governors import implied, settled
from stage.graph.building.plan import GraphPlan, TaskGroup, check_types, make_plan
from stage.graph.building.prerequisites import Prerequisites
from stage.graph.building.prune import DraftConnection, DraftTask, Pruned, prune
from stage.graph.building.question import Place, Question, View
from stage.graph.building.relate import DataIdRows, match_rows
from stage.graph.building.skip import Earlier, Skipped
from stage.graph.building.view import BuildView
from stage.graph.layout import Header
from stage.graph.table import Ints, Table, code_column
from stage.pipeline.steps import refuse_several, step_document

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.model.dimensions import DimensionGroup
    from stage.graph.explaining.explain import Explanation
    from stage.graph.graph import QuantumGraph
    from stage.graph.hooks.asked import Hooks
    from stage.pipeline.node import TaskNode
    from stage.pipeline.pipeline import Pipeline

__all__ = ["build", "build_from_view"]


def build(
    pipeline: Pipeline,
    view: BuildView,
    *,
    input_collections: Sequence[str],
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    data_id: Mapping[str, Any] | None = None,
    data_id_table: Columns | None = None,
    output_run: str = "",
    skip_existing_in: Sequence[str] = (),
    clobber: bool = False,
    allow_empty: bool = False,
    explain: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> QuantumGraph:
    """Build the graph of all that a pipeline can do with what there is.

    Parameters
    ----------
    pipeline : Pipeline
        The tasks.
    view : BuildView
        Upstream and staging; only read, in one snapshot of each.
    input_collections : sequence of str
        Where inputs are searched, in order: past runs first, then the inputs proper.
    where : str, optional
        Expression over dimensions; holds for quanta, outputs and regular inputs, not for prerequisites. An instrument
        or a sky map that it does not speak of is the only one that the input collections have datasets of.
    bind : mapping, optional
        Values for its identifiers.
    data_id : mapping, optional
        Dimension values that hold for all.
    data_id_table : Columns, optional
        Data IDs, of some dimensions, to which the graph is limited.
    output_run : str, optional
        The RUN of the outputs. None of them may be there already, unless it is skipped or `clobber` is given.
    skip_existing_in : sequence of str, optional
        Collections and patterns, in search order: a quantum whose metadata exist there is not done again. Those of
        its outputs that exist there are inputs of what follows; those that do not are lacking.
    clobber : bool, optional
        Whether outputs that are in `output_run` already are to be replaced when the graph is run.
    allow_empty : bool, optional
        Whether a graph without quanta is a graph.
    explain : bool, optional
        Whether to tell where the quanta come from: as ``explanation`` in the header's metadata, or in the context of
        the error about an empty graph. See `stage.graph.explaining.explain`.
    metadata : mapping, optional
        JSON values to be kept in the header.

    Returns
    -------
    QuantumGraph
        Without `output_run` not yet for any RUN: see `QuantumGraph.retarget`.

    Raises
    ------
    NotFoundError
        If a collection, an overall input's dataset type or a required prerequisite is missing.
    PipelineError
        If the pipeline does not fit what is registered, or a quantum finds several datasets where it takes one.
    QueryError
        If the expression cannot be understood.
    AlreadyExistsError
        If outputs are in the output RUN already (``output-exists``); says which is the first, and how many.
    UsageError
        If there is nothing to do (``empty-graph``); says what removed what.

    Notes
    -----
    One question for each connected group of tasks, one for each dataset type that is found, one for each dimension
    element; all else is distinct and join over columns. O(rows) memory.
    """
    refuse_several(pipeline.steps, pipeline.definition.where)
    question = Question(where, bind, data_id, data_id_table)
    header = Header(
        new_id(),
        created_ns=time.time_ns(),
        output_run=output_run,
        input_collections=tuple(input_collections),
        where=where,
        pipeline_fingerprint=pipeline.fingerprint,
        search_path=tuple(str(p) for p in pipeline.search_path),
        metadata={**step_document(pipeline), **(metadata or {})},
    )
    with view:
        (pipeline.whole or pipeline).check(view.universe)
        return build_from_view(
            pipeline.nodes, view, question, header,
            skip_existing_in=skip_existing_in, clobber=clobber, allow_empty=allow_empty, explain=explain,
        )  # fmt: skip


def build_from_view(
    nodes: Sequence[TaskNode],
    view: View,
    question: Question,
    header: Header,
    *,
    skip_existing_in: Sequence[str] = (),
    clobber: bool = False,
    allow_empty: bool = False,
    explain: bool = False,
) -> QuantumGraph:
    """Build a graph on any view that answers with columns.

    Parameters
    ----------
    nodes : sequence of TaskNode
        The tasks, producers before consumers.
    view : View
        What to ask.
    question : Question
        What the user asked for.
    header : Header
        What the graph is to be called; ``input_collections`` are searched, in ``output_run`` nothing may be in the way.
    skip_existing_in, clobber, allow_empty, explain
        As for `build`.

    Returns
    -------
    QuantumGraph
        The graph.

    Raises
    ------
    AlreadyExistsError, NotFoundError, PipelineError, QueryError, UsageError
        As for `build`.
    """
    plan = check_types(make_plan(nodes, view.universe), view)
    path = view.search_path(header.input_collections)
    builder = _Builder(plan, view, question, path, header, tuple(skip_existing_in), clobber=clobber)
    return builder.run(allow_empty=allow_empty, explain=explain)


@dataclass(eq=False)
class _Builder:
    """The steps of one build, and what they hand on."""

    plan: GraphPlan
    view: View
    question: Question
    path: tuple[Place, ...]
    header: Header
    skip_existing_in: tuple[str, ...] = ()
    clobber: bool = False
    found: dict[str, FoundTable] = field(default_factory=dict)  # by overall input, what exists
    matches: dict[str, Ints] = field(default_factory=dict)  # by overall input, which of `found` each row is
    group_rows: list[tuple[TaskGroup, DataIdRows]] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)
    explanation: dict[str, Any] | None = None

    @cached_property
    def candidates(self) -> Candidates:
        """By task, the data IDs of its group."""
        return Candidates(self.plan, {n.label: rows for group, rows in self.group_rows for n in group.nodes})

    @cached_property
    def lookup(self) -> Prerequisites:
        """Looks prerequisites up."""
        return Prerequisites(self.view, self.plan, self.path, self.question)

    def run(self, *, allow_empty: bool, explain: bool) -> QuantumGraph:
        whole = self.plan.universe.group([n for g in self.plan.groups for n in g.dimensions])
        self.question = implied(self.question, whole, self.view, self.path)
        self.group_rows = [(group, self._data_ids(group)) for group in self.plan.groups]
        self._find_inputs()
        drafts = [self._draft(node) for node in self.plan.nodes]
        self._find_earlier(drafts)
        existing = {name: match >= 0 for name, match in self.matches.items()}
        sizes = {k.name: self.candidates.datasets(k).n_rows for k in self.plan.of_part("overall", "made")}
        hooks = self._hooks()
        pruned: Pruned | None = None
        try:
            pruned = prune(drafts, {**existing, **self.skipped.existing}, sizes, self.skipped.quanta, hooks)
            is_empty = not any(mask.any() for mask in pruned.quanta.values())
            if explain or (is_empty and not allow_empty):
                self._explain(pruned, whole=explain, refuse=is_empty and not allow_empty)
            assembly = Assembly(
                self.candidates, self.lookup, self.found, self.matches, self.skipped, pruned, hooks
            )
            return assembly.graph(self._header(pruned), self.group_rows)
        except NotFoundError as exc:
            if self.lookup.lacking:
                exc.context["explanation"] = self._explained(pruned, whole=explain).to_document()
            raise

    def _hooks(self) -> Hooks | None:
        """Return tasks' own code; None, and nothing is called, if no task overrides a hook."""
        if not any(node.hooks for node in self.plan.nodes):
            return None
        from stage.graph.hooks.asked import Hooks

        return Hooks(self.candidates, self.lookup, self.found, self.matches, self.header.output_run)

    def _explain(self, pruned: Pruned, *, whole: bool, refuse: bool) -> None:
        """Tell where quanta come from, or refuse a graph without any."""
        from stage.graph.explaining.explain import raise_empty

        explanation = self._explained(pruned, whole=whole)
        if refuse:
            raise_empty(explanation)
        self.explanation = explanation.to_document()

    def _explained(self, pruned: Pruned | None, *, whole: bool) -> Explanation:
        """Tell where quanta come from, with all counts only where these are asked for; None before any was dropped."""
        from stage.graph.explaining.explain import MOST, Outcome, explain

        tables = {n.label: self.candidates.quanta(n).table for n in self.plan.nodes}
        quanta = {label: np.ones(t.n_rows, np.bool_) for label, t in tables.items()} | (
            {} if pruned is None else pruned.quanta
        )
        outcome = Outcome(
            self.plan, self.view, self.question, self.path, [(g, r.table.n_rows) for g, r in self.group_rows],
            tables.__getitem__, {label: int(np.count_nonzero(m)) for label, m in quanta.items()},
            () if pruned is None else pruned.dropped, self.skipped.facts(),
            () if pruned is None else pruned.refused, self.lookup,
        )  # fmt: skip
        return explain(outcome, most=MOST if whole else 1)

    def _find_earlier(self, drafts: Sequence[DraftTask]) -> None:
        """Find what was done before, and refuse what would be done over."""
        earlier = Earlier(self.view, self.plan, drafts, self.candidates.datasets)
        self.skipped = earlier.skipped(self.skip_existing_in)
        if self.header.output_run and not self.clobber:
            earlier.refuse_outputs(self.header.output_run, self.skipped.quanta)

    # -- which data IDs ---------------------------------------------------------------------------------------

    def _data_ids(self, group: TaskGroup) -> DataIdRows:
        """Ask for the data IDs of a group, held to its overall inputs' existence."""
        if not group.dimensions:
            return DataIdRows(Table({}, 1))
        if any(node.units for node in group.nodes):
            from stage.graph.hooks.units import find_units

            return DataIdRows(find_units(group, self.view, self.question, self.path))
        names = {c.dataset_type for n in group.nodes for c in n.connections if c.role == "input"}
        constrain = [k.type for k in self.plan.of_part("overall") if k.name in names and k.constrains]
        columns = self._ask(group.dimensions, constrain)
        return DataIdRows(Table({n: code_column(columns[n]) for n in columns.names}, columns.n_rows))

    def _ask(self, group: DimensionGroup, constrain: Sequence[DatasetType]) -> Columns:
        """Ask for data IDs; governors that the expression needs and does not name are those of the inputs."""
        while True:
            try:
                return self.view.data_ids(group, self.question, constrain, self.path)
            except QueryError as exc:
                self.question = settled(self.question, exc, self.view, self.path)

    def _find_inputs(self) -> None:
        for kind in self.plan.of_part("overall"):
            table = self.candidates.datasets(kind)
            self.found[kind.name] = find_datasets(self.view, kind, self.path, table)
            self.matches[kind.name] = match_rows(table, self.found[kind.name].data_ids, kind.dimensions)

    # -- quanta and edges -------------------------------------------------------------------------------------

    def _draft(self, node: TaskNode) -> DraftTask:
        rows = self.candidates.rows[node.label]
        own = self.plan.task_dimensions(node)
        connections = []
        for c in node.connections:
            if c.role == "input" or c.is_output:
                kind = self.plan.types[c.dataset_type]
                edges = self.candidates.edges(node, kind)
                if c.is_output and "define_quanta" not in node.hooks:
                    check_output(node, c, edges, rows, kind)
                connections.append(DraftConnection(c.name, c.dataset_type, c.is_input, c.minimum, edges))
        return DraftTask(node.label, rows.places(own).table.n_rows, connections)

    # -- the graph --------------------------------------------------------------------------------------------

    def _header(self, pruned: Pruned) -> Header:
        """Return the header with what was found out."""
        facts: dict[str, Any] = {
            "dropped": [
                {"task": d.label, "dataset_type": d.dataset_type, "dropped": d.n_dropped, "of": d.n_before}
                for d in pruned.dropped
            ]
        }
        if pruned.refused:
            facts["refused"] = [
                {
                    "task": r.label,
                    "hook": r.hook,
                    "reason": r.reason,
                    "dropped": r.n_dropped,
                    "of": r.n_before,
                }
                for r in pruned.refused
            ]
        if self.skip_existing_in:
            facts |= {"skip_existing_in": list(self.skip_existing_in), "skipped": self.skipped.facts()}
        if self.explanation is not None:
            facts["explanation"] = self.explanation
        given = self.header
        return replace(given, upstream=self.view.root, metadata={**facts, **given.metadata})
