"""Rows and expressions for the property tests of the `where` language."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from registry.model.dimensions import DimensionUniverse
from registry.query.bound import Field

__all__ = ["UNIVERSE", "conditions", "lookup", "rows"]

UNIVERSE = DimensionUniverse.from_yaml(
    """
    name: test
    version: 1
    elements:
      lab: {key: {name: name, type: string}}
      sample:
        requires: [lab]
        key: {name: id, type: int}
        metadata: {n: int, m: int, x: float, y: float, s: string, t: string, b: bool, c: bool}
        timespan: true
    """
)

_STRINGS = ["", "a", "ab", "aB", "b%", "a_b", "a[b", "é", "*", "b\\"]


def rows(count: int = 80) -> list[dict[str, Any]]:
    """Return records of `sample`, with nulls in every column that may have them."""
    rng = random.Random(20261121)

    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.25 else value

    out = []
    for i in range(count):
        begin = maybe(rng.randrange(0, 12))
        out.append(
            {
                "lab": "L",
                "sample": i - count // 2,
                "n": maybe(rng.randrange(-6, 7)),
                "m": maybe(rng.randrange(-3, 4)),
                "x": maybe(rng.choice([-1.5, 0.0, 0.5, 2.0, 3.0])),
                "y": maybe(rng.choice([-2.0, 0.25, 1.0, 2.0])),
                "s": maybe(rng.choice(_STRINGS)),
                "t": maybe(rng.choice(_STRINGS)),
                "b": maybe(rng.random() < 0.5),
                "c": maybe(rng.random() < 0.5),
                "timespan_begin": None if begin is None else begin * 10**9,
                "timespan_end": None if begin is None else (begin + rng.randrange(0, 4)) * 10**9,
            }
        )
    return out


def lookup(row: dict[str, Any]) -> Any:
    """Return what gives the columns of a row to `evaluate`."""

    def value(field: Field) -> Any:
        return row[field.column]

    return value


_string = st.sampled_from([f"'{s}'" for s in _STRINGS if s != "b\\"])
_int = st.integers(-7, 7).map(str)
_float = st.sampled_from(["-1.5", "0.", ".5", "2.0", "3e0"])
_time = st.integers(0, 14).map(lambda s: f"T'1970-01-01T00:00:{s:02d}/tai'")
_moment = st.one_of(_time, st.sampled_from(["sample.timespan.begin", "sample.timespan.end"]))
_null = st.just("NULL")


def _arithmetic(terms: st.SearchStrategy[str], operators: str) -> st.SearchStrategy[str]:
    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pairs = st.tuples(inner, st.sampled_from(operators), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        return st.one_of(pairs, inner.map(lambda t: f"- {t}"), inner.map(lambda t: f"({t})"))

    return st.recursive(terms, grow, max_leaves=4)


_ints = _arithmetic(st.one_of(_int, st.sampled_from(["n", "m", "sample.n", "sample.id", "sample"])), "+-*%")
# A quotient of integers may have a fraction, and still be divided with remainder or lie in a range.
_wholes = st.one_of(
    _ints,
    st.tuples(_ints, _ints, st.sampled_from(["", " % 2", " % 3 * n"])).map(
        lambda t: f"{t[0]} / {t[1]}{t[2]}"
    ),
)
_floats = _arithmetic(st.one_of(_int, _float, st.sampled_from(["n", "x", "y", "sample.x"])), "+-*/")
_names_of_strings = st.sampled_from(["s", "t", "sample.s"])
_strings = st.one_of(_string, _names_of_strings)
_compare = st.sampled_from(["=", "!=", "<", ">", "<=", ">="])


def _comparison(side: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(side, _compare, side).map(" ".join)


def _contains(side: st.SearchStrategy[str], items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    listed = st.lists(st.one_of(items, _null), min_size=1, max_size=4).map(", ".join)
    return st.tuples(side, st.sampled_from(["IN", "NOT IN", "in"]), listed).map(
        lambda t: f"{t[0]} {t[1]} ({t[2]})"
    )


_range = st.tuples(st.integers(-9, 5), st.integers(0, 9), st.integers(1, 4)).map(
    lambda t: f"{t[0]}..{t[0] + t[1]}:{t[2]}"
)
_pattern = st.lists(st.sampled_from(["*", "?", "a", "b", "B", "_", "%", "[", "é"]), max_size=4).map("".join)
_span = st.one_of(
    st.just("sample.timespan"),
    st.tuples(st.one_of(_time, _null), st.one_of(_time, _null)).map(lambda t: f"({t[0]}, {t[1]})"),
)
_overlaps = st.one_of(st.tuples(_span, _span), st.tuples(_span, _moment), st.tuples(_moment, _span)).map(
    lambda t: f"{t[0]} OVERLAPS {t[1]}"
)
_null_test = st.tuples(
    st.sampled_from(
        ["n", "x", "s", "b", "sample.timespan", "sample.timespan.begin", "(n + m)", "(n / m)", "- x"]
    ),
    st.sampled_from(["= NULL", "!= NULL"]),
).map(" ".join)

_condition = st.one_of(
    _comparison(_wholes),
    _comparison(_floats),
    _comparison(_strings),
    _comparison(_moment),
    _contains(_wholes, st.one_of(_int, _range, _float, st.sampled_from(["n", "m"]))),
    _contains(_floats, st.one_of(_int, _float, st.just("y"))),
    _contains(_strings, st.one_of(_string, st.just("t"))),
    _overlaps,
    _null_test,
    st.tuples(_names_of_strings, _pattern).map(lambda t: f"GLOB({t[0]}, '{t[1]}')"),
    st.sampled_from(["b", "sample.c"]),
)


def _logic(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.tuples(inner, st.sampled_from(["AND", "OR", "and"]), inner).map(
        lambda t: f"{t[0]} {t[1]} {t[2]}"
    )
    return st.one_of(
        joined,
        inner.map(lambda c: f"({c})"),
        inner.map(lambda c: f"NOT {c}"),
        inner.map(lambda c: f"NOT ({c})"),
    )


conditions = st.recursive(_condition, _logic, max_leaves=6)
"""Well-typed expressions over `sample`."""
