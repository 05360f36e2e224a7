"""The rules of retries and memory as ClassAd expressions, which the queue itself evaluates when a job ends or is held.

All attempts of a job are starts of one job in the queue, as the field's own plugin has it: ``NumJobStarts`` counts them,
whatever ended them. A job that dies for want of memory is held, on HTCondor's word or on its own, and released to ask
for more; the last of these starts has the most that it may get.
"""

from __future__ import annotations

from stage.batch.engines.base import OUT_OF_MEMORY_EXIT
from stage.batch.memory import grows, retries_of_job
from stage.batch.workflow.model import JobSettings

__all__ = ["policy_commands"]

_MEMORY_HOLD = 34
"""HTCondor's code of a job that it held for using more memory than it had."""
_POLICY_HOLD = 3
_TIME_HOLD = 47
"""Its code of a job that it held for running longer than ``allowed_execute_duration``."""
_KILLED = 9


def policy_commands(settings: JobSettings) -> dict[str, str]:
    """Return the commands of a submit description that say when a job is run again, and with how much memory.

    Parameters
    ----------
    settings : JobSettings
        What jobs of a kind need.

    Returns
    -------
    dict of str to str
        Commands and their expressions.
    """
    retries = retries_of_job(settings)
    left = f"NumJobStarts <= {retries}"
    died = (
        f"(ExitBySignal =?= true && ExitSignal =?= {_KILLED}"
        f" || ExitBySignal =?= false && ExitCode =?= {OUT_OF_MEMORY_EXIT})"
    )
    done = "ExitBySignal =?= false && ExitCode =?= 0"
    held = _held_for_memory("")
    late = f"HoldReasonCode =?= {_TIME_HOLD}"
    commands: dict[str, str] = {}
    if settings.request_memory is not None:
        commands["request_memory"] = _request(settings)
    if not grows(settings):
        # The same memory each time: a death for want of it is a failure like any other.
        commands["on_exit_remove"] = f"{done} || NumJobStarts > {retries}"
        again = f"({held} || {late}) && {left}"
        return commands | _periodic(f"({held} || {late})", again)
    more = f"({left}{_below_most(settings)})"
    commands["on_exit_hold"] = f"{died} && {more}"
    commands["on_exit_hold_reason"] = '"out of memory: it is run again with more"'
    commands["on_exit_hold_subcode"] = str(_MEMORY_HOLD)
    commands["on_exit_remove"] = f"{done} || {died} || NumJobStarts > {retries}"
    again = f"({held} && {more} || {late} && {left})"
    return commands | _periodic(f"({held} || {late})", again)


def _periodic(concerned: str, again: str) -> dict[str, str]:
    return {
        "periodic_release": again,
        "periodic_remove": f"JobStatus == 5 && {concerned} && !({again})",
    }


def _request(settings: JobSettings) -> str:
    first = settings.request_memory
    if not grows(settings):
        return str(first)
    grown = _grown(settings, "NumJobStarts")
    most = settings.request_memory_max
    grown = grown if most is None else f"min({{{grown}, {most}}})"
    return f"ifThenElse({_held_for_memory('Last')}, {grown}, {first})"


def _grown(settings: JobSettings, n: str) -> str:
    return f"int({settings.request_memory} * pow({float(settings.memory_multiplier or 1.0)!r}, {n}))"


def _below_most(settings: JobSettings) -> str:
    """Return that the start which has just ended had less than the most."""
    if settings.request_memory_max is None:
        return ""
    return f" && {_grown(settings, 'NumJobStarts - 1')} < {settings.request_memory_max}"


def _held_for_memory(which: str) -> str:
    """Return that a job is held for memory, or was the last time that it was held: ``which`` is then "Last"."""
    code, sub = f"{which}HoldReasonCode", f"{which}HoldReasonSubCode"
    return f"({code} =?= {_MEMORY_HOLD} || {code} =?= {_POLICY_HOLD} && {sub} =?= {_MEMORY_HOLD})"
