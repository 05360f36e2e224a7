"""A run that gives up its place at the head of a chain to another (``--replace-run``): whose it has to be, and getting it back.

Nothing but the chain's rows is touched: the run that was replaced stays upstream, and its datasets with it. The ledger's row
of the push says which run that was, so that taking the push back gives it its place again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.errors import UsageError
from sync.explain import conflict
from sync.ledger import Push, pushes

if TYPE_CHECKING:
    from registry.snapshot import Snapshot
    from sync.plan import CampaignInfo, Conflict

__all__ = ["chain_of", "head_conflict", "run_to_restore"]


def chain_of(upstream: Snapshot, campaign: CampaignInfo) -> str:
    """Return the chain that a campaign puts its runs into.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry.
    campaign : CampaignInfo
        The campaign.

    Returns
    -------
    str
        That of its last push which named one.

    Raises
    ------
    UsageError
        If there is none.
    """
    for push in pushes(upstream, campaign_id=campaign.id):
        if push.withdrawn is None and push.chain is not None:
            return push.chain[0]
    raise UsageError(
        f"campaign '{campaign.name}' has pushed no run into a chain, so there is none in which one could be replaced",
        code="no-chain",
        hint="Name the chain: 'stage push --replace-run --chain NAME'.",
    )


def head_conflict(
    upstream: Snapshot, campaign: CampaignInfo, chain: str, children: Sequence[str] | None
) -> Conflict | None:
    """See that the first run of a chain is one that this campaign has pushed: no other may be replaced.

    Parameters
    ----------
    upstream : Snapshot
        Of the upstream registry, or a transaction on it.
    campaign : CampaignInfo
        Who pushes.
    chain : str
        The chain.
    children : sequence of str or None
        What it holds; None if there is no such chain.

    Returns
    -------
    Conflict or None
        ``chain-head-not-ours``; None if it is.
    """
    head = children[0] if children else None
    if head is not None:
        by = next((p for p in pushes(upstream) if p.withdrawn is None and head in p.runs), None)
        if by is not None and by.campaign_id == campaign.id:
            return None
    theirs = "no such chain" if children is None else f"'{head}' first" if head else "nothing in it"
    return conflict(
        "chain-head-not-ours", "chain", f"chain '{chain}'", f"a run of campaign '{campaign.name}' first",
        theirs, about={"chain": chain, "children": [] if head is None else [head]},
    )  # fmt: skip


def run_to_restore(push: Push, ledger: Sequence[Push], there: Sequence[str]) -> str | None:
    """Return the run that gets its place in a chain back when a push is taken back.

    Parameters
    ----------
    push : Push
        The push.
    ledger : sequence of Push
        The whole ledger.
    there : sequence of str
        The runs that there are.

    Returns
    -------
    str or None
        The one that it replaced. If that has been taken back meanwhile, the one that was replaced by that, and so on.
    """
    seen: set[bytes] = set()
    while push.replaced is not None and push.id not in seen:
        if push.replaced in there:
            return push.replaced
        seen.add(push.id)
        put = [p for p in ledger if _put(p, push)]
        if not put:
            return None
        push = put[0]
    return None


def _put(earlier: Push, push: Push) -> bool:
    """Tell whether one push has put the run into the chain that another has replaced there."""
    return (
        earlier.chain is not None
        and push.chain is not None
        and earlier.chain[0] == push.chain[0]
        and push.replaced in earlier.chain[1]
    )
