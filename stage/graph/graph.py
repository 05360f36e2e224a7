"""`QuantumGraph`: every quantum and dataset of a planned run, as columns; never changed once made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.columns import Array, Columns
from stage.graph.layout import Header, Layout
from stage.graph.rows import TaskRows, TypeRows, make_layout
from stage.graph.table import Ints, Table
from stage.graph.traverse import TraversableGraph

if TYPE_CHECKING:
    from stage.graph.file.reader import GraphFile
    from stage.graph.wanted import GraphWanted
    from sync.filesystem.files import Uri

__all__ = ["QuantumGraph"]


class QuantumGraph(TraversableGraph):
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
        from stage.graph.file.reader import GraphFile

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
        from stage.graph.file.writer import write_graph

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

    # -- tables ---------------------------------------------------------------------------------------------

    def to_arrow(self, what: str = "quanta", name: str | None = None) -> Any:
        """Return quanta, datasets or edges as a table of Apache Arrow.

        Parameters
        ----------
        what : {"quanta", "datasets", "edges"}, optional
            Which table; `stage.graph.tables.graph_columns` says what is in it.
        name : str, optional
            Only one task's quanta and edges, or one dataset type's datasets.

        Returns
        -------
        pyarrow.Table
            One row a quantum, a dataset, or a pair of both.

        Raises
        ------
        UsageError
            If pyarrow is not installed, or there is no such table.
        NotFoundError
            If there is no such task or dataset type.
        """
        from stage.graph.tables import to_arrow

        return to_arrow(self, what, name)

    def to_pandas(self, what: str = "quanta", name: str | None = None) -> Any:
        """Return quanta, datasets or edges as a frame of pandas.

        Parameters
        ----------
        what : {"quanta", "datasets", "edges"}, optional
            Which table; `stage.graph.tables.graph_columns` says what is in it.
        name : str, optional
            Only one task's quanta and edges, or one dataset type's datasets.

        Returns
        -------
        pandas.DataFrame
            One row a quantum, a dataset, or a pair of both.

        Raises
        ------
        UsageError
            If pandas is not installed, or there is no such table.
        NotFoundError
            If there is no such task or dataset type.
        """
        from stage.graph.tables import to_pandas

        return to_pandas(self, what, name)

    # -- single rows, for the views of QuantumSource ----------------------------------------------------------

    def _task_row(self, task: int, row: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        rows = self.task_rows[task]
        return rows.table.row(row), {name: csr.of(row) for name, csr in rows.edges.items()}

    def _dataset_rows(self, index: int, rows: Any) -> list[tuple[Any, ...]]:
        return self.type_rows[index].table.rows(np.asarray(rows))

    def _found_rows(self, index: int, rows: Any) -> Sequence[tuple[Any, ...]] | None:
        found = self.type_rows[index].found
        return None if found is None else found.rows(np.asarray(rows))

    def _quantum_origin(self, task: int, row: int) -> tuple[int, int] | None:
        identity = self.task_rows[task].identity if self.header.origins else None
        return None if identity is None else (int(identity.origin[row]), int(identity.ordinal[row]))

    def _dataset_origins(self, index: int, rows: Any) -> Sequence[tuple[int, int]] | None:
        identity = self.type_rows[index].identity if self.header.origins else None
        if identity is None:
            return None
        taken = identity.take(np.asarray(rows))
        return list(zip(taken.origin.tolist(), taken.ordinal.tolist(), strict=True))

    def _hint(self, task: int, row: int) -> str | None:
        hints = self.task_rows[task].hints
        return None if hints is None else str(hints.row(row)[0])

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
