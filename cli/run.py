"""Commands that execute a campaign's quanta and tell of it: run, prep, log."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout, suppress
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
from cli.limit_options import (
    Ephemeral,
    Keep,
    LogLimit,
    Memory,
    MemoryMax,
    MemoryMultiplier,
    Pdb,
    Retries,
    Timeout,
    Wrap,
)
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
from cli.render import emit, emit_json
from cli.scope_options import FromCommand, KeepScratch, Until
from cli.stack_options import ContinueRun, NewRun, Purge, Replace, Restart, SkipExistingIn, Unstore
from cli.wording import log_lines, run_lines
from registry.errors import UsageError
from stage.campaign.options import EditOptions
from stage.execution.kept import DEFAULT_LIMIT

__all__ = ["add_to"]


def _run(
    *,
    campaign_dir: Path | None,
    repo: str | None,
    edits: EditOptions,
    processes: Processes = 1,
    data_query: DataQuery = None,
    new_run: NewRun = False,
    continue_run: ContinueRun = False,
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
    skip_existing_in: SkipExistingIn = "",
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
    ephemeral: Ephemeral = None,
    keep: Keep = None,
    until: Until = "",
    keep_scratch: KeepScratch = False,
    from_command: FromCommand = None,
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

        stage run -j 8 --until calibrate

        stage run -j 8 --keep-scratch --from-command assemble:3
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
            ephemeral=ephemeral or (),
            keep=keep or (),
            until=until,
            keep_scratch=keep_scratch,
            from_command=from_command or (),
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
    if not (report.complete or report.until):
        raise typer.Exit(ExitCode.PARTLY_DONE)


def _prep(
    *,
    campaign_dir: Path | None,
    repo: str | None,
    edits: EditOptions,
    new_run: NewRun = False,
    continue_run: ContinueRun = False,
    replace: Replace = False,
    restart: Restart = False,
    unstore: Unstore = False,
    purge: Purge = False,
    use_qg_configs: UseQgConfigs = False,
    use_task_configs: UseTaskConfigs = False,
    as_json: AsJson = False,
) -> None:
    """Make a run ready for jobs: its collection, configs and versions; leaves it as the current run.

    Without a graph it is made ready for the pipeline's tasks, and the graph that is built next is run into it.

    Example:

        stage prep && stage exec submit/*/*/graph.qg --quanta all --record job.jsonl
    """
    campaign = stage.Campaign.open(campaign_dir, repo=repo, **edits)
    before = campaign.state.collections.runs
    name = campaign.prep(
        new_run=new_run, continue_run=continue_run, replace=replace, restart=restart, unstore=unstore, purge=purge,
        use_qg_configs=use_qg_configs, use_task_configs=use_task_configs,
        **edits,
    )  # fmt: skip
    path = campaign.layout.run_graph(name)
    graph = str(path) if path.is_file() else None
    dropped = [run for run in before if run not in campaign.state.collections.runs]
    if as_json:
        emit_json({"run": name, "graph": graph, "dropped": dropped})
    else:
        for run in dropped:
            emit(f"dropped {run}" + (", purged" if purge else ", its files removed" if unstore else ""))
        emit(f"run     {name}")
        emit(f"graph   {graph or 'none yet: stage build'}")


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
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Show lines as they are written, until the run ends.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the logs of quanta.

    Examples
    --------
        stage log --failed

        stage log detect visit=903342 --tail 20

        stage log --failed -d "instrument = 'HSC' AND visit IN (903342..903350)"

        stage log -f detect
    """
    if follow:
        if as_json:
            raise UsageError(
                "lines that are followed are no JSON",
                code="contradicting-options",
                hint="Leave --json or --follow out.",
            )
        with suppress(KeyboardInterrupt):
            stage.Campaign.load(campaign_dir).log(
                *(words or ()), failed=failed, run=run, tail=tail, attempts=attempts, data_query=data_query,
                follow=_emit_now,
            )  # fmt: skip
        return
    entries = stage.Campaign.load(campaign_dir).log(
        *(words or ()), failed=failed, run=run, tail=tail, attempts=attempts, data_query=data_query
    )
    if as_json:
        emit_json([entry.to_document() for entry in entries])
    else:
        for line in log_lines(entries, failed=failed):
            emit(line)


def _emit_now(line: str) -> None:
    """Write a line at once; when nobody reads any more, that is an end."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "run", with_edits()(_run), EXECUTES)
    add_command(app, "prep", with_edits()(_prep), CHANGES)
    add_command(app, "log", campaign_command(_log), READS)
