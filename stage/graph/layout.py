"""What a graph is made of, apart from its rows: header, tasks, dataset types, and how all are numbered.

Nothing here imports a task, a database or a file system, so that a batch job can read a graph with little.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from registry.model.refs import new_id

__all__ = [
    "INIT_INPUT_ROLES", "INIT_OUTPUT_ROLES", "INPUT_ROLES", "OUTPUT_ROLES", "PACKAGES", "QUANTUM_IDS", "ConnectionLayout",
    "Header", "Layout", "TaskLayout", "TypeLayout",
]  # fmt: skip

QUANTUM_IDS = 1 << 35
"""A quantum's id is derived from its ordinal and this; a dataset's from its ordinal alone."""

INPUT_ROLES = frozenset({"input", "prerequisite"})
OUTPUT_ROLES = frozenset({"output", "metadata", "log"})
INIT_INPUT_ROLES = frozenset({"init_input"})
INIT_OUTPUT_ROLES = frozenset({"init_output", "config"})
PACKAGES = "packages"
"""The dataset type that holds the versions of all packages of a run: one a run, no task's own."""


@dataclass(frozen=True, slots=True)
class Header:
    """What tells one graph from another; the only part that `retarget` changes.

    Parameters
    ----------
    id : bytes
        16 bytes, version 7; ids of quanta and of planned datasets are derived from it, unless there are `origins`.
    created_ns : int
        UTC nanoseconds since 1970.
    output_run : str
        The RUN that its outputs will be in; empty until `retarget`.
    input_collections : tuple of str
        What was searched, in order.
    where : str
        The expression it was built with.
    pipeline_fingerprint : str
        Of the pipeline it was built from.
    search_path : tuple of str
        Directories of the users' own modules.
    upstream : str
        Root of the repository it was built on, without credentials.
    metadata : mapping
        Anything else, as JSON.
    origins : tuple of bytes
        Ids of the graphs that the rows come from, where some were dropped or added since; the rows' identities
        (`stage.graph.identity.Identity`) name them by place. Empty for a graph as it was built.
    """

    id: bytes
    created_ns: int = 0
    output_run: str = ""
    input_collections: tuple[str, ...] = ()
    where: str = ""
    pipeline_fingerprint: str = ""
    search_path: tuple[str, ...] = ()
    upstream: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    origins: tuple[bytes, ...] = ()

    def retarget(self, run: str, graph_id: bytes | None = None) -> Header:
        """Return this header for another RUN, with another id.

        Parameters
        ----------
        run : str
            Name of the RUN.
        graph_id : bytes, optional
            The new id; minted by default.

        Returns
        -------
        Header
            The new header: all ids follow from the new id alone, wherever the rows come from.
        """
        return replace(self, output_run=run, id=graph_id or new_id(), origins=())

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values.

        Returns
        -------
        dict
            See `from_document`.
        """
        document = {**asdict(self), "id": self.id.hex(), "metadata": dict(self.metadata)}
        del document["origins"]
        return document | ({"origins": [g.hex() for g in self.origins]} if self.origins else {})

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Header:
        """Read what `to_document` wrote.

        Parameters
        ----------
        document : mapping
            JSON values.

        Returns
        -------
        Header
            The header.
        """
        graph_id, *origins = [bytes.fromhex(text) for text in (document["id"], *document.get("origins", ()))]
        for each in (graph_id, *origins):
            if len(each) != 16:
                raise ValueError(f"an id of {len(each)} bytes")
        lists = {k: tuple(document[k]) for k in ("input_collections", "search_path")}
        return cls(**{**document, **lists, "id": graph_id, "origins": tuple(origins)})


class ConnectionLayout(NamedTuple):
    """One connection of a task, as far as rows go.

    Parameters
    ----------
    name : str
        Name within the task.
    role : str
        As in the task's node: ``input``, ``prerequisite``, ``output``, ``metadata``, ``log``, ``init_input``, …
    dataset_type : str
        Name of the dataset type.
    storage_class : str, optional
        What a task takes an input as; empty for outputs, and where nothing is known but the dataset type's own.
    """

    name: str
    role: str
    dataset_type: str
    storage_class: str = ""

    @property
    def is_input(self) -> bool:
        """Whether quanta read it."""
        return self.role in INPUT_ROLES

    @property
    def is_output(self) -> bool:
        """Whether quanta write it."""
        return self.role in OUTPUT_ROLES

    @property
    def has_edges(self) -> bool:
        """Whether quanta are joined to datasets by it (those of init connections belong to the task)."""
        return self.role in INPUT_ROLES or self.role in OUTPUT_ROLES


class TaskLayout(NamedTuple):
    """One task's part of a graph.

    Parameters
    ----------
    label : str
        The task's label.
    dimensions : tuple of str
        Required dimensions: the columns of its quanta's data IDs.
    connections : tuple of ConnectionLayout
        In the order of the node.
    n_quanta : int
        How many.
    offset : int
        Ordinal of the first.
    """

    label: str
    dimensions: tuple[str, ...]
    connections: tuple[ConnectionLayout, ...]
    n_quanta: int
    offset: int


class TypeLayout(NamedTuple):
    """One dataset type's part of a graph.

    Parameters
    ----------
    name : str
        The dataset type.
    dimensions : tuple of str
        Required dimensions: the columns of its datasets' data IDs.
    storage_class : str
        What it is in memory.
    role : {"overall-input", "intermediate", "output", "init"}
        Where it stands in the graph.
    n_datasets : int
        How many.
    offset : int
        Ordinal of the first.
    formatter, extension : str
        How a planned dataset will be stored; empty for overall inputs.
    is_calibration : bool
        As the dataset type says.
    """

    name: str
    dimensions: tuple[str, ...]
    storage_class: str
    role: str
    n_datasets: int
    offset: int
    formatter: str = ""
    extension: str = ""
    is_calibration: bool = False

    @property
    def is_planned(self) -> bool:
        """Whether its datasets are made by the graph (with derived ids) and not found."""
        return self.role != "overall-input"


@dataclass(frozen=True)
class Layout:
    """Tasks and dataset types in their order, and so how quanta and datasets are numbered.

    Parameters
    ----------
    tasks : tuple of TaskLayout
        In the pipeline's order.
    types : tuple of TypeLayout
        All dataset types.
    """

    tasks: tuple[TaskLayout, ...]
    types: tuple[TypeLayout, ...]

    @cached_property
    def n_quanta(self) -> int:
        """Number of quanta."""
        return sum(t.n_quanta for t in self.tasks)

    @cached_property
    def n_datasets(self) -> int:
        """Number of datasets."""
        return sum(t.n_datasets for t in self.types)

    @cached_property
    def type_index(self) -> dict[str, int]:
        """Place of each dataset type."""
        return {t.name: i for i, t in enumerate(self.types)}

    @cached_property
    def task_index(self) -> dict[str, int]:
        """Place of each task."""
        return {t.label: i for i, t in enumerate(self.tasks)}

    @cached_property
    def _task_offsets(self) -> list[int]:
        return [t.offset for t in self.tasks]

    def locate_quantum(self, ordinal: int) -> tuple[int, int]:
        """Return the place of a quantum's task, and its row there.

        Parameters
        ----------
        ordinal : int
            The quantum.

        Returns
        -------
        task, row : int
            Places.

        Raises
        ------
        IndexError
            If there is no such quantum.
        """
        if not 0 <= ordinal < self.n_quanta:
            raise IndexError(f"no quantum {ordinal}: the graph has {self.n_quanta}")
        # A task without quanta has its successor's offset: the last of equal ones is meant.
        task = bisect_right(self._task_offsets, ordinal) - 1
        return task, ordinal - self.tasks[task].offset

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values.

        Returns
        -------
        dict
            ``tasks`` and ``types``: for each a list of its fields in the order of `TaskLayout` and `TypeLayout`.
        """
        tasks = [
            t._replace(connections=tuple([c if c.storage_class else c[:3] for c in t.connections]))  # type: ignore[misc]
            for t in self.tasks
        ]
        return {"tasks": tasks, "types": list(self.types)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Layout:
        """Read what `to_document` wrote.

        Parameters
        ----------
        document : mapping
            JSON values.

        Returns
        -------
        Layout
            The layout.
        """
        tasks = [
            TaskLayout(label, tuple(dimensions), tuple([ConnectionLayout(*c) for c in connections]), *rest)
            for label, dimensions, connections, *rest in document["tasks"]
        ]
        types = [TypeLayout(name, tuple(dimensions), *rest) for name, dimensions, *rest in document["types"]]
        return cls(tuple(tasks), tuple(types))
