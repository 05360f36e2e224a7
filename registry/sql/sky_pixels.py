"""Which pixels of the sky records touch: as the overlap tables have them, or computed for what a question leaves."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from registry.errors import QueryError
from registry.model import regions
from registry.model.columns import Array, Columns
from registry.model.dimensions import DimensionElement
from registry.query import bound
from registry.sql.question import Question

__all__ = ["LEVEL_BITS", "in_ranges", "pixel_pairs", "touched_pixels"]

LEVEL_BITS = 2
"""Bits that one level of a pixelisation adds to a pixel's number."""

_MOST_ROWS = 2_000_000
_MANY_ROWS = 50_000
"""Above so many it is quicker to hold each record against each pixel asked for."""
_MOST_RANGES = 200
_FEW_PIXELS = 1_000
_PIXELS = {"htm": 8, "healpix": 12}
"""Pixels of level 0."""


def in_ranges(pixel: sa.ColumnElement[Any], ranges: Sequence[tuple[int, int]]) -> sa.ColumnElement[bool]:
    """Return the condition that a pixel lies in one of several ranges.

    Parameters
    ----------
    pixel : sqlalchemy.ColumnElement
        Its number.
    ranges : sequence of (int, int)
        Half-open.

    Returns
    -------
    sqlalchemy.ColumnElement
        The condition.
    """
    return sa.or_(sa.false(), *(pixel.between(a, b - 1) for a, b in ranges))


def touched_pixels(
    question: Question, stack: contextlib.ExitStack, element: DimensionElement, skypix: DimensionElement
) -> tuple[sa.FromClause, bool]:
    """Return which pixels the records of an element touch.

    Parameters
    ----------
    question : Question
        For which: pixels that no table holds are computed for the records that the rest of it leaves.
    stack : contextlib.ExitStack
        Holds what is handed over to the database.
    element : DimensionElement
        Has regions.
    skypix : DimensionElement
        A pixelisation.

    Returns
    -------
    (sqlalchemy.FromClause, bool)
        The required dimensions of both, and whether no row occurs twice.

    Raises
    ------
    QueryError
        If that would be too many rows (code ``query-too-many-pixels``).
    """
    schema = question.session.schema
    system, level = skypix.skypix or ("", 0)
    held, finest = _system(schema.skypix)
    if system != held or level > finest:
        return _computed(question, stack, element, skypix), True
    table = schema.overlap(element.name)
    ratio = 2 ** (LEVEL_BITS * (finest - level))
    pixel = table.c.skypix if ratio == 1 else table.c.skypix // sa.literal(ratio, sa.BigInteger)
    chosen = sa.select(*(table.c[n] for n in element.required), pixel.label(skypix.name))
    known = _known_pixels(question, skypix.name)
    if known is not None and ratio > 1 and len(known) <= _MOST_RANGES:
        # Of a computed value no index tells.
        chosen = chosen.where(
            in_ranges(table.c.skypix, [(p * ratio, (p + 1) * ratio) for p in known.tolist()])
        )
    return chosen.subquery(), ratio == 1


def _system(name: str) -> tuple[str, int]:
    system = name.rstrip("0123456789")
    return system, int(name.removeprefix(system))


def _numbers(name: str) -> tuple[int, int]:
    """Return the first number of a pixel, and the one after the last."""
    system, level = _system(name)
    n = _PIXELS[system] * 4**level
    return (n, 2 * n) if system == "htm" else (0, n)


def _known_pixels(question: Question, name: str) -> Array | None:
    """Return the pixels that a question can be about, where constants in it tell."""
    known: list[set[int]] = [{question.data_id[name]}] if name in question.data_id else []
    for condition in question.conditions:
        match condition:
            case bound.Compare(
                operator="=", left=bound.Field(element=e), right=bound.Const(value=int(v))
            ) if e == name:
                known.append({v})
            case bound.Compare(
                operator="=", left=bound.Const(value=int(v)), right=bound.Field(element=e)
            ) if e == name:
                known.append({v})
            case bound.Contains(operand=bound.Field(element=e), others=(), null=False, negated=False) if (
                e == name
            ):
                if sum((b - a) // step + 1 for a, b, step in condition.ranges) <= _MOST_ROWS:
                    spans = (range(a, b + 1, step) for a, b, step in condition.ranges)
                    known.append({*condition.values, *(p for span in spans for p in span)})
    if not known:
        return None
    # A number that is no pixel touches nothing.
    first, last = _numbers(name)
    return np.array(sorted(p for p in set.intersection(*known) if first <= p < last), dtype=np.int64)


def _given_pixels(question: Question, name: str) -> Array | None:
    """Return the pixels that a question can be about, where constants or rows that are given tell."""
    known = _known_pixels(question, name)
    for columns, table in _tables_given(question):
        if known is None and name in columns:
            known = question.session.fetch(sa.select(table.c[name]).distinct())[name].astype(np.int64)
    return known


def _tables_given(question: Question) -> Iterator[tuple[Sequence[str], sa.FromClause]]:
    for member in question.members:
        yield member.dimensions, member.subquery
    if question.table is not None:
        yield question.listed, question.table


def _computed(
    question: Question, stack: contextlib.ExitStack, element: DimensionElement, skypix: DimensionElement
) -> sa.FromClause:
    known = _given_pixels(question, skypix.name)
    left = _records_left(question, element, skypix, known)
    index, pixel = _pixels_of(left["region"].tolist(), element, skypix, known)
    names = (*element.required, skypix.name)
    rows = left.select(element.required).take(index).with_column(skypix.name, pixel)
    types = question.session.schema.dimension_types(names)
    return stack.enter_context(question.session.stash(rows, types, key=names))


def _records_left(
    question: Question, element: DimensionElement, skypix: DimensionElement, known: Array | None
) -> Columns:
    """Return the keys and regions of the records that the rest of a question leaves."""
    schema = question.session.schema
    absent = [n for n in question.group.required if _is_computed(question, n)]
    records, keys = schema.dimension(element.name), element.required
    with contextlib.ExitStack() as stack:
        sources = question.without(absent).sources(stack, [], keys)
        chosen = sa.select(*(sources.columns[n].label(n) for n in keys)).select_from(sources.from_clause)
        conditions = list(sources.conditions)
        if known is not None and len(known) <= _FEW_PIXELS:
            overlap = schema.overlap(element.name)
            near = sa.select(*(overlap.c[n] for n in keys))
            near = near.where(
                in_ranges(overlap.c.skypix, _ranges_of(known.tolist(), skypix.name, schema.skypix))
            )
            mine = [sources.columns[n] for n in keys]
            conditions.append((sa.tuple_(*mine) if len(mine) > 1 else mine[0]).in_(near))
        some = chosen.where(*conditions).distinct().subquery()
        joined = records.join(some, sa.and_(*(records.c[n] == some.c[n] for n in keys)))
        statement = sa.select(*(records.c[n] for n in keys), records.c.region).select_from(joined)
        return question.session.fetch(statement.where(records.c.region.is_not(None)))


def _is_computed(question: Question, name: str) -> bool:
    """Say whether a dimension is a pixel that no overlap table tells of."""
    skypix = question.group.universe.elements[name].skypix
    system, finest = _system(question.session.schema.skypix)
    return skypix is not None and (skypix[0] != system or skypix[1] > finest)


def _ranges_of(pixels: Sequence[int], skypix: str, common: str) -> list[tuple[int, int]]:
    """Return the common pixels that pixels of another kind touch."""
    ranges = sorted(r for p in pixels for r in regions.pixel_ranges(regions.pixel_region(p, skypix), common))
    out: list[tuple[int, int]] = []
    for begin, end in ranges:
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((begin, end))
    return _merged(out, _MOST_RANGES)


def _merged(ranges: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Return at most so many ranges that cover given ones: those that lie closest to each other are made one."""
    if len(ranges) <= most:
        return list(ranges)
    begin, end = np.array(ranges, dtype=np.int64).T
    gaps = np.sort(np.argsort(begin[1:] - end[:-1])[::-1][: most - 1])
    return list(zip(begin[[0, *(gaps + 1)]].tolist(), end[[*gaps, len(end) - 1]].tolist(), strict=True))


def _pixels_of(
    encoded: Sequence[bytes], element: DimensionElement, skypix: DimensionElement, known: Array | None
) -> tuple[Array, Array]:
    """Return row by row the number of a region and a pixel that it touches; of the known ones, if any are."""
    from registry.model.pixels import pixel_rows

    expected = _expected_rows(encoded, skypix)
    few = known is not None and len(known) * len(encoded) <= _MOST_ROWS
    if expected <= (_MANY_ROWS if few else _MOST_ROWS):
        index, pixel = pixel_rows(encoded, skypix.name)
        if known is not None:
            kept = np.isin(pixel, known)
            index, pixel = index[kept], pixel[kept]
        return index, pixel
    if known is not None and few:
        return _each_with_each(encoded, skypix, known)
    raise QueryError(
        f"{len(encoded)} '{element.name}' records touch about {expected:.1e} pixels of '{skypix.name}', "
        f"and at most {_MOST_ROWS} rows of pixels are made",
        code="query-too-many-pixels",
        hint=f"Keep to fewer records, say which {skypix.name} it shall be, or ask for a coarser level.",
    )


def _expected_rows(encoded: Sequence[bytes], skypix: DimensionElement) -> float:
    """Estimate how many pixels regions touch, from the circles around them."""
    system, level = skypix.skypix or ("htm", 0)
    pixel: float = 4 * math.pi / (_PIXELS[system] * 4.0**level)
    radii = [math.radians(regions.bounding_circle(region)[2]) for region in encoded]
    # About half of a circle is a polygon's; along its edge it meets some more.
    return sum(1 + math.pi * (1 - math.cos(min(r, math.pi))) / pixel for r in radii)


def _each_with_each(encoded: Sequence[bytes], skypix: DimensionElement, known: Array) -> tuple[Array, Array]:
    pixels = [regions.pixel_region(p, skypix.name) for p in known.tolist()]
    touches = regions.touch(
        [region for region in encoded for _ in pixels], [p for _ in encoded for p in pixels]
    )
    index, place = np.nonzero(np.array(touches, dtype=np.bool_).reshape(len(encoded), len(pixels)))
    return index, known[place]


def pixel_pairs(
    question: Question, stack: contextlib.ExitStack, a: DimensionElement, b: DimensionElement
) -> sa.FromClause:
    """Return which pixels of two pixelisations touch each other.

    Parameters
    ----------
    question : Question
        For which: only pixels that the rest of it leaves are looked at.
    stack : contextlib.ExitStack
        Holds what is handed over to the database.
    a, b : DimensionElement
        Two pixelisations.

    Returns
    -------
    sqlalchemy.FromClause
        One column a pixelisation.
    """
    if a.skypix and a.skypix[0] != "htm":
        # Trixels are polygons, the pixels of others are nearly so.
        a, b = b, a
    session, name, elements = question.session, a.name, question.group.universe.elements
    others = [
        n for n in question.group.required if (elements[n].skypix or ("",))[0] == (b.skypix or ("",))[0]
    ]
    with contextlib.ExitStack() as inner:
        sources = question.without(others).sources(inner, [], [name])
        chosen = sa.select(sources.columns[name].label(name)).select_from(sources.from_clause)
        found = session.fetch(chosen.where(*sources.conditions).distinct())[name].astype(np.int64)
    encoded = [regions.pixel_region(p, name) for p in found.tolist()]
    index, pixel = _pixels_of(encoded, a, b, _given_pixels(question, b.name))
    rows = Columns({name: found[index], b.name: pixel})
    return stack.enter_context(
        session.stash(rows, session.schema.dimension_types((name, b.name)), key=(name, b.name))
    )
