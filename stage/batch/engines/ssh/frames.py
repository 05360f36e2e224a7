"""`Frames`: what both ends of the pipe to a far machine say to each other: messages of JSON, and bytes.

The far end gets the source of this module over the pipe, so it needs nothing but the standard library.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

__all__ = ["CHUNK", "MAGIC", "Frames", "FramesError"]

MAGIC = b"\n\0stage-far 1\n"
"""After this the far end speaks in frames; what the profile of an account prints comes before it."""
CHUNK = 1 << 20
"""The most bytes of a file in one frame."""
_MESSAGE, _BYTES = 0, 1
_HEAD = struct.Struct(">BI")
_LONGEST = {_MESSAGE: 1 << 28, _BYTES: CHUNK}
_GATHERED = 1 << 17
"""Frames are gathered up to this: thousands of small ones are few writes."""


class FramesError(Exception):
    """The other end is gone, or says what is no frame."""


class Frames:
    """A pipe in each direction.

    Parameters
    ----------
    source : binary file
        Buffered; what the other end says.
    write : callable
        Writes all bytes that it is given.
    """

    def __init__(self, source: BinaryIO, write: Callable[[memoryview], object]) -> None:
        self._source = source
        self._write = write
        self._out = bytearray()
        self._room = memoryview(bytearray(CHUNK))

    def say(self, **message: Any) -> None:
        """Send a message, with the next `flush`.

        Parameters
        ----------
        **message : object
            Values of JSON.
        """
        # In ASCII, so that names of files that are no text come over as well.
        data = json.dumps(message, separators=(",", ":")).encode("ascii")
        self._out += _HEAD.pack(_MESSAGE, len(data))
        self._out += data
        self._shed()

    def give(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, with the next `flush`.

        Parameters
        ----------
        data : bytes
            Any number of them.
        """
        view = memoryview(data)
        for start in range(0, len(view), CHUNK):
            part = view[start : start + CHUNK]
            self._out += _HEAD.pack(_BYTES, len(part))
            if len(part) < _GATHERED:
                self._out += part
                self._shed()
            else:
                self.flush()
                self._write(part)

    def flush(self) -> None:
        """Send what has been gathered."""
        if self._out:
            out, self._out = self._out, bytearray()
            self._write(memoryview(out))

    def hear(self) -> Mapping[str, Any] | memoryview:
        """Wait for a frame.

        Returns
        -------
        mapping or memoryview
            A message; or bytes, which are overwritten by the next call.

        Raises
        ------
        FramesError
            If there is none: the other end is gone.
        """
        self.flush()
        head = memoryview(bytearray(_HEAD.size))
        self._fill(head)
        kind, size = _HEAD.unpack(head)
        if size > _LONGEST.get(kind, -1):
            raise FramesError("what comes is not what the other end should say")
        if kind == _BYTES:
            part = self._room[:size]
            self._fill(part)
            return part
        data = memoryview(bytearray(size))
        self._fill(data)
        message = json.loads(bytes(data))
        if not isinstance(message, dict):
            raise FramesError("what comes is not what the other end should say")
        return message

    def message(self) -> Mapping[str, Any]:
        """Wait for a message.

        Returns
        -------
        mapping
            What it says.

        Raises
        ------
        FramesError
            If something else comes, or nothing.
        """
        found = self.hear()
        if isinstance(found, memoryview):
            raise FramesError("bytes where there should be none")
        return found

    def _shed(self) -> None:
        if len(self._out) >= _GATHERED:
            self.flush()

    def _fill(self, view: memoryview) -> None:
        while view:
            count = self._source.readinto(view)  # type: ignore[attr-defined]
            if not count:
                raise FramesError("the other end is gone")
            view = view[count:]
