"""Memory of jobs: what they add to that of quanta (`stage.execution.memory`): the limit of a site, and retries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stage.execution.memory import memory_of_attempt

if TYPE_CHECKING:
    from stage.batch.workflow.model import JobSettings

__all__ = ["SCALED_RETRIES", "grows", "limited", "memory_of_job", "retries_of_job"]

SCALED_RETRIES = 5
"""How often a job is tried again whose memory grows, if nothing is said."""


def grows(settings: JobSettings) -> bool:
    """Tell whether a job gets more memory after it has died for want of it.

    Parameters
    ----------
    settings : JobSettings
        What jobs of its kind need.

    Returns
    -------
    bool
        Whether ``memoryMultiplier`` is more than 1.
    """
    return settings.request_memory is not None and (settings.memory_multiplier or 1.0) > 1.0


def retries_of_job(settings: JobSettings) -> int:
    """Return how often a job is tried again, whatever it died of.

    Parameters
    ----------
    settings : JobSettings
        What jobs of its kind need.

    Returns
    -------
    int
        ``numberOfRetries``; without it 5 where memory grows, none elsewhere.
    """
    if settings.number_of_retries is not None:
        return max(settings.number_of_retries, 0)
    return SCALED_RETRIES if (settings.memory_multiplier or 1.0) > 1.0 else 0


def memory_of_job(settings: JobSettings, deaths: int) -> int | None:
    """Return how much memory the next attempt at a job gets.

    Parameters
    ----------
    settings : JobSettings
        What jobs of its kind need.
    deaths : int
        How many attempts died for want of memory; others do not count.

    Returns
    -------
    int or None
        Megabytes: the first attempt gets what is asked for, even if that is more than `request_memory_max`. None if
        nothing is asked for, or if an attempt before it had all that there may be.
    """
    first = settings.request_memory
    if first is None or not deaths:
        return first
    multiplier = settings.memory_multiplier or 1.0
    return memory_of_attempt(first, deaths, multiplier=multiplier, maximum_mb=settings.request_memory_max)


def limited(settings: JobSettings, limit_mb: int | None) -> JobSettings:
    """Return what jobs of a kind need where no job can get more than some memory.

    Parameters
    ----------
    settings : JobSettings
        As the submission says.
    limit_mb : int or None
        Megabytes: ``memoryLimit``, or what the engine found. None if it is not known.

    Returns
    -------
    JobSettings
        With `request_memory_max` no more than that, where memory grows; elsewhere the limit has no effect.
    """
    if not limit_mb or not grows(settings):
        return settings
    return replace(settings, request_memory_max=min(settings.request_memory_max or limit_mb, limit_mb))
