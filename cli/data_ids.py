"""Values of dimensions as they are typed."""

from __future__ import annotations

from collections.abc import Iterable

from registry.errors import UsageError

__all__ = ["data_id_values"]


def data_id_values(words: Iterable[str] | None) -> dict[str, str]:
    """Turn NAME=VALUE words into a data ID.

    Parameters
    ----------
    words : iterable of str or None
        As they were typed.

    Returns
    -------
    dict of str to str
        Value by dimension.

    Raises
    ------
    UsageError
        If one is no such word.
    """
    out = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(
                f"'{word}' is no value of a dimension",
                code="not-a-value",
                hint="Write NAME=VALUE, as visit=42.",
            )
        out[name.strip()] = value.strip()
    return out
