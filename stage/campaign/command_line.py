"""The command line that a change is made for, to be named in locks and in the history."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ["command_line", "command_text"]

_MAX_LENGTH = 2000
_SPECIAL = frozenset('"$`\\!')
_SECRET = re.compile(r"(://[^/@\s:]*):[^/@\s]*@")
_current: list[str] = []


@contextmanager
def command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Let changes made meanwhile be known by a command line.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.

    Yields
    ------
    None
        Nothing.
    """
    before = list(_current)
    _current[:] = ["stage", *arguments]
    try:
        yield
    finally:
        _current[:] = before


def command_text(method: str) -> str:
    """Return what a change is made for; passwords in URLs are left out.

    Parameters
    ----------
    method : str
        The method of `Campaign` that makes it.

    Returns
    -------
    str
        The command line, else the method.
    """
    if not _current:
        return f"Campaign.{method}"
    return " ".join(_quoted(_SECRET.sub(r"\1:***@", word)) for word in _current)[:_MAX_LENGTH]


def _quoted(word: str) -> str:
    """Quote a word for a shell as people do: expressions are full of single quotes."""
    return f'"{word}"' if "'" in word and not _SPECIAL & set(word) else shlex.quote(word)
