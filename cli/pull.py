"""The command that brings staging up to date: pull."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.exit_codes import ExitCode
from cli.file_progress import file_progress
from cli.options import CHANGES, AsJson, add_command, campaign_command
from cli.pull_lines import pull_lines
from cli.render import emit, emit_json
from registry.errors import ConflictError

__all__ = ["add_to"]


def _pull(
    *,
    campaign_dir: Path | None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and end: nothing is written.")
    ] = False,
    on_conflict: Annotated[
        list[str] | None,
        typer.Option(
            "--on-conflict",
            metavar="KIND=fail|keep|take",
            help="Keep ours, or take upstream's, of what both sides have changed: record-differs=take, all=keep."
            " Repeatable.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring staging up to date with upstream: what only upstream has changed is taken, what was changed here stays.

    What quanta here have read stays as it was then, and is told. A graph never changes by itself: where inputs have
    moved on, 'stage build' builds it again.

    Examples
    --------
        stage pull --dry-run

        stage pull

        stage pull --on-conflict record-differs=take --on-conflict chain-differs=keep
    """
    try:
        with file_progress("fetching"):
            report = stage.Campaign.load(campaign_dir).pull(
                dry_run=dry_run, on_conflict=tuple(on_conflict or ())
            )
    except ConflictError as error:
        if as_json and error.conflicts:
            told = [{**vars(c), "about": dict(c.about)} for c in error.conflicts]
            emit_json({"conflicts": told, "dry_run": False, "pulled": False})
        raise
    if as_json:
        emit_json(report.to_document())
    else:
        for line in pull_lines(report):
            emit(line)
    if report.plan.conflicts:
        raise typer.Exit(ExitCode.CONFLICT)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "pull", campaign_command(_pull), CHANGES)
