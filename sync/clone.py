"""Fetching into staging what a piece of work needs from upstream: plan, then execute.

One upstream snapshot is read, one staging transaction writes. What is there already stays as it was fetched; of
what is new, a digest is kept as the base of later comparisons. Artifacts stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import NotFoundError
from registry.model.columns import Array, Columns, group_codes
from registry.model.refs import id_text
from sync.closure import close_records, keys_of_datasets, merge_keys
from sync.compare import compare
from sync.explain import (
    dataset_type_conflict,
    differing_datasets,
    differing_records,
    refusal,
    schema_version,
    universe_conflicts,
)
from sync.faults import At, no_fault
from sync.fetching.collections import find_reach, plan_collections
from sync.fetching.plan_members import plan_members
from sync.found import below
from sync.manifest import (
    COLLECTION,
    DATASET,
    DATASET_TYPE,
    UPSTREAM,
    baseline_rows,
    dataset_digests,
    dataset_type_digests,
    read_baselines,
    record_digests,
    record_kind,
)
from sync.plan import Conflict, DatasetBatch, FetchPlan, Note, Wanted

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.snapshot import Snapshot
    from sync.repo import Repo

__all__ = ["FetchResult", "execute_fetch", "plan_fetch"]

Digests = Mapping[bytes, bytes]


@dataclass(frozen=True)
class FetchResult:
    """What a fetch did.

    Parameters
    ----------
    counts : mapping
        Kind to class to number, as in the plan.
    size_bytes : int
        Bytes copied: none, since artifacts stay where they are.
    """

    counts: Mapping[str, Mapping[str, int]]
    size_bytes: int = 0


def plan_fetch(upstream: Repo, staging: Repo, wanted: Wanted) -> FetchPlan:
    """Decide what has to come from upstream, without writing anywhere.

    Parameters
    ----------
    upstream, staging : Repo
        Open repositories; read access is enough.
    wanted : Wanted
        What the work needs. Datasets and records that only staging has are left alone.

    Returns
    -------
    FetchPlan
        What is new, and what differs.

    Raises
    ------
    NotFoundError
        If a dataset or an input collection is on neither side.

    Notes
    -----
    A fixed number of queries a dataset type and a dimension element, whatever the number of rows.
    """
    with upstream.registry.read() as theirs, staging.registry.read() as ours:
        conflicts = universe_conflicts(ours.universe, schema_version(ours), theirs)
        if conflicts:
            return FetchPlan((), (), {}, (), baseline_rows({}), {}, conflicts=tuple(conflicts))
        return _Fetch(theirs, ours, wanted, upstream).plan()


def execute_fetch(plan: FetchPlan, staging: Repo, *, at: At = no_fault) -> FetchResult:
    """Write a plan into staging, in one transaction.

    Parameters
    ----------
    plan : FetchPlan
        From `plan_fetch`.
    staging : Repo
        Open for writing.
    at : callable
        Called between durable steps, with the step's name.

    Returns
    -------
    FetchResult
        The counts.

    Raises
    ------
    ConflictError
        If the plan has conflicts; nothing is written.
    BusyError
        If another process holds staging for too long; nothing is written.
    """
    if plan.conflicts:
        raise refusal("fetch", plan.conflicts)
    if not plan.is_empty:
        with staging.registry.write() as tx:
            for dataset_type in plan.dataset_types:
                tx.register_dataset_type(dataset_type)
            for collection in plan.collections:
                tx.register_collection(collection.name, collection.type, collection.doc)
                if collection.children:
                    tx.set_chain(collection.name, collection.children)
            for element, records in plan.records.items():
                tx.insert_records(element, records, on_existing="skip")
            for batch in plan.datasets:
                tx.insert_datasets(batch.dataset_type.name, batch.run, batch.rows, on_existing="skip")
            plan.members.write(tx)
            tx.insert_rows("baseline", plan.baselines, on_existing="replace")
            at("rows-written")
        at("committed")
    return FetchResult(plan.counts)


@dataclass(frozen=True)
class _Sides:
    """How keys of both sides relate, seen by a fetch."""

    new: frozenset[bytes]
    same: frozenset[bytes]
    changed: frozenset[bytes]
    conflicting: frozenset[bytes]

    @classmethod
    def of(cls, base: Digests, ours: Digests, theirs: Digests) -> _Sides:
        found = compare(base, ours, theirs)
        both = ours.keys() & theirs.keys()
        return cls(
            frozenset(theirs.keys() - ours.keys()),
            found.same & both,
            found.behind & both,
            found.conflicting & both,
        )

    def counts(self) -> dict[str, int]:
        return {
            "new": len(self.new), "same": len(self.same), "changed-upstream": len(self.changed),
            "conflict": len(self.conflicting),
        }  # fmt: skip


class _Fetch:
    """One planning of a fetch: the two snapshots, and what has been found so far."""

    def __init__(self, theirs: Snapshot, ours: Snapshot, wanted: Wanted, upstream: Repo) -> None:
        self.theirs = theirs
        self.ours = ours
        self.wanted = wanted
        self.root = upstream.datastore.root
        self.repo_id = upstream.registry.repo_id
        self.counts: dict[str, dict[str, int]] = {}
        self.baselines: dict[str, dict[bytes, bytes]] = {}
        self.changed: list[Note] = []
        self.conflicts: list[Conflict] = []

    def plan(self) -> FetchPlan:
        upstream_types = {t.name: t for t in self.theirs.dataset_types()}
        ids = list(dict.fromkeys(self.wanted.dataset_ids))
        found = self.theirs.datasets_by_id(ids, artifacts=True)
        self._look_for_lost(ids, found)
        closed = self._closed(upstream_types, found)
        reach = find_reach(self.theirs, self.wanted.collections)
        kinds = [upstream_types[name] for name in self._type_names(found) if name in upstream_types]
        members = plan_members(self.theirs, self.ours, reach.upstream, ids=ids, types=kinds, records=closed)
        if members.dataset_ids:
            ids += members.dataset_ids
            found = self.theirs.datasets_by_id(ids, artifacts=True)
        held = self.ours.datasets_by_id(list(self.ours.existing_ids(ids)), artifacts=True)
        types = self._dataset_types(upstream_types, found)
        batches = self._datasets(upstream_types, found, held)
        records = self._records(closed)
        runs = {run for rows in found.values() for run in set(rows["run"].tolist())}
        collections = plan_collections(self.theirs, self.ours, reach, runs | members.used)
        self.counts["member"] = members.counts
        self.counts["collection"] = collections.counts
        self.baselines[COLLECTION] = dict(collections.baselines)
        if self.repo_id not in read_baselines(self.ours, UPSTREAM):
            self.baselines[UPSTREAM] = {self.repo_id: self.repo_id}
        return FetchPlan(
            types, collections.to_write, records, batches, baseline_rows(self.baselines), self.counts,
            (*self.changed, *collections.changed, *members.changed), (*self.conflicts, *collections.conflicts),
            members.members,
        )  # fmt: skip

    def _sort(self, kind: str, base_kind: str, ours: Digests, theirs: Digests) -> _Sides:
        """Compare one kind of thing, count it, and keep the baselines that are not yet so."""
        base = read_baselines(self.ours, base_kind)
        relevant = {key: base[key] for key in base.keys() & (ours.keys() | theirs.keys())}
        sides = _Sides.of(relevant, ours, theirs)
        tally = self.counts.setdefault(kind, {})
        for cls, n in sides.counts().items():
            tally[cls] = tally.get(cls, 0) + n
        agreed = sides.new | sides.same
        self.baselines.setdefault(base_kind, {}).update(
            {key: digest for key, digest in theirs.items() if key in agreed and base.get(key) != digest}
        )
        return sides

    def _look_for_lost(self, ids: Sequence[bytes], found: Mapping[str, Columns]) -> None:
        missing = set(ids) - {i for rows in found.values() for i in rows["id"].tolist()}
        if not missing:
            return
        lost = sorted(missing - self.ours.existing_ids(list(missing)))
        if lost:
            raise NotFoundError(
                f"{len(lost)} of {len(ids)} datasets are neither upstream nor in staging (first: {id_text(lost[0])})",
                code="no-such-dataset",
                hint="They were deleted upstream since the graph was built: build it again.",
            )
        gone = missing & read_baselines(self.ours, DATASET).keys()
        if gone:
            first = id_text(min(gone))
            self.changed.append(
                Note("dataset-gone", f"{len(gone)} fetched datasets are no longer upstream (first: {first})")
            )

    def _type_names(self, found: Mapping[str, Columns]) -> list[str]:
        return list(dict.fromkeys([*(t.name for t in self.wanted.dataset_types), *found]))

    def _dataset_types(
        self, upstream: Mapping[str, DatasetType], found: Mapping[str, Columns]
    ) -> tuple[DatasetType, ...]:
        theirs = {name: upstream[name] for name in self._type_names(found) if name in upstream}
        ours = {t.name: t for t in self.ours.dataset_types() if t.name in theirs}
        sides = self._sort(
            "dataset-type", DATASET_TYPE, dataset_type_digests(ours.values()), dataset_type_digests(theirs.values())
        )  # fmt: skip
        for key in sorted(sides.conflicting | sides.changed):
            name = key.decode()
            self.conflicts.append(dataset_type_conflict(ours[name], theirs[name]))
        return tuple(theirs[name] for name in theirs if name.encode() in sides.new)

    def _datasets(
        self, types: Mapping[str, DatasetType], found: Mapping[str, Columns], held: Mapping[str, Columns]
    ) -> tuple[DatasetBatch, ...]:
        theirs: dict[bytes, bytes] = {}
        ours: dict[bytes, bytes] = {}
        for name, rows in found.items():
            theirs |= dataset_digests(types[name], rows)
        for name, rows in held.items():
            if name in found:
                ours |= dataset_digests(types[name], rows)
        ours = {key: ours[key] for key in ours.keys() & theirs.keys()}
        sides = self._sort("dataset", DATASET, ours, theirs)
        if sides.changed:
            self.changed.append(
                Note("dataset-changed", f"{len(sides.changed)} datasets have other content upstream")
            )
        if sides.conflicting:
            self.conflicts += differing_datasets(sides.conflicting, types, held, found)
        return tuple(self._batches(types, found, sides.new))

    def _batches(
        self, types: Mapping[str, DatasetType], found: Mapping[str, Columns], new: frozenset[bytes]
    ) -> list[DatasetBatch]:
        out = []
        for name, rows in found.items():
            chosen = rows.take(np.fromiter(map(new.__contains__, rows["id"].tolist()), np.bool_, rows.n_rows))
            uris = chosen["uri"]
            there = uris != np.array(None)
            uris[there] = below(self.root, uris[there].tolist())
            plain = chosen.with_column("uri", uris).select([n for n in chosen.names if n != "run"])
            out += [
                DatasetBatch(types[name], run, plain.take(index))
                for run, index in _by_value(chosen["run"]).items()
            ]
        return out

    def _closed(self, types: Mapping[str, DatasetType], found: Mapping[str, Columns]) -> dict[str, Columns]:
        """Return the records of all that is wanted; what ranges of validity name beside it needs no more of them."""
        universe = self.theirs.universe
        keys = [
            keys_of_datasets(universe, types[name].dimensions.required, rows) for name, rows in found.items()
        ]
        return close_records(self.theirs, merge_keys(universe, [self.wanted.records, *keys]))

    def _records(self, closed: Mapping[str, Columns]) -> dict[str, Columns]:
        universe = self.theirs.universe
        out = {}
        for name, rows in closed.items():
            element = universe.element(name)
            theirs = record_digests(element, rows)
            held = self.ours.records(name, keys=rows.select(element.required))
            sides = self._sort("record", record_kind(name), record_digests(element, held), theirs)
            if sides.new:
                mask = np.fromiter(map(sides.new.__contains__, theirs), np.bool_, rows.n_rows)
                out[name] = rows.take(mask)
            if sides.changed:
                self.changed.append(
                    Note("record-changed", f"{len(sides.changed)} {name} records changed upstream")
                )
            if sides.conflicting:
                self.conflicts += differing_records(element, sides.conflicting, held, rows)
        return out


def _by_value(column: Array) -> dict[str, Array]:
    """Return the row numbers of each value, values sorted."""
    codes = group_codes([column])
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return {column[index[0]]: index for index in parts if len(index)}
