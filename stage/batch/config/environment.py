"""Variables of the environment in settings: ``${NAME}``, ``$NAME``, and the marks ``<ENV:NAME>`` for later."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["expand", "marked", "surroundings"]

_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)
_MARK = re.compile(r"<ENV:([^>]+)>")
_BRACED = re.compile(r"\$\{([^{}]+)\}")
_BARE = re.compile(r"\$([^\s${}<>]+)")


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Put in the values of variables; those that are not set stay as they are written.

    Parameters
    ----------
    text : str
        With ``$NAME`` or ``${NAME}``.
    environment : mapping of str to str
        The variables.

    Returns
    -------
    str
        What is put in is not looked at again.
    """
    if "<ENV:" in text:
        text = _MARK.sub(r"$\1", text)
    if "$" not in text:
        return text
    return _VARIABLE.sub(lambda found: environment.get(found[1] or found[2], found[0]), text)


def marked(text: str) -> str:
    """Mark variables to be put in later, on the machine of a job.

    Parameters
    ----------
    text : str
        With ``$NAME`` or ``${NAME}``.

    Returns
    -------
    str
        With ``<ENV:NAME>``; `expand` understands it.
    """
    return _BARE.sub(r"<ENV:\1>", _BRACED.sub(r"<ENV:\1>", text))


def surroundings() -> dict[str, str]:
    """Return the environment of this process.

    Returns
    -------
    dict of str to str
        With ``PWD`` as it really is: a program that starts this one somewhere else need not change it.
    """
    known = dict(os.environ)
    said = known.get("PWD", "")
    if not said or not Path(said).is_dir() or not Path(said).samefile("."):
        known["PWD"] = str(Path.cwd())
    return known
