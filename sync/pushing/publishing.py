"""Publishing a plan in a repository of ours: files in place and durable, then rows in one transaction.

The plan is checked again inside that transaction. A process that dies before its commit leaves upstream as it was but
for files that no row names; the same push again completes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from registry.model.garbage import without_collection
from sync import journal
from sync.explain import refusal
from sync.faults import At, no_fault
from sync.ledger import record_push
from sync.plan import Note, PushPlan
from sync.pushing.adopting import Adoption
from sync.pushing.again import blocked_by, check_again
from sync.pushing.chains import with_chain_now
from sync.pushing.inserted import inserted_by
from sync.pushing.moving import check_in_place, in_conflict, move, withdraw_unnamed
from sync.pushing.settled import VERB, note
from sync.transfer import Mode, TransferResult
from sync.withdrawals import state_of_withdrawals

if TYPE_CHECKING:
    from registry.change import Change
    from sync.repo import Repo

__all__ = ["PushResult", "publish"]


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


def publish(
    plan: PushPlan,
    push_id: bytes,
    staging: Repo,
    upstream: Repo,
    *,
    mode: Mode = "auto",
    at: At = no_fault,
    on_progress: Callable[[int, int], None] | None = None,
) -> PushResult:
    """Publish a plan that staging's journal has as begun.

    Parameters
    ----------
    plan : PushPlan
        With something to do, and without conflicts.
    push_id : bytes
        Its id.
    staging, upstream : Repo
        Open for writing.
    mode : {"auto", "link", "copy"}
        How artifacts get upstream.
    at : callable
        Called between durable steps; see `sync.push.execute_push`.
    on_progress : callable, optional
        Called with the numbers of artifacts done and in all.

    Returns
    -------
    PushResult
        What was done.

    Raises
    ------
    ConflictError
        If the check inside the transaction finds conflicts. Upstream is as it was.
    TransferError
        If artifacts did not arrive. No row was written; what arrived stays for the next try.
    BusyError
        If upstream or staging is locked for too long; as for `TransferError`.
    """
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
    blocked = blocked_by(plan, in_conflict(moved))
    with without_collection(), upstream.registry.write() as tx:
        began = time.monotonic()
        with staging.registry.read() if plan.terms.strict_inputs else nullcontext() as ours:
            now = with_chain_now(check_again(plan, tx, blocked, ours, warn=False), plan, tx)
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
