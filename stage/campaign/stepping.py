"""Going through the steps of a pipeline: each step's graph is built when the last one's outputs are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from stage.campaign.step_graphs import StepGraph, build_step, step_graph
from stage.campaign.steps import StepPlan, step_graph_path

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.run_options import RunOptions
    from stage.campaign.scoping import Scoping
    from stage.execution.progress import ProgressEvent, RunSummary
    from stage.graph.graph import QuantumGraph

__all__ = ["Execute", "Progress", "Stepped", "later_left_out", "run_steps"]

Progress = Callable[["ProgressEvent"], Any]
Execute = Callable[[str, "QuantumGraph", Progress | None], "RunSummary"]


@dataclass(frozen=True)
class Stepped:
    """What came of going through steps.

    Parameters
    ----------
    summary : RunSummary
        Of all steps that were begun.
    skipped : mapping of str to int
        By task of a later step, quanta that were left out as done elsewhere.
    notes : tuple of str
        What a person may want to know of later steps.
    """

    summary: RunSummary
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def run_steps(
    change: Change, graph: QuantumGraph, execute: Execute, options: RunOptions, scoping: Scoping
) -> Stepped:
    """Execute a run's graph, and those of the steps that follow, each built when all before it is done.

    Parameters
    ----------
    change : Change
        The change that is being made; kept already, so that a killed run can be gone on with.
    graph : QuantumGraph
        The graph of the first step, or of a pipeline without steps; its RUN is that of all steps.
    execute : callable
        Runs what is left of a graph: takes its file, the graph, and whom to tell of progress.
    options : RunOptions
        Whom to tell (``step`` of each event says which step it is about), and how graphs are built.
    scoping : Scoping
        Which steps are wanted.

    Returns
    -------
    Stepped
        Steps after a failure or an interruption were not begun: the same command goes on there.

    Raises
    ------
    UsageError
        If a step has nothing to do although those before it made something (``empty-graph``). What is done stays.
    StageError
        If upstream cannot be reached, or a graph cannot be built. What is done stays.
    """
    plan, run, on_progress = StepPlan.of(graph.header), graph.output_run, options.on_progress
    first = step_graph_path(change.layout, run, 1)
    out = Stepped(execute(str(first), graph, _told(on_progress, plan, 1)))
    graphs = [graph]
    for number in range(2, len(plan.labels) + 1):
        if not out.summary.is_complete or scoping.ends_before(number):
            break
        found = step_graph(change, plan, number, graphs, offline=options.graph.offline)
        graphs.append(found.graph)
        path = step_graph_path(change.layout, run, number)
        ended = execute(str(path), found.graph, _told(on_progress, plan, number))
        out = Stepped(
            _joined(out.summary, ended),
            {**out.skipped, **found.skipped},
            (*out.notes, *_notes(plan.said(number), found)),
        )
    return out


def later_left_out(change: Change, graph: QuantumGraph, *, offline: bool) -> Mapping[str, int] | None:
    """Tell whether the steps after a first one that has nothing to do have nothing to do either.

    Parameters
    ----------
    change : Change
        The change that is being made; nothing is written.
    graph : QuantumGraph
        Of the first step, or of a pipeline without steps; without quanta.
    offline : bool
        Ask staging alone.

    Returns
    -------
    mapping of str to int, or None
        By task of a later step, quanta that are left out as done elsewhere; None if one step has something to do.
    """
    plan, graphs = StepPlan.of(graph.header), [graph]
    skipped: dict[str, int] = {}
    for number in range(2, len(plan.labels) + 1):
        found = build_step(change, plan, number, graphs, offline=offline)
        if found.graph.n_quanta:
            return None
        skipped.update(found.skipped)
        graphs.append(found.graph)
    return skipped


def _notes(said: str, found: StepGraph) -> Iterable[str]:
    """Say why a step has less to do than a person may expect."""
    trimmed = sum(found.trimmed.values())
    if trimmed:
        yield f"{said}: {trimmed:,} quanta are left out of its graph, their outputs are all there (trimmed)"
    if not (found.graph.n_quanta or trimmed or found.skipped):
        yield f"{said} has nothing to do: the steps before it have made nothing for it"


def _told(on_progress: Progress | None, plan: StepPlan, number: int) -> Progress | None:
    """Return whom to tell of one step's progress."""
    if on_progress is None or not plan.labels:
        return on_progress
    said = plan.said(number)
    return lambda event: on_progress(replace(event, step=said))


def _joined(before: RunSummary, now: RunSummary) -> RunSummary:
    return replace(
        now,
        tasks={**before.tasks, **now.tasks},
        failures=(*before.failures, *now.failures),
        elapsed_s=before.elapsed_s + now.elapsed_s,
        removed=before.removed + now.removed,
    )
