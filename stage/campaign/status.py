"""Where a campaign stands: what it is, what was run, what could be done next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import NotFoundError, StageError
from stage.campaign.discrepancy import find_discrepancy
from stage.campaign.graphs import graph_report, open_graph
from stage.campaign.lock import read_holder
from stage.campaign.outcomes import failures_of, planned_tasks, task_counts
from stage.campaign.pushing import push_state
from stage.campaign.reports import GraphReport, RunStatus, StatusReport
from stage.campaign.repositories import lost_staging, open_staging
from stage.campaign.staleness import staleness_notes
from stage.campaign.steps import steps_left

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState

__all__ = ["campaign_status"]

_MAX_FAILURES = 10


def campaign_status(layout: Layout, state: CampaignState, *, ask_upstream: bool = False) -> StatusReport:
    """Say where a campaign stands.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    ask_upstream : bool, optional
        Whether to compare what the inputs hold with what they held when the graph was built.

    Returns
    -------
    StatusReport
        Plain values.
    """
    graph, problem = _graph(layout, state)
    notes = _notes(layout, state, ask_upstream=ask_upstream) if graph is not None else []
    runs: list[RunStatus] = []
    staging: dict[str, int] = {}
    if layout.staging.is_file():
        with open_staging(layout) as repo, repo.registry.read() as snapshot:
            counted = snapshot.count_datasets()["n"].tolist()
            staging = {"datasets": int(sum(counted)), "runs": len(state.collections.runs)}
            runs = [_run(layout, state, snapshot, name) for name in state.collections.runs]
    lost = lost_staging(layout)
    holder = read_holder(layout.lock)
    c = state.collections
    return StatusReport(
        name=state.name,
        doc=state.doc,
        directory=str(layout.root),
        upstream=state.repo,
        pipeline=state.pipeline,
        collections={"inputs": list(c.inputs), "chain": c.chain, "stack": list(c.stack)},
        graph=graph,
        graph_problem=problem,
        graph_notes=notes,
        runs=runs,
        staging=staging,
        staging_problem=f"{lost.message}. {lost.hint}" if lost else "",
        holder=str(holder or ""),
        next_commands=[f"stage clone {state.repo} DIR"] if lost else _next(state, graph, problem, runs),
    )


def _graph(layout: Layout, state: CampaignState) -> tuple[GraphReport | None, str]:
    """Describe the graph, and say why it would not be run as it is."""
    if state.quantum_graph.uri is None:
        return None, ""
    try:
        report = graph_report(open_graph(layout, state), layout.resolve(state.quantum_graph.uri))
        found = find_discrepancy(layout, state)
    except NotFoundError as exc:
        return None, exc.message
    except StageError as exc:
        return None, f"cannot be read: {exc.message}"
    return report, f"out of date: {found}" if found else ""


def _notes(layout: Layout, state: CampaignState, *, ask_upstream: bool) -> list[str]:
    try:
        graph = open_graph(layout, state)
        return staleness_notes(layout, state, graph, ask_upstream=ask_upstream)
    except StageError as exc:
        return [f"whether its inputs have changed is not known: {exc.message}"]


def _run(layout: Layout, state: CampaignState, snapshot: Snapshot, name: str) -> RunStatus:
    place = "current" if name == state.collections.current_run else "past"
    tasks = task_counts(snapshot, name, planned_tasks(layout, name))
    failures, n = failures_of(snapshot, name, _MAX_FAILURES)
    done = sum(v for c in tasks.values() for status, v in c.items() if status not in ("missing", "blocked"))
    push = push_state(snapshot, name) if done else "nothing done"
    return RunStatus(name, place, tasks, failures, n, push, steps_left(layout, name))


def _next(state: CampaignState, graph: GraphReport | None, problem: str, runs: list[RunStatus]) -> list[str]:
    """Suggest what can be done next, the likeliest first."""
    out: list[str] = []
    if state.pipeline is None and graph is None:
        out.append("stage edit -p PIPELINE")
    if not state.collections.inputs and graph is None:
        out.append("stage edit -i COLLECTION[,COLLECTION]")
    if graph is None and state.pipeline is not None and state.collections.inputs:
        out.append("stage build")
    current = next((r for r in runs if r.place == "current"), None)
    if current is not None and current.n_failures:
        out.append("stage log --failed")
    if graph is not None and problem:
        out.append("stage run --rebuild")
    elif graph is not None and (current is not None or not runs):
        out.append("stage run -j N")
    if any(r.push.startswith(("to push", "push broken")) for r in runs):
        out.append("stage push --dry-run")
    return out
