"""What a question can meet of two registries: rows of one, and the records that only the other has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import sqlalchemy as sa

from registry.model.columns import Columns, unique_values
from registry.model.dimensions import DimensionElement, DimensionGroup
from registry.query import bound
from registry.query.types import Kind
from registry.sql.collections import Entry
from registry.sql.dataset_types import TypeEntry
from registry.sql.members import VALID_BEGIN, VALID_END
from registry.sql.overlap_tests import overlap_nodes
from registry.sql.overlay_cut import Cut
from registry.sql.overlay_known import Known
from registry.sql.question import Member, Question
from registry.sql.relations import join_tables, related_on_sky
from registry.sql.session import Session

__all__ = ["Met", "Wanted"]

_FEW = 5_000
"""Up to so many records it is worth looking first for what lies where they are."""

_Pair = tuple[DimensionElement, DimensionElement]


@dataclass(frozen=True, eq=False)
class Wanted:
    """Datasets that must exist.

    Parameters
    ----------
    found : TypeEntry
        Their type.
    path : sequence of Entry
        Where they are looked for.
    besides : Columns or None
        Data IDs of such datasets that are elsewhere.
    """

    found: TypeEntry
    path: Sequence[Entry]
    besides: Columns | None

    @property
    def required(self) -> tuple[str, ...]:
        """The dimensions of their type."""
        return self.found.type.dimensions.required


@dataclass(eq=False)
class Met:
    """Reads what of one registry a question can meet.

    Parameters
    ----------
    session : Session
        The registry.
    asked : BoundExpression
        The question.
    group : DimensionGroup
        All dimensions that take part in it.
    given : sequence of Columns
        Each answer has one row of each of these: data IDs of datasets elsewhere, a table of data IDs.
    wanted : sequence of Wanted
        Datasets that must exist.
    local : mapping of str to Columns
        By element the records that only the other registry has.
    """

    session: Session
    asked: bound.BoundExpression
    group: DimensionGroup
    given: Sequence[Columns]
    wanted: Sequence[Wanted]
    local: Mapping[str, Columns]
    members: list[Columns] = field(default_factory=list, init=False)
    """Data IDs of the datasets that must exist, one table a type."""
    records: dict[str, Columns] = field(default_factory=dict, init=False)
    """By element, its records."""
    overlaps: dict[str, Columns] = field(default_factory=dict, init=False)
    """By table, what overlaps what: records and pixels, records and records."""
    _chosen: dict[str, sa.Select[tuple[object, ...]]] = field(default_factory=dict, init=False)

    @cached_property
    def _question(self) -> Question:
        dimensions = set(self.group.universe.dimension_names)
        given = [tuple(n for n in rows.names if n in dimensions) for rows in self.given]
        given += [wanted.required for wanted in self.wanted]
        members = [Member(sa.table("given"), names) for names in given]
        conditions = bound.conjuncts(self.asked.root)
        return Question(self.session, join_tables, self.group, conditions, self.asked.data_id, members)

    @cached_property
    def _required(self) -> list[_Pair]:
        """Elements whose regions touch in every answer."""
        return related_on_sky(self._question)

    @cached_property
    def _related(self) -> list[_Pair]:
        """Elements whose regions the question holds against each other, also in a part of a condition."""
        nodes = [n for c in self._question.conditions for n in overlap_nodes(c)]
        fields = [[f for f in bound.fields(n) if f.kind is Kind.REGION] for n in nodes]
        elements = self.group.universe.elements
        return [*self._required, *((elements[a.element], elements[b.element]) for a, b in _twos(fields))]

    @cached_property
    def on_sky(self) -> bool:
        """Whether regions matter."""
        fields = bound.fields(self.asked.root)
        return bool(self._related) or self._has_pixels or any(f.kind is Kind.REGION for f in fields)

    @property
    def _has_pixels(self) -> bool:
        return any(self.group.universe.elements[n].skypix for n in self.group.names)

    def _with_pixels(self) -> list[DimensionElement]:
        """Return elements whose pixels will be looked up, be it to find what local records overlap."""
        everything = [e for e in self.group.elements if e.region]
        unkept = any(self._kept(pair) is None for pair in self._related)
        tested = any(f.kind is Kind.REGION for f in bound.fields(self.asked.root))
        if self._has_pixels or unkept or tested:
            return everything
        pairs = {frozenset((a.name, b.name)) for a, b in self._related}
        return [e for e in everything if any({e.name, name} in pairs for name in self.local)]

    def _kept(self, pair: _Pair) -> sa.Table | None:
        return self.session.schema.pair(*(e.name for e in pair))

    def read(self) -> None:
        """Read it: a statement for each element and dataset type, and one for each kind of overlap."""
        known = Known(self.group.universe, self._fixed())
        for rows in self.given:
            known.add(rows, self.group.universe.dimension_names)
        with ExitStack() as stack:
            cut = Cut(self.session, self.asked, self.group, known, stack)
            left: list[Wanted | DimensionElement] = [*self.wanted, *self.group.elements]
            while left:
                part = left.pop(min(range(len(left)), key=lambda i: self._turn(known, left[i])))
                if isinstance(part, Wanted):
                    self._read_members(cut, part)
                else:
                    self._read_records(cut, part)
            for pair in self._related:
                table = self._kept(pair)
                if table is not None:
                    self._read_overlaps(table, min(pair, key=lambda e: self.records[e.name].n_rows))
            for element in self._with_pixels():
                self._read_overlaps(self.session.schema.overlap(element.name), element)

    def _fixed(self) -> frozenset[str]:
        """Return the dimensions of which a condition says something by itself."""
        out = set(self.asked.data_id)
        for condition in bound.conjuncts(self.asked.root):
            elements = {f.element for f in bound.fields(condition)}
            if len(elements) == 1:
                name = elements.pop()
                out |= {name} if name in self.group else set(self.group.universe.elements[name].required)
        return frozenset(out)

    def _turn(self, known: Known, part: Wanted | DimensionElement) -> tuple[int, bool, int, int]:
        """Say when a part is best read: first what most is known of, so that the others are known by it."""
        unknown, hints = known.lacking(part.required)
        is_dataset = isinstance(part, Wanted)
        if not unknown:
            return 0, is_dataset, 0, -hints
        if isinstance(part, DimensionElement):
            beside = [self.records[other.name].n_rows for _, other in self._beside(part)]
            if beside:
                return (1 if min(beside) <= _FEW else 3), False, 0, -hints
        # Where nothing is known datasets tell most; where something is, records are fewer than datasets.
        return (1, is_dataset, unknown, -hints) if hints else (2, not is_dataset, unknown, 0)

    def _read_members(self, cut: Cut, wanted: Wanted) -> None:
        rows = _united(cut.members(wanted.found, wanted.path), wanted.besides)
        cut.known.add(rows, wanted.required)
        self.members.append(rows)

    def _read_records(self, cut: Cut, element: DimensionElement) -> None:
        known = cut.known
        if known.lacking(element.required)[0]:
            self._know_by_sky(known, element)
        self._chosen[element.name] = chosen = cut.records(element)
        rows = self.records[element.name] = self.session.fetch(chosen)
        if element.name in self.group.required or element.always_join:
            known.add(self._with_local(element, rows), (*element.required, *element.implied))

    def _with_local(self, element: DimensionElement, rows: Columns) -> Columns:
        local = self.local.get(element.name)
        return rows if local is None else Columns.concat([rows, local.select(rows.names)])

    def _beside(self, element: DimensionElement) -> list[tuple[sa.Table, DimensionElement]]:
        """Return elements that were read and whose regions touch an element's in every answer, with the table of it."""
        pairs = [(self._kept((a, b)), (a, b)) for a, b in self._required if element in (a, b)]
        found = [(table, b if element is a else a) for table, (a, b) in pairs if table is not None]
        return [(table, other) for table, other in found if other.name in self.records]

    def _know_by_sky(self, known: Known, element: DimensionElement) -> None:
        """Keep to the records that lie where those of another element do."""
        for table, other in self._beside(element):
            self._read_overlaps(table, other)
            beside = self.overlaps[table.name].select(element.required)
            near = Columns.concat([beside, self._near(element, other)])
            known.add(self._with_local(element, near), element.required)

    def _near(self, element: DimensionElement, other: DimensionElement) -> Columns:
        """Return the keys of records that share a pixel with records of another element that are not here."""
        from registry.model.pixels import pixel_rows

        overlap, local = self.session.schema.overlap(element.name), self.local.get(other.name)
        regions = [] if local is None else [r for r in local["region"].tolist() if r is not None]
        if not regions:
            return Columns({n: np.empty(0, object) for n in element.required})
        pixels = Columns({"skypix": unique_values(pixel_rows(regions, self.session.schema.skypix)[1])})
        with self.session.stash(pixels, {"skypix": sa.BigInteger()}, key=("skypix",)) as stash:
            source = overlap.join(stash, overlap.c.skypix == stash.c.skypix)
            keys = [overlap.c[n] for n in element.required]
            return self.session.fetch(sa.select(*keys).select_from(source).distinct())

    def _read_overlaps(self, table: sa.Table, element: DimensionElement) -> None:
        """Read what the chosen records of an element overlap, unless it was read."""
        if table.name in self.overlaps:
            return
        chosen = self._chosen[element.name].subquery("chosen")
        same = sa.and_(*(chosen.c[n] == table.c[n] for n in element.required))
        self.overlaps[table.name] = self.session.fetch(
            sa.select(*table.c).select_from(chosen.join(table, same))
        )


def _twos(fields: Sequence[Sequence[bound.Field]]) -> list[tuple[bound.Field, bound.Field]]:
    return [(some[0], some[1]) for some in fields if len(some) == 2]


def _united(rows: Columns, besides: Columns | None) -> Columns:
    """Put data IDs together, with a time for which they count if some of them have one."""
    if besides is None:
        return rows
    parts = [rows, besides]
    for name in (VALID_BEGIN, VALID_END):
        if any(name in part for part in parts):
            parts = [p if name in p else p.with_column(name, np.full(p.n_rows, None)) for p in parts]
    return Columns.concat(parts).unique()
