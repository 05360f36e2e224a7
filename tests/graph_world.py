"""A world of datasets in collections, which can be changed after a graph was built on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from stage.graph.quantum import FOUND_COLUMNS
from stage.pipeline.node import TaskNode
from tests.graph_helpers import SHOT_CHIP, MemoryView, camera_universe, connection, found, node, product

SHOT, CHIP = ("camera", "shot"), ("camera", "chip")
UNIVERSE = camera_universe()


class World(MemoryView):
    """Datasets by type and collection; of several the first on the path is found."""

    def __init__(self, n_shots: int = 3, n_chips: int = 2) -> None:
        super().__init__(UNIVERSE, product(n_shots, n_chips), {})
        self.asked: list[str] = []

    def put(self, name: str, dims: Sequence[str], run: str = "in", rows: Iterable[int] | None = None) -> None:
        """Add datasets for all data IDs of some dimensions, or for those in `rows`."""
        data_ids = self.rows.unique(dims)
        if rows is not None:
            data_ids = data_ids.take(np.array(sorted(rows), dtype=np.int64))
        new = found(data_ids, run)
        kind = DatasetType(name, UNIVERSE.group(dims), "Json")
        old = self.known.get(name)
        self.known[name] = (kind, new if old is None else Columns.concat([old[1], new]))

    def put_outputs(self, graph: QuantumGraph, ordinals: Iterable[int], run: str) -> None:
        """Add all that some quanta make, with the ids that the graph plans."""
        for o in ordinals:
            for d in [d for refs in graph.quantum(o).outputs.values() for d in refs]:
                cells = {**d.data_id, "id": d.id, "run": run, "uri": f"{run}/{d.id.hex()}", "size": 1}
                cells |= {"checksum": "blake3:1", "formatter": "json", "origin": "staging"}
                one = Columns.from_rows(tuple(cells), [tuple(cells.values())])
                kind = DatasetType(d.dataset_type, UNIVERSE.group(d.dims), d.storage_class)
                old = self.known.get(d.dataset_type)
                self.known[d.dataset_type] = (kind, one if old is None else Columns.concat([old[1], one]))

    def without(self, **rows: Iterable[int]) -> World:
        """Return a copy in which datasets in these rows, by type, are gone."""
        copy = World.__new__(World)
        copy.__dict__.update(self.__dict__, known=dict(self.known), asked=[])
        for name, gone in rows.items():
            kind, columns = self.known[name]
            copy.known[name] = (
                kind,
                columns.take(np.setdiff1d(np.arange(columns.n_rows), np.array(sorted(gone), dtype=np.int64))),
            )
        return copy

    def datasets(self, dataset_type: DatasetType, path: Any, table: Columns | None) -> Columns:
        """Return the first of each wanted data ID on the path."""
        self.asked.append(dataset_type.name)
        dims = dataset_type.dimensions.required
        names = (*dims, *FOUND_COLUMNS)
        if dataset_type.name not in self.known:
            return Columns.from_rows(names, [])
        wanted = set(table.rows(dims)) if table is not None else {()}
        order = {place.collection: n for n, place in enumerate(path)}
        best: dict[Any, tuple[int, Any]] = {}
        for row in self.known[dataset_type.name][1].rows(names):
            key, place = row[: len(dims)], order.get(row[len(dims) + 1])
            if key in wanted and place is not None and place < best.get(key, (len(order), None))[0]:
                best[key] = (place, row)
        return Columns.from_rows(names, [row for _, row in best.values()])


def tasks(parts: int = 1, flat: int = 0) -> list[TaskNode]:
    """Return clean → gather over the chips of a shot, and split over them → last."""
    return [
        node(
            "clean",
            SHOT_CHIP,
            connection("source", "input", SHOT_CHIP, "raw"),
            connection("mask", "input", SHOT_CHIP, minimum=0),
            connection("flat", "prerequisite", CHIP, minimum=flat),
            connection("result", "output", SHOT_CHIP, "image"),
        ),
        node(
            "gather",
            SHOT,
            connection("parts", "input", SHOT_CHIP, "image", multiple=True, minimum=parts),
            connection("whole", "output", SHOT, "whole"),
        ),
        node(
            "split",
            SHOT,
            connection("raws", "input", SHOT_CHIP, "raw", multiple=True),
            connection("pieces", "output", SHOT_CHIP, "piece", multiple=True),
        ),
        node(
            "last",
            SHOT_CHIP,
            connection("piece", "input", SHOT_CHIP),
            connection("whole", "input", SHOT),
            connection("final", "output", SHOT_CHIP),
        ),
    ]


def full_world(n_shots: int = 3, n_chips: int = 2) -> World:
    """Return a world with all that `tasks` read."""
    world = World(n_shots, n_chips)
    world.put("raw", SHOT_CHIP)
    world.put("mask", SHOT_CHIP)
    world.put("flat", CHIP)
    return world


def build(world: World, nodes: list[TaskNode] | None = None, run: str = "", **options: Any) -> QuantumGraph:
    """Build on a world."""
    graph = build_from_view(
        nodes or tasks(), world, Question(), Header(bytes(range(16)), input_collections=("in",)), **options
    )
    return graph.retarget(run) if run else graph


def told(graph: QuantumGraph, *, ids: bool = False) -> dict[Any, Any]:
    """Return what each quantum reads and makes, by label and data ID; found datasets with their ids, or all."""
    index = graph.layout.type_index
    out = {}
    for q in graph.quanta(range(graph.n_quanta)):
        both = {
            name: sorted(
                (d.values, d.id if ids or graph.is_found(d) else b"", d.run, index[d.dataset_type] >= 0)
                for d in refs
            )
            for name, refs in {**q.inputs, **q.outputs}.items()
        }
        out[q.label, *q.data_id.values()] = (q.id if ids else b"", both)
    return out
