"""Write a graph to a file: one pass over its tables, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import zstandard

from stage.graph import form
from stage.graph.encoding import column_kind, encode
from stage.graph.table import Coded, Csr, Ints, Table
from sync import files

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph
    from sync.files import Uri

__all__ = ["write_graph"]

_BLOCK_WEIGHT = 1 << 13
"""Rows of a block weigh 2 and one more for each column and each entry of a list: some thousand rows."""

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
    return files.write_stream(uri, _Writer(graph).parts(), durable=durable)[0]


class _Writer:
    """Makes the bytes of a file in order, and keeps count of where they go."""

    def __init__(self, graph: QuantumGraph) -> None:
        self.graph = graph
        self.at = 0
        self.entries: list[dict[str, Any]] = []
        self.indexes: list[bytes] = []
        self.compressor = zstandard.ZstdCompressor(level=form.LEVEL)
        self.names: dict[int, str] = {}

    def parts(self) -> Iterator[bytes]:
        yield self._count(form.HEAD)
        for task in self.graph.task_rows:
            yield from self._table(f"task/{task.label}", task.table)
            yield from self._table(f"edge/{task.label}", None, task.edges, task.table.n_rows)
        for kind in self.graph.type_rows:
            yield from self._table(f"dataset/{kind.layout.name}", kind.table)
            if kind.found is not None:
                yield from self._table(f"found/{kind.layout.name}", kind.found)
        for element, table in self.graph.record_tables.items():
            yield from self._table(f"record/{element}", table)
        yield from self._end()

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
        yield form.write_trailer(self.at, sections)

    def _table(
        self, name: str, table: Table | None, lists: dict[str, Csr] | Any = None, n_rows: int = 0
    ) -> Iterator[bytes]:
        """Yield a table's blocks; of a table that was written already, only its entry is made."""
        if table is not None:
            n_rows = table.n_rows
            same = self.names.setdefault(id(table), name)
            if same != name:
                self.entries.append({"name": name, "rows": n_rows, "same_as": same})
                return
        columns = [_Stored(n, c) for n, c in (table.columns if table is not None else lists).items()]
        starts = _block_starts(columns, n_rows)
        offsets, digests = [self.at], []
        for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            block = self.compressor.compress(b"".join([p for c in columns for p in c.encode(first, last)]))
            digests.append(form.checksum(block))
            yield self._count(block)
            offsets.append(self.at)
        self.entries.append({"name": name, "rows": n_rows, "columns": [c.entry for c in columns]})
        places = np.concatenate([starts, np.array(offsets, dtype=np.int64)]).astype("<i8")
        self.indexes.append(places.tobytes() + b"".join(digests))


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
            self.column = column.decode()
        else:
            self.kind = column_kind(column)
        self.entry["kind"] = self.kind

    def weights(self) -> Any:
        return np.diff(self.column.indptr) if isinstance(self.column, Csr) else 1

    def encode(self, first: int, last: int) -> list[bytes]:
        if isinstance(self.column, Csr):
            indptr = self.column.indptr[first : last + 1]
            return encode("list", Csr(indptr, self.column.indices[indptr[0] : indptr[-1]]))
        return encode(self.kind, self.column[first:last])


def _block_starts(columns: list[_Stored], n_rows: int) -> Ints:
    """Cut a table into blocks of about equal weight."""
    if n_rows == 0:
        return np.zeros(1, dtype=np.int64)
    weight = np.full(n_rows, 2, dtype=np.int64)
    for column in columns:
        weight += column.weights()
    before = np.cumsum(weight) - weight
    cuts = np.flatnonzero(np.diff(before // _BLOCK_WEIGHT)) + 1
    return np.concatenate([[0], cuts, [n_rows]]).astype(np.int64)
