"""Size and checksum of bytes as they pass by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from registry.model.digest import new_hasher

__all__ = ["Tally", "counted"]


class Tally:
    """Counts and hashes bytes."""

    __slots__ = ("_hasher", "size")

    def __init__(self) -> None:
        self.size = 0
        self._hasher = new_hasher()

    @property
    def checksum(self) -> str:
        """The checksum so far, as artifacts record it: ``blake3:…``."""
        return f"blake3:{self._hasher.hexdigest()}"

    def take(self, chunk: bytes) -> None:
        """Count more bytes.

        Parameters
        ----------
        chunk : bytes
            The next of them.
        """
        self.size += len(chunk)
        self._hasher.update(chunk)

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Hand bytes on and count them.

        Parameters
        ----------
        chunks : iterable of bytes
            Where they come from.

        Yields
        ------
        bytes
            The same pieces.
        """
        for chunk in chunks:
            self.take(chunk)
            yield chunk


def counted(chunks: Iterable[bytes]) -> tuple[int, str]:
    """Return the size and checksum of bytes that nobody else wants.

    Parameters
    ----------
    chunks : iterable of bytes
        Where they come from.

    Returns
    -------
    (int, str)
        Both as artifacts record them.
    """
    tally = Tally()
    for chunk in chunks:
        tally.take(chunk)
    return tally.size, tally.checksum
