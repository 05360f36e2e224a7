"""`Workflow`: jobs as columns, and what those of one kind have in common as `JobSettings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stage.graph.table import Csr

__all__ = ["JobKind", "JobSettings", "WhenRun", "Workflow"]


class JobKind(StrEnum):
    """What a job is for."""

    INIT = "init"
    PAYLOAD = "payload"
    FINAL = "final"


class WhenRun(StrEnum):
    """When the final job runs."""

    ALWAYS = "ALWAYS"
    SUCCESS = "SUCCESS"
    NEVER = "NEVER"


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What the jobs of one label have in common: command and needs. None is "not set", for the engine to decide.

    Parameters
    ----------
    label : str
        Task, or cluster; groups jobs in reports.
    kind : JobKind, optional
        What they are for.
    executable : str, optional
        Program.
    arguments : str, optional
        Its arguments; ``{name}`` is put in for each job from `Workflow.values`.
    request_memory, request_memory_max : int, optional
        Megabytes of the first attempt, and the most of any.
    memory_multiplier : float, optional
        By how much an attempt gets more than one that died for want of memory.
    number_of_retries : int, optional
        How often a job is tried again.
    request_cpus : int, optional
        Processors.
    request_disk : int, optional
        Megabytes of scratch.
    request_walltime : int, optional
        Minutes.
    priority : int, optional
        Higher is sooner.
    preemptible : bool, optional
        Whether the engine may stop and repeat it.
    accounting_group, accounting_user, queue, compute_site, compute_cloud : str, optional
        For the engine.
    concurrency_limit : str, optional
        Name of a limit of jobs at once.
    retry_unless_exit : tuple of int, optional
        Exit codes of its program after which it is not tried again.
    environment : tuple of (str, str), optional
        Variables that are set.
    extra : tuple of (str, object), optional
        The engine's own settings.
    """

    label: str
    kind: JobKind = JobKind.PAYLOAD
    executable: str = ""
    arguments: str = ""
    request_memory: int | None = None
    request_memory_max: int | None = None
    memory_multiplier: float | None = None
    number_of_retries: int | None = None
    request_cpus: int | None = None
    request_disk: int | None = None
    request_walltime: int | None = None
    priority: int | None = None
    preemptible: bool | None = None
    accounting_group: str | None = None
    accounting_user: str | None = None
    queue: str | None = None
    compute_site: str | None = None
    compute_cloud: str | None = None
    concurrency_limit: str | None = None
    retry_unless_exit: tuple[int, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    extra: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Workflow:
    """Jobs and what each waits for. A job is called by its number, 0 to n_jobs - 1: one that waits has a higher one.

    Parameters
    ----------
    name : str
        Unique name of the run (``uniqProcName``).
    settings : sequence of JobSettings
        Of the kinds of jobs, in an order of the labels such that what is waited for comes first.
    names : sequence of str
        n_jobs names, unique.
    settings_of : numpy.ndarray of int32
        n_jobs places in `settings`.
    quanta : Csr
        n_jobs lists of quanta of the graph, in the order in which they are run.
    parents : Csr
        n_jobs lists of jobs that must have ended well before.
    values : mapping of str to sequence, optional
        What is put into a job's arguments for ``{name}``: n_jobs values each.
    final : JobSettings, optional
        The job that runs when all others have ended, on the machine that submits; it is in no list.
    when_final : WhenRun, optional
        When.
    attributes : mapping, optional
        project, campaign, operator, payload, site: labels of the whole.
    """

    name: str
    settings: Sequence[JobSettings]
    names: Sequence[str]
    settings_of: npt.NDArray[np.int32]
    quanta: Csr
    parents: Csr
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    final: JobSettings | None = None
    when_final: WhenRun = WhenRun.NEVER
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_jobs(self) -> int:
        """Number of jobs, without the final one."""
        return len(self.names)

    def settings_for(self, number: int) -> JobSettings:
        """Return what one job needs.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        JobSettings
            Shared by all jobs of its kind.
        """
        return self.settings[int(self.settings_of[number])]
