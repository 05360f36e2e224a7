"""``OVERLAPS`` between regions, answered before the statement is run: the database is handed the keys."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from registry.model import regions
from registry.model.columns import Columns
from registry.model.dimensions import DimensionElement
from registry.query import bound
from registry.query.types import Kind
from registry.sql.question import Question
from registry.sql.select import ColumnLookup, Ready, clause
from registry.sql.sky_pixels import LEVEL_BITS, in_ranges, pixel_pairs, touched_pixels

__all__ = ["overlap_nodes", "pair_rows", "resolve"]

_MOST_RANGES = 100
_NEVER = bound.Or(())


def overlap_nodes(node: bound.Node) -> Iterator[bound.Overlaps]:
    """Find what overlaps what in a condition.

    Parameters
    ----------
    node : Node
        A condition.

    Yields
    ------
    Overlaps
        Each such condition in it.
    """
    match node:
        case bound.Overlaps():
            yield node
        case bound.Not(operand=operand):
            yield from overlap_nodes(operand)
        case bound.And(operands=operands) | bound.Or(operands=operands):
            for operand in operands:
                yield from overlap_nodes(operand)
        case _:
            return


def resolve(
    question: Question, stack: contextlib.ExitStack, node: bound.Node, *, outermost: bool = False
) -> bound.Node:
    """Answer the tests of regions in a condition.

    Parameters
    ----------
    question : Question
        Whose condition it is.
    stack : contextlib.ExitStack
        Holds what is handed over to the database.
    node : Node
        The condition.
    outermost : bool
        Whether rows for which it is unknown are left out just like those for which it is false.

    Returns
    -------
    Node
        A condition that needs no regions but to see that they are null.
    """
    match node:
        case bound.Not(operand=operand):
            return bound.Not(resolve(question, stack, operand))
        case bound.And(operands=operands):
            return bound.And(tuple(resolve(question, stack, o) for o in operands))
        case bound.Or(operands=operands):
            return bound.Or(tuple(resolve(question, stack, o) for o in operands))
        case bound.Overlaps(left=left, right=right, kind=Kind.REGION):
            return _Test(question, stack, outermost).answer(left, right)
        case _:
            return node


class _Test:
    """One test of regions.

    Parameters
    ----------
    question : Question
        Whose it is.
    stack : contextlib.ExitStack
        Holds what is handed over to the database.
    outermost : bool
        Whether unknown is as good as false.
    """

    def __init__(self, question: Question, stack: contextlib.ExitStack, outermost: bool) -> None:
        self.question = question
        self.stack = stack
        self.outermost = outermost

    def answer(self, left: bound.Node, right: bound.Node) -> bound.Node:
        """Return the condition in its place."""
        match left, right:
            case bound.Field() as a, bound.Field() as b:
                return self._of_two(a, b)
            case (bound.Field() as field, bound.Const() as constant) | (
                bound.Const() as constant,
                bound.Field() as field,
            ):
                return self._of_constant(field, constant.value)
            case bound.Const() as a, bound.Const() as b:
                return bound.ALWAYS if regions.overlaps(a.value, b.value) else _NEVER
        return bound.Overlaps(left, right, Kind.REGION)

    def _element(self, field: bound.Field) -> DimensionElement:
        return self.question.group.universe.elements[field.element]

    def _of_constant(self, field: bound.Field, constant: bytes) -> bound.Node:
        element = self._element(field)
        if element.skypix:
            ranges = regions.pixel_ranges(constant, element.name)
            key = bound.Field(element.name, element.name, Kind.INT)
            return self._ready([], lambda columns: in_ranges(columns(key), ranges), (key,))
        found = _near_constant(self.question, element, constant)
        exact = regions.touch(found["region"].tolist(), [constant] * found.n_rows)
        keys = Columns.from_rows(
            element.required,
            (k for k, touches in zip(found.rows(element.required), exact, strict=True) if touches),
        )
        types = self.question.session.schema.dimension_types(element.required)
        stash = self.stack.enter_context(self.question.session.stash(keys, types, key=element.required))
        return self._among(element.required, stash, (field,))

    def _of_two(self, a: bound.Field, b: bound.Field) -> bound.Node:
        one, other = self._element(a), self._element(b)
        if one is other:
            return self._ready([a], lambda _: sa.true(), ())
        if one.skypix and other.skypix:
            return self._of_pixels(one, other)
        if one.skypix or other.skypix:
            element, pixel, field = (other, one, b) if one.skypix else (one, other, a)
            table, _ = touched_pixels(self.question, self.stack, element, pixel)
            return self._among((*element.required, pixel.name), table, (field,))
        keys = (*one.required, *(n for n in other.required if n not in one.required))
        return self._among(keys, pair_rows(self.question, self.stack, one, other), (a, b))

    def _of_pixels(self, a: DimensionElement, b: DimensionElement) -> bound.Node:
        fields = tuple(bound.Field(e.name, e.name, Kind.INT) for e in (a, b))
        (system, level), (other, finer) = a.skypix or ("", 0), b.skypix or ("", 0)
        if system != other:
            return self._among((a.name, b.name), pixel_pairs(self.question, self.stack, a, b), ())
        coarse, fine = fields if level <= finer else fields[::-1]
        ratio = sa.literal(2 ** (LEVEL_BITS * abs(level - finer)), sa.BigInteger)
        return self._ready([], lambda columns: columns(coarse) == columns(fine) // ratio, fields)

    def _among(
        self, names: Sequence[str], table: sa.FromClause, nullable: Sequence[bound.Field]
    ) -> bound.Node:
        """Return the condition that dimensions have values that make up a row of a table."""
        keys = [bound.Field(n, n, Kind.INT) for n in names]  # of a key only the name is looked at
        held = sa.select(*(table.c[n] for n in names))

        def make(columns: ColumnLookup) -> sa.ColumnElement[Any]:
            mine = [columns(key) for key in keys]
            return (sa.tuple_(*mine) if len(mine) > 1 else mine[0]).in_(held)

        return self._ready(nullable, make, keys)

    def _ready(
        self,
        nullable: Sequence[bound.Field],
        make: Callable[[ColumnLookup], sa.ColumnElement[Any]],
        used: Sequence[bound.Field],
    ) -> bound.Node:
        """Return a condition that is unknown where a region is null, if that makes a difference."""
        if self.outermost and used:
            return Ready(make, tuple(used))

        def guarded(columns: ColumnLookup) -> sa.ColumnElement[Any]:
            missing = [columns(field).is_(None) for field in nullable]
            if not missing:
                return make(columns)
            return sa.type_coerce(sa.case((sa.or_(*missing), sa.null()), else_=make(columns)), sa.Boolean)

        return Ready(guarded, (*used, *nullable))


def _near_constant(question: Question, element: DimensionElement, constant: bytes) -> Columns:
    """Return the keys and regions of records that share a pixel with a region."""
    session, schema = question.session, question.session.schema
    records, overlap = schema.dimension(element.name), schema.overlap(element.name)
    keys = [records.c[n] for n in element.required]
    mine = sa.tuple_(*keys) if len(keys) > 1 else keys[0]
    near = sa.select(*(overlap.c[n] for n in element.required))
    with contextlib.ExitStack() as stack:
        ranges = regions.pixel_ranges(constant, schema.skypix)
        if len(ranges) <= _MOST_RANGES:
            near = near.where(in_ranges(overlap.c.skypix, ranges))
        else:
            spans = Columns.from_rows(("begin", "end"), ranges)
            types = {"begin": sa.BigInteger(), "end": sa.BigInteger()}
            held = stack.enter_context(session.stash(spans, types))
            inside = sa.and_(overlap.c.skypix >= held.c.begin, overlap.c.skypix < held.c.end)
            near = near.select_from(held.join(overlap, inside))
        chosen = sa.select(*keys, records.c.region).where(mine.in_(near), records.c.region.is_not(None))
        return session.fetch(chosen.where(*_plain_conditions(question, element)))


def _plain_conditions(question: Question, element: DimensionElement) -> list[sa.ColumnElement[Any]]:
    """Return the conditions of a question that one element's table can tell of."""
    records = question.session.schema.dimension(element.name)

    def column(field: bound.Field) -> sa.ColumnElement[Any]:
        return records.c[field.column]

    def is_own(field: bound.Field) -> bool:
        return field.column in records.c if field.is_key else field.element == element.name

    out = [records.c[n] == v for n, v in question.data_id.items() if n in records.c]
    for condition in question.conditions:
        fields = list(bound.fields(condition))
        tests_regions = any(n.kind is Kind.REGION for n in overlap_nodes(condition))
        if fields and not tests_regions and all(is_own(f) for f in fields):
            out.append(clause(condition, column))
    return out


def pair_rows(
    question: Question, stack: contextlib.ExitStack, a: DimensionElement, b: DimensionElement
) -> sa.FromClause:
    """Return the keys of the records of two elements whose regions touch.

    Parameters
    ----------
    question : Question
        For which: where they are not kept in a table, only records that it may be about are looked at.
    stack : contextlib.ExitStack
        Holds what is handed over to the database.
    a, b : DimensionElement
        Two elements with regions and tables.

    Returns
    -------
    sqlalchemy.FromClause
        The required dimensions of both.
    """
    session = question.session
    kept = session.schema.pair(a.name, b.name)
    if kept is not None:
        return kept.alias()
    names = (*a.required, *(n for n in b.required if n not in a.required))
    found = session.fetch(_candidate_pairs(question, a, b))
    exact = regions.touch(found["region_a"].tolist(), found["region_b"].tolist())
    rows = (k for k, touches in zip(found.rows(names), exact, strict=True) if touches)
    types = session.schema.dimension_types(names)
    return stack.enter_context(session.stash(Columns.from_rows(names, rows), types, key=names))


def _candidate_pairs(question: Question, a: DimensionElement, b: DimensionElement) -> sa.Select[Any]:
    """Ask for the records of two elements that share a pixel, or that are one another's by key."""
    schema = question.session.schema
    one, other = schema.dimension(a.name), schema.dimension(b.name)
    shared = [n for n in b.required if n in a.required]
    joined = one.join(other, sa.and_(sa.true(), *(one.c[n] == other.c[n] for n in shared)))
    keys = [*(one.c[n] for n in a.required), *(other.c[n] for n in b.required if n not in shared)]
    conditions = [*_plain_conditions(question, a), *_plain_conditions(question, b)]
    if not set(a.required) <= set(b.required) and not set(b.required) <= set(a.required):
        near, too = schema.overlap(a.name), schema.overlap(b.name)
        pixels = sa.select(*(near.c[n] for n in a.required), *(too.c[n].label(f"b_{n}") for n in b.required))
        same = pixels.select_from(near.join(too, near.c.skypix == too.c.skypix)).distinct().subquery()
        conditions += [one.c[n] == same.c[n] for n in a.required]
        conditions += [other.c[n] == same.c[f"b_{n}"] for n in b.required]
        joined = sa.join(joined, same, sa.true())
    return (
        sa.select(*keys, one.c.region.label("region_a"), other.c.region.label("region_b"))
        .select_from(joined)
        .where(one.c.region.is_not(None), other.c.region.is_not(None), *conditions)
    )
