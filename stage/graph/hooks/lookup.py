"""Prerequisites that a task's own function looks up: for all quanta at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns, unique_values
from stage.graph.building.found import as_found
from stage.graph.hooks.call import as_columns, called, wrong_answer
from stage.graph.quantum import FOUND_COLUMNS
from stage.graph.table import Csr, Table
from stage.pipeline.importing import load_task_class
from stage.pipeline.resolve import lookup_of

if TYPE_CHECKING:
    from stage.graph.building.found import FoundTable
    from stage.graph.building.plan import TypePlan
    from stage.graph.hooks.ask import Ask
    from stage.graph.table import Ints
    from stage.pipeline.node import ConnectionDef, TaskNode

__all__ = ["look_up"]


def look_up(
    node: TaskNode, connection: ConnectionDef, kind: TypePlan, quanta: Table, ask: Ask
) -> tuple[FoundTable, Csr]:
    """Find the datasets of a prerequisite as its own function says.

    Parameters
    ----------
    node : TaskNode
        The task.
    connection : ConnectionDef
        The prerequisite; it names a function.
    kind : TypePlan
        Its dataset type.
    quanta : Table
        The quanta: all dimensions of the task, required and implied.
    ask : Ask
        For the function to ask.

    Returns
    -------
    found : FoundTable
        The datasets that some quantum has, each once.
    edges : Csr
        For each quantum, rows of `found`.

    Raises
    ------
    PipelineError
        If the function fails, or does not return columns ``quantum`` and ``dataset`` with numbers of quanta and ids
        of datasets that it was told of; names the first row that is wrong.
    """
    what = f"lookup function '{connection.lookup}'"
    function = lookup_of(load_task_class(node.target, f"task '{node.label}'"), connection.lookup)
    if function is None:
        raise wrong_answer(node.label, what, "is not there")
    answer = called(node.label, what, function, connection, quanta.decode(), ask)
    pairs = as_columns(node.label, what, answer, ("quantum", "dataset"), f"'{connection.name}'")
    seen = (
        Columns.concat([s.select((*kind.dimensions, *FOUND_COLUMNS)) for s in ask.seen]) if ask.seen else None
    )
    place: dict[bytes, int] = {}
    for i, dataset_id in enumerate(seen["id"].tolist() if seen is not None else ()):
        place.setdefault(dataset_id, i)
    owner = _owners(node.label, what, pairs, quanta.n_rows)
    rows = np.array([place.get(i, -1) for i in pairs["dataset"].tolist()], dtype=np.int64)
    unknown = np.flatnonzero(rows < 0)
    if len(unknown):
        shown = pairs["dataset"].tolist()[int(unknown[0])]
        raise wrong_answer(
            node.label, what,
            f"gave {shown!r} in row {unknown[0]} of '{connection.name}', which is no id of a '{kind.name}' it asked for",
            "Return values of the column 'id' of ask.datasets().",
        )  # fmt: skip
    used, row = np.unique(rows, return_inverse=True)
    none = Columns.from_rows((*kind.dimensions, *FOUND_COLUMNS), [])
    found = as_found(seen.take(used) if seen is not None else none, kind.dimensions)
    return found, _edges(quanta.n_rows, owner, row.astype(np.int64), len(used))


def _owners(label: str, what: str, pairs: Columns, n_quanta: int) -> Ints:
    owner = pairs["quantum"]
    if not pairs.n_rows:
        return np.zeros(0, dtype=np.int64)
    if owner.dtype != np.int64:
        raise wrong_answer(label, what, f"gave {owner[0]!r} for the number of a quantum")
    wrong = np.flatnonzero((owner < 0) | (owner >= n_quanta))
    if len(wrong):
        raise wrong_answer(
            label, what, f"gave quantum {owner[wrong[0]]} in row {wrong[0]}, and there are {n_quanta}"
        )
    return owner


def _edges(n_quanta: int, owner: Ints, row: Ints, n_rows: int) -> Csr:
    """Return the lists of pairs, each pair once."""
    key = unique_values(owner * max(n_rows, 1) + row)
    return Csr.from_pairs(n_quanta, *np.divmod(key, max(n_rows, 1)))
