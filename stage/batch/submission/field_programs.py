"""Commands in people's files that call the field's own programs: taken by what they are for, and said."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from stage.batch.config.making import package_defaults

__all__ = ["without_field_programs"]

_PROGRAMS = frozenset({"pipetask", "butler", "bps"})
_COMMAND, _INIT = "runQuantumCommand", "pipetaskInit"
_NUMBERED = re.compile(r"command\d+$")


def without_field_programs(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Replace commands that call programs which are not ours.

    Parameters
    ----------
    document : mapping
        All settings.

    Returns
    -------
    document : dict
        Where a job's command would call ``pipetask`` it is ours; where the final job's would call ``butler`` it has
        none of its own, and merges.
    notes : list of str
        What was replaced.
    """
    made = dict(document)
    notes: list[str] = []
    if _calls_field(made.get(_COMMAND)):
        notes.append(
            f"{_COMMAND} calls {_program(made[_COMMAND])}: jobs run their quanta by 'stage exec' instead"
        )
        made[_COMMAND] = package_defaults()[_COMMAND]
    for name in ("pipetask", "site", "cloud", "cluster"):
        made[name] = _sections(made.get(name), name, notes)
    if not made["pipetask"].get(_INIT, {}).get(_COMMAND):
        made = _without_init(made, notes)
    final = made.get("finalJob")
    if isinstance(final, Mapping):
        called = [key for key, value in final.items() if _NUMBERED.match(str(key)) and _calls_field(value)]
        if called:
            notes.append(
                f"finalJob.{called[0]} calls {_program(final[called[0]])}: the final job merges the jobs' records instead"
            )
            made["finalJob"] = {k: v for k, v in final.items() if not _NUMBERED.match(str(k))}
    return {k: v for k, v in made.items() if v != {} or k in document}, notes


def _sections(value: Any, name: str, notes: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for label, section in value.items() if isinstance(value, Mapping) else ():
        if isinstance(section, Mapping) and _calls_field(section.get(_COMMAND)):
            if label != _INIT:
                program = _program(section[_COMMAND])
                notes.append(
                    f"{name}.{label}.{_COMMAND} calls {program}: jobs run their quanta by 'stage exec' instead"
                )
            section = {k: v for k, v in section.items() if k != _COMMAND}  # noqa: PLW2901 - what is left of it
        out[label] = section
    return out


def _without_init(document: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Leave out the job that would write what is written without one."""
    payload = document.get("payload")
    wants = document.get("runInit") or (isinstance(payload, Mapping) and payload.get("runInit"))
    if not wants:
        return document
    notes.append(f"runInit: the run is made ready without a job, so there is none called {_INIT}")
    made = {**document, "runInit": False}
    if isinstance(payload, Mapping):
        made["payload"] = {**payload, "runInit": False}
    return made


def _calls_field(command: Any) -> bool:
    return _program(command) in _PROGRAMS


def _program(command: Any) -> str:
    """Return the name of the program that a command calls."""
    if not isinstance(command, str):
        return ""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return PurePosixPath(words[0]).name if words else ""
