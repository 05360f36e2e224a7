"""Two graphs as one: the quanta and datasets of both, and those of the first as they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import ConflictError
from registry.model.columns import unique_values
from stage.graph.building.plan import make_plan
from stage.graph.changing.join import ID_COLUMN, Joined, Joiner, found_mask, join, joined_found, repeats
from stage.graph.changing.refind import same_edges, same_rows
from stage.graph.changing.trim import changed_header, joined_records, own_identity, without_planned
from stage.graph.graph import QuantumGraph
from stage.graph.identity import Identity
from stage.graph.rows import TaskRows, TypeRows
from stage.graph.table import Csr, Table, code_column
from stage.pipeline.order import sorted_nodes

if TYPE_CHECKING:
    from stage.graph.building.plan import GraphPlan, TypePlan
    from stage.graph.building.prune import Mask
    from stage.graph.layout import Header, TaskLayout, TypeLayout
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = ["extend"]


def extend(graph: QuantumGraph, other: QuantumGraph) -> QuantumGraph:
    """Return the union of two graphs, by task label and data ID.

    Parameters
    ----------
    graph, other : QuantumGraph
        Stay as they are.

    Returns
    -------
    QuantumGraph
        Every quantum, dataset and edge of both. Ids are those of `graph`, and of `other` for what only that has; a
        dataset that one has found and the other makes is made. The first graph itself, if the second adds nothing.

    Raises
    ------
    ConflictError
        If they differ in a task of one label, in a dataset type, in their dimensions, their repository or their RUN
        (``extend-differs``).
    PipelineError
        If together they are no pipeline.

    Notes
    -----
    A quantum of both has the inputs of both, but for a connection that takes one dataset: there that of `graph` counts.
    """
    _check_headers(graph.header, other.header)
    if graph.universe != other.universe:
        raise _differs("they are of two dimension universes")
    nodes = _joined_nodes(graph, other)
    plan = make_plan(nodes, graph.universe)
    _check_types(graph, other)
    return _Union(graph, other, plan).graph()


def _differs(what: str) -> ConflictError:
    return ConflictError(
        f"the two graphs cannot be one: {what}",
        code="extend-differs",
        hint="Build a graph of its own instead, without extending this one.",
    )


def _check_headers(ours: Header, theirs: Header) -> None:
    for name, what in (("upstream", "repository"), ("output_run", "output RUN")):
        one, two = getattr(ours, name), getattr(theirs, name)
        if one and two and one != two:
            raise _differs(f"the {what} of the first is '{one}', that of the second '{two}'")


def _joined_nodes(graph: QuantumGraph, other: QuantumGraph) -> tuple[TaskNode, ...]:
    ours = {node.label: node for node in graph.tasks}
    for node in other.tasks:
        if node.label in ours and node.fingerprint != ours[node.label].fingerprint:
            what = _difference(ours[node.label], node)
            raise _differs(f"task '{node.label}' is not the same in both: {what}")
    new = [node for node in other.tasks if node.label not in ours]
    return sorted_nodes([*ours.values(), *new]) if new else tuple(graph.tasks)


def _difference(one: TaskNode, two: TaskNode) -> str:
    for key in sorted({*one.config, *two.config}):
        if one.config.get(key) != two.config.get(key):
            return f"{key} is {one.config.get(key)!r} in the first and {two.config.get(key)!r} in the second"
    if one.version != two.version:
        return f"its version is {one.version or '-'} in the first and {two.version or '-'} in the second"
    return "its code, dimensions or connections differ"


def _check_types(graph: QuantumGraph, other: QuantumGraph) -> None:
    for theirs in other.layout.types:
        if theirs.name in graph.layout.type_index:
            ours = graph.layout.types[graph.layout.type_index[theirs.name]]
            for what in ("dimensions", "storage_class"):
                one, two = getattr(ours, what), getattr(theirs, what)
                if one != two:
                    raise _differs(
                        f"dataset type '{ours.name}' has {what} {one} in the first and {two} in the second"
                    )


@dataclass(slots=True, eq=False)
class _Union:
    """The rows of both graphs, joined table after table."""

    one: QuantumGraph
    two: QuantumGraph
    plan: GraphPlan
    origins: tuple[bytes, ...] = ()
    types: dict[str, Joined] = field(default_factory=dict)
    made: dict[str, Mask] = field(default_factory=dict)
    joiner: Joiner = field(default_factory=Joiner)

    def graph(self) -> QuantumGraph:
        own = [g.header.origins or (g.id,) for g in (self.one, self.two)]
        self.origins = tuple(dict.fromkeys([*own[0], *own[1]]))
        for kind in self.plan.types.values():
            self.types[kind.name] = self._join_type(kind)
            self.made[kind.name] = np.zeros(self.types[kind.name].table.n_rows, dtype=np.bool_)
        tasks = [self._task(node) for node in self.plan.nodes]
        types = [self._type(kind) for kind in self.plan.types.values()]
        if self._is_first(tasks, types):
            return self.one
        documents = {**self.one.documents, "tasks": [node.to_document() for node in self.plan.nodes]}
        records = joined_records(self.one.universe, self.one.record_tables, self.two.record_tables)
        return QuantumGraph(self._header(), documents, tasks, types, records)

    def _is_first(self, tasks: Sequence[TaskRows], types: Sequence[TypeRows]) -> bool:
        """Tell whether the second graph adds nothing to the first."""
        return (
            len(tasks) == len(self.one.task_rows)
            and len(types) == len(self.one.type_rows)
            and all(_same_task(new, old) for new, old in zip(tasks, self.one.task_rows, strict=True))
            and all(
                _same_type(new, self.one.type_rows[self.one.layout.type_index[new.layout.name]])
                for new in types
            )
        )

    # -- datasets ---------------------------------------------------------------------------------------------

    def _join_type(self, kind: TypePlan) -> Joined:
        ours, theirs = (_type_rows(graph, kind.name) for graph in (self.one, self.two))
        found = [rows for rows in (ours, theirs) if rows is not None and not rows.layout.is_planned]
        if len(found) == 2 and (kind.type.is_calibration or any(repeats(rows.table) for rows in found)):
            # Of calibrations several may have one data ID, which are valid at different times.
            joined = join(*[_with_ids(rows) for rows in found])
            return joined._replace(table=joined.table.select(kind.dimensions))
        return self.joiner.join(_table(ours), _table(theirs), kind.dimensions)

    def _type(self, kind: TypePlan) -> TypeRows:
        joined = self.types[kind.name]
        sides = [_type_rows(graph, kind.name) for graph in (self.one, self.two)]
        held = [rows.layout for rows in sides if rows is not None]
        # How datasets are stored is known where they are planned.
        planned = [layout for layout in held if layout.is_planned]
        layout = (planned or held)[0]._replace(role=kind.role)
        found = joined_found(joined, sides, self.made[kind.name])
        if not layout.is_planned:
            return TypeRows(layout, joined.table, found)
        return TypeRows(layout, joined.table, without_planned(found), self._type_identity(joined, sides))

    def _type_identity(self, joined: Joined, sides: Sequence[TypeRows | None]) -> Identity:
        """Return where datasets come from: of the first graph that plans them."""
        plans = [
            _plans(rows, n) for rows, n in zip(sides, (len(joined.ours), len(joined.theirs)), strict=True)
        ]
        ours, theirs = joined.sources()
        by_second = (
            (theirs >= 0) & ~np.append(plans[0], np.False_)[ours] & np.append(plans[1], np.False_)[theirs]
        )
        parts = [
            self._identity(graph, rows, graph.layout.types)
            for graph, rows in zip((self.one, self.two), sides, strict=True)
        ]
        return _chosen(parts, joined, by_second)

    # -- quanta -----------------------------------------------------------------------------------------------

    def _task(self, node: TaskNode) -> TaskRows:
        sides = [_task_rows(graph, node.label) for graph in (self.one, self.two)]
        ours, theirs = sides
        joined = self.joiner.join(_table(ours), _table(theirs), self.plan.task_dimensions(node))
        edges = {}
        for c in node.connections:
            if c.is_input or c.is_output:
                csr = edges[c.name] = self._edges(c, joined, sides)
                if c.is_output:
                    self.made[c.dataset_type][csr.indices] = True
        parts = [
            self._identity(graph, rows, graph.layout.tasks)
            for graph, rows in zip((self.one, self.two), sides, strict=True)
        ]
        identity = _chosen(parts, joined, np.zeros(joined.table.n_rows, dtype=np.bool_))
        held = next(rows for rows in sides if rows is not None)
        hints = _joined_hints(joined, sides)
        return TaskRows(node.label, held.connections, joined.table, edges, identity, hints)

    def _edges(self, c: ConnectionDef, joined: Joined, sides: Sequence[TaskRows | None]) -> Csr:
        """Return the edges of both graphs, each once."""
        datasets = self.types[c.dataset_type]
        pairs = []
        taken = np.zeros(joined.table.n_rows, dtype=np.bool_)
        for rows, quanta, to in zip(
            sides, (joined.ours, joined.theirs), (datasets.ours, datasets.theirs), strict=True
        ):
            if rows is None:
                continue
            csr = rows.edges[c.name]
            quantum = quanta[csr.rows()]
            live = ~taken[quantum]
            pairs.append(quantum[live] * max(datasets.table.n_rows, 1) + to[csr.indices][live])
            if not c.multiple:
                taken[quantum] = True
        keys = unique_values(np.concatenate(pairs))
        owner, dataset = np.divmod(keys, max(datasets.table.n_rows, 1))
        return Csr.from_pairs(joined.table.n_rows, owner, dataset)

    def _identity(
        self,
        graph: QuantumGraph,
        rows: TaskRows | TypeRows | None,
        layouts: Sequence[TaskLayout | TypeLayout],
    ) -> Identity:
        """Return where a graph's rows come from, with places in the union's origins."""
        if rows is None:
            return Identity.of_block(0, 0, 0)
        name = rows.label if isinstance(rows, TaskRows) else rows.layout.name
        offset = next(t.offset for t in layouts if t[0] == name)
        own = own_identity(graph, rows, offset)
        to = np.array([self.origins.index(g) for g in graph.header.origins or (graph.id,)], dtype=np.int64)
        return Identity(to[own.origin], own.ordinal)

    # -- the header -------------------------------------------------------------------------------------------

    def _header(self) -> Header:
        ours, theirs = self.one.header, self.two.header
        where = ours.where
        if theirs.where != ours.where:
            where = f"({ours.where}) OR ({theirs.where})" if ours.where and theirs.where else ""
        labels = [{node.label for node in graph.tasks} for graph in (self.one, self.two)]
        fingerprint = ours.pipeline_fingerprint if labels[0] >= labels[1] else ""
        if labels[1] > labels[0]:
            fingerprint = theirs.pipeline_fingerprint
        header = changed_header(
            self.one,
            output_run=ours.output_run or theirs.output_run,
            input_collections=tuple(dict.fromkeys([*ours.input_collections, *theirs.input_collections])),
            where=where,
            pipeline_fingerprint=fingerprint,
            search_path=tuple(dict.fromkeys([*ours.search_path, *theirs.search_path])),
            upstream=ours.upstream or theirs.upstream,
        )
        return replace(header, origins=self.origins)


def _table(rows: TaskRows | TypeRows | None) -> Table | None:
    return None if rows is None else rows.table


def _task_rows(graph: QuantumGraph, label: str) -> TaskRows | None:
    place = graph.layout.task_index.get(label)
    return None if place is None else graph.task_rows[place]


def _type_rows(graph: QuantumGraph, name: str) -> TypeRows | None:
    place = graph.layout.type_index.get(name)
    return None if place is None else graph.type_rows[place]


def _with_ids(rows: TypeRows) -> Table:
    ids = np.empty(0, dtype=object) if rows.found is None else rows.found.columns["id"]
    return Table({**rows.table.columns, ID_COLUMN: ids}, rows.table.n_rows)


def _plans(rows: TypeRows | None, n: int) -> Mask:
    """Say which datasets a graph makes or would have made itself, rather than found."""
    if rows is None or not rows.layout.is_planned:
        return np.zeros(n, dtype=np.bool_)
    return ~found_mask(rows.found, n)


def _chosen(parts: Sequence[Identity], joined: Joined, by_second: Mask) -> Identity:
    both = Identity(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    ours, theirs = joined.sources()
    return both.take(np.where((ours >= 0) & ~by_second, ours, theirs + len(joined.ours)))


def _joined_hints(joined: Joined, sides: Sequence[TaskRows | None]) -> Table | None:
    """Return what quanta need, as the first graph that has them says; nothing if the nodes' count for all."""
    if not any(rows is not None and rows.hints is not None for rows in sides):
        return None
    texts = np.full(joined.table.n_rows, None, dtype=object)
    for rows, to in reversed(list(zip(sides, (joined.ours, joined.theirs), strict=True))):
        if rows is not None:
            texts[to] = None if rows.hints is None else rows.hints.decode()["resources"]
    return Table({"resources": code_column(texts)}, len(texts))


def _same_task(new: TaskRows, old: TaskRows) -> bool:
    return (
        new.label == old.label
        and new.table.n_rows == old.table.n_rows
        and all(same_edges(csr, old.edges[name]) for name, csr in new.edges.items())
    )


def _same_type(new: TypeRows, old: TypeRows) -> bool:
    if new.table.n_rows != old.table.n_rows or (new.found is None) != (old.found is None):
        return False
    return new.found is None or old.found is None or same_rows(new.found, old.found)
