"""Reads and checks the document that a universe is written in (``registry/universes/default.yaml`` shows the form)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from registry.errors import UsageError, nearest
from registry.model.elements import (
    COLUMN_TYPES,
    RESERVED,
    Column,
    ColumnType,
    DimensionElement,
    is_element_name,
)

__all__ = ["read_elements"]

_ELEMENT_KEYS = frozenset(
    {
        "doc",
        "requires",
        "implies",
        "key",
        "unique",
        "metadata",
        "region",
        "timespan",
        "view_of",
        "always_join",
        "governor",
    }
)
_TOP_KEYS = frozenset(
    {"name", "version", "doc", "elements", "skypix", "common_skypix", "spatial_families", "temporal_families"}
)
_COLUMN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_COLUMN_KEYS = frozenset({"name", "type", "length", "nullable", "unit", "doc"})
_PIXELISATIONS = {"htm": (1, 24), "healpix": (0, 17)}
"""The lowest and the highest level of each."""


class _Reader:
    """Reads one universe document, element by element."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.elements: dict[str, DimensionElement] = {}

    def elements_of_document(self) -> dict[str, DimensionElement]:
        """Return the checked elements, sky pixels included, in document order."""
        doc = self.document
        self._only(doc, _TOP_KEYS, "universe")
        for key in ("name", "version", "elements"):
            if key not in doc:
                raise UsageError(
                    f"universe has no '{key}'", code="bad-universe", hint=f"Add a line '{key}: …'."
                )
        if not isinstance(doc["name"], str) or not doc["name"]:
            raise _unlike(doc["name"], "text", "the universe's name")
        _number(doc["version"], "the universe's version", 0)
        if not isinstance(doc["elements"], Mapping) or not doc["elements"]:
            raise UsageError("universe has no elements", code="bad-universe")
        for name, body in doc["elements"].items():
            self.elements[str(name)] = self._element(str(name), _mapping(body, f"universe element '{name}'"))
        for family, levels in _mapping(doc.get("skypix"), "skypix").items():
            self._add_pixels(str(family), _mapping(levels, f"skypix {family}"))
        self._check_references()
        self._check_families()
        return self.elements

    def _add_pixels(self, family: str, levels: Mapping[str, Any]) -> None:
        where = f"skypix {family}"
        if family not in _PIXELISATIONS:
            raise UsageError(
                f"{where}: no such pixelisation", code="bad-universe", hint=nearest(family, _PIXELISATIONS)
            )
        self._only(levels, frozenset({"min_level", "max_level"}), where)
        lowest, highest = (_number(levels.get(n), f"{where}: {n}", 0) for n in ("min_level", "max_level"))
        least, most = _PIXELISATIONS[family]
        if not least <= lowest <= highest <= most:
            raise UsageError(
                f"{where}: levels {lowest} to {highest} are not within {least} to {most}", code="bad-universe"
            )
        for level in range(lowest, highest + 1):
            name = f"{family}{level}"
            self.elements[name] = DimensionElement(
                name,
                f"{family} pixel of level {level}",
                (name,),
                key=Column("id", "int", nullable=False),
                region=True,
                skypix=(family, level),
            )

    def _only(self, body: Mapping[str, Any], known: frozenset[str], where: str) -> None:
        for key in body:
            if key not in known:
                raise UsageError(
                    f"{where}: unknown key '{key}'", code="bad-universe", hint=nearest(str(key), known)
                )

    def _element(self, name: str, body: Mapping[str, Any]) -> DimensionElement:
        where = f"universe element '{name}'"
        if not is_element_name(name):
            raise UsageError(
                f"{where}: not a usable name",
                code="bad-universe",
                hint="Use lower-case letters, digits and _, at most 40, and none of: "
                + ", ".join(sorted(RESERVED)),
            )
        self._only(body, _ELEMENT_KEYS, where)
        key = self._column("key", body["key"], where) if "key" in body else None
        required: list[str] = []
        for other in _names(body.get("requires"), f"{where}: requires"):
            if other not in self.elements:
                raise UsageError(
                    f"{where} requires '{other}', which is not defined above it", code="bad-universe"
                )
            required += [n for n in self.elements[other].required if n not in required]
        if key is not None:
            required.append(name)
        elif not required:
            raise UsageError(f"{where} has neither a key nor anything it requires", code="bad-universe")
        order = [*self.elements, name]
        return DimensionElement(
            name,
            str(body.get("doc", "")),
            tuple(sorted(required, key=order.index)),
            _names(body.get("implies"), f"{where}: implies"),
            key,
            self._columns(body, "unique", where),
            self._columns(body, "metadata", where),
            _flag(body, "region", where),
            _flag(body, "timespan", where),
            self._view_of(body, where),
            _flag(body, "always_join", where),
            governor=_flag(body, "governor", where) if "governor" in body else None,
        )

    def _view_of(self, body: Mapping[str, Any], where: str) -> str | None:
        found = body.get("view_of")
        if found is not None and not isinstance(found, str):
            raise _unlike(found, "the name of an element", f"{where}: view_of")
        return found

    def _columns(self, body: Mapping[str, Any], group: str, where: str) -> tuple[Column, ...]:
        columns = _mapping(body.get(group), f"{where}: {group}")
        return tuple(self._column(str(name), column, where) for name, column in columns.items())

    def _column(self, name: str, body: Any, where: str) -> Column:
        inside = f"{where}: column '{name}'"
        spec = {"type": body} if isinstance(body, str) else _mapping(body, inside)
        self._only(spec, _COLUMN_KEYS, inside)
        kind = spec.get("type", "string")
        if not isinstance(kind, str) or kind not in COLUMN_TYPES:
            raise UsageError(
                f"{where}: column '{name}' has unknown type '{kind}'",
                code="bad-universe",
                hint=nearest(str(kind), COLUMN_TYPES),
            )
        column = str(spec.get("name", name)) if name == "key" else name
        if not _COLUMN_NAME.fullmatch(column):
            raise UsageError(
                f"{inside}: '{column}' is not a usable column name",
                code="bad-universe",
                hint="Use letters, digits and _, at most 63, a letter first.",
            )
        length = spec.get("length")
        return Column(
            column,
            cast("ColumnType", kind),
            _flag(spec, "nullable", inside, default=name != "key"),
            str(spec.get("unit", "")),
            str(spec.get("doc", "")),
            None if length is None else _number(length, f"{inside}: length", 1),
        )

    def _check_references(self) -> None:
        for element in self.elements.values():
            others = [*element.implied, *([element.view_of] if element.view_of else ())]
            for other in others:
                if other not in self.elements:
                    raise UsageError(
                        f"universe element '{element.name}' refers to '{other}', which is not defined",
                        code="bad-universe",
                        hint=nearest(other, self.elements),
                    )
            names = element.record_columns
            if len(set(names)) != len(names):
                raise UsageError(
                    f"universe element '{element.name}' has two columns of one name", code="bad-universe"
                )

    def _check_families(self) -> None:
        """See that families and the common pixelisation name elements that have what they are about."""
        for group, has in (("spatial_families", "region"), ("temporal_families", "timespan")):
            for family, names in _mapping(self.document.get(group), group).items():
                for name in _names(names, f"{group}: {family}"):
                    element = self.elements.get(name)
                    if element is None or not getattr(element, has):
                        raise UsageError(
                            f"{group}: {family} names '{name}', which is no element with a {has}",
                            code="bad-universe",
                            hint=nearest(name, [n for n, e in self.elements.items() if getattr(e, has)]),
                        )
        common = self.document.get("common_skypix")
        pixels = [name for name, element in self.elements.items() if element.skypix]
        if common is not None and common not in pixels:
            raise UsageError(
                f"common_skypix: '{common}' is none of the universe's pixelisations",
                code="bad-universe",
                hint=nearest(str(common), pixels),
            )


def _unlike(value: Any, expected: str, where: str) -> UsageError:
    return UsageError(f"{where}: expected {expected}, found {value!r:.60}", code="bad-universe")


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _unlike(value, "a mapping", where)
    return value


def _names(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise _unlike(value, "a list of names", where)
    return tuple(value)


def _number(value: Any, where: str, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise _unlike(value, f"an integer of at least {least}", where)
    return value


def _flag(body: Mapping[str, Any], key: str, where: str, *, default: bool = False) -> bool:
    value = body.get(key, default)
    if not isinstance(value, bool):
        raise _unlike(value, "true or false", f"{where}: {key}")
    return value


def read_elements(document: Mapping[str, Any]) -> dict[str, DimensionElement]:
    """Return the elements that a universe document defines.

    Parameters
    ----------
    document : mapping
        The content of a universe's YAML file.

    Returns
    -------
    dict of str to DimensionElement
        Each after those it refers to, sky pixels last.

    Raises
    ------
    UsageError
        If the document is not well formed; says where.
    """
    return _Reader(document).elements_of_document()
