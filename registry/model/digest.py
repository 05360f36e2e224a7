"""Canonical bytes and digests; nothing else in the project hashes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from blake3 import blake3

__all__ = [
    "Hasher",
    "canonical_json",
    "digest_bytes",
    "digest_json",
    "digest_rows",
    "digest_short",
    "new_hasher",
]


class Hasher(Protocol):
    """What checksums are made with while bytes pass by."""

    def update(self, data: bytes, /) -> Any:
        """Take more bytes.

        Parameters
        ----------
        data : bytes
            What follows.

        Returns
        -------
        object
            Nothing that is used.
        """

    def hexdigest(self) -> str:
        """Return the digest so far, in hexadecimal."""


def new_hasher() -> Hasher:
    """Return a fresh BLAKE3 hasher.

    Returns
    -------
    Hasher
        With nothing taken yet.
    """
    return blake3()


def digest_bytes(data: bytes) -> str:
    """Return the checksum of `data` as artifacts record it.

    Parameters
    ----------
    data : bytes
        Any bytes.

    Returns
    -------
    str
        ``blake3:`` and 64 hexadecimal digits.
    """
    return "blake3:" + blake3(data).hexdigest()


def digest_short(data: bytes | memoryview) -> bytes:
    """Return a short digest of `data`, for many small parts of one file.

    Parameters
    ----------
    data : bytes
        Any bytes.

    Returns
    -------
    bytes
        The first 16 of its BLAKE3 digest.
    """
    return blake3(data).digest(16)


def canonical_json(value: Any) -> str:
    """Return one JSON text for equal values: sorted keys, no spaces, bytes in hexadecimal.

    Parameters
    ----------
    value : object
        JSON-like, with bytes allowed.

    Returns
    -------
    str
        The text.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$hex": bytes(value).hex()}
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")


def digest_json(value: Any) -> str:
    """Return the digest of a value's canonical JSON.

    Parameters
    ----------
    value : object
        JSON-like, with bytes allowed.

    Returns
    -------
    str
        32 hexadecimal digits (128 bits).
    """
    return blake3(canonical_json(value).encode()).hexdigest(16)


def digest_rows(rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """Return one digest a row: the baseline of what was cloned.

    Parameters
    ----------
    rows : iterable of sequence
        Rows of str, int, float, bool, bytes and None.

    Returns
    -------
    list of bytes
        16 bytes each.
    """
    one: Callable[[bytes], Any] = blake3
    return [one(repr(tuple(row)).encode()).digest(16) for row in rows]
