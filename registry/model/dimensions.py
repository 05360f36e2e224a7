"""Dimensions: the kinds of units of data, how they relate, and groups of them in one canonical order."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from typing import Any

from registry.errors import DataIdError, UsageError, nearest
from registry.model.elements import Column, ColumnType, DimensionElement
from registry.model.universe_document import read_elements

__all__ = [
    "Column",
    "ColumnType",
    "DimensionElement",
    "DimensionGroup",
    "DimensionUniverse",
    "default_universe",
]


@dataclass(frozen=True, eq=False)
class DimensionGroup(Set[str]):
    """A set of dimensions, closed under requirement and implication, in universe order.

    Equal groups are the same object within one universe. Iteration gives all names.

    Parameters
    ----------
    universe : DimensionUniverse
        Where the names come from.
    required : tuple of str
        The dimensions that identify a data ID.
    implied : tuple of str
        Those that follow from the required ones.
    """

    universe: DimensionUniverse
    required: tuple[str, ...]
    implied: tuple[str, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Required and implied dimensions in universe order."""
        chosen = {*self.required, *self.implied}
        return tuple(n for n in self.universe.dimension_names if n in chosen)

    def __contains__(self, name: object) -> bool:
        return name in self.required or name in self.implied

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.required) + len(self.implied)

    @classmethod
    def _from_iterable(cls, it: Iterable[str]) -> frozenset[str]:  # type: ignore[override]
        return frozenset(it)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DimensionGroup):
            return self.required == other.required
        return Set.__eq__(self, other)

    def __hash__(self) -> int:
        return hash(self.required)

    def __str__(self) -> str:
        return "{" + ", ".join(self.required) + "}"

    __repr__ = __str__

    @property
    def key(self) -> str:
        """Canonical text of the required dimensions, for storage: ``"instrument,exposure"``."""
        return ",".join(self.required)

    @cached_property
    def elements(self) -> tuple[DimensionElement, ...]:
        """Elements with tables that hold what these dimensions are: dimensions and joined relations."""
        return tuple(
            e
            for e in self.universe.elements.values()
            if e.has_table and (e.name in self or (not e.is_dimension and set(e.required) <= set(self.names)))
        )

    def union(self, *others: Iterable[str]) -> DimensionGroup:
        """Return the group of these dimensions and `others`.

        Parameters
        ----------
        *others : iterable of str
            Further names.

        Returns
        -------
        DimensionGroup
            The closure.
        """
        return self.universe.group([*self.required, *(n for other in others for n in other)])


@dataclass(frozen=True, eq=False)
class DimensionUniverse:
    """A versioned set of dimension elements.

    Parameters
    ----------
    name : str
        Its name, as ``stage/sky``.
    version : int
        Rises with every change.
    elements : mapping of str to DimensionElement
        All elements, sky pixels included, each after those it refers to.
    common_skypix : str or None
        The sky pixel dimension through which regions are joined.
    spatial_families, temporal_families : mapping of str to tuple of str
        Elements that speak of the same thing, the most precise last.
    source : mapping
        The document it was read from; what a repository stores.
    """

    name: str
    version: int
    elements: Mapping[str, DimensionElement]
    common_skypix: str | None
    spatial_families: Mapping[str, tuple[str, ...]]
    temporal_families: Mapping[str, tuple[str, ...]]
    source: Mapping[str, Any]
    _groups: dict[tuple[str, ...], DimensionGroup] = field(default_factory=dict, repr=False, init=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DimensionUniverse):
            return NotImplemented
        return self is other or dict(self.source) == dict(other.source)

    def __hash__(self) -> int:
        return hash((self.name, self.version))

    def __repr__(self) -> str:
        return f"DimensionUniverse({self.name}, version {self.version})"

    def __reduce__(self) -> tuple[Any, ...]:
        return DimensionUniverse.from_document, (dict(self.source),)

    @cached_property
    def dimension_names(self) -> tuple[str, ...]:
        """Names of all dimensions, in order."""
        return tuple(e.name for e in self.elements.values() if e.is_dimension)

    @cached_property
    def governors(self) -> frozenset[str]:
        """Dimensions with a table that require and are implied by no other: instrument, skymap, station."""
        roots = [e for e in self.elements.values() if e.has_table and e.required == (e.name,)]
        needed = {n for e in self.elements.values() for n in e.required if n != e.name}
        return frozenset(e.name for e in roots if (e.name in needed if e.governor is None else e.governor))

    @cached_property
    def on_sky(self) -> tuple[tuple[DimensionElement, ...], ...]:
        """Families of elements whose records have regions, the most precise last; what is in none is one of its own."""
        return self._families(self.spatial_families, [e for e in self.elements.values() if e.region])

    @cached_property
    def in_time(self) -> tuple[tuple[DimensionElement, ...], ...]:
        """Families of elements whose records have timespans, as `on_sky`."""
        return self._families(self.temporal_families, [e for e in self.elements.values() if e.timespan])

    def temporal_element(self, known: Container[str]) -> DimensionElement | None:
        """Return the element whose records tell the time of a data ID.

        Parameters
        ----------
        known : container of str
            The dimensions that are there.

        Returns
        -------
        DimensionElement or None
            The most precise one; None where no dimension has a time.
        """
        for family in self.in_time:
            for element in reversed(family):
                if element.has_table and all(n in known for n in element.required):
                    return element
        return None

    def _families(
        self, named: Mapping[str, tuple[str, ...]], elements: list[DimensionElement]
    ) -> tuple[tuple[DimensionElement, ...], ...]:
        held = {name for family in named.values() for name in family}
        alone = [(e,) for e in elements if e.name not in held and e.skypix is None]
        return (*(tuple(self.elements[n] for n in family) for family in named.values()), *alone)

    def fixes(self, one: DimensionElement, other: DimensionElement) -> bool:
        """Say whether a record of one element fixes that of another, by its key or by what it implies.

        Parameters
        ----------
        one, other : DimensionElement
            Two elements.

        Returns
        -------
        bool
            Then nothing else need relate the two.
        """
        return set(other.required) <= set(self.group((*one.required, *one.implied)))

    @cached_property
    def empty(self) -> DimensionGroup:
        """The group of no dimensions."""
        return self.group(())

    def element(self, name: str) -> DimensionElement:
        """Return the element of that name.

        Parameters
        ----------
        name : str
            An element of this universe.

        Returns
        -------
        DimensionElement
            It.

        Raises
        ------
        DataIdError
            If there is none; offers the nearest name.
        """
        try:
            return self.elements[name]
        except KeyError:
            known = [e.name for e in self.elements.values() if e.skypix is None]
            raise DataIdError(
                f"no dimension '{name}' in universe {self.name}",
                code="unknown-dimension",
                hint=nearest(name, known),
            ) from None

    def group(self, names: Iterable[str]) -> DimensionGroup:
        """Return the closure of `names`.

        Parameters
        ----------
        names : iterable of str
            Names of dimensions, in any order.

        Returns
        -------
        DimensionGroup
            With all that they require and imply.

        Raises
        ------
        DataIdError
            If a name is not a dimension.
        """
        asked = tuple(sorted(set(names)))
        found = self._groups.get(asked)
        if found is None:
            closed = self._close(asked)
            # Whatever names lead to it, a group is one object.
            found = self._groups.setdefault(tuple(sorted(closed.required)), closed)
            self._groups[asked] = found
        return found

    def _close(self, names: tuple[str, ...]) -> DimensionGroup:
        for name in names:
            if not self.element(name).is_dimension:
                raise DataIdError(f"'{name}' is a relation, not a dimension", code="not-a-dimension")
        everything: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name not in everything:
                everything.add(name)
                todo += [*self.elements[name].required, *self.elements[name].implied]
        # A dimension is only implied when nobody asked for it and nobody's key holds it.
        required = {n for name in names for n in self.elements[name].required}
        implied_by_required = self._implied_closure(required)
        required -= {n for n in required if n in implied_by_required and self._only_implied(n, required)}
        ordered = tuple(n for n in self.dimension_names if n in required)
        rest = tuple(n for n in self.dimension_names if n in everything and n not in required)
        return DimensionGroup(self, ordered, rest)

    def _implied_closure(self, required: set[str]) -> set[str]:
        out: set[str] = set()
        todo = [i for n in required for i in self.elements[n].implied]
        while todo:
            name = todo.pop()
            if name not in out:
                out.add(name)
                todo += self.elements[name].implied
        return out

    def _only_implied(self, name: str, required: set[str]) -> bool:
        """Whether no other required dimension has `name` in its key."""
        return not any(name in self.elements[other].required for other in required if other != name)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> DimensionUniverse:
        """Make a universe from a document (the content of its YAML file).

        Parameters
        ----------
        document : mapping
            See ``registry/universes/default.yaml`` for the form.

        Returns
        -------
        DimensionUniverse
            Checked: names, types and references.

        Raises
        ------
        UsageError
            If the document is not well formed; says where.
        """
        elements = read_elements(document)
        return cls(
            str(document["name"]),
            int(document["version"]),
            elements,
            document.get("common_skypix"),
            {k: tuple(v) for k, v in (document.get("spatial_families") or {}).items()},
            {k: tuple(v) for k, v in (document.get("temporal_families") or {}).items()},
            dict(document),
        )

    @classmethod
    def from_yaml(cls, text: str, where: str = "universe") -> DimensionUniverse:
        """Make a universe from YAML text.

        Parameters
        ----------
        text : str
            The document.
        where : str
            Its name in errors.

        Returns
        -------
        DimensionUniverse
            The universe.

        Raises
        ------
        UsageError
            If the text is not YAML or not a universe.
        """
        import yaml  # workers read universes from graphs, not from YAML

        try:
            document = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as exc:
            mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            why = getattr(exc, "problem", None) or getattr(exc, "context", None) or exc
            raise UsageError(f"{where}{line}: not valid YAML: {why}", code="bad-yaml") from exc
        if not isinstance(document, dict):
            raise UsageError(f"{where} is not a universe: expected a mapping with name, version and elements")
        try:
            return cls.from_document(document)
        except UsageError as exc:
            raise UsageError(f"{where}: {exc}", code=exc.code, hint=exc.hint) from exc


@cache
def default_universe() -> DimensionUniverse:
    """Return the universe that is shipped: a sky survey's.

    Returns
    -------
    DimensionUniverse
        Read from ``registry/universes/default.yaml``, once in a process.
    """
    text = resources.files("registry.universes").joinpath("default.yaml").read_text(encoding="utf-8")
    return DimensionUniverse.from_yaml(text, "the default universe")
