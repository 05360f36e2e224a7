"""Running a campaign's graph: into which RUN, with which graph, and what the state is afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError, StageError, UsageError
from stage.campaign.building import build_graph, fetch_wanted
from stage.campaign.discrepancy import check_graph_current, is_run_of
from stage.campaign.graphs import open_graph
from stage.campaign.outcomes import failures_of, has_collection, planned_tasks, task_counts
from stage.campaign.reports import RunReport
from stage.campaign.repositories import ensure_staging, open_staging, open_upstream
from stage.campaign.stack import choose_run, finish_run, set_campaign_chain
from stage.execution.kept import DEFAULT_LIMIT

if TYPE_CHECKING:
    from registry.registry import Snapshot
    from stage.campaign.change import Change
    from stage.graph.graph import QuantumGraph
    from stage.graph.wanted import GraphWanted
    from sync.repo import Repo

__all__ = [
    "prepare_campaign",
    "prepare_graph",
    "report_run",
    "run_campaign",
]

Progress = Callable[[Any], None]


def prepare_graph(change: Change, *, data_query: str | None, rebuild: bool, use_qg_configs: bool) -> None:
    """See to it that the campaign has a graph that may be run.

    Parameters
    ----------
    change : Change
        The change that is being made.
    data_query : str or None
        Expression for a graph that has to be built.
    rebuild : bool
        Build again even if there is one.
    use_qg_configs : bool
        Run the one there is, whatever changed since.

    Raises
    ------
    UsageError
        If options contradict each other.
    ConflictError
        If pipeline, inputs or query differ from those of the graph.
    """
    entry = change.state.quantum_graph
    if rebuild and use_qg_configs:
        raise UsageError("--rebuild and --use-qg-configs contradict each other", hint="Give one of them.")
    if entry.uri is None or rebuild:
        build_graph(change, data_query=data_query)
        return
    if data_query is not None and data_query != entry.data_query:
        raise ConflictError(
            f'the graph was built with the query "{entry.data_query}", not "{data_query}"',
            code="graph-discrepant",
            hint="Build it again (--rebuild), or leave -d out.",
        )
    if not use_qg_configs:
        check_graph_current(change.layout, change.state, change)


def _taken(change: Change) -> Callable[[str], bool]:
    """Tell which collection names are in use, in staging and by the campaign."""
    c = change.state.collections
    used = {*c.created, *c.runs, *c.inputs, *((c.chain,) if c.chain else ())}
    if change.layout.staging.is_file():
        with open_staging(change.layout) as staging, staging.registry.read() as snapshot:
            used |= {found.name for found in snapshot.collections()}
    return used.__contains__


def _run_graph(change: Change, run: str) -> QuantumGraph:
    """Return the graph of a run, retargeted from the campaign's; the run's own where it has one."""
    layout = change.layout
    source = open_graph(layout, change.state, change)
    path = layout.run_graph(run)
    if path.is_file():
        if not is_run_of(layout, run, source):
            raise ConflictError(
                f"run '{run}' was begun with another graph",
                code="run-graph-differs",
                hint="Begin a new run: stage run --new-run --rebuild.",
            )
        from stage.graph.file import GraphFile

        return GraphFile.open(str(path)).load()
    graph = source.load().retarget(run)
    change.creating_tree(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    graph.save(str(change.beside(path)), durable=True)
    return graph


def _ensure_fetched(change: Change, graph: QuantumGraph) -> None:
    """Fetch what a graph needs, unless staging has its inputs (a fetch brings all or nothing)."""
    wanted = graph.wanted()
    if change.layout.staging.is_file():
        with open_staging(change.layout) as staging, staging.registry.read() as snapshot:
            if _is_fetched(snapshot, wanted):
                return
    with open_upstream(change.state) as upstream:
        ensure_staging(change, upstream)
        fetch_wanted(change.layout, upstream, wanted)


def _is_fetched(snapshot: Snapshot, wanted: GraphWanted) -> bool:
    ids = set(wanted.dataset_ids)
    if len(snapshot.existing_ids(list(ids))) < len(ids):
        return False
    keys = {} if ids else wanted.records
    return all(snapshot.records(name, keys=rows).n_rows == rows.n_rows for name, rows in keys.items())


def run_campaign(
    change: Change,
    *,
    processes: int = 1,
    data_query: str | None = None,
    new_run: bool = False,
    continue_run: bool = False,
    finish: bool | None = None,
    rebuild: bool = False,
    use_qg_configs: bool = False,
    fail_fast: bool = False,
    timeout: float | None = None,
    retries: int = 0,
    log_limit: int = DEFAULT_LIMIT,
    on_progress: Progress | None = None,
) -> RunReport:
    """Execute the campaign's graph.

    Parameters
    ----------
    change : Change
        The change that is being made; saved before anything is executed, so that a killed run can be gone on with.
    processes : int, optional
        Worker processes.
    data_query : str, optional
        Expression for a graph that has to be built.
    new_run, continue_run : bool, optional
        See `choose_run`.
    finish : bool, optional
        Whether the run ends when all is done; it does by default.
    rebuild, use_qg_configs : bool, optional
        See `prepare_graph`.
    fail_fast : bool, optional
        Begin nothing more after the first failure.
    timeout : float, optional
        Longest time for one quantum, in seconds.
    retries : int, optional
        How often a quantum that failed is tried again.
    log_limit : int, optional
        Bytes that are kept of the log of each quantum.
    on_progress : callable, optional
        Called with each `stage.execution.run.ProgressEvent`.

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
    from stage.execution.settings import check_limits

    began = time.monotonic()
    check_limits(processes, timeout, retries)
    run, graph, task_path = prepare_campaign(
        change,
        data_query=data_query,
        new_run=new_run,
        continue_run=continue_run,
        rebuild=rebuild,
        use_qg_configs=use_qg_configs,
    )
    layout = change.layout
    with open_staging(layout, writable=True) as staging:
        summary = run_graph(
            staging,
            str(layout.run_graph(run)),
            processes=processes,
            on_progress=on_progress,
            task_path=task_path,
            logs_dir=str(layout.logs / run),
            fail_fast=fail_fast,
            timeout_s=timeout,
            retries=retries,
            log_limit=log_limit,
            graph=graph,
        )
    total = summary.total
    report = report_run(change, run, finish=False if summary.interrupted else finish)
    return replace(
        report,
        interrupted=summary.interrupted,
        executed=total.succeeded + total.no_work + total.failed,
        seconds=time.monotonic() - began,
    )


def prepare_campaign(
    change: Change,
    *,
    data_query: str | None = None,
    new_run: bool = False,
    continue_run: bool = False,
    rebuild: bool = False,
    use_qg_configs: bool = False,
) -> tuple[str, QuantumGraph, tuple[str, ...]]:
    """Make a RUN ready to be written: graph, inputs, collection, chain, init outputs.

    Parameters
    ----------
    change : Change
        The change that is being made; kept at the end, so that a killed run can be gone on with.
    data_query : str, optional
        Expression for a graph that has to be built.
    new_run, continue_run : bool, optional
        See `choose_run`.
    rebuild, use_qg_configs : bool, optional
        See `prepare_graph`.

    Returns
    -------
    run : str
        The RUN, which is the campaign's current one.
    graph : QuantumGraph
        Its graph.
    task_path : tuple of str
        Directories of the user's modules.

    Raises
    ------
    StageError
        If it cannot be made ready; then all is as it was before.
    """
    from stage.execution.prep import prepare_run
    from stage.pipeline.importing import extend_path

    change.state, run = choose_run(
        change.state, new_run=new_run, continue_run=continue_run, taken=_taken(change)
    )
    # After the stack has moved: what was the current run is searched by a graph that is built now.
    prepare_graph(change, data_query=data_query, rebuild=rebuild, use_qg_configs=use_qg_configs)
    graph = _run_graph(change, run)
    _ensure_fetched(change, graph)
    task_path = _task_path(change)
    extend_path(task_path)
    change.save_now()
    with open_staging(change.layout, writable=True) as staging:
        with staging.registry.read() as snapshot:
            is_new = not has_collection(snapshot, run)
        try:
            prepare_run(staging, graph)
            change.state = set_campaign_chain(staging, change.state)
        except StageError:
            if is_new:
                _forget_run(staging, run)
            raise
    change.keep()
    return run, graph, task_path


def _task_path(change: Change) -> tuple[str, ...]:
    """Return where a local pipeline's modules are now: the campaign may have moved since its graph was built."""
    pipeline = change.state.pipeline
    is_local = pipeline is not None and "://" not in pipeline and not pipeline.startswith("/")
    return (str(change.layout.root),) if is_local else ()


def _forget_run(staging: Repo, run: str) -> None:
    with staging.registry.write() as tx:
        if has_collection(tx, run):
            tx.remove_collection(run)


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
    report = RunReport(run, tasks, failures)
    if report.complete and finish is not False and run == change.state.collections.current_run:
        change.state = finish_run(change.state)
        report = replace(report, finished=True)
    return report
