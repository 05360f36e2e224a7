"""`execute_job`: run some quanta with no database at all, from the graph file alone, and leave a record of them.

What other jobs made is found by looking for it: an input that is not there is only *absent* if the quantum that was to
make it is complete (its metadata is where the graph planned it); otherwise the quantum that wants it is blocked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.model.records import QuantumStatus
from stage.execution.allowance import Allowance, check_resources
from stage.execution.earlier import find_earlier, has_all
from stage.execution.executor import Executor, Interrupt, Work
from stage.execution.kept import DEFAULT_LIMIT
from stage.execution.progress import ProgressEvent, RunSummary, Tally
from stage.execution.record_file import RecordFile
from stage.execution.record_writer import RecordWriter
from stage.execution.serial import SerialExecutor
from stage.execution.settings import RunnerSettings, check_limits
from stage.execution.worker import QuantumRunner
from sync.job_store import Intermediates

if TYPE_CHECKING:
    import numpy.typing as npt

    from stage.execution.needs import Needs
    from stage.execution.outcome import QuantumOutcome
    from stage.graph.file.reader import GraphFile
    from stage.graph.quantum import Quantum
    from sync.filesystem.files import Uri
    from sync.input_store import InputStore

__all__ = ["execute_job"]

_FEW = 4096
"""Up to so many quanta are kept in memory once they are read."""


def execute_job(
    graph_uri: str,
    ordinals: Sequence[int],
    record_uri: Uri,
    datastore_root: str,
    *,
    processes: int = 0,
    job: str = "",
    attempt: int | None = None,
    code_dirs: Sequence[str] = (),
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
        Where the record file is to be, for `stage.execution.merge.merge_records`; each job has one of its own.
    datastore_root : str
        Root of the datastore that takes the outputs, and has those of other jobs.
    processes : int, optional
        Number of worker processes; 0 runs everything in this one.
    job : str, optional
        What the job is called.
    attempt : int, optional
        How often the job was tried before, as whoever starts it counts; by default nobody does.
    code_dirs : sequence of str, optional
        Directories of user modules, which count before those that the graph names.
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
        How much memory quanta may have that ask for some, and how it grows from attempt to attempt; in this process,
        how much each may have.
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
    SupersededError
        If a later attempt at the job has begun, or begins meanwhile. What this one recorded until then stays in a file
        that nobody merges, and of the other's files none was touched.
    ConflictError
        If the record file is another job's.
    StorageError
        If the record file cannot be written.

    Notes
    -----
    A quantum that is complete, by the record file or by what is in the datastore, and of which all is there, is not
    run again but recorded as it is. One of which something is missing is run again, and may not change what is there.
    Where the record file is there already, and of the same graph, what it says of other quanta and attempts stays.
    Each quantum is in the record as soon as it has ended. What quanta hand each other stays in memory where they run in
    this process (`sync.job_store.Intermediates`).
    """
    retries = allowance.retries(retries)
    check_limits(processes, timeout_s, retries)
    check_resources(processes, allowance, wrap, may_hold_itself=True)
    settings = RunnerSettings(
        graph_uri,
        datastore_root,
        logs_dir=logs_dir,
        log_level=log_level,
        look_for_inputs=True,
        replace=force,
        log_limit=log_limit,
        wrap=wrap,
        code_dirs=tuple(code_dirs),
    )
    runner = QuantumRunner(settings)
    graph = runner.file
    chosen = sorted({int(o) for o in ordinals})
    quanta = _Quanta(graph, chosen)
    links = _links(quanta)
    record = RecordWriter(RecordFile(graph.header.id, graph.header.output_run, job, ()), record_uri, attempt)
    runner.fence(record.fence, Intermediates(links.readers) if not processes and links.readers else None)
    done, tried = _look_back(runner, quanta, record.before)
    if force:
        tried |= {place: outcome.attempt + 1 for place, outcome in done.items()}
        done = {}
    complete = np.zeros(len(chosen), dtype=np.bool_)
    complete[list(done)] = True
    needs: Needs | None = None
    executor: Executor = SerialExecutor(runner, memory_mb=0 if processes else allowance.memory_mb or 0)
    if processes > 0:
        executor, needs = _pool(
            runner, chosen, complete=complete, processes=processes, allowance=allowance, timeout_s=timeout_s
        )

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

    def take(outcome: QuantumOutcome) -> None:
        tally.add(outcome)
        record.add(outcome)
        links.release(outcome.ordinal, runner.store)
        record.fence.check()

    work = Work(
        links.indptr,
        links.indices,
        take,
        ordinals=chosen,
        complete=complete,
        absent={place: outcome.absent for place, outcome in done.items()},
        attempts={place: max(attempt or 0, tried.get(place, 0)) for place in range(len(chosen))},
        task_of=place_of,
        describe=describe,
        on_tick=tally.tick,
        retries=retries,
        on_retry=record.add,
        needs=needs,
    )
    try:
        for outcome in done.values():
            record.add(outcome)
        with Interrupt() as interrupt:
            ended = executor.execute(work, interrupt)
    finally:
        # Whatever ends the job, what it has done is not to be done again.
        record.end()
    tally.tick(work.scheduler, is_last=True)
    counts = {label: c for label, c in tally.counts().items() if c.total}
    return RunSummary(
        graph.header.output_run,
        counts,
        tally.failures,
        not ended,
        tally.elapsed_s,
        n_out_of_memory=tally.n_out_of_memory,
    )


def _pool(
    runner: QuantumRunner,
    ordinals: Sequence[int],
    *,
    complete: npt.NDArray[np.bool_],
    processes: int,
    allowance: Allowance,
    timeout_s: float | None,
) -> tuple[Executor, Needs | None]:
    """Make worker processes, and find out what quanta need of the machine."""
    # Most jobs run in one process, and start-up is most of what a small one costs.
    from stage.execution.late import Late
    from stage.execution.needs import Needs
    from stage.execution.pool import ProcessPool
    from stage.execution.time_limits import TimeLimits

    graph = runner.file
    late = Late(graph, ordinals, runner.store, code_dirs=runner.settings.code_dirs)
    needs = Needs.of(graph, ordinals, complete, processes, allowance, late=late)
    return ProcessPool(runner.settings, processes, limits=TimeLimits(graph, timeout_s)), needs


def _look_back(
    runner: QuantumRunner, quanta: _Quanta, recorded: Sequence[QuantumOutcome]
) -> tuple[dict[int, QuantumOutcome], dict[int, int]]:
    """Find the quanta that are complete with all they made, and the next attempt at others that were tried."""
    by_ordinal: dict[int, list[QuantumOutcome]] = {}
    for outcome in recorded:
        by_ordinal.setdefault(outcome.ordinal, []).append(outcome)
    done: dict[int, QuantumOutcome] = {}
    tried: dict[int, int] = {}
    for place, quantum in enumerate(quanta):
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


class _Quanta:
    """The quanta of a job, read once where they are few."""

    def __init__(self, graph: GraphFile, ordinals: Sequence[int]) -> None:
        self._graph, self._ordinals = graph, ordinals
        self._held = list(graph.quanta(ordinals)) if len(ordinals) <= _FEW else None

    def __iter__(self) -> Iterator[Quantum]:
        return iter(self._held if self._held is not None else self._graph.quanta(self._ordinals))


@dataclass
class _Links:
    """What the quanta of a job have to do with each other.

    Parameters
    ----------
    indptr, indices : numpy.ndarray
        For each the earlier ones that it depends on, in places within the job (compressed sparse rows).
    readers : dict of str to int
        For each file that one makes and others read, how many these are.
    reads : dict of int to list of str
        Ordinal to the files of that kind that it reads.
    """

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    readers: dict[str, int]
    reads: dict[int, list[str]]

    def release(self, ordinal: int, store: InputStore) -> None:
        """Let go of what only a quantum that has ended was still to read."""
        if self.reads and isinstance(kept := getattr(store, "intermediates", None), Intermediates):
            for uri in self.reads.get(ordinal, ()):
                kept.was_read(uri)


def _links(quanta: _Quanta) -> _Links:
    maker: dict[int, int] = {}
    rows: list[list[int]] = []
    readers: dict[str, int] = {}
    reads: dict[int, list[str]] = {}
    for place, quantum in enumerate(quanta):
        found = [d for refs in quantum.inputs.values() for d in refs if d.ordinal in maker]
        rows.append(sorted({maker[d.ordinal] for d in found}))
        if uris := list(dict.fromkeys(str(d.uri) for d in found)):
            reads[quantum.ordinal] = uris
            for uri in uris:
                readers[uri] = readers.get(uri, 0) + 1
        maker.update({d.ordinal: place for refs in quantum.outputs.values() for d in refs})
    indptr = np.concatenate(([0], np.cumsum([len(r) for r in rows]))).astype(np.int64)
    return _Links(indptr, np.array([p for r in rows for p in r], dtype=np.int64), readers, reads)
