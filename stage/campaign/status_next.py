"""What can be done next with a campaign, as commands that work in its state."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stage.campaign.repositories import lost_staging

if TYPE_CHECKING:
    from stage.campaign.graph_reports import GraphReport
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from stage.campaign.status_report import RunStatus

__all__ = ["next_commands"]


def next_commands(
    layout: Layout,
    state: CampaignState,
    graph: GraphReport | None,
    problem: str,
    runs: Sequence[RunStatus],
    *,
    is_held: bool,
) -> list[str]:
    """Suggest what can be done next.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    graph : GraphReport or None
        Its graph.
    problem : str
        Why that would not be run as it is.
    runs : sequence of RunStatus
        The newest first.
    is_held : bool
        Whether another command is changing the campaign: then nothing is suggested that would change it too.

    Returns
    -------
    list of str
        Commands, the likeliest first.
    """
    if lost_staging(layout):
        from sync.filesystem.uris import redact

        return [f"stage clone {shlex.quote(redact(state.repo))} DIR"]
    looks = ["stage log --failed"] if any(r.n_failures for r in runs[:1]) else []
    if runs and runs[0].driven:
        return [*looks, f"stage batch report --id {shlex.quote(runs[0].driven)}"]
    if is_held:
        return looks
    if runs and runs[0].unmerged:
        return [*looks, f"stage merge --run {shlex.quote(runs[0].name)}"]
    return [*looks, *_definition(state, graph), *_execution(state, graph, problem, runs), *_push(runs)]


def _definition(state: CampaignState, graph: GraphReport | None) -> list[str]:
    if graph is not None:
        return []
    out = []
    if state.pipeline is None:
        out.append("stage edit -p PIPELINE")
    if not state.collections.inputs:
        out.append("stage edit -i COLLECTION")
    return out or ["stage build"]


def _execution(
    state: CampaignState, graph: GraphReport | None, problem: str, runs: Sequence[RunStatus]
) -> list[str]:
    """Suggest how to go on with quanta; nothing where all of them are done."""
    if graph is None or problem.startswith("the pipeline"):
        return []
    newest = runs[0] if runs else None
    is_current = newest is not None and newest.place == "current"
    if problem:
        # A run that was begun with another graph is not gone on with.
        begins = " --new-run" if is_current else ""
        ways = [f"stage run --rebuild{begins}"] if state.pipeline and state.collections.inputs else []
        return ["stage plan", *ways]
    if newest is None:
        return ["stage plan", f"stage run{_processes(graph)}"]
    if newest.is_complete:
        return ["stage run --finish"] if is_current else []
    again = "" if is_current else " --continue"
    return [f"stage plan{again}", f"stage run{again}{_processes(graph)}"]


def _processes(graph: GraphReport) -> str:
    n = min(os.cpu_count() or 1, max(graph.tasks.values(), default=1))
    return f" -j {n}" if n > 1 else ""


def _push(runs: Sequence[RunStatus]) -> list[str]:
    is_due = any(r.push.startswith(("to push", "push broken")) for r in runs)
    return ["stage push --dry-run"] if is_due else []
