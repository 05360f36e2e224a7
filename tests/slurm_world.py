"""Jobs for a real Slurm, and its programs wrapped: each call is noted, some are refused or answered late, all are real."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stage.batch.engines.base import EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.slurm.engine import SlurmEngine
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobSettings

__all__ = ["BUSY", "ENDS", "Programs", "World"]

ENDS = {JobState.SUCCEEDED, JobState.FAILED, JobState.DELETED}
BUSY = "Batch job submission failed: Socket timed out on send/recv operation"
_WRAPPER = """#!/bin/bash
echo "$*" >> {folder}/{name}.calls
if [ -s {folder}/{name}.spoilt ]; then
    sed -i 1d {folder}/{name}.spoilt
    [ -e {folder}/{name}.late ] && {real} "$@" > /dev/null
    echo "{name}: error: $(cat {folder}/{name}.says)" >&2
    exit 1
fi
{real} "$@" {filter}
"""


class Programs:
    """Slurm's programs with something in front of them.

    Parameters
    ----------
    folder : pathlib.Path
        Goes to the front of PATH.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("sbatch", "squeue", "scancel", "scontrol"):
            self.wrap(name)

    def wrap(self, name: str, answer_filter: str = "") -> None:
        """Put a wrapper in front of a program; its answer goes through a filter."""
        real = shutil.which(name, path=os.defpath)
        path = self.folder / name
        path.write_text(_WRAPPER.format(folder=self.folder, name=name, real=real, filter=answer_filter))
        path.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        """Return the arguments of each call."""
        path = self.folder / f"{name}.calls"
        return path.read_text().splitlines() if path.exists() else []

    def spoil(self, name: str, times: int, says: str, *, late: bool = False) -> None:
        """Make the next calls fail with a message; done all the same if it is only late."""
        (self.folder / f"{name}.says").write_text(says)
        (self.folder / f"{name}.spoilt").write_text("x\n" * times)
        if late:
            (self.folder / f"{name}.late").touch()


@dataclass
class World:
    """A submission's directory and an engine at work in it."""

    where: SubmitDir
    options: dict[str, Any] = field(default_factory=dict)
    ends: dict[int, JobEvent] = field(default_factory=dict)
    said: list[JobEvent] = field(default_factory=list)
    handles: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.where.root.mkdir(parents=True, exist_ok=True)
        self.engine = self.make()

    def make(self) -> SlurmEngine:
        """Return another engine of the same site."""
        return SlurmEngine(EngineSettings("here", {"maxPollInterval": 0.3, **self.options}, "u_me_run"))

    def open(self) -> SlurmEngine:
        """Open the engine of a new submission."""
        assert not list(self.engine.open(self.where, {}))
        return self.engine

    def request(
        self,
        number: int,
        script: str,
        *,
        after: Sequence[int] = (),
        attempt: int = 0,
        kind: JobSettings | None = None,
    ) -> JobRequest:
        """Return an attempt of a job that is a line of shell."""
        settings = kind or JobSettings("task")
        log = self.where.job_log(settings.label, str(number), attempt)
        log.parent.mkdir(parents=True, exist_ok=True)
        command = ("sh", "-c", script)
        return JobRequest(
            number, f"job{number}", attempt, command, log, settings, settings.request_memory, tuple(after)
        )

    def start(self, requests: Sequence[JobRequest]) -> list[str]:
        """Give jobs to the engine; return the handles of those that it took."""
        answers = self.engine.start(requests)
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, JobEvent):
                self._hear([answer])
            else:
                self.handles[request.number] = answer
        return [a for a in answers if isinstance(a, str)]

    def until(self, wanted: Callable[[], bool], patience_s: float = 60.0) -> None:
        """Listen to the engine until something is so."""
        end = time.monotonic() + patience_s
        while not wanted():
            assert time.monotonic() < end, f"{self.ends}\n{self.said[-5:]}"
            self._hear(self.engine.poll(0.2))

    def until_ended(self, numbers: Iterable[int], patience_s: float = 60.0) -> None:
        """Listen until some jobs have ended, each once."""
        wanted = set(numbers)
        self.until(lambda: wanted <= self.ends.keys(), patience_s)

    def log(self, number: int, attempt: int = 0, label: str = "task") -> str:
        """Return what an attempt printed."""
        return self.where.job_log(label, str(number), attempt).read_text()

    def states(self, number: int) -> list[JobState]:
        """Return what was said of a job, in order."""
        return [e.state for e in self.said if e.number == number]

    def _hear(self, events: Iterable[JobEvent]) -> None:
        for event in events:
            self.said.append(event)
            if event.state in ENDS:
                assert event.number not in self.ends, (event, self.ends[event.number])
                self.ends[event.number] = event
