"""Whether two graphs are one plan: the same tasks, quanta and datasets, whatever their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stage.graph.changing.refind import same_edges, same_rows
from stage.graph.changing.retask import has_tasks_of

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph
    from stage.graph.rows import TaskRows, TypeRows
    from stage.graph.table import Table

__all__ = ["same_plan"]


def same_plan(one: QuantumGraph, other: QuantumGraph) -> bool:
    """Tell whether two graphs would do the same.

    Parameters
    ----------
    one, other : QuantumGraph
        Before they get a RUN.

    Returns
    -------
    bool
        Whether tasks, settings, versions, quanta, what they read and what they write are the same, row by row.
    """
    ours, theirs = one.header, other.header
    return (
        (ours.pipeline_fingerprint, ours.input_collections, ours.where, ours.upstream)
        == (theirs.pipeline_fingerprint, theirs.input_collections, theirs.where, theirs.upstream)
        and one.layout == other.layout
        and has_tasks_of(one, other.tasks)
        and all(map(_same_quanta, one.task_rows, other.task_rows))
        and all(map(_same_datasets, one.type_rows, other.type_rows))
        and one.record_tables.keys() == other.record_tables.keys()
        and all(same_rows(table, other.record_tables[name]) for name, table in one.record_tables.items())
    )


def _same_quanta(one: TaskRows, other: TaskRows) -> bool:
    return (
        same_rows(one.table, other.table)
        and one.edges.keys() == other.edges.keys()
        and all(same_edges(csr, other.edges[name]) for name, csr in one.edges.items())
        and _same_or_none(one.hints, other.hints)
    )


def _same_datasets(one: TypeRows, other: TypeRows) -> bool:
    return same_rows(one.table, other.table) and _same_or_none(one.found, other.found)


def _same_or_none(one: Table | None, other: Table | None) -> bool:
    return one is other or (one is not None and other is not None and same_rows(one, other))
