"""Three-way comparison of validity ranges: by collection, dataset type, data ID and begin."""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.columns import Array, Columns, group_codes
from registry.model.data_id import format_values
from registry.model.digest import digest_rows
from registry.model.in_time import row_in
from registry.model.refs import id_text
from registry.model.times import Timespan, span_text
from sync.fetching.sides import Sides
from sync.fetching.tagged import NOTHING
from sync.fetching.ways import with_ways
from sync.manifest import CERTIFIED, read_baselines, row_keys
from sync.plan import Conflict, Note

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.snapshot import Snapshot

__all__ = ["Certifying"]

_ROW = ("id", "valid_begin", "valid_end")


class Certifying:
    """What has been decided about CALIBRATION collections.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    records : mapping of str to Columns
        Element to the dimension records that staging will have.
    on_conflict : str
        ``fail``, ``keep`` or ``take``.
    stand_ins : mapping of bytes to bytes
        Datasets of upstream that stay out of staging, to the ones that have their places there.
    """

    def __init__(
        self,
        theirs: Snapshot,
        ours: Snapshot,
        records: Mapping[str, Columns],
        on_conflict: str,
        stand_ins: Mapping[bytes, bytes],
    ) -> None:
        self.theirs, self.ours, self.on_conflict = theirs, ours, on_conflict
        self.stand_ins = stand_ins
        self.records = records
        self.used: set[str] = set()
        self.named: dict[bytes, None] = {}
        self.counts = dict.fromkeys(("new", "same", "changed-upstream", "gone", "kept", "conflict"), 0)
        self.conflicts: list[Conflict] = []
        self.fresh: dict[bytes, bytes] = {}
        self.forgotten: list[bytes] = []
        self._new: dict[str, list[Columns]] = {}
        self._gone: dict[tuple[str, str], Columns] = {}

    def decide(self, kinds: Sequence[DatasetType], names: Sequence[str], here: Sequence[str]) -> None:
        """Compare the ranges of types that can be met, and those that stand beside what has changed.

        Parameters
        ----------
        kinds : sequence of DatasetType
            Types of calibrations.
        names : sequence of str
            The collections that upstream has.
        here : sequence of str
            Those of `names` that staging has.
        """
        if not kinds:
            return
        times, base = _times(self.theirs, self.records), read_baselines(self.ours, CERTIFIED)
        for kind in kinds:
            self._decide(kind, names, here, times, base)

    def _decide(
        self,
        kind: DatasetType,
        names: Sequence[str],
        here: Sequence[str],
        times: tuple[Array, Array],
        base: Mapping[bytes, bytes],
    ) -> None:
        held = self._held(kind, here)
        hull = _hull(times, held)
        if hull is None:
            return
        required = kind.dimensions.required
        whole, key = ["collection", *required, *_ROW], ["collection", *required]
        upstream = self.theirs.validity_ranges(kind.name, names, timespan=hull)
        upstream = upstream.take(self._reachable(kind, upstream))
        if self.stand_ins:
            ids = [self.stand_ins.get(i, i) for i in upstream["id"].tolist()]
            upstream = upstream.with_column("id", ids)
        differs = held.take(~_among(held, upstream, whole))
        # A range that was cut stands upstream as its pieces.
        beside = _among(upstream, differs, key)
        wanted = upstream.take(beside | _met(times, upstream) | _among(upstream, held, whole))
        self._compare(kind, held, wanted, base)

    def _compare(
        self, kind: DatasetType, held: Columns, wanted: Columns, base: Mapping[bytes, bytes]
    ) -> None:
        """Sort the ranges of one type, and settle or tell what both sides have changed."""
        ours, theirs = _digests(kind, held), _digests(kind, wanted)
        sides = Sides.of(base, ours, theirs)
        new = sides.new | self._back(sides.away, theirs, wanted)
        come, stay, gone = new | sides.changed, sides.kept | sides.conflicting, sides.gone
        if self.on_conflict == "take":
            come |= sides.conflicting & theirs.keys()
            stay, gone = sides.kept, gone | (sides.conflicting - theirs.keys())
        here, there = held.take(_at(stay, ours)), wanted.take(_at(come, theirs))
        in_the_way, kept_out = _clashes(kind, here, there)
        told = sides.conflicting & stay
        if self.on_conflict == "fail":
            self._tell(kind, (ours, held), (theirs, wanted), told)
            self._tell_clashes(kind, here.take(in_the_way), there.take(kept_out))
        elif self.on_conflict == "take":
            gone |= set(_keys(kind, here.take(in_the_way)))
        else:
            there = there.take(np.setdiff1d(np.arange(there.n_rows), kept_out))
        replaced = gone | (come & ours.keys())
        self._keep(kind, wanted, there, held.take(_at(replaced, ours)))
        self._count(
            new=len(new), same=len(sides.same), changed=len(come - new), gone=len(gone),
            kept=len(stay - told) + len(sides.away - new), conflict=len(told) + len(kept_out),
        )  # fmt: skip
        settled = come | sides.same | (told if self.on_conflict == "keep" else frozenset())
        self.fresh |= {k: theirs[k] for k in settled & theirs.keys() if base.get(k) != theirs[k]}
        self.forgotten += sorted((gone | (settled - theirs.keys())) & base.keys())

    def _back(
        self, away: frozenset[bytes], theirs: Mapping[bytes, bytes], wanted: Columns
    ) -> frozenset[bytes]:
        """Return which ranges went with their datasets and come back; what was taken out here stays out."""
        if not away:
            return frozenset()
        keys = [key for key in theirs if key in away]
        ids = wanted.take(_at(away, theirs))["id"].tolist()
        there = self.ours.existing_ids(ids)
        return frozenset(key for key, i in zip(keys, ids, strict=True) if i not in there)

    def _tell(self, kind: DatasetType, ours: _Side, theirs: _Side, keys: frozenset[bytes]) -> None:
        names = ("collection", *kind.dimensions.required, *_ROW)
        sides = [
            dict(zip((k for k in at if k in keys), rows.take(_at(keys, at)).rows(names), strict=True))
            for at, rows in (ours, theirs)
        ]
        for key in sorted(keys):
            self.conflicts += _conflict(kind, sides[0].get(key), sides[1].get(key))

    def _tell_clashes(self, kind: DatasetType, ours: Columns, theirs: Columns) -> None:
        names = ("collection", *kind.dimensions.required, *_ROW)
        for mine, other in zip(ours.rows(names), theirs.rows(names), strict=True):
            self.conflicts += _conflict(kind, mine, other)

    def _held(self, kind: DatasetType, names: Sequence[str]) -> Columns:
        """Return the ranges of a type that staging has of what is wanted."""
        known = bool(self.ours.known_types([kind.name])) if names else False
        empty = ("collection", *kind.dimensions.required, *_ROW)
        held = self.ours.validity_ranges(kind.name, names) if known else Columns.from_rows(empty, [])
        return held.take(self._reachable(kind, held))

    def _reachable(self, kind: DatasetType, rows: Columns) -> Array:
        """Tell which rows have a data ID of records that staging will have."""
        out = np.ones(rows.n_rows, np.bool_)
        for name in kind.dimensions.required:
            element = kind.dimensions.universe.element(name)
            if not element.has_table or not rows.n_rows:
                continue
            keys = self.records.get(name)
            there = [rows[n] for n in element.required]
            out &= (
                row_in(there, [keys[n] for n in element.required]) >= 0
                if keys is not None
                else np.zeros(rows.n_rows, np.bool_)
            )
        return out

    def _keep(self, kind: DatasetType, wanted: Columns, come: Columns, gone: Columns) -> None:
        """Note what is to be written."""
        self.used.update(wanted["collection"].tolist())
        self.named |= dict.fromkeys(wanted["id"].tolist())
        for name in dict.fromkeys(come["collection"].tolist()):
            rows = come.take(come["collection"] == name).select(_ROW)
            self._new.setdefault(name, []).append(rows)
        for name in dict.fromkeys(gone["collection"].tolist()):
            self._gone[name, kind.name] = gone.take(gone["collection"] == name).select(_ROW)

    def _count(self, *, new: int, same: int, changed: int, gone: int, kept: int, conflict: int) -> None:
        found = (new, same, changed, gone, kept, conflict)
        self.counts = {name: n + more for (name, n), more in zip(self.counts.items(), found, strict=True)}

    def certified(self) -> dict[str, Columns]:
        """Return what comes.

        Returns
        -------
        dict of str to Columns
            Collection to ranges.
        """
        return {name: Columns.concat(parts) for name, parts in self._new.items()}

    def removed(self) -> dict[tuple[str, str], Columns]:
        """Return what goes.

        Returns
        -------
        dict of (str, str) to Columns
            Collection and dataset type to ranges.
        """
        return dict(self._gone)

    def notes(self) -> list[Note]:
        """Say what is not upstream what it was when it was fetched.

        Returns
        -------
        list of Note
            One at most.
        """
        n = self.counts["changed-upstream"] + self.counts["gone"]
        names = ", ".join(sorted({name for name, _ in self._gone}))
        text = f"{n} ranges of validity in {names} are not upstream what they were when fetched"
        return [Note("validity-changed", text)] if n else []


_Side = tuple[Mapping[bytes, bytes], Columns]
"""Digests by key, and the rows in the same order."""


def _keys(kind: DatasetType, rows: Columns) -> list[bytes]:
    names = ("collection", *kind.dimensions.required, "valid_begin")
    return row_keys((collection, kind.name, *row) for collection, *row in rows.rows(names))


def _digests(kind: DatasetType, rows: Columns) -> dict[bytes, bytes]:
    return dict(zip(_keys(kind, rows), digest_rows(rows.rows(("id", "valid_end"))), strict=True))


def _at(keys: AnyOf[bytes], digests: Mapping[bytes, bytes]) -> Array:
    """Return the numbers of the rows with some of the keys, rising."""
    return np.flatnonzero(np.fromiter(map(keys.__contains__, digests), np.bool_, len(digests)))


def _clashes(kind: DatasetType, ours: Columns, theirs: Columns) -> tuple[Array, Array]:
    """Return which of our ranges that stay are valid at a time with which of upstream's for the same data ID."""
    mine: list[int] = []
    others: list[Array] = []
    if ours.n_rows and theirs.n_rows:
        names = ("collection", *kind.dimensions.required)
        codes = group_codes([np.concatenate([ours[n], theirs[n]]) for n in names])
        begin, end = (theirs[n].astype(np.int64) for n in _ROW[1:])
        for i, (first, last) in enumerate(ours.rows(_ROW[1:])):
            at = np.flatnonzero((codes[ours.n_rows :] == codes[i]) & (begin < last) & (end > first))
            mine += [i] * len(at)
            others.append(at)
    return np.array(mine, np.int64), np.concatenate([np.empty(0, np.int64), *others])


def _conflict(
    kind: DatasetType, ours: tuple[Any, ...] | None, theirs: tuple[Any, ...] | None
) -> tuple[Conflict, ...]:
    collection, *values = (ours or theirs or ())[: 1 + len(kind.dimensions.required)]
    what = f"{kind.name} {{{format_values(kind.dimensions.required, tuple(values))}}} in '{collection}'"
    mine, other = (
        f"{id_text(row[-3])} for {span_text(*row[-2:])}" if row else NOTHING for row in (ours, theirs)
    )
    return with_ways([Conflict("member-differs", "member", what, mine, other)])


def _met(times: tuple[Array, Array], rows: Columns) -> Array:
    """Tell which ranges have a time in common with one of the records' times."""
    begin, end = times
    if not len(begin):
        return np.zeros(rows.n_rows, np.bool_)
    # Of the times that begin before a range ends, the last to end decides.
    latest = np.maximum.accumulate(end)
    n = np.searchsorted(begin, rows["valid_end"].astype(np.int64))
    return (n > 0) & (latest[np.maximum(n - 1, 0)] > rows["valid_begin"].astype(np.int64))


def _times(snapshot: Snapshot, records: Mapping[str, Columns]) -> tuple[Array, Array]:
    """Return begin and end of all times of records, in order of begin."""
    none, parts = np.array(None), []
    for family in snapshot.universe.in_time:
        for element in family:
            if element.name in records:
                rows = records[element.name].select(("timespan_begin", "timespan_end"))
                parts.append(rows.take((rows["timespan_begin"] != none) & (rows["timespan_end"] != none)))
    begin, end = (
        np.concatenate([np.empty(0, np.int64), *(p[n].astype(np.int64) for p in parts)])
        for n in ("timespan_begin", "timespan_end")
    )
    order = np.argsort(begin, kind="stable")
    order = order[begin[order] < end[order]]
    return begin[order], end[order]


def _hull(times: tuple[Array, Array], held: Columns) -> Timespan | None:
    """Return the span of all times, and of the ranges that staging has; None where there are none."""
    begin = np.concatenate([times[0], held["valid_begin"].astype(np.int64)])
    end = np.concatenate([times[1], held["valid_end"].astype(np.int64)])
    return Timespan(int(begin.min()), int(end.max())) if len(begin) else None


def _among(rows: Columns, others: Columns, names: Sequence[str]) -> Array:
    """Tell which rows have the values of another row."""
    both = [np.concatenate([rows[n], others[n]]) for n in names]
    codes = group_codes(both)
    return np.isin(codes[: rows.n_rows], codes[rows.n_rows :])
