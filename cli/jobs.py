"""Commands of jobs: quanta executed with no database, and their records brought into staging: exec, merge."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.exit_codes import ExitCode
from cli.limit_options import LogLimit, Memory, MemoryMax, MemoryMultiplier, Retries, Timeout, Wrap
from cli.options import EXECUTES, AsJson, Processes, Quiet, add_command, campaign_command
from cli.render import count_text, emit, emit_json
from cli.wording import run_lines
from registry.errors import UsageError
from stage.execution.kept import DEFAULT_LIMIT

__all__ = ["add_to"]


def _exec(
    *,
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="Graph file of a run: submit/RUN/graph.qg.")],
    quanta: Annotated[
        str,
        typer.Option(
            "--quanta", metavar="LIST", help="Which quanta, by number: 0,3,7-12 or all.", show_default=False
        ),
    ] = "",
    quantum: Annotated[
        list[str] | None,
        typer.Option(
            "--quantum", metavar="LABEL:DIMENSION=VALUE,…", help="Which quanta, by task and data ID."
        ),
    ] = None,
    record: Annotated[
        str,
        typer.Option(
            "--record", metavar="FILE", help="Where to write what became of them.", show_default=False
        ),
    ] = "",
    dump_env: Annotated[
        bool,
        typer.Option(
            "--dump-env", help="Execute nothing: print the environment that the script of one quantum gets."
        ),
    ] = False,
    datastore: Annotated[
        str | None,
        typer.Option(
            "--datastore", metavar="URI", help="Where outputs go; by default data/ of the graph's campaign."
        ),
    ] = None,
    processes: Processes = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Run quanta that are complete too, and replace what they made.")
    ] = False,
    timeout: Timeout = None,
    retries: Retries = None,
    log_limit: LogLimit = DEFAULT_LIMIT,
    memory: Memory = None,
    memory_multiplier: MemoryMultiplier = 1.0,
    memory_max: MemoryMax = None,
    wrap: Wrap = "",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Execute quanta from a graph file alone: no database is opened, here or upstream.

    What a batch job does on its node. 'stage merge' brings the records into staging. Quanta that are complete, by the
    record or by what is in the datastore, are skipped and recorded as they are.

    Example:

        stage exec submit/deblend/20261121T101500Z/graph.qg --quanta 0-99 --record job-0.jsonl.zst

        stage exec submit/…/graph.qg --quantum detect:visit=903342,detector=10 --record by-hand.jsonl --force

        eval "$(stage exec submit/…/graph.qg --quantum detect:visit=903342,detector=10 --dump-env)"
    """
    from cli.progress import progress_display

    if dump_env:
        _dump_env(graph, quantum or (), datastore, as_json=as_json)
        return
    if not (quanta or quantum):
        raise UsageError(
            "which quanta are to be executed has to be said",
            code="bad-quanta",
            hint="By number, --quanta 0,3,7-12 or all; or by name, --quantum LABEL:DIMENSION=VALUE,….",
        )
    if not record:
        raise UsageError(
            "where to write what becomes of the quanta has to be said",
            code="no-record",
            hint="As --record job.jsonl; 'stage merge' brings it into staging.",
        )
    # What tasks print in this process (-j 0) is not our answer.
    with progress_display(quiet=quiet or as_json) as on_progress, redirect_stdout(sys.stderr):
        report = stage.exec_graph(
            graph,
            quanta=quanta,
            quantum=quantum or (),
            record=record,
            datastore=datastore,
            processes=processes,
            force=force,
            timeout=timeout,
            retries=retries,
            log_limit=log_limit,
            memory=memory,
            memory_multiplier=memory_multiplier,
            memory_max=memory_max,
            wrap=wrap,
            on_progress=on_progress,
        )
    total = report.total
    if as_json:
        emit_json(
            {
                "run": report.run,
                "record": record,
                "tasks": {k: asdict(v) for k, v in report.tasks.items()},
                "failures": [{"quantum": f.quantum, "message": f.message} for f in report.failures],
                "interrupted": report.interrupted,
            }
        )
    else:
        ran = count_text(total.done - total.skipped, "quantum", "quanta")
        emit(f"ran     {ran}, {total.failed:,} failed, {total.blocked:,} blocked")
        if total.skipped:
            skipped = count_text(total.skipped, "quantum", "quanta")
            emit(f"skipped {skipped}, complete already (--force runs them again)")
        emit(f"record  {record}")
        for failure in report.failures[:10]:
            emit(f"failed  {failure.quantum}: {failure.message.strip().splitlines()[0]}")
        if report.interrupted:
            emit("interrupted; the same command goes on from here")
    if report.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if not report.is_complete:
        raise typer.Exit(ExitCode.PARTLY_DONE)


def _dump_env(graph: str, quantum: Sequence[str], datastore: str | None, *, as_json: bool) -> None:
    if len(quantum) != 1:
        raise UsageError(
            "an environment is of one quantum",
            code="bad-quanta",
            hint="Name it: --quantum LABEL:DIMENSION=VALUE,…",
        )
    from stage.campaign.by_hand import as_exports

    with redirect_stdout(sys.stderr):
        found = stage.quantum_environment(graph, quantum[0], datastore=datastore)
    if as_json:
        emit_json(found)
        return
    for line in as_exports(found):
        emit(line)


def _merge(
    *,
    campaign_dir: Path | None,
    records: Annotated[list[str], typer.Argument(metavar="RECORD", help="Record files of jobs.")],
    as_json: AsJson = False,
) -> None:
    """Bring the records of jobs into staging; merging one twice changes nothing.

    Example:

        stage merge submit/deblend/20261121T101500Z/records/*.jsonl.zst
    """
    report = stage.Campaign.load(campaign_dir).merge(*records)
    if as_json:
        emit_json(report.to_document())
    else:
        for line in run_lines(report, "merged"):
            emit(line)
    if not report.complete:
        raise typer.Exit(ExitCode.PARTLY_DONE)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "exec", _exec, EXECUTES)
    add_command(app, "merge", campaign_command(_merge), EXECUTES)
