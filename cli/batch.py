"""Commands of batch: a submission made and handed over, at once or stage by stage; and what becomes of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import stage
from cli import batch_looks
from cli.batch_lines import print_lines, submit_lines
from cli.batch_options import ComputeSite, Engine, File, with_submit_options
from cli.exit_codes import ExitCode
from cli.lazy import LazyGroup
from cli.options import CHANGES, EXECUTES, AsJson, DryRun, add_command
from cli.render import emit, emit_json

if TYPE_CHECKING:
    from stage.batch.submission.report import SubmitReport

__all__ = ["add_to"]

_GROUP_HELP = """Thousands of jobs on engines that exist: this machine, pilot jobs, a scheduler.

A file of YAML says what is run, on which site, and what jobs need:

\b
    stage batch submit survey.yaml
    stage batch report
    stage batch report --id 1
    stage batch restart --id 1 --memory 8000

Jobs open no database. What they leave behind is merged into the campaign's staging when all have ended.
"""


def _stage_command(verb: str) -> Callable[..., None]:
    """Return the command of one stage before the last."""

    def command(
        *,
        campaign_dir: Path | None,
        options: dict[str, Any],
        file: File,
        dry_run: DryRun = False,
        as_json: AsJson = False,
    ) -> None:
        with redirect_stdout(sys.stderr):
            report = getattr(stage.Batch(campaign_dir), verb)(file, dry_run=dry_run, **options)
        _tell(report, as_json=as_json)

    command.__doc__ = _HELP[verb]
    return with_submit_options(command)


_HELP = {
    "acquire": """Build the graph and make a run ready: the first stage of a submission.

    The campaign is that of --campaign-dir or of the working directory; else one is made, in a directory that is called
    as the payload. What making the graph said is in quantumGraphGeneration.out.

    Example:

        stage batch acquire survey.yaml
    """,
    "cluster": """Say which quanta make a job together: the stages up to the second.

    Example:

        stage batch cluster survey.yaml --save-dot
    """,
    "transform": """Make the jobs, with what each needs and waits for: the stages up to the third.

    Example:

        stage batch transform submit/survey/20261121T101500Z
    """,
    "prepare": """Write what the engine needs: all stages but the last.

    Example:

        stage batch prepare survey.yaml --compute-site cluster
    """,
}


def _submit(
    *,
    campaign_dir: Path | None,
    options: dict[str, Any],
    file: File,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Stay until all has ended; the exit code says how, as of 'batch status'."
        ),
    ] = False,
    next_step: Annotated[
        bool,
        typer.Option(
            "--next-step",
            help="With the directory of a step's submission: submit the next step, if it is done.",
        ),
    ] = False,
    print_: Annotated[
        bool, typer.Option("--print", help="Show what would be submitted, file by file; write nothing.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a submission of a file and hand it over to an engine.

    All stages, one after the other: acquire, cluster, transform, prepare, submit. Given a directory, it goes on
    there with the first stage that is not done.

    Examples
    --------
        stage batch submit survey.yaml

        stage batch submit survey.yaml --compute-site cluster -d "instrument = 'HSC' AND visit > 903342"

        stage batch submit survey.yaml --print
    """
    with redirect_stdout(sys.stderr):
        report = stage.Batch(campaign_dir).submit(
            file, wait=wait, next_step=next_step, print=print_, dry_run=dry_run, **options
        )
    if print_ and not as_json:
        for line in print_lines(report):
            emit(line)
        return
    _tell(report, as_json=as_json)
    if report.state:
        batch_looks.end_as(report.state)


def _submitcmd(
    *,
    file: File,
    compute_site: ComputeSite = None,
    wms_service_class: Engine = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has ended.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Run one script of your own on a site, with files that go there and come back.

    Example:

        stage batch submitcmd script.yaml --compute-site cluster
    """
    report = stage.Batch().submitcmd(
        file,
        compute_site=compute_site,
        wms_service_class=wms_service_class,
        wait=wait,
        dry_run=dry_run,
    )
    _tell(report, as_json=as_json)
    if report.state:
        batch_looks.end_as(report.state)


def _tell(report: SubmitReport, *, as_json: bool) -> None:
    if as_json:
        emit_json(report.to_document())
        return
    for line in submit_lines(report):
        emit(line)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    batch = typer.Typer(cls=LazyGroup, help=_GROUP_HELP, no_args_is_help=True, rich_markup_mode=None)
    codes = (*CHANGES, ExitCode.PARTLY_DONE)
    add_command(batch, "submit", with_submit_options(_submit), EXECUTES)
    for verb in _HELP:
        add_command(batch, verb, _stage_command(verb), CHANGES)
    add_command(batch, "submitcmd", _submitcmd, codes)
    batch_looks.add_to(batch)
    app.add_typer(batch, name="batch")
