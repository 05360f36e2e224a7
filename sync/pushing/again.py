"""Comparing a second time: with what has turned out to be in the way of files, and inside the publishing transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sync.pushing.checks import check
from sync.pushing.moving import new_artifacts

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.plan import Conflict, PushPlan

__all__ = ["blocked_by", "check_again"]


def blocked_by(plan: PushPlan, conflicts: Sequence[Conflict]) -> dict[bytes, Conflict]:
    """Return the datasets whose file cannot go, since a policy leaves it here.

    Parameters
    ----------
    plan : PushPlan
        What is to go.
    conflicts : sequence of Conflict
        About files (``uri``), or about all files of a dataset type.

    Returns
    -------
    dict of bytes to Conflict
        By id, those that the plan has with them.
    """
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


def check_again(
    plan: PushPlan,
    upstream: Snapshot,
    blocked: Mapping[bytes, Conflict],
    staging: Snapshot | None,
    *,
    warn: bool,
) -> PushPlan:
    """Compare again on the same terms.

    Parameters
    ----------
    plan : PushPlan
        As it was made.
    upstream : Snapshot
        Upstream's, or a transaction on it.
    blocked : mapping of bytes to Conflict
        Ids of datasets whose file cannot go.
    staging : Snapshot or None
        Of the staging registry, to name the inputs that upstream will not have.
    warn : bool
        Whether to look for these where they are no conflict.

    Returns
    -------
    PushPlan
        As it is now.
    """
    return check(
        plan.outgoing, upstream, campaign=plan.campaign, chain=plan.chain_name,
        register_dataset_types=plan.register_dataset_types, terms=plan.terms, blocked=blocked, staging=staging,
        warn=warn,
    )  # fmt: skip
