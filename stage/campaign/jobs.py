"""Jobs: quanta executed from a graph file with no database, and their records brought into staging."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from stage.campaign.layout import Layout
from stage.campaign.outputs import outputs_of, refuse_given_run
from stage.campaign.reports import RunReport
from stage.campaign.state import load_state
from stage.execution.allowance import Allowance
from stage.execution.kept import DEFAULT_LIMIT

if TYPE_CHECKING:
    from stage.campaign.change import Change
    from stage.execution.progress import ProgressEvent, RunSummary
    from stage.graph.file.reader import GraphFile

__all__ = ["datastore_of", "exec_graph", "merge_campaign", "open_run_graph", "parse_quanta"]

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
    folder = Path(graph_uri).absolute().parent
    root = folder.parents[run.count("/") + 1] if run and len(folder.parents) > run.count("/") + 1 else None
    if "://" in graph_uri or root is None or folder != Layout(root).submit(run):
        raise UsageError(
            f"{graph_uri} is not the graph of a campaign's run, so it does not say where outputs go",
            code="no-datastore",
            hint="Say it: --datastore URI. A campaign's own graph has no run: see submit/RUN/graph.qg.",
        )
    found = Layout(root)
    return outputs_of(found, load_state(found.state)) if found.state.is_file() else str(found.data)


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


def exec_graph(
    graph: str,
    *,
    quanta: str = "",
    quantum: Sequence[str] = (),
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
    record : str
        Where to write what became of them.
    datastore : str, optional
        Where outputs go; by default ``data`` of the campaign that the graph lies in.
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
        Memory for all quanta that run at a time, in megabytes; by default what the machine has.
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
    """
    from stage.campaign.by_hand import named_quanta
    from stage.execution.job import execute_job

    opened = open_run_graph(graph)
    run = opened.header.output_run
    if quanta and quantum:
        raise UsageError(
            "which quanta are to be executed is said twice",
            code="bad-quanta",
            hint="By number, --quanta 0,3,7-12 or all; or by name, --quantum LABEL:DIMENSION=VALUE.",
        )
    ordinals = (
        named_quanta(graph, quantum) if quantum else parse_quanta(quanta or "all", opened.layout.n_quanta)
    )
    outputs = datastore or datastore_of(graph, run)
    refuse_given_run(outputs, run)
    return execute_job(
        graph,
        ordinals,
        record,
        outputs,
        processes=processes,
        force=force,
        timeout_s=timeout,
        retries=retries,
        log_limit=log_limit,
        allowance=Allowance(memory, memory_multiplier, memory_max),
        wrap=wrap,
        on_progress=on_progress,
    )


def merge_campaign(change: Change, records: Sequence[str]) -> RunReport:
    """Bring the records of jobs into a campaign's staging.

    Parameters
    ----------
    change : Change
        The change that is being made.
    records : sequence of str
        Record files, all of one run.

    Returns
    -------
    RunReport
        What became of that run.

    Raises
    ------
    UsageError
        If they are of several runs, or of none of the campaign's.
    """
    from stage.campaign.ephemeral import remove_merged
    from stage.campaign.repositories import open_staging
    from stage.campaign.run_options import RunOptions
    from stage.campaign.running import report_run
    from stage.campaign.steps import run_graphs
    from stage.execution.merge import merge_records
    from stage.execution.record_file import RecordFile
    from stage.graph.file.reader import GraphFile

    files = [RecordFile.load(uri) for uri in records]
    runs = {file.run for file in files}
    known = change.state.collections.runs
    if len(runs) != 1 or not runs <= set(known):
        raise UsageError(
            f"the records are of {', '.join(sorted(runs)) or 'no run'}; the campaign has {', '.join(known) or 'no runs'}",
            code="bad-records",
            hint="Merge the records of one of its runs at a time.",
        )
    (run,) = runs
    graphs = [
        GraphFile.open(str(path)) for path in run_graphs(change.layout, run) or [change.layout.run_graph(run)]
    ]
    # Records of one merge are of one step: whichever graph they name, the others are refused.
    graph = next((g for g in graphs if g.header.id == files[0].graph_id), graphs[0]).load()
    with open_staging(change.layout, writable=True) as staging:
        merged = merge_records(staging, graph, records)
        removed, notes = remove_merged(staging, graph, RunOptions())
    return replace(
        report_run(change, run, finish=None),
        executed=merged.n_merged,
        notes=notes,
        removed=removed.n,
        removed_bytes=removed.size_bytes,
    )
