"""Engines for agents under test: one whose jobs go on without it, and one that is as a file says."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from registry.errors import BusyError, StorageError
from stage.batch.engines.base import Cause, DrivenEngine, EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.local import LocalEngine
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import Workflow

__all__ = ["Leaving", "Moody"]

_DETACHED = 'end=$1; log=$2; shift 2; ("$@" >>"$log" 2>&1; echo $? >"$end.new"; mv "$end.new" "$end") </dev/null >/dev/null 2>&1 &'


class Leaving(DrivenEngine):
    """Jobs as processes that go on when it is gone; a handle is the file that gets the exit code."""

    name: ClassVar[str] = "leaving"
    leaves: bool = True

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._ends: dict[tuple[int, int], Path] = {}
        self._where = SubmitDir(Path())

    def ping(self) -> str:
        """Say that it is there."""
        return "here"

    def prepare(self, workflow: Workflow, where: SubmitDir) -> list[Path]:
        """Write nothing."""
        del workflow, where
        return []

    def open(self, where: SubmitDir, known: Mapping[int, tuple[int, str]]) -> Sequence[tuple[int, int, str]]:
        """Find those with a handle."""
        self._where = where
        where.engine.mkdir(parents=True, exist_ok=True)
        self._ends = {(n, a): Path(handle) for n, (a, handle) in known.items() if handle}
        return [(*key, str(path)) for key, path in self._ends.items()]

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Begin all."""
        return [self._begin(request) for request in requests]

    def _begin(self, request: JobRequest) -> str:
        end = self._where.engine / f"{request.number}.{request.attempt}"
        self._ends[request.number, request.attempt] = end
        words = ["sh", "-c", _DETACHED, "sh", str(end), str(request.log), *request.command]
        subprocess.run(words, check=True, start_new_session=True)
        return str(end)

    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Look for exit codes."""
        found = []
        for key, path in list(self._ends.items()):
            with contextlib.suppress(FileNotFoundError):
                code = int(path.read_text())
                del self._ends[key]
                cause = Cause.EXIT if code else Cause.NONE
                found.append(JobEvent(*key, JobState.FAILED if code else JobState.SUCCEEDED, cause, code))
        if not found:
            time.sleep(timeout_s)
        return found

    def cancel(self, numbers: Sequence[int]) -> None:
        """End nothing."""

    def close(self) -> None:
        """Leave them."""


class Moody(LocalEngine):
    """The engine of this machine, in the mood that the file ``mood`` of its submission says, step by step."""

    name: ClassVar[str] = "moody"

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Take them, unless it is busy, away or broken."""
        self._feel("start")
        return super().start(requests)

    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Wait, unless it is busy, away or broken."""
        self._feel("poll")
        return super().poll(timeout_s)

    def _feel(self, step: str) -> None:
        path = self._where.root / "mood"
        words = path.read_text().split() if path.exists() else []
        if not words or not words[0].startswith(f"{step}:"):
            return
        path.with_name("mood.new").write_text(" ".join(words[1:]))
        path.with_name("mood.new").replace(path)
        kind = words[0].partition(":")[2]
        if kind == "busy":
            raise BusyError("the queue is busy", code="moody")
        raise StorageError(f"the queue is {kind}", code="moody", hint="Wait.", transient=kind == "away")
