"""Commands that look after what is stored: fsck, doctor, repo fsck."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import stage
from cli.exit_codes import ExitCode
from cli.lengths import seconds_of
from cli.options import CHANGES, READS, AsJson, add_command, campaign_command
from cli.render import cell_text, count_text, emit, emit_json, size_text

if TYPE_CHECKING:
    from stage.campaign.doctor import DoctorReport
    from sync.fsck.findings import Finding, FsckReport

__all__ = ["add_to", "add_to_repo"]

_SHOWN = 5
_PERIOD_S = 5.0
_Repo = Annotated[str, typer.Argument(metavar="REPO", help="Repository: its directory, repo.yaml or URI.")]
_Fast = Annotated[
    bool, typer.Option("--fast", help="Only rows, and whether files are there with their size.")
]
_Full = Annotated[bool, typer.Option("--full", help="Read every byte, and compare checksums.")]
_Repair = Annotated[bool, typer.Option("--repair", help="Repair what can be repaired without loss.")]
_Lost = Annotated[
    list[str] | None,
    typer.Option(
        "--lost", metavar="NAME",
        help="With --repair: give up this missing or damaged file (path, pattern or dataset id); repeatable.",
    ),
]  # fmt: skip
_OlderThan = Annotated[
    str,
    typer.Option(
        "--older-than", metavar="TIME",
        help="Files that no row names count as left over when untouched for so long (30m, 12h, 7d).",
    ),
]  # fmt: skip


def _fsck(
    *,
    campaign_dir: Path | None,
    fast: _Fast = False,
    full: _Full = False,
    repair: _Repair = False,
    lost: _Lost = None,
    older_than: _OlderThan = "1d",
    as_json: AsJson = False,
) -> None:
    """Find what is wrong with a campaign: rows, files, graphs, records, notes of pushes.

    Nothing is changed without --repair, and that removes no file which a row names. Ends with 13 if something is wrong.

    Examples
    --------
        stage fsck

        stage fsck --full --repair
    """
    report = stage.Campaign.fsck(
        campaign_dir, fast=fast, full=full, repair=repair, lost=lost or (), older_than=seconds_of(older_than),
        on_progress=_progress(),
    )  # fmt: skip
    _end(report, as_json=as_json)


def _fsck_repo(
    *,
    repo: _Repo,
    fast: _Fast = False,
    full: _Full = False,
    repair: _Repair = False,
    lost: _Lost = None,
    older_than: _OlderThan = "1d",
    as_json: AsJson = False,
) -> None:
    """Find what is wrong with a repository: rows that contradict each other, files that are not as recorded.

    Nothing is changed without --repair, and that removes no file which a row names. Ends with 13 if something is wrong.

    Examples
    --------
        stage repo fsck /data/shared --fast

        stage repo fsck /data/shared --repair --lost "u/me/test1/*"
    """
    report = stage.fsck_repo(
        repo, fast=fast, full=full, repair=repair, lost=lost or (), older_than=seconds_of(older_than),
        on_progress=_progress(),
    )  # fmt: skip
    _end(report, as_json=as_json)


def _progress() -> Callable[[int, int], None]:
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _PERIOD_S:
            last = time.monotonic()
            sys.stderr.write(f"read {size_text(done)} of {size_text(total)}\n")

    return tell


def _end(report: FsckReport, *, as_json: bool) -> None:
    if as_json:
        emit_json(report.to_document())
    else:
        _show(report)
    if not report.is_sound:
        raise typer.Exit(ExitCode.INTEGRITY)


def _show(report: FsckReport) -> None:
    plan = report.plan
    for done in report.repaired:
        emit(f"repaired  {done.what} ({count_text(len(done.items), 'item')})")
        _list(done.items)
    for finding in plan.findings:
        _show_finding(finding)
    n_artifacts, n_files = plan.checked.get("artifacts", 0), plan.checked.get("files", 0)
    looked = f"{count_text(n_artifacts, 'artifact')}, {count_text(n_files, 'file')}"
    if "bytes" in plan.checked:
        looked += f", {size_text(plan.checked['bytes'])} read"
    if plan.n_young:
        looked += f"; {count_text(plan.n_young, 'file')} without a row may be of work that goes on"
    kinds = count_text(len(plan.wrong), "thing")
    emit(f"{plan.place}: {'nothing is wrong' if report.is_sound else f'{kinds} wrong'} ({looked})")


def _show_finding(finding: Finding) -> None:
    emit(f"{finding.severity:<8}  {finding.code}: {cell_text(finding.what)}")
    emit(f"          in {finding.where} ({count_text(len(finding.items), 'item')}):")
    _list(finding.items)
    emit(f"          {finding.hint}")


def _list(items: Sequence[str]) -> None:
    for item in items[:_SHOWN]:
        emit(f"            {cell_text(item)}")
    if len(items) > _SHOWN:
        emit(f"            … and {len(items) - _SHOWN:,} more (--json names all)")


def _doctor(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="Campaign directory; else $STAGE_CAMPAIGN_DIR, else the working directory."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at what a campaign stands on: file systems, locks, versions, room, limits.

    Nothing is changed; a probe in the campaign's own directory is gone again. Ends with 13 if something is bad.

    Example:

        stage doctor
    """
    report: DoctorReport = stage.Campaign.doctor(directory)
    if as_json:
        emit_json(report.to_document())
    else:
        width = max(len(line.name) for line in report.lines)
        for line in report.lines:
            emit(f"{line.status:<4}  {line.name:<{width}}  {cell_text(line.text)}")
            if line.hint:
                emit(f"{'':<{width + 8}}{cell_text(line.hint)}")
    if report.status == "bad":
        raise typer.Exit(ExitCode.INTEGRITY)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "fsck", campaign_command(_fsck), CHANGES)
    add_command(app, "doctor", _doctor, READS)


def add_to_repo(app: typer.Typer) -> None:
    """Add the command for a repository.

    Parameters
    ----------
    app : typer.Typer
        The group ``repo``.
    """
    add_command(app, "fsck", _fsck_repo, CHANGES)
