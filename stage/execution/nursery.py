"""A process that has loaded what workers need, and makes them by forking: in a hundredth of an interpreter's start.

It has one thread and runs nothing itself, so that a fork of it is whole. The workers are its children and not ours:
that one has ended is told by its descriptor, and how by the nursery.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from stage.errors import ExecutionError

__all__ = ["Forked", "Nursery", "can_fork", "main"]

_BOOT = (
    "import sys, json; sys.path.extend(p for p in json.loads(sys.argv[3]) if p not in sys.path); "
    "from stage.execution.nursery import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)
_MESSAGE = 1 << 16
_UNKNOWN = 255
"""The exit status of a worker of which nobody can tell any more how it ended."""


def can_fork(env: Mapping[str, str]) -> bool:
    """Tell whether workers with some environment can be forked.

    Parameters
    ----------
    env : mapping of str to str
        Their environment.

    Returns
    -------
    bool
        On Linux, where numerical libraries have one thread: threads that they begin when they are loaded, a fork lacks.
    """
    return hasattr(os, "pidfd_open") and env.get("OMP_NUM_THREADS") == env.get("OPENBLAS_NUM_THREADS") == "1"


class Forked:
    """A worker process, with what `subprocess.Popen` has of it.

    Parameters
    ----------
    nursery : Nursery
        Whose child it is.
    pid : int
        Its number.
    """

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery
        # It is not forgotten before the nursery is asked about it, so the number is its own.
        self._handle = os.pidfd_open(pid)
        self._ended = select.poll()
        self._ended.register(self._handle, select.POLLIN)

    def poll(self) -> int | None:
        """Return how it ended, if it has.

        Returns
        -------
        int or None
            Negative for a signal; None if it lives.
        """
        if self.returncode is None and self._ended.poll(0):
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Parameters
        ----------
        timeout : float, optional
            The most seconds.

        Returns
        -------
        int
            How it ended.

        Raises
        ------
        subprocess.TimeoutExpired
            If it lives still.
        """
        if self.returncode is None:
            if not self._ended.poll(None if timeout is None else 1e3 * timeout):
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            self._end()
        return self.returncode or 0

    def _end(self) -> None:
        self.returncode = self._nursery.status(self.pid)
        os.close(self._handle)


class Nursery:
    """The parent's end of a nursery.

    Parameters
    ----------
    env : mapping of str to str
        Environment of all its workers.
    lifeline : int
        Descriptor of the read end of a pipe that this process never writes to.
    """

    def __init__(self, env: Mapping[str, str], lifeline: int) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = json.dumps([p for p in sys.path if p])
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, str(theirs.fileno()), str(lifeline), path],
                pass_fds=(theirs.fileno(), lifeline),
                stdin=subprocess.DEVNULL,
                stdout=2,
                env=dict(env),
                process_group=0,
            )
        finally:
            theirs.close()

    @property
    def is_alive(self) -> bool:
        """Whether it can make workers."""
        return self._process.poll() is None

    def fork(self, pipe: int, env: Mapping[str, str]) -> Forked:
        """Make a worker.

        Parameters
        ----------
        pipe : int
            Descriptor of its end of the pipe to this process.
        env : mapping of str to str
            What its environment has of its own.

        Returns
        -------
        Forked
            The worker.

        Raises
        ------
        ExecutionError
            If the nursery did not start, or died.
        """
        request = json.dumps({"env": dict(env)}).encode()
        answer = b""
        with contextlib.suppress(OSError):
            socket.send_fds(self._socket, [request], [pipe])
            answer = self._socket.recv(_MESSAGE)
        if not answer:
            raise ExecutionError(
                "worker processes do not start (what they are made from ended with "
                f"exit status {self._process.wait()})",
                code="worker-start-failed",
                hint="What they wrote to standard error says why; -j 0 runs without workers.",
            )
        return Forked(self, int(json.loads(answer)))

    def status(self, pid: int) -> int:
        """Return how a worker ended.

        Parameters
        ----------
        pid : int
            One that has ended.

        Returns
        -------
        int
            Negative for a signal; 255 if nobody can tell.
        """
        with contextlib.suppress(OSError):
            self._socket.send(json.dumps({"wait": pid}).encode())
            if answer := self._socket.recv(_MESSAGE):
                return int(json.loads(answer))
        return _UNKNOWN

    def close(self) -> None:
        """Let it end; its workers have ended before."""
        self._socket.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def main(channel: int, lifeline: int) -> None:
    """Make workers as they are asked for, until the parent closes its end.

    Parameters
    ----------
    channel : int
        Descriptor of this end of the socket to the parent.
    lifeline : int
        For the workers, as `stage.execution.process.main` takes it.
    """
    from stage.execution import process
    from sync.storage import formatter

    # What every task is made of is loaded here once and not by each worker; the first task that is defined makes
    # pydantic look through all that is installed.
    import_module("stage.tasks.noop")
    for name in ("json", "text"):
        formatter(name)
    # Ctrl-C is the parent's affair: it says what is to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is loaded is not looked through again in each worker, which would copy its pages.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=channel) as parent:
        while True:
            message, descriptors, _, _ = socket.recv_fds(parent, _MESSAGE, 1)
            if not message:
                return
            request: Any = json.loads(message)
            if "wait" in request:
                _, status = os.waitpid(request["wait"], 0)
                parent.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
                continue
            pid = os.fork()
            if not pid:
                break
            with contextlib.suppress(OSError):  # it has done so itself
                os.setpgid(pid, pid)
            os.close(descriptors[0])
            parent.send(json.dumps(pid).encode())
    os.setpgid(0, 0)
    os.environ.update(request["env"])
    _forget_shared()
    process.main(descriptors[0], lifeline)
    # What was forked is not taken down object by object: that would copy all that it shares with the nursery.
    atexit._run_exitfuncs()  # noqa: SLF001 - what tasks have registered for the end still runs
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _forget_shared() -> None:
    """Begin anew what forks would have in common: the place of temporary files, and random numbers."""
    tempfile.tempdir = None
    if (random := sys.modules.get("numpy.random")) is not None:
        random.seed()
