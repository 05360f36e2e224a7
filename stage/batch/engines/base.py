"""`Engine`: what a workflow is given to. `DrivenEngine`: one that is told each job, by a head of ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pathlib import Path

    from stage.batch.layout import SubmitDir
    from stage.batch.workflow.model import JobSettings, Workflow

__all__ = [
    "OUT_OF_MEMORY_EXIT",
    "Cause",
    "DrivenEngine",
    "Engine",
    "EngineSettings",
    "JobEvent",
    "JobRequest",
    "JobState",
]

OUT_OF_MEMORY_EXIT = 14
"""By this exit code ``stage exec`` says that quanta failed for want of memory, and nothing else did."""


class JobState(StrEnum):
    """Where a job is; the words are the field's."""

    UNREADY = "UNREADY"
    """Waits for other jobs."""
    READY = "READY"
    """Could be given to the engine."""
    PENDING = "PENDING"
    """The engine has it."""
    RUNNING = "RUNNING"
    HELD = "HELD"
    """The engine keeps it back until somebody acts; the message says why."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    DELETED = "DELETED"
    """Somebody cancelled it."""
    PRUNED = "PRUNED"
    """Something that it waits for failed."""
    UNKNOWN = "UNKNOWN"


class Cause(StrEnum):
    """Why an attempt ended without success."""

    NONE = ""
    EXIT = "exit"
    """Its program ended with another code than 0: its quanta failed, or were blocked."""
    MEMORY = "memory"
    """It ran out of memory, on the engine's own word or its record's."""
    TIME = "time"
    """It ran longer than it was to."""
    NODE = "node"
    """The machine or the pilot that ran it was lost."""
    START = "start"
    """It could not be started."""
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    PARENT = "parent"
    """The engine gave it up because one that it waits for did not succeed; it was not begun."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One attempt of one job, for an engine to run.

    Parameters
    ----------
    number : int
        The job, as the workflow counts.
    name : str
        Its name.
    attempt : int
        How often it was begun before.
    command : tuple of str
        Program and arguments; its directory is the submission's.
    log : pathlib.Path
        Where what it prints goes; its directory exists.
    settings : JobSettings
        What jobs of its kind need.
    memory_mb : int or None
        What this attempt may have.
    after : tuple of int, optional
        Jobs that are with the engine and have not ended, and must end well first: only where `DrivenEngine.looks_ahead`.
    """

    number: int
    name: str
    attempt: int
    command: tuple[str, ...]
    log: Path
    settings: JobSettings
    memory_mb: int | None = None
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What an engine says of an attempt. Ends are said once.

    Parameters
    ----------
    number, attempt : int
        Which.
    state : JobState
        PENDING, RUNNING, HELD; or an end: SUCCEEDED, FAILED, DELETED.
    cause : Cause, optional
        Of an end without success.
    exit_code : int, optional
        Of its program; negative is a signal.
    message : str, optional
        One line for a person, with the engine's own words.
    host : str, optional
        Where it ran.
    """

    number: int
    attempt: int
    state: JobState
    cause: Cause = Cause.NONE
    exit_code: int | None = None
    message: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is made from.

    Parameters
    ----------
    site : str
        Name of the compute site.
    options : mapping, optional
        The ``site.<name>`` section, resolved, with the names of the YAML.
    run_name : str, optional
        The submission's; jobs are tagged with it at a scheduler.
    environment : mapping of str to str, optional
        Variables that jobs get.
    """

    site: str
    options: Mapping[str, Any] = field(default_factory=dict)
    run_name: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


class Engine(ABC):
    """Runs the jobs of a workflow. Found by the entry point group ``stage.engines``, or as ``module:Class``.

    Parameters
    ----------
    settings : EngineSettings
        The site's.
    """

    name: ClassVar[str]
    """What it is called in ``wmsServiceClass`` and on the command line."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings

    @abstractmethod
    def ping(self) -> str:
        """Ask whether the services that it needs answer.

        Returns
        -------
        str
            What answers, with its version: one line.

        Raises
        ------
        StorageError
            If one does not; says which and what to do.
        """

    def memory_limit_mb(self, pattern: str = "") -> int | None:
        """Return the most memory that a job can get.

        Parameters
        ----------
        pattern : str, optional
            Regular expression of the names of machines that count (``executeMachinesPattern``).

        Returns
        -------
        int or None
            Megabytes; None if it cannot be known.
        """
        del pattern
        return None

    @abstractmethod
    def prepare(self, workflow: Workflow, where: SubmitDir) -> list[Path]:
        """Write what it needs to run a workflow; nothing is submitted. Again, it writes the same.

        Parameters
        ----------
        workflow : Workflow
            The jobs.
        where : SubmitDir
            The submission's directory; its own files go to ``where.engine``.

        Returns
        -------
        list of pathlib.Path
            What was written: what `--print` shows.
        """


class DrivenEngine(Engine):
    """An engine that is told each attempt of each job. One head at a time has it open; all calls are of one thread."""

    looks_ahead: bool = False
    """Whether it takes jobs whose parents have not ended (`JobRequest.after`)."""

    leaves: bool = False
    """Whether jobs go on when the head is gone: then `start` gives handles by which a new head finds them."""

    @property
    def capacity(self) -> int | None:
        """The number of jobs that it should have at once; None if any number."""
        return None

    def limits(self, settings: JobSettings) -> Mapping[str, int | None]:
        """Return limits of jobs at once that jobs of a kind are under, besides `capacity`.

        Parameters
        ----------
        settings : JobSettings
            What such jobs have in common.

        Returns
        -------
        mapping of str to int or None
            The number of jobs that the engine should have under each, by name; None if any number now. The names are
            always the same. By default ``concurrencyLimits`` of the site, where it has a number for `concurrency_limit`.

        Raises
        ------
        UsageError
            If a number is none.
        """
        from stage.batch.engines.limits import numbered_limit

        return numbered_limit(self.settings, settings.concurrency_limit)

    @abstractmethod
    def open(self, where: SubmitDir, known: Mapping[int, tuple[int, str]]) -> Sequence[tuple[int, int, str]]:
        """Get ready, and find what an earlier head left.

        Parameters
        ----------
        where : SubmitDir
            The submission's directory.
        known : mapping of int to (int, str)
            Of jobs that had not ended by the journal: attempt and handle.

        Returns
        -------
        sequence of (int, int, str)
            Number, attempt and handle of those that it still has, or has news of; also of jobs that are tagged as this
            run's and that the journal does not know, since the head was killed between starting and noting. The ends
            of these come by `poll`. All others are lost and may be started again.
        """

    @abstractmethod
    def start(self, requests: Sequence[JobRequest]) -> Sequence[str | JobEvent]:
        """Take some attempts.

        Parameters
        ----------
        requests : sequence of JobRequest
            No more than `capacity` leaves room for.

        Returns
        -------
        sequence of str or JobEvent
            For each its handle, or its end if it could not be started (`Cause.START`).

        Raises
        ------
        BusyError
            If the scheduler is busy: none was taken, and the head asks again later.
        StorageError
            If it failed, and nobody knows which were taken. Where that is transient the head closes and opens it again
            later, and so finds out; else the head ends.
        """

    @abstractmethod
    def poll(self, timeout_s: float) -> Sequence[JobEvent]:
        """Wait for news, and ask at most once for all jobs.

        Parameters
        ----------
        timeout_s : float
            Longest wait; a second or less, so that a head hears what it is asked. An engine whose scheduler is not to
            be asked as often keeps its own interval.

        Returns
        -------
        sequence of JobEvent
            What has changed since the last call; may be empty.

        Raises
        ------
        StorageError
            If the scheduler does not answer; where that is transient, the head asks again later.
        """

    @abstractmethod
    def cancel(self, numbers: Sequence[int]) -> None:
        """End some jobs; `poll` then tells their ends.

        Parameters
        ----------
        numbers : sequence of int
            Jobs that have not ended.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of what `open` took. Where `leaves` is false, what still runs is ended."""
