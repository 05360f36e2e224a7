"""What a graph holds, in numbers: quanta by dimension values, sizes, a search, one quantum whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError, UsageError, nearest
from registry.model.columns import Columns, unique_values
from registry.model.refs import id_text
from stage.graph.building.relate import DataIdRows, concat_columns
from stage.graph.table import Column, Table
from stage.graph.tables import with_implied

if TYPE_CHECKING:
    from stage.graph.access import QuantumSource
    from stage.graph.graph import QuantumGraph
    from stage.graph.quantum import PlannedDataset

__all__ = ["count_by", "dataset_sizes", "found_quanta", "quantum_document"]


def count_by(
    graph: QuantumGraph,
    names: Sequence[str],
    label: str | None = None,
    data_id: Mapping[str, Any] | None = None,
) -> Columns:
    """Count quanta by the values of dimensions.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    names : sequence of str
        Dimensions: of the quanta, or such as follow from theirs (as a visit's band).
    label : str, optional
        Only one task.
    data_id : mapping, optional
        Only quanta with these values.

    Returns
    -------
    Columns
        The dimensions, sorted, and for each task that has them its number of quanta, under its label.

    Raises
    ------
    UsageError
        If no task has these dimensions (``no-such-dimension``); offers the nearest.
    NotFoundError
        If there is no such task.
    """
    if label is not None:
        graph.quanta_of(label)  # a mistyped one is told
    parts: dict[str, Table] = {}
    for rows, layout in zip(graph.task_rows, graph.layout.tasks, strict=True):
        if label in {None, rows.label}:
            chosen = rows.table
            if data_id:
                chosen = chosen.take(graph.find(rows.label, data_id) - layout.offset)
            found = with_implied(graph, chosen, names)
            if found is not None:
                parts[rows.label] = found
    if not parts:
        _refuse(graph, names, label)
    whole = _joined(list(parts.values()), names)
    places = DataIdRows(whole).places(tuple(names))
    columns = dict(places.table.decode().items())
    start = 0
    for task, part in parts.items():
        mine = places.inverse[start : start + part.n_rows]
        columns[task] = np.bincount(mine, minlength=places.table.n_rows).astype(np.int64)
        start += part.n_rows
    return Columns(columns)


def _refuse(graph: QuantumGraph, names: Sequence[str], label: str | None) -> None:
    tasks = [t for t in graph.layout.tasks if label in {None, t.label}]
    known = {n for t in tasks for n in graph.universe.group(t.dimensions).names}
    wrong = next((n for n in names if n not in known), "")
    if label is None:
        text = f"no quanta have the dimensions {', '.join(names)}"
    else:
        own = ", ".join(tasks[0].dimensions)
        has = f"these have {own}" if own else "these have none"
        text = f"quanta of '{label}' cannot be counted by {wrong or ', '.join(names)}: {has}"
    raise UsageError(text, code="no-such-dimension", hint=nearest(wrong, known) if wrong else "")


def _joined(tables: Sequence[Table], names: Sequence[str]) -> Table:
    columns: dict[str, Column] = {}
    for name in names:
        column = tables[0].columns[name]
        for table in tables[1:]:
            column = concat_columns(column, table.columns[name])
        columns[name] = column
    return Table(columns, sum(t.n_rows for t in tables))


def dataset_sizes(graph: QuantumGraph) -> Columns:
    """Say how many datasets of each type there are, how many of these exist already, and how large those are.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.

    Returns
    -------
    Columns
        ``dataset_type``, ``role``, ``datasets``, ``existing``, ``bytes``.
    """
    rows = []
    for kind, held in zip(graph.layout.types, graph.type_rows, strict=True):
        n_there = n_bytes = 0
        if held.found is not None:
            found = held.found.select(("id", "size")).decode()
            n_there = sum(i is not None for i in found["id"].tolist())
            n_bytes = int(found["size"].sum())
        rows.append((kind.name, kind.role, kind.n_datasets, n_there, n_bytes))
    return Columns.from_rows(("dataset_type", "role", "datasets", "existing", "bytes"), rows)


def found_quanta(
    graph: QuantumGraph, label: str | None = None, data_id: Mapping[str, Any] | None = None
) -> Columns:
    """List quanta by task and data ID.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    label : str, optional
        Only those of one task.
    data_id : mapping, optional
        Only those with these values, which may also follow from theirs (as a visit's band).

    Returns
    -------
    Columns
        ``quantum`` (ordinal), ``task``, ``data_id`` as compact JSON, ``inputs`` and ``outputs`` (numbers).

    Raises
    ------
    NotFoundError
        If there is no such task.
    UsageError
        If no task has one of the dimensions (``no-such-dimension``).
    """
    ordinals = _matching(graph, label, data_id or {})
    rows = graph.quantum_rows(ordinals)
    inputs, outputs = graph.inputs_of(ordinals), graph.outputs_of(ordinals)
    counts = [np.bincount(e.quantum, minlength=graph.n_quanta)[ordinals] for e in (inputs, outputs)]
    return Columns(
        {
            "quantum": ordinals,
            "task": rows["task"],
            "data_id": rows["data_id"],
            "inputs": counts[0].astype(np.int64),
            "outputs": counts[1].astype(np.int64),
        }
    )


def _matching(graph: QuantumGraph, label: str | None, data_id: Mapping[str, Any]) -> Any:
    own = {n for t in graph.layout.tasks for n in t.dimensions}
    implied = [n for n in data_id if n not in own]
    ordinals = graph.find(label, {n: v for n, v in data_id.items() if n in own})
    if not implied:
        return ordinals
    from stage.graph.texts import matching_rows

    parts = []
    for place in unique_values(graph.task_of(ordinals)).tolist():
        layout, rows = graph.layout.tasks[place], graph.task_rows[place]
        mine = ordinals[graph.task_of(ordinals) == place]
        table = with_implied(graph, rows.table.take(mine - layout.offset), implied)
        if table is not None:
            parts.append(mine[matching_rows(table, {n: data_id[n] for n in implied})])
    if not parts:
        _refuse(graph, implied, label)
    return np.concatenate(parts)


def quantum_document(source: QuantumSource, ordinal: int) -> dict[str, Any]:
    """Tell all about one quantum.

    Parameters
    ----------
    source : QuantumSource
        The graph or its file, of which only that quantum's blocks are read.
    ordinal : int
        Its number.

    Returns
    -------
    dict
        JSON values: ``quantum``, ``id``, ``task``, ``data_id``, ``resources``, ``inputs`` and ``outputs`` (by connection a list of
        ``dataset_type``, ``id``, ``data_id``, ``run``, ``uri``).

    Raises
    ------
    NotFoundError
        If there is no such quantum (``unknown-quantum``).
    """
    if not 0 <= ordinal < source.n_quanta:
        raise NotFoundError(
            f"no quantum {ordinal}: the graph has {source.n_quanta:,}, numbered from 0",
            code="unknown-quantum",
            hint="Search for it with --task and --data-id.",
        )
    quantum = source.quantum(ordinal)
    return {
        "quantum": ordinal,
        "id": id_text(quantum.id),
        "task": quantum.label,
        "data_id": quantum.data_id,
        "resources": quantum.resources.to_document(),
        "inputs": {name: [_dataset(d) for d in found] for name, found in quantum.inputs.items()},
        "outputs": {name: [_dataset(d) for d in made] for name, made in quantum.outputs.items()},
    }


def _dataset(dataset: PlannedDataset) -> dict[str, Any]:
    return {
        "dataset_type": dataset.dataset_type,
        "id": id_text(dataset.id),
        "data_id": dataset.data_id,
        "run": dataset.run,
        "uri": dataset.uri,
    }
