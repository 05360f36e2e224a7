"""Which quanta go with a choice of datasets: those from which what goes came, in one step or in many."""

from __future__ import annotations

from collections.abc import Set

from registry.model.columns import Columns
from sync.pushing.members import members

__all__ = ["ids_in", "quanta_behind", "quanta_that_stay"]


def ids_in(rows: Columns, name: str) -> set[bytes]:
    """Return the values of a column of ids.

    Parameters
    ----------
    rows : Columns
        Rows; without any columns if there are none.
    name : str
        The column.

    Returns
    -------
    set of bytes
        Each once.
    """
    return set(rows[name].tolist()) if rows.n_rows else set()


def quanta_behind(datasets: Set[bytes], inputs: Columns, outputs: Columns) -> set[bytes]:
    """Return the quanta from which datasets came.

    Parameters
    ----------
    datasets : set of bytes
        Ids.
    inputs, outputs : Columns
        What quanta read and made: where they are not among these, the way ends.

    Returns
    -------
    set of bytes
        The makers, the makers of what those have read, and so on.

    Notes
    -----
    One pass over the links for each quantum on the longest way.
    """
    if not outputs.n_rows:
        return set()
    made, makers = outputs["dataset_id"].tolist(), outputs["quantum_id"]
    read, readers = (
        (inputs["dataset_id"], inputs["quantum_id"].tolist()) if inputs.n_rows else (makers[:0], [])
    )
    found: set[bytes] = set()
    todo: Set[bytes] = datasets
    while todo:
        new = set(makers[members(made, todo)].tolist()) - found
        found |= new
        todo = set(read[members(readers, new)].tolist()) if new else set()
    return found


def quanta_that_stay(
    left_out: Set[bytes], going: Set[bytes], inputs: Columns, outputs: Columns, *, chosen: bool
) -> set[bytes]:
    """Return the quanta that stay with what stays: all that they made is left out, and nothing that goes came of it.

    Parameters
    ----------
    left_out : set of bytes
        Ids of datasets that a policy leaves out.
    going : set of bytes
        Ids of those that go, or are upstream already.
    inputs, outputs : Columns
        What quanta read and made.
    chosen : bool
        Whether only quanta were to go from which chosen datasets came.

    Returns
    -------
    set of bytes
        Their ids.
    """
    if not left_out or not outputs.n_rows:
        return set()
    made, makers = outputs["dataset_id"].tolist(), outputs["quantum_id"]
    concerned = set((makers if chosen else makers[members(made, left_out)]).tolist())
    return concerned - quanta_behind(going, inputs, outputs)
