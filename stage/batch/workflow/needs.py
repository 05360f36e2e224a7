"""What jobs need of a machine: by their cluster's section, else by the tasks that they have, else by the whole file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.batch.memory import SCALED_RETRIES

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings

__all__ = [
    "GREATEST",
    "SUMS",
    "Place",
    "TaskNeeds",
    "combined",
    "place_of",
    "section_needs",
    "shared",
    "task_needs",
]

GREATEST: Mapping[str, str] = {
    "request_memory": "requestMemory", "request_memory_max": "requestMemoryMax", "request_cpus": "requestCpus",
    "memory_multiplier": "memoryMultiplier", "number_of_retries": "numberOfRetries",
}  # fmt: skip
"""What a job of several quanta has as the greatest of theirs."""
SUMS: Mapping[str, str] = {"request_disk": "requestDisk", "request_walltime": "requestWalltime"}
"""What it has as their sum."""
_SAME: Mapping[str, str] = {
    "priority": "priority", "preemptible": "preemptible", "accounting_group": "accountingGroup",
    "accounting_user": "accountingUser", "queue": "queue", "concurrency_limit": "concurrencyLimit",
    "retry_unless_exit": "retryUnlessExit", "environment": "environment", "compute_site": "computeSite",
    "compute_cloud": "computeCloud",
}  # fmt: skip
"""What all tasks of a job must agree about."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose settings count, and where its jobs run.

    Parameters
    ----------
    pipetask, cluster : str
        A task or a section of ``cluster``.
    site, cloud : str
        Names of their sections.
    """

    pipetask: str = ""
    cluster: str = ""
    site: str = ""
    cloud: str = ""

    @property
    def where(self) -> dict[str, Any]:
        """As `Settings.search` takes it."""
        return {"pipetask": self.pipetask, "cluster": self.cluster, "site": self.site, "cloud": self.cloud}


def place_of(settings: Settings, *, pipetask: str = "", cluster: str = "") -> Place:
    """Return whose settings count for a label.

    Parameters
    ----------
    settings : Settings
        The submission's.
    pipetask, cluster : str, optional
        A task or a section of ``cluster``.

    Returns
    -------
    Place
        With the site and the cloud that it names, or the whole file does.
    """
    site = str(settings.get("computeSite", pipetask=pipetask, cluster=cluster) or "")
    cloud = str(settings.get("computeCloud", pipetask=pipetask, cluster=cluster, site=site) or "")
    return Place(pipetask, cluster, site, cloud)


@dataclass(frozen=True, slots=True)
class TaskNeeds:
    """What the quanta of one task need, as the settings say.

    Parameters
    ----------
    values : mapping of str to object
        By the names of `JobSettings`; what is not said is absent.
    said : frozenset of str
        What of it somebody wrote; the rest is the package's.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    said: frozenset[str] = frozenset()


def task_needs(
    settings: Settings, place: Place, without: Iterable[str] = (), values: Mapping[str, Any] | None = None
) -> TaskNeeds:
    """Read what quanta of a task need.

    Parameters
    ----------
    settings : Settings
        The submission's.
    place : Place
        The task, and where its jobs run.
    without : iterable of str, optional
        What the cluster's section says, so that a task's word does not count.
    values : mapping, optional
        What goes before all that the settings say.

    Returns
    -------
    TaskNeeds
        Where memory grows, there are 5 retries unless a number is given.
    """
    asked = {**GREATEST, **SUMS, **_SAME}
    for name in without:
        asked.pop(name, None)
    where = {**place.where, "values": values}
    found: dict[str, Any] = {}
    for name, key in asked.items():
        value = _read(settings, name, key, where)
        if value is not None:
            found[name] = value
    if "memory_multiplier" in found and "number_of_retries" not in without:
        found.setdefault("number_of_retries", SCALED_RETRIES)
    said = frozenset(n for n in found if settings.is_said(asked.get(n, ""), **where))
    return TaskNeeds(found, said)


def section_needs(settings: Settings, place: Place, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a section of ``cluster`` says itself.

    Parameters
    ----------
    settings : Settings
        The submission's.
    place : Place
        The section.
    given : mapping
        As it is written.

    Returns
    -------
    dict of str to object
        By the names of `JobSettings`. None is said as well: memory that does not grow.
    """
    asked = {**GREATEST, **SUMS, **_SAME}
    return {name: _read(settings, name, key, place.where) for name, key in asked.items() if key in given}


def _read(settings: Settings, name: str, key: str, where: Mapping[str, Any]) -> Any:
    """Return a setting as `JobSettings` has it; None if it is not set, or empty."""
    found, value = settings.search(key, **where)
    if not found or value is None or value == "":
        return None
    if name == "memory_multiplier":
        multiplier = settings.number(key, **where)
        return multiplier if multiplier is not None and multiplier > 1 else None
    if name in _WHOLE:
        return settings.integer(key, **where)
    if name == "preemptible":
        return settings.flag(key, **where)
    return _LISTS[name](settings, key, where) if name in _LISTS else settings.text(key, **where)


def _exit_codes(settings: Settings, key: str, where: Mapping[str, Any]) -> tuple[int, ...]:
    words = settings.text(key, **where).replace(",", " ").split()
    if not all(word.lstrip("-").isdigit() for word in words):
        raise UsageError(
            f"{key} is '{' '.join(words)}'",
            code="bad-exit-codes",
            hint="It is a number, or a list of numbers, as [1, 2].",
        )
    return tuple(map(int, words))


def _variables(settings: Settings, key: str, where: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    section = settings.section(key, **where)
    return tuple((str(k), str(v)) for k, v in section.items() if v is not None)


_WHOLE = frozenset({*GREATEST, *SUMS, "priority"})
_LISTS: Mapping[str, Callable[[Settings, str, Mapping[str, Any]], Any]] = {
    "retry_unless_exit": _exit_codes,
    "environment": _variables,
}


def combined(needs: Sequence[TaskNeeds], counts: Sequence[int]) -> dict[str, Any]:
    """Return what a job needs that has quanta of some tasks.

    Parameters
    ----------
    needs : sequence of TaskNeeds
        Of the tasks.
    counts : sequence of int
        How many quanta it has of each.

    Returns
    -------
    dict of str to object
        Greatest values and sums; what all must agree about is left to `shared`.
    """
    present = [(n.values, c) for n, c in zip(needs, counts, strict=True) if c]
    found: dict[str, Any] = {}
    for name in GREATEST:
        values = [v[name] for v, _ in present if name in v]
        if values:
            found[name] = max(values)
    for name in SUMS:
        if any(name in v for v, _ in present):
            found[name] = sum(v.get(name, 0) * c for v, c in present)
    return found


def shared(label: str, tasks: Sequence[str], needs: Sequence[TaskNeeds]) -> dict[str, Any]:
    """Return what all tasks of a label agree about.

    Parameters
    ----------
    label : str
        For errors.
    tasks : sequence of str
        The tasks.
    needs : sequence of TaskNeeds
        Of them.

    Returns
    -------
    dict of str to object
        What is said by any.

    Raises
    ------
    UsageError
        If two say something else (``cluster-disagrees``).
    """
    found: dict[str, Any] = {}
    by: dict[str, str] = {}
    for task, need in zip(tasks, needs, strict=True):
        for name in _SAME:
            if name not in need.values:
                continue
            value = need.values[name]
            if found.setdefault(name, value) != value:
                raise disagree(label, _SAME[name], (by[name], found[name]), (task, value))
            by.setdefault(name, task)
    return found


def disagree(label: str, key: str, one: tuple[str, Any], other: tuple[str, Any]) -> UsageError:
    """Return the error for tasks of one job that want different things.

    Parameters
    ----------
    label : str
        The job's.
    key : str
        The setting.
    one, other : tuple of (str, object)
        Tasks, and what they say.

    Returns
    -------
    UsageError
        With code ``cluster-disagrees``.
    """
    return UsageError(
        f"jobs of '{label}' have tasks that disagree about {key}: {one[0]} says {one[1]!r}, {other[0]} {other[1]!r}",
        code="cluster-disagrees",
        hint=f"Say it for the jobs: cluster.{label}.{key}.",
    )
