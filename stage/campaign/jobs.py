"""Jobs: quanta executed from a graph file with no database."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.campaign.outputs import outputs_of, refuse_given_run
from stage.execution.allowance import Allowance
from stage.execution.kept import DEFAULT_LIMIT

if TYPE_CHECKING:
    from stage.execution.progress import ProgressEvent, RunSummary
    from stage.graph.file.reader import GraphFile

__all__ = [
    "code_dirs", "datastore_of", "exec_graph", "given_datastore", "job_quanta", "open_run_graph", "parse_quanta",
]  # fmt: skip

_DATASTORE, _TASK_PATH = "STAGE_DATASTORE", "STAGE_TASK_PATH"
_RANGE = re.compile(r"(\d+)(?:-(\d+))?\Z")


def parse_quanta(text: str, n_quanta: int) -> list[int]:
    """Read a list of quanta.

    Parameters
    ----------
    text : str
        Numbers and ranges with both ends, as ``0,3,7-12``; or ``all``.
    n_quanta : int
        How many the graph has.

    Returns
    -------
    list of int
        Rising, each once.

    Raises
    ------
    UsageError
        If it is not such a list, or a number is too large.
    """
    if text.strip() == "all":
        return list(range(n_quanta))
    chosen: set[int] = set()
    for word in (w.strip() for w in text.split(",")):
        match = _RANGE.match(word)
        if match is None:
            raise UsageError(
                f"'{word}' is no quantum or range of them", code="bad-quanta", hint="As 0,3,7-12, or all."
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= n_quanta:
            raise UsageError(f"'{word}' is not within the graph's quanta 0-{n_quanta - 1}", code="bad-quanta")
        chosen.update(range(first, last + 1))
    return sorted(chosen)


def datastore_of(graph_uri: str, run: str) -> str:
    """Return the datastore of the campaign that a run's graph lies in: ``<campaign>/submit/<run>/graph.qg``.

    Parameters
    ----------
    graph_uri : str
        The graph file.
    run : str
        Its RUN.

    Returns
    -------
    str
        Its root, as the campaign's state says.

    Raises
    ------
    UsageError
        If it does not lie in one.
    """
    from stage.campaign.layout import Layout
    from stage.campaign.state import load_state

    folder = Path(graph_uri).absolute().parent
    root = folder.parents[run.count("/") + 1] if run and len(folder.parents) > run.count("/") + 1 else None
    if "://" in graph_uri or root is None or folder != Layout(root).submit(run):
        raise UsageError(
            f"{graph_uri} is not the graph of a campaign's run, so it does not say where outputs go",
            code="no-datastore",
            hint="Say it: --datastore URI, or $STAGE_DATASTORE. A campaign's own graph has no run: see submit/RUN/graph.qg.",
        )
    found = Layout(root)
    return outputs_of(found, load_state(found.state)) if found.state.is_file() else found.data_root


def given_datastore() -> str:
    """Return where outputs go on this machine, where somebody says so.

    Returns
    -------
    str
        ``$STAGE_DATASTORE``, or empty.
    """
    return os.environ.get(_DATASTORE, "")


def code_dirs() -> tuple[str, ...]:
    """Return where the users' own modules are on this machine, where somebody says so.

    Returns
    -------
    tuple of str
        The directories in ``$STAGE_TASK_PATH``, separated as in PATH.
    """
    return tuple(filter(None, os.environ.get(_TASK_PATH, "").split(os.pathsep)))


def open_run_graph(graph: str) -> GraphFile:
    """Open the graph of a run.

    Parameters
    ----------
    graph : str
        The graph file.

    Returns
    -------
    GraphFile
        With a RUN.

    Raises
    ------
    UsageError
        If it has none.
    """
    from stage.graph.file.reader import GraphFile

    opened = GraphFile.open(graph)
    if not opened.header.output_run:
        raise UsageError(
            f"{graph} has no run yet",
            code="no-run",
            hint="Make one: stage prep; then give submit/RUN/graph.qg.",
        )
    return opened


def job_quanta(workflow: str, job: str) -> tuple[str, list[int]]:
    """Look up one job of a submission.

    Parameters
    ----------
    workflow : str
        The file of its jobs.
    job : str
        Number or name.

    Returns
    -------
    name : str
        The job's.
    quanta : list of int
        Its quanta, in the order in which they are run.

    Raises
    ------
    UsageError
        If one of the two is missing.
    NotFoundError
        If there is no such job.
    """
    if not (workflow and job):
        raise UsageError(
            "a job is one of a submission: both have to be said",
            code="bad-quanta",
            hint="As --workflow submit/RUN/workflow.jobs --job 17.",
        )
    from stage.batch.workflow.file import find_job, read_job

    number = int(job) if job.isdecimal() else find_job(workflow, job)
    _, name, quanta = read_job(workflow, number)
    return name, quanta


def exec_graph(
    graph: str,
    *,
    quanta: str = "",
    quantum: Sequence[str] = (),
    workflow: str = "",
    job: str = "",
    attempt: int | None = None,
    record: str,
    datastore: str | None = None,
    processes: int = 0,
    force: bool = False,
    timeout: float | None = None,
    retries: int | None = None,
    log_limit: int = DEFAULT_LIMIT,
    memory: int | None = None,
    memory_multiplier: float = 1.0,
    memory_max: int | None = None,
    wrap: str = "",
    on_progress: Callable[[ProgressEvent], Any] | None = None,
) -> RunSummary:
    """Execute quanta from a graph file alone; no database is opened.

    Parameters
    ----------
    graph : str
        A graph with a RUN.
    quanta : str, optional
        Which, see `parse_quanta`; all by default.
    quantum : sequence of str, optional
        Which, by name in place of numbers: see `stage.campaign.by_hand.named_quanta`.
    workflow : str, optional
        The jobs of a submission, ``workflow.jobs``: then `job` says which quanta.
    job : str, optional
        Number or name of one of them.
    attempt : int, optional
        How often the job was tried before. Of attempts that run at a time the last counts, and others overwrite nothing.
    record : str
        Where to write what became of them.
    datastore : str, optional
        Where outputs go; by default ``$STAGE_DATASTORE``, or ``data`` of the campaign that the graph lies in.
    processes : int, optional
        Worker processes; 0 runs everything in this one.
    force : bool, optional
        Run quanta that are complete too, and replace what they made.
    timeout : float, optional
        Longest time for one quantum, in seconds; it then fails. Needs worker processes.
    retries : int, optional
        How often a quantum that failed is tried again; by default never, or 5 times with `memory_multiplier`.
    log_limit : int, optional
        Bytes that are kept of the log of each quantum, from its beginning and its end; 0 keeps all.
    memory : int, optional
        Memory for all quanta that run at a time, in megabytes; by default what the machine has. Without worker
        processes, what this one may have while a quantum runs.
    memory_multiplier : float, optional
        By how much more memory a quantum gets after it died for want of some.
    memory_max : int, optional
        The most memory that one quantum gets, in megabytes.
    wrap : str, optional
        Command in which worker processes are started, with ``{command}`` for theirs.
    on_progress : callable, optional
        Called with each `stage.execution.progress.ProgressEvent`.

    Returns
    -------
    RunSummary
        Counts; quanta that were complete already are `skipped`.

    Raises
    ------
    StageError
        If the graph cannot be read, has no RUN, or the record cannot be written.

    Notes
    -----
    Modules of the users' own are looked for in the directories of ``$STAGE_TASK_PATH`` before those that the graph names.
    """
    from stage.execution.job import execute_job

    opened = open_run_graph(graph)
    run = opened.header.output_run
    if bool(quanta) + bool(quantum) + bool(workflow or job) > 1:
        raise UsageError(
            "which quanta are to be executed is said twice",
            code="bad-quanta",
            hint="By number, --quanta 0,3,7-12 or all; by name, --quantum LABEL:DIMENSION=VALUE; "
            "or as a job, --workflow FILE --job NUMBER.",
        )
    name = ""
    if workflow or job:
        name, ordinals = job_quanta(workflow, job)
    elif quantum:
        from stage.campaign.by_hand import named_quanta

        ordinals = named_quanta(graph, quantum)
    else:
        ordinals = parse_quanta(quanta or "all", opened.layout.n_quanta)
    outputs = datastore or given_datastore() or datastore_of(graph, run)
    refuse_given_run(outputs, run)
    return execute_job(
        graph,
        ordinals,
        record,
        outputs,
        processes=processes,
        code_dirs=code_dirs(),
        job=name,
        attempt=attempt,
        force=force,
        timeout_s=timeout,
        retries=retries,
        log_limit=log_limit,
        allowance=Allowance(memory, memory_multiplier, memory_max),
        wrap=wrap,
        on_progress=on_progress,
    )
