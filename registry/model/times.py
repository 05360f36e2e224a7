"""Times and timespans: TAI nanoseconds since 1970-01-01T00:00:00 TAI, and their text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from registry.errors import UsageError
from registry.model.clocks import DAY, EPOCH_ORDINAL, SECOND, in_leap_second, tai_from_utc, utc_from_tai
from registry.model.time_text import read_time

__all__ = [
    "UNBOUNDED_BEGIN",
    "UNBOUNDED_END",
    "Instant",
    "Timespan",
    "format_iso",
    "format_mjd",
    "parse_time",
    "span_text",
    "tai_from_utc",
    "utc_from_tai",
]

UNBOUNDED_BEGIN = -(2**63)
"""What an unbounded beginning is stored as."""
UNBOUNDED_END = 2**63 - 1
"""What an unbounded end is stored as."""

_MJD_EPOCH = 40_587


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


def parse_time(text: str) -> int:
    """Read a time that can be stored.

    Parameters
    ----------
    text : str
        As for `registry.model.time_text.read_time`: ``2014-03-25T09:34:19.634`` (UTC), ``2014-03-25/tai``,
        ``57023.5`` (MJD), ``jd/2457024.0``.

    Returns
    -------
    int
        TAI nanoseconds since 1970-01-01T00:00:00 TAI, rounded to the nearest.

    Raises
    ------
    UsageError
        If it is not a time, or outside the years 1677 to 2262.
    """
    total = read_time(text)
    if not UNBOUNDED_BEGIN < total < UNBOUNDED_END:
        raise UsageError(f"time '{text}' is outside the years 1677 to 2262", code="time-range")
    return total


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
        leap = int(in_leap_second(tai_ns))
        total = utc_from_tai(tai_ns) - leap * SECOND
    days, in_day = divmod(total, DAY)
    seconds, fraction = divmod(in_day, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    calendar = date.fromordinal(days + EPOCH_ORDINAL).isoformat()
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{calendar}T{hour:02d}:{minute:02d}:{second + leap:02d}{tail}"


def span_text(begin: int | None, end: int | None) -> str:
    """Return a span as errors show it: ``2014-03-25T00:00:00 to 2014-04-01T00:00:00``.

    Parameters
    ----------
    begin, end : int or None
        TAI nanoseconds; None, or what an unbounded end is stored as, for none.

    Returns
    -------
    str
        In TAI.
    """
    first = "always" if begin in {None, UNBOUNDED_BEGIN} else format_iso(int(begin or 0))
    last = "always" if end in {None, UNBOUNDED_END} else format_iso(int(end or 0))
    return "always" if first == last == "always" else f"{first} to {last}"


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
    days, in_day = divmod(tai_ns, DAY)
    whole, decimals = f"{Decimal(days + _MJD_EPOCH) + Decimal(in_day) / DAY:.15f}".split(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"
