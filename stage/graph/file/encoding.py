"""Columns as bytes: how one column of one block of rows is written in a graph file, and read again.

Every function here is pure; ``docs/design/graph-file.md`` states the form for readers of other programs.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from registry.model.columns import Array
from stage.graph.file.packed import Packed, PackedLists, pack_ints, pack_lists

__all__ = ["KINDS", "StoredColumn", "column_kind", "decode", "encode"]

_SIZE = struct.Struct("<I")
_MAX_JSON_BYTES = 1 << 24
_ROWS_AT_ONCE = 1 << 16


class StoredColumn(Protocol):
    """One column of one block."""

    end: int

    def item(self, row: int) -> Any:
        """Return the value of one row.

        Parameters
        ----------
        row : int
            Which.

        Returns
        -------
        object
            A Python value; the entries of a list.
        """

    def all(self) -> Any:
        """Return the values of all rows.

        Returns
        -------
        numpy.ndarray or Csr
            One a row.
        """


class _Fixed:
    """Values of one width: floats and booleans."""

    __slots__ = ("_values", "end")

    def __init__(self, values: Array, end: int) -> None:
        self._values = values
        self.end = end

    def item(self, row: int) -> Any:
        return self._values.item(row)

    def all(self) -> Array:
        return self._values


class _Ragged:
    """Strings or bytes: their lengths (-1 for none), then all of them one after another."""

    __slots__ = ("_buffer", "_lengths", "_text", "end")

    def __init__(self, buffer: bytes, at: int, n: int, *, text: bool) -> None:
        self._lengths = Packed(buffer, at, n)
        (size,) = _SIZE.unpack_from(buffer, self._lengths.end)
        at = self._lengths.end + _SIZE.size
        self.end = at + size
        blob = buffer[at : self.end]
        if len(blob) != size:
            raise ValueError("variable-length values do not fill their buffer")
        width = self._lengths.constant or 0
        if n and width > 1:
            if width * n != size:
                raise ValueError("values of one width do not fill their buffer")
            blob = np.frombuffer(blob, np.uint8).reshape(width, n).T.tobytes()
        self._buffer = blob
        self._text = text

    def item(self, row: int) -> str | bytes | None:
        length = self._lengths.item(row)
        if length < 0:
            return None
        first = self._lengths.total(row)
        value = self._buffer[first : first + length]
        return value.decode() if self._text else value

    def all(self) -> Array:
        if (self._lengths.constant or 0) < 0 and not self._buffer:
            return np.empty(self._lengths.n, dtype=object)
        lengths = self._lengths.all()
        stops = np.cumsum(np.maximum(lengths, 0)).tolist()
        if (stops[-1] if stops else 0) != len(self._buffer):
            raise ValueError("variable-length values do not fill their buffer")
        buffer: Any = self._buffer
        decode_each = self._text and not buffer.isascii()
        if self._text and not decode_each:
            buffer = buffer.decode("ascii")
        values = [buffer[a:b] for a, b in zip([0, *stops[:-1]], stops, strict=True)] if stops else []
        out = np.empty(len(values), dtype=object)
        out[:] = [v.decode() for v in values] if decode_each else values
        out[lengths < 0] = None
        return out


def column_kind(column: Array) -> str:
    """Return how a plain column is to be stored.

    Parameters
    ----------
    column : numpy.ndarray
        One column.

    Returns
    -------
    str
        One of `KINDS` (never ``coded`` or ``list``, which are no plain arrays).
    """
    if column.dtype == np.bool_:
        return "bool"
    if column.dtype.kind in "iu":
        return "int"
    if column.dtype.kind == "f":
        return "float"
    kinds: set[type] = set()
    for first in range(0, len(column), _ROWS_AT_ONCE):
        kinds.update(map(type, column[first : first + _ROWS_AT_ONCE].tolist()))
    kinds.discard(type(None))
    if kinds <= {str}:
        return "text"
    return "bytes" if kinds == {bytes} else "json"


def _read_floats(buffer: bytes, at: int, n: int) -> _Fixed:
    return _Fixed(np.frombuffer(buffer, "<f8", n, at).astype(np.float64), at + 8 * n)


def _read_bools(buffer: bytes, at: int, n: int) -> _Fixed:
    return _Fixed(np.frombuffer(buffer, np.uint8, n, at).astype(np.bool_), at + n)


def _read_text(buffer: bytes, at: int, n: int) -> _Ragged:
    return _Ragged(buffer, at, n, text=True)


def _read_bytes(buffer: bytes, at: int, n: int) -> _Ragged:
    return _Ragged(buffer, at, n, text=False)


def _read_json(buffer: bytes, at: int, n: int) -> _Fixed:
    (size,) = _SIZE.unpack_from(buffer, at)
    if size > _MAX_JSON_BYTES:
        raise ValueError(f"a column of {size} bytes of JSON, and at most {_MAX_JSON_BYTES} are read")
    at += _SIZE.size
    out = np.empty(n, dtype=object)
    out[:] = json.loads(buffer[at : at + size])
    return _Fixed(out, at + size)


def _write_floats(values: Array) -> list[bytes]:
    return [values.astype("<f8", copy=False).tobytes()]


def _write_bools(values: Array) -> list[bytes]:
    return [values.astype(np.uint8).tobytes()]


def _write_ragged(values: Sequence[bytes | None]) -> list[bytes]:
    lengths = np.array([-1 if v is None else len(v) for v in values], dtype=np.int64)
    blob = b"".join([v for v in values if v is not None])
    if len(lengths) and lengths[0] > 1 and np.all(lengths == lengths[0]):
        # Values of one width go byte by byte, the first byte of each before the second: equal beginnings lie together.
        blob = np.frombuffer(blob, np.uint8).reshape(len(values), int(lengths[0])).T.tobytes()
    return [*pack_ints(lengths), _SIZE.pack(len(blob)), blob]


def _write_text(values: Array) -> list[bytes]:
    return _write_ragged([None if v is None else v.encode() for v in values])


def _write_bytes(values: Array) -> list[bytes]:
    return _write_ragged(values.tolist())


def _write_json(values: Array) -> list[bytes]:
    text = json.dumps(values.tolist(), ensure_ascii=False, separators=(",", ":")).encode()
    return [_SIZE.pack(len(text)), text]


_WRITERS: dict[str, Callable[[Any], list[bytes]]] = {
    "int": pack_ints,
    "coded": pack_ints,
    "float": _write_floats,
    "bool": _write_bools,
    "text": _write_text,
    "bytes": _write_bytes,
    "json": _write_json,
    "list": pack_lists,
}
_READERS: dict[str, Callable[[bytes, int, int], StoredColumn]] = {
    "int": Packed,
    "coded": Packed,
    "float": _read_floats,
    "bool": _read_bools,
    "text": _read_text,
    "bytes": _read_bytes,
    "json": _read_json,
    "list": PackedLists,
}
KINDS = frozenset(_WRITERS)
"""Ways in which a column may be stored."""


def encode(kind: str, values: Any) -> list[bytes]:
    """Write one column of one block.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    values : numpy.ndarray or Csr
        The block's rows: codes for ``coded``, lists for ``list``.

    Returns
    -------
    list of bytes
        To be put one after another.
    """
    return _WRITERS[kind](values)


def decode(kind: str, buffer: bytes, at: int, n: int) -> StoredColumn:
    """Read one column of one block.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    buffer : bytes
        The block.
    at : int
        Where the column begins in it.
    n : int
        Number of rows.

    Returns
    -------
    StoredColumn
        Its rows; ``end`` is where the next column begins.

    Raises
    ------
    ValueError, struct.error
        If the bytes are not of that form.
    """
    return _READERS[kind](buffer, at, n)
