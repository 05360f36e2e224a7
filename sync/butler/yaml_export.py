"""YAML exports of the field's butler, as plain values: safe to load, whatever somebody wrote into one.

Tags become: times ``Instant``, timespans ``Timespan`` (None for an empty one), regions their encoded bytes, ids 16
bytes. No other tag is understood, and no object of a class is ever made.
"""

from __future__ import annotations

import datetime as dt
import uuid
from functools import cache
from typing import Any, NamedTuple

import yaml

from registry.errors import SchemaVersionError, StageError, UsageError
from registry.model.times import UNBOUNDED_BEGIN, UNBOUNDED_END, Instant, Timespan, parse_time
from sync.filesystem import files

__all__ = ["NAMESPACE", "Export", "read_export"]

NAMESPACE = "daf_butler"
"""What the field calls its universe."""
_DESCRIPTION = "Butler Data Repository Export"
_MAJOR, _MINOR = 1, 0
_MOST_VALUES = 10**9
# SafeLoader or its form in C, which is ten times as fast; neither makes objects of classes.
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Export(NamedTuple):
    """One export.

    Parameters
    ----------
    where : str
        The file.
    folder : str
        Where the paths in it begin.
    universe : str
        Namespace of the dimension universe it was written with.
    universe_version : int
        Version of that.
    entries : list of dict
        What it holds.
    """

    where: str
    folder: str
    universe: str
    universe_version: int
    entries: list[dict[str, Any]]


def read_export(uri: files.Uri) -> Export:
    """Read a file.

    Parameters
    ----------
    uri : str or path
        The YAML file.

    Returns
    -------
    Export
        Its content.

    Raises
    ------
    NotFoundError
        If there is no such file.
    UsageError
        If it is not YAML, has a tag that is not understood, or is no such export.
    SchemaVersionError
        If its form is of a version that is not read.
    """
    where = files.redact(uri)
    document = _load(files.read_bytes(uri), where)
    if not isinstance(document, dict) or document.get("description") != _DESCRIPTION:
        raise UsageError(
            f"{where} is no export of a butler: its description is not '{_DESCRIPTION}'",
            code="not-an-export",
            hint="Name a file that 'butler export' wrote, or a folder of JSON lines.",
        )
    _check_version(where, document.get("version"))
    entries = document.get("data")
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("type"), str) for e in entries
    ):
        raise _damaged(where, "'data' is not a list of entries that each have a type")
    version = document.get("universe_version", 0)
    if not isinstance(version, int):
        raise _damaged(where, f"universe_version is {version!r:.40}, not a number")
    folder = files.absolute(uri).rpartition("/")[0] or "/"
    return Export(where, folder, str(document.get("universe_namespace", NAMESPACE)), version, entries)


def _damaged(where: str, why: str) -> UsageError:
    return UsageError(f"{where}: {why}", code="bad-export", hint="Nothing was imported.")


def _check_version(where: str, version: object) -> None:
    # Before it had versions, an export said 0 and was what became 1.0.
    text = "1.0.0" if version == 0 and not isinstance(version, bool) else str(version)
    numbers = text.split(".")
    if not all(n.isdecimal() for n in numbers) or len(numbers) < 2:
        raise _damaged(where, f"'{version}' is no version")
    if int(numbers[0]) != _MAJOR or int(numbers[1]) > _MINOR:
        raise SchemaVersionError(
            f"{where} is an export of version {text}; versions up to {_MAJOR}.{_MINOR} are read",
            code="export-version",
            hint="Export it again with an older butler, or upgrade.",
            found=text,
            supported=f"{_MAJOR}.{_MINOR}",
        )


def _load(data: bytes, where: str) -> Any:
    try:
        document = yaml.load(data, _loader())  # noqa: S506 - made from the safe loader
        if b"&" in data:
            _check_size(document)
    except (
        yaml.YAMLError,
        StageError,
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        RecursionError,
    ) as exc:
        mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        why = getattr(exc, "problem", None) or getattr(exc, "context", None) or exc
        raise UsageError(f"{where}{line}: cannot be read: {why}", code="bad-yaml") from exc
    return document


def _check_size(document: Any) -> None:
    """Refuse a small file that aliases make into something huge, or endless."""
    sizes: dict[int, int] = {}

    def size(value: Any) -> int:
        if not isinstance(value, dict | list):
            return 1
        known = sizes.get(id(value))
        if known is None:
            # Whoever comes here again before it is counted is within itself.
            sizes[id(value)] = _MOST_VALUES
            parts = value.values() if isinstance(value, dict) else value
            known = sizes[id(value)] = 1 + sum(map(size, parts))
        return known

    if size(document) >= _MOST_VALUES:
        raise ValueError("its aliases make it endless")


@cache
def _loader() -> Any:
    """Return a loader class of our own: what others register on YAML's must not count here, nor ours there."""
    loader: Any = type("_ExportLoader", (_BASE,), {})
    loader.add_constructor("!butler_time/tai/iso", _time)
    loader.add_constructor("tag:yaml.org,2002:timestamp", _timestamp)
    loader.add_constructor("!uuid", _uuid)
    loader.add_constructor("!lsst.daf.butler.Timespan", _timespan)
    loader.add_constructor("lsst.daf.butler.Timespan", _timespan)
    for shape in ("Box", "Circle", "ConvexPolygon", "Ellipse", "UnionRegion", "IntersectionRegion"):
        loader.add_constructor(f"lsst.sphgeom.{shape}", _region)
    return loader


def _scalar(node: Any) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(
            None, None, f"{node.tag} needs a plain value", node.start_mark
        )
    return str(node.value)


def _fields(loader: Any, node: Any) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, f"{node.tag} needs a mapping", node.start_mark)
    return loader.construct_mapping(node, deep=True)  # type: ignore[no-any-return]


def _time(_loader: Any, node: Any) -> Instant:
    return Instant(parse_time(f"{_scalar(node)}/tai"))


def _timestamp(loader: Any, node: Any) -> Any:
    """Return a time written as YAML writes them, which is UTC."""
    found = loader.construct_yaml_timestamp(node)
    if isinstance(found, dt.datetime):
        if found.tzinfo is not None:
            found = found.astimezone(dt.UTC).replace(tzinfo=None)
        return Instant(parse_time(f"{found.isoformat(' ')}/utc"))
    return found.isoformat()


def _uuid(_loader: Any, node: Any) -> bytes:
    return uuid.UUID(_scalar(node)).bytes


def _timespan(loader: Any, node: Any) -> Timespan | None:
    if isinstance(node, yaml.ScalarNode):
        if node.value != "EMPTY":
            raise yaml.constructor.ConstructorError(
                None, None, f"'{node.value}' is no timespan", node.start_mark
            )
        return None
    ends = _fields(loader, node)
    return span_of(ends["begin"], ends["end"])


def span_of(begin: Any, end: Any) -> Timespan | None:
    """Make a timespan as the field does: an open end is null, an instant lasts a nanosecond.

    Parameters
    ----------
    begin, end : Instant or None
        Its ends.

    Returns
    -------
    Timespan or None
        None for an empty one.

    Raises
    ------
    ValueError
        If an end is no time.
    """
    for one in (begin, end):
        if one is not None and not isinstance(one, Instant):
            raise ValueError(f"{one!r:.60} is no time")
    first = UNBOUNDED_BEGIN if begin is None else begin.tai_ns
    last = UNBOUNDED_END if end is None else end.tai_ns
    if first == last:
        last += 1
    return Timespan(first, last) if first < last else None


def _region(loader: Any, node: Any) -> bytes:
    return bytes.fromhex(_fields(loader, node)["encoded"])
