"""What a restart may change of what jobs need: names of the YAML, for all jobs or for one label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from registry.errors import UsageError, nearest
from stage.batch.workflow.model import JobSettings, Workflow

__all__ = ["CHANGEABLE", "changed", "check_changes"]

CHANGEABLE: Mapping[str, tuple[str, type]] = {
    "requestMemory": ("request_memory", int),
    "requestMemoryMax": ("request_memory_max", int),
    "memoryMultiplier": ("memory_multiplier", float),
    "numberOfRetries": ("number_of_retries", int),
    "requestCpus": ("request_cpus", int),
    "requestDisk": ("request_disk", int),
    "requestWalltime": ("request_walltime", int),
    "priority": ("priority", int),
    "preemptible": ("preemptible", bool),
    "accountingGroup": ("accounting_group", str),
    "accountingUser": ("accounting_user", str),
    "queue": ("queue", str),
}
"""Name in the YAML: name in `JobSettings`, and type."""
_SECTION = "pipetask"


def check_changes(changes: Mapping[str, Any], workflow: Workflow) -> dict[str, Any]:
    """Check what is to be changed.

    Parameters
    ----------
    changes : mapping
        Values by the names of the YAML; what is for one label alone is under ``pipetask: {label: {...}}``.
    workflow : Workflow
        The jobs.

    Returns
    -------
    dict
        The same, each value of its type.

    Raises
    ------
    UsageError
        If one has another name, type or label.
    """
    made: dict[str, Any] = {k: _checked(k, v) for k, v in changes.items() if k != _SECTION}
    by_label = changes.get(_SECTION, {})
    labels = {s.label for s in workflow.settings} | ({workflow.final.label} if workflow.final else set())
    for label in by_label:
        if label not in labels:
            raise UsageError(f"no job is of '{label}'", code="no-label", hint=nearest(label, labels))
    if by_label:
        made[_SECTION] = {
            label: {k: _checked(k, v) for k, v in section.items()} for label, section in by_label.items()
        }
    return made


def changed(settings: JobSettings, changes: Sequence[Mapping[str, Any]]) -> JobSettings:
    """Return what jobs need after changes.

    Parameters
    ----------
    settings : JobSettings
        As the workflow has it.
    changes : sequence of mapping
        As `check_changes` gave them, one after another.

    Returns
    -------
    JobSettings
        With the last value of each. A first request above the most that there may be raises that too.
    """
    values: dict[str, Any] = {}
    for change in changes:
        for section in (change, change.get(_SECTION, {}).get(settings.label, {})):
            values |= {CHANGEABLE[k][0]: v for k, v in section.items() if k != _SECTION}
    if not values:
        return settings
    made = replace(settings, **values)
    most = made.request_memory_max
    if most is not None and made.request_memory is not None and made.request_memory > most:
        made = replace(made, request_memory_max=made.request_memory)
    return made


def _checked(name: str, value: Any) -> Any:
    if name not in CHANGEABLE:
        raise UsageError(
            f"a restart cannot change '{name}'", code="cannot-change", hint=nearest(name, CHANGEABLE)
        )
    kind = CHANGEABLE[name][1]
    good = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if kind in {int, float} and good:
        good = not isinstance(value, bool) and (value >= 0 or name == "priority")
    if not good:
        raise UsageError(
            f"{name} cannot be {value!r}", code="bad-value", hint=f"It is of type {kind.__name__}."
        )
    return value
