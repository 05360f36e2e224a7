"""Tables as they lie in a graph file: block indexes, blocks, and rows taken out of them."""

from __future__ import annotations

import struct
import sys
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import zstandard

from registry.model.columns import Array, unique_values
from stage.graph.file import form
from stage.graph.file.encoding import KINDS, StoredColumn, decode
from stage.graph.file.scrutiny import BYTES_A_VALUE, MALFORMED, Allowance
from stage.graph.file.source import ByteSource
from stage.graph.table import Coded, Csr, Table

__all__ = ["Blocks", "StoredTable"]

_CACHED_BLOCKS = 96


class Blocks:
    """The blocks of one open file; those met lately are kept decoded.

    Parameters
    ----------
    source : ByteSource
        The file.
    """

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.decompressor = zstandard.ZstdDecompressor()
        self._decoded: OrderedDict[tuple[str, int], list[Any]] = OrderedDict()

    def columns(self, table: StoredTable, number: int) -> list[Any]:
        """Return the decoded columns of one block.

        Parameters
        ----------
        table : StoredTable
            Whose block.
        number : int
            Its number in the table.

        Returns
        -------
        list
            One entry a column.

        Raises
        ------
        IntegrityError
            If the block is damaged.
        """
        key = (table.name, number)
        found = self._decoded.get(key)
        if found is None:
            found = table.decode(number, self.source.read(*table.place(number)))
            self._decoded[key] = found
            if len(self._decoded) > _CACHED_BLOCKS:
                self._decoded.popitem(last=False)
        else:
            self._decoded.move_to_end(key)
        return found


class _BlockIndex:
    """Where the blocks of one table are, and what they must be: used as it lies in the file."""

    def __init__(self, data: bytes, n_rows: int) -> None:
        self.n_blocks, rest = divmod(len(data) - 16, 16 + form.DIGEST_BYTES)
        if self.n_blocks < 0 or rest:
            raise ValueError(f"an index of {len(data)} bytes")
        words = 8 * (self.n_blocks + 1)
        self.first_rows = _int64s(data[:words])
        self.offsets = _int64s(data[words : 2 * words])
        self._digests = data[2 * words :]
        if self.first_rows[0] or self.first_rows[-1] != n_rows:
            raise ValueError(f"rows {self.first_rows[0]} to {self.first_rows[-1]} of {n_rows}")

    def place(self, number: int) -> tuple[int, int]:
        """Return offset and length of a block, both possible ones."""
        first, last = self.offsets[number], self.offsets[number + 1]
        n = self.first_rows[number + 1] - self.first_rows[number]
        if not (0 < n <= form.MAX_BLOCK_ROWS and len(form.HEAD) <= first < last):
            raise ValueError(f"block {number} has {n} rows at {first} to {last}")
        return first, last - first

    def digest(self, number: int) -> bytes:
        return self._digests[number * form.DIGEST_BYTES : (number + 1) * form.DIGEST_BYTES]


class StoredTable:
    """One table of an open file.

    Parameters
    ----------
    blocks : Blocks
        The file's.
    entry : mapping
        What the directory says of the table.

    Raises
    ------
    IntegrityError
        If the entry cannot be understood.
    """

    def __init__(self, blocks: Blocks, entry: Mapping[str, Any]) -> None:
        self._blocks = blocks
        self._last: tuple[int, tuple[Any, ...]] = (-1, ())
        try:
            self.name: str = entry["name"]
            self.n_rows = int(entry["rows"])
            self._index_at, self._index_bytes = map(int, entry["index"][:2])
            self._index_digest = bytes.fromhex(entry["index"][2])
            self.names = tuple([str(c["name"]) for c in entry["columns"]])
            self._kinds = [c["kind"] for c in entry["columns"]]
            if not KINDS.issuperset(self._kinds):
                raise ValueError(f"a column of unknown kind in {self._kinds}")
            self._values = [c.get("values") for c in entry["columns"]]
        except MALFORMED as exc:
            raise form.damaged(blocks.source.name, "directory", f"an entry cannot be read ({exc})") from exc

    @cached_property
    def index(self) -> _BlockIndex:
        """The table's block index, read when first needed."""
        data = self._blocks.source.read(self._index_at, self._index_bytes)
        if form.checksum(data) != self._index_digest:
            raise form.damaged(self._blocks.source.name, f"index of {self.name}")
        try:
            return _BlockIndex(data, self.n_rows)
        except ValueError as exc:
            raise form.damaged(self._blocks.source.name, f"index of {self.name}", str(exc)) from exc

    def place(self, number: int) -> tuple[int, int]:
        """Return where a block lies.

        Parameters
        ----------
        number : int
            Its number in the table.

        Returns
        -------
        offset, length : int
            In bytes.

        Raises
        ------
        IntegrityError
            If no block can lie there.
        """
        try:
            return self.index.place(number)
        except ValueError as exc:
            raise form.damaged(self._blocks.source.name, f"index of {self.name}", str(exc)) from exc

    def decode(self, number: int, data: bytes, allowance: Allowance | None = None) -> list[StoredColumn]:
        """Check a block, decompress it and take its columns apart.

        Parameters
        ----------
        number : int
            Its number in the table.
        data : bytes
            As stored.
        allowance : Allowance, optional
            What is left of the memory that a whole graph may take.

        Returns
        -------
        list of StoredColumn
            One entry a column.

        Raises
        ------
        IntegrityError
            If it is damaged.
        """
        what = f"block {number} of {self.name}"
        if form.checksum(data) != self.index.digest(number):
            raise form.damaged(self._blocks.source.name, what)
        n = self.index.first_rows[number + 1] - self.index.first_rows[number]
        try:
            if allowance is not None:
                allowance.take(zstandard.frame_content_size(data))
            buffer = form.inflate(self._blocks.decompressor, data, form.MAX_BLOCK_BYTES)
            columns: list[StoredColumn] = []
            at = 0
            for kind in self._kinds:
                columns.append(decode(kind, buffer, at, n))
                at = columns[-1].end
                if allowance is not None:
                    allowance.take(BYTES_A_VALUE * (n + getattr(columns[-1], "n_entries", 0)))
            if at != len(buffer):
                raise ValueError(f"{len(buffer) - at} bytes are left over")
        except MALFORMED as exc:
            raise form.damaged(self._blocks.source.name, what, f"it cannot be decoded ({exc})") from exc
        return columns

    def row(self, row: int) -> tuple[Any, ...]:
        """Return one row.

        Parameters
        ----------
        row : int
            Its number.

        Returns
        -------
        tuple
            Python values; an array for each list.
        """
        if row == self._last[0]:  # outputs of a quantum share their columns: one row serves them all
            return self._last[1]
        index = self.index
        number = bisect_right(index.first_rows, row) - 1
        if not 0 <= number < index.n_blocks:
            raise form.damaged(
                self._blocks.source.name, self.name, f"row {row} of {self.n_rows} is not there"
            )
        columns = self._blocks.columns(self, number)
        within = row - index.first_rows[number]
        values = tuple(
            [
                c.item(within) if v is None else v[c.item(within)]
                for c, v in zip(columns, self._values, strict=True)
            ]
        )
        self._last = (row, values)
        return values

    def rows(self, rows: Any) -> list[tuple[Any, ...]]:
        """Return several rows.

        Parameters
        ----------
        rows : sequence of int
            Their numbers; many go block by block.

        Returns
        -------
        list of tuple
            As from `row`.
        """
        if len(rows) <= 8:
            return [self.row(int(r)) for r in rows]
        chosen = np.asarray(rows, dtype=np.int64)
        numbers = np.searchsorted(np.array(self.index.first_rows), chosen, side="right") - 1
        if numbers.min() < 0 or numbers.max() >= self.index.n_blocks:
            raise form.damaged(self._blocks.source.name, self.name, f"a row of {self.n_rows} is not there")
        out = np.empty(len(chosen), dtype=object)
        for number in unique_values(numbers).tolist():
            mine = np.flatnonzero(numbers == number)
            within = chosen[mine] - self.index.first_rows[number]
            columns = self._blocks.columns(self, number)
            parts = [_cells(c.all(), v, within) for c, v in zip(columns, self._values, strict=True)]
            out[mine] = _tuples(parts, len(mine))
        return out.tolist()

    def find(self, key: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return one row of a table that is sorted by its first columns.

        Parameters
        ----------
        key : tuple
            Values of those columns.

        Returns
        -------
        tuple or None
            As from `row`; None if there is no such row.
        """
        low, high = 0, self.n_rows
        width = len(key)
        while low < high:
            middle = (low + high) // 2
            found = self.row(middle)
            if found[:width] == key:
                return found
            low, high = (middle + 1, high) if found[:width] < key else (low, middle)
        return None

    def load(self, allowance: Allowance | None = None) -> Table:
        """Return the whole table.

        Parameters
        ----------
        allowance : Allowance, optional
            The memory that the whole graph may take, this table included.

        Returns
        -------
        Table
            All rows, every block checked.
        """
        begin, end = self.index.offsets[0], self.index.offsets[-1]
        data = self._blocks.source.read(begin, end - begin)
        blocks = []
        for number in range(self.index.n_blocks):
            offset, length = self.place(number)
            blocks.append(self.decode(number, data[offset - begin : offset - begin + length], allowance))
        parts = list(zip(*blocks, strict=True)) if blocks else [()] * len(self.names)
        try:
            joined = [_join(k, v, p) for k, v, p in zip(self._kinds, self._values, parts, strict=True)]
        except MALFORMED as exc:
            raise form.damaged(self._blocks.source.name, self.name, str(exc)) from exc
        return Table(dict(zip(self.names, joined, strict=True)), self.n_rows)


def _int64s(data: bytes) -> Sequence[int]:
    if sys.byteorder == "little":
        return memoryview(data).cast("q")
    return struct.unpack(f"<{len(data) // 8}q", data)


def _objects(values: list[Any]) -> Array:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _cells(column: Any, values: Sequence[Any] | None, rows: Any) -> list[Any]:
    if isinstance(column, Csr):
        return [column.of(row).tolist() for row in rows.tolist()]
    chosen: list[Any] = column[rows].tolist()
    return chosen if values is None else [values[code] for code in chosen]


def _tuples(parts: list[list[Any]], n: int) -> Array:
    out = np.empty(n, dtype=object)
    out[:] = list(zip(*parts, strict=True)) if parts else [()] * n
    return out


_EMPTY: dict[str, Any] = {"int": np.int64, "coded": np.int32, "float": np.float64, "bool": np.bool_}


def _join(kind: str, values: list[Any] | None, parts: Sequence[Any]) -> Any:
    """Put the blocks' parts of one column together."""
    if kind == "list":
        return _join_lists([p.all() for p in parts])
    arrays = [p.all() for p in parts]
    whole: Array = arrays[0] if len(arrays) == 1 else _concatenated(kind, arrays)
    if kind != "coded":
        return whole
    if values is None or (len(whole) and not 0 <= int(whole.min()) <= int(whole.max()) < len(values)):
        raise IndexError("a code without a value")
    return Coded(whole.astype(np.int32), _objects(values))


def _concatenated(kind: str, arrays: list[Array]) -> Array:
    return np.concatenate(arrays) if arrays else np.empty(0, dtype=_EMPTY.get(kind, object))


def _join_lists(parts: Sequence[Csr]) -> Csr:
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([np.zeros(0, np.int64), *(np.diff(p.indptr) for p in parts)])
    indices = np.concatenate([np.zeros(0, np.int32), *(p.indices for p in parts)])
    return Csr(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), indices)
