"""`Receiving`: files that come to a far machine: each is written aside, checked, and named when it is whole.

It runs there, with nothing but the standard library and blake3.
"""
# ruff: noqa: PTH101, PTH105, PTH108

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any

from stage.batch.engines.ssh.far_content import FarContent, Held
from stage.batch.engines.ssh.far_places import FarPlaces, FarTrouble, worded
from stage.batch.engines.ssh.frames import Frames

__all__ = ["Receiving"]


class Receiving:
    """One stream of files. What goes wrong is said at once, and the rest of the stream is let pass.

    Parameters
    ----------
    frames : Frames
        The pipe.
    places : FarPlaces
        Below the base.
    content : FarContent
        What is kept by content.
    """

    def __init__(self, frames: Frames, places: FarPlaces, content: FarContent) -> None:
        self._frames, self._places, self._content = frames, places, content
        self._held: Held | None = None
        self._rest = memoryview(b"")
        self._is_spoilt = False
        self._count = 0

    def run(self) -> int:
        """Take files until the other end says that there are no more.

        Returns
        -------
        int
            How many came.

        Raises
        ------
        FarTrouble
            If one could not be written, or is not what was announced. All before it are there. The other end may
            be in the middle of the stream: `pass_by` is what is to follow, after it was told.
        """
        while True:
            message = self._frames.hear()
            if isinstance(message, memoryview):
                raise FarTrouble("far-corrupt", "bytes of no file")
            if "end" in message:
                return self._count
            if "held" in message:
                self._say_held(message["held"])
                continue
            self._take(message["files"])

    def pass_by(self) -> None:
        """Let pass what still comes of the stream."""
        self.let_go()
        while isinstance(message := self._frames.hear(), memoryview) or "end" not in message:
            pass

    def let_go(self) -> None:
        """Close what is open; what came of a large file stays for the next line."""
        if self._held is not None:
            os.close(self._held.fd)
            self._held = None

    def _say_held(self, checksum: str) -> None:
        self.let_go()
        self._held = self._content.held(checksum)
        self._frames.say(held=self._held.size if self._held else 0)
        self._frames.flush()

    def _take(self, group: Sequence[Any]) -> None:
        self._is_spoilt = False
        for name, size, checksum, executable, offset in group:
            path = self._places.to_write(name)
            with worded(path):
                if not self._take_one(path, size - offset, checksum, bool(executable)):
                    return
            self._count += 1

    def _take_one(self, path: str, size: int, checksum: str, executable: bool) -> bool:
        """Write one file; false if the other end says that it is not what it announced."""
        held, self._held = self._held, None
        aside = held.path if held else self._places.aside()
        fd = held.fd if held else os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        is_whole = False
        try:
            self._write(fd, held, size, checksum, path)
            is_whole = not self._is_spoilt
        except FarTrouble:
            held = None  # what came is wrong: nothing is added to it
            raise
        finally:
            os.close(fd)
            if not is_whole and (held is None or self._is_spoilt):
                with contextlib.suppress(OSError):
                    os.unlink(aside)
        if is_whole:
            self._name(aside, path, checksum, executable=executable)
        return is_whole

    def _write(self, fd: int, held: Held | None, size: int, checksum: str, path: str) -> None:
        hasher = _hasher() if checksum else None
        if hasher and held:
            held.hash(hasher)
        left = size
        while left > 0 and (part := self._part(left)):
            if hasher:
                hasher.update(part)
            left -= len(part)
            while part:
                part = part[os.write(fd, part) :]
        if hasher and not self._is_spoilt and f"blake3:{hasher.hexdigest()}" != checksum:
            found = f"blake3:{hasher.hexdigest()}"
            raise FarTrouble("far-corrupt", f"what came for {path} is {found}; it was to be {checksum}")

    def _part(self, most: int) -> memoryview:
        """Return the next bytes of the file; none if the other end has given it up."""
        if not self._rest:
            found = self._frames.hear()
            if not isinstance(found, memoryview):
                self._is_spoilt = True
                return memoryview(b"")
            self._rest = found
        part, self._rest = self._rest[:most], self._rest[most:]
        return part

    def _name(self, aside: str, path: str, checksum: str, *, executable: bool) -> None:
        if checksum:
            kept_at = self._content.keep(aside, checksum)
            self._content.name(kept_at, path, executable=executable)
            return
        if executable:
            os.chmod(aside, 0o755)  # noqa: S103 - as a program in any directory
        os.replace(aside, path)


def _hasher() -> Any:
    from blake3 import blake3

    return blake3()
