"""The plan of a run as lines for a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cli.render import cell_text, count_text, table_text
from cli.wording import data_id_text

if TYPE_CHECKING:
    from stage.campaign.plan_report import Plan, PlanStop, PlanWay

__all__ = ["plan_lines"]


def plan_lines(plan: Plan, limit: int, *, every: bool = False) -> Iterable[str]:
    """Word a plan.

    Parameters
    ----------
    plan : Plan
        What the next run would do.
    limit : int
        List at most so many quanta.
    every : bool, optional
        List all quanta, not only those that are news.

    Yields
    ------
    str
        Lines.
    """
    if plan.stop is not None:
        yield from _stop_lines(plan.stop)
        if not plan.counts:
            return
        yield ""
        yield "as the graph was built, it would be this:"
    yield f"run     {_run_text(plan)}"
    yield from (f"dropped {run}" for run in plan.dropped)
    totals = plan.totals
    yield f"quanta  {totals['run']:,} to run, {totals['skip']:,} to skip, {totals['blocked']:,} blocked"
    yield from (f"note    {note}" for note in plan.notes)
    if plan.counts:
        yield ""
        yield table_text(
            ("task", "", "quanta", "why"), [(c.task, c.action, c.n, c.text) for c in plan.counts]
        )
    yield from _setting_lines(plan)
    yield from _step_lines(plan)
    yield from _quantum_lines(plan, limit, every=every)


def _run_text(plan: Plan) -> str:
    if not plan.run:
        return "there is nothing left to run, so none would be begun"
    return f"a new one, like {plan.run}" if plan.is_new else f"{plan.run}, gone on with"


def _stop_lines(stop: PlanStop) -> Iterable[str]:
    yield f"refused 'stage run' would end with: {stop.message}"
    if not stop.ways:
        yield f"        {stop.hint}"
        return
    words = [f"stage run {' '.join(way.options)}" for way in stop.ways]
    width = max(map(len, words))
    for n, (word, way) in enumerate(zip(words, stop.ways, strict=True)):
        yield f"{'' if n else 'ways on':<8}{word:<{width}}  {_way_text(way)}"


def _way_text(way: PlanWay) -> str:
    if way.problem:
        return f"is refused too: {way.problem}"
    if way.counts is None:
        return "what it would run is known when it is done"
    parts = [f"{way.counts['run']:,} to run", f"{way.counts['skip']:,} to skip"]
    return ", ".join([*parts, *([f"{way.counts['blocked']:,} blocked"] if way.counts["blocked"] else [])])


def _setting_lines(plan: Plan) -> Iterable[str]:
    if not plan.settings:
        return
    yield ""
    yield "settings that changed"
    for change in plan.settings:
        yield f"  {change.key}: {_value(change.old)} -> {_value(change.new)} (since {change.run})"


def _value(value: Any) -> str:
    text = cell_text(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _step_lines(plan: Plan) -> Iterable[str]:
    if not plan.steps:
        return
    yield ""
    yield "steps"
    yield from (f"  {step.number}. {step.label}: {step.text}" for step in plan.steps)


def _quantum_lines(plan: Plan, limit: int, *, every: bool) -> Iterable[str]:
    listed = plan.quanta(limit + 1, news=not every) if limit else []
    if not listed:
        return
    yield ""
    for quantum in listed[:limit]:
        yield f"{quantum.action:<8}{quantum.task} {data_id_text(quantum.data_id)}: {cell_text(quantum.text)}"
    if len(listed) > limit:
        more = count_text(limit, "quantum", "quanta")
        yield f"        and more than these {more}: --limit N, --task LABEL, --data-id NAME=VALUE"
