"""Any other form, compressed with Zstandard: ``json.zst``, ``text.zst`` and so on."""

from __future__ import annotations

import threading

import zstandard

from registry.errors import IntegrityError
from sync.formatters.base import Formatter, reading

__all__ = ["CompressedFormatter"]

_LEVEL = 3


class _Contexts(threading.local):
    """Compressors are dear to make and serve one thread at a time."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


class CompressedFormatter:
    """Another formatter's files, compressed.

    Parameters
    ----------
    inner : Formatter
        The other.
    """

    def __init__(self, inner: Formatter) -> None:
        self.inner = inner
        self.name = f"{inner.name}.zst"
        self.extension = f"{inner.extension}.zst"

    def encode(self, obj: object) -> bytes:
        """Return the compressed bytes of a file.

        Parameters
        ----------
        obj : object
            What the other formatter takes.

        Returns
        -------
        bytes
            One Zstandard frame.
        """
        return _contexts.compressor.compress(self.inner.encode(obj))

    def decode(self, data: bytes) -> object:
        """Return the object that compressed bytes hold.

        Parameters
        ----------
        data : bytes
            One or more Zstandard frames.

        Returns
        -------
        object
            What the other formatter reads.

        Raises
        ------
        IntegrityError
            If they are damaged or end too early.
        """
        return self.inner.decode(_decompress(data, self.name))


def _decompress(data: bytes, name: str) -> bytes:
    parts = []
    with reading(name):
        while data:
            # Not the one-call form: it needs the size, which frames written by a stream do not tell.
            frame = _contexts.decompressor.decompressobj()
            parts.append(frame.decompress(data))
            if not frame.eof:
                raise IntegrityError(
                    f"not readable as '{name}': the file ends too early", code="damaged-file"
                )
            data = frame.unused_data
    if not parts:
        raise IntegrityError(f"not readable as '{name}': the file is empty", code="damaged-file")
    return parts[0] if len(parts) == 1 else b"".join(parts)
