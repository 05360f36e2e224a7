"""Regions on the sky: a thin, lazy wrapper of `lsst.sphgeom`, whose encoded bytes are what is stored."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from registry.errors import UsageError

__all__ = [
    "bounding_circle",
    "encode_box",
    "encode_circle",
    "encode_point",
    "encode_polygon",
    "from_text",
    "overlaps",
    "pixel_ranges",
    "pixel_region",
    "pixels",
    "polygon_vertices",
    "touch",
]

_PIXELS = re.compile(r"(htm|healpix)(\d+)\Z")


@lru_cache(maxsize=1)
def _sphgeom() -> Any:
    """Import the library where the first region is met; the core works without it."""
    try:
        import lsst.sphgeom as library
    except ImportError as exc:
        raise UsageError(
            "regions on the sky need the package lsst-sphgeom",
            code="missing-package",
            hint="Install the extra: pip install 'stage[astro]'.",
        ) from exc
    return library


def _read(region: bytes) -> Any:
    try:
        return _sphgeom().Region.decode(region)
    except (RuntimeError, ValueError) as exc:
        raise UsageError(f"{len(region)} bytes are not a region: {exc}", code="bad-region") from exc


# For single questions, which come back to the same regions; what is only passing by goes through `_read`.
_decode = lru_cache(maxsize=16_384)(_read)


@lru_cache(maxsize=8)
def _pixelization(name: str) -> Any:
    match = _PIXELS.match(name)
    if match is None:
        raise UsageError(
            f"'{name}' is not a sky pixelisation",
            code="bad-pixelisation",
            hint="Use htm1 … htm24 or healpix0 … healpix17.",
        )
    library, level = _sphgeom(), int(match[2])
    try:
        return library.HtmPixelization(level) if match[1] == "htm" else library.HealpixPixelization(level)
    except (RuntimeError, ValueError) as exc:
        raise UsageError(f"sky pixelisation '{name}': {exc}", code="bad-pixelisation") from exc


def pixel_ranges(region: bytes, skypix: str = "htm7") -> list[tuple[int, int]]:
    """Return the pixels that a region may touch, as ranges.

    Parameters
    ----------
    region : bytes
        An encoded region.
    skypix : str
        Pixelisation and level: ``htm7``, ``healpix9``.

    Returns
    -------
    list of (int, int)
        Half-open, in order. Covers the region; a pixel close to it may be among them.
    """
    return [(int(a), int(b)) for a, b in _pixelization(skypix).envelope(_read(region))]


def pixels(region: bytes, skypix: str = "htm7") -> list[int]:
    """Return the pixels that a region may touch.

    Parameters
    ----------
    region : bytes
        An encoded region.
    skypix : str
        Pixelisation and level: ``htm7``, ``healpix9``.

    Returns
    -------
    list of int
        In order. Covers the region; a pixel close to it may be among them.
    """
    return [i for begin, end in pixel_ranges(region, skypix) for i in range(begin, end)]


def pixel_region(pixel: int, skypix: str = "htm7") -> bytes:
    """Return the region of one sky pixel.

    Parameters
    ----------
    pixel : int
        Its index.
    skypix : str
        Pixelisation and level.

    Returns
    -------
    bytes
        Encoded region.

    Raises
    ------
    UsageError
        If there is no such pixel.
    """
    try:
        return bytes(_pixelization(skypix).pixel(pixel).encode())
    except (RuntimeError, ValueError, TypeError) as exc:
        raise UsageError(f"{skypix} has no pixel {pixel}", code="bad-pixelisation") from exc


def overlaps(a: bytes | None, b: bytes | None) -> bool | None:
    """Say whether two regions touch or overlap.

    Parameters
    ----------
    a, b : bytes or None
        Encoded regions.

    Returns
    -------
    bool or None
        None where one of them is null, as SQL has it. Touching counts.
    """
    if a is None or b is None:
        return None
    return not _decode(a).relate(_decode(b)) & _sphgeom().DISJOINT


def touch(a: Sequence[bytes], b: Sequence[bytes]) -> list[bool]:
    """Say pair by pair whether two regions touch or overlap.

    Parameters
    ----------
    a, b : sequence of bytes
        Encoded regions, as many here as there; each distinct one is read once.

    Returns
    -------
    list of bool
        One a pair.
    """
    disjoint = _sphgeom().DISJOINT
    read = {region: _read(region) for region in {*a, *b}}
    return [not read[x].relate(read[y]) & disjoint for x, y in zip(a, b, strict=True)]


def _vector(lon_deg: float, lat_deg: float) -> Any:
    """Return a direction; longitudes wrap, latitudes do not."""
    if not (math.isfinite(lon_deg) and math.isfinite(lat_deg)):
        raise UsageError(f"({lon_deg}, {lat_deg}) is not a position on the sky", code="bad-region")
    if abs(lat_deg) > 90.0:
        raise UsageError(
            f"latitude {lat_deg} is beyond the pole", code="bad-region", hint="Order is longitude, latitude."
        )
    return _sphgeom().LonLat.fromDegrees(float(lon_deg), float(lat_deg))


def _extent(what: str, value: float) -> Any:
    """Return an angle; a negative one makes a region that is empty."""
    if not math.isfinite(value):
        raise UsageError(f"{what} {value} of a region is not a size in degrees", code="bad-region")
    return _sphgeom().Angle.fromDegrees(float(value))


def encode_point(lon_deg: float, lat_deg: float) -> bytes:
    """Return a position as a region without extent.

    Parameters
    ----------
    lon_deg, lat_deg : float
        Position, degrees.

    Returns
    -------
    bytes
        Encoded region.
    """
    return encode_circle(lon_deg, lat_deg, 0.0)


def encode_circle(lon_deg: float, lat_deg: float, radius_deg: float) -> bytes:
    """Return a circle.

    Parameters
    ----------
    lon_deg, lat_deg : float
        Centre, degrees.
    radius_deg : float
        Opening angle, degrees; nothing is in a circle where it is negative.

    Returns
    -------
    bytes
        Encoded region.

    Raises
    ------
    UsageError
        If a value is not one: latitude beyond the pole, a radius that is not finite.
    """
    library = _sphgeom()
    centre = library.UnitVector3d(_vector(lon_deg, lat_deg))
    return bytes(library.Circle(centre, _extent("radius", radius_deg)).encode())


def encode_box(lon_deg: float, lat_deg: float, width_deg: float, height_deg: float) -> bytes:
    """Return a box in longitude and latitude.

    Parameters
    ----------
    lon_deg, lat_deg : float
        Centre, degrees.
    width_deg, height_deg : float
        Full extent in longitude and latitude, degrees; nothing is in a box where one is negative.

    Returns
    -------
    bytes
        Encoded region.

    Raises
    ------
    UsageError
        If a value is not one.
    """
    half_width, half_height = _extent("width", width_deg / 2), _extent("height", height_deg / 2)
    return bytes(_sphgeom().Box(_vector(lon_deg, lat_deg), half_width, half_height).encode())


def encode_polygon(lon_lat_deg: Sequence[tuple[float, float]]) -> bytes:
    """Return the convex hull of positions.

    Parameters
    ----------
    lon_lat_deg : sequence of (float, float)
        At least three positions that fit on half a sphere, degrees.

    Returns
    -------
    bytes
        Encoded region.

    Raises
    ------
    UsageError
        If they have no hull.
    """
    library = _sphgeom()
    if len(lon_lat_deg) < 3:
        raise UsageError(f"a polygon needs three points, not {len(lon_lat_deg)}", code="bad-region")
    points = [library.UnitVector3d(_vector(lon, lat)) for lon, lat in lon_lat_deg]
    try:
        return bytes(library.ConvexPolygon.convexHull(points).encode())
    except (RuntimeError, ValueError) as exc:
        raise UsageError(f"these points have no convex hull: {exc}", code="bad-region") from exc


def from_text(text: str) -> bytes:
    """Read a region in the virtual observatory's POS form.

    Parameters
    ----------
    text : str
        ``CIRCLE lon lat radius``, ``RANGE lon1 lon2 lat1 lat2`` (``-Inf`` and ``+Inf`` for no bound) or
        ``POLYGON lon1 lat1 …``, degrees.

    Returns
    -------
    bytes
        Encoded region.

    Raises
    ------
    UsageError
        If it is none of them.
    """
    try:
        return _encoded_pos(text)
    except (RuntimeError, ValueError) as exc:
        raise UsageError(
            f"'{text}' is not a region: {exc}",
            code="bad-region",
            hint="Write CIRCLE lon lat radius, RANGE lon lon lat lat or POLYGON lon lat …",
        ) from exc


def _encoded_pos(text: str) -> bytes:
    if any(math.isnan(float(word)) for word in text.split()[1:]):
        raise ValueError("a coordinate is no number")
    return bytes(_sphgeom().Region.from_ivoa_pos(text).encode())


def bounding_circle(region: bytes) -> tuple[float, float, float]:
    """Return a circle that holds a region.

    Parameters
    ----------
    region : bytes
        An encoded region.

    Returns
    -------
    tuple of float
        Longitude, latitude and radius, degrees.
    """
    circle = _decode(region).getBoundingCircle()
    centre = _sphgeom().LonLat(circle.getCenter())
    return (centre.getLon().asDegrees(), centre.getLat().asDegrees(), circle.getOpeningAngle().asDegrees())


def polygon_vertices(region: bytes) -> list[tuple[float, float]]:
    """Return the corners of a convex polygon.

    Parameters
    ----------
    region : bytes
        An encoded region.

    Returns
    -------
    list of (float, float)
        Longitude and latitude, degrees, counter-clockwise from outside; empty for other shapes.
    """
    shape, library = _decode(region), _sphgeom()
    if not isinstance(shape, library.ConvexPolygon):
        return []
    corners = [library.LonLat(v) for v in shape.getVertices()]
    return [(c.getLon().asDegrees(), c.getLat().asDegrees()) for c in corners]
