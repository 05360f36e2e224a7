"""`JobProcess`: a job as processes of this machine, which end together: by themselves, by a limit, or with their parent."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from stage.batch.engines.base import Cause, JobEvent, JobRequest, JobState
from stage.execution.memory import was_killed_for_memory
from stage.execution.worker_process import describe_exit

__all__ = ["GuardedJob", "JobProcess", "Started", "memory_kills"]

_MB = 1 << 20
_PR_SET_PDEATHSIG = 1
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TAIL = 2048
_LINE = 200
_WANT_OF_MEMORY = (
    b"MemoryError",
    b"Cannot allocate memory",
    b"std::bad_alloc",
    b"out of memory",
    b"Out of memory",
)
_HOST = socket.gethostname()
_LIMITED = 'ulimit -S -d "$1"; shift; exec "$@"'


class Started(Protocol):
    """A process that was started, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """Its number."""

    def wait(self) -> int:
        """Wait for its end.

        Returns
        -------
        int
            Its exit code; negative is a signal.
        """


def _prctl() -> Callable[..., int] | None:
    with contextlib.suppress(OSError, AttributeError):
        found: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
        return found
    return None


_PRCTL = _prctl()


class JobProcess:
    """One attempt of a job, running.

    Parameters
    ----------
    request : JobRequest
        What runs.
    directory : pathlib.Path
        Where.
    environment : mapping of str to str
        All its variables.

    Attributes
    ----------
    doom : Cause
        Why it was ended from here, if it was.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self, request: JobRequest, directory: Path, environment: Mapping[str, str]) -> None:
        self.request = request
        self.doom = Cause.NONE
        self._message = ""
        self._kill_at = float("inf")
        self._kills_before = memory_kills()
        minutes = request.settings.request_walltime
        self._deadline = time.monotonic() + 60 * minutes if minutes else float("inf")
        parent = os.getpid()

        def begin() -> None:
            # Runs in the child before its program: it is to end with its parent, and to have no more than it may.
            if _PRCTL is not None:
                _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            _limit_memory(request.memory_mb)

        with request.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = self._start(log.fileno(), directory, environment, begin)
        self.host = _HOST
        self.pid = self._process.pid
        self.sentinel: int | None = None
        with contextlib.suppress(AttributeError, OSError):
            self.sentinel = os.pidfd_open(self.pid)

    def _start(
        self, output: int, directory: Path, environment: Mapping[str, str], begin: Callable[[], None]
    ) -> Started:
        """Start it, with `begin` called in the child before anything else."""
        return subprocess.Popen(
            self.request.command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=begin,  # noqa: PLW1509 - it calls the system only; nothing else can tie it to its parent
        )

    def next_moment(self) -> float:
        """Return when something is to be done about it, if nothing else happens.

        Returns
        -------
        float
            By `time.monotonic`.
        """
        return min(self._kill_at, self._deadline if not self.doom else float("inf"))

    def look_after(self, *, memory: bool) -> None:
        """End it if it has outlived a limit.

        Parameters
        ----------
        memory : bool
            Whether to look at its memory too, which costs some reads.
        """
        now = time.monotonic()
        if now >= self._kill_at:
            self.kill()
        elif not self.doom and now >= self._deadline:
            self.end(Cause.TIME, f"it ran longer than {self.request.settings.request_walltime:g} minutes")
        elif memory and not self.doom and self.request.memory_mb:
            used = _tree_mb(self.pid)
            if used > self.request.memory_mb:
                self.end(Cause.MEMORY, f"it used {used:,.0f} MB of {self.request.memory_mb:,}", grace_s=0.0)

    def end(self, cause: Cause, message: str, *, grace_s: float = 5.0) -> None:
        """Ask it to end, and kill it if it does not.

        Parameters
        ----------
        cause : Cause
            Why.
        message : str
            For a person.
        grace_s : float, optional
            How long it has; without any it is killed at once.
        """
        if self.doom:
            return
        self.doom, self._message = cause, message
        if grace_s:
            self._kill_at = time.monotonic() + grace_s
            self._signal(signal.SIGTERM)
        else:
            self.kill()

    def kill(self) -> None:
        """End it now, with all that it has started."""
        self._kill_at = float("inf")
        # What it started in groups of their own ends too, so they are looked up while their parents still live.
        for pid in [*_tree(self.pid), self.pid]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def has_ended(self) -> bool:
        """Tell whether its first process has ended, without taking its status away.

        Returns
        -------
        bool
            Whether it has; then `close` does not wait.
        """
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def close(self) -> JobEvent:
        """Wait for its end, and see that nothing of it is left.

        Returns
        -------
        JobEvent
            What it came to.
        """
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self._signal(signal.SIGKILL)  # while its number is still its own
        code = self._process.wait()
        if self.sentinel is not None:
            os.close(self.sentinel)
            self.sentinel = None
        number, attempt = self.request.number, self.request.attempt
        if self.doom == Cause.CANCELLED:
            return JobEvent(number, attempt, JobState.DELETED, self.doom, code, self._message, _HOST)
        if not code and not self.doom:
            return JobEvent(number, attempt, JobState.SUCCEEDED, Cause.NONE, 0, "", _HOST)
        cause, message = self._why(code)
        return JobEvent(number, attempt, JobState.FAILED, cause, code, message, _HOST)

    def _why(self, code: int) -> tuple[Cause, str]:
        if self.doom:
            return self.doom, self._message
        tail = self._tail()
        said = describe_exit(code) + (f": {tail[-1]}" if tail else "")
        if was_killed_for_memory(code) and memory_kills() > self._kills_before:
            return Cause.MEMORY, f"the system killed it for want of memory ({describe_exit(code)})"
        if self.request.memory_mb and any(word in line.encode() for line in tail for word in _WANT_OF_MEMORY):
            return Cause.MEMORY, said
        return Cause.EXIT, said

    def _tail(self) -> list[str]:
        """Return the last lines that it has printed, shortened."""
        with contextlib.suppress(OSError), self.request.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - _TAIL))
            lines = log.read(_TAIL).decode(errors="replace").splitlines()
            return [line.strip()[:_LINE] for line in lines if line.strip()]
        return []


class GuardedJob(JobProcess):
    """A job of a parent that has a guard (`stage.batch.engines.leftovers.Guard`), and so need not be tied to it itself.

    To do something in a child before its program takes a fork of all that its parent has, which costs more than the
    rest of starting it; so a shell does what is to be done.
    """

    def _start(
        self, output: int, directory: Path, environment: Mapping[str, str], begin: Callable[[], None]
    ) -> Started:
        del begin
        command = self.request.command
        if self.request.memory_mb:
            # The shell would only say of a program that is not there what anybody could have said.
            found = shutil.which(
                directory / command[0] if "/" in command[0] else command[0], path=environment.get("PATH")
            )
            if found is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
            command = ("/bin/sh", "-c", _LIMITED, "sh", str(1024 * self.request.memory_mb), *command)
        return subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _limit_memory(memory_mb: int | None) -> None:
    if not memory_mb:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = memory_mb * _MB
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def memory_kills() -> int:
    """Return how many processes the system has killed for want of memory.

    Returns
    -------
    int
        Since it began; 0 where it does not tell.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        found = Path("/proc/vmstat").read_bytes().partition(b"\noom_kill ")[2]
        return int(found.split(None, 1)[0])
    return 0


def _tree(pid: int) -> list[int]:
    """Return the processes that one has started, and those that these have."""
    found: list[int] = []
    front = [pid]
    while front:
        parent = front.pop()
        with contextlib.suppress(OSError, ValueError):
            for thread in os.scandir(f"/proc/{parent}/task"):
                children = Path(thread.path, "children").read_bytes().split()
                found += map(int, children)
                front += map(int, children)
    return found


def _tree_mb(pid: int) -> float:
    """Return the memory that is a job's own: of its processes, without what they share with others."""
    total = 0
    for one in [pid, *_tree(pid)]:
        with contextlib.suppress(OSError, ValueError, IndexError):
            _, resident, shared, *_ = Path(f"/proc/{one}/statm").read_bytes().split()
            total += int(resident) - int(shared)
    return total * _PAGE / _MB
