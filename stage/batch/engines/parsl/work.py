"""What a worker of a pilot does with a job: it starts it, watches over it, and says how it ended."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stage.batch.engines.base import Cause, JobEvent, JobRequest, JobState
from stage.batch.engines.leftovers import TAG
from stage.batch.engines.parsl.warm import ForkedJob, Warmth
from stage.batch.engines.processes import JobProcess
from stage.batch.workflow.model import JobSettings

__all__ = ["Ending", "Task", "run_task"]

_MEMORY_S = 0.25
"""So often the memory of a running job is looked at."""
_NO_SENTINEL_S = 0.02

Ending = tuple[str, str, int | None, str, str]
"""State, cause, exit code, message and host of a `JobEvent`."""


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt of one job, as a worker gets it.

    Parameters
    ----------
    tag : str
        By which all its processes are known.
    command : tuple of str
        Program and arguments.
    directory : str
        The submission's.
    log : str
        Where what it prints goes.
    stop : str
        A file: where it is, the attempt has been cancelled.
    environment : mapping of str to str, optional
        Variables that are set.
    memory_mb : int, optional
        What it may have.
    walltime : int, optional
        Minutes that it may take.
    check_s : float, optional
        How often to look for `stop`.
    forks : bool, optional
        Whether our own program may be run in a fork of the worker.
    """

    tag: str
    command: tuple[str, ...]
    directory: str
    log: str
    stop: str
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int | None = None
    walltime: int | None = None
    check_s: float = 5.0
    forks: bool = True

    def pack(self) -> bytes:
        """Return it as it travels.

        Returns
        -------
        bytes
            For `run_task`.
        """
        return json.dumps({name: getattr(self, name) for name in self.__slots__}).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Task:
        """Return what was packed.

        Parameters
        ----------
        packed : bytes
            What `pack` returned.

        Returns
        -------
        Task
            The same.
        """
        values = json.loads(packed)
        return cls(**{**values, "command": tuple(values["command"])})


_warmth = Warmth()
"""Of this process, which is one worker."""


def run_task(packed: bytes) -> Ending:
    """Run one job in a worker; called by Parsl, by name.

    Parameters
    ----------
    packed : bytes
        `Task.pack`.

    Returns
    -------
    tuple
        How it ended.
    """
    task = Task.unpack(packed)
    if os.path.lexists(task.stop):
        return _ending(JobState.DELETED, Cause.CANCELLED, "cancelled before it began")
    try:
        process = _start(task)
    except OSError as error:
        named = error.filename or task.command[0]
        return _ending(JobState.FAILED, Cause.START, f"cannot start {os.fsdecode(named)}: {error.strerror}")
    _watch(process, task)
    event = process.close()
    if isinstance(process, ForkedJob) and (loaded := process.loaded()):
        _warmth.load(loaded)
    return _ending(event.state, event.cause, event.message, event)


def _ending(state: str, cause: str, message: str, event: JobEvent | None = None) -> Ending:
    return str(state), str(cause), event.exit_code if event else None, message, os.uname().nodename


def _start(task: Task) -> JobProcess:
    settings = JobSettings("", request_walltime=task.walltime)
    request = JobRequest(0, "", 0, task.command, Path(task.log), settings, task.memory_mb)
    env = {**os.environ, **task.environment, TAG: task.tag}
    program = _warmth.program(task.command, task.environment, env.get("PATH", "")) if task.forks else None
    if program is None:
        return JobProcess(request, Path(task.directory), env)
    return ForkedJob(request, Path(task.directory), env, program)


def _watch(process: JobProcess, task: Task) -> None:
    """Wait for the end of a job, and bring it about where a limit is passed or somebody wants it."""
    look_at = memory_at = 0.0
    while True:
        now = time.monotonic()
        if now >= look_at:
            if look_at and os.path.lexists(task.stop):
                process.end(Cause.CANCELLED, "cancelled while it ran")
            look_at = now + task.check_s
        is_time = bool(task.memory_mb) and now >= memory_at
        if is_time:
            memory_at = now + _MEMORY_S
        process.look_after(memory=is_time)
        moments = [look_at, process.next_moment(), *([memory_at] if task.memory_mb else [])]
        if _ended_within(process, min(moments) - time.monotonic()):
            return


def _ended_within(process: JobProcess, longest_s: float) -> bool:
    if process.sentinel is None:
        time.sleep(max(0.0, min(longest_s, _NO_SENTINEL_S)))
        return process.has_ended()
    watch = select.poll()
    watch.register(process.sentinel, select.POLLIN)
    return bool(watch.poll(max(0.0, 1000 * longest_s)))
