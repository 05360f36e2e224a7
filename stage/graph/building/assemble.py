"""From what pruning has left to a graph: rows taken, prerequisites looked up, inputs pooled, records fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stage.graph.building.checks import check_single
from stage.graph.building.found import FoundTable, Pool, find_datasets
from stage.graph.building.plan import TaskGroup, connections_of
from stage.graph.building.prerequisites import Prerequisites
from stage.graph.building.prune import Mask, surviving
from stage.graph.building.records import collect_records
from stage.graph.graph import QuantumGraph
from stage.graph.layout import TypeLayout
from stage.graph.rows import TaskRows, TypeRows
from stage.graph.table import Csr, Ints, Table

if TYPE_CHECKING:
    from stage.graph.building.candidates import Candidates
    from stage.graph.building.plan import GraphPlan
    from stage.graph.building.prune import DraftTask, Pruned
    from stage.graph.building.relate import DataIdRows
    from stage.graph.building.skip import Skipped
    from stage.graph.hooks.asked import Hooks
    from stage.graph.layout import Header
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = ["Assembly"]


@dataclass(slots=True, eq=False)
class Assembly:
    """The last steps of a build.

    Parameters
    ----------
    candidates : Candidates
        The data IDs that the question allows.
    lookup : Prerequisites
        Looks prerequisites up.
    found : mapping of str to FoundTable
        By overall input, what exists.
    matches : mapping of str to numpy.ndarray
        By overall input, which row of `found` each of its data IDs is.
    skipped : Skipped
        What is not done again.
    pruned : Pruned
        What is left.
    hooks : Hooks or None
        Tasks' own code, where tasks have some.
    """

    candidates: Candidates
    lookup: Prerequisites
    found: Mapping[str, FoundTable]
    matches: Mapping[str, Ints]
    skipped: Skipped
    pruned: Pruned
    hooks: Hooks | None = None
    pools: dict[str, Pool] = field(default_factory=dict, init=False)
    edges: dict[str, dict[str, Csr]] = field(default_factory=dict, init=False)
    pending: list[tuple[str, str, str, int]] = field(default_factory=list, init=False)
    """Label, connection, dataset type, part of its pool: edges whose rows are known when pools are merged."""
    _kept: dict[int, list[tuple[Mask, Table]]] = field(default_factory=dict, init=False)

    @property
    def plan(self) -> GraphPlan:
        """What the pipeline means."""
        return self.candidates.plan

    def graph(self, header: Header, groups: Sequence[tuple[TaskGroup, DataIdRows]]) -> QuantumGraph:
        """Make the graph.

        Parameters
        ----------
        header : Header
            Complete.
        groups : sequence of (TaskGroup, DataIdRows)
            Connected tasks and their data IDs.

        Returns
        -------
        QuantumGraph
            Of all that was kept.

        Raises
        ------
        NotFoundError
            If a required prerequisite is missing.
        PipelineError
            If a quantum finds several datasets where it takes one.
        """
        self._pool_inputs()
        tables = {
            node.label: self._task(node, draft)
            for node, draft in zip(self.plan.nodes, self.pruned.tasks, strict=True)
        }
        self.lookup.refuse_lacking()
        types = self._types()
        tasks = [self._rows(node, tables[node.label]) for node in self.plan.nodes]
        alive = [(g, r.table.take(self._alive(g, r))) for g, r in groups]
        data_ids = [(g.dimensions, t) for g, t in alive] + self.lookup.data_ids
        records = collect_records(self.lookup.view, data_ids)
        return QuantumGraph(header, self._documents(), tasks, types, records)

    def _rows(self, node: TaskNode, table: Table) -> TaskRows:
        hints = self.hooks.resources(node, table) if self.hooks is not None else None
        return TaskRows(node.label, connections_of(node), table, self.edges[node.label], hints=hints)

    def _task(self, node: TaskNode, draft: DraftTask) -> Table:
        """Take the quanta of a task that are kept, with their edges; return their data IDs."""
        mine, kept = self.edges.setdefault(node.label, {}), self.pruned.quanta[node.label]
        places = self.candidates.quanta(node)
        table = self._keep(places.table, kept)
        for c in draft.connections:
            mine[c.name] = surviving(c.edges, kept, self.pruned.datasets[c.dataset_type])
            if c.dataset_type in self.matches:
                self.pending.append((node.label, c.name, c.dataset_type, 0))
        for d in node.connections:
            if d.role == "input":
                check_single(node, d, mine[d.name], table)
            elif d.role == "prerequisite":
                found, mine[d.name] = self._prerequisite(node, d, kept)
                pool = self.pools.setdefault(d.dataset_type, Pool(self.plan.types[d.dataset_type].dimensions))
                self.pending.append((node.label, d.name, d.dataset_type, pool.add(found)))
        return table

    def _prerequisite(self, node: TaskNode, d: ConnectionDef, kept: Mask) -> tuple[FoundTable, Csr]:
        """Return the prerequisites of the quanta that are kept: as a hook has left them, or looked up now."""
        resolved = self.hooks.resolved.get(node.label, {}) if self.hooks is not None else {}
        if d.name not in resolved:
            return self.lookup.resolve(node, d, self.candidates.full_quanta(node, kept))
        found, edges = resolved[d.name]
        return found, edges.take(np.flatnonzero(kept))

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

    def _alive(self, group: TaskGroup, rows: DataIdRows) -> Mask:
        """Return which data IDs some kept quantum rests on."""
        mask = np.zeros(rows.table.n_rows, dtype=np.bool_)
        by_hand = self.hooks.defined if self.hooks is not None else ()
        for node in group.nodes:
            places = self.candidates.quanta(node)
            mask |= self.pruned.quanta[node.label][places.inverse]
            if node.label in by_hand:  # its datasets need not be of the same data IDs
                for name in {c.dataset_type for c in node.connections if c.role == "input" or c.is_output}:
                    kind = self.plan.types[name]
                    kept, numbers = self.pruned.datasets[name], self.candidates.numbers(rows, kind)
                    kept = kept if numbers is None else kept[numbers]
                    mask |= kept[rows.places(kind.dimensions).inverse]
        return mask

    def _pool_inputs(self) -> None:
        for name, match in self.matches.items():
            pool = self.pools[name] = Pool(self.plan.types[name].dimensions)
            kept = self.pruned.datasets[name]
            data_ids = self._keep(self.candidates.datasets(self.plan.types[name]), kept)
            pool.add(FoundTable(data_ids, self.found[name].found.take(match[kept])))
        for kind in self.plan.of_part("overall-init"):
            self.pools[kind.name] = Pool(kind.dimensions)
            self.pools[kind.name].add(find_datasets(self.lookup.view, kind, self.lookup.path, Table({}, 1)))

    def _types(self) -> list[TypeRows]:
        out = []
        for kind in self.plan.types.values():
            layout = TypeLayout(
                kind.name, kind.dimensions, kind.type.storage_class, kind.role, 0, 0, *kind.storage(),
                is_calibration=kind.type.is_calibration,
            )  # fmt: skip
            if kind.part == "init":
                out.append(TypeRows(layout, Table({}, 1)))
            elif kind.part == "made":
                kept = self.pruned.datasets[kind.name]
                found = self.skipped.among_planned(kind.name, kept)
                out.append(TypeRows(layout, self._keep(self.candidates.datasets(kind), kept), found))
            else:
                out.append(self._pooled(kind.name, layout))
        return out

    def _pooled(self, name: str, layout: TypeLayout) -> TypeRows:
        """Merge what the readers of a dataset type have found, and renumber their edges."""
        whole, places = self.pools[name].merged()
        for label, connection, dataset_type, part in self.pending:
            place = places[part] if dataset_type == name else None
            if place is not None:
                csr = self.edges[label][connection]
                self.edges[label][connection] = Csr(csr.indptr, place[csr.indices].astype(np.int32))
        return TypeRows(layout, whole.data_ids, whole.found)

    def _documents(self) -> dict[str, Any]:
        return {
            "universe": dict(self.plan.universe.source),
            "tasks": [node.to_document() for node in self.plan.nodes],
        }
