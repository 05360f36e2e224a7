"""What a fetch brings of TAGGED and CALIBRATION collections, so that a lookup answers here as upstream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from registry.model.collections import Collection, CollectionType
from registry.model.columns import Array, Columns, group_codes
from registry.model.in_time import row_in
from registry.model.times import Timespan
from sync.fetching.members import Members, Stale
from sync.lookups import known_collections
from sync.plan import Note

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.snapshot import Snapshot

__all__ = ["MembersPlan", "plan_members"]

_ROW = ("id", "valid_begin", "valid_end")


@dataclass(frozen=True, eq=False)
class MembersPlan:
    """What a fetch does about the members of collections.

    Parameters
    ----------
    members : Members
        What to write.
    used : frozenset of str
        Collections that hold something of what is wanted.
    dataset_ids : list of bytes
        Datasets that ranges of validity name, beside those that are wanted anyhow.
    counts : dict
        Class to number of memberships.
    changed : tuple of Note
        What is not upstream what it was when fetched.
    """

    members: Members = field(default_factory=Members)
    used: frozenset[str] = frozenset()
    dataset_ids: list[bytes] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    changed: tuple[Note, ...] = ()


def plan_members(
    theirs: Snapshot,
    ours: Snapshot,
    reach: Mapping[str, Collection],
    *,
    ids: Sequence[bytes],
    types: Sequence[DatasetType],
    records: Mapping[str, Columns],
) -> MembersPlan:
    """Decide which members of collections staging needs.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    reach : mapping of str to Collection
        The inputs and what they lead to, as upstream has them.
    ids : sequence of bytes
        The datasets that are wanted.
    types : sequence of DatasetType
        Dataset types of the work, as upstream has them.
    records : mapping of str to Columns
        Element to the dimension records that staging will have of them.

    Returns
    -------
    MembersPlan
        Of TAGGED collections, those of the wanted datasets that they hold; of CALIBRATION collections, every range of
        validity that a lookup for one of the records, at the time of one of them, could meet.

    Notes
    -----
    A fixed number of queries a dataset type and a set of dimensions.
    """
    tagged = [c.name for c in reach.values() if c.type is CollectionType.TAGGED]
    dated = [c.name for c in reach.values() if c.type is CollectionType.CALIBRATION]
    here = {n: c for n, c in known_collections(ours, [*tagged, *dated]).items() if c.type is reach[n].type}
    plan = _Plan(theirs, ours, frozenset(here), records)
    if tagged:
        plan.tag(tagged, ids)
    if dated:
        for kind in types:
            if kind.is_calibration:
                plan.certify(kind, dated)
    return plan.result(set(ids))


class _Plan:
    """What has been decided so far."""

    def __init__(
        self, theirs: Snapshot, ours: Snapshot, here: frozenset[str], records: Mapping[str, Columns]
    ) -> None:
        self.theirs = theirs
        self.ours = ours
        self.here = here
        self.records = records
        self.times = _times(theirs, records)
        self.tagged: dict[str, list[bytes]] = {}
        self.certified: dict[str, list[Columns]] = {}
        self.stale: list[Stale] = []
        self.used: set[str] = set()
        self.named: dict[bytes, None] = {}
        self.counts = {"new": 0, "same": 0, "changed-upstream": 0}

    def tag(self, names: Sequence[str], ids: Sequence[bytes]) -> None:
        """Take those of the wanted datasets that TAGGED collections hold."""
        upstream = self.theirs.tagged(names, ids).rows()
        held = set(self.ours.tagged([n for n in names if n in self.here], ids).rows())
        for name, dataset_id in upstream:
            self.used.add(name)
            self._count("same" if (name, dataset_id) in held else "new")
            if (name, dataset_id) not in held:
                self.tagged.setdefault(name, []).append(dataset_id)

    def certify(self, kind: DatasetType, names: Sequence[str]) -> None:
        """Take the ranges of a type that can be met, and those that stand beside what has changed."""
        held = self._held(kind, [n for n in names if n in self.here])
        hull = _hull(self.times, held)
        if hull is None:
            return
        key = ["collection", *kind.dimensions.required]
        upstream = self.theirs.validity_ranges(kind.name, names, timespan=hull)
        upstream = upstream.take(self._reachable(kind, upstream))
        same = _among(held, upstream, [*key, *_ROW])
        gone = held.take(~same)
        moved = _among(upstream, gone, key)
        wanted = upstream.take(moved | self._met(upstream))
        new = wanted.take(~_among(wanted, held, [*key, *_ROW]))
        self._keep(kind, wanted, new, gone)

    def _held(self, kind: DatasetType, names: Sequence[str]) -> Columns:
        """Return the ranges of a type that staging has of what is wanted."""
        known = bool(self.ours.dataset_types(kind.name)) if names else False
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

    def _met(self, rows: Columns) -> Array:
        """Tell which ranges have a time in common with one of the records' times."""
        begin, end = self.times
        if not len(begin):
            return np.zeros(rows.n_rows, np.bool_)
        # Of the times that begin before a range ends, the last to end decides.
        latest = np.maximum.accumulate(end)
        n = np.searchsorted(begin, rows["valid_end"].astype(np.int64))
        return (n > 0) & (latest[np.maximum(n - 1, 0)] > rows["valid_begin"].astype(np.int64))

    def _keep(self, kind: DatasetType, wanted: Columns, new: Columns, gone: Columns) -> None:
        self._count("same", wanted.n_rows - new.n_rows)
        self._count("new", new.n_rows)
        self._count("changed-upstream", gone.n_rows)
        self.used.update(wanted["collection"].tolist())
        self.named |= dict.fromkeys(wanted["id"].tolist())
        for name in dict.fromkeys(new["collection"].tolist()):
            rows = new.take(new["collection"] == name).select(_ROW)
            self.certified.setdefault(name, []).append(rows)
        required = kind.dimensions.required
        for i, (name, begin, end) in enumerate(gone.rows(("collection", "valid_begin", "valid_end"))):
            self.stale.append(Stale(name, kind.name, gone.take(np.array([i])).select(required), begin, end))

    def _count(self, what: str, n: int = 1) -> None:
        self.counts[what] += n

    def result(self, ids: set[bytes]) -> MembersPlan:
        changed: tuple[Note, ...] = ()
        if self.stale:
            names = ", ".join(sorted({s.collection for s in self.stale}))
            text = f"{len(self.stale)} ranges of validity in {names} are not upstream what they were when fetched"
            changed = (Note("validity-changed", text),)
        certified = {name: Columns.concat(parts) for name, parts in self.certified.items()}
        return MembersPlan(
            Members(self.tagged, certified, tuple(self.stale)), frozenset(self.used),
            [i for i in self.named if i not in ids], self.counts, changed,
        )  # fmt: skip


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
