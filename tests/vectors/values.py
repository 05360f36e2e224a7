"""Tagged values of the vectors to the Python values that a caller would give."""

from __future__ import annotations

from typing import Any

from registry.model import regions
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, Instant, Timespan, parse_time

__all__ = ["from_tagged", "tai"]


def tai(text: str) -> int:
    """Return TAI nanoseconds of ISO text in TAI."""
    return parse_time(f"{text}/tai")


def _timespan(ends: list[str | None]) -> Timespan:
    begin, end = ends
    return Timespan(
        UNBOUNDED_BEGIN if begin is None else tai(begin), UNBOUNDED_END if end is None else tai(end)
    )


_TAGS = {
    "$list": list,
    "$tuple": lambda v: tuple(map(from_tagged, v)),
    "$set": lambda v: {from_tagged(x) for x in v},
    "$time_tai": lambda v: Instant(tai(v)),
    "$timespan_tai": _timespan,
    "$circle_deg": lambda v: regions.encode_circle(*v),
    "$point_deg": lambda v: regions.encode_point(*v),
    "$polygon_deg": lambda v: regions.encode_polygon([tuple(p) for p in v]),
}


def from_tagged(value: Any) -> Any:
    """Return the value that a tagged value of the vectors stands for."""
    if isinstance(value, dict) and len(value) == 1:
        tag, content = next(iter(value.items()))
        return _TAGS[tag](content)
    return [from_tagged(v) for v in value] if isinstance(value, list) else value
