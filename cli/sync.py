"""The command that writes upstream: push."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import stage
from cli.options import CHANGES, AsJson, add_command, campaign_command
from cli.render import emit, emit_json
from cli.wording import push_lines
from registry.errors import ConflictError

if TYPE_CHECKING:
    from stage.campaign.abandoning import AbortReport

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
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            metavar="EXPR",
            help="Only datasets whose data IDs fulfil this, and the provenance of these.",
        ),
    ] = None,
    register_dataset_types: Annotated[
        bool,
        typer.Option("--register-dataset-types", help="Define upstream the dataset types that it lacks."),
    ] = False,
    only_complete: Annotated[
        bool, typer.Option("--only-complete", help="Leave out runs in which a quantum failed or is missing.")
    ] = False,
    strict_inputs: Annotated[
        bool,
        typer.Option(
            "--strict-inputs", help="Refuse to push what was made from inputs that upstream will not have."
        ),
    ] = False,
    replace_run: Annotated[
        bool,
        typer.Option(
            "--replace-run",
            help="Let the newest run take the place of this campaign's run that is first in the chain, which stays upstream.",
        ),
    ] = False,
    on_conflict: Annotated[
        list[str] | None,
        typer.Option(
            "--on-conflict",
            metavar="KIND=fail|skip",
            help="Leave conflicts of a kind (or all) out instead of refusing; KIND:PATTERN=… for some of them. Repeatable.",
        ),
    ] = None,
    artifacts: Annotated[
        str,
        typer.Option(
            "--artifacts",
            metavar="auto|link|copy",
            help="How files get upstream: left where they are if that is upstream's storage, else linked on one file system, else copied.",
        ),
    ] = "auto",
    abort: Annotated[
        bool,
        typer.Option("--abort", help="Give up pushes that were broken off: remove what they left upstream."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Merge runs upstream: plan, check for conflicts, transfer files, then one transaction.

    What one push names is upstream wholly or not at all. Run again, it completes or says that it had.

    Examples
    --------
        stage push --dry-run

        stage push --chain u/me/deblend --register-dataset-types

        stage push --replace-run

        stage push --where "instrument = 'HSC' AND visit = 903342" --on-conflict dataset-exists=skip

        stage push --abort --dry-run
    """
    options: dict[str, Any] = {
        "dry_run": dry_run, "chain": chain, "dataset_type": tuple(dataset_type or ()), "where": where,
        "strict_inputs": strict_inputs, "on_conflict": tuple(on_conflict or ()),
        "register_dataset_types": register_dataset_types, "only_complete": only_complete,
        "replace_run": replace_run, "artifacts": artifacts,
    }  # fmt: skip
    if abort:
        _show_aborted(
            stage.Campaign.load(campaign_dir).push(*(runs or ()), abort=True, **options), as_json=as_json
        )
        return
    try:
        report = stage.Campaign.load(campaign_dir).push(*(runs or ()), **options)
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


def _show_aborted(report: AbortReport, *, as_json: bool) -> None:
    if as_json:
        emit_json(report.to_document())
        return
    from cli.abort_lines import abort_lines

    for line in abort_lines(report):
        emit(line)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "push", campaign_command(_push), CHANGES)
