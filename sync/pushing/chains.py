"""What becomes of a chain that was moved between a plan and its commit: others may put RUNs in front at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.errors import UsageError
from registry.model.collections import check_collection_name
from sync.explain import conflict
from sync.pushing.findings import Findings
from sync.pushing.winners import with_winners

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.plan import PushPlan

__all__ = ["check_chain", "with_chain_now"]


def check_chain(name: str, runs: Sequence[str]) -> None:
    """See that a name can be that of the chain to put RUNs into, whether it is there or not.

    Parameters
    ----------
    name : str
        The name.
    runs : sequence of str
        The RUNs.

    Raises
    ------
    UsageError
        If it cannot name a collection, or is the name of one of the RUNs.
    """
    check_collection_name(name)
    if name in runs:
        raise UsageError(
            f"'{name}' is a run that is to be pushed, so it cannot be the chain that holds it",
            code="chain-is-run",
            hint="Take another name: 'stage push --chain NAME'.",
        )


def with_chain_now(now: PushPlan, planned: PushPlan, upstream: Snapshot) -> PushPlan:
    """Compare the chain with what it was when the plan was made.

    Parameters
    ----------
    now : PushPlan
        As it was found inside the publishing transaction.
    planned : PushPlan
        The plan.
    upstream : Snapshot
        That transaction.

    Returns
    -------
    PushPlan
        `now`. Where others have only put RUNs in front, ours go before theirs: the outcome of one push after the
        other. Any other change, and any at all where a RUN is replaced, is a conflict, or leaves the chain as it is where
        a policy says so.
    """
    if now.chain is None:
        return now
    before = planned.chain.expected if planned.chain is not None else now.chain.children
    after = now.chain.expected
    if before == after or (now.chain.replaced is None and _only_grew(before or (), after)):
        return now
    findings = Findings(now.terms.policies)
    ours, theirs = ("no such chain" if c is None else f"({', '.join(c)})" for c in (before, after))
    new = [child for child in after or () if child not in (before or ())]
    about = {"chain": now.chain.name, "planned": before and list(before), "children": new}
    found = conflict("chain-changed", "chain", f"chain '{now.chain.name}'", ours, theirs, about=about)
    (named,) = with_winners([found], upstream)
    if findings.judge([named]):
        counts = {**now.counts, "skipped": {**now.counts.get("skipped", {}), **findings.counts["skipped"]}}
        return replace(now, chain=None, skipped=(*now.skipped, named), counts=counts)
    return replace(now, conflicts=(*now.conflicts, *now.terms.asked.fill([named])))


def _only_grew(before: tuple[str, ...], after: tuple[str, ...] | None) -> bool:
    """Tell whether a chain is what it was, with RUNs in front."""
    return after is not None and after[len(after) - len(before) :] == before
