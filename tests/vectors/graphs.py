"""Vectors of graphs: set a registry up as a case says, build, and compare with what the reference built."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from registry.errors import StageError
from registry.registry import Change, Registry
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from stage.pipeline.node import ConnectionDef, TaskNode, automatic_connections
from sync.fsspec_store import FsspecDatastore
from sync.repo import Repo
from tests.vectors.datasets import apply_operation
from tests.vectors.judging import Hang, time_limit
from tests.vectors.load import World

__all__ = ["GraphVectors", "Undo", "judged_cases", "nodes_of", "run_graphs"]

_KINDS = {"dataset-type-not-registered": "unregistered-input", "no-such-collection": "missing-collection"}
"""Our names of what the reference refuses, where they differ."""

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


def run_graphs(path: Path, world: World) -> Iterator[tuple[str, str, str]]:
    """Judge the cases of one file: id, text, what is wrong."""
    yield from judged_cases(GraphVectors(path, world))


def judged_cases(vectors: GraphVectors) -> Iterator[tuple[str, str, str]]:
    """Judge all cases: id, text, what is wrong."""
    for case in vectors.document["cases"]:
        text = f"{case['pipeline_name']} on {case['setup_name']} | {case['where']}"
        yield case["id"], text, _judged(vectors, case)


def _judged(vectors: GraphVectors, case: dict[str, Any]) -> str:
    try:
        with time_limit():
            return vectors.judge(case)
    except Hang as exc:
        return str(exc)
    except Exception as exc:  # noqa: BLE001  (whatever else comes out is what is looked for here)
        return f"traceback: {type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}"


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
            known = {exc.code, _KINDS.get(exc.code, "")}
            if "error" in expected and (expected.get("peer_bug") or expected["refusal_kind"] in known):
                return ""
            return f"refused: {exc.code}: {exc}"
        if "error" in expected:
            return "" if expected.get("peer_bug") else f"built, expected {expected['refusal_kind']}"
        dated = _dated(self.document["pipelines"][case["pipeline_name"]])
        has_runs = (lambda _: True) if case.get("record_runs") else dated.__contains__
        problems = [
            p for label, task in expected["tasks"].items() for p in _differences(graph, label, task, has_runs)
        ]
        if graph.n_quanta != expected["total_quanta"]:
            problems.append(f"{graph.n_quanta} quanta in all, expected {expected['total_quanta']}")
        return "; ".join(problems)

    def graph_of(self, case: dict[str, Any]) -> QuantumGraph:
        """Build the graph of a case; what is set up for it is undone again."""
        inputs, run = tuple(case["input_collections"]), case["output_run"]
        header = Header(bytes(range(16)), input_collections=inputs, output_run=run)
        nodes = nodes_of(self.document["pipelines"][case["pipeline_name"]])
        graph, base = None, self.world.registry(case["dataset"])
        with contextlib.suppress(Undo), base.write() as change:
            self.set_up(change, case)
            view = _HeldView(base, change)
            graph = build_from_view(
                nodes, view, Question(where=case["where"]), header,
                skip_existing_in=case.get("skip_existing_in", ()), clobber=case.get("clobber", False), allow_empty=True,
            )  # fmt: skip
            raise Undo
        return cast("QuantumGraph", graph)

    def set_up(self, change: Change, case: dict[str, Any]) -> None:
        """Put into a registry what a case is built on."""
        for operation in self.document["setups"][case["setup_name"]]:
            rows = operation.get("rows")
            listed = self.document["rowsets"][rows] if isinstance(rows, str) else {}
            apply_operation(change, {**operation, **listed})


class Undo(Exception):  # noqa: N818 - no error: a way back
    """What was set up is taken back."""


class _HeldView(BuildView):
    """A view on a change that is not yet written."""

    def __init__(self, registry: Registry, change: Change) -> None:
        super().__init__(Repo("/vectors", registry, FsspecDatastore("memory://vectors")))
        self._snapshots = {"upstream": change}


def _dated(pipeline: dict[str, Any]) -> set[str]:
    """Return the prerequisites that are looked up at a time: of these cases tell the runs in any case."""
    found = (c for t in pipeline["tasks"] for c in t.get("prerequisites", {}).items())
    return {name for name, connection in found if connection.get("is_calibration")}


def _differences(
    graph: QuantumGraph, label: str, expected: dict[str, Any], has_runs: Callable[[str], bool]
) -> list[str]:
    columns = expected["columns"]
    n = graph.counts()[label]
    if n != expected["n_quanta"]:
        return [f"{label}: {n} quanta, expected {expected['n_quanta']}"]
    rows = sorted(list(r) for r in graph.data_ids(label).rows(columns)) if n and columns else [[]] * n
    if rows != expected.get("quanta", rows) or _sha(rows) != expected.get("quanta_sha256", _sha(rows)):
        return [f"{label}: other quanta"]
    if "connection_columns" not in expected:
        return []
    edges = _io(graph, label, columns, expected["connection_columns"], has_runs)
    for got, want in zip(edges, expected.get("io", edges), strict=True):
        for key in sorted({*got, *want}):
            if got.get(key) != want.get(key):
                texts = [str(one.get(key))[:120] for one in (got, want)]
                return [f"{label} {got['quantum']}: {key} {texts[0]}, expected {texts[1]}"]
    return [] if _sha(edges) == expected.get("io_sha256", _sha(edges)) else [f"{label}: other edges"]


def _sha(value: Any) -> str:
    return hashlib.sha256(
        json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    ).hexdigest()


def _io(
    graph: QuantumGraph,
    label: str,
    columns: list[str],
    of: dict[str, list[str]],
    has_runs: Callable[[str], bool],
) -> list[dict[str, Any]]:
    def values(side: Mapping[str, Any]) -> dict[str, Any]:
        return {
            n: sorted([d.data_id[k] for k in of[n]] for d in found) for n, found in side.items() if n in of
        }

    def runs(*sides: Mapping[str, Any]) -> dict[str, Any]:
        chosen = (c for side in sides for c in side.items() if c[0] in of and has_runs(c[0]))
        found = {n: sorted({d.run for d in datasets}) for n, datasets in chosen}
        return {"runs": found} if found else {}

    out = [
        {
            "quantum": [q.data_id[k] for k in columns],
            "inputs": values(q.inputs),
            "outputs": values(q.outputs),
            **runs(q.inputs, q.outputs),
        }
        for q in graph.quanta(graph.quanta_of(label).tolist())
    ]
    return sorted(out, key=lambda one: one["quantum"])
