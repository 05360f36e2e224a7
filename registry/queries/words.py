"""The text of an expression, in pieces: its outermost conditions, and the names that it uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from registry.query import ast
from registry.query.parser import parse

__all__ = ["bare_names", "bind_names", "conditions", "spoken_of"]

_WORD = re.compile(r"'[^']*'|\b(?:AND|OR)\b|[()]", re.IGNORECASE)


def conditions(text: str) -> list[str]:
    """Split an expression at its outermost ``AND``.

    Parameters
    ----------
    text : str
        An expression that can be read.

    Returns
    -------
    list of str
        As written, without what surrounds them; the text itself where nothing joins conditions but ``OR``.
    """
    depth, start, pieces = 0, 0, []
    for match in _WORD.finditer(text):
        word = match.group().upper()
        depth += (word == "(") - (word == ")")
        if depth == 0 and word == "OR":
            return [text.strip()]
        if depth == 0 and word == "AND":
            pieces.append(text[start : match.start()])
            start = match.end()
    pieces.append(text[start:])
    if len(pieces) > 1:
        return [p for piece in pieces for p in conditions(piece)]
    whole = text.strip()
    inner = _within_brackets(whole)
    return [whole] if inner is None else _unless_alone(conditions(inner), whole)


def _unless_alone(found: list[str], whole: str) -> list[str]:
    return found if len(found) > 1 else [whole]


def _within_brackets(text: str) -> str | None:
    """Return what one pair of brackets around all of a text holds."""
    depth = 0
    for match in _WORD.finditer(text):
        word = match.group()
        depth += (word == "(") - (word == ")")
        if depth == 0:
            return text[1:-1] if match.end() == len(text) and text.startswith("(") else None
    return None


def _nodes(node: object) -> Iterator[ast.Node]:
    todo: list[Any] = [node]
    while todo:
        found = todo.pop()
        if isinstance(found, tuple):
            todo += found
        elif isinstance(found, ast.Node) and is_dataclass(found):
            yield found
            todo += [getattr(found, f.name) for f in fields(found)]


def bind_names(text: str) -> set[str]:
    """Return the names of values that an expression asks for: ``:name``.

    Parameters
    ----------
    text : str
        An expression.

    Returns
    -------
    set of str
        Without the colons.

    Raises
    ------
    QueryError
        If it cannot be read.
    """
    parsed = parse(text)
    return {n.name for n in _nodes(parsed.root if parsed else None) if isinstance(n, ast.Bind)}


def bare_names(text: str) -> set[str]:
    """Return the names of one part in an expression: dimensions, metadata, and values without a colon.

    Parameters
    ----------
    text : str
        An expression.

    Returns
    -------
    set of str
        As written.

    Raises
    ------
    QueryError
        If it cannot be read.
    """
    parsed = parse(text)
    names = (n for n in _nodes(parsed.root if parsed else None) if isinstance(n, ast.Name))
    return {n.parts[0] for n in names if len(n.parts) == 1}


def spoken_of(text: str) -> set[str]:
    """Return the first parts of all names in an expression: elements, metadata, and values without a colon.

    Parameters
    ----------
    text : str
        An expression; may be blank.

    Returns
    -------
    set of str
        As written: of ``instrument.class_name = 'A'`` it is ``instrument``.

    Raises
    ------
    QueryError
        If it cannot be read.
    """
    parsed = parse(text) if text.strip() else None
    names = (n for n in _nodes(parsed.root if parsed else None) if isinstance(n, ast.Name))
    return {n.parts[0] for n in names}
