"""The outer form of a graph file: magic, sections, trailer, checksums, and how its faults are named."""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

import zstandard

from registry.errors import IntegrityError, SchemaVersionError, UsageError
from registry.model.digest import digest_short

__all__ = [
    "DIGEST_BYTES", "HEAD", "MAGIC", "MAX_BLOCK_BYTES", "MAX_BLOCK_ROWS", "MAX_JSON_BYTES", "SECTIONS", "TRAILER_BYTES",
    "VERSION", "WITH_ORIGINS", "Section", "Trailer", "checksum", "damaged", "inflate", "pack_json", "read_trailer",
    "too_large", "unpack_json", "write_head", "write_trailer",
]  # fmt: skip

MAGIC = b"\x89SQG\r\n\x1a\n"
"""First and last eight bytes: not text, broken by a line-ending conversion, and by the loss of a high bit."""

VERSION = 1
WITH_ORIGINS = 2
"""The form of a file whose header names origins; all else is as in form 1, which every graph as it was built has."""

_SUPPORTED = (VERSION, WITH_ORIGINS)
_SUPPORTED_TEXT = " and ".join(map(str, _SUPPORTED))
DIGEST_BYTES = 16
LEVEL = 3

# What no file may ask of its reader; a writer refuses to write it.
MAX_BLOCK_ROWS = 1 << 16
MAX_BLOCK_BYTES = 1 << 26
MAX_JSON_BYTES = 1 << 25

_HEAD = struct.Struct("<8sII")
HEAD = _HEAD.pack(MAGIC, VERSION, 0)
"""What a file of form 1 begins with; blocks follow."""

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
    version : int
        The form of the file.
    documents, directory, header : Section
        Each of them.
    """

    version: int
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
    return digest_short(data)


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

    Raises
    ------
    UsageError
        If it is larger than any reader takes.
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) > MAX_JSON_BYTES:
        raise too_large(f"a document of {len(text)} bytes", MAX_JSON_BYTES)
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
    return json.loads(inflate(zstandard.ZstdDecompressor(), data, MAX_JSON_BYTES))


def inflate(decompressor: zstandard.ZstdDecompressor, data: bytes, most: int) -> bytes:
    """Decompress one frame, whoever made it.

    Parameters
    ----------
    decompressor : zstandard.ZstdDecompressor
        To use.
    data : bytes
        The frame, and nothing else.
    most : int
        Bytes that it may hold.

    Returns
    -------
    bytes
        What it holds.

    Raises
    ------
    ValueError, zstandard.ZstdError
        If it is no frame, does not say how much it holds, or holds more.
    """
    size = zstandard.frame_content_size(data)
    if not 0 <= size <= most:
        raise ValueError(f"a frame of {size} bytes, and at most {most} are read")
    return decompressor.decompress(data, allow_extra_data=False)


def too_large(what: str, most: int) -> UsageError:
    """Return the error for a graph that no reader would take.

    Parameters
    ----------
    what : str
        Which part, with its size.
    most : int
        The limit.

    Returns
    -------
    UsageError
        With code ``graph-too-large``.
    """
    return UsageError(
        f"the graph cannot be written: {what}, and at most {most} fit into one part of a graph file",
        code="graph-too-large",
        hint="Build it in parts: choose fewer data IDs with a where expression.",
    )


def write_head(version: int) -> bytes:
    """Return the first bytes of a file.

    Parameters
    ----------
    version : int
        Its form.

    Returns
    -------
    bytes
        As many as `HEAD`.
    """
    return _HEAD.pack(MAGIC, version, 0)


def write_trailer(end: int, sections: dict[str, bytes], version: int = VERSION) -> bytes:
    """Return the last bytes of a file.

    Parameters
    ----------
    end : int
        Offset at which the trailer will begin.
    sections : dict of str to bytes
        The sections as stored, by name.
    version : int, optional
        The form of the file.

    Returns
    -------
    bytes
        `TRAILER_BYTES` of them.
    """
    facts: list[Any] = []
    for name in SECTIONS:
        facts += [len(sections[name]), checksum(sections[name])]
    body = _TRAILER.pack(version, 0, end + TRAILER_BYTES, *facts, b"", MAGIC)[: -DIGEST_BYTES - len(MAGIC)]
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
    if version not in _SUPPORTED:
        raise SchemaVersionError(
            f"graph file {uri} has form {version}; this version of stage reads forms {_SUPPORTED_TEXT}",
            found=str(version),
            supported=_SUPPORTED_TEXT,
            hint="Build the graph again, or use the version of stage that wrote it.",
        )
    if whole != size:
        raise damaged(uri, "length", f"{size} bytes, and {whole} were written")
    return _sections(uri, size, version, facts)


def _sections(uri: str, size: int, version: int, facts: list[Any]) -> Trailer:
    end = size - TRAILER_BYTES
    found: dict[str, Section] = {}
    for name, length, digest in reversed(list(zip(SECTIONS, facts[::2], facts[1::2], strict=True))):
        end -= length
        found[name] = Section(end, length, digest)
    if end < _HEAD.size:
        raise damaged(uri, "trailer", "its sections do not fit into the file")
    return Trailer(version, **found)
