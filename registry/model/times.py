"""Times: ISO, MJD and JD text to TAI nanoseconds since 1970-01-01T00:00:00 TAI, and back, without astropy."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from registry.errors import UsageError, nearest

__all__ = [
    "UNBOUNDED_BEGIN",
    "UNBOUNDED_END",
    "Instant",
    "Timespan",
    "format_iso",
    "format_mjd",
    "parse_time",
    "tai_from_utc",
    "utc_from_tai",
]

UNBOUNDED_BEGIN = -(2**63)
"""What an unbounded beginning is stored as."""
UNBOUNDED_END = 2**63 - 1
"""What an unbounded end is stored as."""

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MJD_EPOCH = 40_587
_JD_EPOCH = Decimal("2440587.5")
_TT_OFFSET = 32_184_000_000

# Source: IERS Bulletin C. The first second of each date was the first with TAI - UTC one second larger;
# 1972-01-01 began with 10 s. Before it UTC ran at another rate; it is taken to be TAI - 10 s there.
_LEAP_DATES = (
    "1972-01-01", "1972-07-01", "1973-01-01", "1974-01-01", "1975-01-01", "1976-01-01", "1977-01-01", "1978-01-01",
    "1979-01-01", "1980-01-01", "1981-07-01", "1982-07-01", "1983-07-01", "1985-07-01", "1988-01-01", "1990-01-01",
    "1991-01-01", "1992-07-01", "1993-07-01", "1994-07-01", "1996-01-01", "1997-07-01", "1999-01-01", "2006-01-01",
    "2009-01-01", "2012-07-01", "2015-07-01", "2017-01-01",
)  # fmt: skip
_LEAP_DAYS = [date.fromisoformat(d).toordinal() - _EPOCH_ORDINAL for d in _LEAP_DATES]
_LEAP_TAI = [day * _DAY + (10 + i) * _SECOND for i, day in enumerate(_LEAP_DAYS)]

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{0,18}))?)?)?\Z", re.ASCII | re.IGNORECASE
)
_NUMBER = re.compile(r"-?\d{1,9}\.\d{0,15}\Z", re.ASCII)
_FORMATS = ("iso", "isot", "jd", "mjd")
_SCALES = ("tai", "tt", "utc")


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A moment, as a value given to a query: an integer would be taken for a number.

    Parameters
    ----------
    tai_ns : int
        TAI nanoseconds since 1970-01-01T00:00:00 TAI.
    """

    tai_ns: int


class Timespan(NamedTuple):
    """A half-open span of TAI nanoseconds; empty unless ``begin < end``.

    Parameters
    ----------
    begin : int
        First nanosecond, or `UNBOUNDED_BEGIN`.
    end : int
        First nanosecond after it, or `UNBOUNDED_END`.
    """

    begin: int = UNBOUNDED_BEGIN
    end: int = UNBOUNDED_END

    def overlaps(self, other: Timespan) -> bool:
        """Say whether the two have a nanosecond in common.

        Parameters
        ----------
        other : Timespan
            Another span.

        Returns
        -------
        bool
            Never true where one of them is empty.
        """
        return max(self.begin, other.begin) < min(self.end, other.end)


def _offset_s(day: int) -> int:
    """Return TAI - UTC in seconds on a day, counted from 1970-01-01."""
    return 9 + max(1, bisect_right(_LEAP_DAYS, day))


def _from_day(day: int, in_day_ns: int, scale: str) -> int:
    """Return TAI nanoseconds of a calendar day and nanoseconds in it."""
    total = day * _DAY + in_day_ns
    if scale == "utc":
        return total + _offset_s(day) * _SECOND
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
    return utc_ns + _offset_s(utc_ns // _DAY) * _SECOND


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
    return tai_ns - (9 + max(1, bisect_right(_LEAP_TAI, tai_ns))) * _SECOND


def _in_leap_second(tai_ns: int) -> bool:
    """Say whether a clock of UTC shows 23:59:60."""
    passed = bisect_right(_LEAP_TAI, tai_ns)
    return 0 < passed < len(_LEAP_TAI) and tai_ns >= _LEAP_TAI[passed] - _SECOND


def parse_time(text: str) -> int:
    """Read a time.

    Parameters
    ----------
    text : str
        ``[format/]value[/scale]``. ISO dates with or without a time of day are UTC; numbers with a decimal
        point are MJD, or JD with the format ``jd``, and are TAI. Scales: ``utc``, ``tai``, ``tt``.

    Returns
    -------
    int
        TAI nanoseconds since 1970-01-01T00:00:00 TAI, rounded to the nearest.

    Raises
    ------
    UsageError
        If it is not a time, or outside the years 1677 to 2262.
    """
    form, value, scale = _split(text)
    iso, number = _ISO.match(value), _NUMBER.match(value)
    if iso and form in {"", "iso", "isot"}:
        total = _parse_iso(text, iso, scale or "utc")
    elif number and form in {"", "mjd", "jd"}:
        total = _parse_number(value, form or "mjd", scale or "tai")
    else:
        raise _bad(text)
    if not UNBOUNDED_BEGIN < total < UNBOUNDED_END:
        raise UsageError(f"time '{text}' is outside the years 1677 to 2262", code="time-range")
    return total


def _bad(text: str) -> UsageError:
    return UsageError(
        f"'{text}' is not a time",
        code="bad-time",
        hint="Write 2014-03-25T09:34:19.634 (UTC), 2014-03-25/tai, 57023.5 (MJD) or jd/2457024.0; numbers need a point.",
    )


def _split(text: str) -> tuple[str, str, str]:
    parts = [p.strip() for p in text.split("/")]
    form = scale = ""
    if len(parts) > 1 and parts[0][:1].isalpha():
        form = parts.pop(0).lower()
        if form not in _FORMATS:
            raise UsageError(
                f"time '{text}': unknown format '{form}'", code="bad-time", hint=nearest(form, _FORMATS)
            )
    if len(parts) > 1:
        scale = parts.pop().lower()
        if scale not in _SCALES:
            raise UsageError(
                f"time '{text}': unknown scale '{scale}'", code="bad-time", hint=nearest(scale, _SCALES)
            )
    if len(parts) != 1:
        raise _bad(text)
    return form, parts[0], scale


def _parse_iso(text: str, match: re.Match[str], scale: str) -> int:
    year, month, day, hour, minute, second = (int(g or 0) for g in match.groups()[:6])
    try:
        days = date(year, month, day).toordinal() - _EPOCH_ORDINAL
    except ValueError as exc:
        raise UsageError(f"'{text}' is not a time: {exc}", code="bad-time") from exc
    leap = scale == "utc" and (hour, minute) == (23, 59) and _offset_s(days + 1) > _offset_s(days)
    if hour > 23 or minute > 59 or second > (60 if leap else 59):
        raise UsageError(f"'{text}' is not a time: there is no such time of day", code="bad-time")
    fraction = round(Decimal(f"0.{match.group(7) or 0}") * _SECOND)
    return _from_day(days, ((hour * 60 + minute) * 60 + second) * _SECOND + fraction, scale)


def _parse_number(value: str, form: str, scale: str) -> int:
    since_epoch = Decimal(value) - (_JD_EPOCH if form == "jd" else _MJD_EPOCH)
    days = int(since_epoch // 1)
    if days > since_epoch:
        days -= 1
    length = _DAY
    if scale == "utc":
        length += (_offset_s(days + 1) - _offset_s(days)) * _SECOND
    return _from_day(days, round((since_epoch - days) * length), scale)


def format_iso(tai_ns: int, scale: str = "tai") -> str:
    """Write a time as ISO text.

    Parameters
    ----------
    tai_ns : int
        TAI nanoseconds since 1970-01-01T00:00:00 TAI.
    scale : {"tai", "utc"}
        Which clock to write.

    Returns
    -------
    str
        ``2014-03-25T09:34:54.634``, with as many decimals as needed; a leap second is written ``:60``.
    """
    total, leap = tai_ns, 0
    if scale == "utc":
        leap = int(_in_leap_second(tai_ns))
        total = utc_from_tai(tai_ns) - leap * _SECOND
    days, in_day = divmod(total, _DAY)
    seconds, fraction = divmod(in_day, _SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    calendar = date.fromordinal(days + _EPOCH_ORDINAL).isoformat()
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{calendar}T{hour:02d}:{minute:02d}:{second + leap:02d}{tail}"


def format_mjd(tai_ns: int) -> str:
    """Write a time as a Modified Julian Date in TAI.

    Parameters
    ----------
    tai_ns : int
        TAI nanoseconds since 1970-01-01T00:00:00 TAI.

    Returns
    -------
    str
        With a decimal point and at most 15 decimals, so that `parse_time` gives the same nanosecond.
    """
    days, in_day = divmod(tai_ns, _DAY)
    whole, decimals = f"{Decimal(days + _MJD_EPOCH) + Decimal(in_day) / _DAY:.15f}".split(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"
