"""Limits of jobs at once that a head keeps, whatever engine runs them: ``concurrencyLimits`` of a site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.errors import UsageError

if TYPE_CHECKING:
    from stage.batch.engines.base import EngineSettings

__all__ = ["numbered_limit"]

_KEY = "concurrencyLimits"


def numbered_limit(settings: EngineSettings, name: str | None) -> dict[str, int | None]:
    """Return the number of a limit, if the site has one.

    Parameters
    ----------
    settings : EngineSettings
        The site's.
    name : str or None
        As ``concurrencyLimit`` of jobs says.

    Returns
    -------
    dict of str to int
        One limit, or none: without a number, or with a text, it is the scheduler's own.

    Raises
    ------
    UsageError
        If it is a number that is none of jobs.
    """
    told = settings.options.get(_KEY)
    number = told.get(name) if name and isinstance(told, Mapping) else None
    if isinstance(number, str):
        number = int(number) if number.isdecimal() else None
    if number is None:
        return {}
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise UsageError(
            f"site.{settings.site}.{_KEY}.{name} is {number!r}, and has to be a whole number, 1 or more",
            code="bad-site",
            hint="It is how many such jobs may run at once there.",
        )
    return {str(name): number}
