"""Commands of jobs: quanta executed with no database, and their records brought into staging: exec, merge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.exit_codes import ExitCode
from cli.limit_options import LogLimit, Memory, MemoryMax, MemoryMultiplier, Retries, Timeout, Wrap
from cli.options import EXECUTES, AsJson, Quiet, add_command, campaign_command
from cli.render import emit, emit_json
from cli.wording import run_lines
from stage.execution.kept import DEFAULT_LIMIT

__all__ = ["add_to"]

_SHOWN = 20
JOB_CODES = (*EXECUTES[:-1], ExitCode.OUT_OF_MEMORY, EXECUTES[-1])


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
    workflow: Annotated[
        str,
        typer.Option(
            "--workflow",
            metavar="FILE",
            help="Jobs of a submission: submit/RUN/workflow.jobs.",
            show_default=False,
        ),
    ] = "",
    job: Annotated[
        str,
        typer.Option("--job", metavar="NUMBER|NAME", help="Which job of it: its quanta.", show_default=False),
    ] = "",
    attempt: Annotated[
        int | None,
        typer.Option(
            "--attempt",
            min=0,
            metavar="N",
            help="How often the job was tried before; a later attempt counts.",
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
            "--datastore",
            metavar="URI",
            help="Where outputs go; else $STAGE_DATASTORE, else data/ of the graph's campaign.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "-j",
            "--processes",
            min=0,
            metavar="N",
            help="Worker processes; 0 runs in this one. By default 1, and 0 with --workflow.",
        ),
    ] = None,
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
    record or by what is in the datastore, are skipped and recorded as they are. A job that is started again while an
    earlier start of it still lives takes its place: the earlier one ends with code 12 and overwrites nothing. Modules of
    your own are looked for in the directories of $STAGE_TASK_PATH before those that the graph names.

    Example:

        stage exec submit/deblend/20261121T101500Z/graph.qg --quanta 0-99 --record job-0.jsonl.zst

        stage exec submit/…/graph.qg --workflow submit/…/workflow.jobs --job 17 --attempt 1 --record submit/…/records/0/17.jsonl

        stage exec submit/…/graph.qg --quantum detect:visit=903342,detector=10 --record by-hand.jsonl --force

        eval "$(stage exec submit/…/graph.qg --quantum detect:visit=903342,detector=10 --dump-env)"
    """
    from cli.executing import dump_environment, execute

    if dump_env:
        dump_environment(graph, quantum or (), datastore, as_json=as_json)
        return
    code = execute(
        graph=graph,
        quanta=quanta,
        quantum=quantum or (),
        workflow=workflow,
        job=job,
        attempt=attempt,
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
        quiet=quiet,
        as_json=as_json,
    )
    if code:
        raise typer.Exit(code)


def _merge(
    *,
    campaign_dir: Path | None,
    records: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RECORD…]", help="Record files of jobs.", show_default=False),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="All that the jobs of a submission have recorded so far."),
    ] = None,
    finish: Annotated[
        bool | None,
        typer.Option("--finish/--no-finish", help="Whether a run that is complete ends; by default it does."),
    ] = None,
    incomplete_ok: Annotated[
        bool,
        typer.Option("--incomplete-ok", help="End with 0 if all that was recorded is merged, failures too."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the records of jobs into staging; merging one twice changes nothing.

    Of files that are named, all are merged or none. Of a run, a record that is damaged, or a quantum whose files are not
    there as recorded, is named and left out, and all else is merged; jobs may still be running.

    Example:

        stage merge --run deblend/20261121T101500Z

        stage merge job-0.jsonl.zst job-1.jsonl.zst
    """
    report = stage.Campaign.load(campaign_dir).merge(*(records or ()), run=run, finish=finish)
    if as_json:
        emit_json(report.to_document())
    else:
        for line in run_lines(report, "merged"):
            emit(line)
        for name, why in list(report.refused.items())[:_SHOWN]:
            emit(f"left out {name}: {why}")
        if len(report.refused) > _SHOWN:
            emit(f"left out {len(report.refused) - _SHOWN:,} more")
        if report.refused:
            emit("run their jobs again ('stage batch restart'), then merge again")
    if report.refused or not (report.complete or incomplete_ok):
        raise typer.Exit(ExitCode.PARTLY_DONE)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "exec", _exec, JOB_CODES)
    add_command(app, "merge", campaign_command(_merge), EXECUTES)
