"""A graph as tables: of quanta, of datasets, and of what joins them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError, UsageError, nearest
from registry.model.columns import Array, Columns
from stage.graph.building.relate import match_rows
from stage.graph.table import Coded, Column, Ints, Table

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph

__all__ = ["TABLES", "graph_columns", "to_arrow", "to_pandas", "with_implied"]

TABLES = ("quanta", "datasets", "edges")
"""What `graph_columns`, `to_arrow` and `to_pandas` make tables of."""

_FOUND = {"run": "", "uri": None, "size": 0}


def graph_columns(graph: QuantumGraph, what: str = "quanta", name: str | None = None) -> Columns:
    """Return one of the tables of a graph.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    what : {"quanta", "datasets", "edges"}, optional
        Which table.
    name : str, optional
        Only one task's quanta and edges, or one dataset type's datasets; then no column is null for want of a
        dimension.

    Returns
    -------
    Columns
        Of ``quanta``: ``ordinal``, ``id``, ``task`` and dimensions. Of ``datasets``: ``ordinal``, ``id``,
        ``dataset_type``, ``role``, ``run``, ``uri``, ``size`` and dimensions; null ``uri`` where it is not there yet. Of
        ``edges``: ``quantum`` and ``dataset`` (ordinals), ``connection``, ``is_input``.

    Raises
    ------
    UsageError
        If there is no such table (``unknown-table``).
    NotFoundError
        If there is no such task or dataset type.
    """
    if what not in TABLES:
        raise UsageError(
            f"a graph has no table of '{what}'", code="unknown-table", hint=nearest(what, TABLES)
        )
    return {"quanta": _quanta, "datasets": _datasets, "edges": _edges}[what](graph, name)


def _quanta(graph: QuantumGraph, label: str | None) -> Columns:
    rows = [r for r in graph.task_rows if label in {None, r.label}]
    ordinals = graph.find(label)
    labels = np.array([t.label for t in graph.layout.tasks], dtype=object)
    data_ids = _stacked([r.table for r in rows])
    columns: dict[str, Any] = {
        "ordinal": ordinals,
        "id": graph.quantum_ids(ordinals),
        "task": labels[graph.task_of(ordinals)],
    }
    return Columns({**columns, **data_ids})


def _datasets(graph: QuantumGraph, name: str | None) -> Columns:
    places = [p for p, k in enumerate(graph.layout.types) if name in {None, k.name}]
    if not places:
        raise NotFoundError(
            f"no dataset type '{name}' in the graph",
            code="unknown-dataset-type",
            hint=nearest(name or "", graph.layout.type_index),
        )
    kinds = [graph.layout.types[p] for p in places]
    ranges = [np.arange(k.offset, k.offset + k.n_datasets, dtype=np.int64) for k in kinds]
    ordinals = np.concatenate(ranges)
    counts = [k.n_datasets for k in kinds]
    columns: dict[str, Any] = {
        "ordinal": ordinals,
        "id": graph.dataset_ids(ordinals),
        "dataset_type": np.repeat(np.array([k.name for k in kinds], dtype=object), counts),
        "role": np.repeat(np.array([k.role for k in kinds], dtype=object), counts),
    }
    rows = [graph.type_rows[p] for p in places]
    planned = {**_FOUND, "run": graph.output_run}
    for column, value in planned.items():
        columns[column] = np.concatenate([_of_found(r.found, column, r.table.n_rows, value) for r in rows])
    return Columns({**columns, **_stacked([r.table for r in rows])})


def _of_found(found: Table | None, name: str, n: int, planned: Any) -> Array:
    """Return a column of what was there before the graph, with another value for what is planned."""
    kind: Any = np.int64 if name == "size" else object
    if found is None:
        return np.full(n, planned, dtype=kind)
    known = np.array([i is not None for i in _plain(found.columns["id"])], dtype=np.bool_)
    out = np.full(n, planned, dtype=kind)
    out[known] = _plain(found.columns[name])[known]
    return out


def _edges(graph: QuantumGraph, label: str | None) -> Columns:
    ordinals = graph.find(label)
    inputs, outputs = graph.inputs_of(ordinals), graph.outputs_of(ordinals)
    pairs = zip(inputs, outputs, strict=True)
    quantum, dataset, connection = (np.concatenate(both) for both in pairs)
    is_input = np.arange(len(quantum)) < len(inputs.quantum)
    return Columns({"quantum": quantum, "dataset": dataset, "connection": connection, "is_input": is_input})


def _plain(column: Column) -> Array:
    return column.decode() if isinstance(column, Coded) else column


def _stacked(tables: Sequence[Table]) -> dict[str, Array]:
    """Put tables of different columns below each other: null where a table lacks one."""
    names = list(dict.fromkeys(n for table in tables for n in table.names))
    out = {}
    for name in names:
        whole = all(name in table.columns for table in tables)
        parts = [
            _plain(t.columns[name]) if name in t.columns else np.full(t.n_rows, None, dtype=object)
            for t in tables
        ]
        out[name] = np.concatenate(parts if whole else [p.astype(object) for p in parts])
    return out


def to_arrow(graph: QuantumGraph, what: str = "quanta", name: str | None = None) -> Any:
    """Return one of the tables of a graph as a table of Apache Arrow.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    what : {"quanta", "datasets", "edges"}, optional
        Which table.
    name : str, optional
        Only one task's quanta and edges, or one dataset type's datasets.

    Returns
    -------
    pyarrow.Table
        Columns as of `graph_columns`; ids are ``fixed_size_binary(16)``.

    Raises
    ------
    UsageError
        If pyarrow is not installed, or there is no such table.
    NotFoundError
        If there is no such task or dataset type.
    """
    from registry.queries import tables

    return tables.to_arrow(graph_columns(graph, what, name), graph.universe)


def to_pandas(graph: QuantumGraph, what: str = "quanta", name: str | None = None) -> Any:
    """Return one of the tables of a graph as a frame of pandas.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    what : {"quanta", "datasets", "edges"}, optional
        Which table.
    name : str, optional
        Only one task's quanta and edges, or one dataset type's datasets.

    Returns
    -------
    pandas.DataFrame
        Columns as of `graph_columns`.

    Raises
    ------
    UsageError
        If pandas is not installed, or there is no such table.
    NotFoundError
        If there is no such task or dataset type.
    """
    from registry.queries import tables

    return tables.to_pandas(graph_columns(graph, what, name))


def with_implied(graph: QuantumGraph, table: Table, names: Sequence[str]) -> Table | None:
    """Return data IDs with dimensions that follow from theirs, by the records that the graph holds.

    Parameters
    ----------
    graph : QuantumGraph
        The graph.
    table : Table
        Data IDs: some of a graph's quanta or datasets.
    names : sequence of str
        Dimensions: columns of the table, or implied by them, as a visit's band.

    Returns
    -------
    Table or None
        These dimensions, row by row; None where one of them does not follow.
    """
    columns = dict(table.columns)
    todo = list(columns)
    while todo and any(n not in columns for n in names):
        element = graph.universe.elements.get(todo.pop())
        records = None if element is None else graph.record_tables.get(element.name)
        if element is None or records is None or not set(element.required) <= set(columns):
            continue
        new = [n for n in element.implied if n not in columns]
        if new:
            rows = match_rows(Table(columns, table.n_rows), records, element.required)
            if (rows >= 0).all():
                columns.update({n: _taken(records.columns[n], rows) for n in new})
                todo += new
    return Table({n: columns[n] for n in names}, table.n_rows) if set(names) <= set(columns) else None


def _taken(column: Column, rows: Ints) -> Column:
    return column.take(rows) if isinstance(column, Coded) else column[rows]
