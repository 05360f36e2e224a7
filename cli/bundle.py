"""Commands about bundles: a campaign, or runs of it, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import stage
from cli.options import CHANGES, READS, AsJson, add_command, campaign_command
from cli.render import count_text, emit, emit_json, size_text

if TYPE_CHECKING:
    from stage.campaign.bundling import BundleReport

__all__ = ["add_to"]

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The bundle.")]


def _export(
    *,
    campaign_dir: Path | None,
    file: _File,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Runs whose files go; by default all of the campaign's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the campaign into one file: registry, state, graph, and the files of its runs.

    It can be taken to a machine that no network reaches, and what was run there be brought back the same way. Inputs
    are in it if they were fetched as copies or links.

    Examples
    --------
        stage fetch --artifacts copy

        stage bundle export /media/disk/survey.bundle
    """
    report = stage.Campaign.load(campaign_dir).bundle_export(file, *(runs or ()))
    _tell(report, f"into {report.file}", as_json)


def _import(
    file: _File,
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR", help="The campaign's directory, made if need be; by default that of this campaign."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a bundle in: as a campaign, or its runs into the campaign that it came from.

    Every file is compared with its checksum. What is there already stays; a second import changes nothing.

    Examples
    --------
        stage bundle import survey.bundle survey

        stage bundle import /media/disk/results.bundle
    """
    report = stage.Campaign.bundle_import(file, directory)
    if report.is_new or report.n_files:
        _tell(report, f"{'into the new' if report.is_new else 'into'} campaign '{report.campaign}'", as_json)
    elif as_json:
        emit_json(report.to_document())
    else:
        emit(f"nothing to bring: campaign '{report.campaign}' has it all")
        _tell_notes(report)


def _tell(report: BundleReport, where: str, as_json: bool) -> None:
    if as_json:
        emit_json(report.to_document())
        return
    runs = ", ".join(report.runs) or "none"
    emit(f"{count_text(report.n_files, 'file')} ({size_text(report.size_bytes)}) {where}")
    emit(f"runs {runs}")
    _tell_notes(report)


def _tell_notes(report: BundleReport) -> None:
    for note in report.notes:
        emit(f"note  {note}")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    group = typer.Typer(
        help="A campaign, or runs of it, as one file.", no_args_is_help=True, rich_markup_mode=None
    )
    add_command(group, "export", campaign_command(_export), READS)
    add_command(group, "import", _import, CHANGES)
    app.add_typer(group, name="bundle")
