"""Our side of a push against upstream's: what is new, same or in conflict, set-wise and read-only.

The same code makes the plan and, inside the publishing transaction, checks it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from registry.model.collections import Collection, CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.roles import push_prefix
from sync.compare import compare
from sync.explain import (
    collection_conflict,
    conflict,
    dataset_type_conflict,
    differing_records,
    universe_conflicts,
)
from sync.lookups import known_collections
from sync.manifest import record_digests, record_kind
from sync.plan import CampaignInfo, ChainMove, Conflict, Note, Outgoing, PushPlan
from sync.pushing.accounts import kept_note, of_earlier_attempts
from sync.pushing.alternate_keys import taken_alternate_keys
from sync.pushing.artifacts import check_artifacts
from sync.pushing.asking import Terms
from sync.pushing.datasets import DatasetsFound, compare_datasets
from sync.pushing.findings import Findings
from sync.pushing.inputs import missing_inputs
from sync.pushing.leaving_out import with_expressions
from sync.pushing.members import members
from sync.pushing.needed import needed_records
from sync.pushing.provenance import quanta_that_stay
from sync.pushing.replacing import head_conflict
from sync.pushing.winners import with_winners

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
    terms: Terms | None = None,
    blocked: Mapping[bytes, Conflict] | None = None,
    staging: Snapshot | None = None,
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
    terms : Terms, optional
        What becomes of conflicts; by default any refuses the push.
    blocked : mapping of bytes to Conflict, optional
        Ids of datasets whose file cannot go, since a policy leaves another one there.
    staging : Snapshot, optional
        Of the staging registry, to name the inputs that upstream will not have.
    warn : bool
        Whether to look for these where they are no conflict.

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
    found = _Check(outgoing, upstream, campaign, chain, terms or Terms(), register=register_dataset_types)
    return found.plan(blocked or {}, staging, warn=warn)


class _Check:
    """One comparison: both sides, and what has been found so far."""

    def __init__(
        self,
        outgoing: Outgoing,
        upstream: Snapshot,
        campaign: CampaignInfo,
        chain: str | None,
        terms: Terms,
        *,
        register: bool,
    ) -> None:
        self.outgoing = outgoing
        self.upstream = upstream
        self.campaign = campaign
        self.chain = chain
        self.terms = terms
        self.register = register
        self.findings = Findings(terms.policies)
        self.unasked: set[str] = set()

    def plan(self, blocked: Mapping[bytes, Conflict], staging: Snapshot | None, *, warn: bool) -> PushPlan:
        out = self.outgoing
        check_artifacts(out.batches)
        self.findings.judge(universe_conflicts(out.universe, out.schema_version, self.upstream))
        if self.findings.conflicts:  # nothing else can be compared
            return self._with_findings(self._with_rows(self._empty(), _no_rows(out.quanta)))
        self._check_allowed()
        known = known_collections(self.upstream, [*out.runs, *([self.chain] if self.chain else ())])
        new_runs = self._runs(known)
        new_types = self._dataset_types()
        datasets = compare_datasets(
            out.batches, self.upstream, self.findings, unasked=self.unasked, blocked=blocked,
            new_types={t.name for t in new_types}, new_runs=set(new_runs),
            earlier=lambda ids: of_earlier_attempts(out, self.upstream, ids),
        )  # fmt: skip
        records = self._records(datasets)
        quanta = self._quanta([run for run in out.runs if run in known and run not in self.unasked], datasets)
        plan = replace(
            self._empty(), new_runs=new_runs, new_types=new_types, new_records=records, new_datasets=datasets.new,
            new_artifacts=datasets.artifacts, chain=self._chain(known), left_out=datasets.left_out, blocked=blocked,
        )  # fmt: skip
        plan = self._with_rows(plan, quanta)
        if datasets.kept:
            plan = replace(plan, warnings=(*plan.warnings, kept_note(datasets.kept, out)))
        if warn or self.terms.strict_inputs:
            plan = replace(plan, warnings=(*plan.warnings, *self._inputs(plan, datasets, staging)))
        return self._with_findings(plan)

    def _empty(self) -> PushPlan:
        none = Columns({})
        return PushPlan(
            outgoing=self.outgoing, campaign=self.campaign, chain_name=self.chain,
            register_dataset_types=self.register, new_runs=(), new_types=(), new_records={}, new_datasets=(),
            new_artifacts=(), new_quanta=none, new_inputs=none, new_outputs=none, chain=None,
            counts=self.findings.counts, conflicts=tuple(self.findings.conflicts), warnings=self.outgoing.notes,
            terms=self.terms,
        )  # fmt: skip

    def _with_rows(self, plan: PushPlan, quanta: Columns) -> PushPlan:
        """Take in quanta, and what these read and made."""
        out, sent = self.outgoing, frozenset(quanta["id"].tolist()) if quanta.n_rows else frozenset()
        inputs, outputs = (
            rows
            if quanta.n_rows == out.quanta.n_rows
            else rows.take(members(rows["quantum_id"].tolist(), sent))
            for rows in (out.quantum_inputs, out.quantum_outputs)
        )
        return replace(plan, new_quanta=quanta, new_inputs=inputs, new_outputs=outputs)

    def _with_findings(self, plan: PushPlan) -> PushPlan:
        """Take in conflicts, each with who was first and with the way on from just this push."""
        asked = self.terms.asked
        found = with_winners(with_expressions(self.findings.conflicts, self.outgoing, asked), self.upstream)
        skipped = with_winners(self.findings.skipped, self.upstream)
        return replace(plan, conflicts=asked.fill(found), skipped=tuple(skipped))

    def _check_allowed(self) -> None:
        """See that this user may write collections of these names, where upstream says who may."""
        prefix = push_prefix(self.upstream)
        if prefix is None:
            return
        allowed = f"names that begin with {prefix}" if prefix else "no names: this user only reads"
        for kind, name in [("run", run) for run in self.outgoing.runs] + [("chain", self.chain)]:
            if name is not None and not (prefix and name.startswith(prefix)):
                self.findings.judge([conflict("name-not-allowed", kind, f"{kind} '{name}'", name, allowed)])

    def _runs(self, known: Mapping[str, Collection]) -> tuple[str, ...]:
        for run in self.outgoing.runs:
            if run in known and known[run].type is not CollectionType.RUN:
                self.findings.judge([collection_conflict(run, "RUN", known[run].type.name)])
                self.unasked.add(run)
        new = tuple(run for run in self.outgoing.runs if run not in known)
        self.findings.count("run", new=len(new), same=len(self.outgoing.runs) - len(new))
        return new

    def _dataset_types(self) -> tuple[DatasetType, ...]:
        theirs = {t.name: t for t in self.upstream.dataset_types()}
        ours = {batch.dataset_type.name: batch.dataset_type for batch in self.outgoing.batches}
        new, differing = [], []
        for name, mine in ours.items():
            if name not in theirs and self.register:
                new.append(mine)
            elif name not in theirs or mine.differences(theirs[name]):
                differing.append(dataset_type_conflict(mine, theirs.get(name)))
                self.unasked.add(name)
        self.findings.judge(differing)
        self.findings.count("dataset-type", new=len(new), same=len(ours.keys() & theirs.keys()))
        return tuple(new)

    def _records(self, datasets: DatasetsFound) -> dict[str, Columns]:
        out = {}
        for name, rows in needed_records(self.outgoing, datasets.left_out).items():
            element = self.outgoing.universe.element(name)
            theirs = self.upstream.records(name, keys=rows.select(element.required))
            ours, there = record_digests(element, rows), record_digests(element, theirs)
            base = self.outgoing.baselines.get(record_kind(name), {})
            found = compare({key: base[key] for key in base.keys() & ours.keys()}, ours, there)
            new = found.ahead - there.keys()
            # Upstream's records are never changed by a push, and one that was taken away is not put back.
            bad = (found.ahead & there.keys()) | found.conflicting | (found.behind - there.keys())
            skipped = self.findings.judge(differing_records(element, bad, rows, theirs)) if bad else []
            if new:
                out[name] = rows.take(members(list(ours), new))
                self.findings.judge(taken_alternate_keys(element, out[name], self.upstream))
            kept = len(found.behind & there.keys())
            self.findings.count(
                "record", new=len(new), same=len(found.same), changed_upstream=kept,
                conflict=len(bad) - len(skipped), skipped=len(skipped),
            )  # fmt: skip
        return out

    def _quanta(self, runs: Sequence[str], datasets: DatasetsFound) -> Columns:
        ours = self.outgoing.quanta
        if not ours.n_rows:
            return ours
        links = self.outgoing.quantum_inputs, self.outgoing.quantum_outputs
        going = (
            {i for b in self.outgoing.batches for i in b.rows["id"].tolist()} if datasets.left_out else set()
        )
        going -= datasets.left_out
        chosen = bool(self.outgoing.where)
        if staying := quanta_that_stay(datasets.left_out, going, *links, chosen=chosen):
            mine = members(ours["id"].tolist(), staying)
            self.findings.count("quantum", skipped=int(mine.sum()))
            ours = ours.take(~mine)
        new = ours
        if runs and ours.n_rows:
            theirs = set(self.upstream.quanta(runs, latest=False).rows())
            new = ours.take(np.array([row not in theirs for row in ours.rows()], dtype=np.bool_))
        self.findings.count("quantum", new=new.n_rows, same=ours.n_rows - new.n_rows)
        return new

    def _chain(self, known: Mapping[str, Collection]) -> ChainMove | None:
        if self.chain is None or not self.outgoing.runs:
            return None
        found = known.get(self.chain)
        if found is not None and found.type is not CollectionType.CHAINED:
            self.findings.judge([collection_conflict(self.chain, "CHAINED", found.type.name)])
            return None
        before = found.children if found is not None else ()
        # A RUN that the chain has keeps its place: pushing an old one again does not put it before newer ones.
        expected = None if found is None else before
        # Of several that replace one only the newest can have its place; given again, it has it.
        runs = self.outgoing.runs[:1] if self.terms.replace_run else self.outgoing.runs
        new = tuple(run for run in runs if run not in before)
        if not new and found is not None:
            return None
        if not self.terms.replace_run:
            return ChainMove(self.chain, expected, (*new, *before))
        if not_ours := head_conflict(self.upstream, self.campaign, self.chain, expected):
            skipped = self.findings.judge([not_ours])
            return ChainMove(self.chain, expected, (*new, *before)) if skipped else None
        return ChainMove(self.chain, expected, (*new, *before[1:]), before[0])

    def _inputs(self, plan: PushPlan, datasets: DatasetsFound, staging: Snapshot | None) -> list[Note]:
        """Name inputs of quanta that go which upstream will not have: as conflicts, or as what is returned."""
        missing = missing_inputs(
            self.outgoing, plan.new_inputs, self.upstream, staging,
            left_out=datasets.left_out, other=datasets.other | datasets.kept, asked=self.terms.asked,
        )  # fmt: skip
        if not self.terms.strict_inputs:
            return [found.note() for found in missing]
        skipped = {c.code for c in self.findings.judge(found.conflict() for found in missing)}
        return [found.note() for found in missing if found.code in skipped]


def _no_rows(rows: Columns) -> Columns:
    return rows.take(np.zeros(rows.n_rows, dtype=np.bool_))
