"""The command that writes upstream: push."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.options import CHANGES, AsJson, add_command, campaign_command
from cli.render import emit, emit_json
from cli.wording import push_lines
from registry.errors import ConflictError

__all__ = ["add_to"]


def _push(
    *,
    campaign_dir: Path | None,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN", help="Runs to push; by default all with quanta done and not yet pushed."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and end: nothing is written.")
    ] = False,
    chain: Annotated[
        str | None,
        typer.Option("--chain", metavar="NAME", help="Upstream chain to put the runs at the front of."),
    ] = None,
    dataset_type: Annotated[
        list[str] | None,
        typer.Option("--dataset-type", metavar="GLOB", help="Only datasets of these types; repeatable."),
    ] = None,
    register_dataset_types: Annotated[
        bool,
        typer.Option("--register-dataset-types", help="Define upstream the dataset types that it lacks."),
    ] = False,
    only_complete: Annotated[
        bool, typer.Option("--only-complete", help="Leave out runs in which a quantum failed or is missing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Merge runs upstream: plan, check for conflicts, transfer files, then one transaction.

    What one push names is upstream wholly or not at all. Run again, it completes or says that it had.

    Examples
    --------
        stage push --dry-run

        stage push --chain u/me/deblend --register-dataset-types
    """
    try:
        report = stage.Campaign.load(campaign_dir).push(
            *(runs or ()),
            dry_run=dry_run,
            chain=chain,
            dataset_type=tuple(dataset_type or ()),
            register_dataset_types=register_dataset_types,
            only_complete=only_complete,
        )
    except ConflictError as error:
        if as_json and error.conflicts:
            told = [vars(conflict) for conflict in error.conflicts]
            emit_json({"conflicts": told, "dry_run": False, "pushed": False})
        raise
    if as_json:
        emit_json(report.to_document())
    else:
        for line in push_lines(report):
            emit(line)
    if report.plan.conflicts:
        from cli.exit_codes import ExitCode

        raise typer.Exit(ExitCode.CONFLICT)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "push", campaign_command(_push), CHANGES)
