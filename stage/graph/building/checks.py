"""What a task's edges must fulfil: one writer a dataset, and one dataset where one is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from registry.errors import PipelineError
from stage.graph.building.found import shown_data_ids

if TYPE_CHECKING:
    from stage.graph.building.plan import TypePlan
    from stage.graph.building.relate import DataIdRows
    from stage.graph.table import Csr, Table
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = ["check_output", "check_single"]


def check_output(node: TaskNode, c: ConnectionDef, edges: Csr, rows: DataIdRows, kind: TypePlan) -> None:
    """Refuse an output that several quanta would write, and several where one is declared.

    Parameters
    ----------
    node : TaskNode
        The task.
    c : ConnectionDef
        The output.
    edges : Csr
        The datasets of each quantum.
    rows : DataIdRows
        The data IDs of the task's group.
    kind : TypePlan
        The output's dataset type.

    Raises
    ------
    PipelineError
        With code ``output-written-twice`` or ``several-outputs``.
    """
    own = kind.type.dimensions.universe.group(node.dimensions).required
    if set(own) <= set(kind.dimensions) and (c.multiple or set(own) == set(kind.dimensions)):
        return
    writers = np.bincount(edges.indices, minlength=1)
    if writers.max(initial=0) > 1:
        places = rows.places(kind.dimensions).table
        where = shown_data_ids(places, np.flatnonzero(writers > 1), kind.dimensions)
        raise PipelineError(
            f"several quanta of '{node.label}' (dimensions {', '.join(own) or 'none'}) would write one "
            f"'{kind.name}' (dimensions {', '.join(kind.dimensions) or 'none'}): {where}",
            code="output-written-twice",
            hint="Give the output all dimensions of the task.",
        )
    check_single(node, c, edges, rows.places(own).table)


def check_single(node: TaskNode, c: ConnectionDef, edges: Csr, quanta: Table) -> None:
    """Refuse several datasets for a connection that is declared to have one.

    Parameters
    ----------
    node : TaskNode
        The task.
    c : ConnectionDef
        Its input or output.
    edges : Csr
        The datasets of each quantum.
    quanta : Table
        Data IDs of the quanta.

    Raises
    ------
    PipelineError
        With code ``several-inputs`` or ``several-outputs``.
    """
    several = np.zeros(0, dtype=np.int64) if c.multiple else np.flatnonzero(np.diff(edges.indptr) > 1)
    if len(several):
        raise PipelineError(
            f"{len(several)} of {quanta.n_rows} quanta of '{node.label}' have several datasets "
            f"'{c.dataset_type}' for '{c.name}', which is one: {shown_data_ids(quanta, several, quanta.names)}",
            code="several-inputs" if c.is_input else "several-outputs",
            hint=f"Declare '{c.name}' with multiple=True.",
        )
