"""Text to time: ISO dates, days of the year, and counts of days, years or seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from registry.errors import UsageError, nearest
from registry.model.clocks import (
    DAY,
    EPOCH_ORDINAL,
    SCALES,
    SECOND,
    leap_second_ends,
    tai_from_day,
    tai_from_utc,
)

__all__ = ["read_time"]

_MJD_EPOCH = 40_587
_JD_EPOCH = Decimal("2440587.5")
_YEARS_400 = 146_097  # days after which the calendar repeats

_OF_DAY = r"(?P<hour>\d\d?):(?P<minute>\d\d?)(?::(?P<second>\d\d?)(?:\.(?P<decimals>\d*))?(?:\+00:00)?)?"
_DATE = re.compile(
    rf"(?P<year>\d{{4}})-(?P<month>\d\d?)-(?P<day>\d\d?)(?:(?P<separator>[T ]){_OF_DAY})?\Z", re.ASCII
)
_DAY_OF_YEAR = re.compile(rf"(?P<year>\d{{4}}):(?P<day>\d\d?\d?)(?:(?P<separator>:){_OF_DAY})?\Z", re.ASCII)
_NUMBER = re.compile(r"-?(\d+\.\d*|\.\d+)\Z", re.ASCII)
# What stands between the day and the time of day.
_SEPARATORS = {"": "T :", "iso": " ", "isot": "T", "fits": "T", "yday": ":"}


def _days(value: Decimal, scale: str) -> int:
    """Read days since 1970-01-01 of a clock."""
    day = int(value.to_integral_value(rounding="ROUND_FLOOR"))
    length = DAY + (SECOND if scale == "utc" and leap_second_ends(day) else 0)
    return tai_from_day(day, round((value - day) * length), scale)


def _decimal_year(value: Decimal, scale: str) -> int:
    """Read a year whose decimals are the part of it that has passed."""
    year = int(value)
    first, last = (tai_from_day(_day_number(y, 1, 1), 0, scale) for y in (year, year + 1))
    return first + round((value - year) * (last - first))


_NUMBERS: dict[str, Callable[[Decimal, str], int]] = {
    "cxcsec": lambda v, _: tai_from_day(10_227, round(v * SECOND), "tt"),
    "decimalyear": _decimal_year,
    "gps": lambda v, _: tai_from_day(3_657, 19 * SECOND + round(v * SECOND), "tai"),
    "jd": lambda v, scale: _days(v - _JD_EPOCH, scale),
    "jyear": lambda v, scale: _days((v - 2000) * Decimal("365.25") + Decimal("10957.5"), scale),
    "mjd": lambda v, scale: _days(v - _MJD_EPOCH, scale),
    "unix": lambda v, _: tai_from_utc(round(v * SECOND)),
    "unix_tai": lambda v, _: round(v * SECOND),
}
_FORMATS = (*filter(None, _SEPARATORS), *_NUMBERS)


def read_time(text: str) -> int:
    """Read a time.

    Parameters
    ----------
    text : str
        ``[format/]value[/scale]``. ISO dates with or without a time of day are UTC; numbers with a decimal
        point are MJD, or what the format says (``jd``, ``unix``, ``jyear`` …), and days and years are TAI.
        Scales: ``utc``, ``tai``, ``tt``, ``tdb``.

    Returns
    -------
    int
        TAI nanoseconds since 1970-01-01T00:00:00 TAI, rounded to the nearest; however many.

    Raises
    ------
    UsageError
        If it is not a time.
    """
    form, value, scale = _split(text)
    if form in _NUMBERS or (not form and _NUMBER.match(value)):
        if not _NUMBER.match(value):
            raise _bad(text)
        return _NUMBERS[form or "mjd"](Decimal(value), scale or "tai")
    forms = {"": (_DATE, _DAY_OF_YEAR), "yday": (_DAY_OF_YEAR,)}.get(form, (_DATE,))
    found = next((m for m in (f.match(value) for f in forms) if m), None)
    if found is None or (found["separator"] or "") not in _SEPARATORS[form]:
        raise _bad(text)
    return _of_calendar(text, found, scale or "utc")


def _bad(text: str) -> UsageError:
    return UsageError(
        f"'{text}' is not a time",
        code="bad-time",
        hint="Write 2014-03-25T09:34:19.634 (UTC), 2014-03-25/tai, 57023.5 (MJD) or jd/2457024.0; numbers need a point.",
    )


def _split(text: str) -> tuple[str, str, str]:
    parts = text.split("/")
    form = scale = ""
    if len(parts) > 1 and parts[0][:1].isalpha():
        form = parts.pop(0).lower()
        if form not in _FORMATS:
            raise UsageError(
                f"time '{text}': unknown format '{form}'", code="bad-time", hint=nearest(form, _FORMATS)
            )
    if len(parts) > 1:
        scale = parts.pop().lower()
        if scale not in SCALES:
            raise UsageError(
                f"time '{text}': unknown scale '{scale}'", code="bad-time", hint=nearest(scale, SCALES)
            )
    if len(parts) != 1:
        raise _bad(text)
    return form, parts[0], scale


def _day_number(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date of the proleptic calendar, whatever the year."""
    alike = 400 + year % 400
    return date(alike, month, day).toordinal() - EPOCH_ORDINAL + (year - alike) // 400 * _YEARS_400


def _day_of(match: re.Match[str]) -> int:
    """Return the days from 1970-01-01 to what a date says."""
    year, day = int(match["year"]), int(match["day"])
    if match.re is _DATE:
        return _day_number(year, int(match["month"]), day)
    first, following = _day_number(year, 1, 1), _day_number(year + 1, 1, 1)
    if not 1 <= day <= following - first:
        raise ValueError(f"the year {year} has {following - first} days")
    return first + day - 1


def _of_calendar(text: str, match: re.Match[str], scale: str) -> int:
    try:
        day = _day_of(match)
    except ValueError as exc:
        raise UsageError(f"'{text}' is not a time: {exc}", code="bad-time") from exc
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    # The 60th second is that of a leap; where there was none, clocks that show it mean the next minute.
    if hour > 23 or minute > 59 or second > 60:
        raise UsageError(f"'{text}' is not a time: there is no such time of day", code="bad-time")
    fraction = round(Decimal(f"0.{match['decimals'] or 0}") * SECOND)
    return tai_from_day(day, ((hour * 60 + minute) * 60 + second) * SECOND + fraction, scale)
