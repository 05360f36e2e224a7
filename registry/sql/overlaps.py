"""What new regions overlap: pixels of the sky, and regions of other families, noted when records are inserted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from registry.model.columns import Array, Columns, group_codes, unique_values
from registry.model.dimensions import DimensionElement
from registry.sql.loading import load_rows
from registry.sql.session import Session

__all__ = ["insert_overlaps", "same_pixels"]

_MARGIN = 1e-9
_BATCH = 5_000
"""New records whose neighbours are looked up at a time: they lie close together, and so few are read twice."""


@dataclass(frozen=True)
class _Fresh:
    """New records with regions, and row by row the number of a record and a pixel that it touches."""

    element: DimensionElement
    rows: Columns
    number: Array
    pixel: Array


def insert_overlaps(session: Session, element: DimensionElement, rows: Columns) -> None:
    """Note what the regions of new records touch.

    Parameters
    ----------
    session : Session
        In the transaction that inserted the records.
    element : DimensionElement
        Whose records they are; has a region.
    rows : Columns
        Records that were not there before. Of those with one key the first is kept, as the record itself is.
    """
    rows = rows.select([*element.required, "region"])
    rows = rows.take(np.flatnonzero([region is not None for region in rows["region"].tolist()]))
    if not rows.n_rows:
        return
    from registry.model.pixels import pixel_rows

    _, first = np.unique(group_codes([rows[n] for n in element.required]), return_index=True)
    rows = rows.take(first)
    number, pixel = pixel_rows(rows["region"].tolist(), session.schema.skypix)
    pixels = rows.select(element.required).take(number).with_column("skypix", pixel)
    load_rows(session, session.schema.overlap(element.name), pixels)
    for (a, b), table in session.schema.pairs.items():
        if element.name in (a, b):
            other = session.schema.universe.elements[b if element.name == a else a]
            _insert_pairs(session, table, _Fresh(element, rows, number, pixel), other)


def _insert_pairs(session: Session, table: sa.Table, fresh: _Fresh, other: DimensionElement) -> None:
    """Note which records of another element have regions that touch those of new records."""
    overlap = session.schema.overlap(other.name)
    if not session.fetch(sa.select(overlap.c.skypix).limit(1)).n_rows:
        return
    for part in _neighbourhoods(fresh):
        touched, regions = _near(session, other, part.pixel)
        pairs = _touching(part, other, touched, regions)
        if pairs.n_rows:
            load_rows(session, table, pairs)


def _neighbourhoods(fresh: _Fresh) -> Iterator[_Fresh]:
    """Divide records, with all their pixels, into batches that lie close together."""
    _, first, place = np.unique(fresh.number, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(fresh.pixel[first], kind="stable")] = np.arange(len(first))
    batch = rank[place] // _BATCH
    for i in range(int(batch.max()) + 1 if len(batch) else 0):
        yield replace(fresh, number=fresh.number[batch == i], pixel=fresh.pixel[batch == i])


def _near(session: Session, other: DimensionElement, pixel: Array) -> tuple[Columns, Columns]:
    """Return the records of an element that share a pixel with others: key and pixel, and key and region."""
    overlap, records = session.schema.overlap(other.name), session.schema.dimension(other.name)
    keys = list(other.required)
    with session.stash(
        Columns({"skypix": unique_values(pixel)}), {"skypix": sa.BigInteger()}, key=("skypix",)
    ) as stash:
        near = overlap.join(stash, overlap.c.skypix == stash.c.skypix)
        touched = session.fetch(sa.select(*(overlap.c[n] for n in keys), overlap.c.skypix).select_from(near))
        some = sa.select(*(overlap.c[n] for n in keys)).select_from(near).distinct().subquery()
        held = records.join(some, sa.and_(*(records.c[n] == some.c[n] for n in keys)))
        regions = session.fetch(sa.select(*(records.c[n] for n in keys), records.c.region).select_from(held))
    return touched, regions


def _touching(fresh: _Fresh, other: DimensionElement, touched: Columns, regions: Columns) -> Columns:
    """Return the keys of the records that touch each other: those that share a pixel, held to the exact test."""
    from registry.model.regions import touch

    keys, rows = list(other.required), fresh.rows
    codes = group_codes([np.concatenate([touched[n], regions[n]]) for n in keys])
    codes, known = codes[: touched.n_rows], codes[touched.n_rows :]
    place = np.argsort(known)
    theirs = place[np.searchsorted(known, codes, sorter=place)]
    mine, theirs = same_pixels((fresh.number, fresh.pixel), (theirs, touched["skypix"].astype(np.int64)))
    for name in set(fresh.element.required) & set(keys):
        alike = rows[name][mine] == regions[name][theirs]
        mine, theirs = mine[alike], theirs[alike]
    near = _close(rows["region"], mine, regions["region"], theirs)
    mine, theirs = mine[near], theirs[near]
    kept = np.flatnonzero(touch(rows["region"][mine].tolist(), regions["region"][theirs].tolist()))
    mine, theirs = mine[kept], theirs[kept]
    more = {n: regions[n][theirs] for n in keys if n not in fresh.element.required}
    return Columns({**{n: rows[n][mine] for n in fresh.element.required}, **more})


def _close(a: Array, mine: Array, b: Array, theirs: Array) -> Array:
    """Return which pairs of regions are not apart beyond doubt: the circles around polygons tell, ten times as fast."""
    from registry.model.pixels import circles

    used, place = np.unique(mine, return_inverse=True)
    (here, radius), (there, other) = circles(a[used].tolist()), circles(b.tolist())
    away = here[:, place] - there[:, theirs]
    reach = np.minimum(radius[place] + other[theirs], np.pi)
    return np.flatnonzero(np.sqrt((away * away).sum(axis=0)) <= 2 * np.sin(reach / 2) + _MARGIN)


def same_pixels(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
    """Join two lists of things by the pixels they touch.

    Parameters
    ----------
    one, other : (numpy.ndarray, numpy.ndarray)
        Row by row the number of a thing, and a pixel.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        Numbers of things that share a pixel, each pair once.
    """
    (mine, pixel), (theirs, against) = one, other
    order = np.argsort(against, kind="stable")
    theirs, against = theirs[order], against[order]
    begin, end = (np.searchsorted(against, pixel, side=side) for side in ("left", "right"))
    counts = end - begin
    # Row i of the result is the k-th partner of its pixel: begin + k.
    steps: Any = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    partners = theirs[np.repeat(begin, counts) + steps]
    width = int(theirs.max()) + 1 if len(theirs) else 1
    pairs = np.sort(np.repeat(mine, counts) * width + partners)
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    return pairs // width, pairs % width
