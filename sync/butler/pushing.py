"""A push to a butler repository: planned by the same code as any, against its mirror, and published by its adapter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from sync import journal
from sync.faults import At, no_fault
from sync.push import PushResult, check_local
from sync.pushing.settled import begin, note

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.butler.upstream import ButlerUpstream
    from sync.plan import PushPlan
    from sync.repo import Repo

__all__ = ["execute_butler_push", "look_at_runs"]


def look_at_runs(staging: Snapshot, upstream: Repo, runs: Sequence[str], chain: str | None) -> None:
    """Have upstream show what a push is compared with.

    Parameters
    ----------
    staging : Snapshot
        Of the staging registry.
    upstream : Repo
        Open. It is made to show the RUNs and the chain.
    runs : sequence of str
        RUN collections of staging.
    chain : str or None
        The chain to put the RUNs in front of.
    """
    types = {t.name: t.storage_class for t in staging.dataset_types()}
    places = [(name, run) for name in types for run in runs]
    if chain is not None:
        # A chain is shown if something is looked for in it; of a type that there is not, nothing is read for it.
        places.append(("", chain))
    upstream.look_at(places, types)


def execute_butler_push(
    plan: PushPlan, staging: Repo, upstream: Repo, *, mode: str = "auto", at: At = no_fault
) -> PushResult:
    """Publish a plan.

    Parameters
    ----------
    plan : PushPlan
        From `sync.push.plan_push`: with something to do, and without conflicts.
    staging : Repo
        Open for writing.
    upstream : ButlerUpstream
        Open.
    mode : {"auto", "link", "copy"}
        How artifacts get there.
    at : callable
        Called between durable steps: ``journal-begun``, those of `sync.butler.publish.publish`, ``acknowledged``.

    Returns
    -------
    PushResult
        As for `sync.push.execute_push`.

    Raises
    ------
    NotFoundError
        If an artifact is not here. Nothing was written upstream.
    IntegrityError
        If an artifact is not what was recorded. Nothing was written upstream.
    TransferError
        If that system refuses something.
    """
    check_local(plan, staging)
    push_id = begin(plan, staging, upstream)
    at("journal-begun")
    began = time.monotonic()
    done = cast("ButlerUpstream", upstream).publish(plan, push_id, staging.datastore.root, mode=mode, at=at)
    locked_s = time.monotonic() - began
    with upstream.registry.read() as theirs:
        marks = theirs.run_marks(plan.runs)
    note(plan, push_id, journal.DONE, staging, marks)
    at("acknowledged")
    return PushResult(
        push_id, plan.counts, done.moved, 0, done.size_bytes, done.linked, plan.warnings, locked_s
    )
