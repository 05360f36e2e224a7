"""Text of any length, of which a head and a tail are kept: in memory, and in a file for those who watch."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from pathlib import Path

__all__ = ["DEFAULT_LIMIT", "KeptText"]

DEFAULT_LIMIT = 2_000_000
"""Bytes of a quantum's log that are kept unless said otherwise."""
_MARK = b"... %d bytes left out ...\n"


class KeptText:
    """Takes text piece by piece; of what is beyond a limit, the middle goes.

    Memory and file are at most one and a half times the limit while it grows, and all of it together costs time
    in proportion to what is added.

    Parameters
    ----------
    path : str, optional
        A file that has each piece as soon as it is added; replaced if it is there.
    limit : int, optional
        Bytes to keep, half of them from the beginning; 0 keeps all.
    """

    def __init__(self, path: str = "", limit: int = DEFAULT_LIMIT) -> None:
        self._share = limit // 2
        self._head: list[bytes] = []
        self._head_size = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._left_out = 0
        self._file = _open(path) if path else None

    def add(self, text: str) -> None:
        """Take a piece: whole lines, or the rest of the last one.

        Parameters
        ----------
        text : str
            The piece; what no encoding can hold is written as its escape.
        """
        self._take(text.encode(errors="backslashreplace"))

    def resume(self, path: str) -> None:
        """Begin with what another process left in its file.

        Parameters
        ----------
        path : str
            The file; it may be missing.
        """
        with contextlib.suppress(OSError):
            self.add(Path(path).read_text(encoding="utf-8", errors="replace"))

    @property
    def text(self) -> str:
        """What is kept, with a line that says how many bytes were left out between head and tail."""
        self._shorten(self._share)
        return b"".join((*self._head, *self._middle(), *self._tail)).decode(errors="replace")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, data: bytes) -> None:
        room = 0 if self._tail else len(data)
        if self._share and self._head_size + room > self._share:
            room = data.rfind(b"\n", 0, self._share - self._head_size) + 1
        if room:
            self._head.append(data[:room])
            self._head_size += room
        if room < len(data):
            self._tail.append(data[room:])
            self._tail_size += len(data) - room
        if self._tail_size > 2 * self._share:
            # At twice the size, so that each byte is moved once.
            self._shorten(self._share)
            self._rewrite()
        else:
            self._write(data)

    def _shorten(self, size: int) -> None:
        """Drop what is oldest in the tail until so much is left, and begin what stays with a whole line."""
        while self._tail_size > size:
            first = self._tail.popleft()
            surplus = min(self._tail_size - size, len(first))
            cut = first.find(b"\n", surplus - 1) + 1
            if not cut or (cut == len(first) and not self._tail):
                cut = surplus  # the middle of a long line
            if cut < len(first):
                self._tail.appendleft(first[cut:])
            self._tail_size -= cut
            self._left_out += cut

    def _middle(self) -> tuple[bytes, ...]:
        if not self._left_out:
            return ()
        ended = not self._head or self._head[-1].endswith(b"\n")
        return (b"" if ended else b"\n", _MARK % self._left_out)

    def _rewrite(self) -> None:
        """Put the tail as it is now after the head, in place of what followed it."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._head_size)
            self._write(b"".join((*self._middle(), *self._tail)))

    def _write(self, data: bytes) -> None:
        if self._file is None:
            return
        # Watching is a convenience: a full disk there is no reason to fail.
        with contextlib.suppress(OSError):
            os.write(self._file, data)


def _open(path: str) -> int | None:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o666)
    except OSError:
        return None
