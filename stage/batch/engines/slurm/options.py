"""`SlurmOptions`: what a site says in its section, and the options of ``sbatch`` for one kind of jobs."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.errors import UsageError
from stage.batch.engines.base import EngineSettings
from stage.batch.workflow.model import JobSettings

__all__ = ["SlurmOptions", "sbatch_options"]

_OURS = (
    "--array", "-a", "--chdir", "-D", "--dependency", "-d", "--error", "-e", "--job-name", "-J", "--output", "-o",
    "--parsable", "--wrap", "--wait", "-W", "--test-only", "--kill-on-invalid-dep", "--open-mode",
)  # fmt: skip
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "partition": ("partition", "queue"),
    "account": ("account", "accountingGroup"),
    "qos": ("qos",),
    "constraint": ("constraint",),
    "time": ("time",),
}
"""The names that each may have in a section: Slurm's, and the field's."""


@dataclass(frozen=True, slots=True)
class SlurmOptions:
    """What the section of a site says to this engine.

    Parameters
    ----------
    site : str, optional
        Its name.
    partition, account, qos, constraint, time : str, optional
        For jobs that do not say it themselves.
    licenses : str, optional
        What each job takes of the licences that Slurm counts, like ``db:1``.
    concurrency_limits : mapping of str to str, optional
        The licence that stands for a limit of jobs at once.
    sbatch_options : tuple of str, optional
        Free options.
    setup : tuple of str, optional
        Lines of shell before each job.
    max_array_size : int, optional
        The most jobs in one array; the site's limit if not given.
    max_jobs : int, optional
        The most jobs that Slurm is to have at once.
    array_limit : int, optional
        The most jobs of one array that run at once.
    max_poll_interval : float, optional
        The longest time between two queries, in seconds.
    grace_seconds : float, optional
        How long a job that Slurm does not know any more may take to leave word.
    command_timeout : float, optional
        After how many seconds a program of Slurm that does not answer is given up.
    """

    site: str = ""
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    time: str = ""
    licenses: str = ""
    concurrency_limits: Mapping[str, str] = field(default_factory=dict)
    sbatch_options: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    max_array_size: int | None = None
    max_jobs: int | None = None
    array_limit: int | None = None
    max_poll_interval: float = 20.0
    grace_seconds: float = 30.0
    command_timeout: float = 60.0

    @classmethod
    def of(cls, settings: EngineSettings) -> SlurmOptions:
        """Read them.

        Parameters
        ----------
        settings : EngineSettings
            The site's.

        Returns
        -------
        SlurmOptions
            Checked.

        Raises
        ------
        UsageError
            If one is of the wrong kind; says which, and where.
        """
        read = _Section(settings.site, settings.options)
        return cls(
            site=settings.site,
            licenses=read.text("licenses"),
            concurrency_limits=read.texts("concurrencyLimits"),
            sbatch_options=checked_options(read.lines("sbatchOptions"), read.place("sbatchOptions")),
            setup=read.lines("setup"),
            max_array_size=read.count("maxArraySize"),
            max_jobs=read.count("maxJobs"),
            array_limit=read.count("arrayLimit"),
            max_poll_interval=read.seconds("maxPollInterval", 20.0),
            grace_seconds=read.seconds("graceSeconds", 30.0),
            command_timeout=read.seconds("commandTimeout", 60.0),
            **{name: next(filter(None, map(read.text, keys)), "") for name, keys in _TEXTS.items()},
        )


def sbatch_options(settings: JobSettings, options: SlurmOptions, *, top_priority: int, run: str) -> list[str]:
    """Return the options of ``sbatch`` for jobs of one kind, without those that differ between its arrays.

    Parameters
    ----------
    settings : JobSettings
        What they need.
    options : SlurmOptions
        What the site says.
    top_priority : int
        The highest priority in the workflow: Slurm lets users only step back (``--nice``).
    run : str
        The run's name, for persons who look at the queue.

    Returns
    -------
    list of str
        One option each.

    Raises
    ------
    UsageError
        If the jobs' own options are of the wrong kind.
    """
    own = _Section(f"job '{settings.label}'", dict(settings.extra))
    given = {
        "comment": run,
        "partition": settings.queue or own.text("partition") or options.partition,
        "account": settings.accounting_group or own.text("account") or options.account,
        "uid": _somebody_else(settings.accounting_user),
        "qos": own.text("qos") or options.qos,
        "constraint": own.text("constraint") or options.constraint,
        "time": str(settings.request_walltime or "") or own.text("time") or options.time,
        "cpus-per-task": str(settings.request_cpus or ""),
        "tmp": f"{settings.request_disk}M" if settings.request_disk else "",
        "nice": str(top_priority - (settings.priority or 0) or ""),
        "licenses": ",".join(
            filter(None, (own.text("licenses") or options.licenses, _limit(settings, options)))
        ),
    }
    # Where nothing is said a job may be stopped and repeated: it can be begun again at any time.
    found = ["--ntasks=1", "--no-requeue" if settings.preemptible is False else "--requeue"]
    found += [f"--{name}={value}" for name, value in given.items() if value]
    free = checked_options(own.lines("sbatchOptions"), own.place("sbatchOptions"))
    return [*found, *options.sbatch_options, *free]


def _somebody_else(user: str | None) -> str:
    """Return whom Slurm is to account jobs to; empty if that is who submits them, as it does anyhow."""
    mine = pwd.getpwuid(os.getuid()).pw_name
    return user if user and user != mine else ""


def _limit(settings: JobSettings, options: SlurmOptions) -> str:
    name = settings.concurrency_limit
    licence = options.concurrency_limits.get(name, f"{name}:1") if name else ""
    # A number is kept by the head, which needs no licence for it.
    return "" if licence.isdecimal() else licence


def checked_options(lines: tuple[str, ...], place: str) -> tuple[str, ...]:
    """Return free options one by one.

    Parameters
    ----------
    lines : tuple of str
        As somebody has written them.
    place : str
        Where.

    Returns
    -------
    tuple of str
        Words for a command line.

    Raises
    ------
    UsageError
        If one is not for them to set, or is not an option.
    """
    found: list[str] = []
    for line in lines:
        try:
            words = shlex.split(line.removeprefix("#SBATCH"), comments=True)
        except ValueError as error:
            raise _wrong(place, line, str(error)) from error
        for word in words:
            if word.startswith("-"):
                found.append(word)
            elif found:  # the value of the option before it: in a script both are on one line
                found[-1] += f"={word}" if found[-1].startswith("--") else word
            else:
                raise _wrong(place, word, "it is no option of sbatch")
    for option in found:
        if option.partition("=")[0] in _OURS or (option[:2] in _OURS and option[1] != "-"):
            raise _wrong(place, option, "it is what jobs are found by; the engine sets it itself")
    return tuple(found)


class _Section:
    """Values of a section by kind."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self._name = name
        self._values = values

    def place(self, key: str) -> str:
        return f"{key} of {self._name}" if " " in self._name else f"site.{self._name}.{key}"

    def text(self, key: str) -> str:
        value = self._values.get(key)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise _wrong(self.place(key), value, "it is to be text")
        return str(value)

    def lines(self, key: str) -> tuple[str, ...]:
        value = self._values.get(key)
        if isinstance(value, str):
            return tuple(line for line in value.splitlines() if line.strip())
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise _wrong(self.place(key), value, "it is to be lines of text")
        return tuple(value)

    def texts(self, key: str) -> dict[str, str]:
        value = self._values.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise _wrong(self.place(key), value, "it is to be a section: name: licence")
        return {str(name): str(v) for name, v in value.items()}

    def count(self, key: str) -> int | None:
        value = self._values.get(key)
        if value is None:
            return None
        number = _number(value)
        if number is None or number < 1 or number != int(number):
            raise _wrong(self.place(key), value, "it is to be a whole number above zero")
        return int(number)

    def seconds(self, key: str, default: float) -> float:
        value = self._values.get(key)
        number = default if value is None else _number(value)
        if number is None or number < 0:
            raise _wrong(self.place(key), value, "it is to be a number of seconds")
        return number


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _wrong(place: str, value: Any, why: str) -> UsageError:
    return UsageError(
        f"{place} cannot be {value!r}: {why}",
        code="slurm-option",
        hint="docs/engines/slurm.md lists the options.",
    )
