"""Integers and lists of integers as a graph file packs them: a few bytes each, and single ones without the rest.

A run of integers is stored as offsets from the smallest, or as steps from one to the next, whichever is narrower, in
1, 2, 4 or 8 bytes each; a constant and a progression take no bytes but the head.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from registry.model.columns import Array
from stage.graph.table import Csr, Ints

__all__ = ["MAX_ENTRIES", "Packed", "PackedLists", "pack_ints", "pack_lists"]

MAX_ENTRIES = 1 << 26
"""Entries that the lists of one block may have in all."""

_HEAD = struct.Struct("<BBHIqq")  # form, width, number of bytes, reserved, base, step
_COUNT = struct.Struct("<q")
_OFFSETS, _STEPS = 0, 1
_UNSIGNED: dict[int, np.dtype[Any]] = {w: np.dtype(f"<u{w}") for w in (1, 2, 4, 8)}
_SAFE = 2**62
_MODULUS = 2**64
_FEW = 3
"""After so many single rows a block is decoded as a whole: then a neighbour is likely to be asked for."""


def pack_ints(values: Array) -> list[bytes]:
    """Write integers.

    Parameters
    ----------
    values : numpy.ndarray
        Any integers.

    Returns
    -------
    list of bytes
        To be put one after another.
    """
    if not len(values):
        return [_HEAD.pack(_OFFSETS, 0, 0, 0, 0, 0)]
    wide = values.astype(np.int64, copy=False)
    low, high = (int(wide[0]),) * 2 if len(wide) == 1 else (int(wide.min()), int(wide.max()))
    if low == high:
        return [_HEAD.pack(_OFFSETS, 0, 0, 0, low, 0)]
    width = _width(high - low)
    if high - low < _SAFE:
        steps = np.diff(wide)
        least, most = int(steps.min()), int(steps.max())
        if least == most:
            return [_HEAD.pack(_STEPS, 0, 0, 0, int(wide[0]), least)]
        narrow = _width(most - least)
        if narrow < width:
            head = _HEAD.pack(_STEPS, narrow, 0, 0, int(wide[0]), least)
            return [head, (steps - least).astype(_UNSIGNED[narrow]).tobytes()]
    # Modular arithmetic keeps this right over the whole range of int64.
    offsets = wide.view(np.uint64) - np.uint64(low % _MODULUS)
    return [_HEAD.pack(_OFFSETS, width, 0, 0, low, 0), offsets.astype(_UNSIGNED[width]).tobytes()]


def _width(span: int) -> int:
    return next(w for w in (1, 2, 4, 8) if span < 1 << (8 * w))


class Packed:
    """Integers as they lie in a block.

    Parameters
    ----------
    buffer : bytes
        The block.
    at : int
        Where they begin.
    n : int
        How many there are.

    Raises
    ------
    ValueError, struct.error
        If the bytes are not of that form.
    """

    __slots__ = ("_all", "_asked", "_at", "_base", "_buffer", "_form", "_step", "_width", "end", "n")

    def __init__(self, buffer: bytes, at: int, n: int) -> None:
        head: tuple[int, int, int, int, int, int] = _HEAD.unpack_from(buffer, at)
        self._form, self._width, _, _, self._base, self._step = head
        if self._form not in {_OFFSETS, _STEPS} or (self._width and self._width not in _UNSIGNED):
            raise ValueError(f"unknown form of integers {self._form}, width {self._width}")
        self._buffer, self._at, self.n = buffer, at + _HEAD.size, n
        stored = n if self._form == _OFFSETS else max(n - 1, 0)
        self.end = self._at + stored * self._width
        if n < 0 or self.end > len(buffer):
            raise ValueError(f"{n} integers do not fit into their block")
        self._all: Ints | None = None
        self._asked = 0

    def _stored(self, first: int, last: int) -> Array:
        return np.frombuffer(
            self._buffer, _UNSIGNED[self._width], last - first, self._at + first * self._width
        )

    def item(self, row: int) -> int:
        """Return one of them.

        Parameters
        ----------
        row : int
            Which; below `n`.

        Returns
        -------
        int
            Its value.
        """
        if self._all is not None:
            return int(self._all[row])
        if not 0 <= row < self.n:
            raise IndexError(f"row {row} of {self.n}")
        if self._form == _OFFSETS:
            return self._by_offset(row)
        if self._width:
            self._asked += 1
            if self._asked > _FEW:
                self._all = self.all()
        return self._by_steps(row)

    def _by_offset(self, row: int) -> int:
        if not self._width:
            return self._base
        at = self._at + row * self._width
        value = self._base + int.from_bytes(self._buffer[at : at + self._width], "little")
        return value - _MODULUS if value >= _MODULUS // 2 else value

    def _by_steps(self, row: int) -> int:
        value = self._base + self._step * row
        return value + int(self._stored(0, row).sum()) if self._width else value

    @property
    def constant(self) -> int | None:
        """The value of all of them, if there is but one by the form."""
        return self._base if self._form == _OFFSETS and not self._width else None

    def part(self, first: int, last: int) -> Ints:
        """Return some that follow one another.

        Parameters
        ----------
        first, last : int
            From the first, up to but without the last.

        Returns
        -------
        numpy.ndarray of int64
            last - first values.
        """
        if self._all is not None:
            return self._all[first:last]
        if not 0 <= first <= last <= self.n:
            raise IndexError(f"rows {first} to {last} of {self.n}")
        if first == last:
            return np.zeros(0, dtype=np.int64)
        return (
            self._part_by_offset(first, last) if self._form == _OFFSETS else self._part_by_steps(first, last)
        )

    def _part_by_offset(self, first: int, last: int) -> Ints:
        if not self._width:
            same = np.empty(last - first, dtype=np.int64)
            same.fill(self._base)
            return same
        stored = self._stored(first, last)
        if self._width < 8:
            return stored.astype(np.int64) + self._base
        wide: Array = stored.astype(np.uint64) + np.uint64(self._base % _MODULUS)
        return wide.view(np.int64)

    def _part_by_steps(self, first: int, last: int) -> Ints:
        start = self._by_steps(first)
        if not self._width:
            steps = np.arange(last - first, dtype=np.int64)
            if self._step != 1:
                steps *= self._step
            return steps + start if start else steps
        out = np.empty(last - first, dtype=np.int64)
        out[0] = start
        out[1:] = self._stored(first, last - 1)
        out[1:] += self._step
        return np.cumsum(out, out=out)

    def all(self) -> Ints:
        """Return all of them.

        Returns
        -------
        numpy.ndarray of int64
            `n` values.
        """
        return self.part(0, self.n)

    def total(self, last: int) -> int:
        """Return the sum of the first ones, those below 0 not counted.

        Parameters
        ----------
        last : int
            How many.

        Returns
        -------
        int
            Their sum.
        """
        if self._form == _OFFSETS and not self._width:
            return max(self._base, 0) * last
        return int(np.maximum(self.part(0, last), 0).sum())


def pack_lists(values: Csr) -> list[bytes]:
    """Write lists of integers.

    Parameters
    ----------
    values : Csr
        The lists; `indptr` need not begin at 0.

    Returns
    -------
    list of bytes
        To be put one after another.
    """
    count = _COUNT.pack(len(values.indices))
    return [count, *pack_ints(np.diff(values.indptr)), *pack_ints(values.indices)]


class PackedLists:
    """Lists of integers as they lie in a block.

    Parameters
    ----------
    buffer : bytes
        The block.
    at : int
        Where they begin.
    n : int
        How many lists there are.

    Raises
    ------
    ValueError, struct.error
        If the bytes are not of that form.
    """

    __slots__ = ("_all", "_asked", "_counts", "_indices", "end", "n_entries")

    def __init__(self, buffer: bytes, at: int, n: int) -> None:
        (self.n_entries,) = _COUNT.unpack_from(buffer, at)
        if self.n_entries > MAX_ENTRIES:
            raise ValueError(f"lists of {self.n_entries} entries, and at most {MAX_ENTRIES} are read")
        self._counts = Packed(buffer, at + _COUNT.size, n)
        self._indices = Packed(buffer, self._counts.end, self.n_entries)
        self.end = self._indices.end
        self._all: Csr | None = None
        self._asked = 0

    def item(self, row: int) -> npt.NDArray[np.int64] | list[int]:
        """Return one list.

        Parameters
        ----------
        row : int
            Which.

        Returns
        -------
        sequence of int
            Its entries.
        """
        if self._all is not None:
            return self._all.of(row).astype(np.int64)
        self._asked += 1
        if self._asked > _FEW:
            self._all = self.all()
        n = self._counts.item(row)
        first = self._counts.total(row)
        return [self._indices.item(first)] if n == 1 else self._indices.part(first, first + n)

    def all(self) -> Csr:
        """Return all lists.

        Returns
        -------
        Csr
            One list a row.
        """
        counts = self._counts.all()
        if len(counts) and counts.min() < 0:
            raise ValueError("a list of negative length")
        indptr = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=indptr[1:])
        if indptr[-1] != self._indices.n:
            raise ValueError(f"lists of {indptr[-1]} entries in all, and {self._indices.n} are there")
        return Csr(indptr, self._indices.all().astype(np.int32))
