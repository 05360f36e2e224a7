"""Looking again for all that a graph reads and does not make: the same datasets, others, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import unique_values
from stage.graph.building.found import FoundTable, Pool, find_datasets
from stage.graph.building.plan import make_plan
from stage.graph.building.prerequisites import Prerequisites
from stage.graph.building.records import collect_records
from stage.graph.building.relate import concat_columns, match_rows
from stage.graph.changing.trim import changed, joined_records, with_implied
from stage.graph.table import Csr, Ints, Table

if TYPE_CHECKING:
    from stage.graph.building.plan import GraphPlan, TypePlan
    from stage.graph.building.prune import Mask
    from stage.graph.building.question import Place, View
    from stage.graph.graph import QuantumGraph
    from stage.graph.layout import ConnectionLayout

__all__ = ["Refound", "find_again", "overlaid", "plan_of", "same_edges", "same_rows"]

_QUANTUM = "row of the quantum"
_CHOOSE = frozenset({"adjust_quantum", "define_quanta"})
"""Hooks that may leave out what was found for a quantum."""


@dataclass(slots=True, eq=False)
class Refound:
    """What has become of the overall inputs of a graph.

    Parameters
    ----------
    graph : QuantumGraph
        The graph with what was found now; the graph that was given if nothing differs.
    there : dict of str to mask
        By dataset type, which of its datasets exist.
    resolved, replaced, unresolved : dict of str to int
        By dataset type, how many datasets were found, how many of those are other ones than before, and how many
        were not found.
    """

    graph: QuantumGraph
    there: dict[str, Mask] = field(default_factory=dict)
    resolved: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    unresolved: dict[str, int] = field(default_factory=dict)


def plan_of(graph: QuantumGraph) -> GraphPlan:
    """Return what a graph's tasks mean.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.

    Returns
    -------
    GraphPlan
        With the storage classes that were registered when it was built.
    """
    plan = make_plan(graph.tasks, graph.universe)
    stored = {t.name: t.storage_class for t in graph.layout.types}
    types = {
        name: replace(kind, type=replace(kind.type, storage_class=stored.get(name, kind.type.storage_class)))
        for name, kind in plan.types.items()
    }
    return replace(plan, types=types)


def find_again(graph: QuantumGraph, view: View, plan: GraphPlan, path: tuple[Place, ...]) -> Refound:
    """Look for the overall inputs and prerequisites of all quanta.

    Parameters
    ----------
    graph : QuantumGraph
        Stays as it is.
    view : View
        Where to look.
    plan : GraphPlan
        What the graph's tasks mean.
    path : tuple of Place
        The search path.

    Returns
    -------
    Refound
        Quanta are all there, also those that lack something now.

    Notes
    -----
    One question a dataset type; for a prerequisite as many as when a graph is built.
    """
    finder = _Finder(graph, view, plan, path)
    for kind in plan.of_part("overall", "prerequisite", "overall-init"):
        finder.find(kind)
    return finder.refound()


class _Finder:
    """The dataset types and edges of a graph, replaced one type after another."""

    def __init__(self, graph: QuantumGraph, view: View, plan: GraphPlan, path: tuple[Place, ...]) -> None:
        self.graph, self.view, self.plan, self.path = graph, view, plan, path
        self.lookup = Prerequisites(view, plan, path)
        self.types = list(graph.type_rows)
        self.edges = [dict(rows.edges) for rows in graph.task_rows]
        self.out = Refound(graph)

    def find(self, kind: TypePlan) -> None:
        readers = [
            (place, c)
            for place, rows in enumerate(self.graph.task_rows)
            for c in rows.connections
            if c.dataset_type == kind.name
        ]
        place = self.graph.layout.type_index[kind.name]
        if any(c.role == "prerequisite" for _, c in readers):
            self._find_pool(kind, place, readers)
        else:
            self._find_rows(kind, place)

    def _count(self, name: str, n_found: int, n_replaced: int, n_missing: int) -> None:
        counts = self.out.resolved, self.out.replaced, self.out.unresolved
        for into, n in zip(counts, (n_found, n_replaced, n_missing), strict=True):
            into[name] = n

    def _find_rows(self, kind: TypePlan, place: int) -> None:
        """Look for regular inputs: the data IDs stay."""
        rows = self.types[place]
        old = rows.found
        found, match = self._lookup(kind, rows.table)
        there = self.out.there[kind.name] = match >= 0
        if old is None:
            return
        new = overlaid(old, found.found, match)
        n_other = int(np.count_nonzero(there & (old.columns["id"] != new.columns["id"])))
        n_found = int(np.count_nonzero(there))
        self._count(kind.name, n_found, n_other, len(there) - n_found)
        if not same_rows(old, new):
            self.types[place] = replace(rows, found=new)

    def _lookup(self, kind: TypePlan, table: Table) -> tuple[FoundTable, Ints]:
        found = find_datasets(self.view, kind, self.path, table)
        return found, match_rows(table, found.data_ids, kind.dimensions)

    def _find_pool(self, kind: TypePlan, place: int, readers: Sequence[tuple[int, ConnectionLayout]]) -> None:
        """Look for prerequisites: each quantum may have others than before, and another number of them."""
        rows, pool = self.types[place], Pool(kind.dimensions)
        parts: list[tuple[int, str, Csr, int]] = []
        regular = [(t, c) for t, c in readers if c.role != "prerequisite" and c.has_edges]
        if regular:
            used = unique_values(np.concatenate([self.edges[t][c.name].indices for t, c in regular]))
            found, match = self._lookup(kind, rows.table.take(used))
            to = np.full(rows.table.n_rows, -1, dtype=np.int64)
            to[used] = match
            part = pool.add(found)
            parts += [(t, c.name, _redirected(self.edges[t][c.name], to), part) for t, c in regular]
        for t, c in readers:
            if c.role == "prerequisite":
                node = self.plan.nodes[t]
                found, csr = self.lookup.find(node, node.connection(c.name), self._quanta(t))
                if _CHOOSE & set(node.hooks):
                    csr = self._chosen(rows.table, self.edges[t][c.name], found.data_ids, csr)
                parts.append((t, c.name, csr, pool.add(found)))
        whole, places = pool.merged()
        moved = []
        for t, name, csr, part in parts:
            where = places[part]
            moved.append((t, name, csr if where is None else _redirected(csr, where)))
        self._put_pool(kind, place, whole, moved)

    def _chosen(self, before: Table, old: Csr, now: Table, new: Csr) -> Csr:
        """Keep to the data IDs that a task's own code chose when the graph was built."""
        names = before.names
        pairs = [
            Table({_QUANTUM: csr.rows(), **table.select(names).take(csr.indices).columns}, len(csr.indices))
            for table, csr in ((now, new), (before, old))
        ]
        live = match_rows(pairs[0], pairs[1], pairs[0].names) >= 0
        return Csr.from_pairs(len(new.indptr) - 1, new.rows()[live], new.indices[live])

    def _put_pool(
        self, kind: TypePlan, place: int, whole: FoundTable, edges: Sequence[tuple[int, str, Csr]]
    ) -> None:
        """Put the datasets and edges of one type in place of the old ones, if they differ."""
        rows = self.types[place]
        self.out.there[kind.name] = np.ones(whole.data_ids.n_rows, dtype=np.bool_)
        n_missing = int(np.count_nonzero(match_rows(rows.table, whole.data_ids, kind.dimensions) < 0))
        known = set() if rows.found is None else set(rows.found.decode()["id"].tolist())
        ids = whole.found.decode()["id"].tolist()
        self._count(kind.name, len(ids), len(set(ids) - known), n_missing)
        is_same = (
            rows.found is not None
            and same_rows(rows.table, whole.data_ids)
            and same_rows(rows.found, whole.found)
            and all(same_edges(self.edges[t][name], csr) for t, name, csr in edges)
        )
        if is_same:
            self.out.there[kind.name] = np.ones(rows.table.n_rows, dtype=np.bool_)
            return
        self.types[place] = replace(rows, table=whole.data_ids, found=whole.found, identity=None)
        for t, name, csr in edges:
            self.edges[t][name] = csr

    def _quanta(self, task: int) -> Table:
        """Return the quanta of a task with all its dimensions, required and implied."""
        names = self.plan.universe.group(self.plan.nodes[task].dimensions).names
        table = with_implied(self.graph.universe, self.graph.record_tables, self.graph.task_rows[task].table)
        return table.select([n for n in names if n in table.columns])

    def refound(self) -> Refound:
        """Return the graph with all that was replaced."""
        graph = self.graph
        if all(new is old for new, old in zip(self.types, graph.type_rows, strict=True)):
            return self.out
        tasks = [replace(rows, edges=edges) for rows, edges in zip(graph.task_rows, self.edges, strict=True)]
        more = collect_records(self.view, self.lookup.data_ids)
        records = joined_records(graph.universe, graph.record_tables, more)
        self.out.graph = changed(graph, tasks, self.types, records)
        return self.out


def overlaid(old: Table, found: Table, match: Ints) -> Table:
    """Return what was found row by row, and the old row where nothing was.

    Parameters
    ----------
    old : Table
        `stage.graph.quantum.FOUND_COLUMNS`.
    found : Table
        The same columns of what was found.
    match : numpy.ndarray of int64
        For each row of `old` its row of `found`; -1 where there is none.

    Returns
    -------
    Table
        As many rows as `old`.
    """
    there = match >= 0
    rows = np.where(there, match + old.n_rows, np.arange(old.n_rows))
    columns = {name: concat_columns(column, found.columns[name]) for name, column in old.columns.items()}
    return Table(columns, old.n_rows + found.n_rows).take(rows)


def _redirected(csr: Csr, to: Ints) -> Csr:
    """Return edges to where their datasets are now; edges to nowhere (-1) go."""
    indices = to[csr.indices]
    live = indices >= 0
    return Csr.from_pairs(len(csr.indptr) - 1, csr.rows()[live], indices[live])


def same_rows(one: Table, other: Table) -> bool:
    """Tell whether two tables hold the same values.

    Parameters
    ----------
    one, other : Table
        With columns of the same names.

    Returns
    -------
    bool
        However their strings are coded.
    """
    if one is other:
        return True
    if one.n_rows != other.n_rows or one.names != other.names:
        return False
    ours, theirs = one.decode(), other.decode()
    return all(np.array_equal(ours[name], theirs[name]) for name in one.names)


def same_edges(one: Csr, other: Csr) -> bool:
    """Tell whether two lists of edges are the same.

    Parameters
    ----------
    one, other : Csr
        Lists of rows.

    Returns
    -------
    bool
        Whether they are.
    """
    return np.array_equal(one.indptr, other.indptr) and np.array_equal(one.indices, other.indices)
