"""Comparing what a campaign has fetched with upstream as it is now: only what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from stage.campaign.graph_reports import Document
from stage.campaign.repositories import check_same_upstream, open_staging, open_upstream

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState

__all__ = ["FetchedDifferences", "diff_fetched"]


@dataclass(frozen=True)
class FetchedDifferences(Document):
    """In what staging and upstream differ of what was fetched; what is the same is only counted.

    Parameters
    ----------
    upstream : str
        The repository (without what is secret in its URI).
    counts : mapping of str to mapping
        Kind (``record``, ``dataset``, ``collection``, ``member``, ``dataset-type``) to ``same`` and whatever differs, to
        how many.
    differences : sequence of mapping
        ``kind``, ``what``, ``ours``, ``upstream`` and ``action`` (what a pull would do) of each, a thousand of a kind and
        action at most.
    next_commands : sequence of str
        What brings staging up to date.
    """

    upstream: str
    counts: Mapping[str, Mapping[str, int]]
    differences: Sequence[Mapping[str, Any]] = ()
    next_commands: Sequence[str] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not any(n for classes in self.counts.values() for what, n in classes.items() if what != "same")


def diff_fetched(layout: Layout, state: CampaignState) -> FetchedDifferences:
    """Compare all that was fetched with upstream.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.

    Returns
    -------
    FetchedDifferences
        Only what differs.

    Raises
    ------
    StageError
        If nothing was fetched yet, or upstream cannot be reached.
    """
    from stage.graph.wanted import GraphWanted
    from sync.filesystem.uris import redact
    from sync.pull import plan_pull

    nothing_more = cast("Any", GraphWanted((), {}, (), list(state.collections.inputs)))
    with open_staging(layout) as staging, open_upstream(state, layout=layout) as upstream:
        check_same_upstream(staging, upstream)
        plan = plan_pull(upstream, staging, nothing_more)
    conflicts = [
        {"action": "conflict", "kind": c.kind, "what": c.what, "ours": c.ours, "upstream": c.upstream}
        for c in plan.conflicts
    ]
    counts = {kind: {what: n for what, n in found.items() if n} for kind, found in plan.counts.items()}
    return FetchedDifferences(
        redact(state.repo),
        {kind: found for kind, found in counts.items() if found},
        [*(vars(d) for d in plan.differences), *conflicts],
        [] if plan.is_empty else ["stage pull --dry-run"],
    )
