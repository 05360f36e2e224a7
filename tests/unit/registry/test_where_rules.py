"""Rules of the language that are easily lost: what says something of a governor, what a list may hold, what is empty."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import QueryError
from registry.model.dimensions import default_universe
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, Instant, Timespan
from registry.query import bound
from registry.query.bind import bind
from registry.query.parser import parse
from registry.query.types import Kind

UNIVERSE = default_universe()


def _bound(text: str, dimensions: str = "visit", **values: Any) -> bound.BoundExpression:
    return bind(parse(text), UNIVERSE, UNIVERSE.group(dimensions.split(",")), values)


def _refused(text: str, code: str, dimensions: str = "visit", **values: Any) -> None:
    with pytest.raises(QueryError) as caught:
        _bound(text, dimensions, **values)
    assert code == caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        "instrument IN ('I')", "instrument NOT IN ('I', NULL)", "instrument IN (:one)", "instrument IN (one, 'x')", "'I' IN (instrument)",
        "instrument = :one", "instrument = instrument", "band < instrument", "GLOB(instrument, '*')", "visit.instrument = 'I'",
        "exposure.instrument != 'I'", "NOT (band = 'g' OR instrument = 'I')",
    ],
)  # fmt: skip
def test_what_constrains_a_governor(text: str) -> None:
    """Any comparison with a governor, item by item of a list too, allows keys that depend on it."""
    _bound(f"visit = 1 AND {text}", one="I")


@pytest.mark.parametrize(
    "text",
    ["instrument IN (:many)", "instrument IN (many)", "instrument IN (NULL)", "instrument != NULL", "instrument.visit_max > 3", "one = 'I'"],
)  # fmt: skip
def test_what_does_not_constrain_a_governor(text: str) -> None:
    """A list given beside the text, a test of null and metadata leave a governor open."""
    _refused(f"visit = 1 AND {text}", "query-missing-governor", one="I", many=["I"])


def test_alternate_keys_need_their_governor() -> None:
    """The other key of a governor says as little without it as that of what depends on it."""
    for text in (
        "skymap.hash != NULL",
        "visit.name = 'x'",
        "detector.full_name = 'x'",
        "exposure.obs_id = 'x'",
    ):
        _refused(text, "query-missing-governor")
    _bound("skymap.hash != NULL AND skymap = 'x'")
    _bound("skymap.tract_max > 3 AND instrument.class_name = 'x' AND band = 'g'")


def test_a_dimension_behind_an_element_is_that_dimension() -> None:
    """``visit_definition.exposure`` is the exposure, and brings no visit into the question."""
    asked = _bound("visit_definition.exposure = 3 AND visit_detector_region.instrument = 'I'", "day_obs")
    assert "exposure" in asked.group.names
    assert not {"visit", "detector"} & set(asked.group.names)


def test_a_name_that_a_value_was_given_for_is_the_value() -> None:
    """A value goes before a column of its name, whether the name has one part or several."""
    for values in ({"band": "g"}, {"visit.name": "g"}):
        name = next(iter(values))
        root = bind(parse(f"{name} = 'x'"), UNIVERSE, UNIVERSE.group(["visit"]), values).root
        assert bound.Compare("=", bound.Const("g", Kind.STRING), bound.Const("x", Kind.STRING)) == root


@pytest.mark.parametrize("values", [[1, 2.0], [1.0], ["1"], [True, "x"], [Instant(3)], [[1]]])
def test_lists_hold_values_of_one_type(values: list[Any]) -> None:
    """A list given beside the text holds values of the column's own type, and of no other."""
    _refused("visit.seq_num IN (:v)", "query-type", v=values)


@pytest.mark.parametrize(
    ("values", "expected", "null"),
    [([1, 2], (1, 2), False), ([], (), False), ([None, 3], (3,), True), ((4,), (4,), False), (range(2), (0, 1), False), ([True], (1,), False)],
)  # fmt: skip
def test_lists_of_any_kind_of_sequence(values: Any, expected: tuple[int, ...], null: bool) -> None:
    """Lists, tuples, sets and ranges are lists; None in them is NULL, and True is 1."""
    root = _bound("visit.seq_num IN (:v)", v=values).root
    assert isinstance(root, bound.Contains)
    assert (expected, null) == (root.values, root.null)


def test_items_of_a_list_are_plain() -> None:
    """An item is a literal, a range, a value or a name of one part; signs of ranges stand at the number."""
    for text in (
        "1 + 1",
        "(1)",
        "visit.seq_num",
        "+1..+3",
        "- 1..3",
        "1..3:01",
        "1..",
        "a..b",
        "GLOB(band, 'x')",
    ):
        _refused(f"visit.seq_num IN ({text})", "query-syntax")
    for text in ("-1..3", "1 .. 3 : 2", "+5", "- 5", "seq_num", "NULL", "-9223372036854775808"):
        _bound(f"visit.seq_num IN ({text})")


def test_a_range_may_be_empty_but_not_reversed() -> None:
    """A range that ends just before it starts holds nothing; one that ends earlier is a mistake."""
    root = _bound("visit.seq_num IN (5..4)").root
    assert isinstance(root, bound.Contains)
    assert root.ranges == ()
    _refused("visit.seq_num IN (5..3)", "query-type")


def test_quotients_of_integers_may_be_divided_further() -> None:
    """The quotient of integers has a fraction, and still can lie in a range and have a remainder."""
    _bound("visit.seq_num / 2 % 2 = 1 AND visit.seq_num / 2 IN (1..3) AND 3 / 2 % 2 = 1")
    _refused("visit.exposure_time / 2 % 2 = 1", "query-type")
    _refused("visit.seq_num / 2.0 IN (1..3)", "query-type")


def test_times_beyond_what_can_be_stored_are_the_first_and_last() -> None:
    """A moment that no record can have is compared as the nearest that one could."""
    for text, expected in (("0001-01-01", UNBOUNDED_BEGIN + 1), ("2457000.5", UNBOUNDED_END - 1)):
        root = _bound(f"visit.timespan.begin < T'{text}'").root
        assert isinstance(root, bound.Compare)
        assert bound.Const(expected, Kind.TIME) == root.right


def test_empty_spans_are_alike() -> None:
    """A span that ends before it begins has ends that overlap nothing, however it was given."""
    empty = bound.Span(bound.Const(UNBOUNDED_END, Kind.TIME), bound.Const(UNBOUNDED_BEGIN, Kind.TIME))
    for text, value in (("(T'2015-01-02', T'2015-01-01')", None), (":v", Timespan(5, 3))):
        root = _bound(f"visit.timespan OVERLAPS {text}", v=value).root
        assert isinstance(root, bound.Overlaps)
        assert empty == root.right
    _refused("visit.timespan OVERLAPS (visit.timespan.begin, NULL)", "query-type")


def test_patterns_are_matched_against_columns() -> None:
    """``GLOB`` takes a column and a pattern, which is text or a value with its colon."""
    _bound("GLOB(band, :v) AND GLOB((band), ('x')) AND GLOB(, band, 'x')", v="x*")
    for text in ("GLOB('x', 'x')", "GLOB(:v, 'x')", "GLOB(band, v)", "GLOB(band, band)"):
        _refused(text, "query-type", v="x*")


def test_constants_are_never_null() -> None:
    """A constant can be compared with NULL, and is not it; NULL cannot."""
    assert bound.NEVER == _bound("5 = NULL").root
    assert bound.ALWAYS == _bound("NULL != 'x'").root
    _refused("NULL = NULL", "query-type")


def test_pixels_of_the_sky_have_regions() -> None:
    """A pixel's region can be named, and makes a bare ``region`` ambiguous beside another."""
    assert "htm7" in _bound("visit.region OVERLAPS htm7.region").group.names
    _refused("region OVERLAPS POINT(1, 2)", "query-ambiguous-name", "tract,htm7")
