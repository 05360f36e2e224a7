"""Submit descriptions: one for each kind of jobs; what is a job's own is put in by the DAG."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from registry.errors import UsageError
from stage.batch.engines.htcondor.arguments import Arguments, macro, quote_words, vars_value
from stage.batch.engines.htcondor.expressions import policy_commands
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobKind, JobSettings

__all__ = ["describe"]

_COMMAND = re.compile(r"[+A-Za-z_][\w.]*\Z")


def describe(
    settings: JobSettings,
    where: SubmitDir,
    *,
    command: Arguments,
    attributes: Mapping[str, str],
    environment: Mapping[str, str],
    limits: Collection[str],
    profile: Mapping[str, Any],
) -> str:
    """Return the submit description of the jobs of a kind.

    Parameters
    ----------
    settings : JobSettings
        What they need.
    where : SubmitDir
        The submission's directory.
    command : Arguments
        Program and arguments.
    attributes : mapping of str to str
        Attributes that all jobs of the run get.
    environment : mapping of str to str
        Variables that all jobs of the site get.
    limits : collection of str
        Names of concurrency limits that the DAG itself keeps.
    profile : mapping
        Commands that the site adds or says otherwise.

    Returns
    -------
    str
        Text without a queue statement: the DAG queues one of each.

    Raises
    ------
    UsageError
        If what the site adds is no command.
    """
    is_final = settings.kind == JobKind.FINAL
    commands: dict[str, str] = {"universe": "local" if is_final else "vanilla"}
    commands |= {"executable": command.executable, "arguments": command.arguments}
    commands["initialdir"] = str(where.root)
    output = (
        where.final_log if is_final else where.jobs / settings.label / f"$({macro('name')}).$(ClusterId).out"
    )
    commands |= {"output": str(output), "error": str(output)}
    if not is_final:
        # Job and data are on a file system that all machines see.
        commands |= {"should_transfer_files": "NO", "transfer_executable": "False"}
    variables = {**environment, **dict(settings.environment)}
    if variables:
        commands["environment"] = quote_words([f"{name}={value}" for name, value in variables.items()])
    commands["getenv"] = "True" if is_final else "PATH, HOME, LANG, LC_ALL, TZ"
    commands |= _needs(settings, limits)
    commands |= policy_commands(settings)
    own = {"bps_job_name": f"$({macro('name')})", "bps_job_label": settings.label}
    commands |= {f"+{k}": f'"{vars_value(v)}"' for k, v in {**attributes, **own}.items()}
    commands |= _added(profile, settings)
    return "".join(f"{name} = {value}\n" for name, value in commands.items())


def _needs(settings: JobSettings, limits: Collection[str]) -> dict[str, str]:
    found: dict[str, Any] = {
        "request_cpus": settings.request_cpus,
        "request_disk": None if settings.request_disk is None else f"{settings.request_disk}MB",
        "allowed_execute_duration": None if not settings.request_walltime else 60 * settings.request_walltime,
        "accounting_group": settings.accounting_group,
        "accounting_group_user": settings.accounting_user,
    }
    if settings.queue:
        found["+Queue"] = f'"{vars_value(settings.queue)}"'
    if settings.compute_site:
        found["+bps_compute_site"] = f'"{vars_value(settings.compute_site)}"'
    if settings.compute_cloud:
        found["+bps_compute_cloud"] = f'"{vars_value(settings.compute_cloud)}"'
    if settings.preemptible is not None:
        found["+bps_preemptible"] = str(settings.preemptible)
        # Without leave to be stopped a job keeps all the time to end in that a machine grants.
        found["max_job_retirement_time"] = 0 if settings.preemptible else None
    if settings.concurrency_limit and settings.concurrency_limit not in limits:
        found["concurrency_limits"] = settings.concurrency_limit
    return {name: str(value) for name, value in found.items() if value is not None}


def _added(profile: Mapping[str, Any], settings: JobSettings) -> dict[str, str]:
    added = {**profile, **dict(settings.extra)}
    for name, value in added.items():
        if not _COMMAND.match(name) or isinstance(value, (list, dict)) or "\n" in str(value):
            raise UsageError(
                f"'{name}: {value}' is no command of a submit description",
                code="bad-setting",
                hint="In profile.condor of the site, as: +Walltime: 7200.",
            )
    return {name: str(value) for name, value in added.items() if value is not None}
