"""A bound expression against one row, in plain Python: what the SQL is held against."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from functools import singledispatch
from typing import Any

from registry.errors import InternalError
from registry.model import regions
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END
from registry.query import bound
from registry.query.types import Kind

__all__ = ["arithmetic", "evaluate", "glob_regex"]

Lookup = Callable[[bound.Field], Any]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def glob_regex(pattern: str) -> re.Pattern[str]:
    """Return a pattern of ``*`` and ``?`` as a regular expression.

    Parameters
    ----------
    pattern : str
        Every other character means itself.

    Returns
    -------
    re.Pattern
        To be used with ``fullmatch``.
    """
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), re.DOTALL)


def _remainder(left: float, right: float) -> int | None:
    """Divide as SQLite does: what is no integer loses its fraction first."""
    dividend, divisor = abs(int(left)), abs(int(right))
    return int(math.copysign(1, left)) * (dividend % divisor) if divisor else None


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": _remainder,
}


def arithmetic(sign: str, left: Any, right: Any) -> Any:
    """Compute as the databases do.

    Parameters
    ----------
    sign : {"+", "-", "*", "/", "%"}
        The operator.
    left, right : int or float or None
        The numbers.

    Returns
    -------
    int or float or None
        None where a side is null or the divisor is zero; division is true division, and the remainder has
        the sign of the dividend.
    """
    if left is None or right is None or (sign in "/%" and right == 0):
        return None
    return _ARITHMETIC[sign](left, right)


def evaluate(node: bound.Node | None, row: Lookup) -> bool | None:
    """Say whether a row meets a condition.

    Parameters
    ----------
    node : Node or None
        A bound condition; None holds for every row.
    row : callable
        Gives the value of a column; that of a timespan is asked for as its two ends.

    Returns
    -------
    bool or None
        None is SQL's unknown: the row is not selected, and neither is it by the negation.
    """
    return True if node is None else _truth(node, row)


@singledispatch
def _truth(node: bound.Node, row: Lookup) -> bool | None:  # noqa: ARG001
    raise InternalError(f"{type(node).__name__} is not a condition")


@_truth.register
def _(node: bound.And, row: Lookup) -> bool | None:
    return _all([_truth(o, row) for o in node.operands])


@_truth.register
def _(node: bound.Or, row: Lookup) -> bool | None:
    return _not(_all([_not(_truth(o, row)) for o in node.operands]))


@_truth.register
def _(node: bound.Not, row: Lookup) -> bool | None:
    return _not(_truth(node.operand, row))


@_truth.register
def _(node: bound.Truth, row: Lookup) -> bool | None:
    value = row(node.field)
    return None if value is None else bool(value)


@_truth.register
def _(node: bound.IsNull, row: Lookup) -> bool | None:
    return (_value(node.operand, row) is None) is not node.negated


@_truth.register
def _(node: bound.Glob, row: Lookup) -> bool | None:
    text = _value(node.operand, row)
    return None if text is None else glob_regex(node.pattern).fullmatch(text) is not None


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _all(values: list[bool | None]) -> bool | None:
    """Return the three-valued AND."""
    if any(v is False for v in values):
        return False
    return None if any(v is None for v in values) else True


@singledispatch
def _value(node: bound.Node, row: Lookup) -> Any:  # noqa: ARG001
    raise InternalError(f"{type(node).__name__} is not a term")


@_value.register
def _(node: bound.Const, row: Lookup) -> Any:  # noqa: ARG001
    return node.value


@_value.register
def _(node: bound.Field, row: Lookup) -> Any:
    if node.kind is not Kind.TIMESPAN:
        return row(node)
    begin, end = (row(bound.Field(node.element, f"{node.column}_{e}", Kind.TIME)) for e in ("begin", "end"))
    return None if begin is None else (begin, end)


@_value.register
def _(node: bound.Negate, row: Lookup) -> Any:
    number = _value(node.operand, row)
    return None if number is None else -number


@_value.register
def _(node: bound.Arithmetic, row: Lookup) -> Any:
    return arithmetic(node.operator, _value(node.left, row), _value(node.right, row))


@_value.register
def _(node: bound.Span, row: Lookup) -> Any:
    first = UNBOUNDED_BEGIN if node.begin is None else _value(node.begin, row)
    last = UNBOUNDED_END if node.end is None else _value(node.end, row)
    return (first, last)


@_truth.register
def _(node: bound.Compare, row: Lookup) -> bool | None:
    left, right = _value(node.left, row), _value(node.right, row)
    if left is None or right is None:
        return None
    if isinstance(left, tuple):
        same = _all([None if a is None or b is None else a == b for a, b in zip(left, right, strict=True)])
        return same if node.operator == "=" else _not(same)
    return _COMPARE[node.operator](left, right)


@_truth.register
def _(node: bound.Contains, row: Lookup) -> bool | None:
    value = _value(node.operand, row)
    tests: list[bool | None] = []
    if node.values:
        tests.append(None if value is None else value in node.values)
    for first, last, step in node.ranges:
        # A quotient with a fraction is in a range between two integers of it; steps are counted without the fraction.
        tests.append(
            None
            if value is None
            else first <= value <= last and (step == 1 or (int(value) - first) % step == 0)
        )
    for other in node.others:
        against = _value(other, row)
        tests.append(None if value is None or against is None else value == against)
    if node.null:
        tests.append(value is None)
    found = _not(_all([_not(t) for t in tests]))
    return _not(found) if node.negated else found


@_truth.register
def _(node: bound.Overlaps, row: Lookup) -> bool | None:
    sides = [_value(node.left, row), _value(node.right, row)]
    if node.kind is Kind.REGION:
        return regions.overlaps(*sides)
    for i, term in enumerate((node.left, node.right)):
        if getattr(term, "kind", None) is Kind.TIME:
            begin, end = sides[1 - i] or (None, None)
            return _all([_less(begin, sides[i], equal=True), _less(sides[i], end)])
    left, right = (side or (None, None) for side in sides)
    # A constant span that is empty has ends that overlap nothing; one that is stored may begin where it ends.
    stored = [s for s, term in ((left, node.left), (right, node.right)) if isinstance(term, bound.Field)]
    return _all([_less(left[0], right[1]), _less(right[0], left[1]), *(_less(*s) for s in stored)])


def _less(a: int | None, b: int | None, *, equal: bool = False) -> bool | None:
    if a is None or b is None:
        return None
    return a <= b if equal else a < b
