"""Reports as lines for a person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli.render import count_text, size_text, table_text
from cli.stack_wording import drop_lines

if TYPE_CHECKING:
    from stage.campaign.graph_reports import RefreshReport
    from stage.campaign.reports import (
        BuildReport,
        FetchReport,
        GraphReport,
        LogEntry,
        PushReport,
        RunReport,
    )

__all__ = [
    "STATUSES", "build_lines", "change_lines", "data_id_text", "fetch_lines", "graph_lines", "log_lines", "push_lines",
    "run_lines",
]  # fmt: skip

STATUSES = ("succeeded", "no-work", "failed", "blocked", "begun", "missing", "skipped")
"""What can have become of quanta, in the order in which a person reads it."""
_MAX_FAILURES = 10


def data_id_text(text: str) -> str:
    """Return a data ID in compact JSON as ``name=value`` words.

    Parameters
    ----------
    text : str
        As it is recorded of a quantum.

    Returns
    -------
    str
        For a person.
    """
    try:
        values = json.loads(text)
        return ", ".join(f"{k}={v}" for k, v in values.items()) or "(no dimensions)"
    except (ValueError, AttributeError):
        return text


def tasks_text(tasks: Mapping[str, int]) -> str:
    """Word how many quanta tasks have.

    Parameters
    ----------
    tasks : mapping of str to int
        Label to number.

    Returns
    -------
    str
        As ``2 tasks, 9 quanta (a 6, b 3)``.
    """
    total = sum(tasks.values())
    return f"{count_text(len(tasks), 'task')}, {count_text(total, 'quantum', 'quanta')} ({_listed(tasks)})"


def build_lines(report: BuildReport) -> Iterable[str]:
    """Word a build.

    Parameters
    ----------
    report : BuildReport
        What it made.

    Yields
    ------
    str
        Lines.
    """
    yield f"graph   {tasks_text(report.graph.tasks)}   {report.seconds:.1f} s"
    yield from _step_lines(report.graph)
    yield from _left_out_lines(report.graph)
    if report.refreshed is not None:
        yield from _refresh_lines(report.refreshed)
    if report.fetch is not None:
        yield from fetch_lines(report.fetch)


def fetch_lines(report: FetchReport) -> Iterable[str]:
    """Word a fetch.

    Parameters
    ----------
    report : FetchReport
        What it brought.

    Yields
    ------
    str
        Lines.
    """
    parts = [f"{n:,} {name}" for name, n in report.datasets.items()]
    n_records = sum(c.get("new", 0) for kind, c in report.counts.items() if kind.startswith("record"))
    if n_records:
        parts.append(count_text(n_records, "dimension record"))
    what = ", ".join(parts) or "nothing new"
    yield f"fetched {what}; {_files_text(report)}   {report.seconds:.1f} s"
    yield from (f"note    {note}" for note in report.notes)


def _files_text(report: FetchReport) -> str:
    """Word what became of the files."""
    if report.artifacts == "direct":
        return f"{size_text(report.copied_bytes)} copied (direct)"
    files = count_text(report.files, "file")
    if report.artifacts == "copy":
        return f"{files}, {size_text(report.copied_bytes)} copied"
    return f"{files} linked ({report.artifacts})"


def graph_lines(report: GraphReport) -> Iterable[str]:
    """Word a graph.

    Parameters
    ----------
    report : GraphReport
        The graph.

    Yields
    ------
    str
        Lines.
    """
    yield f"graph   {report.uri} ({size_text(report.size_bytes)})"
    yield f"        {tasks_text(report.tasks)}"
    yield from _step_lines(report)
    yield f"inputs  {', '.join(report.input_collections) or '-'}"
    if report.data_query:
        yield f"query   {report.data_query}"
    if report.output_run:
        yield f"run     {report.output_run}"
    yield from _left_out_lines(report)
    rows = [(name, facts["role"], facts["n"]) for name, facts in report.dataset_types.items()]
    if rows:
        yield table_text(("dataset type", "role", "datasets"), rows)


def _step_lines(report: GraphReport) -> Iterable[str]:
    if report.step:
        after = ", ".join(report.steps_after)
        yield f"        {report.step}" + (f"; when it is done: {after}" if after else "")


def _left_out_lines(report: GraphReport) -> Iterable[str]:
    for out in report.left_out:
        yield f"left out {out['dropped']:,} of {out['of']:,} {out['task']} quanta: no {out['dataset_type']}"

    for facts in report.skipped:
        yield f"skipped {facts['skipped']:,} of {facts['of']:,} {facts['task']} quanta: done before"


def _refresh_lines(report: RefreshReport) -> Iterable[str]:
    """Word what has changed since a graph's datasets were looked up last."""
    parts = (
        ("others ", report.replaced, "found now"),
        ("gone   ", report.unresolved, "there no more"),
        ("trimmed", report.trimmed, "all their outputs exist"),
        ("pruned ", report.pruned, "they lack an input"),
    )
    for word, counts, why in parts:
        if counts:
            yield f"{word} {_listed(counts)}: {why}"
    if not any(counts for _, counts, _ in parts):
        yield "refreshed: nothing has changed"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def count_rows(tasks: Mapping[str, Mapping[str, int]]) -> str:
    """Return a table of what became of quanta.

    Parameters
    ----------
    tasks : mapping
        Label to status to number.

    Returns
    -------
    str
        A line a task, a column for each status that there is.
    """
    statuses = [s for s in STATUSES if any(c.get(s) for c in tasks.values())] or ["succeeded"]
    return table_text(("task", *statuses), [(t, *(c.get(s, 0) for s in statuses)) for t, c in tasks.items()])


def failure_lines(failures: Sequence[object], total: int) -> Iterable[str]:
    """Word the first few of quanta that failed.

    Parameters
    ----------
    failures : sequence of stage.campaign.reports.Failure
        They.
    total : int
        How many there are in all.

    Yields
    ------
    str
        A line each, and one that says how many more there are.
    """
    from stage.campaign.reports import Failure

    for failure in failures[:_MAX_FAILURES]:
        if isinstance(failure, Failure):
            yield f"failed  {failure.task} {data_id_text(failure.data_id)}: {failure.first_line}"
    if total > _MAX_FAILURES:
        yield f"        and {total - _MAX_FAILURES:,} more"


def run_lines(report: RunReport, done: str = "executed") -> Iterable[str]:
    """Word what became of a run.

    Parameters
    ----------
    report : RunReport
        The run.
    done : str, optional
        What was done now with its quanta.

    Yields
    ------
    str
        Lines.
    """
    if report.run:
        executed = count_text(report.executed, "quantum", "quanta")
        yield f"run     {report.run}: {executed} {done}   {report.seconds:.1f} s"
        yield count_rows(report.tasks)
    else:
        yield "run     there is nothing left to run, so none was begun"
    if report.skipped:
        yield f"skipped {_listed(report.skipped)}: done in other collections"
    if report.removed:
        files = count_text(report.removed, "ephemeral file")
        yield f"removed {files} ({size_text(report.removed_bytes)}); the datasets stay known"
    yield from drop_lines(report.dropped)
    yield from (f"note    {note}" for note in report.notes)
    yield from failure_lines(report.failures, len(report.failures))
    if report.steps_left:
        yield f"steps   {', '.join(report.steps_left)}: not begun, they build on what is done before"
    if report.interrupted:
        yield "interrupted; 'stage run' goes on from here"
    elif report.until:
        yield f"stopped after '{report.until}', as asked; 'stage run' goes on with the rest"
    elif not report.complete:
        why = "'stage log --failed' shows why, " if report.failures else ""
        yield f"partly done; {why}'stage run' runs what is missing"


def push_lines(report: PushReport) -> Iterable[str]:
    """Word a push or its plan.

    Parameters
    ----------
    report : PushReport
        The push.

    Yields
    ------
    str
        Lines.
    """
    for run, n in report.left_out.items():
        yield f"left out {run}: {count_text(n, 'quantum', 'quanta')} not done"
    yield from report.plan.lines()
    if report.adopted:
        yield f"adopted {count_text(report.adopted, 'file')} where they are: no byte moved"
    if report.pushed:
        yield f"pushed  {', '.join(report.plan.runs)}   {report.seconds:.1f} s"


def log_lines(entries: Sequence[LogEntry], *, failed: bool = False) -> Iterable[str]:
    """Word the logs of quanta.

    Parameters
    ----------
    entries : sequence of LogEntry
        The logs.
    failed : bool, optional
        Whether only failed quanta were asked for.

    Yields
    ------
    str
        Lines.
    """
    for entry in entries:
        attempt = f" (attempt {entry.attempt})" if entry.attempt else ""
        yield f"=== {entry.task} {data_id_text(entry.data_id)}: {entry.status}{attempt}"
        if entry.message and entry.message.strip() not in entry.text:
            yield entry.message.rstrip("\n")
        if entry.text:
            yield entry.text.rstrip("\n")
    if not entries:
        yield "no such quantum failed" if failed else "no such quanta"


def change_lines(change: Mapping[str, Sequence[Any]]) -> Iterable[str]:
    """Word what a command changed.

    Parameters
    ----------
    change : mapping
        Field to old and new value.

    Yields
    ------
    str
        A line a field: the new value where there was none, what came and went where it is a list, else both.
    """
    for name, (old, new) in change.items():
        if old in (None, "", []):
            yield f"{name}: {_value(new)}"
        elif isinstance(old, list) and isinstance(new, list) and _kept(old, new) == _kept(new, old):
            came, went = (f" +{v}" for v in new if v not in old), (f" -{v}" for v in old if v not in new)
            yield f"{name}:{''.join((*came, *went))}"
        else:
            yield f"{name}: {_value(old)} -> {_value(new)}"


def _kept(values: list[Any], others: list[Any]) -> list[Any]:
    return [v for v in values if v in others]


def _value(value: Any) -> str:
    if value in (None, "", []):
        return "-"
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
