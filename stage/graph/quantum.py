"""`Quantum` and `PlannedDataset`: views of single rows of a graph, made on demand at the edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from stage.graph.access import QuantumSource
    from stage.pipeline.node import TaskNode
    from stage.pipeline.resources import Resources

__all__ = ["FOUND_COLUMNS", "PlannedDataset", "Quantum"]

FOUND_COLUMNS = ("id", "run", "uri", "size", "checksum", "formatter", "origin")
"""What a graph holds of datasets that were there when it was built."""


class PlannedDataset(NamedTuple):
    """One dataset of a graph: found when the graph was built, or to be made.

    Parameters
    ----------
    ordinal : int
        Its number in the graph.
    id : bytes
        16 bytes.
    dataset_type, storage_class : str
        What it is.
    dims : tuple of str
        Names of its required dimensions.
    values : tuple
        Their values.
    run : str
        The RUN that holds or will hold it; empty for outputs of a graph that has not been given a RUN.
    uri : str or None
        Where it is: absolute, or relative to the root of the campaign's datastore. For outputs the place that
        they will have; None as long as the graph has no RUN.
    size : int
        Bytes; 0 for outputs.
    checksum, formatter : str
        As its artifact record says; an output has no checksum yet.
    """

    ordinal: int
    id: bytes
    dataset_type: str
    storage_class: str
    dims: tuple[str, ...]
    values: tuple[Any, ...]
    run: str
    uri: str | None
    size: int
    checksum: str
    formatter: str

    @property
    def data_id(self) -> dict[str, Any]:
        """The data ID as a dict."""
        return dict(zip(self.dims, self.values, strict=True))


@dataclass(frozen=True, slots=True)
class Quantum:
    """One unit of work: a task, a data ID, and the datasets that it reads and writes.

    Parameters
    ----------
    ordinal : int
        Its number in the graph.
    id : bytes
        16 bytes.
    label : str
        The task.
    data_id : dict
        Values of the task's required dimensions.
    inputs, outputs : dict
        Connection name to the datasets. Prerequisites are inputs; the automatic metadata and log are outputs.
    source : QuantumSource
        The graph it is of.
    """

    ordinal: int
    id: bytes
    label: str
    data_id: dict[str, Any]
    inputs: dict[str, list[PlannedDataset]]
    outputs: dict[str, list[PlannedDataset]]
    source: QuantumSource = field(repr=False, compare=False)

    @property
    def node(self) -> TaskNode:
        """The task's node."""
        return self.source.node(self.label)

    @property
    def init_inputs(self) -> dict[str, PlannedDataset]:
        """What the task's construction reads, by connection."""
        return self.source.init_inputs(self.label)

    @property
    def resources(self) -> Resources:
        """What it needs of a machine: cores, memory, time."""
        return self.source.resources(self.ordinal)

    def record(self, element: str, data_id: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return one dimension record.

        Parameters
        ----------
        element : str
            Name of a dimension or a relation.
        data_id : mapping, optional
            Values of what the element requires, where the quantum's own data ID and what that implies do not
            fix them (as a dataset's detector).

        Returns
        -------
        dict
            Column to value.

        Raises
        ------
        NotFoundError
            If the graph does not hold it.
        """
        return self.source.record(element, {**self.data_id, **(data_id or {})})

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """Dimension records of the data ID and all it implies, by element."""
        return self.source.records_of(self.data_id)

    def __str__(self) -> str:
        values = ", ".join(f"{k}={v}" for k, v in self.data_id.items())
        return f"{self.label}@{{{values}}}"
