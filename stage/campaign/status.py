"""Where a campaign stands: what it is, what was run, what could be done next."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from registry.errors import NotFoundError, StageError
from registry.model.records import QuantumStatus
from stage.campaign.discrepancy import find_discrepancies
from stage.campaign.driven import driver_of
from stage.campaign.graph_reports import GraphReport
from stage.campaign.graphs import graph_report, open_graph
from stage.campaign.lock import read_holder
from stage.campaign.moved_on import moved_inputs_counts
from stage.campaign.outcomes import failures_of, planned_tasks, task_counts
from stage.campaign.pushing import push_state
from stage.campaign.reports import Failure
from stage.campaign.repositories import lost_staging, open_staging
from stage.campaign.staleness import staleness_notes
from stage.campaign.status_next import next_commands
from stage.campaign.status_report import PushOutlook, RunStatus, StatusReport, UpstreamStatus
from stage.campaign.step_graphs import Elsewhere
from stage.campaign.steps import run_graphs, steps_left
from stage.campaign.unmerged import unmerged

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.layout import Layout
    from stage.campaign.state import CampaignState
    from stage.campaign.unmerged import Unmerged

__all__ = ["campaign_status"]

_MAX_FAILURES = 10
_MOST_RECORDS = 10_000
"""Where jobs have left more record files, they are counted when they are merged: this is for a person who waits."""
_LOGGED = (*sorted(QuantumStatus.COMPLETE), QuantumStatus.FAILED)


def campaign_status(layout: Layout, state: CampaignState, *, ask_upstream: bool = False) -> StatusReport:
    """Say where a campaign stands.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    state : CampaignState
        Its state.
    ask_upstream : bool, optional
        Whether to say what has moved upstream; if that cannot be reached, the rest is told all the same.

    Returns
    -------
    StatusReport
        Plain values.
    """
    from stage.campaign.afar.copy import copy_at
    from sync.filesystem.uris import redact

    graph, problem = _graph(layout, state)
    lost, copy = lost_staging(layout), copy_at(layout.root)
    holder = read_holder(layout.lock) or (copy.holder() if copy is not None else None)
    runs, staging = _runs(layout, state)
    asked = _upstream(layout, state) if ask_upstream else None
    following = [] if asked is None or holder is not None else asked.next_commands
    c = state.collections
    return StatusReport(
        name=state.name,
        doc=state.doc,
        directory=str(layout.root),
        upstream=redact(state.repo),
        pipeline=state.pipeline,
        collections={
            "inputs": list(c.inputs),
            "chain": c.chain,
            "current_run": c.current_run,
            "past_runs": list(c.past_runs),
            "stack": list(c.stack),
            "dropped": [name for name in c.created if name not in {c.chain, *c.stack}],
        },
        graph=graph,
        graph_problem=problem,
        graph_notes=_notes(layout, state) if graph is not None else [],
        runs=runs,
        staging=staging,
        staging_problem=f"{lost.message}. {lost.hint}" if lost else "",
        push=_push_outlook(runs),
        holder=str(holder or ""),
        held_by=asdict(holder) if holder is not None else None,
        asked_upstream=asked,
        next_commands=[
            *following,
            *next_commands(layout, state, graph, problem, runs, is_held=holder is not None),
        ],
        artifacts=state.artifacts,
        outputs_in=None if state.outputs_in is None else redact(state.outputs_in),
        kept_at=redact(copy.uri) if copy is not None else "",
        inputs_moved=_inputs_moved(layout),
    )


def _inputs_moved(layout: Layout) -> dict[str, int]:
    if not layout.staging.is_file():
        return {}
    with open_staging(layout) as staging, staging.registry.read() as snapshot:
        return moved_inputs_counts(snapshot)


def _upstream(layout: Layout, state: CampaignState) -> UpstreamStatus:
    from stage.campaign.status_upstream import upstream_status

    return upstream_status(layout, state)


def _graph(layout: Layout, state: CampaignState) -> tuple[GraphReport | None, str]:
    """Describe the graph, and say why it would not be run as it is."""
    if state.quantum_graph.uri is None:
        return None, ""
    try:
        report = graph_report(open_graph(layout, state), layout.resolve(state.quantum_graph.uri))
    except NotFoundError as exc:
        return None, exc.message
    except StageError as exc:
        return None, f"cannot be read: {exc.message}"
    try:
        found = find_discrepancies(layout, state)
    except StageError as exc:
        return report, f"the pipeline cannot be read: {exc.message}"
    return report, f"out of date: {'; '.join(map(str, found))}" if found else ""


def _notes(layout: Layout, state: CampaignState) -> list[str]:
    try:
        return staleness_notes(layout, state, open_graph(layout, state), ask_upstream=False)
    except StageError as exc:
        return [f"whether its inputs have changed is not known: {exc.message}"]


# -- runs -----------------------------------------------------------------------------------------------------


def _runs(layout: Layout, state: CampaignState) -> tuple[list[RunStatus], dict[str, int]]:
    """Describe the runs of the stack, and staging as a whole."""
    from registry import keeping

    names = state.collections.runs
    if not layout.staging.is_file():
        return [], {}
    with open_staging(layout) as repo, repo.registry.read() as snapshot:
        sizes = keeping.run_sizes(snapshot)
        runs = [_run(layout, state, snapshot, name, sizes.get(name, (0, 0))) for name in names]
        staging = {
            "datasets": sum(n for n, _ in sizes.values()),
            "runs": len(names),
            "size_bytes": sum(sizes[name][1] for name in state.collections.created if name in sizes),
            "database_bytes": keeping.database_bytes(snapshot),
        }
    return runs, staging


def _run(
    layout: Layout, state: CampaignState, snapshot: Snapshot, name: str, held: tuple[int, int]
) -> RunStatus:
    place = "current" if name == state.collections.current_run else "past"
    counts = task_counts(snapshot, name, planned_tasks(layout, name))
    tasks = {label: dict(of_task) for label, of_task in counts.items()}
    failed = any(of_task.get(QuantumStatus.FAILED) for of_task in tasks.values())
    failures, n = failures_of(snapshot, name, _MAX_FAILURES) if failed else ([], 0)
    undone = ("missing", QuantumStatus.BLOCKED)
    done = sum(v for c in tasks.values() for status, v in c.items() if status not in undone)
    if place == "current":
        _note_begun(layout, name, tasks)
    for label, left_out in _left_out(layout, name).items():
        tasks.setdefault(label, {})["skipped"] = left_out
    push = push_state(snapshot, name) if done else "nothing done"
    newer, driver = [], None
    if place == "current":
        newer = [row for row in unmerged(snapshot, layout, name, most=_MOST_RECORDS) if row.is_last]
        driver = driver_of(layout, name)
        failures, n = _count_unmerged(tasks, failures, n, newer)
    return RunStatus(
        name, place, tasks, failures, n, push, steps_left(layout, name), *held,
        unmerged=len(newer), driven=str(driver[0]) if driver else "",
    )  # fmt: skip


def _count_unmerged(
    tasks: dict[str, dict[str, int]], failures: Sequence[Failure], n_failures: int, newer: Sequence[Unmerged]
) -> tuple[list[Failure], int]:
    """Count quanta as jobs have recorded them, in place of what staging says; return what has failed now."""
    for row in newer:
        counts = tasks[row.task]
        before = row.before or "missing"
        counts[before] -= 1
        if not counts[before]:
            del counts[before]
        counts[row.status] = counts.get(row.status, 0) + 1
    known = {(row.task, row.data_id) for row in newer}
    failed = [Failure(r.task, r.data_id, r.message) for r in newer if r.status == QuantumStatus.FAILED]
    n_failures += len(failed) - sum(row.before == QuantumStatus.FAILED for row in newer)
    kept = [f for f in failures if (f.task, f.data_id) not in known]
    return [*kept, *failed][:_MAX_FAILURES], n_failures


def _note_begun(layout: Layout, run: str, tasks: Mapping[str, dict[str, int]]) -> None:
    """Tell from the logs that can be followed how many quanta were begun and have no outcome."""
    for label, counts in tasks.items():
        missing = counts.get("missing", 0)
        if not missing:
            continue
        try:
            with os.scandir(layout.logs / run / label) as entries:
                n_logs = sum(1 for _ in entries)
        except OSError:  # nothing was begun, or somebody removed them
            continue
        begun = min(missing, n_logs - sum(counts.get(status, 0) for status in _LOGGED))
        if begun > 0:
            counts["begun"] = begun
            counts["missing"] = missing - begun


def _left_out(layout: Layout, run: str) -> dict[str, int]:
    """Return by task how many quanta a run leaves out, as its graphs remember it."""
    from stage.graph.file.reader import GraphFile

    out: dict[str, int] = {}
    try:
        for path in run_graphs(layout, run):
            header = GraphFile.open(str(path)).header
            if Elsewhere.of(header).skip:
                out |= header.metadata.get("refreshed", {}).get("trimmed", {})
    except StageError:
        return {}
    return {label: int(n) for label, n in out.items() if n}


def _push_outlook(runs: list[RunStatus]) -> PushOutlook:
    going = [run for run in runs if run.push.startswith(("to push", "push broken"))]
    return PushOutlook(
        [run.name for run in going], sum(run.datasets for run in going), sum(run.size_bytes for run in going)
    )
