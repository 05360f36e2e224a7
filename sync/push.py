"""Pushing RUN collections upstream: plan, then transfer, commit, acknowledge.

The plan is read-only on both sides and is what a dry run shows. Executing it puts the artifacts in place and makes
them durable, checks the plan again inside one upstream transaction and inserts set-wise there, then notes in staging
that it is done. A process that dies anywhere in between leaves upstream as it was but for files that no row names,
or with all of it; the same push again completes or finds that it had.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sync import journal
from sync.explain import artifact_conflict, refusal
from sync.faults import At, no_fault
from sync.found import in_the_way
from sync.ledger import record_push
from sync.plan import CampaignInfo, Conflict, Note, PushPlan
from sync.pushing.adopting import Adoption, adoption_of
from sync.pushing.asking import Asked, Terms
from sync.pushing.chains import with_chain_now
from sync.pushing.checks import check
from sync.pushing.inserted import inserted_by
from sync.pushing.moving import (
    check_in_place,
    check_local,
    in_conflict,
    move,
    new_artifacts,
    withdraw_unnamed,
)
from sync.pushing.outgoing import gather
from sync.pushing.policies import Policies
from sync.pushing.settled import VERB, acknowledge, begin, note, settled_plan
from sync.transfer import Mode, TransferResult
from sync.withdrawals import state_of_withdrawals

if TYPE_CHECKING:
    from registry.change import Change
    from registry.snapshot import Snapshot
    from sync.repo import Repo

__all__ = ["PushResult", "check_local", "execute_push", "new_artifacts", "plan_push"]

_AGAIN = "Run 'stage push' again: what has arrived is not moved twice."


@dataclass(frozen=True)
class PushResult:
    """What a push did.

    Parameters
    ----------
    push_id : bytes or None
        Its id in upstream's ledger; None if upstream had it all.
    counts : mapping
        Kind to class to number, of what was done.
    moved, found : int
        Artifacts that were put in place, and that were there already.
    size_bytes : int
        Bytes of those put in place.
    linked : bool
        Whether they were linked rather than copied.
    warnings : tuple of Note
        The plan's.
    locked_s : float
        For how long nobody else could write upstream, in seconds; readers never wait.
    plan : PushPlan, optional
        What was done: the plan as it was inside the transaction, where there was one.
    adopted : bool
        Whether artifacts stayed where they are rather than being put in place.
    """

    push_id: bytes | None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    moved: int = 0
    found: int = 0
    size_bytes: int = 0
    linked: bool = False
    warnings: tuple[Note, ...] = ()
    locked_s: float = 0.0
    plan: PushPlan | None = None
    adopted: bool = False


def plan_push(
    staging: Repo,
    upstream: Repo,
    runs: Sequence[str],
    *,
    campaign: CampaignInfo,
    dataset_types: Sequence[str] = (),
    where: str = "",
    register_dataset_types: bool = False,
    chain: str | None = None,
    only_complete: bool = False,
    strict_inputs: bool = False,
    on_conflict: Sequence[str] = (),
    mode: Mode = "auto",
    asked: Asked | None = None,
) -> PushPlan:
    """Decide what a push would publish, without writing anywhere.

    Parameters
    ----------
    staging, upstream : Repo
        Open repositories; read access is enough.
    runs : sequence of str
        RUN collections of staging, newest first.
    campaign : CampaignInfo
        Who pushes.
    dataset_types : sequence of str
        Patterns; only datasets of types that match one go. All by default.
    where : str
        An expression; only datasets go whose data IDs fulfil it, and the quanta from which these came.
    register_dataset_types : bool
        Whether dataset types that upstream lacks may be defined there.
    chain : str, optional
        The upstream chain to put the RUNs in front of.
    only_complete : bool
        Whether to leave out RUNs with quanta that did not succeed.
    strict_inputs : bool
        Whether inputs of pushed quanta that upstream will not have are conflicts rather than warnings.
    on_conflict : sequence of str
        Policies, as ``dataset-exists=skip``; see `sync.pushing.policies`. Without any, every conflict refuses the push.
    mode : {"auto", "link", "copy"}
        How artifacts are to get upstream, as for `execute_push`.
    asked : Asked, optional
        The push as it was typed, for the commands that go on from conflicts.

    Returns
    -------
    PushPlan
        ``conflicts`` has all of them; `execute_push` refuses a plan with any.

    Raises
    ------
    NotFoundError
        If staging has no such collection.
    UsageError
        If one is not a RUN, or a policy is not known or not safe.
    QueryError
        If `where` is not understood.
    BusyError
        If one side cannot be read for too long. Neither side is modified.

    Notes
    -----
    A fixed number of queries a dataset type and a dimension element; O(n) memory, all of it columns. Where the
    RUNs were pushed and nothing has happened since, no rows are read at all: see `sync.pushing.settled`.
    """
    terms = Terms(Policies.parse(on_conflict), strict_inputs, asked or Asked())
    if upstream.is_foreign:
        from sync.butler.pushing import look_at_runs

        with staging.registry.read() as ours:
            look_at_runs(ours, upstream, runs, chain)
    with staging.registry.read() as ours, upstream.registry.read() as theirs:
        settled = settled_plan(
            ours, theirs, list(dict.fromkeys(runs)), upstream_id=upstream.registry.repo_id, campaign=campaign,
            globs=dataset_types, where=where, chain=chain, terms=terms,
        )  # fmt: skip
        if settled is not None and not (only_complete and settled.warnings):
            return settled
        outgoing = gather(
            ours, runs, upstream_id=upstream.registry.repo_id, dataset_types=dataset_types, where=where,
            only_complete=only_complete,
        )  # fmt: skip
        plan = check(
            outgoing, theirs, campaign=campaign, chain=chain, register_dataset_types=register_dataset_types,
            terms=terms, staging=ours,
        )  # fmt: skip
        marks = theirs.run_marks(outgoing.runs) if plan.is_empty else {}
    plan = replace(plan, upstream_marks=marks)
    # What is adopted is where it is to be; nothing can be in its way.
    return plan if adoption_of(staging, upstream, mode) else _with_files(plan, staging, upstream)


def _with_files(plan: PushPlan, staging: Repo, upstream: Repo) -> PushPlan:
    """Take in what is in the way of the files: conflicts, or datasets that a policy leaves here."""
    if upstream.is_foreign:
        conflicts = upstream.own_conflicts(plan)
    else:
        found = in_the_way(new_artifacts(plan), staging.datastore.root, upstream.datastore.root)
        conflicts = [artifact_conflict(failure) for failure in found]
    if not conflicts:
        return plan
    blocked = _blocked(plan, conflicts)
    if blocked:
        with staging.registry.read() as ours, upstream.registry.read() as theirs:
            plan = _check_again(plan, theirs, blocked, ours, warn=True)
            plan = replace(plan, upstream_marks=theirs.run_marks(plan.runs) if plan.is_empty else {})
    refusing = [c for c in conflicts if not plan.terms.policies.skips(c)]
    return replace(plan, conflicts=(*plan.conflicts, *plan.terms.asked.fill(refusing)))


def _blocked(plan: PushPlan, conflicts: Sequence[Conflict]) -> dict[bytes, Conflict]:
    """Return the datasets whose file cannot go, since a policy leaves it here; those the plan has with them."""
    left = [c for c in conflicts if plan.terms.policies.skips(c)]
    if not left:
        return dict(plan.blocked)
    by_uri = {c.about["uri"]: c for c in left if "uri" in c.about}
    by_type = {c.about["dataset_type"]: c for c in left if "uri" not in c.about}
    out = {**plan.blocked}
    out |= {i: by_uri[uri] for i, uri in new_artifacts(plan).rows(("id", "uri")) if uri in by_uri}
    for batch in (*plan.new_datasets, *plan.new_artifacts):
        if batch.dataset_type.name in by_type:
            out |= dict.fromkeys(batch.rows["id"].tolist(), by_type[batch.dataset_type.name])
    return out


def _check_again(
    plan: PushPlan,
    upstream: Snapshot,
    blocked: Mapping[bytes, Conflict],
    staging: Snapshot | None,
    *,
    warn: bool,
) -> PushPlan:
    """Compare again on the same terms."""
    return check(
        plan.outgoing, upstream, campaign=plan.campaign, chain=plan.chain_name,
        register_dataset_types=plan.register_dataset_types, terms=plan.terms, blocked=blocked, staging=staging,
        warn=warn,
    )  # fmt: skip


def execute_push(
    plan: PushPlan,
    staging: Repo,
    upstream: Repo,
    *,
    mode: Mode = "auto",
    at: At = no_fault,
    on_progress: Callable[[int, int], None] | None = None,
) -> PushResult:
    """Publish a plan: all of it, or nothing.

    Parameters
    ----------
    plan : PushPlan
        From `plan_push` on the same two repositories.
    staging, upstream : Repo
        Open for writing.
    mode : {"auto", "link", "copy"}
        How artifacts get upstream; ``auto`` adopts where they are in upstream's storage already (`sync.pushing.adopting`),
        else links on one local file system.
    at : callable
        Called between durable steps with the step's name: ``journal-begun``, ``artifacts-moving`` (after each part),
        ``artifacts-moved``, ``artifacts-durable``, ``journal-moved``, ``rows-written`` (before the commit),
        ``committed``, ``acknowledged``.
    on_progress : callable, optional
        Called with the numbers of artifacts done and in all.

    Returns
    -------
    PushResult
        With ``push_id`` None if upstream had it all.

    Raises
    ------
    ConflictError
        If the plan has conflicts, or the check inside the transaction finds some. Upstream is as it was.
    NotFoundError
        If an artifact is not there. Nothing was written upstream.
    IntegrityError
        If an artifact is not what was recorded. Nothing was written upstream.
    TransferError
        If artifacts did not arrive. No row was written; what arrived stays for the next try.
    BusyError
        If upstream or staging is locked for too long; as for `TransferError`.
    """
    if plan.conflicts:
        raise refusal(VERB, plan.conflicts)
    if plan.is_empty:
        acknowledge(plan, staging, upstream)
        return PushResult(None, plan.counts, warnings=plan.warnings)
    if upstream.is_foreign:
        from sync.butler.pushing import execute_butler_push

        return execute_butler_push(plan, staging, upstream, mode=mode, at=at)
    check_local(plan, staging)
    push_id = begin(plan, staging, upstream)
    at("journal-begun")
    with upstream.registry.read() as theirs:
        withdrawals = state_of_withdrawals(theirs)
    moved = move(plan, staging, upstream, mode=mode, at=at, on_progress=on_progress)
    note(plan, push_id, journal.MOVED, staging)
    at("journal-moved")
    done, marks, locked_s = _commit(
        plan, push_id, staging, upstream, moved=moved, at=at, withdrawals=withdrawals
    )
    at("committed")
    note(done, push_id, journal.DONE, staging, marks)
    at("acknowledged")
    return PushResult(
        None if done.is_empty else push_id, done.counts, len(moved.moved), len(moved.same), moved.size_bytes,
        moved.linked, done.warnings, locked_s, done, moved.adoption is not None,
    )  # fmt: skip


def _commit(
    plan: PushPlan,
    push_id: bytes,
    staging: Repo,
    upstream: Repo,
    *,
    moved: TransferResult,
    at: At,
    withdrawals: str,
) -> tuple[PushPlan, dict[str, str], float]:
    """Check the plan again and write it, in one upstream transaction.

    Returns what there was left to write, how the RUNs are marked upstream at the end of it, and for how many seconds
    upstream was locked.
    """
    blocked = _blocked(plan, in_conflict(moved))
    with upstream.registry.write() as tx:
        began = time.monotonic()
        with staging.registry.read() if plan.terms.strict_inputs else nullcontext() as ours:
            now = with_chain_now(_check_again(plan, tx, blocked, ours, warn=False), plan, tx)
        if now.conflicts:
            withdraw_unnamed(plan, moved, tx, upstream)
            raise refusal(VERB, now.conflicts)
        if now.left_out != plan.left_out:
            withdraw_unnamed(plan, moved, tx, upstream, but=now)
        if not now.is_empty:
            check_in_place(plan, now, moved, upstream, anew=state_of_withdrawals(tx) != withdrawals)
            inserted = inserted_by(now, tx, adopted=None if moved.adoption is None else moved.adoption.prefix)
            _insert(now, tx, moved.adoption)
            record_push(tx, push_id, plan.campaign, plan.runs, now.counts, inserted=inserted)
            at("rows-written")
        marks = tx.run_marks(plan.runs)
    return replace(now, warnings=plan.warnings), marks, time.monotonic() - began


def _insert(plan: PushPlan, tx: Change, adoption: Adoption | None = None) -> None:
    """Write everything new, set-wise, what is referred to before what refers to it."""
    for dataset_type in plan.new_types:
        tx.register_dataset_type(dataset_type)
    for run in plan.new_runs:
        tx.register_run(run, plan.outgoing.run_docs[run])
    for element, records in plan.new_records.items():
        tx.insert_records(element, records)
    new, brought = (
        map(adoption.placed, batches) if adoption is not None else batches
        for batches in (plan.new_datasets, plan.new_artifacts)
    )
    for batch in new:
        tx.insert_datasets(batch.dataset_type.name, batch.run, batch.rows)
    for batch in brought:
        tx.insert_artifacts(batch.rows.select(("id", "uri", "size", "checksum", "formatter")))
    if plan.new_quanta.n_rows:
        tx.insert_quanta(plan.new_quanta)
        tx.insert_quantum_inputs(plan.new_inputs)
        tx.insert_quantum_outputs(plan.new_outputs)
    if plan.chain is not None:
        tx.set_chain(plan.chain.name, plan.chain.children, expected=plan.chain.expected or ())
