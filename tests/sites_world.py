"""Sites on paper for a submission that has several: each may be down, or refuse us, as long as a file says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.errors import BusyError, StorageError
from stage.batch.engines.base import EngineSettings, JobEvent, JobRequest
from stage.batch.engines.sites import SitesEngine, sites_options
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobSettings
from tests.batch_world import Paper

__all__ = ["Moody", "request", "sites_engine"]

MOODY = "tests.sites_world:Moody"


class Moody(Paper):
    """An engine on paper whose service is there, or not, by the word in a file; its jobs outlive it.

    After a change of mood the next word counts. ``down``: does not answer now. ``refused``: never will. ``busy``: takes nothing. ``half``: takes what it is given and
    answers with an error. ``sleeps``: no job ends. ``amnesia``: has forgotten all when it is opened.
    """

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(capacity=settings.options.get("capacity"), leaves=True)
        self.settings = settings
        self.where: SubmitDir | None = None
        self.n_opened = self.n_closed = 0
        self.cancelled: list[int] = []

    @property
    def mood(self) -> str:
        """Return the word in the file."""
        path = Path(str(self.settings.options["mood"]))
        return path.read_text().partition(" ")[0] if path.exists() else ""

    def _change(self) -> None:
        path = Path(str(self.settings.options["mood"]))
        path.write_text(path.read_text().partition(" ")[2])

    def _check(self) -> None:
        site = self.settings.site
        if self.mood == "down":
            raise StorageError(f"{site} does not answer", code="far-unreachable", transient=True)
        if self.mood == "refused":
            raise StorageError(f"{site} does not let us in", code="far-refused")

    def ping(self) -> str:
        """Say that it is there."""
        self._check()
        return f"paper {self.settings.site}"

    def memory_limit_mb(self, pattern: str = "") -> int | None:
        """Return what the options say."""
        found = self.settings.options.get("has")
        return found if isinstance(found, int) else None

    def open(self, where: SubmitDir, known: Mapping[int, tuple[int, str]]) -> Sequence[tuple[int, int, str]]:
        """Open it, unless it is away."""
        self._check()
        self.n_opened += 1
        self.where = where
        if self.mood == "amnesia":
            self.running.clear()
        return super().open(where, known)

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Take all, or half-heartedly."""
        self._check()
        if self.mood == "busy":
            raise BusyError(f"{self.settings.site} is busy", code="busy")
        answers = super().start(requests)
        if self.mood == "half":
            self._change()
            raise StorageError("the line broke", code="far-lost", transient=True)
        return answers

    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Go on, unless it is away or sleeps."""
        self._check()
        return [] if self.mood == "sleeps" else super().poll(timeout_s)

    def cancel(self, numbers: Sequence[int]) -> None:
        """End some jobs, unless it is away."""
        self._check()
        self.cancelled += numbers
        super().cancel(numbers)

    def close(self) -> None:
        """Note that."""
        self.n_closed += 1
        super().close()


def sites_engine(root: Path, moods: Mapping[str, str] = {}, **options: Any) -> SitesEngine:
    """Return an engine of the sites near and far, on paper, with options that both have."""
    for site, mood in moods.items():
        (root / site).write_text(mood)
    sites = {s: (MOODY, {"mood": str(root / s), **options}) for s in ("near", "far")}
    return SitesEngine(EngineSettings("near", sites_options(sites, "near"), "u_me_run", {"A": "1"}))


def request(number: int, site: str | None, *, attempt: int = 0, priority: int | None = None) -> JobRequest:
    """Return an attempt of a job of a site."""
    settings = JobSettings("task", compute_site=site, priority=priority)
    return JobRequest(number, f"job_{number}", attempt, ("true",), Path("log"), settings)
