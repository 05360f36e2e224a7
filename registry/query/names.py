"""Names in an expression to columns of a universe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from registry.errors import nearest
from registry.model.dimensions import DimensionElement, DimensionGroup, DimensionUniverse
from registry.query.bound import Field
from registry.query.types import Kind, kind_of_column

__all__ = ["NameProblemError", "Resolved", "Resolver"]


class NameProblemError(ValueError):
    """A name that cannot be resolved.

    Parameters
    ----------
    message : str
        What is wrong.
    code : str
        Kebab-case name of it.
    hint : str
        One next step.
    """

    def __init__(self, message: str, code: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Resolved:
    """A column, and what naming it brings into the question.

    Parameters
    ----------
    field : Field
        The column.
    dimensions : tuple of str
        Dimensions that take part because it was named.
    identifies : bool
        Whether it is a key or an alternate key, so that its governors must be known.
    """

    field: Field
    dimensions: tuple[str, ...]
    identifies: bool


class Resolver:
    """Resolves names within one question.

    Parameters
    ----------
    universe : DimensionUniverse
        Where qualified names are looked up.
    group : DimensionGroup
        The dimensions asked for: bare names of metadata are looked up among these.
    """

    def __init__(self, universe: DimensionUniverse, group: DimensionGroup) -> None:
        self.universe = universe
        self.group = group
        asked = set(group.names)
        self.elements = tuple(
            e
            for e in universe.elements.values()
            if e.name in asked or (not e.is_dimension and set(e.required) <= asked)
        )

    def resolve(self, parts: tuple[str, ...]) -> Resolved:
        """Find the column that a name means.

        Parameters
        ----------
        parts : tuple of str
            One to three parts.

        Returns
        -------
        Resolved
            The column.

        Raises
        ------
        NameProblemError
            If there is none, or more than one.
        """
        end = parts[-1] if parts[-1] in {"begin", "end"} and len(parts) > 1 else ""
        if len(parts) == 3 and not end:
            raise NameProblemError(
                f"'{'.'.join(parts)}' has no meaning",
                "query-unknown-name",
                "Three parts are <element>.timespan.begin or .end.",
            )
        head = parts[:-1] if end else parts
        found = self._qualified(*head) if len(head) == 2 else self._bare(head[0], ".".join(parts))
        return self._bound_of_timespan(found, end, ".".join(parts)) if end else found

    def _bound_of_timespan(self, found: Resolved, end: str, name: str) -> Resolved:
        if found.field.kind is not Kind.TIMESPAN:
            owner = found.field.element
            hint = f"Write {owner}.timespan.{end}." if self.universe.elements[owner].timespan else ""
            raise NameProblemError(f"'{name}': only a timespan has a {end}", "query-type", hint)
        column = f"{found.field.column}_{end}"
        return Resolved(Field(found.field.element, column, Kind.TIME), found.dimensions, identifies=False)

    def _bare(self, name: str, full: str) -> Resolved:
        element = self.universe.elements.get(name)
        if element is not None and element.is_dimension:
            return self._key(element)
        owners = [e for e in self.elements if name in _own_columns(e)]
        if len(owners) == 1:
            return self._own(owners[0], name)
        if owners:
            raise NameProblemError(
                f"'{full}' is ambiguous: {', '.join(f'{e.name}.{name}' for e in owners)}",
                "query-ambiguous-name",
                f"Qualify it: {owners[-1].name}.{name}.",
            )
        raise NameProblemError(f"unknown name '{full}'", "query-unknown-name", self._suggest_bare(name))

    def _suggest_bare(self, name: str) -> str:
        if name.lower() in {"true", "false", "none"}:
            return "A truth value stands alone: x, or NOT x; the null is NULL."
        elsewhere = [
            e for e in self.universe.elements.values() if e.skypix is None and name in _own_columns(e)
        ]
        if elsewhere and name not in {"id", "name"}:
            return f"Did you mean '{elsewhere[-1].name}.{name}'?"
        known = {n for n in self.universe.dimension_names if self.universe.elements[n].skypix is None}
        known |= {c for e in self.elements for c in _own_columns(e)} - {"id", "name"}
        hint = nearest(name, known)
        return hint if hint.startswith("Did") else f"If it is a string, write '{name:.40}' in quotes. {hint}"

    def _qualified(self, owner: str, column: str) -> Resolved:
        element = self.universe.elements.get(owner)
        if element is None:
            known = [e.name for e in self.universe.elements.values() if e.skypix is None]
            raise NameProblemError(
                f"unknown name '{owner}.{column}'", "query-unknown-name", nearest(owner, known)
            )
        own = _own_columns(element)
        if column in own:
            return self._own(element, column)
        if column != owner and column in (*element.required, *element.implied):
            # The value is that dimension's; whose record it stands in says nothing about the question.
            return self._key(self.universe.elements[column])
        known = [*own, *(n for n in (*element.required, *element.implied) if n != owner)]
        raise NameProblemError(
            f"unknown name '{owner}.{column}'", "query-unknown-name", nearest(column, known)
        )

    def _key(self, element: DimensionElement) -> Resolved:
        if element.key is None:
            raise NameProblemError(f"'{element.name}' is a relation and has no value", "query-unknown-name")
        field = Field(element.name, element.name, kind_of_column(element.key))
        return Resolved(field, element.required, identifies=True)

    def _own(self, element: DimensionElement, column: str) -> Resolved:
        if element.key is not None and column == element.key.name:
            return self._key(element)
        kind = _own_columns(element)[column]
        identifies = any(column == c.name for c in element.unique)
        return Resolved(Field(element.name, column, kind), element.required, identifies)


def _own_columns(element: DimensionElement) -> dict[str, Kind]:
    """Return what can stand behind ``element.``, other dimensions apart."""
    return dict(_columns_of(element))


def _columns_of(element: DimensionElement) -> Iterator[tuple[str, Kind]]:
    if element.key is not None:
        yield element.key.name, kind_of_column(element.key)
    for column in (*element.unique, *element.metadata):
        yield column.name, kind_of_column(column)
    if element.region and (element.has_table or element.skypix is not None):
        yield "region", Kind.REGION
    if element.timespan:
        yield "timespan", Kind.TIMESPAN
