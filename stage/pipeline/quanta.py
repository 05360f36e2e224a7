"""`Quanta`: a task's own division of its work, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Quanta"]


@dataclass(frozen=True)
class Quanta:
    """What `Task.define_quanta` returns: which quanta there are, and which datasets belong to each.

    Parameters
    ----------
    data_ids : Columns, or mapping of str to sequence
        Data IDs of the quanta: one column a required dimension of the task, one row a quantum, no row twice.
    edges : mapping of str to Columns, or to mapping of str to sequence
        By connection: a column ``quantum``, with row numbers of `data_ids`, and one column for each required
        dimension of the connection's dataset type; one row for each dataset that a quantum reads or writes. Of a
        connection that is left out, quanta have the datasets that they would have had without this hook.

    Examples
    --------
    Each exposure is compared with the one before it:

    >>> Quanta(
    ...     {"instrument": ["Cam"], "exposure": [2]},
    ...     {"images": {"quantum": [0, 0], "instrument": ["Cam", "Cam"], "exposure": [1, 2]}},
    ... ).edges["images"]["exposure"]
    [1, 2]
    """

    data_ids: Mapping[str, Any]
    edges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
