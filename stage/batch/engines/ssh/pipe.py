"""`Pipe`: ssh as a process, with a far end behind it: bytes go in and out, and nothing waits for ever."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Callable

from registry.errors import StorageError
from stage.batch.engines.ssh.failures import lost, not_reached
from stage.batch.engines.ssh.frames import MAGIC, FramesError
from stage.batch.engines.ssh.options import SshOptions
from stage.batch.engines.ssh.reaching import first_words, ssh_command

__all__ = ["Pipe"]

_SILENCE_S = 600.0
"""A far end that neither says nor takes anything for so long is given up: its disk may hang."""
_START_S = 60.0
"""So long python may take to start there, when somebody is in."""
_NOISE = 1 << 20
_END_S = 2.0
_SIZE = 1 << 20
_UNTOLD = ("Warning: Permanently added", "debug1:", "ControlSocket ", "mux_client")
_WORDS = 4
_LONGEST = 400


class Pipe:
    """The far end of a connection, from here.

    Parameters
    ----------
    options : SshOptions
        How to get there.

    Attributes
    ----------
    source : io.BufferedReader
        What the far end says, once it has begun.

    Raises
    ------
    StorageError
        If ssh cannot be started, or there is no far end within the time that it has.
    """

    def __init__(self, options: SshOptions) -> None:
        self._options = options
        # A file and no pipe: what ssh leaves in the background for further connections would keep that open.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        try:
            self._process = subprocess.Popen(
                ssh_command(options),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            self._said.close()
            raise StorageError(
                f"there is no program '{options.command}' here: {error.strerror}",
                code="no-ssh",
                hint="Install OpenSSH's client, or say where it is: 'command' in the section 'ssh' of the site.",
            ) from error
        streams = self._process.stdin, self._process.stdout
        self._in, self._out = (s.fileno() for s in streams if s)
        for fd in (self._in, self._out):
            os.set_blocking(fd, False)
            with contextlib.suppress(OSError):
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _SIZE)
        self._limit_s = options.connect_timeout + _START_S
        self.source = io.BufferedReader(_Ears(self._hear), 1 << 18)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        self._limit_s = _SILENCE_S

    def write_all(self, view: memoryview) -> None:
        """Write all of it.

        Parameters
        ----------
        view : memoryview
            Bytes.

        Raises
        ------
        FramesError
            If nobody takes it.
        """
        while view:
            try:
                view = view[os.write(self._in, view) :]
            except BlockingIOError:
                self._wait(self._in, select.POLLOUT)
            except OSError as error:
                raise FramesError(str(error)) from error

    def has_news(self) -> bool:
        """Tell whether the far end has said something, or is gone.

        Returns
        -------
        bool
            At once.
        """
        ears = select.poll()
        ears.register(self._out, select.POLLIN)
        return bool(ears.poll(0))

    def words(self) -> str:
        """Return what ssh, or what runs there, said last.

        Returns
        -------
        str
            One line.
        """
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - (1 << 14)))
        lines = (line.strip() for line in self._said.read().decode(errors="replace").splitlines())
        told = [line for line in lines if line and not line.startswith(_UNTOLD) and set(line) != {"@"}]
        return "; ".join(told[-_WORDS:])[-_LONGEST:]

    def lost(self) -> StorageError:
        """Return that the line broke, with what was said last.

        Returns
        -------
        StorageError
            Transient.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)  # its last words come before its end
        return lost(self._options, self.words())

    def close(self) -> None:
        """End it: the far end sees that nothing comes any more, and ends too."""
        if self._said.closed:
            return
        self.source.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def _begin(self) -> None:
        """Send the far end its program, and pass by what is printed before it begins."""
        until = time.monotonic() + self._limit_s
        seen = bytearray()
        with contextlib.suppress(FramesError):
            self.write_all(memoryview(first_words(self._options)))
            while not seen.endswith(MAGIC) and len(seen) < _NOISE and time.monotonic() < until:
                part = self.source.read(1)
                if not part:
                    break
                seen += part
        if seen.endswith(MAGIC):
            return
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(_END_S if time.monotonic() < until else 0)
        raise not_reached(self._options, code, self.words(), self._limit_s)

    def _hear(self, room: memoryview) -> int:
        while True:
            try:
                return os.readv(self._out, [room])
            except BlockingIOError:
                self._wait(self._out, select.POLLIN)

    def _wait(self, fd: int, event: int) -> None:
        ears = select.poll()
        ears.register(fd, event)
        if not ears.poll(1000 * self._limit_s):
            raise FramesError(f"nothing has come for {self._limit_s:g} s")


class _Ears(io.RawIOBase):
    """What `io.BufferedReader` reads from."""

    def __init__(self, hear: Callable[[memoryview], int]) -> None:
        self._hear = hear

    def readable(self) -> bool:
        return True

    def readinto(self, room: memoryview) -> int:  # type: ignore[override]
        return self._hear(room)
