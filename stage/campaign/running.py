"""Running a campaign's graph: into which RUN, with which graph, and what the state is afterwards."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stage.campaign.deciding import decide_run
from stage.campaign.driven import refuse_driven
from stage.campaign.drop_report import DropReport
from stage.campaign.dropping import execute_drop
from stage.campaign.ephemeral import PUSH_FIRST, choose_ephemeral, may_remove
from stage.campaign.fetching import ensure_fetched
from stage.campaign.outcomes import failures_of, has_collection, planned_tasks, task_counts
from stage.campaign.outputs import begin_outputs, refuse_given_run
from stage.campaign.reports import RunReport
from stage.campaign.repositories import open_staging
from stage.campaign.run_graph import note_finish, save_run_graph, stays_open
from stage.campaign.run_options import RunOptions
from stage.campaign.scoping import Scoping
from stage.campaign.stack import finish_run, set_campaign_chain, take_back_run
from stage.campaign.stepping import Progress, run_steps
from stage.campaign.steps import steps_left
from stage.execution.allowance import Allowance

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.execution.progress import RunSummary
    from stage.graph.graph import QuantumGraph
    from sync.repo import Repo

__all__ = ["PreparedRun", "prepare_campaign", "report_run", "run_campaign"]

_log = logging.getLogger(__name__)
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
    scoping : Scoping
        What of it is executed.
    """

    name: str
    graph: QuantumGraph
    task_path: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    dropped: DropReport = field(default_factory=lambda: DropReport(()))
    scoping: Scoping = field(kw_only=True)


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
    if not (options.new_run or options.stack.replace or options.stack.restart):
        refuse_driven(change.layout, change.state.collections.runs[:1])
    prepared = prepare_campaign(change, options)
    told = RunReport(
        prepared.name, {}, skipped=prepared.skipped, notes=prepared.notes, dropped=prepared.dropped
    )
    if not prepared.name:
        return replace(told, seconds=time.monotonic() - began)
    layout, run = change.layout, prepared.name
    notes = [*told.notes]

    def execute(uri: str, graph: QuantumGraph, on_progress: Progress | None) -> RunSummary:
        with open_staging(layout, writable=True) as staging:
            ephemeral, stay = _ephemeral(staging, graph, options)
            notes.extend(stay)
            _log.info("executing %s (-j %d)", uri, options.processes)
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
                ephemeral=ephemeral,
                scope=prepared.scoping.scope,
            )

    stepped = run_steps(change, prepared.graph, execute, options, prepared.scoping)
    summary, total = stepped.summary, stepped.summary.total
    finish = options.finish if options.finish is not None else not stays_open(layout, run)
    report = report_run(change, run, finish=finish and not summary.interrupted)
    return replace(
        report,
        until="" if report.complete else prepared.scoping.reached(summary),
        interrupted=summary.interrupted,
        executed=total.succeeded + total.no_work + total.failed,
        seconds=time.monotonic() - began,
        skipped={**told.skipped, **stepped.skipped},
        notes=[
            *notes,
            *stepped.notes,
            *([_STAYS] if report.complete and options.finish is None and not finish else []),
        ],
        dropped=told.dropped,
        removed=summary.removed.n,
        removed_bytes=summary.removed.size_bytes,
    )


def _ephemeral(
    staging: Repo, graph: QuantumGraph, options: RunOptions
) -> tuple[Sequence[str], Sequence[str]]:
    """Return the dataset types of one graph that are ephemeral, and what there is to be said of it."""
    types, notes = choose_ephemeral(graph, options)
    if types:
        with staging.registry.read() as snapshot:
            if not may_remove(snapshot, graph.output_run):
                return (), (*notes, PUSH_FIRST)
    return types, notes


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
    decided = decide_run(change, options)
    run, graph, dropped = decided.run, decided.graph, decided.dropped
    scoping = Scoping(graph, options.scope)
    if decided.is_void:
        change.state = replace(change.state, collections=before.collections)
        return PreparedRun("", graph, (), decided.skipped, decided.notes, scoping=scoping)
    choose_ephemeral(graph, options)
    if decided.is_new or decided.is_less:
        if options.allowance is not None:
            check_fit(graph, options.workers, options.allowance)
        save_run_graph(change, graph)
    note_finish(change, run, options.finish, is_taken_up=before.collections.current_run != run)
    ensure_fetched(change, graph)
    task_path = _task_path(change)
    extend_path(task_path)
    change.save_now()
    _log.info("%s run %s: %d quanta", "beginning" if decided.is_new else "going on with", run, graph.n_quanta)
    with open_staging(change.layout, writable=True) as staging:
        with staging.registry.read() as snapshot:
            names = (run, change.state.collections.chain or "")
            begun, chain = ("" if has_collection(snapshot, name) else name for name in names)
        if begun:
            begin_outputs(change, staging, begun)
        else:
            refuse_given_run(staging.datastore.root, run)
        change.undoing(lambda: take_back_run(change.layout, begun, chain))
        prepare_run(staging, graph)
        change.state = set_campaign_chain(staging, change.state)
    change.keep()
    execute_drop(change, dropped.runs, dropped.mode)
    change.keep()
    return PreparedRun(run, graph, task_path, decided.skipped, decided.notes, dropped, scoping=scoping)


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
