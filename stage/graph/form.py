"""The outer form of a graph file: magic, sections, trailer, checksums, and how its faults are named."""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

import zstandard

from registry.errors import IntegrityError, SchemaVersionError
from registry.model.digest import digest_bytes

__all__ = [
    "DIGEST_BYTES", "HEAD", "MAGIC", "SECTIONS", "TRAILER_BYTES", "VERSION", "Section", "Trailer", "checksum",
    "damaged", "pack_json", "read_trailer", "unpack_json", "write_trailer",
]  # fmt: skip

MAGIC = b"\x89SQG\r\n\x1a\n"
"""First and last eight bytes: not text, broken by a line-ending conversion, and by the loss of a high bit."""

VERSION = 1
DIGEST_BYTES = 16
LEVEL = 3
MAX_BLOCK_BYTES = 1 << 31

_HEAD = struct.Struct("<8sII")
HEAD = _HEAD.pack(MAGIC, VERSION, 0)
"""What a file begins with; blocks follow."""

SECTIONS = ("documents", "directory", "header")
"""Sections between the blocks' indexes and the trailer, in order."""

# file size; length and checksum of each section; then over all of that a checksum, and the magic again
_TRAILER = struct.Struct("<IIQ" + "Q16s" * len(SECTIONS) + "16s8s")
TRAILER_BYTES = _TRAILER.size


class Section(NamedTuple):
    """Where a part of the file is, and what it must be.

    Parameters
    ----------
    offset, length : int
        In bytes.
    digest : bytes
        Its checksum.
    """

    offset: int
    length: int
    digest: bytes


class Trailer(NamedTuple):
    """What the end of a file says: where its sections are.

    Parameters
    ----------
    documents, directory, header : Section
        Each of them.
    """

    documents: Section
    directory: Section
    header: Section


def checksum(data: bytes | memoryview) -> bytes:
    """Return the checksum of a part of the file.

    Parameters
    ----------
    data : bytes
        As stored.

    Returns
    -------
    bytes
        The first 16 bytes of its BLAKE3 digest.
    """
    return bytes.fromhex(digest_bytes(bytes(data))[7 : 7 + 2 * DIGEST_BYTES])


def damaged(uri: str, what: str, reason: str = "its checksum differs") -> IntegrityError:
    """Return the error for a file whose bytes are not those that were written.

    Parameters
    ----------
    uri : str
        The file.
    what : str
        Which part.
    reason : str, optional
        What is wrong with it.

    Returns
    -------
    IntegrityError
        With code ``graph-damaged``.
    """
    return IntegrityError(
        f"graph file {uri} is damaged: {what}: {reason}",
        code="graph-damaged",
        hint="Copy the file again from where it was made, or build the graph again.",
    )


def pack_json(document: Any) -> bytes:
    """Return a document as it is stored: JSON, compressed.

    Parameters
    ----------
    document : object
        JSON values.

    Returns
    -------
    bytes
        A zstd frame.
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return zstandard.ZstdCompressor(level=LEVEL).compress(text)


def unpack_json(data: bytes) -> Any:
    """Return what `pack_json` was given.

    Parameters
    ----------
    data : bytes
        A zstd frame.

    Returns
    -------
    object
        JSON values.
    """
    return json.loads(zstandard.ZstdDecompressor().decompress(data))


def write_trailer(end: int, sections: dict[str, bytes]) -> bytes:
    """Return the last bytes of a file.

    Parameters
    ----------
    end : int
        Offset at which the trailer will begin.
    sections : dict of str to bytes
        The sections as stored, by name.

    Returns
    -------
    bytes
        `TRAILER_BYTES` of them.
    """
    facts: list[Any] = []
    for name in SECTIONS:
        facts += [len(sections[name]), checksum(sections[name])]
    body = _TRAILER.pack(VERSION, 0, end + TRAILER_BYTES, *facts, b"", MAGIC)[: -DIGEST_BYTES - len(MAGIC)]
    return body + checksum(body) + MAGIC


def read_trailer(uri: str, head: bytes, tail: bytes, size: int) -> Trailer:
    """Read the ends of a file and check that it is whole.

    Parameters
    ----------
    uri : str
        Its name in errors.
    head : bytes
        Its first bytes.
    tail : bytes
        Its last bytes.
    size : int
        Its size in bytes.

    Returns
    -------
    Trailer
        Where the sections are.

    Raises
    ------
    IntegrityError
        If it is no graph file (``not-a-graph``), or ends too soon (``graph-truncated``), or is damaged.
    SchemaVersionError
        If its version is not known here.
    """
    if len(head) < _HEAD.size or not head.startswith(MAGIC):
        raise IntegrityError(
            f"{uri} is not a graph file", code="not-a-graph", hint="Name a file that 'stage build' wrote."
        )
    version = _HEAD.unpack_from(head)[1]
    if len(tail) < TRAILER_BYTES or not tail.endswith(MAGIC):
        raise IntegrityError(
            f"graph file {uri} ends too soon, at {size} bytes: it was cut off while it was copied or written",
            code="graph-truncated",
            hint="Copy the file again from where it was made, or build the graph again.",
        )
    raw = tail[-TRAILER_BYTES:]
    body = raw[: -DIGEST_BYTES - len(MAGIC)]
    if checksum(body) != raw[len(body) : len(body) + DIGEST_BYTES]:
        raise damaged(uri, "trailer")
    again, _, whole, *facts = _TRAILER.unpack(raw)[:-2]
    if version != again or head[: _HEAD.size] != _HEAD.pack(MAGIC, version, 0):
        raise damaged(uri, "head", "it does not agree with the trailer")
    if version != VERSION:
        raise SchemaVersionError(
            f"graph file {uri} has form {version}; this version of stage reads form {VERSION}",
            found=str(version),
            supported=str(VERSION),
            hint="Build the graph again, or use the version of stage that wrote it.",
        )
    if whole != size:
        raise damaged(uri, "length", f"{size} bytes, and {whole} were written")
    return _sections(uri, size, facts)


def _sections(uri: str, size: int, facts: list[Any]) -> Trailer:
    end = size - TRAILER_BYTES
    found: dict[str, Section] = {}
    for name, length, digest in reversed(list(zip(SECTIONS, facts[::2], facts[1::2], strict=True))):
        end -= length
        found[name] = Section(end, length, digest)
    if end < _HEAD.size:
        raise damaged(uri, "trailer", "its sections do not fit into the file")
    return Trailer(**found)
