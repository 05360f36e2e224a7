"""Commands of batch that look, end and begin again: report, status, cancel, restart, ping, config."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

import stage
from cli.batch_lines import cancel_lines, config_lines, report_lines, restart_lines, watch_line
from cli.batch_options import ComputeSite, Engine, File, Id, User
from cli.exit_codes import ExitCode
from cli.options import CHANGES, EXECUTES, READS, AsJson, add_command
from cli.render import emit, emit_json

if TYPE_CHECKING:
    from stage.batch.reporting.watching import WatchEvent

__all__ = ["add_to", "end_as"]

_LOOKS = (*READS, ExitCode.INTERRUPTED)
_STATES = {
    "SUCCEEDED": ExitCode.DONE,
    "FAILED": ExitCode.PARTLY_DONE,
    "DELETED": ExitCode.INTERRUPTED,
    "HELD": ExitCode.FAILED,
    "UNKNOWN": ExitCode.NOT_FOUND,
}
"""What a state ends with; all others are on their way: BUSY."""


def end_as(state: str) -> None:
    """End the command by what became of a submission.

    Parameters
    ----------
    state : str
        Its state.

    Raises
    ------
    typer.Exit
        With the code of that state, unless it succeeded.
    """
    code = _STATES.get(state, ExitCode.BUSY)
    if code:
        raise typer.Exit(code)


def _report(
    id_: Id = "",
    user: User = "",
    hist: Annotated[
        float,
        typer.Option(
            "--hist", min=0, metavar="DAYS", help="Also those that ended in the last days; fractions allowed."
        ),
    ] = 0.0,
    logs: Annotated[
        bool, typer.Option("--logs", help="With --id: also what jobs that failed printed, the end of each.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show submissions and where they are; with --id one of them, task by task.

    Without --hist these are the ones that have not ended. X is F where jobs failed, H where some are held, D where it was
    cancelled, and ! where nobody drives it any more.

    Examples
    --------
        stage batch report

        stage batch report --hist 1.5

        stage batch report --id 3
    """
    report = stage.Batch().report(id=id_, user=user, hist=hist, logs=logs)
    if as_json:
        emit_json(report.to_document())
        return
    for line in report_lines(report):
        emit(line)


def _status(id_: Id, as_json: AsJson = False) -> None:
    """Say where one submission is, by one word and the exit code.

    SUCCEEDED ends with 0, FAILED with 3, DELETED with 130, HELD with 1, UNKNOWN with 10, and all that has not ended
    with 11.

    Example:

        stage batch status --id 3
    """
    found = stage.Batch().status(id=id_)
    if as_json:
        emit_json(found.to_document())
    else:
        emit(found.state + (f"  {found.note}" if found.note else ""))
    end_as(found.state)


def _cancel(
    id_: Id = "",
    user: User = "",
    skip_require_bps: Annotated[
        bool,
        typer.Option(
            "--skip-require-bps",
            help="End one that another user has submitted, as far as the system allows it.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """End all jobs of a submission; its final job runs all the same, unless it is only to run after success.

    Only what this user has submitted is ended. That may take a moment after the command.

    Examples
    --------
        stage batch cancel --id 3

        stage batch cancel --user $USER
    """
    found = stage.Batch().cancel(id=id_, user=user, skip_require_bps=skip_require_bps)
    if as_json:
        emit_json([row.to_document() for row in found])
        return
    for line in cancel_lines(found):
        emit(line)


def _restart(
    *,
    id_: Id,
    memory: Annotated[
        int | None,
        typer.Option("--memory", min=1, metavar="MB", help="What jobs ask for from now on (requestMemory)."),
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(
            "--retries", min=0, metavar="N", help="How often a job is tried again (numberOfRetries)."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[LABEL:]KEY=VALUE",
            help="Another setting of jobs, by its name in the file; with a label of its jobs alone; repeatable.",
        ),
    ] = None,
    include_unlaunched: Annotated[
        bool,
        typer.Option(
            "--include-unlaunched/--only-launched",
            help="Whether jobs that were never begun are begun too; by default they are.",
        ),
    ] = True,
    compute_site: ComputeSite = None,
    wms_service_class: Engine = None,
    abandon: Annotated[
        bool,
        typer.Option(
            "--abandon",
            help="Go on elsewhere also if jobs cannot be ended where they are: what they record is not merged.",
        ),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until all has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a submission: jobs that failed, were held or cancelled, and those behind them, begin again.

    What is complete is not run again. Where its head is gone, a new one goes on from its journal. With another site or
    engine what is left goes on there; jobs that the old one still has are ended first.

    Examples
    --------
        stage batch restart --id 3

        stage batch restart --id 3 --memory 8000 --set detect:requestWalltime=240

        stage batch restart --id 3 --compute-site cluster
    """
    report = stage.Batch().restart(
        id=id_,
        memory=memory,
        retries=retries,
        set=set_ or (),
        include_unlaunched=include_unlaunched,
        compute_site=compute_site,
        wms_service_class=wms_service_class,
        abandon=abandon,
        wait=wait,
    )
    if as_json:
        emit_json(report.to_document())
    else:
        for line in restart_lines(report):
            emit(line)
    if report.state:
        end_as(report.state)


def _ping(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="YAML that says the site and the engine.")
    ] = "",
    compute_site: ComputeSite = None,
    wms_service_class: Engine = None,
    as_json: AsJson = False,
) -> None:
    """Ask whether the services that an engine needs answer; not whether there is room for jobs.

    Examples
    --------
        stage batch ping --engine slurm

        stage batch ping survey.yaml --compute-site cluster
    """
    found = stage.Batch().ping(file, compute_site=compute_site, wms_service_class=wms_service_class)
    if as_json:
        emit_json(found.to_document())
    else:
        emit(f"{found.engine} on site '{found.site}': {found.answer}")


def _config(
    file: File,
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY", help="Settings, as requestMemory or .site.cluster.queue; all by default."
        ),
    ] = None,
    compute_site: ComputeSite = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each comes from: file and line.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the settings of a submission as they count: with all includes, and variables put in.

    Examples
    --------
        stage batch config survey.yaml --origin

        stage batch config survey.yaml requestMemory outputRun
    """
    found = stage.Batch().config(file, *(keys or ()), compute_site=compute_site)
    if as_json:
        emit_json([value.to_document() for value in found])
        return
    for line in config_lines(found, origin=origin):
        emit(line)


def _watch(
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=1, metavar="SECONDS", help="Time between two looks.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Keep the submissions of this user going: where the head is gone, start another one.

    For after a machine was started again, or as a service. It tells what it did, and what has ended, a line each; with
    --json an object a line. With --once it ends with 3 if a submission could get no head.

    Examples
    --------
        stage batch watch

        stage batch watch --once
    """

    def tell(event: WatchEvent) -> None:
        emit(json.dumps(event.to_document()) if as_json else watch_line(event))
        sys.stdout.flush()

    events = stage.Batch().watch(once=once, interval=interval, on_event=tell)
    if any(event.what == "failed" for event in events):
        raise typer.Exit(ExitCode.PARTLY_DONE)


def add_to(batch: typer.Typer) -> None:
    """Add these commands to the group.

    Parameters
    ----------
    batch : typer.Typer
        The group.
    """
    add_command(batch, "report", _report, READS)
    add_command(batch, "status", _status, (*_LOOKS[:3], ExitCode.PARTLY_DONE, *_LOOKS[3:]))
    add_command(batch, "cancel", _cancel, CHANGES)
    add_command(batch, "restart", _restart, EXECUTES)
    add_command(batch, "watch", _watch, (*_LOOKS[:3], ExitCode.PARTLY_DONE, *_LOOKS[3:]))
    add_command(batch, "ping", _ping, READS)
    add_command(batch, "config", _config, READS)
