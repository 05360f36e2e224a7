"""The parent's end of one worker process: how it is started, spoken to and ended.

A worker runs `stage.execution.process` and has nothing of the parent: it is a fresh interpreter, or the fork of one that
has loaded just that (`stage.execution.nursery`), but no fork of the parent (threads and
open databases would come along), no second import of the parent's ``__main__``, the working directory not on its
path, and libraries see the thread settings when they load. It runs in a process group of its own, so that Ctrl-C at a
terminal reaches the parent alone, and holds the read end of a *lifeline*, a pipe that ends when the parent does.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from multiprocessing.connection import Pipe
from typing import TYPE_CHECKING, Any

from stage.execution.threads import THREAD_VARIABLES

if TYPE_CHECKING:
    from stage.execution.executor import Assignment
    from stage.execution.nursery import Forked, Nursery
    from stage.execution.settings import RunnerSettings

__all__ = ["THREAD_VARIABLES", "WorkerProcess", "describe_exit", "thread_env"]

_BOOT = (
    "import sys, json; sys.path.extend(p for p in json.loads(sys.argv[3]) if p not in sys.path); "
    "from stage.execution.process import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)
_LONGEST = 1 << 27
"""A message has its length before it; letters and line ends that stand there instead make a larger number."""
_STANDARD = "-1"
"""Said in place of a descriptor: speak through standard input and output, which is what wrappers hand on."""


def thread_env(threads: int) -> dict[str, str]:
    """Return what holds numerical libraries to some threads, if it is there before they load.

    Parameters
    ----------
    threads : int
        How many.

    Returns
    -------
    dict
        The environment of this process, which counts before our settings, with them.
    """
    return {**dict.fromkeys(THREAD_VARIABLES, str(threads)), **os.environ}


def _wrapped(wrap: str, command: list[str]) -> list[str]:
    parts = {"{command}": command, "{arguments}": command[1:]}
    return [word for part in shlex.split(wrap) for word in parts.get(part, [part])]


class WorkerProcess:
    """The parent's end of one worker process.

    Parameters
    ----------
    settings : RunnerSettings
        What its runner is made from, and the command that wraps it.
    lifeline : int
        Descriptor of the read end of a pipe that this process never writes to.
    env : mapping of str to str
        Its environment.
    threads : int, optional
        How many threads that lets numerical libraries have.
    temporary : str, optional
        Its directory of temporary files.
    nursery : Nursery, optional
        Forks it; without one it is an interpreter of its own.

    Attributes
    ----------
    queue : collections.deque of Assignment
        What it was sent and has not answered yet; it runs the first of them.
    is_ready : bool
        Whether it has told that it can run quanta.
    kill_reason : str
        Why it was killed, if it was.
    """

    def __init__(
        self,
        settings: RunnerSettings,
        lifeline: int,
        env: Mapping[str, str],
        threads: int = 1,
        *,
        temporary: str = "",
        nursery: Nursery | None = None,
    ) -> None:
        self.temporary = temporary
        self.conn, theirs = Pipe(duplex=True)
        self.queue: deque[Assignment] = deque()
        self.threads = threads
        self.is_ready = False
        self.kill_reason = ""
        self.begin()
        self.process: subprocess.Popen[bytes] | Forked
        try:
            if nursery is not None:
                self.process = nursery.fork(theirs.fileno(), {"TMPDIR": temporary} if temporary else {})
            else:
                self.process = _start(settings.wrap, theirs.fileno(), lifeline, env)
        finally:
            theirs.close()
        self.sentinel = _pidfd(self.process.pid)
        self.send(settings.to_document())

    def begin(self) -> None:
        """Note that it goes on to its next quantum now."""
        self.since_ns = time.time_ns()
        self.since = time.monotonic()

    def send(self, message: Any) -> None:
        """Send it something.

        Parameters
        ----------
        message : object
            JSON values.
        """
        # A worker that has just died is found dead by the wait; what was sent to it goes back then.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.conn.send_bytes(json.dumps(message, separators=(",", ":")).encode())

    def receive(self) -> list[Any]:
        """Return the messages that are there.

        Returns
        -------
        list
            The last is None at the end of the pipe.
        """
        messages: list[Any] = []
        try:
            while self.conn.poll():
                messages.append(json.loads(self.conn.recv_bytes(_LONGEST)))
        except (EOFError, ConnectionError):
            messages.append(None)
        except (OSError, ValueError):
            self.kill("what came from it is no message: does the command that wraps it print something?")
            messages.append(None)
        return messages

    def kill(self, reason: str = "") -> None:
        """End it now, with what it has started.

        Parameters
        ----------
        reason : str, optional
            Why.
        """
        self.kill_reason = self.kill_reason or reason
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> int:
        """Make sure that it is gone, with whatever it had started.

        Returns
        -------
        int
            Its exit status.
        """
        self.kill()
        self.conn.close()
        if self.sentinel is not None:
            os.close(self.sentinel)
            self.sentinel = None
        return self.process.wait()


def _start(wrap: str, pipe: int, lifeline: int, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    path = json.dumps([p for p in sys.path if p])
    if not wrap:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT, str(pipe), str(lifeline), path],
            pass_fds=(pipe, lifeline),
            stdin=subprocess.DEVNULL,
            stdout=2,
            env=env,
            process_group=0,
        )
    command = _wrapped(wrap, [sys.executable, "-P", "-c", _BOOT, _STANDARD, _STANDARD, path])
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, env=env, process_group=0)


def _pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when a process ends, where the system has such.

    The end of its pipe tells too, unless a child of a task still holds it open.
    """
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def describe_exit(status: int) -> str:
    """Say how a process ended.

    Parameters
    ----------
    status : int
        As `subprocess.Popen.returncode`: negative for a signal.

    Returns
    -------
    str
        ``signal 9 (SIGKILL)``, or ``exit code 3``.
    """
    if status >= 0:
        return f"exit code {status}"
    try:
        return f"signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"signal {-status}"
