"""The command that frees files which upstream holds: drop."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import stage
from cli.asking import Yes, confirmed
from cli.file_progress import file_progress
from cli.options import CHANGES, AsJson, DryRun, add_command, campaign_command
from cli.render import count_text, emit, emit_json, size_text, table_text

if TYPE_CHECKING:
    from stage.campaign.freeing import FreeReport

__all__ = ["add_to"]


def _drop(
    *,
    campaign_dir: Path | None,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN", help="Runs whose files go; all of the campaign's if nothing else is asked for."
        ),
    ] = None,
    dataset_type: Annotated[
        list[str] | None,
        typer.Option("--dataset-type", metavar="GLOB", help="Only files of these types; repeatable."),
    ] = None,
    inputs: Annotated[bool, typer.Option("--inputs", help="Files of inputs that were fetched.")] = False,
    cache: Annotated[
        bool, typer.Option("--cache", help="What this machine's cache of remote inputs holds.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read upstream's files, and compare them with what was recorded.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove files of the campaign that upstream holds with the same bytes, and no others.

    It says what will go, and asks. The datasets stay: they are read from upstream from then on, by 'stage get', by later
    runs, by 'stage diff' and 'stage why'; 'stage fetch --artifacts copy' brings the files back. A file stays whose
    dataset upstream does not have with the same size and checksum, or whose file is not there.

    Examples
    --------
        stage drop --dry-run

        stage drop deblend-test/20261121T101500Z --dataset-type 'calexp*' --yes

        stage drop --inputs --cache --verify
    """
    campaign = stage.Campaign.load(campaign_dir)
    asked = {"dataset_type": tuple(dataset_type or ()), "inputs": inputs, "cache": cache, "verify": verify}
    with file_progress("looking at"):
        report = campaign.drop(*(runs or ()), **asked, dry_run=True)  # type: ignore[arg-type]
    if not as_json:
        for line in _lines(report):
            emit(line)
    if not dry_run and (report.kept or not report.is_empty):
        if not report.is_empty and not confirmed("Remove these files?", yes=yes):
            emit("nothing was removed")
            return
        with file_progress("removing"):
            report = campaign.drop(*(runs or ()), **asked)  # type: ignore[arg-type]
        if not as_json:
            emit("removed; the datasets are read from upstream now")
    if as_json:
        emit_json(report.to_document())


def _lines(report: FreeReport) -> Iterable[str]:
    """Word what goes and what stays."""
    if report.counts:
        rows = [(c["dataset_type"], c["run"], c["n"], size_text(c["size"])) for c in report.counts]
        yield table_text(("dataset type", "run", "files", "size"), rows)
        yield f"goes    {count_text(report.files, 'file')}, {size_text(report.size_bytes)}"
    if report.shared_bytes:
        yield f"        {size_text(report.shared_bytes)} of that are linked from elsewhere too, and stay on the disk"
    if report.cached:
        yield f"cache   {count_text(report.cached, 'object')}, {size_text(report.cached_bytes)}"
    for kept in report.kept:
        yield f"stays   {count_text(kept['n'], 'file')}: {kept['why']} (first: {kept['first']})"
    if report.is_empty and not report.kept:
        yield "there is nothing to drop"


def add_to(app: typer.Typer) -> None:
    """Add this command to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "drop", campaign_command(_drop), CHANGES)
