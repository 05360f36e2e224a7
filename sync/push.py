"""Pushing RUN collections upstream: plan, then transfer, commit, acknowledge.

The plan is read-only on both sides and is what a dry run shows. Executing it puts the artifacts in place and makes
them durable, checks the plan again inside one upstream transaction and inserts set-wise there, then notes in staging
that it is done. A process that dies anywhere in between leaves upstream as it was but for files that no row names,
or with all of it; the same push again completes or finds that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.model.garbage import without_collection
from sync.explain import refusal
from sync.faults import At, no_fault
from sync.linking import Mode, can_link
from sync.plan import CampaignInfo, PushPlan
from sync.pushing.adopting import adoption_of
from sync.pushing.again import blocked_by, check_again
from sync.pushing.asking import Asked, Terms
from sync.pushing.chains import check_chain
from sync.pushing.checks import check
from sync.pushing.moving import check_local, new_artifacts
from sync.pushing.outgoing import gather
from sync.pushing.policies import Policies
from sync.pushing.publishing import PushResult
from sync.pushing.replacing import chain_of
from sync.pushing.settled import VERB, acknowledge, begin, settled_plan

if TYPE_CHECKING:
    from sync.repo import Repo

__all__ = ["PushResult", "check_local", "execute_push", "new_artifacts", "plan_push"]


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
    replace_run: bool = False,
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
    replace_run : bool
        Whether the newest RUN takes the place of the one at the head of the chain, which this campaign must have pushed;
        nothing else happens to that. Without `chain` it is the chain of the campaign's last push.
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
        If one is not a RUN, a policy is not known or not safe, there is no chain to replace a RUN in, `chain` cannot name
        one, or files cannot be linked as they are to be.
    QueryError
        If `where` is not understood.
    BusyError
        If one side cannot be read for too long. Neither side is modified.

    Notes
    -----
    A fixed number of queries a dataset type and a dimension element; O(n) memory, all of it columns. Where the
    RUNs were pushed and nothing has happened since, no rows are read at all: see `sync.pushing.settled`.
    """
    terms = Terms(Policies.parse(on_conflict), strict_inputs, replace_run, asked or Asked())
    if chain is not None:
        check_chain(chain, runs)
    with staging.registry.read() as ours:
        upstream.show_runs(ours, runs, chain)
    with staging.registry.read() as ours, upstream.registry.read() as theirs, without_collection():
        if replace_run and chain is None:
            chain = chain_of(theirs, campaign)
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
    if mode == "link" and not upstream.is_foreign and new_artifacts(plan).n_rows:
        can_link(staging.datastore.root, upstream.datastore.root, mode)
    # What is adopted is where it is to be; nothing can be in its way.
    return plan if adoption_of(staging, upstream, mode) else _with_files(plan, staging, upstream)


def _with_files(plan: PushPlan, staging: Repo, upstream: Repo) -> PushPlan:
    """Take in what is in the way of the files: conflicts, or datasets that a policy leaves here."""
    conflicts = upstream.file_conflicts(plan, staging.datastore.root)
    if not conflicts:
        return plan
    blocked = blocked_by(plan, conflicts)
    if blocked:
        with staging.registry.read() as ours, upstream.registry.read() as theirs:
            plan = check_again(plan, theirs, blocked, ours, warn=True)
            plan = replace(plan, upstream_marks=theirs.run_marks(plan.runs) if plan.is_empty else {})
    refusing = [c for c in conflicts if not plan.terms.policies.skips(c)]
    return replace(plan, conflicts=(*plan.conflicts, *plan.terms.asked.fill(refusing)))


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
    check_local(plan, staging)
    push_id = begin(plan, staging, upstream)
    at("journal-begun")
    return upstream.publish(plan, push_id, staging, mode=mode, at=at, on_progress=on_progress)
