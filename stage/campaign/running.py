"""Running a campaign's graph: into which RUN, with which graph, and what the state is afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from registry.errors import ConflictError
from stage.campaign.drop_report import DropReport
from stage.campaign.dropping import execute_drop, plan_drop
from stage.campaign.fetching import ensure_fetched
from stage.campaign.graph_choice import prepare_graph
from stage.campaign.outcomes import failures_of, has_collection, planned_tasks, task_counts
from stage.campaign.reports import RunReport
from stage.campaign.repositories import open_staging
from stage.campaign.run_graph import graph_of_run, leave_out_done, note_finish, save_run_graph, stays_open
from stage.campaign.run_options import RunOptions
from stage.campaign.stack import choose_run, finish_run, set_campaign_chain, take_back_run
from stage.campaign.steps import Progress, StepPlan, run_steps, steps_left
from stage.execution.allowance import Allowance

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.campaign.state import CampaignState
    from stage.execution.progress import RunSummary
    from stage.graph.graph import QuantumGraph

__all__ = ["PreparedRun", "prepare_campaign", "report_run", "run_campaign"]

_STAYS = (
    "it is complete and stays the current run, as was said when it was made; 'stage run --finish' ends it"
)


@dataclass(frozen=True)
class PreparedRun:
    """A RUN that is ready to be written.

    Parameters
    ----------
    name : str
        The RUN, which is the campaign's current one; empty if there is nothing left to run.
    graph : QuantumGraph
        Its graph.
    task_path : tuple of str
        Directories of the user's modules.
    skipped : mapping of str to int
        Task to number of quanta that are left out as done elsewhere.
    notes : sequence of str
        What has changed since the graph was built.
    dropped : DropReport, optional
        Runs whose place it takes.
    """

    name: str
    graph: QuantumGraph
    task_path: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    dropped: DropReport = field(default_factory=lambda: DropReport(()))


def run_campaign(change: Change, options: RunOptions) -> RunReport:
    """Execute the campaign's graph.

    Parameters
    ----------
    change : Change
        The change that is being made; saved before anything is executed, so that a killed run can be gone on with.
    options : RunOptions
        Which RUN, which graph, and how.

    Returns
    -------
    RunReport
        What became of the run.

    Raises
    ------
    StageError
        If it could not be begun; then all is as it was before.
    """
    from stage.execution.run import run_graph

    began = time.monotonic()
    options.check_execution()
    prepared = prepare_campaign(change, options)
    told = RunReport(
        prepared.name, {}, skipped=prepared.skipped, notes=prepared.notes, dropped=prepared.dropped
    )
    if not prepared.name:
        return replace(told, seconds=time.monotonic() - began)
    layout, run = change.layout, prepared.name

    def execute(uri: str, graph: QuantumGraph, on_progress: Progress | None) -> RunSummary:
        with open_staging(layout, writable=True) as staging:
            return run_graph(
                staging,
                uri,
                processes=options.processes,
                on_progress=on_progress,
                task_path=prepared.task_path,
                logs_dir=str(layout.logs / run),
                fail_fast=options.fail_fast,
                timeout_s=options.timeout,
                retries=options.retries,
                log_limit=options.log_limit,
                allowance=options.allowance or Allowance(),
                wrap=options.wrap,
                pdb=options.pdb,
                graph=graph,
            )

    summary = run_steps(change, prepared.graph, execute, options)
    total = summary.total
    finish = options.finish if options.finish is not None else not stays_open(layout, run)
    report = report_run(change, run, finish=finish and not summary.interrupted)
    return replace(
        report,
        interrupted=summary.interrupted,
        executed=total.succeeded + total.no_work + total.failed,
        seconds=time.monotonic() - began,
        skipped=told.skipped,
        notes=[*told.notes, *([_STAYS] if report.complete and options.finish is None and not finish else [])],
        dropped=told.dropped,
    )


def prepare_campaign(change: Change, options: RunOptions) -> PreparedRun:
    """Make a RUN ready to be written: graph, inputs, collection, chain, init outputs.

    Parameters
    ----------
    change : Change
        The change that is being made; kept at the end, so that a killed run can be gone on with.
    options : RunOptions
        Which RUN and which graph.

    Returns
    -------
    PreparedRun
        The RUN and what it executes.

    Raises
    ------
    StageError
        If it cannot be made ready; then all is as it was before.
    """
    from stage.execution.needs import check_fit
    from stage.execution.prep import prepare_run
    from stage.pipeline.importing import extend_path

    before = change.state
    options.stack.check()
    change.state, run = choose_run(
        before,
        new_run=options.new_run,
        continue_run=options.continue_run,
        replace=options.stack.replace,
        restart=options.stack.restart,
        taken=_taken(change),
    )
    runs = [name for name in before.collections.runs if name not in change.state.collections.runs]
    dropped = plan_drop(change.layout, runs, options.stack.mode)
    # After the stack has moved: what was the current run is searched by a graph that is built now.
    notes = [*_replaced_notes(before, dropped, options), *prepare_graph(change, options)]
    graph, is_new = graph_of_run(change, run, options)
    skipped: Mapping[str, int] = {}
    is_less = False
    if options.skip_existing_in:
        left, skipped = leave_out_done(change, graph, options)
        graph, is_less = left, left is not graph
    if is_new and not graph.n_quanta and not StepPlan.of(graph.header).labels:
        change.state = replace(change.state, collections=before.collections)
        return PreparedRun("", graph, (), skipped, notes)
    _check_reads_no(graph, dropped)
    if is_new or is_less:
        if options.allowance is not None:
            check_fit(graph, options.workers, options.allowance)
        save_run_graph(change, graph)
    note_finish(change, run, options.finish, is_taken_up=before.collections.current_run != run)
    ensure_fetched(change, graph)
    task_path = _task_path(change)
    extend_path(task_path)
    change.save_now()
    with open_staging(change.layout, writable=True) as staging:
        with staging.registry.read() as snapshot:
            names = (run, change.state.collections.chain or "")
            begun, chain = ("" if has_collection(snapshot, name) else name for name in names)
        if begun and not change.layout.data.is_file():
            change.creating_tree(change.layout.data / run)
        change.undoing(lambda: take_back_run(change.layout, begun, chain))
        prepare_run(staging, graph)
        change.state = set_campaign_chain(staging, change.state)
    change.keep()
    execute_drop(change, dropped.runs, dropped.mode)
    change.keep()
    return PreparedRun(run, graph, task_path, skipped, notes, dropped)


def _replaced_notes(before: CampaignState, dropped: DropReport, options: RunOptions) -> list[str]:
    if not options.stack.replace or before.collections.current_run is not None:
        return []
    return [f"there was no current run: '{dropped.runs[0]}', the newest past run, is replaced"]


def _check_reads_no(graph: QuantumGraph, dropped: DropReport) -> None:
    """Refuse to remove a run from which the graph reads."""
    read = [run for run in dropped.runs if run in graph.header.input_collections]
    if dropped.mode and read:
        raise ConflictError(
            f"the graph was built from run '{read[0]}', which is dropped and was to be removed",
            code="graph-reads-dropped",
            hint=f"Build it again (--rebuild), or leave --{dropped.mode} out.",
        )


def _taken(change: Change) -> Callable[[str], bool]:
    """Tell which collection names are in use, in staging and by the campaign."""
    c = change.state.collections
    used = {*c.created, *c.runs, *c.inputs, *((c.chain,) if c.chain else ())}
    if change.layout.staging.is_file():
        with open_staging(change.layout) as staging, staging.registry.read() as snapshot:
            used |= {found.name for found in snapshot.collections()}
    return used.__contains__


def _task_path(change: Change) -> tuple[str, ...]:
    """Return where a local pipeline's modules are now: the campaign may have moved since its graph was built."""
    pipeline = change.state.pipeline
    is_local = pipeline is not None and "://" not in pipeline and not pipeline.startswith("/")
    return (str(change.layout.root),) if is_local else ()


def report_run(change: Change, run: str, *, finish: bool | None) -> RunReport:
    """Say what became of a run, and finish it if it is complete.

    Parameters
    ----------
    change : Change
        The change that is being made.
    run : str
        The RUN.
    finish : bool or None
        Whether a complete run ends; it does by default.

    Returns
    -------
    RunReport
        By what staging holds.
    """
    with open_staging(change.layout) as staging, staging.registry.read() as snapshot:
        tasks = task_counts(snapshot, run, planned_tasks(change.layout, run))
        failures, _ = failures_of(snapshot, run)
    report = RunReport(run, tasks, failures, steps_left=steps_left(change.layout, run))
    if report.complete and finish is not False and run == change.state.collections.current_run:
        change.state = finish_run(change.state)
        report = replace(report, finished=True)
    return report
