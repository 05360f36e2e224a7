"""The frozen rows that travel between registries, as column names in a fixed order.

Rows travel as `registry.model.columns.Columns` with these names; the tables in `registry.sql.schema` hold the
same facts, with run and dataset type names replaced by local integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from registry.model.columns import Columns

__all__ = [
    "ARTIFACT", "DATASET", "QUANTUM", "QUANTUM_INPUT", "QUANTUM_OUTPUT", "Artifact", "QuantumStatus", "Walk",
]  # fmt: skip

DATASET = ("id", "dataset_type", "run")
"""One dataset; its data ID travels beside it as one column a dimension."""

ARTIFACT = ("id", "uri", "size", "checksum", "formatter")
"""Where a dataset's bytes are: `uri` is relative to the datastore's root, or absolute where the artifact
is another repository's (direct); `size` is in bytes; `checksum` is ``blake3:…`` or empty."""

QUANTUM = (
    "id", "run", "task", "data_id", "status", "attempt", "started_ns", "finished_ns", "cpu_ns", "peak_bytes",
    "host", "message", "graph_id",
)  # fmt: skip
"""One execution of one quantum. `data_id` is compact JSON, times are UTC nanoseconds since 1970."""

QUANTUM_INPUT = ("quantum_id", "dataset_id", "connection", "was_read")
QUANTUM_OUTPUT = ("quantum_id", "dataset_id", "connection")


class Artifact(NamedTuple):
    """One artifact record.

    Parameters
    ----------
    uri : str
        Relative to the datastore's root, or absolute.
    size : int
        Bytes.
    checksum : str
        ``blake3:…``, or empty when never computed.
    formatter : str
        Name of the formatter that reads it.
    """

    uri: str
    size: int
    checksum: str
    formatter: str


class QuantumStatus:
    """Names of what can become of a quantum; stored as text."""

    SUCCEEDED = "succeeded"
    NO_WORK = "no-work"
    FAILED = "failed"
    BLOCKED = "blocked"
    COMPLETE = frozenset({SUCCEEDED, NO_WORK})


class Walk(NamedTuple):
    """All that lies on the ways in one direction.

    Parameters
    ----------
    quanta : Columns
        ``id``, ``run``, ``task``, ``status``; null but for the id where nothing is recorded of it.
    datasets : Columns
        ``id``, ``dataset_type``, ``run``; null but for the id of one that is not there any more.
    read, made : Columns
        ``quantum`` and ``dataset``, which are row numbers of these two, and ``was_read``.
    """

    quanta: Columns
    datasets: Columns
    read: Columns
    made: Columns
