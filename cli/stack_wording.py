"""What became of a campaign's stack of runs, as lines for a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cli.render import count_text, size_text

if TYPE_CHECKING:
    from stage.campaign.drop_report import CleanReport, DropReport

__all__ = ["clean_lines", "drop_lines"]


def clean_lines(report: CleanReport) -> Iterable[str]:
    """Word what a cleaning removes.

    Parameters
    ----------
    report : CleanReport
        What it is.

    Yields
    ------
    str
        Lines.
    """
    if report.is_empty:
        yield "nothing to remove: no run or chain that was dropped has anything left"
    yield from (f"purge   {run}" for run in report.purged)
    yield from (f"unstore {run}" for run in report.unstored)
    yield from (f"chain   {name}" for name in report.chains)
    yield from (f"gone    {name}, and what is left of it" for name in report.forgotten)
    yield from (f"kept    {run}: {why}" for run, why in report.kept.items())
    if report.history:
        first, last = report.history[0], report.history[-1]
        which = f"entry {first}" if first == last else f"entries {first} to {last}"
        yield f"history what {which} could be gone back to by ('stage history' lists them all the same)"
    if report.datasets:
        n = count_text(report.datasets, "dataset")
        yield f"{n}, {count_text(report.files, 'file')}, {size_text(report.size_bytes)}"


def drop_lines(report: DropReport, *, dry_run: bool = False) -> Iterable[str]:
    """Word which runs left the stack.

    Parameters
    ----------
    report : DropReport
        They.
    dry_run : bool, optional
        Whether they only would.

    Yields
    ------
    str
        Lines.
    """
    yield from (f"{'would drop' if dry_run else 'dropped'} {run}" for run in report.runs)
    if report.runs and report.mode:
        what = report.mode if dry_run else f"{report.mode}d"
        size = f"{count_text(report.files, 'file')}, {size_text(report.size_bytes)}"
        yield f"{what:<8}{count_text(report.datasets, 'dataset')}, {size}"
