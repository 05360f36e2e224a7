"""Times: text to TAI nanoseconds and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import UsageError
from registry.model.time_text import read_time
from registry.model.times import (
    UNBOUNDED_BEGIN,
    UNBOUNDED_END,
    Timespan,
    format_iso,
    format_mjd,
    parse_time,
    tai_from_utc,
    utc_from_tai,
)

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01/tai", 0),
        ("1970-01-01T00:00:01.5/tai", 1_500_000_000),
        ("mjd/40587.0", 0),
        ("40587.5", 43_200 * SECOND),
        ("jd/2440587.5", 0),
        ("1970-01-01T00:00:32.184/tt", 0),
        ("2014-03-25T09:33:44.634", 1_395_740_059_634_000_000),
        ("2014-03-25 09:34:19.634/tai", 1_395_740_059_634_000_000),
        ("2014-03-25T09:34", 1_395_740_075_000_000_000),
        ("2014-3-25 9:34", 1_395_740_075_000_000_000),
        ("2014-03-25T09:34:00+00:00", 1_395_740_075_000_000_000),
        ("isot/2014-03-25T09:34", 1_395_740_075_000_000_000),
        ("2014:084:09:34", 1_395_740_075_000_000_000),
        ("yday/1970:1/tai", 0),
        ("unix/1421847235.5", 1_421_847_270_500_000_000),
        ("unix_tai/1421847200.0", 1_421_847_200_000_000_000),
        ("gps/1100000000.0", 1_415_964_819_000_000_000),
        ("cxcsec/500000000.0", 1_383_612_767_816_000_000),
        ("jyear/2015.25/tt", 1_427_981_367_816_000_000),
        ("decimalyear/2015.5/utc", 1_435_838_435_500_000_000),
        ("MJD/40587./TAI", 0),
    ],
)
def test_parse_time_reads_each_form(text: str, expected: int) -> None:
    """ISO is UTC unless told otherwise; numbers are MJD in TAI unless told otherwise."""
    assert parse_time(text) == expected


def test_leap_second_lies_between_its_neighbours() -> None:
    """23:59:60 is one second before the next midnight where a leap second was; elsewhere it is that midnight."""
    leap = parse_time("2016-12-31T23:59:60")
    assert leap == parse_time("2016-12-31T23:59:59") + SECOND
    assert leap == parse_time("2017-01-01") - SECOND
    assert format_iso(leap + SECOND // 4, "utc") == "2016-12-31T23:59:60.25"
    assert parse_time("2017-12-31T23:59:60") == parse_time("2018-01-01")
    with pytest.raises(UsageError, match="no such time of day"):
        parse_time("2017-12-31T23:59:61")


def test_mjd_in_utc_stretches_over_a_leap_second() -> None:
    """The day with a leap second is 86401 s long, so its half lies half a second later."""
    start, end = parse_time("mjd/57753.0/utc"), parse_time("mjd/57754.0/utc")
    assert end - start == 86_401 * SECOND
    assert parse_time("mjd/57753.5/utc") - start == 86_401 * SECOND // 2


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "57023", "2015-01-01T00:00:00Z", "+2015-01-01", "badfmt/2015-01-01", "2015-01-01/xyz", "2015-02-30",
        "2015-13-01", "2015-01-01T24:00", "mjd/2015-01-01", "iso/57023.5", "a/b/c/d", "1e5", "٢٠١٥-01-01",
        "9999-01-01", "0001-01-01", "999999999.0", "2014-03-25t09:34", " 2014-03-25", "2014-03-25 ", "2014-03-25 /tai",
        "iso/2014-03-25T09:34", "isot/2014-03-25 09:34", "2014-03-25T09:34+01:00", "2015:366", "2015:0", "yday/2015-01-01",
        "iso/2015:003", "5.7e4", "mjd/57023", "unix/1421847200", "2015-01-01T10",
    ],
)  # fmt: skip
def test_parse_time_refuses(text: str) -> None:
    """What is no time, or outside 64-bit nanoseconds, is refused as a mistake of the caller."""
    with pytest.raises(UsageError):
        parse_time(text)


@given(st.integers(parse_time("1972-01-02"), parse_time("2200-01-01")))
def test_iso_round_trip(tai_ns: int) -> None:
    """A time written as ISO, in TAI or UTC, reads as the same nanosecond, leap seconds included."""
    assert parse_time(f"{format_iso(tai_ns)}/tai") == tai_ns
    assert parse_time(format_iso(tai_ns, "utc")) == tai_ns


@given(st.integers(parse_time("1700-01-01"), parse_time("2250-01-01")))
def test_mjd_round_trip(tai_ns: int) -> None:
    """A time written as MJD reads as the same nanosecond."""
    assert parse_time(format_mjd(tai_ns)) == tai_ns


@given(st.integers(0, 7_000_000_000_000_000))
def test_utc_of_clocks_agrees_with_text(microseconds: int) -> None:
    """A computer's clock and the same moment as ISO text give the same TAI, and it turns back."""
    moment = datetime(1972, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    utc_ns = 730 * 86_400 * SECOND + microseconds * 1000
    assert tai_from_utc(utc_ns) == parse_time(moment.replace(tzinfo=None).isoformat())
    assert utc_from_tai(tai_from_utc(utc_ns)) == utc_ns


def test_times_agree_with_astropy() -> None:
    """Leap seconds are astropy's to the nanosecond, on both sides of each; TDB is to some ten microseconds."""
    time = pytest.importorskip("astropy.time")
    zero = time.Time("1970-01-01T00:00:00", scale="tai", format="isot")
    for year in range(1973, 2020):
        for day in ("01-01T00:00:00.001", "06-30T23:59:59.5", "07-01T00:00:00", "12-31T23:59:59.25"):
            text = f"{year}-{day}"
            delta = time.Time(text, scale="utc", format="isot").tai - zero
            expected = int(delta.jd1) * 86_400 * SECOND + round((delta.jd1 % 1 + delta.jd2) * 86_400 * SECOND)
            assert abs(parse_time(text) - expected) <= 1, text
        delta = time.Time(f"{year}-06-30T12:00:00", scale="tdb", format="isot").tai - zero
        assert abs(parse_time(f"{year}-06-30T12:00:00/tdb") - round(delta.to_value("s") * SECOND)) < 30_000


def test_moments_before_and_after_what_can_be_stored_are_read() -> None:
    """What is too far away to be stored still has its place in the order of times."""
    texts = ["jd/-5.0", "0000-02-29", "1582-10-10", "1969-12-31", "2100-01-01", "9999-12-31", "99999999999.5"]
    moments = [read_time(t) for t in texts]
    assert moments == sorted(set(moments))
    assert read_time("9999-12-31/tai") - read_time("9599-12-31/tai") == 146_097 * 86_400 * SECOND


def test_timespans_are_half_open_and_empty_ones_overlap_nothing() -> None:
    """Adjacent spans do not overlap; an empty or reversed one overlaps not even everything."""
    assert not Timespan(0, 10).overlaps(Timespan(10, 20))
    assert Timespan(0, 11).overlaps(Timespan(10, 20))
    everything = Timespan()
    assert everything == (UNBOUNDED_BEGIN, UNBOUNDED_END)
    assert everything.overlaps(Timespan(5, 6))
    assert not everything.overlaps(Timespan(5, 5))
    assert not everything.overlaps(Timespan(6, 5))
