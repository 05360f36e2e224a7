"""Commands about the stack of a campaign's runs: pop, clean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import stage
from cli.asking import Yes, confirmed
from cli.options import CHANGES, AsJson, DryRun, add_command, campaign_command
from cli.render import emit, emit_json
from cli.stack_options import Purge, Unstore
from cli.stack_wording import clean_lines, drop_lines

__all__ = ["add_to"]


def _pop(
    *,
    campaign_dir: Path | None,
    n: Annotated[int, typer.Argument(metavar="[N]", min=0, help="How many past runs too.")] = 0,
    unstore: Unstore = False,
    purge: Purge = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Drop the current run from the stack, and N past ones.

    What is dropped is searched no more and not pushed. It stays in staging until 'stage clean', unless --unstore or --purge
    says otherwise. Upstream is never touched, and a run that was pushed cannot be purged.

    Examples
    --------
        stage pop

        stage pop 1 --purge --dry-run
    """
    report = stage.Campaign.load(campaign_dir).pop(n, unstore=unstore, purge=purge, dry_run=dry_run)
    if as_json:
        emit_json(report.to_document())
        return
    for line in drop_lines(report, dry_run=dry_run):
        emit(line)


def _clean(
    *,
    campaign_dir: Path | None,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove those runs altogether, not only their files.")
    ] = False,
    keep_history: Annotated[
        int | None,
        typer.Option(
            "--keep-history",
            min=1,
            metavar="N",
            help="Let older entries of the history be ones to go back to no more.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be removed; do nothing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove the files of runs that this campaign made and that are in its stack no more.

    It says what will go, and asks. Chains of the campaign that it uses no more go too.

    Examples
    --------
        stage clean --dry-run

        stage clean --purge --yes

        stage clean --keep-history 10
    """
    campaign = stage.Campaign.load(campaign_dir)
    report = campaign.clean(purge=purge, keep_history=keep_history, dry_run=True)
    if not as_json:
        for line in clean_lines(report):
            emit(line)
    if not (dry_run or report.is_empty):
        if not confirmed("Remove this?", yes=yes):
            emit("nothing was removed")
            return
        report = campaign.clean(purge=purge, keep_history=keep_history)
        if not as_json:
            emit("removed")
    if as_json:
        emit_json(report.to_document())


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "pop", campaign_command(_pop), CHANGES)
    add_command(app, "clean", campaign_command(_clean), CHANGES)
