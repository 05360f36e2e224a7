"""What is done about an attempt that failed, and how much memory the next one gets: the rules of the field.

An attempt is repeated as often as ``numberOfRetries`` says, whatever it died of; memory grows only after those that died
for want of it, up to ``requestMemoryMax``, with which there is one attempt. Machines that are lost and jobs that are
preempted are no fault of the job: the first few of these are repeated without counting.
"""

from __future__ import annotations

from dataclasses import dataclass

from stage.batch.engines.base import OUT_OF_MEMORY_EXIT, Cause, JobEvent, JobState
from stage.batch.memory import memory_of_job, retries_of_job
from stage.batch.workflow.model import JobSettings

__all__ = ["Tally", "Verdict", "cause_of", "judge", "memory_of"]

_FREE_LOSSES = 3
"""So often a job's machine may be lost before it is taken for the job's doing."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a job has come to so far, with the attempt that has just ended.

    Parameters
    ----------
    failures : int
        Attempts that failed, by whatever was the job's own.
    memory_failures : int
        Those of them that died for want of memory.
    losses : int
        Attempts whose machine was lost, or that were preempted.
    """

    failures: int = 0
    memory_failures: int = 0
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a job after an attempt without success.

    Parameters
    ----------
    again : bool
        Whether there is another attempt.
    why : str
        Why there is none, for a person; empty if there is one, or if nothing was said about retries.
    """

    again: bool
    why: str = ""


def memory_of(settings: JobSettings, memory_failures: int) -> int | None:
    """Return what the next attempt may have.

    Parameters
    ----------
    settings : JobSettings
        What jobs of its kind need.
    memory_failures : int
        How many attempts died for want of memory.

    Returns
    -------
    int or None
        Megabytes; None if nothing is said about memory. After the last step it stays as it was.
    """
    if settings.request_memory is None:
        return None
    for n in range(memory_failures, -1, -1):
        found = _memory(settings, n)
        if found is not None:
            return found
    return settings.request_memory


def cause_of(event: JobEvent) -> Cause:
    """Return why an attempt failed, by the engine's word and by the exit code of its program.

    Parameters
    ----------
    event : JobEvent
        An end without success.

    Returns
    -------
    Cause
        The engine's, but MEMORY where the program itself said so.
    """
    if event.exit_code == OUT_OF_MEMORY_EXIT and event.cause in {Cause.EXIT, Cause.NONE}:
        return Cause.MEMORY
    return event.cause or Cause.EXIT


def judge(settings: JobSettings, tally: Tally, event: JobEvent, cause: Cause) -> Verdict:
    """Decide whether a job is tried again.

    Parameters
    ----------
    settings : JobSettings
        What jobs of its kind need.
    tally : Tally
        Its attempts, this one included.
    event : JobEvent
        The end of an attempt.
    cause : Cause
        What it died of.

    Returns
    -------
    Verdict
        And why not.
    """
    if event.state == JobState.DELETED or cause == Cause.CANCELLED:
        return Verdict(again=False)
    if cause in {Cause.NODE, Cause.PREEMPTED}:
        again = tally.losses <= _FREE_LOSSES
        return Verdict(again, "" if again else f"its machine was lost {tally.losses} times")
    allowed = retries_of_job(settings)
    why = _never(settings, tally, event, cause)
    if tally.failures > allowed and not why:
        return Verdict(again=False, why=f"{allowed} of {allowed} retries used" if allowed else "")
    return Verdict(not why, why)


def _never(settings: JobSettings, tally: Tally, event: JobEvent, cause: Cause) -> str:
    """Return why there is no other attempt, whatever retries are left."""
    if cause == Cause.MEMORY and _memory(settings, tally.memory_failures) is None:
        return f"with {settings.request_memory_max} MB it had the most that it may get (requestMemoryMax)"
    if cause == Cause.EXIT and event.exit_code in settings.retry_unless_exit:
        return f"exit code {event.exit_code} is not tried again (retryUnlessExit)"
    return ""


def _memory(settings: JobSettings, n: int) -> int | None:
    """Return the memory after n deaths for want of it; None if the one before had all that it may get."""
    return 0 if settings.request_memory is None else memory_of_job(settings, n)
