"""How far a run has come: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cli.verbosity import is_quiet

if TYPE_CHECKING:
    from stage.execution.progress import ProgressEvent

__all__ = ["PlainProgress", "progress_display"]

_SHORTEST_BAR = 8
Show = Callable[["ProgressEvent"], None]


class PlainProgress:
    """Writes a line when something was finished, and not more often than every few seconds.

    Parameters
    ----------
    period_s : float, optional
        Shortest time between two lines, in seconds.
    """

    def __init__(self, period_s: float = 5.0) -> None:
        self._period_s = period_s
        self._last_s = 0.0
        self._step = ""

    def __call__(self, event: ProgressEvent) -> None:
        """Take one event.

        Parameters
        ----------
        event : ProgressEvent
            How far it has come.
        """
        if event.step != self._step:
            self._step, self._last_s = event.step, 0.0
        if not event.is_last and event.elapsed_s - self._last_s < self._period_s:
            return
        self._last_s = event.elapsed_s
        total = event.total
        text = f"{event.step}: " if event.step else ""
        text += f"{total.done:,} of {total.total:,} quanta done"
        if total.failed:
            text += f", {total.failed:,} failed"
        if total.blocked:
            text += f", {total.blocked:,} blocked"
        sys.stderr.write(f"{text}   {event.elapsed_s:.0f} s{_left(event)}\n")


def _left(event: ProgressEvent) -> str:
    """Estimate how long it will take from what was done in this call."""
    total = event.total
    done_now = total.succeeded + total.no_work + total.failed
    if event.is_last or not done_now or not total.left:
        return ""
    return f", about {event.elapsed_s * total.left / done_now:.0f} s left"


def _table(event: ProgressEvent, columns: int) -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=event.step or None, title_justify="left")
    heads = ("done", "of", "running", "failed", "blocked")
    rows = [
        (label, *(f"{n:,}" for n in (c.done, c.total, c.running, c.failed, c.blocked)))
        for label, c in event.tasks.items()
    ]
    table.add_column("task", no_wrap=True)
    for name in heads:
        table.add_column(name, justify="right", no_wrap=True)
    widths = [max(map(len, column)) for column in zip(("task", *heads), *rows, strict=True)]
    # What is left of the line; on a narrow terminal the numbers are worth more than the bars.
    left = min(30, columns - sum(widths) - 2 * len(widths) - 2)
    if left >= _SHORTEST_BAR:
        table.add_column("", width=left)
    for row, c in zip(rows, event.tasks.values(), strict=True):
        bar = ProgressBar(total=max(c.total, 1), completed=c.done, width=left)
        table.add_row(*row, *((bar,) if left >= _SHORTEST_BAR else ()))
    table.caption = f"{event.elapsed_s:.0f} s{_left(event)}"
    table.caption_justify = "left"
    return table


@contextmanager
def progress_display(*, quiet: bool = False) -> Iterator[Show | None]:
    """Show progress while a run goes on.

    Parameters
    ----------
    quiet : bool, optional
        Show nothing.

    Yields
    ------
    callable or None
        To be called with each event; None if nothing is shown.
    """
    if quiet or is_quiet():
        yield None
    elif not sys.stderr.isatty():
        yield PlainProgress()
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        with Live(console=console, refresh_per_second=8, transient=True) as live:
            yield lambda event: live.update(_table(event, console.width))
