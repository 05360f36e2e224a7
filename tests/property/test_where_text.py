"""Expressions as text: trees can be written and read again, and no text whatever ends in anything but an answer or an error."""

from __future__ import annotations

import contextlib
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import QueryError
from registry.model.dimensions import default_universe
from registry.query.bind import bind
from registry.query.parser import parse
from tests.property.where_cases import conditions

UNIVERSE = default_universe()

_TOKENS = [
    "AND",
    "OR",
    "NOT",
    "IN",
    "OVERLAPS",
    "NULL",
    "GLOB",
    "POINT",
    "CIRCLE",
    "BOX",
    "POLYGON",
    "REGION",
    "(",
    ")",
    "(",
    ")",
    ",",
    ".",
    "..",
    ":",
    ":v",
    ":list",
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "'x'",
    "'CIRCLE",
    "1",
    "2",
    "3'",
    "''",
    "0",
    "1",
    "2.5",
    "1e3",
    "-1",
    "T'2015-01-01'",
    "T'nonsense'",
    "visit",
    "visit.id",
    "visit.name",
    "band",
    "instrument",
    "detector",
    "tract",
    "visit.timespan",
    "visit.timespan.begin",
    "visit.region",
    "exposure_time",
    "exposure.can_see_sky",
    "htm7",
    "skymap",
    "nosuch",
    "a.b.c",
    "==",
    "<>",
    "IS",
    "'",
    '"',
    "é",
    "\n",
]


def _shape(text: str) -> str:
    """Return a tree without positions."""
    parsed = parse(text)
    return "" if parsed is None else re.sub(r"position=\d+(, )?", "", repr(parsed.root))


@settings(max_examples=300, deadline=None)
@given(conditions)
def test_a_tree_written_as_text_reads_as_the_same_tree(text: str) -> None:
    """``str`` of a tree is text of the same meaning, and of the same text again."""
    parsed = parse(text)
    assert parsed is not None
    again = str(parsed.root)
    assert _shape(text) == _shape(again)
    assert again == str(parse(again).root)  # type: ignore[union-attr]


class _RefusedError(Exception):
    """An error of ours, as it should be."""


def _bind(text: str) -> None:
    try:
        bind(parse(text), UNIVERSE, UNIVERSE.group(["visit"]), {"v": 3, "list": [1, "a"]})
    except QueryError as exc:
        if exc.position is None or not 0 <= exc.position <= len(text) or not str(exc):
            raise AssertionError(f"an error that points nowhere: {exc!r}") from exc
        raise _RefusedError from exc


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(_TOKENS), max_size=14).map(" ".join), st.text(max_size=30)))
def test_any_text_is_bound_or_refused(text: str) -> None:
    """Whatever is written, the outcome is a bound expression or an error of ours that points into the text."""
    with contextlib.suppress(_RefusedError):
        _bind(text)
