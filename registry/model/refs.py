"""`DatasetRef` and dataset ids; the only place where ids are minted.

Ids made one at a time or for a batch are UUIDs of version 7: they sort by time, so that the order of
insertion is the order of the index. Those of a graph's outputs are of version 8, made from the graph's own id
and an ordinal by arithmetic, so that a graph file need not store them (RFC 9562, sections 5.7 and 5.8).
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from registry.model.data_id import DataId
    from registry.model.dataset_type import DatasetType

__all__ = [
    "DatasetRef", "derived_id", "derived_ids", "derived_ordinals", "id_numbers", "id_text", "new_id", "new_ids", "parse_id",
]  # fmt: skip

_ORDINAL_BITS = 36
_ORDINAL_MASK = (1 << _ORDINAL_BITS) - 1


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """One dataset: a view made at the edges, never held by the million.

    Parameters
    ----------
    id : bytes
        16 bytes of a UUID.
    dataset_type : DatasetType
        Its kind.
    data_id : DataId
        Which one.
    run : str
        The RUN collection that holds it.
    """

    id: bytes
    dataset_type: DatasetType
    data_id: DataId
    run: str

    @property
    def uuid(self) -> uuid.UUID:
        """The id as a `uuid.UUID`."""
        return uuid.UUID(bytes=self.id)

    def __str__(self) -> str:
        return f"{self.dataset_type.name}@{self.data_id} [{self.run}] ({id_text(self.id)})"


def id_text(value: bytes) -> str:
    """Return an id in the usual text form.

    Parameters
    ----------
    value : bytes
        16 bytes.

    Returns
    -------
    str
        36 characters.

    Raises
    ------
    ValueError
        If it has another length.
    """
    digits = bytes(value).hex()  # as a UUID is written, without making one
    if len(digits) != 32:
        raise ValueError(f"an id of {len(digits) // 2} bytes")
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse_id(text: str) -> bytes:
    """Return the 16 bytes of an id in text form.

    Parameters
    ----------
    text : str
        A UUID, with or without hyphens.

    Returns
    -------
    bytes
        16 bytes.

    Raises
    ------
    ValueError
        If it is none.
    """
    return uuid.UUID(text).bytes


def new_ids(n: int) -> list[bytes]:
    """Mint `n` new ids of version 7, in rising order.

    Parameters
    ----------
    n : int
        How many.

    Returns
    -------
    list of bytes
        16 bytes each. The 74 bits that the version leaves free are a random start counted upwards.
    """
    stamp = int(time.time_ns() // 1_000_000).to_bytes(6, "big")
    # 12 + 62 free bits: 42 random for the batch, and a 32-bit counter that starts low.
    head = int.from_bytes(os.urandom(2), "big") & 0x0FFF
    middle = int.from_bytes(os.urandom(4), "big") & 0x3FFFFFFF
    start = int.from_bytes(os.urandom(3), "big")
    prefix = stamp + (0x7000 | head).to_bytes(2, "big")
    low = np.arange(start, start + n, dtype=np.uint64) | np.uint64((2 << 62) | (middle << 32))
    return _join(prefix, low)


def new_id() -> bytes:
    """Mint one new id of version 7.

    Returns
    -------
    bytes
        16 bytes.
    """
    return new_ids(1)[0]


def _prefix(graph_id: bytes) -> tuple[bytes, int]:
    """Return the first 8 bytes and the high bits of the last 8, common to all of a graph's derived ids."""
    head = (int.from_bytes(graph_id[6:8], "big") & 0x0FFF) | 0x8000
    # `new_ids` varies the low 62 bits from call to call: 26 of them, folded, tell graphs of one millisecond apart.
    low = int.from_bytes(graph_id[8:], "big") & ((1 << 62) - 1)
    folded = (low ^ (low >> 26) ^ (low >> 52)) & ((1 << 26) - 1)
    return graph_id[:6] + head.to_bytes(2, "big"), (2 << 62) | (folded << _ORDINAL_BITS)


def derived_ids(graph_id: bytes, ordinals: npt.NDArray[np.int64]) -> list[bytes]:
    """Return the ids that belong to ordinals of a graph.

    Parameters
    ----------
    graph_id : bytes
        16 bytes of the graph's own id (version 7).
    ordinals : numpy.ndarray of int64
        Each below 2**36.

    Returns
    -------
    list of bytes
        16 bytes each, version 8; rising with the ordinal.
    """
    prefix, high = _prefix(graph_id)
    return _join(prefix, ordinals.astype(np.uint64) | np.uint64(high))


def derived_id(graph_id: bytes, ordinal: int) -> bytes:
    """Return the id that belongs to one ordinal of a graph.

    Parameters
    ----------
    graph_id : bytes
        16 bytes of the graph's own id.
    ordinal : int
        Below 2**36.

    Returns
    -------
    bytes
        16 bytes.
    """
    prefix, high = _prefix(graph_id)
    return prefix + (high | (ordinal & _ORDINAL_MASK)).to_bytes(8, "big")


def id_numbers(ids: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    """Return ids as numbers.

    Parameters
    ----------
    ids : iterable of bytes
        16 bytes each.

    Returns
    -------
    numpy.ndarray of uint64, shape (n, 2)
        The first and the last 8 bytes of each, the most significant first.
    """
    return np.frombuffer(b"".join(ids), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def derived_ordinals(
    numbers: npt.NDArray[np.uint64], graph_id: bytes
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Say which ids are a graph's, and of which ordinals: what undoes `derived_ids`.

    Parameters
    ----------
    numbers : numpy.ndarray of uint64, shape (n, 2)
        The ids, from `id_numbers`.
    graph_id : bytes
        16 bytes of the graph's own id.

    Returns
    -------
    is_derived : numpy.ndarray of bool, shape (n,)
        Which of them are derived from the graph's.
    ordinals : numpy.ndarray of int64
        Their ordinals: one for each of those.
    """
    prefix, high = _prefix(graph_id)
    bits = np.uint64(_ORDINAL_BITS)
    mine = (numbers[:, 0] == np.uint64(int.from_bytes(prefix, "big"))) & (
        numbers[:, 1] >> bits == np.uint64(high >> _ORDINAL_BITS)
    )
    return mine, (numbers[mine, 1] & np.uint64(_ORDINAL_MASK)).astype(np.int64)


def _join(prefix: bytes, low: npt.NDArray[np.uint64]) -> list[bytes]:
    tail = low.astype(">u8").tobytes()
    return [prefix + tail[i : i + 8] for i in range(0, len(tail), 8)]
