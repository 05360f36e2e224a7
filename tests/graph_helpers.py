"""A view over columns in memory, and small pipelines, to build graphs without a registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from registry.errors import NotFoundError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionGroup, DimensionUniverse
from registry.model.refs import new_ids
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Place, Question
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from stage.pipeline.node import ConnectionDef, TaskNode, automatic_connections

CAMERA = """
name: test/camera
version: 1
elements:
  camera:
    key: {name: name, type: string}
  filter:
    requires: [camera]
    key: {name: name, type: string}
  shot:
    requires: [camera]
    implies: [filter]
    key: {name: id, type: int}
    metadata:
      seconds: {type: float}
      target: {type: string}
      clear: {type: bool}
  chip:
    requires: [camera]
    key: {name: id, type: int}
    metadata:
      serial: {type: string}
"""


def camera_universe() -> DimensionUniverse:
    """Return a small universe: camera, filter, shot (implies filter), chip."""
    return DimensionUniverse.from_yaml(CAMERA)


def connection(
    name: str, role: Any, dims: Sequence[str], dataset_type: str = "", **options: Any
) -> ConnectionDef:
    """Return one connection; the dataset type has the connection's name unless said otherwise."""
    return ConnectionDef(
        name, role, dataset_type or name, options.pop("storage_class", "Json"), tuple(dims), **options
    )


def node(label: str, dims: Sequence[str], *connections: ConnectionDef) -> TaskNode:
    """Return one task with its automatic connections."""
    return TaskNode(
        label,
        "class",
        f"nowhere:{label.title()}",
        {"level": 1},
        tuple(dims),
        (*connections, *automatic_connections(label, dims)),
    )


SHOT_CHIP = ("camera", "shot", "chip")


def chain_nodes(length: int = 2, gather: bool = True) -> list[TaskNode]:
    """Return clean(shot, chip) → step1 → … and a gather over the chips of a shot."""
    nodes, before = [], "raw"
    for i in range(length):
        made = f"stage{i}"
        nodes.append(
            node(
                f"task{i}",
                SHOT_CHIP,
                connection("source", "input", SHOT_CHIP, before),
                connection("result", "output", SHOT_CHIP, made),
            )
        )
        before = made
    if gather:
        nodes.append(
            node(
                "gather",
                ("camera", "shot"),
                connection("parts", "input", SHOT_CHIP, before, multiple=True),
                connection("whole", "output", ("camera", "shot"), "whole"),
            )
        )
    return nodes


def product(n_shots: int, n_chips: int, camera: str = "cam") -> Columns:
    """Return data IDs of every chip of every shot, all dimensions."""
    shot = np.repeat(np.arange(100, 100 + n_shots, dtype=np.int64), n_chips)
    chip = np.tile(np.arange(n_chips, dtype=np.int64), n_shots)
    bands = np.array(["blue", "red"], dtype=object)
    return Columns(
        {
            "camera": np.full(len(shot), camera, dtype=object),
            "filter": bands[shot % 2],
            "shot": shot,
            "chip": chip,
        }
    )


def found(data_ids: Columns, run: str = "in", origin: str = "upstream") -> Columns:
    """Return datasets that exist for all of these data IDs."""
    n = data_ids.n_rows
    return Columns(
        {
            **{k: data_ids[k] for k in data_ids.names},
            "id": new_ids(n) if n else np.empty(0, dtype=object),
            "run": np.full(n, run, dtype=object),
            "uri": np.array([f"/up/{run}/{i}.json" for i in range(n)], dtype=object),
            "size": np.arange(1, n + 1, dtype=np.int64),
            "checksum": np.array([f"blake3:{i:064x}" for i in range(n)], dtype=object),
            "formatter": np.full(n, "json", dtype=object),
            "origin": np.full(n, origin, dtype=object),
        }
    )


class MemoryView:
    """Answers from columns, as a registry would: `stage.graph.building.view.View`."""

    name = "the test repository"
    root = "/up"

    def __init__(
        self, universe: DimensionUniverse, rows: Columns, datasets: Mapping[str, tuple[DatasetType, Columns]]
    ) -> None:
        self.universe = universe
        self.rows = rows
        self.known = dict(datasets)
        self.objects: dict[str, Any] = {}

    def search_path(self, names: Sequence[str]) -> tuple[Place, ...]:
        """Return one place a name."""
        return tuple(Place("upstream", n) for n in names)

    def known_path(self, names: Sequence[str]) -> tuple[Place, ...]:
        """Return one place a name."""
        return self.search_path(names)

    def is_calibration(self, dataset_type: DatasetType) -> bool:
        """Say no: here nothing has a time."""
        return False

    def governor_values(self, governor: str, path: Any) -> list[str]:
        """Return none: no collection here says what it holds."""
        return []

    def dataset_type(self, name: str) -> DatasetType:
        """Return a known type."""
        if name not in self.known:
            raise NotFoundError(f"no dataset type {name}")
        return self.known[name][0]

    def dataset_types(self, names: Sequence[str]) -> dict[str, DatasetType]:
        """Return those that are known."""
        return {name: self.known[name][0] for name in names if name in self.known}

    def data_ids(
        self,
        group: DimensionGroup,
        question: Question,
        constrain: Any,
        path: Any,
        *,
        limit: int | None = None,
    ) -> Columns:
        """Return the distinct ones of some dimensions."""
        rows = self.rows
        if question.where == "nothing":
            rows = rows.take(np.zeros(rows.n_rows, dtype=np.bool_))
        for kind in constrain:
            dims = kind.dimensions.required
            there = set(self.known[kind.name][1].rows(dims))
            rows = rows.take(np.array([row in there for row in rows.rows(dims)], dtype=np.bool_))
        return rows.unique(group.names)

    def contents(self, path: Any = None) -> Columns:
        """Count datasets by type; their collection is what they say."""
        kinds = [(name, columns["run"].tolist()) for name, (_, columns) in self.known.items()]
        counts = [(name, run, runs.count(run)) for name, runs in kinds for run in sorted(set(runs))]
        return Columns.from_rows(("dataset_type", "run", "n"), counts)

    def datasets(self, dataset_type: DatasetType, path: Any, table: Columns | None) -> Columns:
        """Return all of them; the builder picks."""
        if dataset_type.name not in self.known:
            none = np.zeros(0, dtype=np.int64)
            return found(self.rows.take(none).select(dataset_type.dimensions.required))
        return self.known[dataset_type.name][1]

    def every_dataset(self, dataset_type: DatasetType, path: Any) -> Columns:
        """Return all of them; nothing says when they are valid."""
        rows = self.known[dataset_type.name][1]
        never = np.full(rows.n_rows, None, dtype=object)
        return rows.with_column("valid_begin", never).with_column("valid_end", never)

    def load(self, found: Columns, storage_class: str) -> Any:
        """Return what `objects` has at that URI."""
        return self.objects[found["uri"][0]]

    def records(self, element: str, keys: Columns) -> Columns:
        """Return records that follow from their keys."""
        kind = self.universe.element(element)
        n = keys.n_rows
        columns: dict[str, Any] = {k: keys[k] for k in keys.names}
        if element == "shot":
            bands = np.array(["blue", "red"], dtype=object)
            columns["filter"] = bands[keys["shot"] % 2]
            columns["seconds"] = keys["shot"].astype(np.float64) / 2
            columns["target"] = [None if s % 3 == 0 else f"étoile-{s}" for s in keys["shot"].tolist()]
            columns["clear"] = [None if s % 2 else True for s in keys["shot"].tolist()]
        if element == "chip":
            columns["serial"] = [f"s{c}" for c in keys["chip"].tolist()]
        return Columns({k: columns.get(k, np.full(n, None, dtype=object)) for k in kind.record_columns})


def chain_graph(
    n_shots: int = 3, n_chips: int = 2, length: int = 2, run: str = "", missing: Sequence[int] = ()
) -> QuantumGraph:
    """Return the graph of `chain_nodes`; the raws in rows `missing` do not exist."""
    universe = camera_universe()
    rows = product(n_shots, n_chips)
    raw = DatasetType("raw", universe.group(SHOT_CHIP), "Json")
    exists = np.setdiff1d(np.arange(rows.n_rows), np.array(missing, dtype=np.int64))
    view = MemoryView(universe, rows, {"raw": (raw, found(rows.take(exists).select(SHOT_CHIP)))})
    header = Header(bytes(range(16)), input_collections=("in",))
    graph = build_from_view(chain_nodes(length), view, Question(), header)
    return graph.retarget(run, bytes(range(16))) if run else graph
