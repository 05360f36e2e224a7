"""The way on from records that upstream will not have: an expression that leaves out what needs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sync.pushing.kinds import HINTS

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from sync.plan_parts import Conflict
    from sync.pushing.asking import Asked
    from sync.pushing.plan import Outgoing

__all__ = ["with_expressions"]

_CODES = ("record-deleted", "record-key-taken")
_MOST = 100
"""Values that a command can reasonably name."""


def with_expressions(conflicts: Iterable[Conflict], outgoing: Outgoing, asked: Asked) -> list[Conflict]:
    """Write into the hints of conflicts about records how to push all else.

    Parameters
    ----------
    conflicts : iterable of Conflict
        Of any kind.
    outgoing : Outgoing
        Our side.
    asked : Asked
        The push as a command.

    Returns
    -------
    list of Conflict
        One command for all that are about records which cannot go.
    """
    out = list(conflicts)
    concerned = [c for c in out if c.code in _CODES]
    expression = _without(concerned, outgoing.universe) if concerned else ""
    if not expression:
        return out
    where = f"({outgoing.where}) AND {expression}" if outgoing.where else expression
    command = asked.text("--where", where, without=["--where"])
    return [
        replace(c, hint=_with_command(c.code, command)) if c.code in _CODES else c
        for c in out
    ]  # fmt: skip


def _with_command(code: str, command: str) -> str:
    return HINTS[code].replace("with 'stage push --where EXPR'", f"with '{command}'")


def _without(conflicts: Sequence[Conflict], universe: DimensionUniverse) -> str:
    """Return an expression that no data ID fulfils which needs one of these records; empty if it cannot be written."""
    keys = [
        (universe.element(c.about["element"]), tuple(c.about["data_id"].items())) for c in conflicts
    ]  # fmt: skip
    own = [(element, items) for element, items in keys if element.is_dimension]
    values: dict[tuple[tuple[str, Any], ...], dict[str, None]] = {}
    for _, items in own or keys:
        (name, value), others = items[-1], items[:-1]
        values.setdefault((*others, (name, None)), {})[_literal(value)] = None
    texts = [text for group in values.values() for text in group]
    if len(texts) > _MOST or any("'" in text[1:-1] for text in texts):
        return ""
    return " AND ".join(_negated(key, list(group)) for key, group in values.items())


def _negated(key: tuple[tuple[str, Any], ...], values: Sequence[str]) -> str:
    fixed = [f"{name} = {_literal(value)}" for name, value in key[:-1]]
    name = key[-1][0]
    last = f"{name} = {values[0]}" if len(values) == 1 else f"{name} IN ({', '.join(values)})"
    return f"NOT ({' AND '.join([*fixed, last])})"


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
