"""Quanta that are done, and have to be done again: what they made is known, its file is gone, and somebody reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stage.graph.building.prune import Mask, counts, members

if TYPE_CHECKING:
    from stage.graph.building.found import FoundTable
    from stage.graph.table import Csr, Ints

__all__ = ["Wire", "bare_rows", "without_needed"]


class Wire(NamedTuple):
    """One connection of a task.

    Parameters
    ----------
    label : str
        The task.
    dataset_type : str
        What it reads or makes.
    is_input : bool
        Whether it reads.
    edges : Csr
        The datasets of each of its quanta.
    """

    label: str
    dataset_type: str
    is_input: bool
    edges: Csr


def bare_rows(found: FoundTable, match: Ints) -> Mask:
    """Say which datasets are known without a file.

    Parameters
    ----------
    found : FoundTable
        What is known of their type.
    match : numpy.ndarray of int64
        Which row of it each dataset is; -1 where it is none.

    Returns
    -------
    mask
        One value a dataset.
    """
    uris = found.found.select(("uri",)).decode()["uri"].tolist()
    return np.append(np.array([u is None for u in uris], dtype=np.bool_), np.False_)[match]


def without_needed(
    wires: Sequence[Wire], done: Mapping[str, Mask], bare: Mapping[str, Mask]
) -> dict[str, Mask]:
    """Take out of the quanta that are done those that have to be done again, and no others.

    Parameters
    ----------
    wires : sequence of Wire
        All connections of all tasks.
    done : mapping of str to mask
        By task, which quanta are done; none of tasks that are absent.
    bare : mapping of str to mask
        By dataset type, which datasets are known without a file.

    Returns
    -------
    dict of str to mask
        By task, which quanta need not be done.

    Notes
    -----
    Each turn goes one task further up a chain of files that are gone.
    """
    out = dict(done)
    wires = [w for w in wires if w.dataset_type in bare and bare[w.dataset_type].any()]
    is_settled = not wires
    while not is_settled:
        is_settled = True
        needed = {name: np.zeros(len(mask), dtype=np.bool_) for name, mask in bare.items()}
        for w in wires:
            if w.is_input:
                due = ~out[w.label] if w.label in out else np.ones(len(w.edges.indptr) - 1, dtype=np.bool_)
                needed[w.dataset_type][members(w.edges, due)] = True
        for w in wires:
            if not w.is_input and w.label in out:
                again = out[w.label] & (counts(w.edges, needed[w.dataset_type] & bare[w.dataset_type]) > 0)
                if again.any():
                    out[w.label], is_settled = out[w.label] & ~again, False
    return {label: mask for label, mask in out.items() if mask.any()}
