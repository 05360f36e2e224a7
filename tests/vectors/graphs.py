"""Vectors of graphs: set a registry up as a case says, build, and compare with what the reference built."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any, cast

from registry.errors import StageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from registry.registry import Change, Registry
from stage.graph.build import build_from_view
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from stage.graph.question import Question
from stage.graph.view import BuildView
from stage.pipeline.node import ConnectionDef, TaskNode, automatic_connections
from sync.fsspec_store import FsspecDatastore
from sync.repo import Repo
from tests.vectors.load import World

__all__ = ["GraphVectors", "nodes_of", "unsupported"]

_SETUPS = {"register_run", "register_tagged", "register_chain", "register_dataset_type", "insert"}
_SIDES = (("input", "inputs"), ("prerequisite", "prerequisites"), ("output", "outputs"))


def nodes_of(pipeline: dict[str, Any]) -> list[TaskNode]:
    """Return the tasks of a pipeline."""
    nodes = []
    for task in pipeline["tasks"]:
        connections = [
            ConnectionDef(
                name,
                role,  # type: ignore[arg-type]
                d["dataset_type"],
                "Json",
                tuple(d["dimensions"]),
                multiple=d.get("multiple", False),
                minimum=d.get("minimum", 1),
                is_calibration=d.get("is_calibration", False),
            )
            for role, key in _SIDES
            for name, d in task.get(key, {}).items()
        ]
        dims = tuple(task["dimensions"])
        wires = (*connections, *automatic_connections(task["label"], dims))
        nodes.append(TaskNode(task["label"], "class", "vectors:Task", {}, dims, wires))
    return nodes


def unsupported(document: dict[str, Any], case: dict[str, Any]) -> str:
    """Name what a case needs that is not there yet; empty if nothing."""
    if case.get("skip_existing_in") or case.get("clobber"):
        return "skipping of what exists"
    if (case["expected"].get("refusal_kind")) == "output-exists":
        return "outputs that exist"
    ops = {o["op"] for o in document["setups"][case["setup_name"]]} - _SETUPS
    return ", ".join(sorted(ops))


class GraphVectors:
    """The cases of one file, and the registries that they are built on.

    Parameters
    ----------
    path : Path
        The file of cases.
    world : World
        Registries that hold the data sets; what a case sets up in one is taken back.
    """

    def __init__(self, path: Path, world: World) -> None:
        self.document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self.world = world

    def judge(self, case: dict[str, Any]) -> str:
        """Say what is wrong with the graph that is built for a case; empty if nothing is."""
        expected = case["expected"]
        try:
            graph = self.graph_of(case)
        except StageError as exc:
            return "" if "error" in expected else f"refused: {exc.code}: {exc}"
        if "error" in expected:
            return "" if expected.get("peer_bug") else f"built, expected {expected['refusal_kind']}"
        return "; ".join(
            p for label, task in expected["tasks"].items() for p in _differences(graph, label, task)
        )

    def graph_of(self, case: dict[str, Any]) -> QuantumGraph:
        """Build the graph of a case; what is set up for it is undone again."""
        header = Header(bytes(range(16)), input_collections=tuple(case["input_collections"]))
        nodes = nodes_of(self.document["pipelines"][case["pipeline_name"]])
        graph, base = None, self.world.registry(case["dataset"])
        with contextlib.suppress(_Undo), base.write() as change:
            for operation in self.document["setups"][case["setup_name"]]:
                self._apply(change, operation)
            view = _HeldView(base, change)
            graph = build_from_view(nodes, view, Question(where=case["where"]), header, allow_empty=True)
            raise _Undo
        return cast("QuantumGraph", graph)

    def _apply(self, change: Change, op: dict[str, Any]) -> None:
        match op["op"]:
            case "register_run":
                change.register_run(op["name"])
            case "register_tagged":
                change.register_collection(op["name"], CollectionType.TAGGED)
            case "register_chain":
                change.set_chain(op["name"], op["children"])
            case "register_dataset_type":
                group = change.universe.group(op["dimensions"])
                change.register_dataset_type(
                    DatasetType(op["name"], group, "Json", op.get("is_calibration", False))
                )
            case "insert":
                rows, columns = op["rows"], op.get("columns")
                if isinstance(rows, str):
                    columns, rows = (self.document["rowsets"][rows][k] for k in ("columns", "rows"))
                if rows:
                    given = Columns.from_rows(columns, rows) if columns else Columns({})
                    ids = new_ids(len(rows))
                    change.insert_datasets(
                        op["dataset_type"],
                        op["run"],
                        Columns({**{k: given[k] for k in given.names}, "id": ids}),
                    )


class _Undo(Exception):  # noqa: N818 - no error: a way back
    """What was set up is taken back."""


class _HeldView(BuildView):
    """A view on a change that is not yet written."""

    def __init__(self, registry: Registry, change: Change) -> None:
        super().__init__(Repo("/vectors", registry, FsspecDatastore("memory://vectors")))
        self._snapshots = {"upstream": change}


def _differences(graph: QuantumGraph, label: str, expected: dict[str, Any]) -> list[str]:
    columns = expected["columns"]
    n = graph.counts()[label]
    if n != expected["n_quanta"]:
        return [f"{label}: {n} quanta, expected {expected['n_quanta']}"]
    rows = sorted(list(r) for r in graph.data_ids(label).rows(columns)) if n and columns else [[]] * n
    if rows != expected.get("quanta", rows) or _sha(rows) != expected.get("quanta_sha256", _sha(rows)):
        return [f"{label}: other quanta"]
    if "connection_columns" not in expected:
        return []
    edges = _io(graph, label, columns, expected["connection_columns"])
    wanted = [{k: v for k, v in one.items() if k != "runs"} for one in expected.get("io", edges)]
    if edges != wanted or _sha(edges) != expected.get("io_sha256", _sha(edges)):
        return [f"{label}: other edges"]
    return []


def _sha(value: Any) -> str:
    return hashlib.sha256(
        json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    ).hexdigest()


def _io(
    graph: QuantumGraph, label: str, columns: list[str], of: dict[str, list[str]]
) -> list[dict[str, Any]]:
    def values(side: dict[str, Any]) -> dict[str, Any]:
        chosen = {name: found for name, found in side.items() if not name.startswith("_")}
        return {n: sorted([d.data_id[k] for k in of[n]] for d in found) for n, found in chosen.items()}

    out = [
        {"quantum": [q.data_id[k] for k in columns], "inputs": values(q.inputs), "outputs": values(q.outputs)}
        for q in graph.quanta(graph.quanta_of(label).tolist())
    ]
    return sorted(out, key=lambda one: one["quantum"])
