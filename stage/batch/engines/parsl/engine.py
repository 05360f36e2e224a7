"""`ParslEngine`: gives the jobs of a run to workers of pilots, which Parsl starts on nearly any cluster."""

from __future__ import annotations

import json
import queue
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from registry.errors import StorageError, UsageError
from stage.batch.engines.base import Cause, DrivenEngine, EngineSettings, JobEvent, JobRequest, JobState
from stage.batch.engines.leftovers import TAG, Guard, end_left_over
from stage.batch.engines.parsl.options import PilotOptions, read_options
from stage.batch.engines.parsl.pilots import Pilots, Size, import_parsl
from stage.batch.engines.parsl.providers import make_provider
from stage.batch.engines.parsl.work import Ending, Task

if TYPE_CHECKING:
    from stage.batch.layout import SubmitDir
    from stage.batch.workflow.model import Workflow

__all__ = ["ParslEngine"]

_LOST = {"WorkerLost": "the worker that ran it was lost", "ManagerLost": "the pilot that ran it was lost"}
_COMMANDS = {"slurm": "sbatch", "htcondor": "condor_submit", "condor": "condor_submit", "pbs": "qsub", "torque": "qsub", "lsf": "bsub", "gridengine": "qsub"}  # fmt: skip


@dataclass(slots=True)
class _Given:
    """A job that Parsl has."""

    attempt: int
    size: Size
    order: tuple[int, int]
    is_begun: bool = False


class ParslEngine(DrivenEngine):
    """Pilot jobs through Parsl's HighThroughputExecutor. They end with the head.

    Parameters
    ----------
    settings : EngineSettings
        The site's; see `stage.batch.engines.parsl.options.PilotOptions`.
    """

    name: ClassVar[str] = "parsl"

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._where = f"site.{settings.site}"
        self._options = read_options(settings.options, settings.site)
        self._pilots: Pilots | None = None
        self._root, self._tag = Path(), ""
        self._stops = Path()
        self._given: dict[int, _Given] = {}
        self._n_given = 0
        self._news: queue.SimpleQueue[JobEvent | tuple[int, int, Future[Any]]] = queue.SimpleQueue()
        self._asked_at = 0.0
        self._guard: Guard | None = None

    @property
    def options(self) -> PilotOptions:
        """What the site says of its pilots."""
        return self._options

    @property
    def capacity(self) -> int:
        """The number of jobs that it should have at once."""
        return self._options.max_queued

    def ping(self) -> str:
        """Ask whether Parsl is there, knows the provider, and finds its commands.

        Returns
        -------
        str
            Versions.

        Raises
        ------
        StorageError
            If a command of the provider's is missing.
        UsageError
            If Parsl is not installed, or the site's section is wrong.
        """
        parsl = import_parsl()
        provider = type(self._provider()).__name__
        command = _COMMANDS.get(self._options.provider)
        if command is not None and shutil.which(command) is None:
            raise StorageError(
                f"{provider} needs the command {command}, which is not found here",
                code="no-command",
                hint="Submit from a machine that has it, or choose another provider.",
            )
        return f"Parsl {parsl.__version__} with {provider}"

    def memory_limit_mb(self, pattern: str = "") -> int | None:
        """Return what a node has.

        Parameters
        ----------
        pattern : str, optional
            Not looked at: all nodes of a site are alike.

        Returns
        -------
        int or None
            Megabytes; None where the site does not say.
        """
        del pattern
        return self._options.node_memory_mb

    def prepare(self, workflow: Workflow, where: SubmitDir) -> list[Path]:
        """Write what pilots will be; check that the provider takes it.

        Parameters
        ----------
        workflow : Workflow
            The jobs.
        where : SubmitDir
            The submission's directory.

        Returns
        -------
        list of pathlib.Path
            One file.
        """
        del workflow
        import_parsl()
        self._provider()
        where.engine.mkdir(parents=True, exist_ok=True)
        path = where.engine / "pilots.json"
        path.write_text(json.dumps(asdict(self._options), indent=1, default=str) + "\n", encoding="utf-8")
        return [path]

    def open(self, where: SubmitDir, known: Mapping[int, tuple[int, str]]) -> Sequence[tuple[int, int, str]]:
        """Get ready. Nothing that an earlier head started is there any more: its pilots ended with it.

        Parameters
        ----------
        where : SubmitDir
            The submission's directory.
        known : mapping
            Jobs that had not ended.

        Returns
        -------
        sequence
            Empty.
        """
        del known
        self._root, self._tag = where.root, where.tag
        self._stops = where.engine / "cancelled"
        # Of a head that was killed: what it had cancelled is tried again under numbers of its own, or not at all.
        shutil.rmtree(self._stops, ignore_errors=True)
        if self._options.is_local:
            end_left_over(f"{self._tag}#")
            self._guard = Guard(f"{self._tag}#")
        self._pilots = Pilots(self._options, self._where, where.engine / "parsl", self._environment())
        return []

    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Give jobs to Parsl.

        Parameters
        ----------
        requests : sequence of JobRequest
            Attempts.

        Returns
        -------
        sequence of str or JobEvent
            Handles, which mean nothing to a later head.
        """
        return [self._start(request) for request in requests]

    def _start(self, request: JobRequest) -> str | JobEvent:
        number, attempt = request.number, request.attempt
        settings = request.settings
        try:
            size = self._open_pilots.size_for(request.memory_mb, settings.request_cpus)
            self._open_pilots.submit(
                size,
                self._task(request).pack(),
                settings.priority,
                lambda future: self._news.put((number, attempt, future)),
            )
        except (StorageError, UsageError) as error:
            return JobEvent(number, attempt, JobState.FAILED, Cause.START, message=str(error))
        self._n_given += 1
        self._given[number] = _Given(attempt, size, (-(settings.priority or 0), self._n_given))
        return str(self._n_given)

    def _task(self, request: JobRequest) -> Task:
        settings = request.settings
        return Task(
            tag=f"{self._tag}#{request.number}.{request.attempt}",
            command=request.command,
            directory=str(self._root),
            log=str(request.log),
            stop=str(self._stop_file(request.number, request.attempt)),
            environment=dict(settings.environment),
            memory_mb=request.memory_mb,
            walltime=settings.request_walltime,
            check_s=0.5 if self._options.is_local else 5.0,
            forks=self._options.isolation == "fork",
        )

    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Wait for ends, and now and then ask how many jobs have been begun.

        Parameters
        ----------
        timeout_s : float
            Longest wait.

        Returns
        -------
        sequence of JobEvent
            News.
        """
        events = self._begun()
        wait_s = 0.0 if events else timeout_s
        while True:
            try:
                news = self._news.get(timeout=wait_s) if wait_s else self._news.get_nowait()
            except queue.Empty:
                return events
            wait_s = 0.0
            event = news if isinstance(news, JobEvent) else self._ended(*news)
            if event is not None:
                events.append(event)

    def cancel(self, numbers: Sequence[int]) -> None:
        """End jobs: those that wait at once, for those that run their workers see to it within seconds.

        Parameters
        ----------
        numbers : sequence of int
            Which.
        """
        chosen = [n for n in numbers if n in self._given]
        if not chosen:
            return
        self._stops.mkdir(parents=True, exist_ok=True)
        for number in chosen:
            self._stop_file(number, self._given[number].attempt).touch()
        self._asked_at = 0.0
        begun = self._begun()
        for event in begun:
            self._news.put(event)
        for number in chosen:
            given = self._given[number]
            if not given.is_begun:
                # A worker that takes it now finds that it is cancelled.
                del self._given[number]
                message = "cancelled before it began"
                self._news.put(
                    JobEvent(number, given.attempt, JobState.DELETED, Cause.CANCELLED, message=message)
                )

    def close(self) -> None:
        """End the pilots, and with them what runs."""
        if self._pilots is not None:
            self._pilots.close()
            self._pilots = None
        if self._guard is not None:
            # What jobs have started in groups of their own.
            end_left_over(f"{self._tag}#")
            self._guard.dismiss()
            self._guard = None
        self._given.clear()
        self._news = queue.SimpleQueue()

    @property
    def _open_pilots(self) -> Pilots:
        if self._pilots is None:
            raise UsageError("the engine is not open", code="not-open")
        return self._pilots

    def _environment(self) -> dict[str, str]:
        # Of pilots too: by it those that a killed head has left on this machine are found.
        return {**self.settings.environment, TAG: f"{self._tag}#pilot"}

    def _provider(self) -> Any:
        return make_provider(
            self._options, self._where, self.settings.environment, init_blocks=self._options.init_blocks
        )

    def _stop_file(self, number: int, attempt: int) -> Path:
        return self._stops / f"{number}.{attempt}"

    def _ended(self, number: int, attempt: int, future: Future[Any]) -> JobEvent | None:
        given = self._given.get(number)
        if given is None or given.attempt != attempt:
            return None
        del self._given[number]
        error = future.exception()
        if error is None:
            return _event(number, attempt, future.result())
        if self._stop_file(number, attempt).exists():
            return JobEvent(
                number, attempt, JobState.DELETED, Cause.CANCELLED, message="cancelled while it ran"
            )
        cause, message = _judge(error)
        return JobEvent(
            number, attempt, JobState.FAILED, cause, message=message, host=getattr(error, "hostname", "")
        )

    def _begun(self) -> list[JobEvent]:
        """Return the jobs that were begun since this was last asked. Parsl tells how many; it begins them in their order."""
        period = 2.0 if self._options.is_local else 15.0
        if not self._given or time.monotonic() < self._asked_at + period:
            return []
        self._asked_at = time.monotonic()
        events = []
        for size, n in self._open_pilots.n_begun().items():
            here = sorted((g.order, k) for k, g in self._given.items() if g.size == size and not g.is_begun)
            running = sum(g.is_begun for g in self._given.values() if g.size == size)
            for _, number in here[: max(0, n - running)]:
                self._given[number].is_begun = True
                events.append(JobEvent(number, self._given[number].attempt, JobState.RUNNING))
        return events


def _event(number: int, attempt: int, ending: Ending) -> JobEvent:
    state, cause, code, message, host = ending
    return JobEvent(number, attempt, JobState(state), Cause(cause), code, message, host)


def _judge(error: BaseException) -> tuple[Cause, str]:
    """Tell what it means that Parsl has no result of a job."""
    kind = type(error).__name__
    if kind in _LOST:
        return Cause.NODE, f"{_LOST[kind]}: {error}"
    if kind == "BadStateException":
        return Cause.START, f"no pilot has come up; the last one said: {getattr(error, 'reason', error)}"
    return Cause.START, f"its worker could not take it: {kind}: {error}"
