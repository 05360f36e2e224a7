"""Bytes of a graph file by offset: a held descriptor for a local file, range requests for any other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from registry.errors import NotFoundError, StorageError
from sync.filesystem import files

__all__ = ["ByteSource"]

_TAIL_BYTES = 1 << 16
_COPY_BYTES = 1 << 23


class ByteSource:
    """One open file, read by ranges; its `name` may be shown, its `uri` may hold a password.

    Parameters
    ----------
    uri : str or path
        Where it is.

    Raises
    ------
    NotFoundError
        If there is none.
    StorageError
        If it cannot be read.
    """

    def __init__(self, uri: files.Uri) -> None:
        self.uri = os.fspath(uri)
        self.name = files.redact(self.uri)
        self.closed = False
        self._fd = -1
        path = files.local_text(uri)
        if path is None:
            self.size = files.size(uri)
        else:
            # Held open, so that what is read later is of the same file, whatever takes its name meanwhile.
            try:
                self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                self.size = os.fstat(self._fd).st_size
            except (FileNotFoundError, NotADirectoryError) as exc:
                raise NotFoundError(
                    f"no such file: {path}", code="no-such-file", context={"uri": path}
                ) from exc
            except OSError as exc:
                raise StorageError(f"cannot open {path}: {exc.strerror}", code="unreadable") from exc
        # Most of what opening needs stands at the end: one request brings it all.
        length = min(self.size, _TAIL_BYTES)
        self._tail_at = self.size - length
        self._tail = b""
        self._tail = self.read(self._tail_at, length)

    @property
    def tail(self) -> bytes:
        """The last bytes of the file."""
        return self._tail

    def read(self, offset: int, length: int) -> bytes:
        """Read a part of the file.

        Parameters
        ----------
        offset : int
            First byte.
        length : int
            How many.

        Returns
        -------
        bytes
            Fewer than `length` where the file ends before.

        Raises
        ------
        StorageError
            If it cannot be read.
        """
        length = max(0, min(length, self.size - offset)) if offset >= 0 else 0
        if self._tail and offset >= self._tail_at:
            return self._tail[offset - self._tail_at : offset - self._tail_at + length]
        if not length:
            return b""
        if self._fd < 0:
            return files.read_range(self.uri, offset, length)
        try:
            return self._pread(offset, length)
        except OSError as exc:
            raise StorageError(f"cannot read {self.name}: {exc.strerror}", code="unreadable") from exc

    def _pread(self, offset: int, length: int) -> bytes:
        first = os.pread(self._fd, length, offset)
        if len(first) == length or not first:
            return first
        parts = [first]  # one call reads at most 2 GiB
        have = len(first)
        while have < length and (more := os.pread(self._fd, length - have, offset + have)):
            parts.append(more)
            have += len(more)
        return b"".join(parts)

    def pieces(self, stop: int) -> Iterator[bytes]:
        """Read the file from its beginning up to an offset.

        Parameters
        ----------
        stop : int
            Where to end.

        Yields
        ------
        bytes
            Pieces of some megabytes.
        """
        for offset in range(0, stop, _COPY_BYTES):
            yield self.read(offset, min(_COPY_BYTES, stop - offset))

    def is_unchanged(self, n_bytes: int) -> bool:
        """Tell whether the file is still the one that was opened.

        Parameters
        ----------
        n_bytes : int
            How much of its end to compare.

        Returns
        -------
        bool
            Always true of a local file, which is held open.
        """
        if self._fd >= 0:
            return True
        return files.read_range(self.uri, self.size - n_bytes, 2 * n_bytes) == self._tail[-n_bytes:]

    def close(self) -> None:
        """Let go of the file; closing twice does nothing."""
        self.closed = True
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()
