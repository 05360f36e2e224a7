"""Deciding what a pull does: two snapshots and the baselines, kind by kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns, group_codes
from registry.model.data_id import format_values
from registry.model.refs import id_text
from sync import journal
from sync.closure import close_records, keys_of_datasets, merge_keys
from sync.explain import dataset_type_conflict
from sync.fetching.plan_members import plan_members
from sync.fetching.planning import make_batches
from sync.fetching.sides import Sides
from sync.fetching.taken import Taken, taken_places
from sync.fetching.ways import with_ways
from sync.lookups import known_collections
from sync.manifest import (
    DATASET,
    DATASET_TYPE,
    UPSTREAM,
    baseline_rows,
    dataset_digests,
    dataset_type_digests,
    forgotten_rows,
    record_digests,
    record_kind,
)
from sync.plan_parts import Conflict, DatasetBatch, Note
from sync.pulling.collections import pull_collections, reach_of
from sync.pulling.datasets import DatasetsPart, pull_datasets
from sync.pulling.part import Part
from sync.pulling.plan import PullPlan, Rows
from sync.pulling.policies import FAIL, TAKE, Policies
from sync.pulling.records import RecordsPart, pull_records

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.snapshot import Snapshot
    from sync.fetching.collections import Reach
    from sync.fetching.plan_members import MembersPlan
    from sync.plan import Wanted
    from sync.repo import Repo

__all__ = ["PULL", "Pull"]

PULL = "pull"
"""How pulls are noted in staging's journal."""
_BUILD = "stage build"


class Pull:
    """One planning of a pull.

    Parameters
    ----------
    theirs, ours : Snapshot
        Of upstream and of staging.
    wanted : Wanted
        What the work needs now.
    upstream : Repo
        Whose snapshot `theirs` is.
    policies : Policies
        What becomes of conflicts.
    """

    def __init__(
        self, theirs: Snapshot, ours: Snapshot, wanted: Wanted, upstream: Repo, policies: Policies
    ) -> None:
        self.theirs, self.ours, self.wanted, self.policies = theirs, ours, wanted, policies
        self.root, self.repo_id = upstream.datastore.root, upstream.registry.repo_id
        self.base = _all_baselines(ours)
        self.types = {t.name: t for t in theirs.dataset_types()}
        self.here = {t.name: t for t in ours.dataset_types()}

    def plan(self) -> PullPlan:
        """Compare the two sides.

        Returns
        -------
        PullPlan
            What to take, what stays, and what has to be decided by somebody.
        """
        records = pull_records(self.theirs, self.ours, self.base, self.policies)
        datasets = pull_datasets(self.theirs, self.ours, self.base, self.policies, root=self.root)
        reach = reach_of(self.theirs, self.base, self.wanted.collections)
        closed, missing = self._closed(datasets)
        new_records = self._new_records(records, closed)
        members = self._members(reach, records, datasets, new_records, missing)
        batches, stand_ins = self._new_datasets(datasets, [*missing, *members.dataset_ids])
        if stand_ins:  # what names a dataset that cannot come names the one in its place
            members = self._members(reach, records, datasets, new_records, missing, stand_ins=stand_ins)
        kinds, new_types = self._dataset_types(batches)
        used = {batch.run for batch in batches} | members.used
        collections = pull_collections(
            self.theirs, self.ours, self.base, reach, used=used, gone_datasets=datasets.gone,
            inputs=self.wanted.collections, policies=self.policies,
        )  # fmt: skip
        records.count(new=sum(rows.n_rows for rows in new_records.values()))
        parts = [kinds, records, datasets, collections, _part_of(members)]
        if self.repo_id not in self.base.get(UPSTREAM, {}):
            kinds.baselines[UPSTREAM] = {self.repo_id: self.repo_id}
        return PullPlan(
            Rows(
                new_types, collections.to_write, tuple(collections.gone), new_records, records.changed, records.gone,
                batches, datasets.artifacts, datasets.gone, members.members,
                baseline_rows(_united(part.baselines for part in parts)),
                forgotten_rows(_joined(part.forgotten for part in parts)), tuple(datasets.files),
            ),
            {part.kind: part.counts for part in parts},
            tuple(d for part in parts for d in part.differences),
            tuple(n for part in parts for n in part.notes),
            tuple(c for part in parts for c in part.conflicts),
            sorted(datasets.moved_on),
            {e.operation: e.payload.get("files", ()) for e in journal.entries(self.ours, PULL)},
        )  # fmt: skip

    def _dataset_types(self, batches: Sequence[DatasetBatch]) -> tuple[Part, tuple[DatasetType, ...]]:
        """Compare definitions; a new one comes with what needs it."""
        part, base = Part("dataset-type"), self.base.get(DATASET_TYPE, {})
        names = {k.decode() for k in base} | {t.name for t in self.wanted.dataset_types}
        names |= {batch.dataset_type.name for batch in batches}
        ours = {n: self.here[n] for n in sorted(names & self.here.keys())}
        theirs = {n: self.types[n] for n in sorted(names & self.types.keys())}
        mine, upstream = dataset_type_digests(ours.values()), dataset_type_digests(theirs.values())
        sides = Sides.of(base, mine, upstream)
        differing = sorted((sides.changed | sides.conflicting) & upstream.keys())
        told = [dataset_type_conflict(ours[k.decode()], theirs[k.decode()]) for k in differing]
        settled = sides.new | sides.away | sides.same
        if self.policies.of("dataset-type-differs") == FAIL:
            part.conflicts += with_ways(told)
            part.count(conflict=len(told))
        else:
            part.tell("kept", told)
            part.count(kept=len(told))
            settled |= frozenset(differing)
        new = tuple(theirs[k.decode()] for k in sorted(sides.new | sides.away))
        part.count(
            same=len(sides.same), new=len(new), kept=len((sides.kept & base.keys()) - set(differing)), gone_upstream=len(sides.gone)
        )  # fmt: skip
        part.settle(DATASET_TYPE, base, upstream, settled)
        return part, new

    def _closed(self, datasets: DatasetsPart) -> tuple[dict[str, Columns], list[bytes]]:
        """Return the records of all that is wanted beyond what was fetched, and the datasets that are missing here."""
        ids = list(dict.fromkeys(self.wanted.dataset_ids))
        held = {i for side in datasets.held.values() for i in side["id"].tolist()}
        there = held | self.ours.existing_ids([i for i in ids if i not in held])
        missing = [i for i in ids if i not in there]
        found = self.theirs.datasets_by_id(missing)
        known = {i for rows in found.values() for i in rows["id"].tolist()}
        n_lost = len(set(missing) - known) + len(set(ids) & set(datasets.gone))
        if n_lost:
            text = f"{n_lost} datasets that the graph reads are no longer upstream, and no quantum has read them here"
            datasets.notes.append(Note("inputs-gone", text, f"Build the graph again: {_BUILD}"))
        universe = self.theirs.universe
        keys = [
            keys_of_datasets(universe, self.types[name].dimensions.required, rows)
            for name, rows in found.items()
        ]
        wanted = merge_keys(universe, [self.wanted.records, *keys])
        return close_records(self.theirs, wanted), [i for i in missing if i in known]

    def _new_records(self, records: RecordsPart, closed: Mapping[str, Columns]) -> dict[str, Columns]:
        """Return those records that staging lacks, and note what they are."""
        out = {}
        for name, rows in closed.items():
            element = self.theirs.universe.element(name)
            held = records.held.get(name, rows.take(np.empty(0, np.int64)))
            codes = group_codes([np.concatenate([rows[n], held[n]]) for n in element.required])
            mask = ~np.isin(codes[: rows.n_rows], codes[rows.n_rows :])
            if mask.any():
                out[name] = rows.take(mask)
                records.baselines.setdefault(record_kind(name), {}).update(record_digests(element, out[name]))
        return out

    def _members(
        self,
        reach: Reach,
        records: RecordsPart,
        datasets: DatasetsPart,
        new: Mapping[str, Columns],
        missing: Sequence[bytes],
        *,
        stand_ins: Mapping[bytes, bytes] = {},
    ) -> MembersPlan:
        """Decide about TAGGED and CALIBRATION collections, for all that staging has or is going to have."""
        sides = (records.held, records.changed, new)
        rows = {
            name: Columns.concat([side[name] for side in sides if name in side])
            for name in dict.fromkeys(n for side in sides for n in side)
        }
        names = {k.decode() for k in self.base.get(DATASET_TYPE, {})} | {
            t.name for t in self.wanted.dataset_types
        }
        gone = set(datasets.gone)
        fetched = [i for side in datasets.held.values() for i in side["id"].tolist() if i not in gone]
        return plan_members(
            self.theirs, self.ours, reach.upstream, ids=[*fetched, *missing],
            types=[self.types[n] for n in sorted(names & self.types.keys())], records=rows,
            on_conflict=self.policies.of("member-differs"), stand_ins=stand_ins,
        )  # fmt: skip

    def _new_datasets(
        self, datasets: DatasetsPart, ids: Sequence[bytes]
    ) -> tuple[tuple[DatasetBatch, ...], dict[bytes, bytes]]:
        """Return the datasets that come; and those that do not, with the ones that have their places and stay."""
        there = self.ours.existing_ids(list(ids))
        asked = self.theirs.datasets_by_id([i for i in ids if i not in there], artifacts=True)
        # Of a type that has other dimensions here nothing can come.
        found = {
            n: rows for n, rows in asked.items()
            if self.here.get(n, self.types[n]).dimensions == self.types[n].dimensions
        }  # fmt: skip
        batches = make_batches(self.root, self.types, found, None)
        runs = known_collections(self.ours, {batch.run for batch in batches})
        kept_out: dict[bytes, bytes] = {}
        for taken in taken_places(self.ours, batches, runs):
            kept_out |= self._settle_places(datasets, taken)
        if kept_out:
            known = {i for rows in found.values() for i in rows["id"].tolist()} - kept_out.keys()
            batches = make_batches(self.root, self.types, found, known)
        for batch in batches:
            digests = dataset_digests(
                batch.dataset_type, batch.rows.with_column("run", [batch.run] * batch.rows.n_rows)
            )
            datasets.baselines.setdefault(DATASET, {}).update(digests)
        datasets.count(new=sum(batch.rows.n_rows for batch in batches))
        return (*batches, *datasets.replaced), kept_out

    def _settle_places(self, datasets: DatasetsPart, taken: Taken) -> dict[bytes, bytes]:
        """Decide about data IDs of RUNs that have another dataset here; return what cannot come, and what is there."""
        gone, kept_out, used = set(datasets.gone), dict[bytes, bytes](), []
        dims, policy = taken.dataset_type.dimensions.required, self.policies.of("dataset-exists")
        for *values, run, mine, theirs in taken.rows.rows((*dims, "run", "ours", "upstream")):
            what = f"{taken.dataset_type.name} {{{format_values(dims, tuple(values))}}} in run '{run}'"
            told = Conflict("dataset-exists", "dataset", what, id_text(mine), id_text(theirs))
            if mine in gone:
                continue
            if mine not in datasets.moved_on and policy == TAKE:
                datasets.gone.append(mine)
                datasets.tell("removed", [told])
                continue
            kept_out[theirs] = mine
            if mine in datasets.moved_on:
                used.append(told)
            elif policy == FAIL:
                datasets.conflicts += with_ways([told])
                datasets.count(conflict=1)
            else:
                datasets.tell("kept", [told])
        if used:
            text = f"{len(used)} datasets that quanta have read stay in the place of newer ones (first: {used[0].what})"
            hint = "Take the newer ones: stage pull --on-conflict input-moved=take"
            datasets.notes.append(Note("newer-kept-out", text, hint))
        return kept_out


def _all_baselines(ours: Snapshot) -> dict[str, dict[bytes, bytes]]:
    """Read all that is known of what was fetched, by kind."""
    rows = ours.table("baseline")
    kinds, keys, digests = (rows[n].tolist() for n in ("kind", "key", "digest"))
    ends = [*np.flatnonzero(rows["kind"][1:] != rows["kind"][:-1]).tolist(), len(kinds) - 1] if kinds else []
    out, begin = {}, 0
    for end in ends:
        out[kinds[begin]] = dict(zip(keys[begin : end + 1], digests[begin : end + 1], strict=True))
        begin = end + 1
    return out


def _part_of(members: MembersPlan) -> Part:
    part, counts = Part("member"), members.counts
    part.count(
        same=counts["same"], new=counts["new"], taken=counts["changed-upstream"], removed=counts["gone"],
        kept=counts["kept"], conflict=counts["conflict"],
    )  # fmt: skip
    part.notes += members.changed
    part.conflicts += members.conflicts
    part.baselines = {kind: dict(digests) for kind, digests in members.baselines.items()}
    part.forgotten = {kind: list(keys) for kind, keys in members.forgotten.items()}
    return part


def _united(sides: Iterable[Mapping[str, Mapping[bytes, bytes]]]) -> dict[str, dict[bytes, bytes]]:
    out: dict[str, dict[bytes, bytes]] = {}
    for side in sides:
        for kind, digests in side.items():
            out.setdefault(kind, {}).update(digests)
    return out


def _joined(sides: Iterable[Mapping[str, Sequence[bytes]]]) -> dict[str, list[bytes]]:
    out: dict[str, list[bytes]] = {}
    for side in sides:
        for kind, keys in side.items():
            out[kind] = [*out.get(kind, ()), *keys]
    return out
