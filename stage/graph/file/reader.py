"""`GraphFile`: an open graph file. One quantum, or the quanta of one job, load without the rest.

A reader needs neither a database nor the users' tasks: this module imports NumPy, zstandard and the light parts of
the registry's model. `docs/design/graph-file.md` describes the form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

from registry.errors import IntegrityError
from registry.model.columns import Columns
from stage.graph.access import QuantumSource
from stage.graph.file import form
from stage.graph.file.scrutiny import Allowance, check_graph, check_header, check_layout, reading
from stage.graph.file.source import ByteSource
from stage.graph.file.stored import Blocks, StoredTable
from stage.graph.identity import Identity
from stage.graph.layout import Header, Layout
from stage.graph.quantum import PlannedDataset, Quantum
from stage.graph.table import Column, Csr, Table
from sync.filesystem import files

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph

__all__ = ["GraphFile"]


class GraphFile(QuantumSource):
    """A graph file held open for reading.

    Parameters
    ----------
    source : ByteSource
        Its bytes.

    Raises
    ------
    IntegrityError
        If it is no graph, cut off, or damaged.
    SchemaVersionError
        If its version is not known here.

    Notes
    -----
    Opening takes one read at the file's end and one at its beginning; a quantum takes one read for each table that it
    touches. Neither grows with the graph.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._trailer = form.read_trailer(
            source.name, source.read(0, len(form.HEAD)), source.tail[-form.TRAILER_BYTES :], source.size
        )
        self._blocks = Blocks(source)
        with reading(source.name, "header"):
            self._header = check_header(Header.from_document(self._section("header")))
        with reading(source.name, "directory"):
            directory = self._section("directory")
            self._layout = check_layout(Layout.from_document(directory["layout"]))
            self._entries: dict[str, Mapping[str, Any]] = {e["name"]: e for e in directory["tables"]}
        self._tables: dict[str, StoredTable] = {}

    @classmethod
    def open(cls, uri: files.Uri) -> GraphFile:
        """Open a graph file.

        Parameters
        ----------
        uri : str or path
            Where it is: a local path, or any URI that `sync.filesystem.files` reads.

        Returns
        -------
        GraphFile
            With header and directory read, and no rows.

        Raises
        ------
        NotFoundError
            If there is no such file.
        IntegrityError
            If it is no graph, cut off, or damaged.
        SchemaVersionError
            If its version is not known here.
        """
        return cls(ByteSource(uri))

    def __reduce__(self) -> tuple[Any, ...]:
        return GraphFile.open, (self.uri,)

    def __repr__(self) -> str:
        return f"GraphFile({self._name}: {self.n_quanta} quanta)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    @property
    def uri(self) -> str:
        """Where the file is."""
        return self._source.uri

    @property
    def _name(self) -> str:
        return self._source.name

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._source.closed

    @property
    def header(self) -> Header:
        """What tells this graph from another."""
        return self._header

    @property
    def layout(self) -> Layout:
        """Its tasks and dataset types."""
        return self._layout

    @cached_property
    def documents(self) -> Mapping[str, Any]:
        """JSON documents: ``universe`` and ``tasks``; read when first asked for."""
        with reading(self._name, "documents"):
            found: Mapping[str, Any] = self._section("documents")
        return found

    def _section(self, name: str) -> Any:
        return form.unpack_json(self._section_bytes(name))

    def _section_bytes(self, name: str) -> bytes:
        section: form.Section = getattr(self._trailer, name)
        data = self._source.read(section.offset, section.length)
        if form.checksum(data) != section.digest:
            raise form.damaged(self._name, name)
        return data

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
        if f"record/{element}" in self._entries:
            return self._records(f"record/{element}", element).load().decode()
        return Columns.from_rows(self.universe.element(element).record_columns, [])

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
        with reading(self._name, "directory"):
            return super().quantum(ordinal)

    def _quanta_of(self, place: int, ordinals: Sequence[int]) -> list[Quantum]:
        with reading(self._name, "directory"):
            return super()._quanta_of(place, ordinals)

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

        Raises
        ------
        IntegrityError
            If the stored bytes are damaged.
        """
        with reading(self._name, f"dataset/{dataset_type}"):
            if len(rows) > max(self._n_rows(dataset_type), form.MAX_BLOCK_ROWS):
                raise ValueError(f"{len(rows)} of {self._n_rows(dataset_type)} datasets")
            return super().planned(dataset_type, rows)

    def load(self) -> QuantumGraph:
        """Read the whole graph, checking every block.

        Returns
        -------
        QuantumGraph
            All of it, in memory. It keeps this file open, to be copied for another RUN as it is.

        Raises
        ------
        IntegrityError
            If a block is damaged.
        """
        with reading(self._name, "directory"):
            return check_graph(self._load(), self.layout)

    def _load(self) -> QuantumGraph:
        # Not above: a job reads a few quanta, and what holds all of them in memory takes a while to load.
        from stage.graph.graph import QuantumGraph
        from stage.graph.rows import TaskRows, TypeRows

        loaded: dict[str, Table] = {}
        allowance = Allowance(self._source.size)
        for name, entry in self._entries.items():
            if "same_as" in entry:
                loaded[name] = loaded[entry["same_as"]]
            else:
                loaded[name] = self._table(name).load(allowance)
        tasks = [
            TaskRows(
                t.label, t.connections, loaded[f"task/{t.label}"], _lists(loaded[f"edge/{t.label}"]),
                self._identity(loaded, f"quantum-id/{t.label}", t.n_quanta), loaded.get(f"hint/{t.label}"),
            )
            for t in self.layout.tasks
        ]  # fmt: skip
        types = [
            TypeRows(
                k, loaded[f"dataset/{k.name}"], loaded.get(f"found/{k.name}"),
                self._identity(loaded, f"dataset-id/{k.name}", k.n_datasets),
            )
            for k in self.layout.types
        ]  # fmt: skip
        records = {n.removeprefix("record/"): t for n, t in loaded.items() if n.startswith("record/")}
        return QuantumGraph(self.header, self.documents, tasks, types, records, origin=self)

    def _identity(self, loaded: Mapping[str, Table], name: str, n_rows: int) -> Identity | None:
        """Return where rows come from; nothing where all ids follow from this graph's own (as after `retarget`)."""
        if not self.header.origins or name not in loaded:
            return None
        columns = loaded[name].decode()
        return Identity(columns["origin"], columns["ordinal"]).check(n_rows, len(self.header.origins))

    def copy(self, uri: files.Uri, header: Header | None = None, *, durable: bool = False) -> int:
        """Write a copy of this file, possibly under another header.

        Parameters
        ----------
        uri : str or path
            Where.
        header : Header, optional
            What to write in place of this file's header; everything else is taken byte for byte.
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
        if not self._source.is_unchanged(form.TRAILER_BYTES):
            raise form.damaged(self._name, "trailer", "another file has taken its place since it was opened")
        stop = self._trailer.header.offset
        sections = {name: self._section_bytes(name) for name in ("documents", "directory")}
        sections["header"] = form.pack_json((header or self.header).to_document())
        trailer = form.write_trailer(stop + len(sections["header"]), sections, self._trailer.version)
        parts = chain(self._source.pieces(stop), [sections["header"], trailer])
        return files.write_stream(uri, parts, durable=durable)[0]

    def retarget(
        self, uri: files.Uri, run: str, *, graph_id: bytes | None = None, durable: bool = False
    ) -> GraphFile:
        """Write a copy for another RUN without reading the graph, and open it.

        Parameters
        ----------
        uri : str or path
            Where.
        run : str
            Name of the RUN.
        graph_id : bytes, optional
            The copy's id; minted by default.
        durable : bool, optional
            Whether to return only when it would survive a power cut.

        Returns
        -------
        GraphFile
            The copy.

        Raises
        ------
        StorageError
            If it cannot be written; a file that was there stays.
        """
        self.copy(uri, self.header.retarget(run, graph_id), durable=durable)
        return GraphFile.open(uri)

    def verify(self) -> None:
        """Read every byte that matters and check it.

        Raises
        ------
        IntegrityError
            If any part of the file is not what was written.
        """
        _ = self.universe, self.tasks
        self.load()

    # -- single rows, for the views of QuantumSource -----------------------------------------------------------

    def _table(self, name: str) -> StoredTable:
        reader = self._tables.get(name)
        if reader is None:
            entry = self._entries.get(name)
            if entry is not None and "same_as" in entry:
                entry = self._entries.get(entry["same_as"])
            if entry is None or "same_as" in entry:
                raise form.damaged(self._name, "directory", f"there is no table '{name}'")
            reader = self._tables[name] = StoredTable(self._blocks, entry)
        return reader

    def _task_row(self, task: int, row: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        label = self.layout.tasks[task].label
        lists = self._table(f"edge/{label}")
        return self._table(f"task/{label}").row(row), dict(zip(lists.names, lists.row(row), strict=True))

    def _dataset_rows(self, index: int, rows: Any) -> list[tuple[Any, ...]]:
        return self._table(f"dataset/{self.layout.types[index].name}").rows(rows)

    def _found_rows(self, index: int, rows: Any) -> Sequence[tuple[Any, ...]] | None:
        name = f"found/{self.layout.types[index].name}"
        return self._table(name).rows(rows) if name in self._entries else None

    def _quantum_origin(self, task: int, row: int) -> tuple[int, int] | None:
        found = self._origins(f"quantum-id/{self.layout.tasks[task].label}", [row])
        return None if found is None else found[0]

    def _dataset_origins(self, index: int, rows: Any) -> Sequence[tuple[int, int]] | None:
        return self._origins(f"dataset-id/{self.layout.types[index].name}", rows)

    def _origins(self, name: str, rows: Any) -> Sequence[tuple[Any, ...]] | None:
        return self._table(name).rows(rows) if self.header.origins and name in self._entries else None

    def _hint(self, task: int, row: int) -> str | None:
        name = f"hint/{self.layout.tasks[task].label}"
        with reading(self._name, name):
            return str(self._table(name).row(row)[0]) if name in self._entries else None

    def _record_row(self, element: str, key: tuple[Any, ...]) -> tuple[Any, ...] | None:
        name = f"record/{element}"
        if name not in self._entries:
            return None
        with reading(self._name, name):
            return self._records(name, element).find(key)

    def _records(self, name: str, element: str) -> StoredTable:
        table = self._table(name)
        if table.names != self.universe.element(element).record_columns:
            raise form.damaged(self._name, name, "its columns are not those of the universe")
        return table


def _lists(table: Table) -> dict[str, Csr]:
    columns: Iterator[tuple[str, Column | Any]] = iter(table.columns.items())
    lists: dict[str, Csr] = {}
    for name, column in columns:
        if not isinstance(column, Csr):
            raise IntegrityError(f"'{name}' is no column of lists", code="graph-damaged")
        lists[name] = column
    return lists
