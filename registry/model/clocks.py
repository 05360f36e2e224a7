"""Clocks: how UTC, TT and TDB differ from TAI, in nanoseconds, without astropy."""

from __future__ import annotations

import math
from bisect import bisect_right
from datetime import date

__all__ = [
    "DAY",
    "EPOCH_ORDINAL",
    "SCALES",
    "SECOND",
    "in_leap_second",
    "leap_second_ends",
    "tai_from_day",
    "tai_from_utc",
    "utc_from_tai",
]

SECOND = 1_000_000_000
"""Nanoseconds."""
DAY = 86_400 * SECOND
"""Nanoseconds of a day without a leap second."""
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
"""The day that times are counted from, as `date.toordinal` has it."""
SCALES = ("tai", "tdb", "tt", "utc")
"""Clocks that a time can be written in."""

_TT_OFFSET = 32_184_000_000
_J2000 = date(2000, 1, 1).toordinal() - EPOCH_ORDINAL

# Source: IERS Bulletin C. The first second of each date was the first with TAI - UTC one second larger;
# 1972-01-01 began with 10 s. Before it UTC ran at another rate; it is taken to be TAI - 10 s there.
_LEAP_DATES = (
    "1972-01-01", "1972-07-01", "1973-01-01", "1974-01-01", "1975-01-01", "1976-01-01", "1977-01-01", "1978-01-01",
    "1979-01-01", "1980-01-01", "1981-07-01", "1982-07-01", "1983-07-01", "1985-07-01", "1988-01-01", "1990-01-01",
    "1991-01-01", "1992-07-01", "1993-07-01", "1994-07-01", "1996-01-01", "1997-07-01", "1999-01-01", "2006-01-01",
    "2009-01-01", "2012-07-01", "2015-07-01", "2017-01-01",
)  # fmt: skip
_LEAP_DAYS = [date.fromisoformat(d).toordinal() - EPOCH_ORDINAL for d in _LEAP_DATES]
_LEAP_TAI = [day * DAY + (10 + i) * SECOND for i, day in enumerate(_LEAP_DAYS)]


def _offset_s(day: int) -> int:
    """Return TAI - UTC in seconds on a day, counted from 1970-01-01."""
    return 9 + max(1, bisect_right(_LEAP_DAYS, day))


def _tdb_offset(day: int, in_day_ns: int) -> int:
    """Return TDB - TAI; the periodic part after Fairhead & Bretagnon's largest terms, good to some 10 us."""
    angle = math.radians(357.53 + 0.9856003 * (day - _J2000 - 0.5 + in_day_ns / DAY))
    return _TT_OFFSET + round((0.001657 * math.sin(angle) + 0.000022 * math.sin(2 * angle)) * SECOND)


def leap_second_ends(day: int) -> bool:
    """Say whether a day of UTC, counted from 1970-01-01, has one second more than others.

    Parameters
    ----------
    day : int
        The day.

    Returns
    -------
    bool
        Whether its last minute has 61 seconds.
    """
    return _offset_s(day + 1) > _offset_s(day)


def tai_from_day(day: int, in_day_ns: int, scale: str) -> int:
    """Turn a calendar day and the time of day into TAI nanoseconds.

    Parameters
    ----------
    day : int
        Days since 1970-01-01.
    in_day_ns : int
        Nanoseconds since midnight; may exceed the day's length.
    scale : {"tai", "tdb", "tt", "utc"}
        The clock.

    Returns
    -------
    int
        TAI nanoseconds since 1970-01-01T00:00:00 TAI.
    """
    total = day * DAY + in_day_ns
    if scale == "utc":
        return total + _offset_s(day) * SECOND
    if scale == "tdb":
        return total - _tdb_offset(day, in_day_ns)
    return total - _TT_OFFSET if scale == "tt" else total


def tai_from_utc(utc_ns: int) -> int:
    """Turn UTC nanoseconds since 1970, as clocks of computers count them, into TAI nanoseconds.

    Parameters
    ----------
    utc_ns : int
        Without leap seconds: 86400 s each day.

    Returns
    -------
    int
        TAI nanoseconds since 1970-01-01T00:00:00 TAI.
    """
    return utc_ns + _offset_s(utc_ns // DAY) * SECOND


def utc_from_tai(tai_ns: int) -> int:
    """Turn TAI nanoseconds into UTC nanoseconds since 1970, as clocks of computers count them.

    Parameters
    ----------
    tai_ns : int
        TAI nanoseconds since 1970-01-01T00:00:00 TAI.

    Returns
    -------
    int
        UTC nanoseconds; a leap second repeats the first second of the next day.
    """
    return tai_ns - (9 + max(1, bisect_right(_LEAP_TAI, tai_ns))) * SECOND


def in_leap_second(tai_ns: int) -> bool:
    """Say whether a clock of UTC shows 23:59:60.

    Parameters
    ----------
    tai_ns : int
        TAI nanoseconds since 1970-01-01T00:00:00 TAI.

    Returns
    -------
    bool
        Whether it does.
    """
    passed = bisect_right(_LEAP_TAI, tai_ns)
    return 0 < passed < len(_LEAP_TAI) and tai_ns >= _LEAP_TAI[passed] - SECOND
