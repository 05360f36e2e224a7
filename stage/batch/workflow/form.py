"""The outer form of ``workflow.jobs``: magic, blocks of jobs, their index, a header, a trailer; how its faults are named.

Blocks hold columns packed as in a graph file (`stage.graph.file.encoding`), each compressed and with a checksum. What all
jobs of a kind share stands once, in the header, so that a job that reads its row has all it needs after three reads.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from registry.errors import IntegrityError, SchemaVersionError
from stage.graph.file.form import checksum
from stage.graph.file.scrutiny import MALFORMED

__all__ = [
    "HEAD",
    "TRAILER_BYTES",
    "VERSION",
    "BlockIndex",
    "Trailer",
    "damaged",
    "read_trailer",
    "write_trailer",
]

MAGIC = b"\x89SWJ\r\n\x1a\n"
VERSION = 1
_HEAD = struct.Struct("<8sII")
HEAD = _HEAD.pack(MAGIC, VERSION, 0)
# file size; length and checksum of index and header; over all of that a checksum, and the magic again
_TRAILER = struct.Struct("<IIQQ16sQ16s16s8s")
TRAILER_BYTES = _TRAILER.size
_HINT = "Make it again: 'stage batch transform'."


class Trailer(NamedTuple):
    """Where the index of the blocks and the header are, and what they must be.

    Parameters
    ----------
    blocks, header : tuple of (int, int, bytes)
        Offset, length, checksum.
    """

    blocks: tuple[int, int, bytes]
    header: tuple[int, int, bytes]


def damaged(name: str, what: str, reason: str = "its checksum differs") -> IntegrityError:
    """Return the error for a file whose bytes are not those that were written.

    Parameters
    ----------
    name : str
        The file.
    what : str
        Which part.
    reason : str, optional
        What is wrong with it.

    Returns
    -------
    IntegrityError
        With code ``workflow-damaged``.
    """
    return IntegrityError(
        f"workflow file {name} is damaged: {what}: {reason}", code="workflow-damaged", hint=_HINT
    )


def write_trailer(end: int, index: bytes, header: bytes) -> bytes:
    """Return the last bytes of a file.

    Parameters
    ----------
    end : int
        Offset at which they begin; index and header stand before, in this order.
    index, header : bytes
        As stored.

    Returns
    -------
    bytes
        `TRAILER_BYTES` of them.
    """
    facts = (len(index), checksum(index), len(header), checksum(header))
    body = _TRAILER.pack(VERSION, 0, end + TRAILER_BYTES, *facts, b"", MAGIC)[:-24]
    return body + checksum(body) + MAGIC


def read_trailer(name: str, head: bytes, tail: bytes, size: int) -> Trailer:
    """Read the ends of a file and check that it is whole.

    Parameters
    ----------
    name : str
        Its name in errors.
    head, tail : bytes
        Its first and its last bytes; no head is looked at if it is empty.
    size : int
        Its size in bytes.

    Returns
    -------
    Trailer
        Where the rest is.

    Raises
    ------
    IntegrityError
        If it is no workflow file (``not-a-workflow``), was cut off (``workflow-truncated``), or is damaged.
    SchemaVersionError
        If its version is not known here.
    """
    whole = len(tail) >= TRAILER_BYTES and tail.endswith(MAGIC)
    if not head.startswith(MAGIC) and not (whole and not head):
        raise IntegrityError(f"{name} is not a workflow file", code="not-a-workflow", hint=_HINT)
    if not whole:
        raise IntegrityError(
            f"workflow file {name} ends too soon, at {size} bytes: it was cut off while it was copied or written",
            code="workflow-truncated",
            hint=_HINT,
        )
    raw = tail[-TRAILER_BYTES:]
    if checksum(raw[:-24]) != raw[-24:-8]:
        raise damaged(name, "trailer")
    version, _, length, n_index, index, n_header, header, *_ = _TRAILER.unpack(raw)
    if version != VERSION:
        raise SchemaVersionError(
            f"workflow file {name} has form {version}; this version of stage reads form {VERSION}",
            found=str(version),
            supported=str(VERSION),
            hint=_HINT,
        )
    at = size - TRAILER_BYTES - n_header
    if length != size or at - n_index < len(HEAD):
        raise damaged(name, "length", f"{size} bytes, and {length} were written")
    return Trailer((at - n_index, n_index, index), (at, n_header, header))


class BlockIndex:
    """Where the blocks are, and what they must be.

    Parameters
    ----------
    name : str
        The file, for errors.
    data : bytes
        As stored.
    n_jobs : int
        As the header says.
    end : int
        Offset at which the blocks end.
    """

    def __init__(self, name: str, data: bytes, n_jobs: int, end: int) -> None:
        self._name = name
        try:
            n, rest = divmod(len(data) - 16, 32)
            if n < 0 or rest:
                raise ValueError(f"{len(data)} bytes")
            words = np.frombuffer(data, "<i8", 2 * (n + 1)).reshape(2, n + 1)
            self.first, self.offsets = words
            self._digests = data[words.nbytes :]
            ends = (int(self.first[0]), int(self.first[-1]), int(self.offsets[0]), int(self.offsets[-1]))
            if ends != (0, n_jobs, len(HEAD), end) or np.any(np.diff(words) <= 0):
                raise ValueError("its rows or places are not in order")
        except MALFORMED as error:
            raise damaged(name, "index", str(error)) from error

    @staticmethod
    def pack(first: list[int], offsets: list[int], digests: list[bytes]) -> bytes:
        """Return an index as it is stored.

        Parameters
        ----------
        first, offsets : list of int
            Rows and places at which blocks begin, and where the last ends.
        digests : list of bytes
            Their checksums.

        Returns
        -------
        bytes
            32 a block, and 16.
        """
        return np.array([first, offsets], dtype="<i8").tobytes() + b"".join(digests)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.first) - 1

    def block_of(self, job: int) -> int:
        """Return the block that has a job.

        Parameters
        ----------
        job : int
            One that there is.

        Returns
        -------
        int
            Its place.
        """
        return int(np.searchsorted(self.first, job, side="right")) - 1

    def place(self, block: int) -> tuple[int, int, int]:
        """Return where a block is.

        Parameters
        ----------
        block : int
            Its place.

        Returns
        -------
        offset, length, n_rows : int
            In bytes, and jobs.
        """
        a, b = int(self.offsets[block]), int(self.offsets[block + 1])
        return a, b - a, int(self.first[block + 1] - self.first[block])

    def check(self, block: int, data: bytes) -> None:
        """Refuse a block with another checksum.

        Parameters
        ----------
        block : int
            Its place.
        data : bytes
            As read.

        Raises
        ------
        IntegrityError
            If it is damaged.
        """
        if checksum(data) != self._digests[16 * block : 16 * (block + 1)]:
            raise damaged(self._name, f"block {block}")
