"""The functions of the language: regions made of constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from registry.model import regions

__all__ = ["REGIONS", "RegionFunction"]


class RegionFunction:
    """A function that makes a region.

    Parameters
    ----------
    usage : str
        How it is written.
    accepts : callable
        Whether it takes that number of arguments.
    make : callable
        Makes the encoded region of the arguments.
    text : bool
        Whether its arguments are strings, not numbers.
    """

    def __init__(
        self,
        usage: str,
        accepts: Callable[[int], bool],
        make: Callable[[Sequence[Any]], bytes],
        *,
        text: bool = False,
    ) -> None:
        self.usage = usage
        self.accepts = accepts
        self.make = make
        self.text = text


def _polygon(values: Sequence[Any]) -> bytes:
    return regions.encode_polygon(list(zip(values[::2], values[1::2], strict=True)))


def _circle(values: Sequence[Any]) -> bytes:
    # The vectors show that the reference's CIRCLE reaches twice as far as its third argument says, to the digit;
    # that of REGION('CIRCLE …') reaches as far as it says.
    lon, lat, radius = values
    return regions.encode_circle(lon, lat, 2 * radius)


REGIONS = {
    "POINT": RegionFunction("POINT(lon, lat)", lambda n: n == 2, lambda v: regions.encode_point(*v)),
    "CIRCLE": RegionFunction("CIRCLE(lon, lat, radius)", lambda n: n == 3, _circle),
    "BOX": RegionFunction("BOX(lon, lat, width, height)", lambda n: n == 4, lambda v: regions.encode_box(*v)),
    "POLYGON": RegionFunction(
        "POLYGON(lon, lat, lon, lat, lon, lat, …)", lambda n: n >= 6 and n % 2 == 0, _polygon
    ),
    "REGION": RegionFunction(
        "REGION('CIRCLE lon lat radius')", lambda n: n == 1, lambda v: regions.from_text(v[0]), text=True
    ),
}
"""By name in capitals; all in degrees."""
