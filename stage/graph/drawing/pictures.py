"""What there is to draw of a pipeline, of a graph task by task, and of a graph quantum by quantum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stage.graph.drawing.model import Box, Drawing, Link, printable, standing, status_of
from stage.graph.layout import INIT_INPUT_ROLES, INPUT_ROLES, OUTPUT_ROLES, TaskLayout, TypeLayout

if TYPE_CHECKING:
    from stage.graph.access import QuantumSource
    from stage.graph.graph import QuantumGraph
    from stage.graph.layout import ConnectionLayout
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = ["collapsed", "expanded", "of_nodes", "shown_types"]

_STYLES = {"prerequisite": "prerequisite", "init_input": "init", "init_output": "init"}
_DRAWN = (INPUT_ROLES | OUTPUT_ROLES | INIT_INPUT_ROLES | {"init_output"}) - {"metadata", "log"}


def _connections(connections: Sequence[Any], read: set[str]) -> list[Any]:
    """Return the connections that are drawn: those that every task has only where something reads them."""
    return [c for c in connections if c.role in _DRAWN or c.dataset_type in read]


def _read(tasks: Sequence[Sequence[Any]]) -> set[str]:
    return {c.dataset_type for task in tasks for c in task if c.role in INPUT_ROLES | INIT_INPUT_ROLES}


def _is_input(connection: ConnectionDef | ConnectionLayout) -> bool:
    return connection.role in INPUT_ROLES | INIT_INPUT_ROLES


class _Sketch:
    """Boxes and links of tasks and dataset types, in an order in which each comes after what it depends on."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {}
        self.links: dict[tuple[str, str], Link] = {}
        self._types: dict[str, str] = {}

    def type_key(self, name: str) -> str:
        return self._types.setdefault(name, f"d{len(self._types)}")

    def add_task(self, box: Box, connections: Sequence[Any], types: Mapping[str, Box]) -> None:
        """Add a task, before it what it reads and after it what it makes."""
        ordered = sorted(connections, key=lambda c: not _is_input(c))
        for c in ordered:
            key = self.type_key(c.dataset_type)
            is_input = _is_input(c)
            if not is_input:
                self.boxes.setdefault(box.key, box)
            self.boxes.setdefault(key, types[c.dataset_type])
            pair = (key, box.key) if is_input else (box.key, key)
            self.links.setdefault(pair, Link(*pair, _STYLES.get(c.role, "")))
        self.boxes.setdefault(box.key, box)


def _dimension_text(names: Sequence[str]) -> str:
    return ", ".join(names) or "no dimensions"


def of_nodes(
    nodes: Sequence[TaskNode], title: str, status: Mapping[str, Mapping[str, int]] | None = None
) -> Drawing:
    """Draw a pipeline: its tasks, and the dataset types between them.

    Parameters
    ----------
    nodes : sequence of TaskNode
        Producers before consumers.
    title : str
        What it is called.
    status : mapping of str to mapping, optional
        Task to status to number of quanta.

    Returns
    -------
    Drawing
        Metadata, logs and configs are left out where no task reads them.
    """
    sketch, read = _Sketch(), _read([n.connections for n in nodes])
    made = {c.dataset_type for n in nodes for c in n.connections if not _is_input(c)}
    types: dict[str, Box] = {}
    for node in nodes:
        for c in node.connections:
            role = "overall-input" if c.dataset_type not in made else "output"
            if c.dataset_type in made & read:
                role = "intermediate"
            lines = (printable(c.dataset_type), _dimension_text(c.dimensions))
            types.setdefault(c.dataset_type, Box(sketch.type_key(c.dataset_type), "dataset", lines, "", role))
    for i, node in enumerate(nodes):
        lines = (printable(node.label), _dimension_text(node.dimensions))
        word, text = "", ""
        if status is not None:
            counts = Counter[str]()
            for name, n in status.get(node.label, {}).items():
                counts[status_of(name)] += n
            word, text = standing(counts)
        box = Box(f"t{i}", "task", (*lines, text) if text else lines, word)
        sketch.add_task(box, _connections(node.connections, read), types)
    return Drawing(printable(title), (), tuple(sketch.boxes.values()), tuple(sketch.links.values()))


def shown_types(graph: QuantumSource) -> set[str]:
    """Return the dataset types of a graph that are drawn.

    Parameters
    ----------
    graph : QuantumSource
        The graph.

    Returns
    -------
    set of str
        All but metadata, logs, configs and packages that no task reads.
    """
    tasks = [t.connections for t in graph.layout.tasks]
    read = _read(tasks)
    return {c.dataset_type for task in tasks for c in _connections(task, read)}


def _title(graph: QuantumSource) -> tuple[str, list[str]]:
    run = graph.header.output_run
    title = f"Quantum graph of {run}" if run else "Quantum graph"
    n, n_tasks = graph.n_quanta, len(graph.layout.tasks)
    quanta, tasks = "quantum" if n == 1 else "quanta", "task" if n_tasks == 1 else "tasks"
    notes = [f"{n:,} {quanta} of {n_tasks:,} {tasks}"]
    if graph.header.where:
        notes.append(graph.header.where)
    return printable(title), [printable(n) for n in notes]


def collapsed(graph: QuantumSource, status: Mapping[int, str] | None = None) -> Drawing:
    """Draw a graph task by task, with counts.

    Parameters
    ----------
    graph : QuantumSource
        The graph, or its file, of which nothing but the header is read.
    status : mapping of int to str, optional
        Status by ordinal of a quantum; those that are not in it are pending.

    Returns
    -------
    Drawing
        A box a task with its number of quanta, a box a dataset type with its number of datasets.
    """
    layout, sketch, declared = graph.layout, _Sketch(), _declared(graph)
    read = _read([t.connections for t in layout.tasks])
    types = {
        t.name: Box(
            sketch.type_key(t.name), "dataset", (printable(t.name), f"{t.n_datasets:,} · {_dimension_text(declared(t))}"),
            "", t.role,
        )
        for t in layout.types
    }  # fmt: skip
    counts = _by_task(graph, status) if status is not None else None
    for i, task in enumerate(layout.tasks):
        lines = [printable(task.label), f"{task.n_quanta:,} · {_dimension_text(declared(task))}"]
        word = ""
        if counts is not None:
            word, text = standing(counts[i])
            lines += [text] if text else []
        box = Box(f"t{i}", "task", tuple(lines), word)
        sketch.add_task(box, _connections(task.connections, read), types)
    title, notes = _title(graph)
    return Drawing(title, tuple(notes), tuple(sketch.boxes.values()), tuple(sketch.links.values()))


def _declared(graph: QuantumSource) -> Callable[[TaskLayout | TypeLayout], Sequence[str]]:
    """Return what gives dimensions in the order in which the pipeline has them; a graph's own is the universe's."""
    tasks = {node.label: node.dimensions for node in graph.tasks}
    types = {c.dataset_type: c.dimensions for node in reversed(graph.tasks) for c in node.connections}

    def dimensions(of: TaskLayout | TypeLayout) -> Sequence[str]:
        told = tasks[of.label] if isinstance(of, TaskLayout) else types.get(of.name, ())
        return told if set(told) == set(of.dimensions) else of.dimensions

    return dimensions


def _by_task(graph: QuantumSource, status: Mapping[int, str]) -> list[Counter[str]]:
    tasks = graph.layout.tasks
    starts = np.array([t.offset for t in tasks], dtype=np.int64)
    ordinals = np.fromiter(status.keys(), np.int64, len(status))
    places = np.searchsorted(starts, ordinals, side="right") - 1
    counts = [Counter[str]() for _ in tasks]
    words = np.array([status_of(w) for w in status.values()], dtype=object)
    for i, task in enumerate(tasks):
        mine = (places == i) & (ordinals >= task.offset) & (ordinals < task.offset + task.n_quanta)
        counts[i].update(words[mine].tolist())
        counts[i]["pending"] += task.n_quanta - int(np.count_nonzero(mine))
    return counts


def expanded(graph: QuantumGraph, status: Mapping[int, str] | None = None) -> Drawing:
    """Draw a graph quantum by quantum.

    Parameters
    ----------
    graph : QuantumGraph
        A small one.
    status : mapping of int to str, optional
        Status by ordinal of a quantum; those that are not in it are pending.

    Returns
    -------
    Drawing
        A box a quantum and a box a dataset; values that all of them share are said once, below the title.
    """
    shown, common = shown_types(graph), _common(graph)
    boxes: dict[str, Box] = {}
    links: dict[tuple[str, str], Link] = {}
    datasets = _dataset_boxes(graph, shown, common)
    quanta = np.arange(graph.n_quanta)
    styles = _style_by_connection(graph)
    inputs, outputs = graph.inputs_of(quanta), graph.outputs_of(quanta)
    reads = _by_quantum(graph.n_quanta, inputs)
    writes = _by_quantum(graph.n_quanta, outputs)
    labels = graph.layout.tasks
    places = graph.task_of(quanta).tolist()
    data_ids = [row for rows in graph.task_rows for row in rows.table.rows(np.arange(rows.table.n_rows))]
    for i in range(graph.n_quanta):
        task = labels[places[i]]
        lines = (printable(task.label), *_words(task.dimensions, data_ids[i], common))
        word = "" if status is None else status_of(status.get(i, "pending"))
        key = f"q{i}"
        for dataset, name in reads[i]:
            if dataset in datasets:
                boxes.setdefault(datasets[dataset].key, datasets[dataset])
                pair = (datasets[dataset].key, key)
                links.setdefault(pair, Link(*pair, styles.get((task.label, name), "")))
        boxes[key] = Box(key, "task", lines, word)
        for dataset, _ in writes[i]:
            if dataset in datasets:
                boxes.setdefault(datasets[dataset].key, datasets[dataset])
                pair = (key, datasets[dataset].key)
                links.setdefault(pair, Link(*pair))
    title, notes = _title(graph)
    if common:
        notes.append(printable("all: " + ", ".join(f"{k}={v}" for k, v in common.items())))
    return Drawing(title, tuple(notes), tuple(boxes.values()), tuple(links.values()), is_wide=True)


def _style_by_connection(graph: QuantumGraph) -> dict[tuple[str, str], str]:
    return {(t.label, c.name): _STYLES.get(c.role, "") for t in graph.layout.tasks for c in t.connections}


def _by_quantum(n: int, edges: Any) -> list[list[tuple[int, str]]]:
    out: list[list[tuple[int, str]]] = [[] for _ in range(n)]
    for quantum, dataset, name in zip(
        edges.quantum.tolist(), edges.dataset.tolist(), edges.connection.tolist(), strict=True
    ):
        out[quantum].append((dataset, name))
    return out


def _common(graph: QuantumGraph) -> dict[str, Any]:
    """Return the dimensions of which all quanta and datasets that have them have one and the same value."""
    values: dict[str, set[Any]] = {}
    tables = [r.table for r in graph.task_rows] + [r.table for r in graph.type_rows]
    for table in tables:
        columns = table.decode()
        for name in columns.names:
            values.setdefault(name, set()).update(columns[name].tolist())
    kept = {n for rows in graph.task_rows for n in rows.table.names}
    return {k: next(iter(v)) for k, v in values.items() if len(v) == 1 and k in kept}


def _words(names: Sequence[str], values: Sequence[Any], common: Mapping[str, Any]) -> tuple[str, ...]:
    words = [f"{n}={v}" for n, v in zip(names, values, strict=True) if n not in common]
    return (printable(" ".join(words)),) if words else ()


def _dataset_boxes(graph: QuantumGraph, shown: set[str], common: Mapping[str, Any]) -> dict[int, Box]:
    out: dict[int, Box] = {}
    for kind, rows in zip(graph.layout.types, graph.type_rows, strict=True):
        if kind.name in shown and kind.role != "init":
            for i, values in enumerate(rows.table.rows(np.arange(kind.n_datasets))):
                lines = (printable(kind.name), *_words(kind.dimensions, values, common))
                ordinal = kind.offset + i
                out[ordinal] = Box(f"d{ordinal}", "dataset", lines, "", kind.role)
    return out
