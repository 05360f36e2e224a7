"""Values given beside an expression: Python objects to constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.errors import UsageError
from registry.model.data_id import is_storable
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, Instant, Timespan, parse_time, tai_from_utc
from registry.query.bound import Const, Node, Span
from registry.query.types import Kind

__all__ = ["Constants", "constant", "constants", "is_list", "span"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The ends of every empty span, so that it neither begins before anything ends nor ends after anything begins.
_EMPTY = (Const(UNBOUNDED_END, Kind.TIME), Const(UNBOUNDED_BEGIN, Kind.TIME))


@dataclass(frozen=True, slots=True)
class Constants:
    """Values that a list given beside an expression holds.

    Parameters
    ----------
    values : list
        As in `Const`.
    kinds : frozenset of Kind
        Theirs.
    null : bool
        Whether there was None among them.
    """

    values: list[Any]
    kinds: frozenset[Kind]
    null: bool


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
    if isinstance(begin, Const) and isinstance(end, Const):
        if begin == end:
            end = Const(begin.value + 1, Kind.TIME)
        elif begin.value > end.value:
            begin, end = _EMPTY
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


def constants(values: Iterable[Any]) -> Constants:
    """Return bind values that stand for several.

    Parameters
    ----------
    values : iterable
        As for `constant`; arrays too.

    Returns
    -------
    Constants
        They, as one. Plain values of one type, however many, are looked at all at once.

    Raises
    ------
    UsageError
        If a value among them has no meaning, or is itself a list.
    """
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    plain = [v for v in listed if v is not None]
    of_type = _ALIKE.get(type(plain[0])) if plain and len(set(map(type, plain))) == 1 else None
    if of_type is not None and of_type[1](plain):
        return Constants(plain, frozenset({of_type[0]}), len(plain) < len(listed))
    nested = next((v for v in plain if is_list(v)), None)
    if nested is not None:
        raise UsageError(
            f"a list that holds a list: {nested!r:.60}",
            code="query-type",
            hint="Give the values of both as one.",
        )
    nodes: list[Any] = [constant(v) for v in plain]
    return Constants(
        [n.value if isinstance(n, Const) else n for n in nodes],
        frozenset(n.kind for n in nodes),
        len(plain) < len(listed),
    )


def _foreign(value: Any) -> Node:
    """Take numbers of NumPy, regions of sphgeom and times of astropy for what they are."""
    if hasattr(value, "encode") and hasattr(value, "relate"):
        return Const(bytes(value.encode()), Kind.REGION)
    if hasattr(value, "tai") and hasattr(value.tai, "isot"):
        return Const(parse_time(f"{value.tai.isot}/tai"), Kind.TIME)
    if type(value).__name__ in {"bool", "bool_"}:
        return Const(int(value), Kind.INT)
    if hasattr(value, "__index__"):
        if not -(2**63) <= int(value) < 2**63:
            raise UsageError(f"the value {value} is beyond 64 bits", code="query-type")
        return Const(int(value), Kind.INT)
    if hasattr(value, "__float__"):
        number = _as_float(value)
        if not math.isfinite(number):
            raise UsageError(f"the value {value} is not a finite number", code="query-type")
        return Const(number, Kind.FLOAT)
    raise UsageError(
        f"a value of type {type(value).__name__} has no meaning in an expression",
        code="query-type",
        hint="Give strings, numbers, Instant, Timespan, aware datetimes, regions, or lists of them.",
    )


def _as_float(value: Any) -> float:
    """Return a number of any library as a float; not a number, if there is none."""
    try:
        return float(value)
    except (ValueError, OverflowError, TypeError):
        return math.nan


def _text(value: str) -> str:
    if not is_storable(value):
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
    # As for Python, a truth value that is given counts as 0 or 1; columns of truth values are compared with nothing.
    ((bool,), lambda v: Const(int(v), Kind.INT)),
    ((str,), lambda v: Const(_text(v), Kind.STRING)),
    ((bytes, bytearray, memoryview), lambda v: Const(bytes(v), Kind.REGION)),
)

_ALIKE: dict[type, tuple[Kind, Callable[[list[Any]], bool]]] = {
    str: (Kind.STRING, lambda some: is_storable("".join(some))),
    int: (Kind.INT, lambda some: min(some) >= -(2**63) and max(some) < 2**63),
    float: (Kind.FLOAT, lambda some: all(map(math.isfinite, some))),
}
"""For plain types: their kind, and whether values are all ones that a database can hold."""
