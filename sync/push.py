"""Pushing RUN collections upstream: plan, then transfer, commit, acknowledge.

The plan is read-only on both sides and is what a dry run shows. Executing it puts the artifacts in place and makes
them durable, checks the plan again inside one upstream transaction and inserts set-wise there, then notes in staging
that it is done. A process that dies anywhere in between leaves upstream as it was but for files that no row names,
or with all of it; the same push again completes or finds that it had.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns
from sync import journal
from sync.errors import TransferError
from sync.explain import HINTS, refusal
from sync.faults import At, no_fault
from sync.found import Failure, in_the_way
from sync.ledger import record_push
from sync.plan import CampaignInfo, Conflict, Note, PushPlan
from sync.pushing.checks import check
from sync.pushing.outgoing import gather
from sync.pushing.settled import VERB, acknowledge, begin, note, settled_plan
from sync.pushing.sources import CHANGED, MISSING, check_sources, refused_sources, written_until
from sync.transfer import Mode, TransferResult, make_durable, transfer, withdraw

if TYPE_CHECKING:
    from registry.change import Change
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
        Kind to class to number, as in the plan.
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
    """

    push_id: bytes | None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    moved: int = 0
    found: int = 0
    size_bytes: int = 0
    linked: bool = False
    warnings: tuple[Note, ...] = ()
    locked_s: float = 0.0


def plan_push(
    staging: Repo,
    upstream: Repo,
    runs: Sequence[str],
    *,
    campaign: CampaignInfo,
    dataset_types: Sequence[str] = (),
    register_dataset_types: bool = False,
    chain: str | None = None,
    only_complete: bool = False,
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
    register_dataset_types : bool
        Whether dataset types that upstream lacks may be defined there.
    chain : str, optional
        The upstream chain to put the RUNs in front of.
    only_complete : bool
        Whether to leave out RUNs with quanta that did not succeed.

    Returns
    -------
    PushPlan
        ``conflicts`` has all of them; `execute_push` refuses a plan with any.

    Raises
    ------
    NotFoundError
        If staging has no such collection.
    UsageError
        If one is not a RUN.
    BusyError
        If one side cannot be read for too long. Neither side is modified.

    Notes
    -----
    A fixed number of queries a dataset type and a dimension element; O(n) memory, all of it columns. Where the
    RUNs were pushed and nothing has happened since, no rows are read at all: see `sync.pushing.settled`.
    """
    with staging.registry.read() as ours, upstream.registry.read() as theirs:
        settled = settled_plan(
            ours, theirs, list(dict.fromkeys(runs)), upstream_id=upstream.registry.repo_id, campaign=campaign,
            globs=dataset_types, chain=chain,
        )  # fmt: skip
        if settled is not None and not (only_complete and settled.warnings):
            return settled
        outgoing = gather(
            ours,
            runs,
            upstream_id=upstream.registry.repo_id,
            dataset_types=dataset_types,
            only_complete=only_complete,
        )
        plan = check(
            outgoing, theirs, campaign=campaign, chain=chain, register_dataset_types=register_dataset_types
        )
        marks = theirs.run_marks(outgoing.runs) if plan.is_empty else {}
    artifacts = new_artifacts(plan)
    found = in_the_way(artifacts, staging.datastore.root, upstream.datastore.root)
    return replace(plan, conflicts=(*plan.conflicts, *map(_artifact_conflict, found)), upstream_marks=marks)


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
        How artifacts get upstream; ``auto`` links on one local file system.
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
    check_local(plan, staging)
    push_id = begin(plan, staging, upstream)
    at("journal-begun")
    moved = _move(plan, staging, upstream, mode=mode, at=at, on_progress=on_progress)
    note(plan, push_id, journal.MOVED, staging)
    at("journal-moved")
    written, marks, locked_s = _commit(plan, push_id, upstream, moved, at)
    at("committed")
    note(plan, push_id, journal.DONE, staging, marks)
    at("acknowledged")
    return PushResult(
        push_id if written else None, plan.counts, len(moved.moved), len(moved.same), moved.size_bytes, moved.linked,
        plan.warnings, locked_s,
    )  # fmt: skip


def check_local(plan: PushPlan, staging: Repo) -> None:
    """See that the artifacts of a plan are here, as they were recorded.

    Parameters
    ----------
    plan : PushPlan
        The plan.
    staging : Repo
        Where they are.

    Raises
    ------
    NotFoundError
        If one is missing; names each.
    IntegrityError
        If one has been changed; names each.
    """
    check_sources(new_artifacts(plan), staging.datastore.root, written_ns=written_until(plan.outgoing))


def new_artifacts(plan: PushPlan) -> Columns:
    """Return the artifacts that have to get upstream.

    Parameters
    ----------
    plan : PushPlan
        The plan.

    Returns
    -------
    Columns
        ``id``, ``uri``, ``size``, ``checksum``; those that lie elsewhere (with absolute URIs) are left out.
    """
    names = ("id", "uri", "size", "checksum")
    parts = [batch.rows.select(names) for batch in (*plan.new_datasets, *plan.new_artifacts)]
    if not parts:
        return Columns({name: [] for name in names})
    rows = Columns.concat(parts)
    here = [uri is not None and uri[0] != "/" and "://" not in uri for uri in rows["uri"].tolist()]
    return rows if all(here) else rows.take(np.array(here, dtype=np.bool_))


def _move(
    plan: PushPlan,
    staging: Repo,
    upstream: Repo,
    *,
    mode: Mode,
    at: At,
    on_progress: Callable[[int, int], None] | None,
) -> TransferResult:
    """Put the artifacts in place, durably, or say what did not arrive."""
    artifacts = new_artifacts(plan)
    result = transfer(
        artifacts, staging.datastore.root, upstream.datastore.root, mode=mode, at=at, on_progress=on_progress
    )
    differing = [failure for failure in result.failed if failure.code == "artifact-differs"]
    if differing:
        with upstream.registry.write() as tx:
            _withdraw(plan, result, tx, upstream)
        raise refusal(VERB, [_artifact_conflict(failure) for failure in differing])
    if gone := [failure for failure in result.failed if failure.code in {MISSING, CHANGED}]:
        with upstream.registry.write() as tx:
            _withdraw(plan, result, tx, upstream)
        raise refused_sources(gone, artifacts.n_rows)
    if result.failed:
        first = result.failed[0]
        raise TransferError(
            f"push: {len(result.failed):,} of {artifacts.n_rows:,} artifacts did not arrive ({first})",
            result=result,
            hint=_AGAIN,
        )
    at("artifacts-moved")
    make_durable(result, upstream.datastore.root)
    at("artifacts-durable")
    return result


def _withdraw(plan: PushPlan, result: TransferResult, tx: Change, upstream: Repo) -> None:
    """Take back, while nobody else can publish, what this push put in place and no row names.

    Another push of the same datasets may have found our files and published them; it has looked for them under
    the lock that we hold now, or will.
    """
    artifacts = new_artifacts(plan)
    published = tx.existing_ids(artifacts["id"].tolist())
    named = {uri for i, uri in artifacts.rows(("id", "uri")) if i in published}
    withdraw([uri for uri in result.moved if uri not in named], upstream.datastore.root)


def _commit(
    plan: PushPlan, push_id: bytes, upstream: Repo, moved: TransferResult, at: At
) -> tuple[bool, dict[str, str], float]:
    """Check the plan again and write it, in one upstream transaction.

    Returns whether there was anything left to write, how the RUNs are marked upstream at the end of it, and for how
    many seconds upstream was locked.
    """
    with upstream.registry.write() as tx:
        began = time.monotonic()
        now = check(
            plan.outgoing, tx, campaign=plan.campaign, chain=plan.chain_name,
            register_dataset_types=plan.register_dataset_types, warn=False,
        )  # fmt: skip
        conflicts = [*now.conflicts, *_chain_conflicts(plan, now)]
        if conflicts:
            _withdraw(plan, moved, tx, upstream)
            raise refusal(VERB, conflicts)
        if not now.is_empty:
            _check_in_place(plan, now, moved, upstream)
            _insert(now, tx)
            record_push(tx, push_id, plan.campaign, plan.runs, plan.counts)
            at("rows-written")
        marks = tx.run_marks(plan.runs)
    return not now.is_empty, marks, time.monotonic() - began


def _chain_conflicts(plan: PushPlan, now: PushPlan) -> list[Conflict]:
    """Compare-and-swap: what the chain becomes was decided from what it was when the plan was made."""
    if now.chain is None:
        return []
    before = plan.chain.expected if plan.chain is not None else now.chain.children
    if before == now.chain.expected:
        return []
    ours, theirs = (
        "no such chain" if c is None else f"({', '.join(c)})" for c in (before, now.chain.expected)
    )
    return [
        Conflict("chain-changed", "chain", f"chain '{now.chain.name}'", ours, theirs, HINTS["chain-changed"])
    ]


def _check_in_place(plan: PushPlan, now: PushPlan, moved: TransferResult, upstream: Repo) -> None:
    """See that every artifact that is about to be named is there.

    What this push moved nobody removes. What it found may have been withdrawn since by the push that had put it
    there; and rows may have gone since the plan was made, so that more is new now.
    """
    arrived = {*moved.moved, *moved.same}
    missing = [uri for uri in new_artifacts(now)["uri"].tolist() if uri not in arrived]
    missing += [uri for uri in moved.same if not upstream.datastore.exists(uri)]
    if missing:
        raise TransferError(
            f"push of {', '.join(plan.runs)}: upstream changed meanwhile, {len(missing):,} artifacts are not there "
            f"(first: {missing[0]})",
            code="upstream-changed",
            hint=_AGAIN,
            transient=True,
        )


def _insert(plan: PushPlan, tx: Change) -> None:
    """Write everything new, set-wise, what is referred to before what refers to it."""
    for dataset_type in plan.new_types:
        tx.register_dataset_type(dataset_type)
    for run in plan.new_runs:
        tx.register_run(run, plan.outgoing.run_docs[run])
    for element, records in plan.new_records.items():
        tx.insert_records(element, records)
    for batch in plan.new_datasets:
        tx.insert_datasets(batch.dataset_type.name, batch.run, batch.rows)
    for batch in plan.new_artifacts:
        tx.insert_artifacts(batch.rows.select(("id", "uri", "size", "checksum", "formatter")))
    if plan.new_quanta.n_rows:
        tx.insert_quanta(plan.new_quanta)
        tx.insert_quantum_inputs(plan.new_inputs)
        tx.insert_quantum_outputs(plan.new_outputs)
    if plan.chain is not None:
        tx.set_chain(plan.chain.name, plan.chain.children, expected=plan.chain.expected or ())


def _artifact_conflict(failure: Failure) -> Conflict:
    return Conflict(
        failure.code,
        "artifact",
        f"artifact '{failure.uri}'",
        failure.ours,
        failure.theirs,
        HINTS[failure.code],
    )
