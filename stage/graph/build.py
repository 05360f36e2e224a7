"""Build a quantum graph: ask for data IDs, relate, resolve, prune, look up, number."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.columns import Columns
from registry.model.refs import new_id
from stage.graph.checks import check_output, check_single
from stage.graph.explain import raise_empty
from stage.graph.found import FoundTable, Pool, Prerequisites, find_datasets
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header, TypeLayout
from stage.graph.plan import GraphPlan, TaskGroup, TypePlan, check_types, connections_of, make_plan
from stage.graph.prune import DraftConnection, DraftTask, Mask, Pruned, prune, surviving
from stage.graph.question import Place, Question, View
from stage.graph.records import collect_records
from stage.graph.relate import DataIdRows, match_rows
from stage.graph.rows import TaskRows, TypeRows
from stage.graph.skip import Earlier, Skipped
from stage.graph.table import Csr, Ints, Table, code_column
from stage.graph.view import BuildView

if TYPE_CHECKING:
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
        Expression over dimensions; holds for quanta, outputs and regular inputs, not for prerequisites.
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
    question = Question(where, bind, data_id, data_id_table)
    header = Header(
        new_id(),
        created_ns=time.time_ns(),
        output_run=output_run,
        input_collections=tuple(input_collections),
        where=where,
        pipeline_fingerprint=pipeline.fingerprint,
        search_path=tuple(str(p) for p in pipeline.search_path),
        metadata=dict(metadata or {}),
    )
    with view:
        pipeline.check(view.universe)
        return build_from_view(
            pipeline.nodes, view, question, header,
            skip_existing_in=skip_existing_in, clobber=clobber, allow_empty=allow_empty,
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
    skip_existing_in, clobber
        As for `build`.
    allow_empty : bool, optional
        Whether a graph without quanta is a graph.

    Returns
    -------
    QuantumGraph
        The graph.

    Raises
    ------
    AlreadyExistsError, NotFoundError, PipelineError, QueryError, UsageError
        As for `build`.
    """
    path = view.search_path(header.input_collections)
    plan = make_plan(nodes, view.universe)
    check_types(plan, view)
    builder = _Builder(plan, view, question, path, header, tuple(skip_existing_in), clobber=clobber)
    return builder.run(allow_empty=allow_empty)


@dataclass(slots=True, eq=False)
class _Builder:
    """The steps of one build, and what they hand on."""

    plan: GraphPlan
    view: View
    question: Question
    path: tuple[Place, ...]
    header: Header
    skip_existing_in: tuple[str, ...] = ()
    clobber: bool = False
    rows: dict[str, DataIdRows] = field(default_factory=dict)  # by label, its group's data IDs
    pools: dict[str, Pool] = field(default_factory=dict)
    found: dict[str, FoundTable] = field(default_factory=dict)  # by overall input, what exists
    matches: dict[str, Ints] = field(default_factory=dict)  # by overall input, which of `found` each row is
    group_rows: list[tuple[TaskGroup, DataIdRows]] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)
    _kept: dict[int, list[tuple[Mask, Table]]] = field(default_factory=dict)

    def run(self, *, allow_empty: bool) -> QuantumGraph:
        for group in self.plan.groups:
            rows = self._data_ids(group)
            self.group_rows.append((group, rows))
            self.rows.update({node.label: rows for node in group.nodes})
        self._find_inputs()
        drafts = [self._draft(node) for node in self.plan.nodes]
        self._find_earlier(drafts)
        existing = {name: match >= 0 for name, match in self.matches.items()}
        sizes = {k.name: self._places(k).n_rows for k in self.plan.of_part("overall", "made")}
        pruned = prune(drafts, {**existing, **self.skipped.existing}, sizes, self.skipped.quanta)
        if not allow_empty and not any(mask.any() for mask in pruned.quanta.values()):
            rows_by_group = [(g, r.table.n_rows) for g, r in self.group_rows]
            raise_empty(
                self.plan, self.view, self.question, self.path,
                groups=rows_by_group, skipped=self.skipped.facts(), dropped=pruned.dropped,
            )  # fmt: skip
        return self._assemble(drafts, pruned)

    def _find_earlier(self, drafts: Sequence[DraftTask]) -> None:
        """Find what was done before, and refuse what would be done over."""
        earlier = Earlier(self.view, self.plan, drafts, self._places)
        self.skipped = earlier.skipped(self.skip_existing_in)
        if self.header.output_run and not self.clobber:
            earlier.refuse_outputs(self.header.output_run, self.skipped.quanta)

    # -- which data IDs ---------------------------------------------------------------------------------------

    def _data_ids(self, group: TaskGroup) -> DataIdRows:
        """Ask for the data IDs of a group, held to its overall inputs' existence: by SQL or, across sides, here."""
        names = {c.dataset_type for n in group.nodes for c in n.connections if c.role == "input"}
        inputs = [k for k in self.plan.of_part("overall") if k.name in names and k.constrains]
        one_side = self.view.is_upstream_only(self.path)
        if not group.dimensions:
            table = Table({}, 1)
        else:
            constrain = [k.type for k in inputs] if one_side else []
            columns = self.view.data_ids(group.dimensions, self.question, constrain, self.path)
            table = Table({n: code_column(columns[n]) for n in columns.names}, columns.n_rows)
        rows = DataIdRows(table)
        if not one_side:
            for kind in inputs:
                places = rows.places(kind.dimensions)
                self.found[kind.name] = find_datasets(self.view, kind, self.path, places.table)
                there = match_rows(places.table, self.found[kind.name].data_ids, kind.dimensions) >= 0
                if not there.all():
                    rows = rows.keep(there[places.inverse])
        return rows

    def _find_inputs(self) -> None:
        for kind in self.plan.of_part("overall"):
            table = self._places(kind)
            if kind.name not in self.found:
                self.found[kind.name] = find_datasets(self.view, kind, self.path, table)
            self.matches[kind.name] = match_rows(table, self.found[kind.name].data_ids, kind.dimensions)

    def _rows_of(self, kind: TypePlan) -> DataIdRows:
        label = next(
            n.label
            for n in self.plan.nodes
            for c in n.connections
            if c.dataset_type == kind.name and (c.role == "input" or c.is_output)
        )
        return self.rows[label]

    def _places(self, kind: TypePlan) -> Table:
        """Return all data IDs that a dataset type could have in this graph."""
        return self._rows_of(kind).places(kind.dimensions).table

    # -- quanta and edges -------------------------------------------------------------------------------------

    def _draft(self, node: TaskNode) -> DraftTask:
        rows = self.rows[node.label]
        own = self.plan.task_dimensions(node)
        connections = []
        for c in node.connections:
            if c.role == "input" or c.is_output:
                kind = self.plan.types[c.dataset_type]
                edges = rows.edges(own, kind.dimensions)
                if c.is_output:
                    check_output(node, c, edges, rows, kind)
                connections.append(DraftConnection(c.name, c.dataset_type, c.is_input, c.minimum, edges))
        return DraftTask(node.label, rows.places(own).table.n_rows, connections)

    # -- the graph --------------------------------------------------------------------------------------------

    def _keep(self, table: Table, mask: Mask) -> Table:
        """Return the rows of a table that are kept: the same object for the same rows, so that it is stored once."""
        if mask.all():
            return table
        memo = self._kept.setdefault(id(table), [])
        for known, kept in memo:
            if np.array_equal(known, mask):
                return kept
        kept = table.take(mask)
        memo.append((mask, kept))
        return kept

    def _assemble(self, drafts: Sequence[DraftTask], pruned: Pruned) -> QuantumGraph:
        lookup = Prerequisites(self.view, self.plan, self.path)
        edges: dict[str, dict[str, Csr]] = {}
        pending: list[tuple[str, str, str, int]] = []  # label, connection, dataset type, part of its pool
        self._pool_inputs(pruned)
        tables: dict[str, Table] = {}
        for node, draft in zip(self.plan.nodes, drafts, strict=True):
            mine, kept = edges.setdefault(node.label, {}), pruned.quanta[node.label]
            places = self.rows[node.label].places(self.plan.task_dimensions(node))
            tables[node.label] = self._keep(places.table, kept)
            for c in draft.connections:
                mine[c.name] = surviving(c.edges, kept, pruned.datasets[c.dataset_type])
                if c.dataset_type in self.matches:
                    pending.append((node.label, c.name, c.dataset_type, 0))
            for d in node.connections:
                if d.role == "input":
                    check_single(node, d, mine[d.name], tables[node.label])
                elif d.role == "prerequisite":
                    found, mine[d.name] = lookup.resolve(
                        node, d, self._with_implied(node, places.first[kept])
                    )
                    pool = self.pools.setdefault(
                        d.dataset_type, Pool(self.plan.types[d.dataset_type].dimensions)
                    )
                    pending.append((node.label, d.name, d.dataset_type, pool.add(found)))
        types = self._types(pruned, edges, pending)
        tasks = [
            TaskRows(n.label, connections_of(n), tables[n.label], edges[n.label]) for n in self.plan.nodes
        ]
        alive = [(g, r.table.take(self._alive(g, r, pruned))) for g, r in self.group_rows]
        records = collect_records(self.view, [(g.dimensions, t) for g, t in alive] + lookup.data_ids)
        return QuantumGraph(self._header(pruned), self._documents(), tasks, types, records)

    def _with_implied(self, node: TaskNode, first: Ints) -> Table:
        """Return quanta with all dimensions of their task, required and implied."""
        names = self.plan.universe.group(node.dimensions).names
        return self.rows[node.label].table.select(names).take(first)

    def _alive(self, group: TaskGroup, rows: DataIdRows, pruned: Pruned) -> Mask:
        """Return which data IDs some kept quantum rests on."""
        mask = np.zeros(rows.table.n_rows, dtype=np.bool_)
        for node in group.nodes:
            mask |= pruned.quanta[node.label][rows.places(self.plan.task_dimensions(node)).inverse]
        return mask

    def _pool_inputs(self, pruned: Pruned) -> None:
        for name, match in self.matches.items():
            pool = self.pools[name] = Pool(self.plan.types[name].dimensions)
            kept = pruned.datasets[name]
            data_ids = self._keep(self._places(self.plan.types[name]), kept)
            pool.add(FoundTable(data_ids, self.found[name].found.take(match[kept])))
        for kind in self.plan.of_part("overall-init"):
            self.pools[kind.name] = Pool(kind.dimensions)
            self.pools[kind.name].add(find_datasets(self.view, kind, self.path, Table({}, 1)))

    def _types(
        self, pruned: Pruned, edges: dict[str, dict[str, Csr]], pending: Sequence[tuple[str, str, str, int]]
    ) -> list[TypeRows]:
        out = []
        for kind in self.plan.types.values():
            layout = TypeLayout(
                kind.name, kind.dimensions, kind.type.storage_class, kind.role, 0, 0, *kind.storage(),
                is_calibration=kind.type.is_calibration,
            )  # fmt: skip
            if kind.part == "init":
                out.append(TypeRows(layout, Table({}, 1)))
            elif kind.part == "made":
                kept = pruned.datasets[kind.name]
                found = self.skipped.among_planned(kind.name, kept)
                out.append(TypeRows(layout, self._keep(self._places(kind), kept), found))
            else:
                whole, places = self.pools[kind.name].merged()
                for label, connection, dataset_type, part in pending:
                    place = places[part] if dataset_type == kind.name else None
                    if place is not None:
                        csr = edges[label][connection]
                        edges[label][connection] = Csr(csr.indptr, place[csr.indices].astype(np.int32))
                out.append(TypeRows(layout, whole.data_ids, whole.found))
        return out

    def _header(self, pruned: Pruned) -> Header:
        facts: dict[str, Any] = {
            "dropped": [
                {"task": d.label, "dataset_type": d.dataset_type, "dropped": d.n_dropped, "of": d.n_before}
                for d in pruned.dropped
            ]
        }
        if self.skip_existing_in:
            facts |= {"skip_existing_in": list(self.skip_existing_in), "skipped": self.skipped.facts()}
        given = self.header
        return Header(
            given.id, given.created_ns, given.output_run, given.input_collections, given.where,
            given.pipeline_fingerprint, given.search_path, self.view.root, {**facts, **given.metadata},
        )  # fmt: skip

    def _documents(self) -> dict[str, Any]:
        return {
            "universe": dict(self.plan.universe.source),
            "tasks": [node.to_document() for node in self.plan.nodes],
        }
