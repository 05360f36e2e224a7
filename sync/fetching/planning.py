"""Deciding what a fetch brings: two snapshots are compared, kind by kind."""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import NotFoundError
from registry.model.columns import Array, Columns, group_codes
from registry.model.refs import id_text, parse_id
from sync.closure import close_records, keys_of_datasets, merge_keys
from sync.explain import dataset_type_conflict, differing_datasets, differing_records, existing_datasets
from sync.fetching.collections import find_reach, plan_collections
from sync.fetching.plan_members import plan_members
from sync.fetching.sides import Digests, Sides
from sync.fetching.taken import taken_places
from sync.fetching.ways import with_ways
from sync.found import below
from sync.lookups import known_collections
from sync.manifest import (
    COLLECTION,
    DATASET,
    DATASET_TYPE,
    STAGED,
    UPSTREAM,
    baseline_rows,
    dataset_digests,
    dataset_type_digests,
    forgotten_rows,
    read_baselines,
    record_digests,
    record_kind,
)
from sync.plan import Conflict, DatasetBatch, FetchPlan, Note, Wanted

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.snapshot import Snapshot
    from sync.repo import Repo

__all__ = ["Fetch", "make_batches"]

_REPLACED = (
    "Upstream has replaced what was fetched: 'stage pull' takes the new one. Where a quantum here has read ours, that is "
    "kept, and 'stage pull --on-conflict input-moved=take' takes the new one all the same."
)


class Fetch:
    """One planning of a fetch: the two snapshots, and what has been found so far.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    wanted : Wanted
        What the work needs.
    upstream : Repo
        Whose snapshot `theirs` is.
    """

    def __init__(self, theirs: Snapshot, ours: Snapshot, wanted: Wanted, upstream: Repo) -> None:
        self.theirs = theirs
        self.ours = ours
        self.wanted = wanted
        self.root = upstream.datastore.root
        self.repo_id = upstream.registry.repo_id
        self.is_first = not read_baselines(ours, UPSTREAM)
        self.here = {t.name: t for t in ours.dataset_types()}
        self.counts: dict[str, dict[str, int]] = {}
        self.baselines: dict[str, dict[bytes, bytes]] = {}
        self.changed: list[Note] = []
        self.conflicts: list[Conflict] = []

    def plan(self) -> FetchPlan:
        """Compare the two sides.

        Returns
        -------
        FetchPlan
            What is new, and what differs.

        Raises
        ------
        NotFoundError
            If a dataset or an input collection is on neither side.
        """
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
        types = self.dataset_types(upstream_types, found)
        batches = self.datasets(upstream_types, found, self._held(ids))
        records = self.records(closed)
        runs = {run for rows in found.values() for run in set(rows["run"].tolist())}
        collections = plan_collections(self.theirs, self.ours, reach, runs | members.used)
        self.counts["member"] = members.counts
        self.counts["collection"] = collections.counts
        self.baselines |= {COLLECTION: dict(collections.baselines), STAGED: dict(collections.staged)}
        self.baselines |= {kind: dict(digests) for kind, digests in members.baselines.items()}
        self.bind()
        return FetchPlan(
            types, collections.to_write, records, batches, baseline_rows(self.baselines), self.counts,
            (*self.changed, *collections.changed, *members.changed),
            (*with_ways(self.conflicts), *collections.conflicts, *members.conflicts),
            members.members, forgotten_rows(members.forgotten),
        )  # fmt: skip

    def bind(self) -> None:
        """Note of which repository the baselines speak."""
        if self.is_first or self.repo_id not in read_baselines(self.ours, UPSTREAM):
            self.baselines[UPSTREAM] = {self.repo_id: self.repo_id}

    def _held(self, ids: Sequence[bytes]) -> Mapping[str, Columns]:
        """Return what staging has of some datasets."""
        return self.ours.datasets_by_id(ids, artifacts=True) if self.here else {}

    def _sort(self, kind: str, base_kind: str, ours: Digests, theirs: Digests) -> Sides:
        """Compare one kind of thing, count it, and keep the baselines that are not yet so."""
        base = {} if self.is_first else read_baselines(self.ours, base_kind)
        sides = Sides.of(base, ours, theirs)
        tally = self.counts.setdefault(kind, {})
        for cls, n in sides.counts().items():
            tally[cls] = tally.get(cls, 0) + n
        agreed = theirs if not base and not ours else sides.new | sides.away | sides.same
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
                hint="They were deleted upstream since the graph was built: build it again, with 'stage build'.",
            )
        gone = missing & read_baselines(self.ours, DATASET).keys()
        if gone:
            first = id_text(min(gone))
            self.changed.append(
                Note("dataset-gone", f"{len(gone)} fetched datasets are no longer upstream (first: {first})")
            )

    def _type_names(self, found: Mapping[str, Columns]) -> list[str]:
        return list(dict.fromkeys([*(t.name for t in self.wanted.dataset_types), *found]))

    def dataset_types(
        self, upstream: Mapping[str, DatasetType], found: Mapping[str, Columns]
    ) -> tuple[DatasetType, ...]:
        """Compare the dataset types of the work and of what was found.

        Parameters
        ----------
        upstream : mapping of str to DatasetType
            All that upstream has.
        found : mapping of str to Columns
            Datasets that are wanted, by type.

        Returns
        -------
        tuple of DatasetType
            Those that staging lacks.
        """
        theirs = {name: upstream[name] for name in self._type_names(found) if name in upstream}
        ours = {name: kind for name, kind in self.here.items() if name in theirs}
        sides = self._sort(
            "dataset-type", DATASET_TYPE, dataset_type_digests(ours.values()), dataset_type_digests(theirs.values())
        )  # fmt: skip
        for key in sorted(sides.conflicting | sides.changed):
            name = key.decode()
            self.conflicts.append(dataset_type_conflict(ours[name], theirs[name]))
        new = sides.new | sides.away
        return tuple(theirs[name] for name in theirs if name.encode() in new)

    def datasets(
        self, types: Mapping[str, DatasetType], found: Mapping[str, Columns], held: Mapping[str, Columns]
    ) -> tuple[DatasetBatch, ...]:
        """Compare datasets.

        Parameters
        ----------
        types : mapping of str to DatasetType
            All that upstream has.
        found, held : mapping of str to Columns
            What upstream and staging have of them, with artifacts.

        Returns
        -------
        tuple of DatasetBatch
            Those that staging lacks.
        """
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
        new = sides.new | sides.away if ours else None
        batches = make_batches(self.root, types, found, new)
        self._look_for_places(batches)
        return batches

    def _look_for_places(self, batches: Sequence[DatasetBatch]) -> None:
        """Refuse what could not be written since staging has another dataset in its place."""
        runs = known_collections(self.ours, {batch.run for batch in batches})
        for taken in taken_places(self.ours, batches, runs):
            for run in dict.fromkeys(taken.rows["run"].tolist()):
                rows = taken.rows.take(taken.rows["run"] == run)
                sides = [rows.with_column("id", rows[side]) for side in ("ours", "upstream")]
                fetched = read_baselines(self.ours, DATASET)
                self.conflicts += [
                    replace(found, code="dataset-replaced", hint=_REPLACED)
                    if parse_id(found.ours) in fetched else found
                    for found in existing_datasets(taken.dataset_type, run, *sides)
                ]  # fmt: skip

    def _closed(self, types: Mapping[str, DatasetType], found: Mapping[str, Columns]) -> dict[str, Columns]:
        """Return the records of all that is wanted; what ranges of validity name beside it needs no more of them."""
        universe = self.theirs.universe
        keys = [
            keys_of_datasets(universe, types[name].dimensions.required, rows) for name, rows in found.items()
        ]
        return close_records(self.theirs, merge_keys(universe, [self.wanted.records, *keys]))

    def records(self, closed: Mapping[str, Columns]) -> dict[str, Columns]:
        """Compare dimension records.

        Parameters
        ----------
        closed : mapping of str to Columns
            Element to upstream's, with all that they refer to.

        Returns
        -------
        dict of str to Columns
            Those that staging lacks.
        """
        universe = self.theirs.universe
        out = {}
        for name, rows in closed.items():
            element = universe.element(name)
            theirs = record_digests(element, rows)
            held = self.ours.records(name, keys=rows.select(element.required))
            sides = self._sort("record", record_kind(name), record_digests(element, held), theirs)
            new = sides.new | sides.away
            if new:
                mask = np.fromiter(map(new.__contains__, theirs), np.bool_, rows.n_rows)
                out[name] = rows.take(mask)
            if sides.changed:
                self.changed.append(
                    Note("record-changed", f"{len(sides.changed)} {name} records changed upstream")
                )
            if sides.conflicting:
                self.conflicts += differing_records(element, sides.conflicting, held, rows)
        return out


def make_batches(
    root: str, types: Mapping[str, DatasetType], found: Mapping[str, Columns], chosen: AnyOf[bytes] | None
) -> tuple[DatasetBatch, ...]:
    """Divide datasets by type and RUN, with absolute URIs.

    Parameters
    ----------
    root : str
        Root of the datastore to which URIs are relative.
    types : mapping of str to DatasetType
        By name.
    found : mapping of str to Columns
        Type to rows, with artifacts.
    chosen : collection of bytes or None
        Ids of those that are meant; None for all.

    Returns
    -------
    tuple of DatasetBatch
        Of those that are chosen.
    """
    out = []
    for name, whole in found.items():
        rows = whole
        if chosen is not None:
            mask = np.fromiter(map(chosen.__contains__, whole["id"].tolist()), np.bool_, whole.n_rows)
            rows = whole.take(mask)
        uris = rows["uri"].copy()
        there = uris != np.array(None)
        uris[there] = below(root, uris[there].tolist())
        plain = rows.with_column("uri", uris).select([n for n in rows.names if n != "run"])
        out += [
            DatasetBatch(types[name], run, plain.take(index)) for run, index in _by_value(rows["run"]).items()
        ]
    return tuple(out)


def _by_value(column: Array) -> dict[str, Array]:
    """Return the row numbers of each value, values sorted."""
    codes = group_codes([column])
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return {column[index[0]]: index for index in parts if len(index)}
