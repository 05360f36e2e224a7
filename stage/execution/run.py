"""`run_graph`: run what is left of a graph on this machine, and record it in staging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stage.execution.allowance import Allowance, check_resources
from stage.execution.debugger import check_debugger, open_debugger
from stage.execution.ephemeral import Ephemerals
from stage.execution.executor import Executor, Interrupt, Work
from stage.execution.kept import DEFAULT_LIMIT
from stage.execution.late import Late
from stage.execution.needs import Needs
from stage.execution.pool import ProcessPool
from stage.execution.prep import prepare_run
from stage.execution.progress import ProgressEvent, Removed, RunSummary, Tally
from stage.execution.record import Recorder
from stage.execution.resume import Completed, completed
from stage.execution.scope import Scope
from stage.execution.serial import SerialExecutor
from stage.execution.settings import RunnerSettings, check_limits
from stage.execution.time_limits import TimeLimits
from stage.execution.worker import QuantumRunner
from stage.graph.graph import QuantumGraph

if TYPE_CHECKING:
    from stage.execution.outcome import QuantumOutcome
    from sync.repo import Repo

__all__ = ["run_graph"]


def run_graph(
    staging: Repo,
    graph_uri: str,
    *,
    processes: int = 1,
    on_progress: Callable[[ProgressEvent], Any] | None = None,
    task_path: Sequence[str] = (),
    logs_dir: str = "",
    log_level: str = "INFO",
    fail_fast: bool = False,
    timeout_s: float | None = None,
    retries: int | None = None,
    log_limit: int = DEFAULT_LIMIT,
    grace_s: float = 5.0,
    limit_threads: bool = True,
    allowance: Allowance = Allowance(),  # noqa: B008 - frozen
    wrap: str = "",
    pdb: bool = False,
    graph: QuantumGraph | None = None,
    ephemeral: Sequence[str] = (),
    scope: Scope = Scope(),  # noqa: B008 - frozen
) -> RunSummary:
    """Run the quanta of a graph that are not complete, and record what becomes of them.

    Parameters
    ----------
    staging : Repo
        Writable; it has the dimension records that the graph needs. Nobody else runs the same RUN.
    graph_uri : str
        The graph file, with a RUN.
    processes : int, optional
        Number of worker processes; 0 runs everything in this one.
    on_progress : callable, optional
        Called with each `ProgressEvent`, at most ten times a second, and once at the end.
    task_path : sequence of str, optional
        Directories of user modules, besides those that the graph names.
    logs_dir : str, optional
        Where logs can be followed while quanta run.
    log_level : str, optional
        Lowest level that logs keep.
    fail_fast : bool, optional
        Whether to begin nothing more after the first failure.
    timeout_s : float, optional
        Longest time for one quantum, with worker processes; a task may ask for less (``walltime_s``).
    retries : int, optional
        How often a quantum that failed is tried again; by default never, or 5 times where memory grows.
    log_limit : int, optional
        Bytes that are kept of each log; 0 keeps all.
    grace_s : float, optional
        How long running quanta may go on after Ctrl-C.
    limit_threads : bool, optional
        Whether numerical libraries in workers are held to one thread, or to the cores that a task asks for, unless
        the environment says otherwise.
    allowance : Allowance, optional
        How much memory quanta may have that ask for some, and how it grows from attempt to attempt.
    wrap : str, optional
        Command in which worker processes are started, with ``{command}`` for theirs.
    pdb : bool, optional
        Whether a debugger is opened where the first quantum fails, in this process; nothing more is begun after it.
    graph : QuantumGraph, optional
        The graph in that file, where the caller has it loaded.
    ephemeral : sequence of str, optional
        Dataset types whose files go once all that read them are recorded, as `ephemeral_types` gives them.
    scope : Scope, optional
        Which part of it is executed, and where its scripts begin.

    Returns
    -------
    RunSummary
        Counts by task, and what failed. After Ctrl-C it says so; all that was finished is recorded, and the same
        call goes on from there.

    Raises
    ------
    ConflictError
        If the run was made with other configs, dataset types or packages, or other collections hold datasets that are
        ephemeral. Nothing was run.
    UsageError
        If a limit makes no sense, there are no worker processes that could be held to it, or a quantum asks for more
        memory than there is.
    ExecutionError
        If workers cannot be started.
    StageError
        If outcomes cannot be recorded; those that are not recorded will be run again.
    """
    retries = allowance.retries(retries)
    if pdb:
        check_debugger(processes)
        processes, fail_fast = 0, True
    check_limits(processes, timeout_s, retries)
    check_resources(processes, allowance, wrap)
    graph = graph or QuantumGraph.load(graph_uri)
    settings = RunnerSettings(
        graph_uri,
        staging.datastore.root,
        tuple(task_path),
        logs_dir,
        log_level,
        log_limit=log_limit,
        wrap=wrap,
        keep_scratch=scope.keep_scratch,
        begin_at=scope.begin_at,
    )
    executor: Executor
    if processes > 0:
        executor = ProcessPool(
            settings,
            processes,
            limit_threads=limit_threads,
            grace_s=grace_s,
            limits=TimeLimits(graph, timeout_s),
        )
    else:
        runner = QuantumRunner(settings, graph)
        runner.on_failure = open_debugger if pdb else None
        executor = SerialExecutor(runner)
    done = completed(staging, graph)
    numbers = range(graph.n_quanta)
    late = Late(graph, numbers, staging.datastore, task_path)
    needs = Needs.of(graph, numbers, done.mask, processes, allowance, late=late)
    going = Ephemerals(staging, graph, ephemeral, done) if ephemeral else None
    if going is not None:
        with staging.registry.read() as snapshot:
            going.check_held(snapshot)
    prepare_run(staging, graph, task_path=task_path)
    return execute_graph(
        staging, graph, executor, on_progress=on_progress, fail_fast=fail_fast, retries=retries, needs=needs,
        done=done, ephemerals=going, scope=scope,
    )  # fmt: skip


def execute_graph(
    staging: Repo,
    graph: QuantumGraph,
    executor: Executor,
    *,
    on_progress: Callable[[ProgressEvent], Any] | None = None,
    fail_fast: bool = False,
    retries: int = 0,
    needs: Needs | None = None,
    done: Completed | None = None,
    ephemerals: Ephemerals | None = None,
    scope: Scope = Scope(),  # noqa: B008 - frozen
) -> RunSummary:
    """Run what is left of a graph whose run is prepared, by any executor.

    Parameters
    ----------
    staging : Repo
        Writable.
    graph : QuantumGraph
        With a RUN.
    executor : Executor
        What runs the quanta.
    on_progress : callable, optional
        As for `run_graph`.
    fail_fast : bool, optional
        As for `run_graph`.
    retries : int, optional
        As for `run_graph`.
    needs : Needs, optional
        What the quanta need of the machine, for an executor that goes by it.
    done : Completed, optional
        What is complete already, where the caller knows it.
    ephemerals : Ephemerals, optional
        What is removed when the last quantum that reads it is recorded.
    scope : Scope, optional
        Which part of it is executed.

    Returns
    -------
    RunSummary
        As for `run_graph`.
    """
    done = done or completed(staging, graph)

    def place_of(ordinal: int) -> int:
        return graph.layout.locate_quantum(ordinal)[0]

    def describe(ordinal: int) -> str:
        return str(graph.quantum(ordinal))

    tally = Tally(
        [t.label for t in graph.layout.tasks],
        task_of=graph.task_of(np.arange(graph.n_quanta)),
        complete=done.mask,
        describe=describe,
        place_of=place_of,
        on_progress=on_progress,
    )
    before = graph.dependencies()
    # Signals are only counted until the last outcome is recorded.
    with Interrupt() as interrupt, Recorder(staging, graph, ephemerals=ephemerals) as recorder:

        def take(outcome: QuantumOutcome) -> None:
            tally.add(outcome)
            recorder.add(outcome)

        work = Work(
            before.indptr,
            before.indices,
            take,
            complete=scope.complete(graph, done.mask),
            attempts=done.attempts,
            absent=done.absent,
            standing=done.standing,
            task_of=place_of,
            describe=describe,
            fail_fast=fail_fast,
            on_tick=tally.tick,
            retries=retries,
            on_retry=recorder.add,
            settle=recorder.settle,
            needs=needs,
        )
        ended = executor.execute(work, interrupt)
    tally.tick(work.scheduler, is_last=True)
    removed = Removed() if ephemerals is None else ephemerals.removed
    return RunSummary(graph.output_run, tally.counts(), tally.failures, not ended, tally.elapsed_s, removed)
