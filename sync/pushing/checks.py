"""Our side of a push against upstream's: what is new, same or in conflict, set-wise and read-only.

The same code makes the plan and, inside the publishing transaction, checks it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from registry.model.collections import Collection, CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import id_text
from registry.roles import push_prefix
from sync.compare import compare
from sync.explain import (
    HINTS,
    collection_conflict,
    dataset_type_conflict,
    differing_datasets,
    differing_records,
    existing_datasets,
    taken_alternate_keys,
    universe_conflicts,
)
from sync.lookups import known_collections
from sync.manifest import dataset_digests, record_digests, record_kind
from sync.plan import CampaignInfo, ChainMove, Conflict, DatasetBatch, Note, Outgoing, PushPlan
from sync.pushing.artifacts import check_artifacts
from sync.pushing.outgoing import members

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = ["check"]


def check(
    outgoing: Outgoing,
    upstream: Snapshot,
    *,
    campaign: CampaignInfo,
    chain: str | None = None,
    register_dataset_types: bool = False,
    warn: bool = True,
) -> PushPlan:
    """Compare what is to go with what upstream has.

    Parameters
    ----------
    outgoing : Outgoing
        Our side.
    upstream : Snapshot
        Upstream's, or a transaction on it.
    campaign : CampaignInfo
        Who pushes.
    chain : str, optional
        The chain to put the RUNs in.
    register_dataset_types : bool
        Whether dataset types that upstream lacks may be defined there.
    warn : bool
        Whether to look for inputs that upstream will not have.

    Returns
    -------
    PushPlan
        Complete but for what lies in upstream's datastore.

    Raises
    ------
    IntegrityError
        If what staging says of an artifact is of the wrong kind; names its dataset.

    Notes
    -----
    A fixed number of queries a dataset type and a dimension element, whatever the number of rows.
    """
    return _Check(outgoing, upstream, campaign, chain, register=register_dataset_types, warn=warn).plan()


class _Check:
    """One comparison: both sides, and what has been found so far."""

    def __init__(
        self,
        outgoing: Outgoing,
        upstream: Snapshot,
        campaign: CampaignInfo,
        chain: str | None,
        *,
        register: bool,
        warn: bool,
    ) -> None:
        self.outgoing = outgoing
        self.upstream = upstream
        self.campaign = campaign
        self.chain = chain
        self.register = register
        self.warn = warn
        self.conflicts: list[Conflict] = []
        self.counts: dict[str, dict[str, int]] = {}
        self.ids = [batch.rows["id"].tolist() for batch in outgoing.batches]
        self.new_artifacts: list[DatasetBatch] = []
        self.unasked: set[str] = set()

    def plan(self) -> PushPlan:
        out = self.outgoing
        check_artifacts(out.batches)
        self.conflicts += universe_conflicts(out.universe, out.schema_version, self.upstream)
        if self.conflicts:  # nothing else can be compared
            return self._plan(quanta=_no_rows(out.quanta))
        self._check_allowed()
        known = known_collections(self.upstream, [*out.runs, *([self.chain] if self.chain else ())])
        new_runs = self._runs(known)
        new_types = self._dataset_types()
        held = self.upstream.existing_ids([i for ids in self.ids for i in ids])
        datasets = self._datasets(held, {t.name for t in new_types}, set(new_runs))
        records = self._records()
        quanta = self._quanta([run for run in out.runs if run in known and run not in self.unasked])
        return self._plan(
            new_runs=new_runs, new_types=new_types, new_records=records, new_datasets=datasets, quanta=quanta,
            chain=self._chain(known), warnings=self._warnings(held) if self.warn else (),
        )  # fmt: skip

    def _plan(
        self,
        *,
        quanta: Columns,
        new_runs: tuple[str, ...] = (),
        new_types: tuple[DatasetType, ...] = (),
        new_records: Mapping[str, Columns] | None = None,
        new_datasets: tuple[DatasetBatch, ...] = (),
        chain: ChainMove | None = None,
        warnings: tuple[Note, ...] = (),
    ) -> PushPlan:
        out, sent = self.outgoing, frozenset(quanta["id"].tolist()) if quanta.n_rows else frozenset()
        inputs, outputs = (
            rows
            if quanta.n_rows == out.quanta.n_rows
            else rows.take(members(rows["quantum_id"].tolist(), sent))
            for rows in (out.quantum_inputs, out.quantum_outputs)
        )
        return PushPlan(
            outgoing=out, campaign=self.campaign, chain_name=self.chain, register_dataset_types=self.register,
            new_runs=new_runs, new_types=new_types, new_records=new_records or {}, new_datasets=new_datasets,
            new_artifacts=tuple(self.new_artifacts), new_quanta=quanta, new_inputs=inputs, new_outputs=outputs,
            chain=chain, counts=self.counts, conflicts=tuple(self.conflicts), warnings=(*out.notes, *warnings),
        )  # fmt: skip

    def _count(self, kind: str, **classes: int) -> None:
        tally = self.counts.setdefault(kind, {})
        for name, n in classes.items():
            cls = name.replace("_", "-")
            tally[cls] = tally.get(cls, 0) + n

    def _check_allowed(self) -> None:
        """See that this user may write collections of these names, where upstream says who may."""
        prefix = push_prefix(self.upstream)
        if prefix is None:
            return
        for kind, name in [("run", run) for run in self.outgoing.runs] + [("chain", self.chain)]:
            if name is not None and not (prefix and name.startswith(prefix)):
                self.conflicts.append(_not_allowed(kind, name, prefix))

    def _runs(self, known: Mapping[str, Collection]) -> tuple[str, ...]:
        for run in self.outgoing.runs:
            if run in known and known[run].type is not CollectionType.RUN:
                self.conflicts.append(collection_conflict(run, "RUN", known[run].type.name))
                self.unasked.add(run)
        new = tuple(run for run in self.outgoing.runs if run not in known)
        self._count("run", new=len(new), same=len(self.outgoing.runs) - len(new))
        return new

    def _dataset_types(self) -> tuple[DatasetType, ...]:
        theirs = {t.name: t for t in self.upstream.dataset_types()}
        ours = {batch.dataset_type.name: batch.dataset_type for batch in self.outgoing.batches}
        new = []
        for name, mine in ours.items():
            if name not in theirs and self.register:
                new.append(mine)
            elif name not in theirs or mine.differences(theirs[name]):
                self.conflicts.append(dataset_type_conflict(mine, theirs.get(name)))
                self.unasked.add(name)
        self._count("dataset-type", new=len(new), same=len(ours.keys() & theirs.keys()))
        return tuple(new)

    def _records(self) -> dict[str, Columns]:
        out = {}
        for name, rows in self.outgoing.records.items():
            element = self.outgoing.universe.element(name)
            theirs = self.upstream.records(name, keys=rows.select(element.required))
            ours, there = record_digests(element, rows), record_digests(element, theirs)
            base = self.outgoing.baselines.get(record_kind(name), {})
            found = compare({key: base[key] for key in base.keys() & ours.keys()}, ours, there)
            new = found.ahead - there.keys()
            # Upstream's records are never changed by a push, and one that was taken away is not put back.
            bad = (found.ahead & there.keys()) | found.conflicting | (found.behind - there.keys())
            if bad:
                self.conflicts += differing_records(element, bad, rows, theirs)
            if new:
                out[name] = rows.take(members(list(ours), new))
                self.conflicts += taken_alternate_keys(element, out[name], self.upstream)
            kept = len(found.behind & there.keys())
            self._count(
                "record", new=len(new), same=len(found.same), changed_upstream=kept, conflict=len(bad)
            )
        return out

    def _datasets(
        self, held: set[bytes], new_types: set[str], new_runs: set[str]
    ) -> tuple[DatasetBatch, ...]:
        if held:
            self._compare_held(held)
        out = []
        for batch, ids in zip(self.outgoing.batches, self.ids, strict=True):
            rows = batch.rows
            if held:
                rows = rows.take(~members(ids, held))
            self._count("dataset", new=rows.n_rows, same=len(ids) - rows.n_rows)
            if not rows.n_rows:
                continue
            new = DatasetBatch(batch.dataset_type, batch.run, rows)
            if batch.run not in new_runs and batch.dataset_type.name not in new_types:
                new = self._without_taken(new)
            if new.rows.n_rows:
                out.append(new)
        return tuple(out)

    def _without_taken(self, batch: DatasetBatch) -> DatasetBatch:
        """Find new datasets whose data ID the RUN upstream has under another id, and leave them out."""
        if batch.dataset_type.name in self.unasked or batch.run in self.unasked:
            return batch  # in conflict itself: the question would have no meaning
        dims = batch.dataset_type.dimensions.required
        theirs = self.upstream.datasets(
            batch.dataset_type.name, [batch.run], find_first=False, table=batch.rows.select(dims)
        )
        if not theirs.n_rows:
            return batch
        found = existing_datasets(batch.dataset_type, batch.run, batch.rows, theirs)
        self.conflicts += found
        self._count("dataset", new=-len(found), conflict=len(found))
        taken = set(theirs.rows(dims))
        free = np.array([values not in taken for values in batch.rows.rows(dims)], np.bool_)
        return DatasetBatch(batch.dataset_type, batch.run, batch.rows.take(free))

    def _compare_held(self, held: set[bytes]) -> None:
        """Compare the content of datasets that upstream has under the same id."""
        theirs = self.upstream.datasets_by_id(list(held), artifacts=True)
        types = {t.name: t for t in self.upstream.dataset_types()}
        there: dict[bytes, bytes] = {}
        without: set[bytes] = set()
        for name, rows in theirs.items():
            there |= dataset_digests(types[name], rows)
            without |= _ids_without_artifact(rows)
        here: dict[bytes, bytes] = {}
        mine: dict[str, list[Columns]] = {}
        for batch, ids in zip(self.outgoing.batches, self.ids, strict=True):
            rows = batch.rows.take(members(ids, held))
            rows = rows.with_column("run", [batch.run] * rows.n_rows)
            here |= dataset_digests(batch.dataset_type, rows)
            mine.setdefault(batch.dataset_type.name, []).append(rows)
        unlike = {key for key, digest in here.items() if there.get(key) != digest}
        if unlike:
            self._judge_unlike(
                unlike, without, types, {n: Columns.concat(p) for n, p in mine.items()}, theirs
            )

    def _judge_unlike(
        self,
        unlike: set[bytes],
        without: set[bytes],
        types: Mapping[str, DatasetType],
        ours: Mapping[str, Columns],
        theirs: Mapping[str, Columns],
    ) -> None:
        """Tell real differences from artifacts that one side does not have (any more)."""
        types = {**{b.dataset_type.name: b.dataset_type for b in self.outgoing.batches}, **types}
        found = differing_datasets(unlike, types, ours, theirs)
        self.conflicts += found
        self._count("dataset", same=-len(found), conflict=len(found))
        if found:
            return
        for batch, ids in zip(self.outgoing.batches, self.ids, strict=True):
            lacking = members(ids, without & unlike)
            rows = batch.rows.take(
                lacking & np.array([uri is not None for uri in batch.rows["uri"].tolist()], np.bool_)
            )
            if rows.n_rows:
                self.new_artifacts.append(DatasetBatch(batch.dataset_type, batch.run, rows))

    def _quanta(self, runs: Sequence[str]) -> Columns:
        ours = self.outgoing.quanta
        if not ours.n_rows:
            return ours
        new = ours
        if runs:
            theirs = set(self.upstream.quanta(runs, latest=False).rows())
            new = ours.take(np.array([row not in theirs for row in ours.rows()], dtype=np.bool_))
        self._count("quantum", new=new.n_rows, same=ours.n_rows - new.n_rows)
        return new

    def _chain(self, known: Mapping[str, Collection]) -> ChainMove | None:
        if self.chain is None or not self.outgoing.runs:
            return None
        found = known.get(self.chain)
        if found is not None and found.type is not CollectionType.CHAINED:
            self.conflicts.append(collection_conflict(self.chain, "CHAINED", found.type.name))
            return None
        before = found.children if found is not None else ()
        # A RUN that the chain has keeps its place: pushing an old one again does not put it before newer ones.
        new = tuple(run for run in self.outgoing.runs if run not in before)
        if not new and found is not None:
            return None
        return ChainMove(self.chain, None if found is None else before, (*new, *before))

    def _warnings(self, held: set[bytes]) -> tuple[Note, ...]:
        """Name inputs of our quanta that upstream will not have."""
        used = (
            set(self.outgoing.quantum_inputs["dataset_id"].tolist())
            if self.outgoing.quantum_inputs.n_rows
            else set()
        )
        for ids in self.ids:
            used -= set(ids)
        missing = used - held
        missing -= self.upstream.existing_ids(list(missing)) if missing else set()
        gone, unpushed = missing & self.outgoing.fetched_inputs, missing - self.outgoing.fetched_inputs
        out = []
        if gone:
            text = f"{len(gone):,} input datasets are no longer upstream (first: {id_text(min(gone))})"
            out.append(Note("input-gone", text, "Provenance keeps their ids."))
        if unpushed:
            text = f"{len(unpushed):,} input datasets are not upstream and not pushed (first: {id_text(min(unpushed))})"
            out.append(
                Note(
                    "input-not-pushed",
                    text,
                    "Push the RUN that holds them too, or leave provenance as it is.",
                )
            )
        return tuple(out)


def _not_allowed(kind: str, name: str, prefix: str) -> Conflict:
    """Say that a collection's name is outside what this user may write upstream."""
    code = "name-not-allowed"
    allowed = f"names that begin with {prefix}" if prefix else "no names: this user only reads"
    return Conflict(code, kind, f"{kind} '{name}'", name, allowed, HINTS[code])


def _no_rows(rows: Columns) -> Columns:
    return rows.take(np.zeros(rows.n_rows, dtype=np.bool_))


def _ids_without_artifact(rows: Columns) -> set[bytes]:
    uris = rows["uri"].tolist()
    return (
        {i for i, uri in zip(rows["id"].tolist(), uris, strict=True) if uri is None}
        if None in uris
        else set()
    )
