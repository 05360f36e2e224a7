"""`QuantumGraph`: every quantum and dataset of a planned run, as columns; never changed once made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.columns import Array, Columns
from stage.graph.dependencies import compute_dependencies
from stage.graph.layout import Header, Layout
from stage.graph.ordinals import OrdinalColumns
from stage.graph.rows import TaskRows, TypeRows, make_layout
from stage.graph.table import Csr, Ints, Table
from stage.graph.texts import matching_rows

if TYPE_CHECKING:
    from stage.graph.file import GraphFile
    from stage.graph.wanted import GraphWanted
    from sync.files import Uri

__all__ = ["QuantumGraph"]


class QuantumGraph(OrdinalColumns):
    """A complete plan: which quanta there are, what each reads and writes, and where all of it is or will be.

    Parameters
    ----------
    header : Header
        What tells it from other graphs.
    documents : mapping
        ``universe`` and ``tasks`` as JSON values.
    tasks : sequence of TaskRows
        Quanta, in the pipeline's order.
    types : sequence of TypeRows
        Datasets.
    records : mapping of str to Table
        Dimension records by element, sorted by key.
    origin : GraphFile, optional
        The open file that it was loaded from; a copy for another RUN takes its blocks as they are.
    """

    def __init__(
        self,
        header: Header,
        documents: Mapping[str, Any],
        tasks: Sequence[TaskRows],
        types: Sequence[TypeRows],
        records: Mapping[str, Table],
        *,
        origin: GraphFile | None = None,
    ) -> None:
        self._header = header
        self._documents = documents
        self._layout = make_layout(tasks, types)
        self.task_rows = tuple(tasks)
        self.type_rows = tuple(types)
        self.record_tables = dict(records)
        self._origin = origin

    def __repr__(self) -> str:
        return f"QuantumGraph({self.n_quanta} quanta of {len(self.layout.tasks)} tasks, {self.n_datasets} datasets)"

    @classmethod
    def load(cls, uri: Uri) -> QuantumGraph:
        """Read a whole graph file.

        Parameters
        ----------
        uri : str or path
            Where it is.

        Returns
        -------
        QuantumGraph
            All of it, in memory.

        Raises
        ------
        NotFoundError
            If there is no such file.
        IntegrityError
            If it is no graph, or damaged.
        SchemaVersionError
            If its version is not known here.
        """
        from stage.graph.file import GraphFile

        return GraphFile.open(uri).load()

    def save(self, uri: Uri, *, durable: bool = False) -> int:
        """Write the graph to a file, at once or not at all.

        Parameters
        ----------
        uri : str or path
            Where.
        durable : bool, optional
            Whether to return only when it would survive a power cut.

        Returns
        -------
        int
            Bytes written.

        Raises
        ------
        StorageError
            If it cannot be written; a file that was there stays.
        """
        if self._origin is not None and not self._origin.closed:
            return self._origin.copy(uri, self._header, durable=durable)
        from stage.graph.write import write_graph

        return write_graph(self, uri, durable=durable)

    def retarget(self, run: str, graph_id: bytes | None = None) -> QuantumGraph:
        """Return the same graph for another RUN: with a new id, so with new ids of quanta and outputs.

        Parameters
        ----------
        run : str
            Name of the RUN.
        graph_id : bytes, optional
            The graph's new id; minted by default.

        Returns
        -------
        QuantumGraph
            Shares all columns.
        """
        return QuantumGraph(
            self._header.retarget(run, graph_id),
            self._documents,
            self.task_rows,
            self.type_rows,
            self.record_tables,
            origin=self._origin,
        )

    # -- what it is made of ---------------------------------------------------------------------------------

    @property
    def header(self) -> Header:
        """What tells this graph from another."""
        return self._header

    @property
    def id(self) -> bytes:
        """The graph's own id: 16 bytes."""
        return self._header.id

    @property
    def output_run(self) -> str:
        """The RUN of its outputs; empty until `retarget`."""
        return self._header.output_run

    @property
    def layout(self) -> Layout:
        """Its tasks and dataset types."""
        return self._layout

    @property
    def documents(self) -> Mapping[str, Any]:
        """JSON documents: ``universe`` and ``tasks``."""
        return self._documents

    @property
    def n_datasets(self) -> int:
        """Number of datasets."""
        return self.layout.n_datasets

    def counts(self) -> dict[str, int]:
        """Return the number of quanta of each task.

        Returns
        -------
        dict
            Label to count, in the pipeline's order.
        """
        return {t.label: t.n_quanta for t in self.layout.tasks}

    # -- quanta ---------------------------------------------------------------------------------------------

    def quanta_of(self, label: str) -> Ints:
        """Return the ordinals of one task's quanta.

        Parameters
        ----------
        label : str
            The task.

        Returns
        -------
        numpy.ndarray of int64
            Rising.

        Raises
        ------
        NotFoundError
            If there is no such task.
        """
        task = self.layout.tasks[self._task_place(label)]
        return np.arange(task.offset, task.offset + task.n_quanta, dtype=np.int64)

    def data_ids(self, label: str, rows: Array | None = None) -> Columns:
        """Return data IDs of one task's quanta.

        Parameters
        ----------
        label : str
            The task.
        rows : numpy.ndarray, optional
            Rows within the task; all by default.

        Returns
        -------
        Columns
            One column a required dimension.
        """
        return self.task_rows[self._task_place(label)].table.decode(rows)

    def find(self, label: str | None = None, data_id: Mapping[str, Any] | None = None) -> Ints:
        """Return the quanta of a task whose data IDs have given values.

        Parameters
        ----------
        label : str, optional
            The task; all tasks by default.
        data_id : mapping, optional
            Values of some dimensions. A task without one of these dimensions has no such quantum.

        Returns
        -------
        numpy.ndarray of int64
            Ordinals, rising.

        Raises
        ------
        NotFoundError
            If there is no such task.
        """
        places = range(len(self.layout.tasks)) if label is None else [self._task_place(label)]
        parts = [
            matching_rows(self.task_rows[p].table, data_id or {}) + self.layout.tasks[p].offset
            for p in places
        ]
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    @cached_property
    def _dependencies(self) -> Csr:
        return compute_dependencies(self)

    def dependencies(self) -> Csr:
        """Return for each quantum those before it whose outputs it reads.

        Returns
        -------
        Csr
            ``indptr`` (n_quanta + 1) and ``indices`` (ordinals, rising within each quantum); computed once.
        """
        return self._dependencies

    def wanted(self) -> GraphWanted:
        """Return what the graph needs from upstream.

        Returns
        -------
        GraphWanted
            Dataset ids, keys of dimension records, dataset types and input collections.
        """
        from stage.graph.wanted import graph_wanted

        return graph_wanted(self)

    def records(self, element: str) -> Columns:
        """Return all dimension records of one element that the graph holds.

        Parameters
        ----------
        element : str
            Name of a dimension or a relation.

        Returns
        -------
        Columns
            The element's record columns, sorted by key; no rows if none is held.
        """
        if element in self.record_tables:
            return self.record_tables[element].decode()
        return Columns.from_rows(self.universe.element(element).record_columns, [])

    # -- single rows, for the views of QuantumSource ----------------------------------------------------------

    def _task_row(self, task: int, row: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        rows = self.task_rows[task]
        return rows.table.row(row), {name: csr.of(row) for name, csr in rows.edges.items()}

    def _dataset_rows(self, index: int, rows: Any) -> list[tuple[Any, ...]]:
        return self.type_rows[index].table.rows(np.asarray(rows))

    def _found_rows(self, index: int, rows: Any) -> Sequence[tuple[Any, ...]] | None:
        found = self.type_rows[index].found
        return None if found is None else found.rows(np.asarray(rows))

    @cached_property
    def _record_places(self) -> dict[str, dict[tuple[Any, ...], int]]:
        return {}

    def _record_row(self, element: str, key: tuple[Any, ...]) -> tuple[Any, ...] | None:
        table = self.record_tables.get(element)
        if table is None:
            return None
        places = self._record_places.get(element)
        if places is None:
            keys = table.select(self.universe.element(element).required).rows(np.arange(table.n_rows))
            places = self._record_places[element] = {k: i for i, k in enumerate(keys)}
        row = places.get(key)
        return None if row is None else table.row(row)
