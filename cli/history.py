"""Commands about what a campaign was: history, rollback."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import stage
from cli.asking import Yes, confirmed
from cli.options import CHANGES, READS, AsJson, add_command, campaign_command
from cli.render import count_text, emit, emit_json
from cli.wording import change_lines

if TYPE_CHECKING:
    from stage.campaign.reports import HistoryEntry
    from stage.campaign.rollback import RollbackReport

__all__ = ["add_to", "history_lines", "rollback_lines"]


def history_lines(entries: Sequence[HistoryEntry]) -> Iterable[str]:
    """Word a campaign's history.

    Parameters
    ----------
    entries : sequence of HistoryEntry
        The commands.

    Yields
    ------
    str
        Lines.
    """
    for entry in entries:
        when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(entry.at_ns / 1e9))
        yield f"{entry.position:4d}  {when}  {entry.command}"
        yield from (f"        {line}" for line in _change_lines(entry.change))
        for text in entry.diff.values():
            yield from (f"        {line}" for line in text.splitlines())


def _change_lines(change: Any) -> Iterable[str]:
    for name, pair in change.items():
        if name == "quanta":
            yield f"graph: {_quanta_text(pair)}"
        else:
            yield from change_lines({name: pair})


def _quanta_text(pair: Sequence[Any]) -> str:
    old, new = (_tasks_text(quanta) for quanta in pair)
    return f"built anew: {new}" if old == new else f"{old} -> {new}" if old != "none" else new


def _tasks_text(quanta: Any) -> str:
    if not quanta:
        return "none"
    total = count_text(sum(quanta.values()), "quantum", "quanta")
    return f"{total} ({', '.join(f'{label} {n:,}' for label, n in quanta.items())})"


def rollback_lines(report: RollbackReport) -> Iterable[str]:
    """Word what going back changes.

    Parameters
    ----------
    report : RollbackReport
        What it is.

    Yields
    ------
    str
        Lines.
    """
    if report.is_empty:
        yield f"the campaign is what it was after entry {report.to}: {report.command}"
        return
    yield f"back to entry {report.to}: {report.command}"
    yield from change_lines(report.change)
    if report.quanta:
        yield f"graph: {_quanta_text(report.quanta)}"
    yield from (f"restores {name}" for name in report.restored)
    yield from (f"removes {name}" for name in report.removed)
    yield from (f"leaves out {run}: it was removed since" for run in report.lost)
    yield from report.notes


def _history(
    *,
    campaign_dir: Path | None,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Show what became of the lines of the pipeline's files too."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the commands that changed the campaign, and what each changed.

    The number of an entry stays; 'stage rollback' takes it.

    Examples
    --------
        stage history

        stage history -v
    """
    entries = stage.Campaign.load(campaign_dir).history(verbose=verbose or as_json)
    if as_json:
        emit_json([entry.to_document() for entry in entries])
    else:
        for line in history_lines(entries):
            emit(line)


def _rollback(
    *,
    campaign_dir: Path | None,
    to: Annotated[int, typer.Argument(metavar="TO", min=1, help="Number of an entry of 'stage history'.")],
    without_lost: Annotated[
        bool,
        typer.Option(
            "--without-lost", help="Leave runs of that time that were purged since out of the stack."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Say what would be changed; do nothing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Bring the campaign back to what it was after entry TO: its state, its pipeline, its graph.

    No run is removed: those that were made since stay in staging, and leave the stack. It says what will change, and asks. Going
    back is an entry of the history too, so that it can be taken back.

    Examples
    --------
        stage rollback 3 --dry-run

        stage rollback 3
    """
    campaign = stage.Campaign.load(campaign_dir)
    report = campaign.rollback(to, without_lost=without_lost, dry_run=True)
    if not as_json:
        for line in rollback_lines(report):
            emit(line)
    if not (dry_run or report.is_empty):
        if not confirmed("Go back to that?", yes=yes):
            emit("nothing was changed")
            return
        report = campaign.rollback(to, without_lost=without_lost)
        if not as_json:
            emit("done")
    if as_json:
        emit_json(report.to_document())


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program.

    Parameters
    ----------
    app : typer.Typer
        The program.
    """
    add_command(app, "history", campaign_command(_history), READS)
    add_command(app, "rollback", campaign_command(_rollback), CHANGES)
