"""The alternatives of a query: what an extended graph was built by, one after another."""

from __future__ import annotations

import re

__all__ = ["alternatives"]

_OR = re.compile(r"\s+OR\s+", re.IGNORECASE)


def alternatives(query: str) -> tuple[str, ...]:
    """Return the queries that are joined to one as ``(a) OR (b) OR (c)``.

    Parameters
    ----------
    query : str
        An expression.

    Returns
    -------
    tuple of str
        Without their parentheses; the query itself if it is not written so.

    Examples
    --------
    >>> alternatives("(visit = 1) OR (name = 'a) OR (b')")
    ('visit = 1', "name = 'a) OR (b'")
    >>> alternatives("visit = 1 OR visit = 2")
    ('visit = 1 OR visit = 2',)
    """
    out: list[str] = []
    place = 0
    while (end := _group_end(query, place)) > 0:
        out.append(query[place + 1 : end - 1])
        if end == len(query):
            return tuple(dict.fromkeys(part for text in out for part in alternatives(text)))
        joint = _OR.match(query, end)
        if joint is None:
            break
        place = joint.end()
    return (query,)


def _group_end(text: str, place: int) -> int:
    """Return where a group in parentheses ends that begins here; 0 if none does."""
    if text[place : place + 1] != "(":
        return 0
    depth, quote = 0, ""
    for index in range(place, len(text)):
        letter = text[index]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter == "(") - (letter == ")")
            if not depth:
                return index + 1
    return 0
