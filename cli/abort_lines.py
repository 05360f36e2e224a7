"""What is said of pushes that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.render import count_text, size_text
from registry.model.refs import id_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stage.campaign.abandoning import AbortReport

__all__ = ["abort_lines"]

_SHOWN = 10


def abort_lines(report: AbortReport) -> Iterator[str]:
    """Word what giving up pushes did, or would do.

    Parameters
    ----------
    report : AbortReport
        It.

    Yields
    ------
    str
        Lines.
    """
    plan = report.plan
    if plan.is_empty:
        yield "no push was broken off"
        return
    acknowledged = report.result.acknowledged if report.result else ()
    for push in plan.pushes:
        runs = ", ".join(push.runs)
        if push.committed or push.id in acknowledged:
            yield f"push {id_text(push.id)} of {runs} was committed: upstream has it all, and nothing of it is removed"
            yield f"    to take it back: stage repo unpush REPO {id_text(push.id)}"
        else:
            yield f"push {id_text(push.id)} of {runs} was broken off, {push.state}"
    size = size_text(plan.size_bytes)
    if report.result is None:
        if any(not push.committed for push in plan.pushes):
            yield f"would remove {count_text(len(plan.uris), 'file')} upstream that no row names, {size}"
    elif report.result.aborted:
        yield f"removed {count_text(report.result.files, 'file')} upstream that no row named, {size}"
    if plan.n_named or (report.result and report.result.kept):
        n = plan.n_named + (report.result.kept if report.result else 0)
        yield f"{count_text(n, 'file')} stay: another push has published them"
    if plan.differing:
        yield f"{count_text(len(plan.differing), 'file')} with such names have other bytes, and stay:"
        yield from (f"    {text}" for text in plan.differing[:_SHOWN])
    for run in plan.lost_runs:
        yield f"run {run} is no longer here: 'stage repo prune REPO --orphans' finds what it left upstream"
