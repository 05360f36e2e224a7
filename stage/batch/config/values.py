"""Values as their users need them: whole numbers, numbers, truth values, text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from registry.errors import UsageError

__all__ = ["as_flag", "as_integer", "as_number", "as_text"]

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})

Named = Callable[[], str]
"""Names the setting and its place."""


def as_integer(value: Any, named: Named) -> int | None:
    """Return a value as a whole number.

    Parameters
    ----------
    value : object
        As found.
    named : callable
        Names it.

    Returns
    -------
    int or None
        None if it is empty.

    Raises
    ------
    UsageError
        If it is not one.
    """
    number = as_number(value, named)
    if number is None or isinstance(number, int):
        return number
    if number.is_integer():
        return int(number)
    raise _refusal(value, "a whole number", named)


def as_number(value: Any, named: Named) -> int | float | None:
    """Return a value as a number; also one that is written as text, as ``1e3`` is in YAML.

    Parameters
    ----------
    value : object
        As found.
    named : callable
        Names it.

    Returns
    -------
    int, float or None
        None if it is empty.

    Raises
    ------
    UsageError
        If it is not one.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    raise _refusal(value, "a number", named)


def as_flag(value: Any, named: Named) -> bool | None:
    """Return a value as true or false.

    Parameters
    ----------
    value : object
        As found.
    named : callable
        Names it.

    Returns
    -------
    bool or None
        None if it is empty.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    if word:
        raise _refusal(value, "true or false", named)
    return None


def as_text(value: Any, named: Named) -> str:
    """Return a value as text.

    Parameters
    ----------
    value : object
        As found.
    named : callable
        Names it.

    Returns
    -------
    str
        Of a list its items, with commas between; of None nothing.

    Raises
    ------
    UsageError
        If it is a section.
    """
    if value is None:
        return ""
    if isinstance(value, Mapping):
        raise _refusal(value, "text", named)
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _refusal(value: Any, expected: str, named: Named) -> UsageError:
    shown = "a section" if isinstance(value, Mapping) else repr(value)
    return UsageError(
        f"{named()} is {shown[:100]}, not {expected}",
        code="batch-config-value",
        hint="Correct it where it is written.",
    )
