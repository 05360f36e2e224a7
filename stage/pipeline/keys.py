"""The keys of a pipeline file: which are known, and of which type their values are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from registry.errors import PipelineError, nearest

__all__ = ["names_of", "only_keys", "typed"]


def only_keys(body: Mapping[Any, Any], known: Iterable[str], where: str) -> None:
    """Refuse a key that is not known.

    Parameters
    ----------
    body : mapping
        What was written.
    known : iterable of str
        The keys there are.
    where : str
        Where it was written, for errors.

    Raises
    ------
    PipelineError
        If there is another; offers the nearest.
    """
    for key in body:
        if key not in known:
            raise PipelineError(
                f"{where}: unknown key '{key}'", code="unknown-key", hint=nearest(str(key), known)
            )


def typed(body: Mapping[str, Any], key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return the value of a key.

    Parameters
    ----------
    body : mapping
        What was written.
    key : str
        The key.
    kind : type or tuple of type
        What it should be: ``dict``, ``list``, ``str``.
    where : str
        Where it was written, for errors.

    Returns
    -------
    object
        The value; an empty one of the first type if there is none.

    Raises
    ------
    PipelineError
        If it is of another type.
    """
    value = body.get(key)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if value is None:
        return kinds[0]()
    if not isinstance(value, kinds):
        wanted: dict[type, str] = {dict: "a mapping", list: "a list", str: "text"}
        raise PipelineError(
            f"{where}: '{key}' should be {' or '.join(wanted[k] for k in kinds)}, not {value!r}",
            code="bad-key",
        )
    return value


def names_of(body: Mapping[str, Any], key: str, where: str) -> list[str]:
    """Return the value of a key as a list of names.

    Parameters
    ----------
    body : mapping
        What was written.
    key : str
        The key.
    where : str
        Where it was written, for errors.

    Returns
    -------
    list of str
        One that is written bare as a list; empty if there is none.

    Raises
    ------
    PipelineError
        If it is something else.
    """
    value = typed(body, key, (list, str), where)
    names = [value] if isinstance(value, str) else value
    if not all(isinstance(n, str) for n in names):
        raise PipelineError(f"{where}: '{key}' should be a list of names, not {value!r}", code="bad-key")
    return cast("list[str]", names)
