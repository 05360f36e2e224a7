"""What relates the dimensions of a question in space and time: overlaps kept in tables, and those asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from registry.model.dimensions import DimensionElement, DimensionGroup
from registry.query import bound
from registry.query.types import Kind
from registry.sql.members import valid_during
from registry.sql.overlap_tests import overlap_nodes, pair_rows, resolve
from registry.sql.question import Question
from registry.sql.select import clause, fields_of
from registry.sql.sky_pixels import LEVEL_BITS, pixel_pairs, touched_pixels
from registry.sql.sources import Coarser, Relation, Sources

__all__ = ["join_tables", "related_on_sky"]

_Pair = tuple[DimensionElement, DimensionElement]


def join_tables(
    question: Question, stack: contextlib.ExitStack, elements: Sequence[str], dimensions: Sequence[str]
) -> Sources:
    """Join the tables that answer a question.

    Parameters
    ----------
    question : Question
        The question.
    stack : contextlib.ExitStack
        Holds what is handed over to the database until the statement has been run.
    elements : sequence of str
        Elements whose own columns will be used, besides those of the conditions.
    dimensions : sequence of str
        Dimensions whose values will be used, besides those of the conditions.

    Returns
    -------
    Sources
        Joined, with all conditions.
    """
    relations, rest = _related(question, stack)
    conditions = [resolve(question, stack, c, outermost=True) for c in rest]
    used = {f for c in conditions for f in fields_of(c)}
    sources = Sources(question.session.schema, question.group)
    for member in question.members:
        sources.add_given(member.subquery, member.dimensions, unique=member.is_single, existing=True)
    if question.table is not None:
        sources.add_given(question.table, question.listed, unique=False, existing=False)
    timed = question.timed
    sources.complete(
        [*elements, *(f.element for f in used if not f.is_key), *([timed.name] if timed else [])],
        [*dimensions, *question.data_id, *(f.column for f in used if f.is_key)],
        relations,
    )
    sources.conditions += [sources.columns[n] == v for n, v in question.data_id.items()]
    sources.conditions += [clause(c, sources.column) for c in conditions]
    if timed is not None:
        # Calibrations count where they are valid at the time of what is asked for, and for as many times once.
        records = sources.element(timed.name)
        sources.repeats = True
        sources.conditions += [valid_during(m.subquery, records) for m in question.members if m.dated]
    return sources


def _related(
    question: Question, stack: contextlib.ExitStack
) -> tuple[list[Relation | Coarser], list[bound.Node]]:
    """Find what relates the dimensions of a question in space and time, and which conditions remain besides.

    Families of elements that the question relates itself, be it by ``OVERLAPS`` or by datasets that have both, are
    left as they are; all others are related by the overlaps of their most precise elements.
    """
    pairs, conditions = _on_sky(question)
    pairs += _through_pixels(question, pairs)
    relations: list[Relation | Coarser] = [_relation(question, stack, a, b) for a, b in pairs]
    relations += _coarser(question.group)
    time = _Families(question.group, question.group.universe.in_time, pixels=False)
    for a, b in time.unrelated(question, Kind.TIMESPAN):
        one, other = (bound.Field(e.name, "timespan", Kind.TIMESPAN) for e in (a, b))
        conditions.append(bound.Overlaps(one, other, Kind.TIMESPAN))
    return relations, conditions


def related_on_sky(question: Question) -> list[_Pair]:
    """Return the elements whose regions touch in every answer, because the question says so or nothing else does.

    Parameters
    ----------
    question : Question
        The question; of what is given only the dimensions are looked at.

    Returns
    -------
    list of (DimensionElement, DimensionElement)
        Pixels of the sky may be among them.
    """
    return _on_sky(question)[0]


def _on_sky(question: Question) -> tuple[list[_Pair], list[bound.Node]]:
    """Find the elements whose regions touch, and the conditions that do not say this."""
    pairs, conditions = [], []
    for condition in question.conditions:
        pair = _pair(question, condition, Kind.REGION)
        if pair is None or _share_a_table(*pair):
            conditions.append(condition)
        else:
            pairs.append(pair)
    space = _Families(question.group, question.group.universe.on_sky, pixels=True)
    return [*pairs, *space.unrelated(question, Kind.REGION)], conditions


def _pair(question: Question, condition: bound.Node, kind: Kind) -> _Pair | None:
    """Return the two elements whose regions or timespans a condition holds against each other."""
    match condition:
        case bound.Overlaps(left=bound.Field() as a, right=bound.Field() as b, kind=k) if k is kind:
            if a.kind is b.kind is kind:
                elements = question.group.universe.elements
                return elements[a.element], elements[b.element]
    return None


def _through_pixels(question: Question, pairs: Sequence[_Pair]) -> list[_Pair]:
    """Return what two regions have to do with the common pixels, where these take part: they overlap within one."""
    common = question.group.universe.common_skypix
    if common not in question.group.required:
        return []
    pixel = question.group.universe.elements[common]
    known = {frozenset((a.name, b.name)) for a, b in pairs}
    met = {e.name: e for a, b in pairs if a.has_table and b.has_table for e in (a, b)}
    return [(e, pixel) for e in met.values() if frozenset((e.name, common)) not in known]


def _share_a_table(a: DimensionElement, b: DimensionElement) -> bool:
    """Whether two regions are one record's, or pixels of one pixelisation: these are related without further rows."""
    return a is b or (a.skypix is not None and b.skypix is not None and a.skypix[0] == b.skypix[0])


class _Families:
    """The families of a question's elements in space, or in time.

    Parameters
    ----------
    group : DimensionGroup
        The dimensions.
    families : sequence of tuple of DimensionElement
        The most precise element last.
    pixels : bool
        Whether pixels of the sky take part.
    """

    def __init__(
        self, group: DimensionGroup, families: Sequence[tuple[DimensionElement, ...]], *, pixels: bool
    ) -> None:
        self.group = group
        self.family = {e.name: i for i, family in enumerate(families) for e in family}
        present = set(group.names)
        fitting = [[e for e in family if set(e.required) <= present] for family in families]
        self.chosen = {i: some[-1] for i, some in enumerate(fitting) if some}
        if pixels:
            for element in sorted(_pixels(group), key=lambda e: e.skypix or ("", 0)):
                self.chosen[self._label(element)] = element

    def _label(self, element: DimensionElement) -> Any:
        return element.skypix[0] if element.skypix else self.family[element.name]

    def unrelated(self, question: Question, kind: Kind) -> Iterator[_Pair]:
        """Yield the most precise elements of families that nothing in the question relates."""
        part = {label: label for label in self.chosen}

        def merge(one: Any, other: Any) -> None:
            old, new = part.get(one), part.get(other)
            if old is not None and new is not None:
                part.update({label: new for label, p in part.items() if p == old})

        for condition in question.conditions:
            for node in overlap_nodes(condition):
                pair = _pair(question, node, kind)
                if pair is not None:
                    merge(*map(self._label, pair))
        for (one, a), (other, b) in combinations(self.chosen.items(), 2):
            both = {*a.required, *b.required}
            if any(both <= given for given in question.given) or self._fixed(a, b):
                merge(one, other)
        for (one, a), (other, b) in combinations(self.chosen.items(), 2):
            if part[one] != part[other]:
                yield a, b

    def _fixed(self, a: DimensionElement, b: DimensionElement) -> bool:
        return self.group.universe.fixes(a, b) or self.group.universe.fixes(b, a)


def _pixels(group: DimensionGroup) -> list[DimensionElement]:
    return [e for e in map(group.universe.elements.__getitem__, group.required) if e.skypix]


def _coarser(group: DimensionGroup) -> list[Relation | Coarser]:
    """Relate pixels of one pixelisation to the finest of its levels that takes part."""
    finest: dict[str, DimensionElement] = {}
    levels = {e.name: e.skypix for e in _pixels(group) if e.skypix}
    for element in sorted(_pixels(group), key=lambda e: levels[e.name][1]):
        finest[levels[element.name][0]] = element
    return [
        Coarser(name, finest[system].name, 2 ** (LEVEL_BITS * (levels[finest[system].name][1] - level)))
        for name, (system, level) in levels.items()
        if finest[system].name != name
    ]


def _relation(
    question: Question, stack: contextlib.ExitStack, a: DimensionElement, b: DimensionElement
) -> Relation:
    """Return the rows of two elements whose regions touch."""
    if a.skypix and b.skypix:
        return Relation(pixel_pairs(question, stack, a, b), (a.name, b.name))
    if a.skypix or b.skypix:
        element, pixel = (b, a) if a.skypix else (a, b)
        table, unique = touched_pixels(question, stack, element, pixel)
        return Relation(table, (*element.required, pixel.name), unique)
    table = pair_rows(question, stack, a, b)
    return Relation(table, (*a.required, *(n for n in b.required if n not in a.required)))
