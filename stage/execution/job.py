"""`execute_job`: run some quanta with no database at all, from the graph file alone, and leave a record of them.

What other jobs made is found by looking for it: an input that is not there is only *absent* if the quantum that was to
make it is complete (its metadata is where the graph planned it); otherwise the quantum that wants it is blocked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import IntegrityError, NotFoundError, SchemaVersionError
from registry.model.records import QuantumStatus
from stage.execution.allowance import Allowance, check_resources
from stage.execution.earlier import find_earlier, has_all
from stage.execution.executor import Executor, Interrupt, Work
from stage.execution.kept import DEFAULT_LIMIT
from stage.execution.late import Late
from stage.execution.needs import Needs
from stage.execution.progress import ProgressEvent, RunSummary, Tally
from stage.execution.record_file import RecordFile
from stage.execution.serial import SerialExecutor
from stage.execution.settings import RunnerSettings, check_limits
from stage.execution.worker import QuantumRunner

if TYPE_CHECKING:
    import numpy.typing as npt

    from stage.execution.outcome import QuantumOutcome
    from stage.graph.file.reader import GraphFile
    from sync.filesystem.files import Uri

__all__ = ["execute_job"]


def execute_job(
    graph_uri: str,
    ordinals: Sequence[int],
    record_uri: Uri,
    datastore_root: str,
    *,
    processes: int = 0,
    job: str = "",
    attempt: int = 0,
    task_path: Sequence[str] = (),
    logs_dir: str = "",
    log_level: str = "INFO",
    on_progress: Callable[[ProgressEvent], Any] | None = None,
    timeout_s: float | None = None,
    retries: int | None = None,
    log_limit: int = DEFAULT_LIMIT,
    force: bool = False,
    allowance: Allowance = Allowance(),  # noqa: B008 - frozen
    wrap: str = "",
) -> RunSummary:
    """Run some quanta of a graph, quantum-backed.

    Parameters
    ----------
    graph_uri : str
        The graph file, with a RUN that was prepared (`stage.execution.prep.prepare_run`).
    ordinals : sequence of int
        Which quanta.
    record_uri : str or path
        Where the record file is to be, for `stage.execution.merge.merge_records`.
    datastore_root : str
        Root of the datastore that takes the outputs, and has those of other jobs.
    processes : int, optional
        Number of worker processes; 0 runs everything in this one.
    job : str, optional
        What the job is called.
    attempt : int, optional
        How often the job was tried before.
    task_path : sequence of str, optional
        Directories of user modules, besides those that the graph names.
    logs_dir : str, optional
        Where logs can be followed while quanta run.
    log_level : str, optional
        Lowest level that logs keep.
    on_progress : callable, optional
        Called with each `ProgressEvent`, at most ten times a second, and once at the end.
    timeout_s : float, optional
        Longest time for one quantum, with worker processes.
    retries : int, optional
        How often a quantum that failed is tried again; by default never, or 5 times where memory grows.
    log_limit : int, optional
        Bytes that are kept of each log; 0 keeps all.
    force : bool, optional
        Whether to run quanta that are complete, and replace what they made.
    allowance : Allowance, optional
        How much memory quanta may have that ask for some, and how it grows from attempt to attempt.
    wrap : str, optional
        Command in which worker processes are started, with ``{command}`` for theirs.

    Returns
    -------
    RunSummary
        Counts by task over these quanta, and what failed.

    Raises
    ------
    NotFoundError
        If the graph has no such quantum. Nothing was run.
    ExecutionError
        If workers cannot be started.
    UsageError
        If a limit makes no sense, or a quantum asks for more memory than there is.
    StorageError
        If the record file cannot be written.

    Notes
    -----
    A quantum that is complete, by the record file or by what is in the datastore, and of which all is there, is not
    run again but recorded as it is. One of which something is missing is run again, and may not change what is there.
    Where the record file is there already, and of the same graph, what it says of other quanta and attempts stays.
    """
    retries = allowance.retries(retries)
    check_limits(processes, timeout_s, retries)
    check_resources(processes, allowance, wrap)
    settings = RunnerSettings(
        graph_uri,
        datastore_root,
        tuple(task_path),
        logs_dir,
        log_level,
        look_for_inputs=True,
        replace=force,
        log_limit=log_limit,
        wrap=wrap,
    )
    runner = QuantumRunner(settings)
    graph = runner.file
    chosen = sorted({int(o) for o in ordinals})
    indptr, indices = _dependencies(graph, chosen)
    record = RecordFile(graph.header.id, graph.header.output_run, job, ())
    before = _recorded(record, record_uri)
    done, tried = _look_back(runner, chosen, before)
    if force:
        tried |= {place: outcome.attempt + 1 for place, outcome in done.items()}
        done = {}
    complete = np.zeros(len(chosen), dtype=np.bool_)
    complete[list(done)] = True
    late = Late(graph, chosen, runner.store, task_path)
    needs = Needs.of(graph, chosen, complete, processes, allowance, late=late)
    executor: Executor = SerialExecutor(runner)
    if processes > 0:
        # Most jobs run in one process, and start-up is most of what a small one costs.
        from stage.execution.pool import ProcessPool
        from stage.execution.time_limits import TimeLimits

        executor = ProcessPool(settings, processes, limits=TimeLimits(graph, timeout_s))

    def place_of(ordinal: int) -> int:
        return graph.layout.locate_quantum(ordinal)[0]

    def describe(ordinal: int) -> str:
        return str(graph.quantum(ordinal))

    tally = Tally(
        [t.label for t in graph.layout.tasks],
        task_of=np.array([place_of(o) for o in chosen], dtype=np.int64),
        complete=complete,
        describe=describe,
        place_of=place_of,
        on_progress=on_progress,
    )
    outcomes: list[QuantumOutcome] = list(done.values())

    def take(outcome: QuantumOutcome) -> None:
        tally.add(outcome)
        outcomes.append(outcome)

    work = Work(
        indptr,
        indices,
        take,
        ordinals=chosen,
        complete=complete,
        absent={place: outcome.absent for place, outcome in done.items()},
        attempts={place: max(attempt, tried.get(place, 0)) for place in range(len(chosen))},
        task_of=place_of,
        describe=describe,
        on_tick=tally.tick,
        retries=retries,
        on_retry=outcomes.append,
        needs=needs,
    )
    try:
        with Interrupt() as interrupt:
            ended = executor.execute(work, interrupt)
    finally:
        # Whatever ends the job, what it has done is not to be done again.
        new = {(o.ordinal, o.attempt) for o in outcomes}
        kept = (o for o in before if (o.ordinal, o.attempt) not in new)
        replace(record, outcomes=(*kept, *outcomes)).save(record_uri)
    tally.tick(work.scheduler, is_last=True)
    counts = {label: c for label, c in tally.counts().items() if c.total}
    return RunSummary(record.run, counts, tally.failures, not ended, tally.elapsed_s)


def _recorded(record: RecordFile, uri: Uri) -> tuple[QuantumOutcome, ...]:
    """Return what a record file of the same graph says already; any other is replaced."""
    try:
        found = RecordFile.load(uri)
    except (NotFoundError, IntegrityError, SchemaVersionError):
        return ()
    return found.outcomes if found.graph_id == record.graph_id else ()


def _look_back(
    runner: QuantumRunner, chosen: Sequence[int], recorded: Sequence[QuantumOutcome]
) -> tuple[dict[int, QuantumOutcome], dict[int, int]]:
    """Find the quanta that are complete with all they made, and the next attempt at others that were tried."""
    by_ordinal: dict[int, list[QuantumOutcome]] = {}
    for outcome in recorded:
        by_ordinal.setdefault(outcome.ordinal, []).append(outcome)
    done: dict[int, QuantumOutcome] = {}
    tried: dict[int, int] = {}
    for place, quantum in enumerate(runner.graph.quanta(chosen)):
        known = [o for o in by_ordinal.get(quantum.ordinal, ()) if o.status != QuantumStatus.BLOCKED]
        whole = [o for o in known if o.is_complete and has_all(o, runner.store)]
        earlier = None if whole else find_earlier(quantum, runner.store)
        if earlier is not None:
            known.append(earlier.outcome)
            whole += [earlier.outcome] if earlier.is_whole else []
        if whole:
            done[place] = max(whole, key=lambda o: o.attempt)
        elif known:
            tried[place] = max(o.attempt for o in known) + 1
    return done, tried


def _dependencies(
    graph: GraphFile, ordinals: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the dependencies among some quanta, in places within `ordinals`, as compressed rows."""
    maker: dict[int, int] = {}
    rows: list[list[int]] = []
    for place, quantum in enumerate(graph.quanta(ordinals)):
        inputs = (d.ordinal for refs in quantum.inputs.values() for d in refs)
        rows.append(sorted({maker[d] for d in inputs if d in maker}))
        maker.update({d.ordinal: place for refs in quantum.outputs.values() for d in refs})
    indptr = np.concatenate(([0], np.cumsum([len(r) for r in rows]))).astype(np.int64)
    return indptr, np.array([p for r in rows for p in r], dtype=np.int64)
