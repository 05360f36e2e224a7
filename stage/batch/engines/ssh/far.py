"""`main`: the far end of a pipe: does what home asks for, one thing after the other, until the pipe ends.

Its source comes over the pipe itself, so nothing has to be installed for it: it needs the standard library and blake3.
"""
# ruff: noqa: PTH110, PTH111, PTH116, PTH120, PTH123

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib.util
import io
import os
import pwd
import select
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stage.batch.engines.ssh.far_content import FarContent
from stage.batch.engines.ssh.far_places import FarPlaces, FarTrouble, worded
from stage.batch.engines.ssh.far_processes import run, start
from stage.batch.engines.ssh.far_receiving import Receiving
from stage.batch.engines.ssh.frames import CHUNK, Frames, FramesError

__all__ = ["main"]

_LOOK_S = 0.05
_MOST_OF_TAIL = 8 * CHUNK
_LISTED = 2000
AGENT_FILE, LOOK_FILE = "agent.json", "home.beat"
"""Where an agent is told by touching a file that home looks after it."""


class _Desk:
    """Does what is asked for.

    Parameters
    ----------
    frames : Frames
        The pipe.
    places : FarPlaces
        Below the base.
    """

    def __init__(self, frames: Frames, places: FarPlaces) -> None:
        self._frames, self._places = frames, places
        self._content = FarContent(places)

    def serve(self) -> None:
        """Answer until the other end is gone."""
        able: Mapping[str, Callable[..., Any]] = {
            "append": self._append,
            "fetch": self._fetch,
            "lacking": self._lacking,
            "names": self._names,
            "remove": self._places.remove,
            "run": self._run,
            "send": self._send,
            "start": self._start,
            "stat": self._stat,
            "tail": self._tail,
        }
        while True:
            message = self._frames.hear()
            if isinstance(message, memoryview):
                continue  # of a file that had been given up
            asked = dict(message)
            try:
                self._frames.say(ok=able[asked.pop("op")](**asked))
            except FarTrouble as trouble:
                self._frames.say(error=[trouble.code, str(trouble)])
            self._frames.flush()

    def _lacking(self, files: list[Any]) -> list[int]:
        return [i for i, (name, *rest) in enumerate(files) if not self._content.has(name, *rest)]

    def _send(self) -> int:
        receiving = Receiving(self._frames, self._places, self._content)
        try:
            return receiving.run()
        except FarTrouble as trouble:
            # At once, so that not all of a long stream comes in vain.
            self._frames.say(early=[trouble.code, str(trouble)])
            receiving.pass_by()
            raise
        finally:
            receiving.let_go()

    def _stat(self, names: list[str]) -> list[int | None]:
        return [self._size(name) for name in names]

    def _size(self, name: str) -> int | None:
        try:
            found = os.stat(self._places.to_read(name))
        except OSError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def _names(self, prefix: str) -> None:
        top = self._places.to_read(prefix)
        found: list[str] = []
        for folder, _, files in os.walk(top):
            below = os.path.relpath(folder, self._places.base)
            found += (name if below == "." else f"{below}/{name}" for name in files)
            if len(found) >= _LISTED:
                self._frames.say(names=found)
                found = []
        self._frames.say(names=found)

    def _fetch(self, names: list[str]) -> None:
        from blake3 import blake3

        for place, name in enumerate(names):
            path = self._places.to_read(name)
            try:
                source = open(path, "rb", buffering=0)  # noqa: SIM115 - it is closed two lines below
            except (FileNotFoundError, IsADirectoryError):
                self._frames.say(absent=place)
                continue
            except OSError as error:
                raise FarTrouble("far-disk", f"cannot read {path}: {error.strerror}") from error
            with source, worded(path, "read"):
                size, hasher = os.fstat(source.fileno()).st_size, blake3()
                self._frames.say(file=place, size=size)
                for part in _parts(source, size):
                    hasher.update(part)
                    self._frames.give(part)
                self._frames.say(sum=hasher.hexdigest())

    def _append(self, name: str, size: int) -> int:
        data = b"".join(bytes(part) for part in self._bytes(size))
        path = self._places.to_write(name)
        with worded(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                return _append_whole(fd, data)
            finally:
                os.close(fd)

    def _bytes(self, size: int) -> Iterator[memoryview]:
        while size > 0:
            part = self._frames.hear()
            if not isinstance(part, memoryview):
                raise FarTrouble("far-corrupt", "fewer bytes came than were announced")
            size -= len(part)
            yield part

    def _tail(self, name: str, offset: int, wait_s: float) -> None:
        path = self._places.to_read(name)
        self._look(os.path.dirname(path))
        until = time.monotonic() + wait_s
        ears = select.poll()
        ears.register(0, select.POLLIN)
        while not _is_longer(path, offset) and (left := until - time.monotonic()) > 0:
            if ears.poll(1000 * min(left, _LOOK_S)):
                break  # nobody waits for this any more
        with worded(path, "read"), contextlib.suppress(FileNotFoundError), open(path, "rb") as source:
            source.seek(offset)
            self._frames.give(source.read(_MOST_OF_TAIL))

    def _look(self, folder: str) -> None:
        """Let an agent know that somebody looks after it."""
        if os.path.exists(f"{folder}/{AGENT_FILE}"):
            with contextlib.suppress(OSError):
                os.close(os.open(f"{folder}/{LOOK_FILE}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
                os.utime(f"{folder}/{LOOK_FILE}")

    def _start(self, words: list[str], cwd: str, log: str, environment: dict[str, str]) -> int:
        folder, path = self._places.to_read(cwd), self._places.to_write(log)
        return start(words, folder, path, environment)

    def _run(self, words: list[str], environment: dict[str, str], timeout_s: float) -> list[Any]:
        return run(words, self._places.base, environment, timeout_s)


def main(given: Mapping[str, Any]) -> None:
    """Be the far end.

    Parameters
    ----------
    given : mapping
        ``base``, ``needs`` (modules that there must be), ``python`` (as it was called), ``source`` (the pipe) and
        ``magic``.
    """
    # What anything prints from here on is not to come between the frames.
    out = os.dup(1)
    os.dup2(2, 1)
    os.set_inheritable(out, False)
    frames = Frames(given["source"], lambda view: _write(out, view))
    _write(out, memoryview(given["magic"]))
    with contextlib.suppress(FramesError, BrokenPipeError, ConnectionResetError):
        lacks = [name for name in given["needs"] if importlib.util.find_spec(name) is None]
        try:
            places = FarPlaces(given["base"])
        except FarTrouble as trouble:
            frames.say(error=[trouble.code, str(trouble)])
            frames.flush()
            return
        frames.say(hello=_hello(places.base, given["python"]), lacks=lacks)
        _Desk(frames, places).serve()


def _hello(base: str, python: str) -> dict[str, Any]:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    version = ".".join(map(str, sys.version_info[:3]))
    path = shutil.which(os.path.expanduser(python)) or sys.executable
    return {
        "host": os.uname().nodename,
        "user": user,
        "base": base,
        "python_version": version,
        "pid": os.getpid(),
        "python": path,
        "boot": _boot(),
    }


def _boot() -> str:
    """Return a name of this life of the machine; what was written in another may have been lost with it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as source:
            return source.read(8)
    except OSError:
        return "any"


def _write(fd: int, view: memoryview) -> None:
    while view:
        view = view[os.write(fd, view) :]


def _parts(source: io.FileIO, size: int) -> Iterator[bytes]:
    while size > 0 and (part := source.read(min(CHUNK, size))):
        size -= len(part)
        yield part


def _append_whole(fd: int, data: bytes) -> int:
    """Add bytes whole or not at all; a line that somebody could not complete is ended first."""
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX)  # goes with the file
    size = os.fstat(fd).st_size
    if size and data.endswith(b"\n") and os.pread(fd, 1, size - 1) != b"\n":
        data = b"\n" + data
    is_whole = False
    try:
        is_whole = os.write(fd, data) == len(data)
        os.fsync(fd)
    finally:
        if not is_whole:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, size)
    if not is_whole:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return size + len(data)


def _is_longer(path: str, offset: int) -> bool:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size > offset
    return False
