"""`Sending`: files on their way to a far machine: small ones in groups, of large ones only what is not there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from registry.errors import IntegrityError
from stage.batch.engines.ssh.frames import CHUNK, Frames
from sync.filesystem import files

__all__ = ["FarFile", "Sending", "in_memory"]

_GROUP = 256
_RESUMED = 4 * CHUNK
"""From this size on it is worth a round trip to ask how much is there already."""
_Open = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class FarFile:
    """A file on a far machine.

    Parameters
    ----------
    name : str
        Its name below the base.
    size : int
        Its size.
    checksum : str, optional
        ``blake3:…``; empty if it need not be kept by its content.
    executable : bool, optional
        Whether it can be run.
    """

    name: str
    size: int
    checksum: str = ""
    executable: bool = False

    def row(self) -> tuple[str, int, str, bool]:
        """Return what the far end is told.

        Returns
        -------
        tuple
            All of it.
        """
        return self.name, self.size, self.checksum, self.executable


class Sending:
    """One stream of files.

    Parameters
    ----------
    sources : iterable of (FarFile, str, callable)
        Each with its name here, and what gives its bytes.
    """

    def __init__(self, sources: Iterable[tuple[FarFile, str, _Open]]) -> None:
        self._sources = sources
        self._group: list[tuple[FarFile, str, _Open]] = []
        self._size = 0
        self.n_bytes = 0
        """So many went over the line."""

    @classmethod
    def of_files(cls, sources: Iterable[tuple[FarFile, str]]) -> Sending:
        """Make a stream of files that are somewhere.

        Parameters
        ----------
        sources : iterable of (FarFile, str)
            Each with its path or URI here.

        Returns
        -------
        Sending
            Not begun.
        """
        return cls((file, uri, _opener(uri)) for file, uri in sources)

    def run(self, frames: Frames, is_answered: Callable[[], bool]) -> None:
        """Send them, as long as the far end does not say that something is wrong.

        Parameters
        ----------
        frames : Frames
            The pipe.
        is_answered : callable
            Whether the far end says something that it was not asked.

        Raises
        ------
        IntegrityError
            If a file is not what was announced.
        StageError
            If one cannot be read.
        """
        for source in self._sources:
            if is_answered():
                return
            if source[0].size >= _RESUMED:
                self._send_group(frames)
                if not self._send_large(frames, source, is_answered):
                    return
                continue
            self._group.append(source)
            self._size += source[0].size
            if self._size >= CHUNK or len(self._group) >= _GROUP:
                self._send_group(frames)
        self._send_group(frames)

    def _send_group(self, frames: Frames) -> None:
        group, self._group, self._size = self._group, [], 0
        if not group:
            return
        frames.say(files=[(*file.row(), 0) for file, _, _ in group])
        gathered = bytearray()
        for file, named, read in group:
            try:
                for part in _exactly(file, named, read()):
                    gathered += part
            except BaseException:
                frames.give(gathered)
                frames.say(spoilt=True)
                raise
            if len(gathered) >= CHUNK:
                self._give(frames, gathered)
                gathered = bytearray()
        self._give(frames, gathered)

    def _send_large(
        self, frames: Frames, source: tuple[FarFile, str, _Open], is_answered: Callable[[], bool]
    ) -> bool:
        """Send one; false if the far end says in between that something is wrong."""
        file, named, read = source
        held = 0
        if file.checksum:
            frames.say(held=file.checksum)
            answer = frames.hear()
            if isinstance(answer, memoryview) or "held" not in answer:
                return False
            held = min(answer["held"], file.size)
        frames.say(files=[(*file.row(), held)])
        passed = 0
        try:
            for part in _exactly(file, named, read()):
                if is_answered():
                    return False
                if passed + len(part) > held:
                    self._give(frames, part[max(0, held - passed) :])
                passed += len(part)
        except BaseException:
            frames.say(spoilt=True)
            raise
        return True

    def _give(self, frames: Frames, data: bytes | bytearray) -> None:
        frames.give(data)
        self.n_bytes += len(data)


def in_memory(name: str, data: bytes, *, executable: bool) -> Sending:
    """Return a stream of one file that is nowhere but in memory.

    Parameters
    ----------
    name : str
        Its name below the base.
    data : bytes
        What it is to hold.
    executable : bool
        Whether it can be run.

    Returns
    -------
    Sending
        Not begun.
    """
    return Sending([(FarFile(name, len(data), executable=executable), name, lambda: [data])])


def _opener(uri: str) -> _Open:
    return lambda: files.read_chunks(uri)


def _exactly(file: FarFile, named: str, parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of a file that is as long as it is said to be."""
    size = 0
    for part in parts:
        size += len(part)
        if size > file.size:
            break
        yield part
    if size != file.size:
        raise IntegrityError(
            f"{named} is not what it was: it has {'more than' if size > file.size else ''} {min(size, file.size):,} "
            f"bytes of {file.size:,}",
            code="far-corrupt",
            hint="Something writes into it. Submit again when it is complete.",
        )
