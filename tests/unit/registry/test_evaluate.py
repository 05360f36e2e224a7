"""Bound expressions against one row in plain Python."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import InternalError
from registry.model.dimensions import default_universe
from registry.query import bound
from registry.query.bind import bind
from registry.query.evaluate import arithmetic, evaluate, glob_regex
from registry.query.parser import parse
from registry.query.types import Kind

UNIVERSE = default_universe()


def _holds(text: str, **row: Any) -> bool | None:
    asked = bind(parse(text), UNIVERSE, UNIVERSE.group(["visit"]), data_id={"instrument": "I"})
    return evaluate(asked.root, lambda field: row[field.column])


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("", {}, True),
        ("seq_num = 3", {"seq_num": None}, None),
        ("NOT seq_num = 3", {"seq_num": None}, None),
        ("seq_num = 3 AND visit = 1", {"seq_num": None, "visit": 2}, False),
        ("seq_num = 3 OR visit = 2", {"seq_num": None, "visit": 2}, True),
        ("seq_num IN (1, NULL)", {"seq_num": None}, True),
        ("seq_num NOT IN (1)", {"seq_num": None}, None),
        ("GLOB(target_name, '*')", {"target_name": None}, True),
        ("GLOB(target_name, '**')", {"target_name": None}, None),
        ("GLOB(target_name, 'a?c*')", {"target_name": "abcd"}, True),
        ("GLOB(target_name, 'a?c')", {"target_name": "ABC"}, False),
        ("visit.timespan OVERLAPS (NULL, T'1970-01-02/tai')", {"timespan_begin": 0, "timespan_end": 1}, True),
        ("visit.timespan OVERLAPS T'1970-01-02/tai'", {"timespan_begin": None, "timespan_end": None}, None),
    ],
)
def test_conditions_are_three_valued(text: str, row: dict[str, Any], expected: bool | None) -> None:
    """Unknown stays unknown, unless the other side decides."""
    assert _holds(text, **row) is expected


def test_regions_overlap_as_the_library_says() -> None:
    """Regions of a row are tested exactly; a missing one makes the test unknown."""
    regions = pytest.importorskip("registry.model.regions")
    pytest.importorskip("lsst.sphgeom")
    text = "visit.region OVERLAPS BOX(10, 0, 2, 2)"
    assert _holds(text, region=regions.encode_point(10.5, 0.5)) is True
    assert _holds(text, region=regions.encode_point(12, 0)) is False
    assert _holds(text, region=None) is None


def test_arithmetic_is_that_of_the_databases() -> None:
    """Division is exact and null by zero; the remainder has the sign of the dividend."""
    assert arithmetic("/", 3, 2) == 1.5
    assert arithmetic("/", 3, 0) is None
    assert (arithmetic("%", -7, 3), arithmetic("%", 7, -3), arithmetic("%", 7, 0)) == (-1, 1, None)
    assert arithmetic("+", None, 1) is None


def test_glob_takes_all_other_characters_for_themselves() -> None:
    """Only the star and the question mark are special, and a star spans lines."""
    assert glob_regex("a[b].*").fullmatch("a[b].\n")
    assert not glob_regex("a[b]").fullmatch("ab")


def test_what_is_no_condition_is_our_mistake() -> None:
    """A tree that binding cannot have made is reported as a bug, not as the user's."""
    with pytest.raises(InternalError):
        evaluate(bound.Const(1, Kind.INT), lambda field: None)
