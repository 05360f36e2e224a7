"""Write a graph to a file: one pass over its tables, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import zstandard

from stage.graph.file import form
from stage.graph.file.encoding import column_kind, encode
from stage.graph.file.packed import MAX_ENTRIES
from stage.graph.file.scrutiny import BYTES_A_VALUE, Allowance
from stage.graph.table import Coded, Csr, Table
from sync.filesystem import files

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph
    from stage.graph.rows import TaskRows, TypeRows
    from sync.filesystem.files import Uri

__all__ = ["write_graph"]

_BLOCK_WEIGHT = 1 << 13
"""Rows of a block weigh 2 and one more for each column and each entry of a list: some thousand rows."""

_BLOCK_BYTES = 1 << 22
"""A block of more than one row is cut where long values make it larger than this."""

_ROWS_AT_ONCE = 1 << 16

_PIECE_BYTES = 1 << 20
"""What is written at once: blocks of a few kilobytes would cost a call, or a part of an upload, each."""

_MAX_CODED = 256
"""Columns with more distinct strings are stored string by string, so that opening a file stays cheap."""


def write_graph(graph: QuantumGraph, uri: Uri, *, durable: bool = False) -> int:
    """Write a graph to a file, at once or not at all.

    Parameters
    ----------
    graph : QuantumGraph
        What.
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
    return files.write_stream(uri, _pieces(_Writer(graph).parts()), durable=durable)[0]


def _pieces(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Put small parts together; copied, since a compressed block holds on to the room that it could have needed."""
    held = bytearray()
    for part in parts:
        held += part
        if len(held) >= _PIECE_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


class _Writer:
    """Makes the bytes of a file in order, and keeps count of where they go."""

    def __init__(self, graph: QuantumGraph) -> None:
        self.graph = graph
        self.version = form.WITH_ORIGINS if graph.header.origins else form.VERSION
        self.at = 0
        self.entries: list[dict[str, Any]] = []
        self.indexes: list[bytes] = []
        self.compressor = zstandard.ZstdCompressor(level=form.LEVEL)
        self.names: dict[int, str] = {}
        self.need = 0

    def parts(self) -> Iterator[bytes]:
        yield self._count(form.write_head(self.version))
        for task in self.graph.task_rows:
            yield from self._table(f"task/{task.label}", task.table)
            yield from self._table(f"edge/{task.label}", None, task.edges, task.table.n_rows)
            yield from self._identity(f"quantum-id/{task.label}", task)
            if task.hints is not None:
                yield from self._table(f"hint/{task.label}", task.hints)
        for kind in self.graph.type_rows:
            yield from self._table(f"dataset/{kind.layout.name}", kind.table)
            if kind.found is not None:
                yield from self._table(f"found/{kind.layout.name}", kind.found)
            yield from self._identity(f"dataset-id/{kind.layout.name}", kind)
        for element, table in self.graph.record_tables.items():
            yield from self._table(f"record/{element}", table)
        yield from self._end()

    def _identity(self, name: str, rows: TaskRows | TypeRows) -> Iterator[bytes]:
        if self.version == form.WITH_ORIGINS and rows.identity is not None:
            yield from self._table(name, None, rows.identity._asdict(), rows.table.n_rows)

    def _count(self, data: bytes) -> bytes:
        self.at += len(data)
        return data

    def _end(self) -> Iterator[bytes]:
        stored = [entry for entry in self.entries if "columns" in entry]
        for entry, index in zip(stored, self.indexes, strict=True):
            entry["index"] = [self.at, len(index), form.checksum(index).hex()]
            yield self._count(index)
        sections = {
            "documents": form.pack_json(self.graph.documents),
            "directory": form.pack_json({"layout": self.graph.layout.to_document(), "tables": self.entries}),
            "header": form.pack_json(self.graph.header.to_document()),
        }
        for name in form.SECTIONS:
            yield self._count(sections[name])
        most = Allowance(self.at + form.TRAILER_BYTES).most
        if self.need > most:
            raise form.too_large(f"{self.need} bytes of rows in a file of {self.at}", most)
        yield form.write_trailer(self.at, sections, self.version)

    def _table(
        self, name: str, table: Table | None, columns: Mapping[str, Any] | None = None, n_rows: int = 0
    ) -> Iterator[bytes]:
        """Yield the blocks of a table or of columns; of a table that was written already, only its entry is made."""
        if table is not None:
            n_rows = table.n_rows
            same = self.names.setdefault(id(table), name)
            if same != name:
                self.entries.append({"name": name, "rows": n_rows, "same_as": same})
                return
        given = table.columns if table is not None else columns or {}
        stored = [_Stored(n, c) for n, c in given.items()]
        offsets, digests, starts = [self.at], [], [0]
        for first, last in pairwise(_block_starts(stored, n_rows)):
            for stop, content in _contents(stored, first, last):
                if len(content) > form.MAX_BLOCK_BYTES:
                    raise form.too_large(f"a row of {name} takes {len(content)} bytes", form.MAX_BLOCK_BYTES)
                self.need += len(content)
                block = self.compressor.compress(content)
                digests.append(form.checksum(block))
                yield self._count(block)
                offsets.append(self.at)
                starts.append(stop)
        self.need += sum([c.n_bytes(n_rows) for c in stored])
        self.entries.append({"name": name, "rows": n_rows, "columns": [c.entry for c in stored]})
        places = np.array([starts, offsets], dtype="<i8")
        self.indexes.append(places.tobytes() + b"".join(digests))


def _contents(columns: list[_Stored], first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """Yield what goes into one block, or into several if long values make it large, with the row after it."""
    # Outputs of a task have the very same lists, as far as they have the same dimensions: packed once.
    packed: dict[int, list[bytes]] = {}
    for c in columns:
        if id(c.column) not in packed:
            packed[id(c.column)] = c.encode(first, last)
    content = b"".join([p for c in columns for p in packed[id(c.column)]])
    if len(content) <= _BLOCK_BYTES or last - first == 1:
        yield last, content
        return
    middle = (first + last) // 2
    yield from _contents(columns, first, middle)
    yield from _contents(columns, middle, last)


class _Stored:
    """One column on its way into a file."""

    def __init__(self, name: str, column: Any) -> None:
        self.entry: dict[str, Any] = {"name": name}
        self.column = column
        if isinstance(column, Csr):
            self.kind = "list"
        elif isinstance(column, Coded) and len(column.values) <= _MAX_CODED:
            self.kind = "coded"
            self.entry["values"] = column.values.tolist()
            self.column = column.codes
        elif isinstance(column, Coded):
            self.kind = "text"
        else:
            self.kind = column_kind(column)
        self.entry["kind"] = self.kind

    def n_bytes(self, n_rows: int) -> int:
        """Return what a reader counts for the column."""
        entries = len(self.column.indices) if isinstance(self.column, Csr) else 0
        return BYTES_A_VALUE * (n_rows + entries)

    def weights(self, first: int, last: int) -> Any:
        return np.diff(self.column.indptr[first : last + 1]) if isinstance(self.column, Csr) else 1

    def encode(self, first: int, last: int) -> list[bytes]:
        if isinstance(self.column, Csr):
            indptr = self.column.indptr[first : last + 1]
            if indptr[-1] - indptr[0] > MAX_ENTRIES:
                raise form.too_large(f"{indptr[-1] - indptr[0]} inputs of a quantum", MAX_ENTRIES)
            return encode("list", Csr(indptr, self.column.indices[indptr[0] : indptr[-1]]))
        if isinstance(self.column, Coded):
            return encode(self.kind, self.column.values[self.column.codes[first:last]])
        return encode(self.kind, self.column[first:last])


def _block_starts(columns: list[_Stored], n_rows: int) -> Iterator[int]:
    """Cut a table into blocks of about equal weight, looking at some of its rows at a time."""
    values = sum([len(c.column.indices) if c.kind == "list" else n_rows for c in columns])
    if n_rows and 2 * n_rows + values <= _BLOCK_WEIGHT:  # most tables of a small graph
        yield from (0, n_rows)
        return
    before, block = 0, -1
    for first in range(0, n_rows, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, n_rows)
        weight = np.full(last - first, 2, dtype=np.int64)
        for column in columns:
            weight += column.weights(first, last)
        blocks = (before + np.cumsum(weight) - weight) // _BLOCK_WEIGHT
        yield from (np.flatnonzero(np.diff(blocks, prepend=block)) + first).tolist()
        before, block = before + int(weight.sum()), int(blocks[-1])
    yield n_rows
