"""Figures of runs as lines for a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cli.render import count_text, table_text
from cli.wording import data_id_text

if TYPE_CHECKING:
    from stage.report.resources import TaskResources
    from stage.report.summary import RunReport

__all__ = ["report_lines", "resource_lines", "time_lines"]

_STATUSES = ("succeeded", "no-work", "failed", "blocked")
_FAILURES_SHOWN = 5


def report_lines(report: RunReport) -> Iterable[str]:
    """Word what became of runs.

    Parameters
    ----------
    report : RunReport
        The figures.

    Yields
    ------
    str
        Lines.
    """
    total = count_text(sum(report.counts.values()), "quantum", "quanta")
    yield f"{', '.join(report.runs)}: {total} in {report.elapsed_s:.1f} s"
    yield table_text(
        ("task", *_STATUSES, "median s", "cpu s", "peak MB"),
        [
            (
                t.task,
                *(t.counts.get(s, 0) for s in _STATUSES),
                round(t.median_s, 3),
                round(t.cpu_s, 1),
                t.peak_bytes // 10**6,
            )
            for t in report.tasks
        ],
    )
    failed = [f for f in report.failures if f.status == "failed"]
    for failure in failed[:_FAILURES_SHOWN]:
        yield f"failed  {failure.task} {data_id_text(failure.data_id)}: {failure.message}"
    if report.counts["failed"] > _FAILURES_SHOWN:
        yield f"        and {report.counts['failed'] - _FAILURES_SHOWN:,} more: stage log --failed --tail 1"


def time_lines(report: RunReport) -> Iterable[str]:
    """Word how long quanta took.

    Parameters
    ----------
    report : RunReport
        With times.

    Yields
    ------
    str
        Lines.
    """
    yield "\ntimes of those that ran"
    yield table_text(
        ("task", "n", "min s", "median s", "p90 s", "max s", "total s", "cpu s"),
        [
            (
                t.task, t.n, *(round(v, 3) for v in (t.min_s, t.median_s, t.p90_s, t.max_s)),
                round(t.wall_s, 1), round(t.cpu_s, 1),
            )
            for t in report.times or ()
        ],
    )  # fmt: skip
    if report.slowest:
        yield "\nslowest"
        yield table_text(
            ("task", "data ID", "status", "wall s", "cpu s"),
            [
                (s.task, data_id_text(s.data_id), s.status, round(s.wall_s, 3), round(s.cpu_s, 3))
                for s in report.slowest
            ],
        )


def resource_lines(report: RunReport) -> Iterable[str]:
    """Word what was asked for, what was used, and what to ask for.

    Parameters
    ----------
    report : RunReport
        With resources.

    Yields
    ------
    str
        Lines; the last are YAML.
    """
    tasks = report.resources or ()
    for title, asked, used, shown, digits in (
        ("cores", "cpus", "cores", ("median", "p90", "max"), 2),
        ("memory, MB", "memory_mb", "memory_mb", ("median", "p90", "p99", "max"), 0),
        ("wall time, s", "walltime_s", "wall_s", ("median", "p90", "p99", "max"), 1),
    ):
        yield f"\n{title}"
        yield table_text(
            ("task", "complete", "asked", *shown, "suggested"),
            [_row(t, asked, getattr(t, used), shown, digits) for t in tasks],
        )
    for t in tasks:
        if t.n_killed:
            yield (
                f"out of memory  {t.task}: {count_text(t.n_killed, 'quantum', 'quanta')}"
                f" in {count_text(t.n_attempts, 'attempt')}, of which {t.n_recovered:,} are complete since"
            )
        if t.asked is not None and t.asked.by_data_id:
            yield f"asked by data ID  {t.task}: its method 'resources' counts, and is left out below"
    if report.resources_yaml:
        yield "\nfor the pipeline file:\n"
        yield report.resources_yaml.rstrip("\n")


def _row(t: TaskResources, asked: str, used: Any, shown: Iterable[str], digits: int) -> tuple[Any, ...]:
    wanted = None if t.asked is None else getattr(t.asked.resources, asked)
    percentiles = [None if used is None else _rounded(getattr(used, which), digits) for which in shown]
    suggested = None if t.suggested is None else getattr(t.suggested, asked)
    return (t.task, t.n, wanted, *percentiles, suggested)


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) if digits else round(value)
