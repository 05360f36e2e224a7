"""Columns of dimension records as values of JSON, both ways.

Plain values are themselves. The others have a form of their own:

- hash: ``{"hex": "…"}``
- region: ``{"type": …, "vertices_deg": [[lon, lat], …], "sphgeom_hex": "…"}``; the hexadecimal form is the exact one
  and goes before the vertices where both are given. Text in the form ``CIRCLE lon lat radius`` is understood too.
- timespan: ``{"begin_tai", "end_tai", "begin_ns", "end_ns"}``, half-open; the nanoseconds of TAI are the exact form and
  go before the ISO texts. An end that is null is open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from registry.errors import StageError
from registry.model.columns import Array
from registry.model.data_id import is_storable
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, parse_time

__all__ = ["BadValue", "from_json", "span_from_json", "span_to_json", "to_json"]

_INT64 = 2**63
_SHAPES = {0x62: "box", 0x63: "circle", 0x65: "ellipse", 0x70: "convex_polygon"}


class BadValue(Exception):  # noqa: N818 - never leaves this package
    """One value of a column is not of its type.

    Parameters
    ----------
    row : int
        Which row.
    why : str
        What was expected and found.
    """

    def __init__(self, row: int, why: str) -> None:
        super().__init__(why)
        self.row = row
        self.why = why


def from_json(kind: str, values: Sequence[Any], nullable: bool) -> list[Any]:
    """Turn values of JSON into those of one column.

    Parameters
    ----------
    kind : {"string", "int", "float", "bool", "hash", "region"}
        The column's type.
    values : sequence
        As they were read.
    nullable : bool
        Whether they may be null.

    Returns
    -------
    list
        Python values, with None for null.

    Raises
    ------
    BadValue
        For the first value that is not of that type.
    """
    accepted, words = _ACCEPTED[kind]
    found = set(map(type, values))
    if not found <= accepted or (type(None) in found and not nullable):
        for row, value in enumerate(values):
            if value is None and not nullable:
                raise BadValue(row, "it is missing or null")
            if type(value) not in accepted:
                raise BadValue(row, f"expected {words}, found {value!r:.60}")
    if kind == "string" and not is_storable("".join(filter(None, values))):
        for row, value in enumerate(values):
            if value is not None and not is_storable(value):
                raise BadValue(row, f"{value!r:.60} has characters that a database cannot hold")
    convert = _CONVERT.get(kind)
    if convert is None:
        return list(values)
    return [None if value is None else _converted(convert, row, value) for row, value in enumerate(values)]


def to_json(kind: str, values: Array) -> list[Any]:
    """Turn one column into values of JSON.

    Parameters
    ----------
    kind : {"string", "int", "float", "bool", "hash", "region"}
        The column's type.
    values : numpy.ndarray
        The column.

    Returns
    -------
    list
        Values that `from_json` turns back into the same column.
    """
    given = values.tolist()
    if kind == "hash":
        return [None if value is None else {"hex": bytes(value).hex()} for value in given]
    if kind == "region":
        return _regions_to_json(given)
    if kind == "bool":
        return [None if value is None else bool(value) for value in given]
    return list(given)


def span_from_json(values: Sequence[Any]) -> tuple[list[int | None], list[int | None]]:
    """Turn timespans of JSON into their begins and ends.

    Parameters
    ----------
    values : sequence
        As they were read.

    Returns
    -------
    begins, ends : list of int or None
        TAI nanoseconds; None where no timespan is recorded.

    Raises
    ------
    BadValue
        For the first value that is not a timespan.
    """
    exact = _exact_spans(values)
    if exact is not None:
        return exact
    begins: list[int | None] = []
    ends: list[int | None] = []
    for row, value in enumerate(values):
        if value is None:
            begin = end = None
        elif not isinstance(value, Mapping):
            raise BadValue(row, f"expected a timespan (begin_ns and end_ns) or null, found {value!r:.60}")
        else:
            begin = _converted(_instant("begin", UNBOUNDED_BEGIN), row, value)
            end = _converted(_instant("end", UNBOUNDED_END), row, value)
            if begin >= end:
                raise BadValue(row, f"its timespan does not end after it begins: {begin} to {end} ns")
        begins.append(begin)
        ends.append(end)
    return begins, ends


def _exact_spans(values: Sequence[Any]) -> tuple[list[int | None], list[int | None]] | None:
    """Read spans that all have both ends in nanoseconds, as exports do; None where one has not."""
    if not set(map(type, values)) <= {dict, _NONE}:
        return None
    begins = [None if value is None else value.get("begin_ns", 0.0) for value in values]
    ends = [None if value is None else value.get("end_ns", 0.0) for value in values]
    given = [(b, e) for b, e, value in zip(begins, ends, values, strict=True) if value is not None]
    right = all(type(b) is type(e) is int and -_INT64 <= b < e < _INT64 for b, e in given)
    return (begins, ends) if right else None


def span_to_json(begins: Array, ends: Array) -> list[Any]:
    """Turn begins and ends of timespans into values of JSON.

    Parameters
    ----------
    begins, ends : numpy.ndarray
        TAI nanoseconds, or None.

    Returns
    -------
    list
        Values that `span_from_json` turns back into the same columns.
    """
    firsts = [None if b is None or b <= UNBOUNDED_BEGIN else b for b in begins.tolist()]
    lasts = [None if e is None or e >= UNBOUNDED_END else e for e in ends.tolist()]
    whole = zip(begins.tolist(), _iso(firsts), _iso(lasts), firsts, lasts, strict=True)
    return [
        None
        if begin is None
        else {"begin_tai": begin_tai, "end_tai": end_tai, "begin_ns": first, "end_ns": last}
        for begin, begin_tai, end_tai, first, last in whole
    ]


def _iso(tai_ns: Sequence[int | None]) -> list[str | None]:
    """Word times, all at once."""
    texts = np.array([0 if t is None else t for t in tai_ns], dtype="datetime64[ns]").astype(str).tolist()
    return [None if t is None else text for t, text in zip(tai_ns, texts, strict=True)]


def _converted(convert: Callable[[Any], Any], row: int, value: Any) -> Any:
    try:
        return convert(value)
    except (StageError, ValueError, TypeError, KeyError) as exc:
        text = f"it lacks {exc}" if isinstance(exc, KeyError) else str(exc)
        raise BadValue(row, text) from exc


def _instant(side: str, unbounded: int) -> Callable[[Mapping[str, Any]], int]:
    def convert(value: Mapping[str, Any]) -> int:
        exact, text = value.get(f"{side}_ns"), value.get(f"{side}_tai")
        if type(exact) is int:
            return _within(exact)
        if exact is None and text is None:
            if f"{side}_ns" not in value and f"{side}_tai" not in value:
                raise KeyError(f"{side}_ns")
            return unbounded
        if exact is None and isinstance(text, str):
            return parse_time(f"{text}/tai")
        raise ValueError(f"{side} of the timespan: expected nanoseconds of TAI, found {exact or text!r:.60}")

    return convert


def _within(value: int) -> int:
    if not -_INT64 <= value < _INT64:
        raise ValueError(f"{value} does not fit in 64 bits")
    return value


def _hash(value: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(value["hex"])


def _region(value: Mapping[str, Any] | str) -> bytes:
    if not isinstance(value, str) and "sphgeom_hex" in value:
        return bytes.fromhex(value["sphgeom_hex"])
    from registry.model import regions

    if isinstance(value, str):
        return regions.from_text(value)
    return regions.encode_polygon([(float(lon), float(lat)) for lon, lat in value["vertices_deg"]])


def _regions_to_json(values: Sequence[bytes | None]) -> list[Any]:
    """Word regions; the corners of all convex polygons are worked out at once."""
    out: list[Any] = [
        None if v is None else {"type": _SHAPES.get(bytes(v)[0], "compound"), "sphgeom_hex": bytes(v).hex()}
        for v in values
    ]
    polygons = [i for i, item in enumerate(out) if item is not None and item["type"] == "convex_polygon"]
    bodies = [bytes(values[i] or b"")[1:] for i in polygons]
    xyz = np.frombuffer(b"".join(bodies), dtype="<f8").reshape(-1, 3)
    lon = np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])) % 360.0
    lat = np.degrees(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))
    corners = np.stack([lon, lat], axis=1).tolist()
    start = 0
    for i, body in zip(polygons, bodies, strict=True):
        stop = start + len(body) // 24
        out[i] = {
            "type": "convex_polygon",
            "vertices_deg": corners[start:stop],
            "sphgeom_hex": out[i]["sphgeom_hex"],
        }
        start = stop
    return out


_NONE = type(None)
_ACCEPTED: dict[str, tuple[frozenset[type], str]] = {
    "string": (frozenset({str, _NONE}), "text"),
    "int": (frozenset({int, _NONE}), "an integer"),
    "float": (frozenset({float, int, _NONE}), "a number"),
    "bool": (frozenset({bool, _NONE}), "true or false"),
    "hash": (frozenset({dict, _NONE}), '{"hex": "…"}'),
    "region": (frozenset({dict, str, _NONE}), "a region with sphgeom_hex or vertices_deg"),
}
_CONVERT: dict[str, Callable[[Any], Any]] = {"int": _within, "float": float, "hash": _hash, "region": _region}
