"""Commands that execute quanta and tell of it: run, exec, merge, log."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.exit_codes import ExitCode
from cli.graph_options import (
    AllowEmpty,
    AllowPruning,
    ExtendQg,
    Offline,
    QgDot,
    Refresh,
    TrimExistingIn,
    UseQgConfigs,
    UseTaskConfigs,
    WriteQg,
)
from cli.limit_options import LogLimit, Memory, MemoryMax, MemoryMultiplier, Pdb, Retries, Timeout, Wrap
from cli.options import (
    CHANGES,
    EXECUTES,
    READS,
    AsJson,
    DataIdTable,
    DataQuery,
    Processes,
    Quiet,
    add_command,
    campaign_command,
    with_edits,
)
from cli.render import count_text, emit, emit_json
from cli.stack_options import Purge, Replace, Restart, Unstore
from cli.wording import log_lines, run_lines
from stage.campaign.options import EditOptions
from stage.execution.kept import DEFAULT_LIMIT

__all__ = ["add_to"]

_SkipExistingIn = Annotated[
    str,
    typer.Option(
        "--skip-existing-in",
        metavar="RUN|CAMPAIGN|INPUTS",
        help="Do not execute quanta whose outputs are all in the current run, all runs, or the inputs too.",
        show_default=False,
    ),
]


def _run(
    *,
    campaign_dir: Path | None,
    repo: str | None,
    edits: EditOptions,
    processes: Processes = 1,
    data_query: DataQuery = None,
    new_run: Annotated[
        bool, typer.Option("--new-run", help="Begin a new run even if there is a current one.")
    ] = False,
    continue_run: Annotated[
        bool, typer.Option("--continue", help="Go on with the newest past run if there is no current one.")
    ] = False,
    replace: Replace = False,
    restart: Restart = False,
    unstore: Unstore = False,
    purge: Purge = False,
    finish: Annotated[
        bool | None,
        typer.Option(
            "--finish/--no-finish",
            help="Whether the run ends when all is done; by default it does, unless 'prep' made it.",
        ),
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build the graph again first.")] = False,
    refresh: Refresh = False,
    use_qg_configs: UseQgConfigs = False,
    use_task_configs: UseTaskConfigs = False,
    skip_existing_in: _SkipExistingIn = "",
    data_id_table: DataIdTable = None,
    extend_qg: ExtendQg = False,
    trim_existing_in: TrimExistingIn = "",
    allow_pruning: AllowPruning = False,
    allow_empty: AllowEmpty = False,
    write_qg: WriteQg = None,
    qg_dot: QgDot = None,
    offline: Offline = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Begin nothing more after the first failure.")
    ] = False,
    timeout: Timeout = None,
    retries: Retries = None,
    log_limit: LogLimit = DEFAULT_LIMIT,
    memory: Memory = None,
    memory_multiplier: MemoryMultiplier = 1.0,
    memory_max: MemoryMax = None,
    wrap: Wrap = "",
    pdb: Pdb = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Execute the graph's quanta into the current run, or a new one; builds the graph if there is none.

    A quantum that fails, fails alone, and blocks only what depends on it. Run again does only what is missing. A graph
    that is not what the campaign would build now is refused: --rebuild, --refresh, --use-task-configs or
    --use-qg-configs say what to do. --extend-qg needs --rebuild, --allow-pruning needs --refresh, and
    --trim-existing-in and --allow-empty one of the two.

    Examples
    --------
        stage run -j 8

        stage run -j 8 --new-run -c detect:threshold=4.5 --use-task-configs

        stage run -j 8 --rebuild --skip-existing-in CAMPAIGN

        stage run -j 8 --memory 16000 --memory-multiplier 2

        stage run -j 8 --replace --purge
    """
    from cli.progress import progress_display

    # What tasks print in this process (-j 0) is not our answer.
    with progress_display(quiet=quiet or as_json or pdb) as on_progress, redirect_stdout(sys.stderr):
        report = stage.Campaign.open(campaign_dir, repo=repo, **edits).run(
            processes=processes,
            data_query=data_query,
            new_run=new_run,
            continue_run=continue_run,
            replace=replace,
            restart=restart,
            unstore=unstore,
            purge=purge,
            finish=finish,
            rebuild=rebuild,
            refresh=refresh,
            use_qg_configs=use_qg_configs,
            use_task_configs=use_task_configs,
            skip_existing_in=skip_existing_in,
            data_id_table=data_id_table,
            extend_qg=extend_qg,
            trim_existing_in=trim_existing_in,
            allow_pruning=allow_pruning,
            allow_empty=allow_empty,
            write_qg=write_qg,
            qg_dot=qg_dot,
            offline=offline,
            fail_fast=fail_fast,
            timeout=timeout,
            retries=retries,
            log_limit=log_limit,
            memory=memory,
            memory_multiplier=memory_multiplier,
            memory_max=memory_max,
            wrap=wrap,
            pdb=pdb,
            on_progress=on_progress,
            **edits,
        )
    if as_json:
        emit_json(report.to_document())
    else:
        for line in run_lines(report):
            emit(line)
    if report.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if not report.complete:
        raise typer.Exit(ExitCode.PARTLY_DONE)


def _prep(
    *,
    campaign_dir: Path | None,
    repo: str | None,
    edits: EditOptions,
    new_run: Annotated[
        bool, typer.Option("--new-run", help="Begin a new run even if there is a current one.")
    ] = False,
    continue_run: Annotated[
        bool, typer.Option("--continue", help="Take the newest past run if there is no current one.")
    ] = False,
    replace: Replace = False,
    restart: Restart = False,
    unstore: Unstore = False,
    purge: Purge = False,
    use_qg_configs: UseQgConfigs = False,
    use_task_configs: UseTaskConfigs = False,
    as_json: AsJson = False,
) -> None:
    """Make a run ready for jobs: its collection, configs and versions; leaves it as the current run.

    Example:

        stage prep && stage exec submit/*/*/graph.qg --quanta all --record job.jsonl
    """
    campaign = stage.Campaign.open(campaign_dir, repo=repo, **edits)
    name = campaign.prep(
        new_run=new_run, continue_run=continue_run, replace=replace, restart=restart, unstore=unstore, purge=purge,
        use_qg_configs=use_qg_configs, use_task_configs=use_task_configs,
        **edits,
    )  # fmt: skip
    graph = str(campaign.layout.run_graph(name))
    if as_json:
        emit_json({"run": name, "graph": graph})
    else:
        emit(f"run     {name}")
        emit(f"graph   {graph}")


def _exec(
    *,
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="Graph file of a run: submit/RUN/graph.qg.")],
    quanta: Annotated[
        str, typer.Option("--quanta", metavar="LIST", help="Which quanta, by number: 0,3,7-12 or all.")
    ],
    record: Annotated[
        str, typer.Option("--record", metavar="FILE", help="Where to write what became of them.")
    ],
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
    """
    from cli.progress import progress_display

    # What tasks print in this process (-j 0) is not our answer.
    with progress_display(quiet=quiet or as_json) as on_progress, redirect_stdout(sys.stderr):
        report = stage.exec_graph(
            graph,
            quanta=quanta,
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


def _log(
    *,
    campaign_dir: Path | None,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK]|[DIMENSION=VALUE]", help="Which quanta: a task's label, a data ID, or both."
        ),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only quanta that failed.")] = False,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Which run; the newest by default.")
    ] = None,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, metavar="N", help="Only the last N lines of each log.")
    ] = None,
    attempts: Annotated[bool, typer.Option("--attempts", help="Earlier attempts too.")] = False,
    data_query: Annotated[
        str, typer.Option("-d", "--data-query", metavar="QUERY", help="Expression that data IDs fulfil.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show the logs of quanta.

    Examples
    --------
        stage log --failed

        stage log detect visit=903342 --tail 20

        stage log --failed -d "instrument = 'HSC' AND visit IN (903342..903350)"
    """
    entries = stage.Campaign.load(campaign_dir).log(
        *(words or ()), failed=failed, run=run, tail=tail, attempts=attempts, data_query=data_query
    )
    if as_json:
        emit_json([entry.to_document() for entry in entries])
    else:
        for line in log_lines(entries, failed=failed):
            emit(line)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "run", with_edits()(_run), EXECUTES)
    add_command(app, "prep", with_edits()(_prep), CHANGES)
    add_command(app, "exec", _exec, EXECUTES)
    add_command(app, "merge", campaign_command(_merge), EXECUTES)
    add_command(app, "log", campaign_command(_log), READS)
