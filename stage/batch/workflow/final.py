"""The final job: what it needs, and the script of its commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.batch.workflow.commands import file_values
from stage.batch.workflow.model import JobKind, JobSettings, WhenRun, Workflow
from stage.batch.workflow.needs import place_of, task_needs

if TYPE_CHECKING:
    from stage.batch.config.settings import Settings

__all__ = ["FINAL", "final_of", "final_script"]

FINAL = "finalJob"
"""Section, name and label of the final job."""
_NAME = re.compile(r"\{(\w+)\}")
_PASSED = ("qgraphFile", "butlerConfig")
"""What the script takes as arguments, in this order: an engine may have put them elsewhere."""


def final_of(settings: Settings, files: Mapping[str, str]) -> tuple[JobSettings | None, WhenRun]:
    """Return the final job, and when it runs.

    It is never one of the jobs of a workflow. With ALWAYS whoever drives the workflow runs it when all others have
    ended, in whatever way; with SUCCESS only if all have ended well, so that an engine without a head of its own can
    as well make it an ordinary job that waits for all those for which none waits.

    Parameters
    ----------
    settings : Settings
        The submission's, with a section ``finalJob``.
    files : mapping of str to str
        What stands for files.

    Returns
    -------
    job : JobSettings or None
        None with NEVER.
    when : WhenRun
        ``finalJob.whenRun``.

    Raises
    ------
    UsageError
        If `whenRun` is another word, or there are no commands.
    """
    section = settings.section(FINAL)
    text = str(section.get("whenRun", ""))
    try:
        when = WhenRun(text.upper())
    except ValueError as error:
        raise UsageError(
            f"finalJob.whenRun is '{text}'",
            code="bad-when-run",
            hint=f"It is one of {', '.join(WhenRun)}.",
        ) from error
    if when is WhenRun.NEVER:
        return None, when
    if not _commands(settings, section):
        raise UsageError(
            "the final job has no commands",
            code="no-final-command",
            hint="Set finalJob.command1; or finalJob.whenRun: NEVER.",
        )
    at = place_of(settings)
    needs = task_needs(settings, at, values=section).values
    root = settings.text("submitPath").rstrip("/") or "."
    values = {k: v for k, v in needs.items() if v is not None}
    arguments = " ".join(_passed(settings, files).values())
    return JobSettings(FINAL, JobKind.FINAL, f"{root}/final_job.bash", arguments, **values), when


def final_script(workflow: Workflow, settings: Settings) -> str:
    """Return the script of the final job.

    Parameters
    ----------
    workflow : Workflow
        With the job.
    settings : Settings
        The submission's.

    Returns
    -------
    str
        For bash; it ends with the first command that fails. Empty if there is no final job.
    """
    if workflow.final is None:
        return ""
    section = settings.section(FINAL)
    passed = _passed(settings, file_values(settings))
    lines = ["#!/bin/bash", "set -e", "set -x"]
    lines += [f"{n}=${{{i}:-{shlex.quote(v)}}}" for i, (n, v) in enumerate(passed.items(), 1)]
    return "\n".join([*lines, *_commands(settings, section)]) + "\n"


def _passed(settings: Settings, files: Mapping[str, str]) -> dict[str, str]:
    return {"qgraphFile": files["qgraphFile"], "butlerConfig": settings.text("butlerConfig")}


def _commands(settings: Settings, section: Mapping[str, Any]) -> list[str]:
    """Return ``command1``, ``command2``, … up to the first number that is not there, with values put in."""
    found: list[str] = []
    known = {**section, **{name: f"${{{name}}}" for name in _PASSED}}
    while f"command{len(found) + 1}" in section:
        key = f".{FINAL}.command{len(found) + 1}"
        # What a site says of jobs is not for this machine's commands.
        found.append(str(settings.search(key, values=known, expand_env=False)[1]).strip())
    return found
