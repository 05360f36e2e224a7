"""`QuantumSource`: what a graph in memory and a graph file have in common.

Each hands over single rows; the views of `stage.graph.quantum` are made here, once for both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, nearest
from registry.model.refs import derived_id
from stage.graph.layout import (
    INIT_INPUT_ROLES,
    INIT_OUTPUT_ROLES,
    PACKAGES,
    QUANTUM_IDS,
    Header,
    Layout,
    TypeLayout,
)
from stage.graph.quantum import PlannedDataset, Quantum
from sync.paths import artifact_stem

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from stage.pipeline.node import TaskNode

__all__ = ["QuantumSource"]


class QuantumSource(ABC):
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
    def _record_row(self, element: str, key: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return the record with that key; None if it is not held."""

    @property
    def n_quanta(self) -> int:
        """Number of quanta."""
        return self.layout.n_quanta

    @cached_property
    def universe(self) -> DimensionUniverse:
        """The dimension universe that the graph carries."""
        from registry.model.dimensions import DimensionUniverse

        return DimensionUniverse.from_document(self.documents["universe"])

    @cached_property
    def tasks(self) -> tuple[TaskNode, ...]:
        """The tasks' nodes in the pipeline's order; nothing of the users' is imported."""
        from stage.pipeline.node import TaskNode

        return tuple(TaskNode.from_document(document) for document in self.documents["tasks"])

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
                found = self.planned(connection.dataset_type, edges[connection.name])
                (inputs if connection.is_input else outputs)[connection.name] = found
        data_id = dict(zip(task.dimensions, values, strict=True))
        quantum_id = (self._first_id + QUANTUM_IDS + int(ordinal)).to_bytes(16, "big")
        return Quantum(int(ordinal), quantum_id, task.label, data_id, inputs, outputs, self)

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
        for ordinal in ordinals:
            yield self.quantum(int(ordinal))

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
        found = self._found_rows(index, rows)
        make = self._planner(kind)
        if found is None:
            return [make(int(row), v) for row, v in zip(rows, values, strict=True)]
        return [
            make(int(row), v)
            if f is None or f[0] is None
            else PlannedDataset(
                kind.offset + int(row), f[0], kind.name, kind.storage_class, kind.dimensions, v, *f[1:6]
            )
            for row, v, f in zip(rows, values, found, strict=True)
        ]

    @cached_property
    def _first_id(self) -> int:
        """The id of ordinal 0 as a number: that of any other ordinal is greater by it."""
        return int.from_bytes(derived_id(self.header.id, 0), "big")

    def _planner(self, kind: TypeLayout) -> Callable[[int, tuple[Any, ...]], PlannedDataset]:
        run, first_id = self.header.output_run, self._first_id

        def make(row: int, values: tuple[Any, ...]) -> PlannedDataset:
            ordinal = kind.offset + row
            dataset_id = (first_id + ordinal).to_bytes(16, "big")
            uri = None
            if run:
                uri = artifact_stem(run, kind.name, kind.dimensions, values, dataset_id) + kind.extension
            return PlannedDataset(
                ordinal, dataset_id, kind.name, kind.storage_class, kind.dimensions, values, run, uri, 0, "",
                kind.formatter,
            )  # fmt: skip

        return make

    def _init(self, label: str, roles: frozenset[str]) -> dict[str, PlannedDataset]:
        task = self.layout.tasks[self._task_place(label)]
        chosen = [c for c in task.connections if c.role in roles]
        found = {c.name: self.planned(c.dataset_type, [0]) for c in chosen if self._n_rows(c.dataset_type)}
        return {name: datasets[0] for name, datasets in found.items()}

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

    def record(self, element: str, data_id: Mapping[str, Any]) -> dict[str, Any]:
        """Return one dimension record.

        Parameters
        ----------
        element : str
            Name of a dimension or a relation.
        data_id : mapping
            Values of dimensions that fix it, directly or through what they imply.

        Returns
        -------
        dict
            Column to value.

        Raises
        ------
        NotFoundError
            If the graph does not hold it.
        """
        definition = self.universe.element(element)
        known = dict(data_id)
        if any(n not in known for n in definition.required):
            known = self._implied(known)
        if all(n in known for n in definition.required):
            row = self._record_row(element, tuple(known[n] for n in definition.required))
            if row is not None:
                return dict(zip(definition.record_columns, row, strict=True))
        shown = ", ".join(f"{k}={v}" for k, v in data_id.items())
        raise NotFoundError(f"the graph holds no record of {element} for {shown}", code="unknown-record")

    def records_of(self, data_id: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the records of all elements that a data ID fixes.

        Parameters
        ----------
        data_id : mapping
            Values of dimensions.

        Returns
        -------
        dict
            Element name to record; elements of which nothing is held are absent.
        """
        known = self._implied(dict(data_id))
        out: dict[str, dict[str, Any]] = {}
        for element in self.universe.group(data_id).elements:
            if all(n in known for n in element.required):
                row = self._record_row(element.name, tuple(known[n] for n in element.required))
                if row is not None:
                    out[element.name] = dict(zip(element.record_columns, row, strict=True))
        return out

    def _implied(self, known: dict[str, Any]) -> dict[str, Any]:
        """Return `known` with the values of all dimensions that follow from it."""
        todo = list(known)
        while todo:
            element = self.universe.elements.get(todo.pop())
            if element is None or not element.implied or any(n not in known for n in element.required):
                continue
            row = self._record_row(element.name, tuple(known[n] for n in element.required))
            if row is not None:
                columns = dict(zip(element.record_columns, row, strict=True))
                new = [n for n in element.implied if n not in known]
                known.update({n: columns[n] for n in new})
                todo += new
        return known
