"""Pipelines with steps: when a step is done, its final job builds the graph of the next one and submits it.

Each step is a submission of its own, with its own number, in ``step-<n>`` of the first one's directory; all write one RUN.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stage.batch.layout import SubmitDir
from stage.campaign.campaign import Campaign
from stage.campaign.layout import STATE_FILE
from stage.campaign.steps import StepPlan, run_graphs, step_graph_path

if TYPE_CHECKING:
    from stage.batch.submission.identity import Identity
    from stage.campaign.change import Change
    from stage.campaign.layout import Layout
    from stage.graph.graph import QuantumGraph

__all__ = ["NextStep", "campaign_of", "make_step", "step_directory"]

_RECORDS = "records"


@dataclass(frozen=True, slots=True)
class NextStep:
    """What comes after a step.

    Parameters
    ----------
    said : str
        Which step it is, or why there is none now.
    where : SubmitDir or None
        Its directory, with its graph; None if there is nothing to submit.
    number : int
        Which, from 1.
    n_quanta : int
        How much it has to do.
    is_left : bool
        Whether there are steps that are still to be done.
    """

    said: str
    where: SubmitDir | None = None
    number: int = 0
    n_quanta: int = 0
    is_left: bool = True


def campaign_of(where: SubmitDir) -> Path | None:
    """Return the campaign that a submission lies in.

    Parameters
    ----------
    where : SubmitDir
        Its directory.

    Returns
    -------
    pathlib.Path or None
        None for one that is of no campaign.
    """
    return next((p for p in where.root.resolve().parents if (p / STATE_FILE).is_file()), None)


def step_directory(layout: Layout, run: str, number: int) -> SubmitDir:
    """Return the directory of one step's submission.

    Parameters
    ----------
    layout : Layout
        The campaign's paths.
    run : str
        The RUN.
    number : int
        The step, from 1.

    Returns
    -------
    SubmitDir
        ``submit/<run>`` for the first, ``submit/<run>/step-<n>`` for those after it.
    """
    root = layout.submit(run)
    return SubmitDir(root if number == 1 else root / f"step-{number}")


def make_step(root: Path, identity: Identity) -> NextStep:
    """Build the graph of the step after one whose jobs are merged.

    Parameters
    ----------
    root : pathlib.Path
        The campaign's directory.
    identity : Identity
        Of the step that has ended.

    Returns
    -------
    NextStep
        Steps that have nothing to do are passed over; after the last one a complete run is finished.

    Raises
    ------
    StageError
        If upstream cannot be reached, or the graph cannot be built; what is done stays.
    """
    campaign = Campaign.load(root)
    with campaign._changing("batch submit", {}) as change:  # noqa: SLF001 - as its verbs do
        return _after(change, identity)


def _after(change: Change, identity: Identity) -> NextStep:
    from stage.campaign.repositories import open_staging
    from stage.campaign.running import report_run
    from stage.campaign.step_graphs import step_graph
    from stage.execution.prep import prepare_run
    from stage.graph.graph import QuantumGraph

    layout, run = change.layout, identity.run
    graphs = [QuantumGraph.load(str(path)) for path in run_graphs(layout, run)[: identity.step]]
    plan = StepPlan.of(graphs[0].header)
    if not _is_done(change, run, graphs):
        return NextStep(f"{plan.said(identity.step)} is not complete: the next one is submitted when it is")
    for number in range(identity.step + 1, len(plan.labels) + 1):
        found = step_graph(change, plan, number, graphs, offline=False)
        graphs.append(found.graph)
        if found.graph.n_quanta:
            with open_staging(layout, writable=True) as staging:
                prepare_run(staging, found.graph)
            where = step_directory(layout, run, number)
            _lay_out(where, step_graph_path(layout, run, number))
            return NextStep(plan.said(number), where, number, found.graph.n_quanta)
    report_run(change, run, finish=identity.finish)
    return NextStep("all steps are done", is_left=False)


def _is_done(change: Change, run: str, graphs: list[QuantumGraph]) -> bool:
    """Tell whether staging has all of some steps as complete."""
    from registry.model.records import QuantumStatus
    from stage.campaign.outcomes import task_counts
    from stage.campaign.repositories import open_staging

    planned = {label: n for graph in graphs for label, n in graph.counts().items()}
    with open_staging(change.layout) as staging, staging.registry.read() as snapshot:
        counts = task_counts(snapshot, run, planned)
    return all(
        not n or status in QuantumStatus.COMPLETE
        for label in planned
        for status, n in counts.get(label, {}).items()
    )


def _lay_out(where: SubmitDir, graph: Path) -> None:
    """Make a step's directory: its graph is the run's own, and its records lie where those of the run are merged from."""
    where.root.mkdir(exist_ok=True)
    records = where.root.parent / _RECORDS / where.root.name
    records.mkdir(parents=True, exist_ok=True)
    for link, target in (
        (where.graph, Path("..") / graph.name),
        (where.records, Path("..") / _RECORDS / records.name),
    ):
        if not link.is_symlink():
            link.symlink_to(target)
