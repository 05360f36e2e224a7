"""The files of a push: which have to get upstream, putting them there, and taking back what no row names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from registry.model.columns import Columns
from sync.errors import TransferError
from sync.explain import artifact_conflict, refusal
from sync.faults import At
from sync.filesystem.uris import redact
from sync.found import in_the_way
from sync.plan import PushPlan
from sync.pushing.adopting import adoption_of
from sync.pushing.settled import VERB
from sync.pushing.sources import CHANGED, MISSING, check_sources, refused_sources, written_until
from sync.transfer import Mode, TransferResult, make_durable, transfer, withdraw

if TYPE_CHECKING:
    from registry.change import Change
    from sync.plan import Conflict
    from sync.repo import Repo

__all__ = [
    "check_in_place", "check_local", "differing_files", "in_conflict", "move", "new_artifacts", "withdraw_unnamed",
]  # fmt: skip

_AGAIN = "Run 'stage push' again: what has arrived is not moved twice."


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


def move(
    plan: PushPlan,
    staging: Repo,
    upstream: Repo,
    *,
    mode: Mode,
    at: At,
    on_progress: Callable[[int, int], None] | None,
) -> TransferResult:
    """Put the artifacts in place, durably, or say what did not arrive.

    Parameters
    ----------
    plan : PushPlan
        Without conflicts.
    staging, upstream : Repo
        The two sides.
    mode : {"auto", "link", "copy"}
        How.
    at : callable
        Called between durable steps with the step's name.
    on_progress : callable or None
        Called with the numbers of artifacts done and in all.

    Returns
    -------
    TransferResult
        What is there now. Its failures are files in the way that a policy leaves there, nothing else.

    Raises
    ------
    ConflictError
        If other files are in the way; what was moved has been taken back.
    NotFoundError, IntegrityError
        If an artifact is not here as it was recorded; what was moved has been taken back.
    TransferError
        If artifacts did not arrive; what did stays for the next try.
    """
    artifacts = new_artifacts(plan)
    adoption = adoption_of(staging, upstream, mode)
    if adoption is not None:
        return adoption.take(artifacts, plan.runs, at)
    result = transfer(
        artifacts, staging.datastore.root, upstream.datastore.root, mode=mode, at=at, on_progress=on_progress
    )
    differing = in_conflict(result)
    if refusing := [conflict for conflict in differing if not plan.terms.policies.skips(conflict)]:
        with upstream.registry.write() as tx:
            withdraw_unnamed(plan, result, tx, upstream)
        raise refusal(VERB, plan.terms.asked.fill(refusing))
    if gone := [failure for failure in result.failed if failure.code in {MISSING, CHANGED}]:
        with upstream.registry.write() as tx:
            withdraw_unnamed(plan, result, tx, upstream)
        raise refused_sources(gone, artifacts.n_rows)
    if len(result.failed) > len(differing):
        first = next(failure for failure in result.failed if failure.code != "artifact-differs")
        n = len(result.failed) - len(differing)
        raise TransferError(
            f"push: {n:,} of {artifacts.n_rows:,} artifacts did not arrive at {redact(upstream.datastore.root)}"
            f"{f', {result.untried:,} more were not tried' if result.untried else ''} ({first})",
            result=result,
            hint=_AGAIN,
        )
    at("artifacts-moved")
    make_durable(result, upstream.datastore.root)
    at("artifacts-durable")
    return result


def differing_files(plan: PushPlan, source: str, target: str) -> list[Conflict]:
    """Find files that have the name of one of a plan's and other bytes; nothing is written.

    Parameters
    ----------
    plan : PushPlan
        The plan.
    source, target : str
        Roots of the two datastores.

    Returns
    -------
    list of Conflict
        ``artifact-differs``, each with both.
    """
    return [artifact_conflict(failure) for failure in in_the_way(new_artifacts(plan), source, target)]


def in_conflict(result: TransferResult) -> list[Conflict]:
    """Return what was in the way of a transfer.

    Parameters
    ----------
    result : TransferResult
        What became of each artifact.

    Returns
    -------
    list of Conflict
        ``artifact-differs``, one an artifact.
    """
    return [artifact_conflict(failure) for failure in result.failed if failure.code == "artifact-differs"]


def withdraw_unnamed(
    plan: PushPlan, result: TransferResult, tx: Change, upstream: Repo, *, but: PushPlan | None = None
) -> None:
    """Take back, while nobody else can publish, what this push put in place and no row names.

    Parameters
    ----------
    plan : PushPlan
        What was to go.
    result : TransferResult
        What became of its artifacts.
    tx : Change
        Upstream's lock. Another push of the same datasets may have found our files and published them; it has looked
        for them under this lock, or will.
    upstream : Repo
        Where they are.
    but : PushPlan, optional
        What is about to be published: its files stay.
    """
    if result.adoption is not None:  # they are the campaign's own
        if but is None:
            result.adoption.give_back()
        return
    artifacts = new_artifacts(plan)
    published = tx.existing_ids(artifacts["id"].tolist())
    published |= set(new_artifacts(but)["id"].tolist()) if but is not None else set()
    named = {uri for i, uri in artifacts.rows(("id", "uri")) if i in published}
    withdraw([uri for uri in result.moved if uri not in named], upstream.datastore.root)


def check_in_place(
    plan: PushPlan, now: PushPlan, moved: TransferResult, upstream: Repo, *, anew: bool
) -> None:
    """See that every artifact that is about to be named is there.

    Parameters
    ----------
    plan, now : PushPlan
        As it was planned, and as it was found inside the transaction: rows may have gone meanwhile, so that more is
        new now.
    moved : TransferResult
        What this push moved, which nobody removes, and what it found: that may have been withdrawn since by the push
        that had put it there.
    upstream : Repo
        Where they are.
    anew : bool
        Whether a push was given up or taken back meanwhile, which may have removed what this one moved.

    Raises
    ------
    TransferError
        If one is not there.
    """
    wanted = new_artifacts(now)["uri"].tolist()
    arrived, looked_for = {*moved.moved, *moved.same}, {*moved.same, *(moved.moved if anew else ())}
    if moved.adoption is not None:  # nobody else removes what is the campaign's own
        looked_for = set()
    missing = [uri for uri in wanted if uri not in arrived]
    missing += [uri for uri in wanted if uri in looked_for and not upstream.datastore.exists(uri)]
    if missing:
        raise TransferError(
            f"push of {', '.join(plan.runs)}: upstream changed meanwhile, {len(missing):,} artifacts are not there "
            f"(first: {missing[0]})",
            code="upstream-changed",
            hint=_AGAIN,
            transient=True,
        )
