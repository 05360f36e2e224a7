"""Tables as JSON: a list of objects, or one object a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from registry.errors import UsageError
from sync.tables.text import Content
from sync.tables.values import Kind, kind_of_text

__all__ = ["read_json"]

_KINDS: dict[frozenset[type], Kind] = {
    frozenset(): "string",
    frozenset({int}): "int",
    frozenset({float}): "float",
    frozenset({int, float}): "float",
    frozenset({bool}): "bool",
}


def read_json(text: str, place: str) -> Content:
    """Read a list of objects, or one object a line.

    Parameters
    ----------
    text : str
        The file.
    place : str
        Its name in errors.

    Returns
    -------
    Content
        Values as JSON has them.

    Raises
    ------
    UsageError
        If it is no JSON, or the objects differ in their names; names the line.
    """
    if text.lstrip().startswith("["):
        return _of_objects(_parsed(text, place), place, lambda row: f"row {row + 1}")
    numbered = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    objects = [_parsed(line, f"{place}, line {number}") for number, line in numbered]
    return _of_objects(objects, place, lambda row: f"line {numbered[row][0]}")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{where}: no JSON: {exc}", code="bad-table") from exc


def _of_objects(objects: Sequence[Any], place: str, lines: Callable[[int], str]) -> Content:
    names = list(objects[0]) if objects and isinstance(objects[0], dict) else []
    for row, found in enumerate(objects):
        if not isinstance(found, dict) or found.keys() != set(names):
            expected = f"an object with {', '.join(names)}" if names else "an object"
            raise UsageError(f"{place}, {lines(row)}: expected {expected}", code="bad-table")
    columns = {name: [found[name] for found in objects] for name in names}
    kinds = {name: _kind(name, values, place, lines) for name, values in columns.items()}
    return Content(columns, lines, kinds)


def _kind(name: str, values: Sequence[Any], place: str, lines: Callable[[int], str]) -> Kind:
    types = frozenset(map(type, values)) - {type(None)}
    if types == {str}:
        return "time" if kind_of_text([v for v in values if v is not None]) == "time" else "string"
    if types not in _KINDS:
        first = next(v for v in values if v is not None)
        row = next((i for i, v in enumerate(values) if type(v) not in {type(first), type(None)}), 0)
        raise UsageError(
            f"{place}, {lines(row)}, column {name}: {values[row]!r:.60} is no number, text or truth value like those before it",
            code="bad-table",
        )
    return _KINDS[types]
