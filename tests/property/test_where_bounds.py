"""Expressions of any size and any characters: each is bound or refused, soon, and without exhausting anything."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import QueryError
from registry.model.dimensions import default_universe
from registry.query.bind import bind
from registry.query.bound import BoundExpression, Contains
from registry.query.parser import parse

UNIVERSE = default_universe()
MANY = 100_000
FEW = 10_000
LONGEST_S = 30
"""CPU seconds: some ten times what the slowest takes."""


def _bound(text: str, **values: Any) -> BoundExpression | QueryError:
    """Return a bound expression, or the refusal; anything else that comes out fails the test."""
    start = time.process_time()
    found: BoundExpression | QueryError
    try:
        found = bind(parse(text), UNIVERSE, UNIVERSE.group(["visit"]), values, data_id={"instrument": "I"})
    except QueryError as exc:
        found = exc
    if isinstance(found, QueryError):
        assert found.position is None or 0 <= found.position <= len(text)
        assert len(str(found)) < 2_000
    assert time.process_time() - start < LONGEST_S
    return found


@pytest.mark.parametrize(
    "text",
    [
        "(" * MANY, ")" * MANY, "(" * MANY + "visit=1" + ")" * MANY, "NOT " * MANY + "visit=1", "-" * FEW + "visit=1",
        "visit" + " + 1" * FEW + " = 1", "GLOB(" * FEW, "visit IN (" * (FEW), "(NULL, " * FEW, "band='g' AND " * (FEW),
        "visit = " + "9" * FEW, "visit.exposure_time > " + "9" * FEW + ".5", "visit.exposure_time > 1e" + "9" * FEW,
        "visit IN (" + "1" * FEW + ".." + "2" * FEW + ")", "band = '" + "x" * FEW, "v" * FEW + " = 1", ".".join(["v"] * FEW),
        "visit.timespan.begin > T'" + "9" * FEW + "'", "visit.timespan.begin > T'57000." + "9" * FEW + "'",
        "visit.timespan.begin > T'2015-01-01T00:00:00." + "9" * FEW + "'", "GLOB(band, '" + "*a" * 499 + "')", "GLOB(band, '" + "*" * FEW + "')",
        "'" * FEW, "'" * (FEW + 1), "." * FEW, "1" + ".." * FEW, ":" * FEW, "1." * FEW, "1e" * FEW, "band = 'g' --" + "x" * FEW,
        " " * FEW + "band = 'g'" + "\n" * FEW, "visit" + " = 1" * FEW, "visit.region OVERLAPS REGION('" + "CIRCLE 1 2 3 " * 1000 + "')",
        "visit.region OVERLAPS POLYGON(" + ", ".join(["1.5"] * 20_000) + ")", "x" * 2_000_000,
    ],
    ids=lambda text: f"{text[:24]!r}…",
)  # fmt: skip
def test_size_exhausts_nothing(text: str) -> None:
    """Depth, length and huge numbers end in an answer or in a refusal of ordinary length."""
    _bound(text)


@pytest.mark.parametrize(
    "text",
    ["band = 'a\0b'", "\0", "band = '\ud800'", "bänd = 'x'", "band\u2028= 'x'", "visit = \uff13", "b\u200band = 'x'", "'\x00'", "band = \uff07x\uff07"],
)  # fmt: skip
def test_what_is_no_text_or_no_letter_is_refused(text: str) -> None:
    """Null characters, halves of characters, and letters and digits of other scripts outside strings are refused."""
    assert isinstance(_bound(text), QueryError)


@pytest.mark.parametrize("value", ["el niño", "漢字", "👾", "a\tb", "\u202e", "Å vs. Å", "%s :v {x} $1 ?"])
def test_strings_hold_any_text(value: str) -> None:
    """Between quotes any character is itself, but for the quote and the end of the line."""
    found = _bound(f"band = '{value}'")
    assert isinstance(found, BoundExpression)
    assert found.root.right.value == value  # type: ignore[union-attr]


def test_long_lists_are_read() -> None:
    """A list may hold a hundred thousand numbers, times or nulls: it is one condition."""
    for items in (range(MANY), range(-1, -FEW, -1), ["NULL"] * FEW, ["T'2031-03-04'"] * FEW):
        column = "visit.timespan.begin" if str(items[0]).startswith("T") else "visit.seq_num"
        found = _bound(f"{column} IN ({','.join(map(str, items))})")
        assert isinstance(found, BoundExpression)
    names = _bound(f"band IN ({', '.join(['physical_filter'] * 1000)})")
    assert isinstance(names, QueryError)
    assert names.code == "query-too-long"


@pytest.mark.parametrize(
    "values", [list(range(1_000_000)), np.arange(1_000_000), range(1_000_000), {*range(1_000_000)}]
)
def test_long_lists_of_values_are_looked_at_at_once(values: Any) -> None:
    """A million values given beside the expression cost no object each."""
    start = time.process_time()
    found = _bound("visit IN (:v)", v=values)
    assert isinstance(found, BoundExpression)
    assert isinstance(found.root, Contains)
    assert len(found.root.values) == 1_000_000
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "values",
    [[1, 2.0], [1, "a"], ["a", "b\0"], ["\ud800"], [1.0], [2**63], [float("nan")], [[1]], [1, [2]], [object()], {"a": 1}, b"x", [b"x"]],
)  # fmt: skip
def test_lists_that_cannot_be_are_refused(values: Any) -> None:
    """Values of several types, of another type than the column's, or that no database holds are refused with a place."""
    found = _bound("visit IN (:v)", v=values)
    assert isinstance(found, QueryError)
    assert found.position is not None


_ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=9), st.dates(), st.datetimes(),
    st.complex_numbers(), st.fractions(), st.decimals(), st.uuids(), st.just(object()), st.just(np.float32(1.5)), st.just(np.int64(7)),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(_ODD, st.lists(_ODD, max_size=4), st.dictionaries(st.text(max_size=2), _ODD, max_size=2)))
def test_any_object_is_a_value_or_refused(value: Any) -> None:
    """Whatever object is given beside an expression, it is taken or refused at the place where it is used."""
    for text in (
        "visit = :v",
        "band IN (:v, 'x')",
        "visit.timespan OVERLAPS :v",
        "visit.region OVERLAPS v",
        "GLOB(band, :v)",
        "visit + :v > 1",
    ):
        found = _bound(text, v=value)
        assert isinstance(found, BoundExpression) or found.position is not None
