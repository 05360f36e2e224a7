"""Our datasets against upstream's: new, same, taken by others, or of other content; set-wise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns
from registry.model.refs import parse_id
from sync.explain import differing_datasets, existing_datasets
from sync.manifest import dataset_digests
from sync.plan_parts import Conflict, DatasetBatch
from sync.pushing.members import members

if TYPE_CHECKING:
    from registry.model.dataset_type import DatasetType
    from registry.snapshot import Snapshot
    from sync.pushing.findings import Findings

__all__ = ["DatasetsFound", "compare_datasets"]

_BYTES = frozenset({"size", "checksum"})


@dataclass(frozen=True)
class DatasetsFound:
    """What became of datasets in a comparison.

    Parameters
    ----------
    new : tuple of DatasetBatch
        To be inserted.
    artifacts : tuple of DatasetBatch
        Those that upstream has without their artifacts, which we have.
    held : frozenset of bytes
        Ids that upstream has.
    left_out : frozenset of bytes
        Ids of those that stay here by a policy.
    other : frozenset of bytes
        Of these, ids that upstream has with other content.
    kept : frozenset of bytes
        Ids of logs and metadata that upstream keeps of earlier attempts.
    """

    new: tuple[DatasetBatch, ...]
    artifacts: tuple[DatasetBatch, ...]
    held: frozenset[bytes]
    left_out: frozenset[bytes]
    other: frozenset[bytes]
    kept: frozenset[bytes]


def compare_datasets(
    batches: Sequence[DatasetBatch],
    upstream: Snapshot,
    findings: Findings,
    *,
    unasked: Set[str],
    blocked: Mapping[bytes, Conflict],
    new_types: Set[str],
    new_runs: Set[str],
    earlier: Callable[[Set[bytes]], Set[bytes]],
) -> DatasetsFound:
    """Compare the datasets that were chosen with what upstream has.

    Parameters
    ----------
    batches : sequence of DatasetBatch
        Ours.
    upstream : Snapshot
        Upstream's, or a transaction on it.
    findings : Findings
        Takes conflicts and counts.
    unasked : set of str
        Names of types and RUNs that are in conflict themselves.
    blocked : mapping of bytes to Conflict
        Ids of datasets whose file cannot go, since a policy leaves another one there.
    new_types, new_runs : set of str
        What upstream lacks: nothing can be in it.
    earlier : callable
        Of ids that upstream has with other content returns those that it keeps: see `sync.pushing.accounts`.

    Returns
    -------
    DatasetsFound
        Each dataset in its class.

    Notes
    -----
    A fixed number of queries a dataset type and RUN.
    """
    compared = _Datasets(batches, upstream, findings, unasked, earlier)
    compared.leave_out_types()
    compared.leave_out_blocked(blocked)
    compared.compare_held()
    return compared.found(new_types, new_runs)


class _Datasets:
    """One comparison of datasets."""

    def __init__(
        self,
        batches: Sequence[DatasetBatch],
        upstream: Snapshot,
        findings: Findings,
        unasked: Set[str],
        earlier: Callable[[Set[bytes]], Set[bytes]],
    ) -> None:
        self.batches = list(batches)
        self.upstream = upstream
        self.findings = findings
        self.unasked = unasked
        self.earlier = earlier
        self.ids = [batch.rows["id"].tolist() for batch in batches]
        self.held: set[bytes] = set()
        self.other: set[bytes] = set()
        self.kept: set[bytes] = set()
        self.left_out: set[bytes] = set()
        self.artifacts: list[DatasetBatch] = []

    def leave_out_types(self) -> None:
        """Leave out the types that policies leave out."""
        names = {c.about["dataset_type"] for c in self.findings.skipped if c.kind == "dataset-type"}
        for batch, ids in zip(self.batches, self.ids, strict=True):
            if batch.dataset_type.name in names:
                self._leave_out(set(ids))
        kept = [i for i, batch in enumerate(self.batches) if batch.dataset_type.name not in names]
        self.batches, self.ids = [self.batches[i] for i in kept], [self.ids[i] for i in kept]

    def leave_out_blocked(self, blocked: Mapping[bytes, Conflict]) -> None:
        """Leave out what cannot go, wherever it is."""
        if not blocked:
            return
        there = blocked.keys() & {i for ids in self.ids for i in ids}
        self.findings.judge(blocked[i] for i in sorted(there))
        self._leave_out(there)
        self.batches = [self._without(batch, there) for batch in self.batches]
        self.ids = [batch.rows["id"].tolist() for batch in self.batches]

    def _leave_out(self, ids: Set[bytes]) -> None:
        self.left_out |= ids
        self.findings.count("dataset", skipped=len(ids))

    @staticmethod
    def _without(batch: DatasetBatch, ids: Set[bytes]) -> DatasetBatch:
        rows = batch.rows
        return DatasetBatch(batch.dataset_type, batch.run, rows.take(~members(rows["id"].tolist(), ids)))

    def compare_held(self) -> None:
        """Compare the content of datasets that upstream has under the same id."""
        held = self.held = self.upstream.existing_ids([i for ids in self.ids for i in ids])
        if not held:
            return
        theirs = self.upstream.datasets_by_id(list(held), artifacts=True)
        types = {t.name: t for t in self.upstream.dataset_types()}
        there: dict[bytes, bytes] = {}
        without: set[bytes] = set()
        for name, rows in theirs.items():
            there |= dataset_digests(types[name], rows)
            without |= _ids_without_artifact(rows)
        here: dict[bytes, bytes] = {}
        mine: dict[str, list[Columns]] = {}
        for batch, ids in zip(self.batches, self.ids, strict=True):
            rows = batch.rows.take(members(ids, held))
            rows = rows.with_column("run", [batch.run] * rows.n_rows)
            here |= dataset_digests(batch.dataset_type, rows)
            mine.setdefault(batch.dataset_type.name, []).append(rows)
        unlike = {key for key, digest in here.items() if there.get(key) != digest}
        if unlike:
            ours = {name: Columns.concat(parts) for name, parts in mine.items()}
            self._judge_unlike(unlike, without, types, ours, theirs)

    def _judge_unlike(
        self,
        unlike: set[bytes],
        without: set[bytes],
        types: Mapping[str, DatasetType],
        ours: Mapping[str, Columns],
        theirs: Mapping[str, Columns],
    ) -> None:
        """Tell real differences from artifacts that one side does not have (any more)."""
        types = {**{b.dataset_type.name: b.dataset_type for b in self.batches}, **types}
        found = differing_datasets(unlike, types, ours, theirs)
        in_bytes = {parse_id(c.about["id"]) for c in found if c.about["fields"].keys() <= _BYTES}
        self.kept = set(self.earlier(in_bytes)) if in_bytes else set()
        found = [c for c in found if parse_id(c.about["id"]) not in self.kept]
        self.other = {parse_id(c.about["id"]) for c in self.findings.judge(found)}
        self._leave_out(self.other)
        self.findings.count(
            "dataset", same=-len(found) - len(self.kept), conflict=len(found) - len(self.other)
        )
        if self.kept:
            self.findings.count("dataset", kept=len(self.kept))
        lacking = (without & unlike) - {parse_id(c.about["id"]) for c in found}
        for batch, ids in zip(self.batches, self.ids, strict=True):
            ours_is = np.array([uri is not None for uri in batch.rows["uri"].tolist()], np.bool_)
            rows = batch.rows.take(members(ids, lacking) & ours_is)
            if rows.n_rows:
                self.artifacts.append(DatasetBatch(batch.dataset_type, batch.run, rows))

    def found(self, new_types: Set[str], new_runs: Set[str]) -> DatasetsFound:
        """Find out what is new."""
        out = []
        for batch, ids in zip(self.batches, self.ids, strict=True):
            new = self._without(batch, self.held) if self.held else batch
            n_new = new.rows.n_rows
            self.findings.count("dataset", new=n_new, same=len(ids) - n_new)
            if n_new and batch.run not in new_runs and batch.dataset_type.name not in new_types:
                new = self._without_taken(new)
            if new.rows.n_rows:
                out.append(new)
        return DatasetsFound(
            tuple(out), tuple(self.artifacts), frozenset(self.held), frozenset(self.left_out), frozenset(self.other),
            frozenset(self.kept),
        )  # fmt: skip

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
        skipped = {parse_id(c.about["id"]) for c in self.findings.judge(found)}
        self._leave_out(skipped)
        self.findings.count("dataset", new=-len(found), conflict=len(found) - len(skipped))
        taken = set(theirs.rows(dims))
        free = np.array([values not in taken for values in batch.rows.rows(dims)], np.bool_)
        return DatasetBatch(batch.dataset_type, batch.run, batch.rows.take(free))


def _ids_without_artifact(rows: Columns) -> set[bytes]:
    uris = rows["uri"].tolist()
    if None not in uris:
        return set()
    return {i for i, uri in zip(rows["id"].tolist(), uris, strict=True) if uri is None}
