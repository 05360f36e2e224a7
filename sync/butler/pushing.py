"""A push to a butler repository: planned by the same code as any, against its mirror, and published by its adapter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sync import journal
from sync.butler.publish import publish
from sync.faults import At, no_fault
from sync.pushing.publishing import PushResult
from sync.pushing.settled import note

if TYPE_CHECKING:
    from sync.butler.upstream import ButlerUpstream
    from sync.plan import PushPlan
    from sync.repo import Repo
    from sync.transfer import Mode

__all__ = ["publish_and_note"]


def publish_and_note(
    plan: PushPlan,
    push_id: bytes,
    staging: Repo,
    upstream: ButlerUpstream,
    *,
    mode: Mode = "auto",
    at: At = no_fault,
) -> PushResult:
    """Publish a plan, and note in staging that it is done.

    Parameters
    ----------
    plan : PushPlan
        From `sync.push.plan_push`: with something to do, and without conflicts.
    push_id : bytes
        Its id.
    staging : Repo
        Open for writing.
    upstream : ButlerUpstream
        Open.
    mode : {"auto", "link", "copy"}
        How artifacts get there.
    at : callable
        Called between durable steps: those of `sync.butler.publish.publish`, ``acknowledged``.

    Returns
    -------
    PushResult
        As for `sync.push.execute_push`.

    Raises
    ------
    UsageError
        If `mode` is ``link`` and links cannot be made.
    TransferError
        If that system refuses something.
    """
    began = time.monotonic()
    done = publish(plan, push_id, staging.datastore.root, upstream.root, mode=mode, at=at)
    upstream.look_at(())
    locked_s = time.monotonic() - began
    with upstream.registry.read() as theirs:
        marks = theirs.run_marks(plan.runs)
    note(plan, push_id, journal.DONE, staging, marks)
    at("acknowledged")
    return PushResult(
        push_id, plan.counts, done.moved, 0, done.size_bytes, done.linked, plan.warnings, locked_s
    )
