"""Lengths of time as they are typed."""

from __future__ import annotations

import re

from registry.errors import UsageError

__all__ = ["seconds_of"]

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds_of(text: str) -> float:
    """Return a length of time in seconds.

    Parameters
    ----------
    text : str
        A number with ``s``, ``m``, ``h`` or ``d``, or none for seconds.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    UsageError
        If it is none.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", text.strip())
    if found is None:
        raise UsageError(
            f"'{text}' is not a length of time", code="bad-options", hint="Write 30m, 12h or 7d."
        )
    return float(found[1]) * _UNITS[found[2]]
