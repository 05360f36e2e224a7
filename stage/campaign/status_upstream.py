"""What has moved upstream since a campaign fetched from it; upstream is only read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from registry.errors import StageError
from stage.campaign.ledger import taken_back_notes
from stage.campaign.pulling import plan_of_pull
from stage.campaign.repositories import check_same_upstream, open_staging, open_upstream
from stage.campaign.status_report import UpstreamStatus

if TYPE_CHECKING:
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from sync.repo import Repo

__all__ = ["upstream_status"]

_STAYS = ("same", "kept")
"""Classes of what has not moved upstream."""


def upstream_status(layout: Layout, state: CampaignState) -> UpstreamStatus:
    """Compare upstream with what the campaign has of it.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.

    Returns
    -------
    UpstreamStatus
        What moved; what could not be found out is in its ``problem``.
    """
    try:
        with open_upstream(state, layout=layout) as upstream:
            return _compare(layout, state, upstream)
    except StageError as exc:
        return UpstreamStatus(problem=exc.message)


def _compare(layout: Layout, state: CampaignState, upstream: Repo) -> UpstreamStatus:
    with upstream.registry.read() as snapshot:
        known = {c.name for c in snapshot.collections()}
    out = UpstreamStatus(
        collections=[f"'{name}' is there no more" for name in state.collections.inputs if name not in known],
        runs={run: run in known for run in state.collections.runs},
    )
    if not layout.staging.is_file():
        return out
    try:
        with open_staging(layout) as staging:
            check_same_upstream(staging, upstream)
            out = _with_plan(out, layout, state, upstream, staging)
            return replace(out, notes=[*taken_back_notes(staging, upstream), *out.notes])
    except StageError as exc:
        return replace(out, problem=exc.message)


def _with_plan(
    out: UpstreamStatus, layout: Layout, state: CampaignState, upstream: Repo, staging: Repo
) -> UpstreamStatus:
    """Compare all that was fetched: as a pull would, which is not made."""
    newer, plan = plan_of_pull(layout, state, upstream, staging)
    if newer.collections:
        out = replace(out, collections=list(dict.fromkeys([*out.collections, *newer.collections])))
    moved = {
        kind: {what: n for what, n in classes.items() if n and what not in _STAYS}
        for kind, classes in plan.counts.items()
    }
    notes = [str(note) for note in plan.notes] + [str(conflict) for conflict in plan.conflicts]
    pull = "stage pull --dry-run" if plan.conflicts else "stage pull"
    steps = [] if plan.is_empty or plan.is_settled else [pull]
    if newer.collections and state.quantum_graph.uri is not None:
        steps.append("stage build")
    return replace(
        out, datasets=newer.datasets, moved={kind: found for kind, found in moved.items() if found}, notes=notes,
        next_commands=steps,
    )  # fmt: skip
