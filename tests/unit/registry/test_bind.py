"""Names and types of expressions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from registry.errors import DataIdError, QueryError, StageError
from registry.model.dimensions import default_universe
from registry.model.times import Instant, Timespan, parse_time
from registry.query import bound
from registry.query.bind import bind, bind_order
from registry.query.parser import parse
from registry.query.types import Kind

UNIVERSE = default_universe()


def _bind(
    text: str,
    values: Mapping[str, Any] | None = None,
    dimensions: tuple[str, ...] = ("visit",),
    **kwargs: Any,
) -> bound.BoundExpression:
    return bind(parse(text), UNIVERSE, UNIVERSE.group(dimensions), values, **kwargs)


def _refusal(text: str, values: Mapping[str, Any] | None = None, **kwargs: Any) -> StageError:
    with pytest.raises((QueryError, DataIdError)) as caught:
        _bind(text, values, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    ("name", "element", "column"),
    [
        ("band", "band", "band"),
        ("visit.id", "visit", "visit"),
        ("visit.name", "visit", "name"),
        ("visit.day_obs", "day_obs", "day_obs"),
        ("visit.instrument", "instrument", "instrument"),
        ("instrument.name", "instrument", "instrument"),
        ("physical_filter.name", "physical_filter", "physical_filter"),
        ("instrument.visit_system", "instrument", "visit_system"),
        ("visit.exposure_time", "visit", "exposure_time"),
        ("exposure_time", "visit", "exposure_time"),
        ("detector.raft", "detector", "raft"),
        ("class_name", "instrument", "class_name"),
        ("visit.timespan.end", "visit", "timespan_end"),
    ],
)
def test_names_resolve(name: str, element: str, column: str) -> None:
    """Keys, alternate keys, metadata and other dimensions are found by qualified name, metadata asked for by bare name."""
    root = _bind(f"{name} != NULL", data_id={"instrument": "I"}).root
    assert isinstance(root, bound.IsNull)
    assert isinstance(root.operand, bound.Field)
    assert (root.operand.element, root.operand.column) == (element, column)


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("nosuch = 1", "query-unknown-name", ""),
        ("exposur_time = 1", "query-unknown-name", "'exposure_time'"),
        ("visit.expsure_time = 1", "query-unknown-name", "'exposure_time'"),
        ("vizit.id = 1", "query-unknown-name", "'visit'"),
        ("cell_x = 1", "query-unknown-name", "'patch.cell_x'"),
        ("visit.visit = 1", "query-unknown-name", ""),
        ("visit.band = 'r'", "query-unknown-name", ""),
        ("VISIT = 1", "query-unknown-name", ""),
        ("a.b.c = 1", "query-unknown-name", ""),
        ("visit_definition = 1", "query-unknown-name", ""),
        ("TRUE AND visit.region = NULL", "query-unknown-name", "truth value"),
        ("timespan OVERLAPS T'2015-01-01'", "query-ambiguous-name", "visit.timespan"),
        ("name = 'x'", "query-ambiguous-name", "visit.name"),
        ("NOSUCH(visit) = 1", "query-unknown-name", ""),
        ("exposure_time = :v", "query-unknown-name", ""),
    ],
)
def test_unknown_and_ambiguous_names_are_refused_with_the_nearest(text: str, code: str, hint: str) -> None:
    """A name that means nothing, or several things, is refused; the error offers a name that is meant."""
    error = _refusal(text)
    assert code == error.code
    assert hint in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "exposure_time = '300'", "visit.name = 3", "visit.region = POINT(1, 2)", "visit.timespan < T'2015-01-01'",
        "visit.timespan.begin > 57023", "exposure.can_see_sky = 1", "exposure_time + 'x' > 1", "visit.timespan.begin + 1 > 2",
        "exposure_time % 2 = 1", "exposure_time IN (1..3)", "band IN (1..3)", "band IN (1)", "exposure_time IN ('a')",
        "visit.seq_num IN (5..1)", "exposure.can_see_sky IN (1)", "NULL = NULL", "band < NULL", "NULL * 2 = exposure_time",
        "visit.region OVERLAPS 3", "visit.region OVERLAPS visit.timespan", "visit.timespan OVERLAPS NULL",
        "T'2015-01-01' OVERLAPS T'2015-01-01'", "visit.timespan OVERLAPS (1, 2)", "GLOB(exposure_time, '3*')",
        "GLOB(band, physical_filter)", "GLOB(band, 'a') = 'x'", "visit.region OVERLAPS POINT('1', 2)",
        "visit.region OVERLAPS POINT(exposure_time, 2)", "visit.region OVERLAPS REGION(3)", "(band = 'a') = 'b'",
        "visit.exposure_time.begin > 3", "9223372036854775807 + 1 = visit.seq_num", "1e308 * 10.0 < exposure_time",
        "skymap.hash = 'x'",
    ],
)  # fmt: skip
def test_types_that_do_not_fit_are_refused(text: str) -> None:
    """Each kind meets only what it can be compared, computed or overlap with."""
    assert _refusal(text, data_id={"instrument": "I", "skymap": "S"}).code == "query-type"


@pytest.mark.parametrize(
    "text", ["5", "'g'", "band", "exposure_time", "POINT(1, 2)", "visit.seq_num % 6", "NOT 5", "NULL"]
)
def test_a_bare_value_is_no_condition(text: str) -> None:
    """Only a column of truth values stands alone."""
    assert _refusal(text).code == "query-not-boolean"


@pytest.mark.parametrize(
    "text",
    [
        "visit.region OVERLAPS POINT(1)", "visit.region OVERLAPS CIRCLE(1, 2)", "visit.region OVERLAPS POLYGON(1, 2, 3, 4)",
        "visit.region OVERLAPS POLYGON(1, 2, 3, 4, 5, 6, 7)", "GLOB(band)", "GLOB(band, 'a', 'b')",
    ],
)  # fmt: skip
def test_functions_count_their_arguments(text: str) -> None:
    """A wrong number of arguments is refused with how the function is written."""
    error = _refusal(text)
    assert error.code == "query-syntax"
    assert error.hint.startswith("Write ")


def test_errors_of_values_show_where_they_stand() -> None:
    """A time or region that is none is pointed at."""
    for text in ("visit.timespan.begin > T'nonsense'", "visit.region OVERLAPS CIRCLE(0, 95, 1)"):
        error = _refusal(text)
        assert isinstance(error, QueryError)
        assert text[error.position or 0 :].startswith(("T'", "CIRCLE"))


@pytest.mark.parametrize(
    "text",
    [
        "visit = 3",
        "visit.name = 'x'",
        "day_obs > 3",
        "physical_filter = 'x'",
        "visit IN (1..3)",
        "visit != NULL",
    ],
)
def test_keys_need_their_governor(text: str) -> None:
    """A key that depends on an instrument says nothing without one; metadata and bands do not need it."""
    assert _refusal(text).code == "query-missing-governor"
    _bind(f"instrument != 'X' AND {text}")
    _bind(text, data_id={"instrument": "X"})
    _bind(text, defaults={"instrument": "X"})


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("instrument > 'A'", True),
        ("instrument IN ('A', 'B')", True),
        ("GLOB(instrument, 'A*')", True),
        ("NOT (instrument = :one)", True),
        ("instrument IN (:many)", False),
        ("instrument != NULL", False),
        ("instrument.class_name = 'x'", False),
    ],
)
def test_what_counts_as_naming_the_governor(text: str, counts: bool) -> None:
    """Any ordinary comparison on the governor counts, wherever it stands; bound lists and tests for null do not."""
    values = {"one": "A", "many": ["A"]}
    if counts:
        _bind(f"visit = 3 OR {text}", values)
    else:
        assert _refusal(f"visit = 3 OR {text}", values).code == "query-missing-governor"


def test_defaults_fill_only_governors_left_open() -> None:
    """A default constrains a governor that takes part and that the question does not mention."""
    assert _bind("", defaults={"instrument": "D", "skymap": "S"}).data_id == {"instrument": "D"}
    assert _bind("instrument = 'X'", defaults={"instrument": "D"}).data_id == {}
    assert _bind("", data_id={"instrument": "X"}, defaults={"instrument": "D"}).data_id == {"instrument": "X"}
    assert _bind("tract = 1", defaults={"instrument": "D", "skymap": "S"}).data_id == {
        "instrument": "D",
        "skymap": "S",
    }


def test_a_data_id_needs_its_governor_and_known_dimensions() -> None:
    """A data ID is checked as an expression is."""
    assert _refusal("", data_id={"visit": 3}).code == "query-missing-governor"
    assert _refusal("", data_id={"vizit": 3}).code == "unknown-dimension"
    assert _refusal("", data_id={"instrument": 3}).code == "data-id-value"
    assert _refusal("", data_id={"instrument": "I", "visit": 2**70}).code == "data-id-value"
    assert _bind("", data_id={"instrument": "I", "visit": "7"}).data_id == {"instrument": "I", "visit": 7}


def test_names_from_elsewhere_bring_their_dimensions() -> None:
    """All dimensions of a named element take part; those asked for come first of all."""
    assert _bind("patch.cell_x = 1").group.required == ("instrument", "skymap", "visit", "tract", "patch")
    assert _bind("visit_detector_region.region != NULL").group.required == ("instrument", "detector", "visit")
    assert _bind("exposure_time = 1").elements == ("visit",)


def test_a_bind_value_goes_before_a_dimension_of_its_name() -> None:
    """With a value for ``band`` the bare name is that value; qualified it is still the dimension."""
    root = _bind("band = 'g'", {"band": "r"}).root
    assert bound.Compare("=", bound.Const("r", Kind.STRING), bound.Const("g", Kind.STRING)) == root
    assert _bind("band.name = band", {"band": "r"}).dimensions == ("band",)


def test_bind_values_are_python_objects() -> None:
    """Numbers of NumPy, times, spans, regions and None are taken for what they are; an unused value is fine."""
    time = parse_time("2015-01-01")
    cases: list[tuple[str, Any, Any]] = [
        ("exposure_time > :v", np.float32(2.5), bound.Const(2.5, Kind.FLOAT)),
        ("visit.seq_num > :v", np.int64(3), bound.Const(3, Kind.INT)),
        ("visit.timespan.begin > :v", Instant(time), bound.Const(time, Kind.TIME)),
        ("visit.timespan.begin > :v", datetime(2015, 1, 1, tzinfo=UTC), bound.Const(time, Kind.TIME)),
    ]
    for text, value, expected in cases:
        root = _bind(text, {"v": value, "unused": object()}).root
        assert isinstance(root, bound.Compare)
        assert root.right == expected
    assert isinstance(_bind("band = :v", {"v": None}).root, bound.IsNull)
    overlap = _bind("visit.timespan OVERLAPS :v", {"v": Timespan(1, 5)}).root
    assert isinstance(overlap, bound.Overlaps)
    assert bound.Span(bound.Const(1, Kind.TIME), bound.Const(5, Kind.TIME)) == overlap.right


@pytest.mark.parametrize(
    "value", [object(), datetime.fromisoformat("2015-01-01"), float("nan"), 2**80, "a\0b", "\ud800", [1], {"a": 1}, np.array([1.0])]
)  # fmt: skip
def test_bind_values_without_meaning_are_refused(value: Any) -> None:
    """Naive times, numbers beyond the database's, lists in place of a value: each is refused, never passed on."""
    assert _refusal("band = :v", {"v": value}).code == "query-type"


def test_lists_hold_values_ranges_columns_and_null() -> None:
    """What stands in a list is sorted by what it is; bound lists are taken apart."""
    root = _bind(
        "visit.seq_num IN (1, 5..9:2, NULL, :more, one, exposure_time)", {"more": {7}, "one": 8}
    ).root
    assert isinstance(root, bound.Contains)
    assert root.values == (1, 7, 8)
    assert root.ranges == ((5, 9, 2),)
    assert root.null
    assert len(root.others) == 1


def test_constants_are_computed_once() -> None:
    """Arithmetic of constants is done while binding, also within the arguments of a region."""
    root = _bind("exposure_time > 2 * (3 + 4) / 4.0 - -1").root
    assert isinstance(root, bound.Compare)
    assert bound.Const(4.5, Kind.FLOAT) == root.right
    _bind("visit.region OVERLAPS POINT(150 + 0.1, 2.2)")


def test_equal_ends_are_an_instant_and_reversed_ones_are_empty() -> None:
    """As in the reference, ``(t, t)`` is the nanosecond that begins at t."""
    root = _bind("visit.timespan OVERLAPS (T'1970-01-02/tai', T'1970-01-02/tai')").root
    assert isinstance(root, bound.Overlaps)
    assert isinstance(root.right, bound.Span)
    assert isinstance(root.right.begin, bound.Const)
    assert bound.Const(root.right.begin.value + 1, Kind.TIME) == root.right.end


def test_order_terms_are_names_of_what_was_asked_for() -> None:
    """An ordering takes names of the dimensions asked for, with a minus for the reverse."""
    group = UNIVERSE.group(["visit"])
    terms = bind_order(["-visit.id", "band", "exposure_time", "-visit.timespan.begin"], UNIVERSE, group)
    assert [(t.field.column, t.descending) for t in terms] == [
        ("visit", True),
        ("band", False),
        ("exposure_time", False),
        ("timespan_begin", True),
    ]
    for wrong in (
        "+visit",
        "nosuch",
        "timespan.end",
        "detector",
        "visit.region",
        "visit.timespan",
        "a b",
        " visit",
        "- visit",
        "",
    ):
        with pytest.raises(QueryError):
            bind_order([wrong], UNIVERSE, group)
