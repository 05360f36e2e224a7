"""`LocalEngine`: jobs as processes of this machine, as many at once as it has room for."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from registry.errors import UsageError
from stage.batch.engines.base import Cause, DrivenEngine, EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.leftovers import TAG, Guard, end_left_over
from stage.batch.engines.processes import GuardedJob, JobProcess
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import Workflow
from stage.execution.admission import Admission, Need
from stage.execution.memory import machine_memory_mb

__all__ = ["LocalEngine"]

_WATCH_S = 0.25
"""So often the memory of running jobs is looked at."""
_NO_SENTINEL_S = 0.02
_OVERTAKEN_MAX = 32
"""So many smaller jobs may begin before one that waits for room; then they wait too."""
_CORES = ("cores", "numberOfProcesses")


class LocalEngine(DrivenEngine):
    """Processes of this machine, within its cores and its memory.

    Parameters
    ----------
    settings : EngineSettings
        Options of the site: ``cores`` (or ``numberOfProcesses``) and ``memory`` in megabytes; by default what this
        process may use.

    Raises
    ------
    UsageError
        If an option is no positive number.
    """

    name: ClassVar[str] = "local"

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        chosen = next((key for key in _CORES if settings.options.get(key) is not None), "")
        self.cores = _positive(settings.options, chosen) if chosen else _usable_cores()
        has_memory = settings.options.get("memory") is not None
        self.memory_mb = _positive(settings.options, "memory") if has_memory else machine_memory_mb()
        self._room = Admission(self.cores, self.memory_mb)
        self._where = SubmitDir(Path())
        self._waiting: list[JobRequest] = []
        self._running: dict[int, JobProcess] = {}
        self._guard: Guard | None = None
        self._life = ""
        self._said: list[JobEvent] = []
        self._overtaken = 0
        self._look_at = 0.0

    @property
    def capacity(self) -> int:
        """Number of cores."""
        return self.cores

    def ping(self) -> str:
        """Say what there is.

        Returns
        -------
        str
            Cores and memory.
        """
        return f"this machine: {self.cores} cores, {self.memory_mb:,} MB"

    def memory_limit_mb(self, pattern: str = "") -> int:
        """Return the most memory that a job can get.

        Parameters
        ----------
        pattern : str, optional
            Counts for nothing: there is one machine.

        Returns
        -------
        int
            Megabytes.
        """
        del pattern
        return self.memory_mb

    def prepare(self, workflow: Workflow, where: SubmitDir) -> list[Path]:
        """Refuse what can never run here; there is nothing to write.

        Parameters
        ----------
        workflow : Workflow
            The jobs.
        where : SubmitDir
            The submission's directory.

        Returns
        -------
        list of pathlib.Path
            None.

        Raises
        ------
        UsageError
            If jobs ask for more memory than there is.
        """
        del where
        for settings in workflow.settings:
            if (settings.request_memory or 0) > self.memory_mb:
                raise UsageError(
                    f"jobs of '{settings.label}' ask for {settings.request_memory:,} MB of memory; "
                    f"there are {self.memory_mb:,} here",
                    code="no-room",
                    hint="Lower requestMemory, or raise 'memory' of the site if there is more.",
                )
        return []

    def open(self, where: SubmitDir, known: Mapping[int, tuple[int, str]]) -> Sequence[tuple[int, int, str]]:
        """Get ready. What a head that was killed has left running is ended.

        Parameters
        ----------
        where : SubmitDir
            The submission's directory.
        known : mapping of int to (int, str)
            Jobs that had not ended; all begin again.

        Returns
        -------
        sequence
            Empty.
        """
        del known
        self._where = where
        self._life = os.urandom(6).hex()
        end_left_over(f"{where.tag}#")
        return ()

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Begin what there is room for; the rest waits its turn.

        Parameters
        ----------
        requests : sequence of JobRequest
            Attempts.

        Returns
        -------
        sequence of str or JobEvent
            An empty handle each, since nothing outlives the head; or that it can never run here.
        """
        answers: list[str | JobEvent] = []
        for request in requests:
            if (request.memory_mb or 0) > self.memory_mb:
                why = f"it asks for {request.memory_mb:,} MB of memory; there are {self.memory_mb:,}"
                answers.append(_not_started(request, why))
                continue
            self._waiting.append(request)
            answers.append("")
        self._admit()
        return answers

    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Wait until a job begins or ends.

        Parameters
        ----------
        timeout_s : float
            Longest wait.

        Returns
        -------
        sequence of JobEvent
            What has changed.
        """
        until = time.monotonic() + timeout_s
        while True:
            self._look_after()
            self._collect()
            self._admit()
            left = until - time.monotonic()
            if self._said or left <= 0:
                break
            self._wait(left)
        said, self._said = self._said, []
        return said

    def cancel(self, numbers: Sequence[int]) -> None:
        """End some jobs.

        Parameters
        ----------
        numbers : sequence of int
            Which.
        """
        chosen = set(numbers)
        for request in [r for r in self._waiting if r.number in chosen]:
            self._waiting.remove(request)
            event = JobEvent(request.number, request.attempt, JobState.DELETED, Cause.CANCELLED)
            self._said.append(event)
        for number in chosen & self._running.keys():
            self._running[number].end(Cause.CANCELLED, "cancelled")

    def close(self) -> None:
        """End what still runs."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.close()
            self._room.release(self._need(process.request))
        self._running.clear()
        self._waiting.clear()
        self._said.clear()
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None

    @property
    def _tag(self) -> str:
        # The guard of an engine that was killed may come late: it is to end nothing of the next one.
        return f"{self._where.tag}#{self._life}."

    def _need(self, request: JobRequest) -> Need:
        # A job that asks for more cores than there are has all of them.
        return Need(min(request.settings.request_cpus or 1, self.cores), request.memory_mb or 0)

    def _admit(self) -> None:
        place = 0
        while place < len(self._waiting) and (not place or self._overtaken < _OVERTAKEN_MAX):
            request = self._waiting[place]
            if not self._room.fits(self._need(request)):
                place += 1
                continue
            del self._waiting[place]
            self._overtaken = self._overtaken + 1 if place else 0
            self._begin(request)

    def _begin(self, request: JobRequest) -> None:
        tag = {TAG: f"{self._tag}{request.number}.{request.attempt}"}
        environment = {**os.environ, **self.settings.environment, **dict(request.settings.environment), **tag}
        try:
            self._guard = self._guard or Guard(self._tag)
            process = GuardedJob(request, self._where.root, environment)
        except OSError as error:
            named = error.filename or request.command[0]
            self._said.append(_not_started(request, f"cannot start {named}: {error.strerror}"))
            return
        self._room.admit(self._need(request))
        self._running[request.number] = process
        state = JobState.RUNNING
        self._said.append(JobEvent(request.number, request.attempt, state, host=process.host))

    def _collect(self) -> None:
        for number in [n for n, p in self._running.items() if p.has_ended()]:
            process = self._running.pop(number)
            self._room.release(self._need(process.request))
            self._said.append(process.close())

    def _look_after(self) -> None:
        now = time.monotonic()
        is_time = now >= self._look_at
        if is_time:
            self._look_at = now + _WATCH_S
        for process in self._running.values():
            process.look_after(memory=is_time)

    def _wait(self, longest_s: float) -> None:
        moments = [p.next_moment() for p in self._running.values()]
        if any(p.request.memory_mb for p in self._running.values()):
            moments.append(self._look_at)
        left = min([longest_s, *(max(0.0, m - time.monotonic()) for m in moments)])
        sentinels = [p.sentinel for p in self._running.values()]
        if None in sentinels:
            time.sleep(min(left, _NO_SENTINEL_S))
            return
        watch = select.poll()
        for sentinel in sentinels:
            watch.register(sentinel or 0, select.POLLIN)
        watch.poll(1000 * left)


def _not_started(request: JobRequest, why: str) -> JobEvent:
    return JobEvent(request.number, request.attempt, JobState.FAILED, Cause.START, None, why)


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _positive(options: Mapping[str, Any], key: str) -> int:
    value = options[key]
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(
            f"site option '{key}' of the engine 'local' is {value!r}",
            code="bad-site",
            hint="Give a whole number, 1 or more.",
        )
    return value
