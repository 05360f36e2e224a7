"""Values given beside an expression: Python objects to constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.errors import UsageError
from registry.model.times import Instant, Timespan, parse_time, tai_from_utc
from registry.query.bound import Const, Node, Span
from registry.query.types import Kind

__all__ = ["constant", "is_list", "span"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_list(value: Any) -> bool:
    """Say whether a bind value stands for several.

    Parameters
    ----------
    value : object
        What was given.

    Returns
    -------
    bool
        True for lists, tuples, sets, ranges and arrays, but not for a `Timespan`.
    """
    if isinstance(value, str | bytes | bytearray | memoryview | Timespan):
        return False
    return isinstance(value, Iterable)


def span(begin: Node | None, end: Node | None) -> Span:
    """Return a timespan as a node.

    Parameters
    ----------
    begin, end : Node or None
        Two times; None is unbounded.

    Returns
    -------
    Span
        Half-open. Two constants that are equal stand for the one nanosecond that begins there; only a span that
        ends before it begins is empty.
    """
    if isinstance(begin, Const) and begin == end:
        end = Const(begin.value + 1, Kind.TIME)
    return Span(begin, end)


def constant(value: Any) -> Node | None:
    """Return a bind value as a node.

    Parameters
    ----------
    value : object
        str, int, float, None, `Instant`, `Timespan`, an aware datetime, an encoded region, or an object
        with ``encode()`` or ``tai`` as regions and times of the field's libraries have.

    Returns
    -------
    Node or None
        The node; None for None.

    Raises
    ------
    UsageError
        If a value of that type has no meaning.
    """
    if value is None:
        return None
    if isinstance(value, Timespan):
        return span(*(None if t is None else Const(int(t), Kind.TIME) for t in value))
    make = next((m for types, m in _PLAIN if isinstance(value, types)), _foreign)
    return make(value)


def _foreign(value: Any) -> Node:
    """Take numbers of NumPy, regions of sphgeom and times of astropy for what they are."""
    if hasattr(value, "encode") and hasattr(value, "relate"):
        return Const(bytes(value.encode()), Kind.REGION)
    if hasattr(value, "tai") and hasattr(value.tai, "isot"):
        return Const(parse_time(f"{value.tai.isot}/tai"), Kind.TIME)
    if type(value).__name__ in {"bool", "bool_"}:
        return Const(bool(value), Kind.BOOL)
    if hasattr(value, "__index__"):
        if not -(2**63) <= int(value) < 2**63:
            raise UsageError(f"the value {value} is beyond 64 bits", code="query-type")
        return Const(int(value), Kind.INT)
    if hasattr(value, "__float__"):
        if not math.isfinite(value):
            raise UsageError(f"the value {value} is not a finite number", code="query-type")
        return Const(float(value), Kind.FLOAT)
    raise UsageError(
        f"a value of type {type(value).__name__} has no meaning in an expression",
        code="query-type",
        hint="Give strings, numbers, Instant, Timespan, aware datetimes, regions, or lists of them.",
    )


def _text(value: str) -> str:
    if "\0" in value or (not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value)):
        raise UsageError(f"the value {value!r} holds a character that is not text", code="query-type")
    return value


def _from_datetime(value: datetime) -> int:
    if value.tzinfo is None:
        raise UsageError(
            f"the time {value} has no time zone", code="query-type", hint="Use an aware datetime, or Instant."
        )
    return tai_from_utc((value - _EPOCH) // timedelta(microseconds=1) * 1000)


_PLAIN: tuple[tuple[tuple[type, ...], Callable[[Any], Node]], ...] = (
    ((Instant,), lambda v: Const(v.tai_ns, Kind.TIME)),
    ((datetime,), lambda v: Const(_from_datetime(v), Kind.TIME)),
    ((bool,), lambda v: Const(v, Kind.BOOL)),
    ((str,), lambda v: Const(_text(v), Kind.STRING)),
    ((bytes, bytearray, memoryview), lambda v: Const(bytes(v), Kind.REGION)),
)
