"""Small workflows of tiny commands, and an engine on paper: for what drives jobs and for the engines themselves."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stage.batch.engines.base import Cause, DrivenEngine, EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobSettings, WhenRun, Workflow
from stage.graph.table import Csr

__all__ = ["Paper", "make_workflow", "shell_settings", "submit_dir"]


def submit_dir(root: Path) -> SubmitDir:
    """Make the directory of a submission."""
    root.mkdir(parents=True, exist_ok=True)
    return SubmitDir(root)


def shell_settings(label: str = "task", script: str = "{script}", **needs: Any) -> JobSettings:
    """Return what jobs have in common that run a script each, their own or the same."""
    return JobSettings(label, executable="sh", arguments=f"-c '{script}'", **needs)


def make_workflow(
    scripts: Sequence[str],
    parents: Mapping[int, Sequence[int]] | Sequence[Sequence[int]] = {},
    *,
    final: str | None = None,
    where: SubmitDir | None = None,
    when_final: WhenRun = WhenRun.ALWAYS,
    final_needs: Mapping[str, Any] = {},
    **needs: Any,
) -> Workflow:
    """Return a workflow of a shell script a job, and what each waits for."""
    n = len(scripts)
    lists = [list(parents[i]) if not isinstance(parents, Mapping) or i in parents else [] for i in range(n)]
    settings = JobSettings("task", executable="sh", arguments="-c {script}", **needs)
    quoted = ["'" + s.replace("'", "'\\''") + "'" for s in scripts]
    if final is not None and where is not None:
        where.final_script.write_text(final)
    return Workflow(
        "run",
        [settings],
        [f"task_{i}" for i in range(n)],
        np.zeros(n, dtype=np.int32),
        Csr(np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int32)),
        Csr(
            np.concatenate(([0], np.cumsum([len(p) for p in lists]))).astype(np.int64),
            np.array([p for one in lists for p in one], dtype=np.int32),
        ),
        {"script": quoted},
        JobSettings("finalJob", executable="bash", **final_needs) if final is not None else None,
        when_final if final is not None else WhenRun.NEVER,
    )


class Paper(DrivenEngine):
    """An engine that runs nothing: each attempt ends after so many polls, as it is told."""

    name = "paper"

    def __init__(
        self,
        *,
        capacity: int | None = None,
        ends: Mapping[tuple[int, int], JobEvent] = {},
        takes: int = 1,
        looks_ahead: bool = False,
        leaves: bool = False,
    ) -> None:
        super().__init__(EngineSettings("paper"))
        self._capacity, self._ends, self._takes = capacity, dict(ends), takes
        self.looks_ahead, self.leaves = looks_ahead, leaves
        self.requests: list[JobRequest] = []
        self.most_at_once = 0
        self.known: dict[int, tuple[int, str]] = {}
        self.running: dict[int, JobRequest] = {}
        self._due: list[tuple[int, int]] = []
        self._said: list[JobEvent] = []
        self._clock = 0

    @property
    def capacity(self) -> int | None:
        """Return how many jobs it takes."""
        return self._capacity

    def ping(self) -> str:
        """Say what it is."""
        return "paper"

    def prepare(self, workflow: Workflow, where: SubmitDir) -> list[Path]:
        """Write nothing."""
        return []

    def open(self, where: SubmitDir, known: Mapping[int, tuple[int, str]]) -> Sequence[tuple[int, int, str]]:
        """Give what it still has, if that outlives a head."""
        self.known = dict(known)
        if self.leaves:
            return [(n, r.attempt, f"paper-{n}") for n, r in self.running.items()]
        self.running.clear()
        return ()

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Take all."""
        for request in requests:
            self.requests.append(request)
            self.running[request.number] = request
            heapq.heappush(self._due, (self._clock + self._takes, request.number))
        self.most_at_once = max(self.most_at_once, len(self.running))
        return [f"paper-{r.number}" for r in requests]

    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Let one tick of its clock go by."""
        self._clock += 1
        while self._due and self._due[0][0] <= self._clock:
            _, number = heapq.heappop(self._due)
            request = self.running.get(number)
            if request is None:
                continue
            if any(p in self.running for p in request.after):
                heapq.heappush(self._due, (self._clock + 1, number))
                break
            del self.running[number]
            good = JobEvent(number, request.attempt, JobState.SUCCEEDED, exit_code=0)
            end = self._ends.get((number, request.attempt), good)
            self._said.append(end)
            if end.state != JobState.SUCCEEDED:
                self._give_up_after(number)
        said, self._said = self._said, []
        return said

    def _give_up_after(self, number: int) -> None:
        for child in [r for r in self.running.values() if number in r.after]:
            del self.running[child.number]
            self._said.append(JobEvent(child.number, child.attempt, JobState.DELETED, Cause.PARENT))
            self._give_up_after(child.number)

    def cancel(self, numbers: Sequence[int]) -> None:
        """End some jobs at once."""
        for number in numbers:
            if (request := self.running.pop(number, None)) is not None:
                self._said.append(JobEvent(number, request.attempt, JobState.DELETED, Cause.CANCELLED))

    def close(self) -> None:
        """Forget all that does not outlive a head."""
        if not self.leaves:
            self.running.clear()
