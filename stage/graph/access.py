"""`QuantumSource`: what a graph in memory and a graph file have in common.

Each hands over single rows; the views of `stage.graph.quantum` are made here, once for both.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby, islice, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import NotFoundError, nearest
from stage.graph.file.scrutiny import reading
from stage.graph.identity import Ids
from stage.graph.layout import (
    INIT_INPUT_ROLES,
    INIT_OUTPUT_ROLES,
    PACKAGES,
    QUANTUM_IDS,
    ConnectionLayout,
    Header,
    Layout,
    TypeLayout,
)
from stage.graph.quantum import PlannedDataset, Quantum
from stage.graph.records import RecordSource
from stage.pipeline.resources import Resources
from sync.paths import artifact_stem

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from stage.pipeline.node import TaskNode

__all__ = ["QuantumSource"]

_AT_ONCE = 64
"""Quanta that are read together where many are asked for."""
_DATASETS_AT_ONCE = 1 << 12
"""So many datasets of theirs are."""


class QuantumSource(RecordSource):
    """Rows of a graph, one at a time."""

    @property
    @abstractmethod
    def header(self) -> Header:
        """What tells this graph from another."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """Its tasks and dataset types."""

    @property
    @abstractmethod
    def documents(self) -> Mapping[str, Any]:
        """JSON documents: ``universe`` and ``tasks`` (one a node, in the order of `layout`)."""

    @abstractmethod
    def _task_row(self, task: int, row: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the data ID values of one quantum, and for each connection with edges its dataset rows."""

    @abstractmethod
    def _dataset_rows(self, index: int, rows: Any) -> list[tuple[Any, ...]]:
        """Return data ID values of some datasets of one type."""

    @abstractmethod
    def _found_rows(self, index: int, rows: Any) -> Sequence[tuple[Any, ...] | None] | None:
        """Return `FOUND_COLUMNS` of some datasets of one type; None for a type without such."""

    @abstractmethod
    def _quantum_origin(self, task: int, row: int) -> tuple[int, int] | None:
        """Return where a quantum comes from (see `Identity`); None where all ids are the graph's own."""

    @abstractmethod
    def _dataset_origins(self, index: int, rows: Any) -> Sequence[tuple[int, int]] | None:
        """Return where some datasets of one type come from; None where all ids are the graph's own."""

    @abstractmethod
    def _hint(self, task: int, row: int) -> str | None:
        """Return what one quantum needs, as JSON of `Resources`; None where the node's count."""

    @property
    def n_quanta(self) -> int:
        """Number of quanta."""
        return self.layout.n_quanta

    @property
    def _name(self) -> str:
        """What messages call it."""
        return self.header.id.hex()

    @cached_property
    def universe(self) -> DimensionUniverse:
        """The dimension universe that the graph carries."""
        from registry.model.dimensions import DimensionUniverse

        with reading(self._name, "universe"):
            return DimensionUniverse.from_document(self.documents["universe"])

    @cached_property
    def tasks(self) -> tuple[TaskNode, ...]:
        """The tasks' nodes in the pipeline's order; nothing of the users' is imported."""
        from stage.pipeline.node import TaskNode

        with reading(self._name, "tasks"):
            found = tuple([TaskNode.from_document(document) for document in self.documents["tasks"]])
            if len(found) != len(self.layout.tasks):
                raise ValueError(f"{len(found)} nodes for {len(self.layout.tasks)} tasks")
            return found

    def node(self, label: str) -> TaskNode:
        """Return one task's node.

        Parameters
        ----------
        label : str
            The task's label.

        Returns
        -------
        TaskNode
            The node.

        Raises
        ------
        NotFoundError
            If there is no such task.
        """
        return self.tasks[self._task_place(label)]

    def _task_place(self, label: str) -> int:
        try:
            return self.layout.task_index[label]
        except KeyError:
            raise NotFoundError(
                f"no task '{label}' in the graph",
                code="unknown-task",
                hint=nearest(label, self.layout.task_index),
            ) from None

    def quantum(self, ordinal: int) -> Quantum:
        """Return one quantum.

        Parameters
        ----------
        ordinal : int
            Its number.

        Returns
        -------
        Quantum
            With the datasets that it reads and writes.

        Raises
        ------
        NotFoundError
            If the number is too large or negative.
        IntegrityError
            If the stored bytes are damaged.
        """
        try:
            place, row = self.layout.locate_quantum(int(ordinal))
        except IndexError as exc:
            raise NotFoundError(str(exc), code="unknown-quantum") from exc
        task = self.layout.tasks[place]
        values, edges = self._task_row(place, row)
        inputs: dict[str, list[PlannedDataset]] = {}
        outputs: dict[str, list[PlannedDataset]] = {}
        for connection in task.connections:
            if connection.has_edges:
                found = self._taken(connection, edges[connection.name])
                (inputs if connection.is_input else outputs)[connection.name] = found
        return self._quantum_with(place, int(ordinal), values, inputs, outputs)

    def _quantum_with(
        self,
        place: int,
        ordinal: int,
        values: tuple[Any, ...],
        inputs: dict[str, list[PlannedDataset]],
        outputs: dict[str, list[PlannedDataset]],
    ) -> Quantum:
        task = self.layout.tasks[place]
        data_id = dict(zip(task.dimensions, values, strict=True))
        row = self.layout.locate_quantum(ordinal)[1]
        origin, number = self._quantum_origin(place, row) or (-1, ordinal)
        quantum_id = self._ids.one(QUANTUM_IDS + number, origin)
        return Quantum(ordinal, quantum_id, task.label, data_id, inputs, outputs, self)

    def resources(self, ordinal: int) -> Resources:
        """Return what one quantum needs of a machine.

        Parameters
        ----------
        ordinal : int
            Its number.

        Returns
        -------
        Resources
            As its task said of the data ID; else as it said once for all.
        """
        place, row = self.layout.locate_quantum(int(ordinal))
        text = self._hint(place, row)
        return self.tasks[place].resources if text is None else Resources.from_text(text)

    def quanta(self, ordinals: Sequence[int]) -> Iterator[Quantum]:
        """Yield several quanta.

        Parameters
        ----------
        ordinals : sequence of int
            Their numbers; cheapest in rising order.

        Yields
        ------
        Quantum
            In the order asked for.
        """
        for first in range(0, len(ordinals), _AT_ONCE):
            wanted = [int(o) for o in ordinals[first : first + _AT_ONCE]]
            if not 0 <= min(wanted) <= max(wanted) < self.n_quanta:
                yield from map(self.quantum, wanted)
                continue
            for place, some in groupby(wanted, lambda o: self.layout.locate_quantum(o)[0]):
                yield from self._quanta_of(place, list(some))

    def _quanta_of(self, place: int, ordinals: Sequence[int]) -> list[Quantum]:
        """Return quanta of one task: their datasets are looked up together, unless they are very many."""
        rows = [self._task_row(place, self.layout.locate_quantum(o)[1]) for o in ordinals]
        sizes = np.cumsum([sum(map(len, edges.values())) for _, edges in rows]) // _DATASETS_AT_ONCE
        found: list[Quantum] = []
        for _, some in groupby(zip(sizes.tolist(), ordinals, rows, strict=True), itemgetter(0)):
            _, numbers, part = zip(*some, strict=True)
            found += self._quanta_with(place, numbers, part)
        return found

    def _quanta_with(
        self, place: int, ordinals: Sequence[int], rows: Sequence[tuple[tuple[Any, ...], dict[str, Any]]]
    ) -> Iterator[Quantum]:
        inputs: list[dict[str, list[PlannedDataset]]] = [{} for _ in ordinals]
        outputs: list[dict[str, list[PlannedDataset]]] = [{} for _ in ordinals]
        for connection in self.layout.tasks[place].connections:
            if connection.has_edges:
                lists = [edges[connection.name] for _, edges in rows]
                found = iter(self._taken(connection, np.concatenate(lists)))
                for some, datasets in zip(lists, inputs if connection.is_input else outputs, strict=True):
                    datasets[connection.name] = list(islice(found, len(some)))
        for ordinal, (values, _), read, written in zip(ordinals, rows, inputs, outputs, strict=True):
            yield self._quantum_with(place, ordinal, values, read, written)

    def planned(self, dataset_type: str, rows: Sequence[int] | Any) -> list[PlannedDataset]:
        """Return some datasets of one type.

        Parameters
        ----------
        dataset_type : str
            Name of a dataset type of the graph.
        rows : sequence of int
            Row numbers within the type.

        Returns
        -------
        list of PlannedDataset
            One a row.
        """
        index = self.layout.type_index[dataset_type]
        kind = self.layout.types[index]
        if not len(rows):
            return []
        values = self._dataset_rows(index, rows)
        found = self._found_rows(index, rows) or repeat(None)
        origins = self._dataset_origins(index, rows) or repeat(None)
        make = self._planner(kind)
        return [make(int(r), v, f, o) for r, v, f, o in zip(rows, values, found, origins, strict=False)]

    def is_found(self, dataset: PlannedDataset) -> bool:
        """Tell whether a dataset was there when the graph was made.

        Parameters
        ----------
        dataset : PlannedDataset
            One of this graph.

        Returns
        -------
        bool
            False for one that a quantum is to make.
        """
        index = self.layout.type_index[dataset.dataset_type]
        found = self._found_rows(index, [dataset.ordinal - self.layout.types[index].offset])
        return found is not None and found[0] is not None and found[0][0] is not None

    @cached_property
    def _ids(self) -> Ids:
        return Ids(self.header)

    def _planner(self, kind: TypeLayout) -> Callable[..., PlannedDataset]:
        run, one_id = self.header.output_run, self._ids.one

        def make(
            row: int, values: tuple[Any, ...], found: tuple[Any, ...] | None, origin: tuple[int, int] | None
        ) -> PlannedDataset:
            ordinal = kind.offset + row
            if found is not None and found[0] is not None:
                return PlannedDataset(
                    ordinal, found[0], kind.name, kind.storage_class, kind.dimensions, values, *found[1:6]
                )
            place, number = origin or (-1, ordinal)
            dataset_id = one_id(number, place)
            stem = artifact_stem(run, kind.name, kind.dimensions, values, dataset_id) if run else ""
            uri = stem + kind.extension if run else None
            return PlannedDataset(
                ordinal, dataset_id, kind.name, kind.storage_class, kind.dimensions, values, run, uri, 0, "",
                kind.formatter,
            )  # fmt: skip

        return make

    def _init(self, label: str, roles: frozenset[str]) -> dict[str, PlannedDataset]:
        task = self.layout.tasks[self._task_place(label)]
        chosen = [c for c in task.connections if c.role in roles]
        return {c.name: self._taken(c, [0])[0] for c in chosen if self._n_rows(c.dataset_type)}

    def _taken(self, connection: ConnectionLayout, rows: Any) -> list[PlannedDataset]:
        """Return datasets as a task takes them: an input may be stored as one storage class and wanted as another."""
        found = self.planned(connection.dataset_type, rows)
        if found and connection.storage_class not in {"", found[0].storage_class}:
            return [dataset._replace(storage_class=connection.storage_class) for dataset in found]
        return found

    def _n_rows(self, dataset_type: str) -> int:
        return self.layout.types[self.layout.type_index[dataset_type]].n_datasets

    def init_inputs(self, label: str) -> dict[str, PlannedDataset]:
        """Return what a task's construction reads.

        Parameters
        ----------
        label : str
            The task.

        Returns
        -------
        dict
            Connection name to dataset.
        """
        return self._init(label, INIT_INPUT_ROLES)

    def init_outputs(self, label: str) -> dict[str, PlannedDataset]:
        """Return what is written once for a task before its quanta run: its configuration, its schemas.

        Parameters
        ----------
        label : str
            The task.

        Returns
        -------
        dict
            Connection name to dataset.
        """
        return self._init(label, INIT_OUTPUT_ROLES)

    @property
    def packages(self) -> PlannedDataset | None:
        """The dataset that holds the versions of packages; None if the graph plans none."""
        if PACKAGES not in self.layout.type_index or not self._n_rows(PACKAGES):
            return None
        return self.planned(PACKAGES, [0])[0]
