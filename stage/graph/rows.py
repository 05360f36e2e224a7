"""The rows of a graph, task by task and dataset type by dataset type, before they are numbered through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stage.graph.identity import Identity
from stage.graph.layout import ConnectionLayout, Layout, TaskLayout, TypeLayout
from stage.graph.table import Csr, Table

__all__ = ["TaskRows", "TypeRows", "make_layout"]


@dataclass(frozen=True, slots=True, eq=False)
class TaskRows:
    """The quanta of one task.

    Parameters
    ----------
    label : str
        The task.
    connections : tuple of ConnectionLayout
        Its connections.
    table : Table
        Data IDs: one column a required dimension, one row a quantum, sorted.
    edges : mapping of str to Csr
        For each connection with edges, the rows of its dataset type that each quantum has.
    identity : Identity, optional
        Which quanta they were first; counts only where the header names origins.
    hints : Table, optional
        A column ``resources``: what each quantum needs, as JSON of `Resources`; the node's count where it is absent.
    """

    label: str
    connections: tuple[ConnectionLayout, ...]
    table: Table
    edges: Mapping[str, Csr]
    identity: Identity | None = None
    hints: Table | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TypeRows:
    """The datasets of one type.

    Parameters
    ----------
    layout : TypeLayout
        The type; its counts are taken from `table`.
    table : Table
        Data IDs: one column a required dimension, one row a dataset, sorted.
    found : Table or None
        Columns `stage.graph.quantum.FOUND_COLUMNS` of those that exist; a row without id is planned.
    identity : Identity, optional
        Which planned datasets they were first; counts only where the header names origins.
    """

    layout: TypeLayout
    table: Table
    found: Table | None = None
    identity: Identity | None = None


def make_layout(tasks: Sequence[TaskRows], types: Sequence[TypeRows]) -> Layout:
    """Number tasks and dataset types through.

    Parameters
    ----------
    tasks : sequence of TaskRows
        In the pipeline's order.
    types : sequence of TypeRows
        In the order that their datasets are to be numbered.

    Returns
    -------
    Layout
        With counts and offsets.
    """
    task_layouts, type_layouts = [], []
    offset = 0
    for task in tasks:
        n = task.table.n_rows
        task_layouts.append(TaskLayout(task.label, task.table.names, task.connections, n, offset))
        offset += n
    offset = 0
    for rows in types:
        k, n = rows.layout, rows.table.n_rows
        type_layouts.append(
            TypeLayout(
                k.name, rows.table.names, k.storage_class, k.role, n, offset, k.formatter, k.extension,
                k.is_calibration,
            )
        )  # fmt: skip
        offset += n
    return Layout(tuple(task_layouts), tuple(type_layouts))
