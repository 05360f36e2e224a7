"""How what batch commands tell is worded."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.render import count_text, table_text

if TYPE_CHECKING:
    from stage.batch.config.explaining import Explained
    from stage.batch.reporting.acting import RestartReport
    from stage.batch.reporting.report import BatchReport, CauseGroup, LabelCounts, RunDetail, RunSummary
    from stage.batch.reporting.watching import WatchEvent
    from stage.batch.submission.report import SubmitReport

__all__ = [
    "cancel_lines",
    "config_lines",
    "print_lines",
    "report_lines",
    "restart_lines",
    "submit_lines",
    "watch_line",
]

_HEADS = ("X", "STATE", "%S", "ID", "OPERATOR", "PRJ", "CMPGN", "PAYLOAD", "RUN")
_STATES = (
    "UNKNOWN", "UNREADY", "READY", "PENDING", "RUNNING", "HELD", "SUCCEEDED", "FAILED", "DELETED", "PRUNED",
)  # fmt: skip
_SHOWN_CAUSES = 20


def _places(sites: Mapping[str, str]) -> str:
    return ", ".join(f"{engine} on site '{site}'" for site, engine in sites.items())


def submit_lines(report: SubmitReport) -> Iterator[str]:
    """Word how far a submission has come.

    Parameters
    ----------
    report : SubmitReport
        What was done, or would be.

    Yields
    ------
    str
        Lines; the last three as the field's users know them.
    """
    for note in report.notes:
        yield f"note: {note}"
    for run in report.dropped:
        yield f"dropped {run}"
    jobs = f" in {count_text(report.n_jobs, 'job')}" if report.n_jobs else ""
    if report.n_quanta:
        on = _places(report.sites or {report.site: report.engine})
        yield f"{count_text(report.n_quanta, 'quantum', 'quanta')}{jobs}, {on}"
    if report.dry_run:
        yield "nothing was written (--dry-run)"
    yield f"Submit dir: {report.submit_dir}"
    if report.run_id:
        yield f"Run Id: {report.run_id}"
    yield f"Run Name: {report.run_name}"
    if report.state:
        yield f"State: {report.state}"
    elif not report.run_id and not report.dry_run:
        yield f"Next: stage batch submit {report.submit_dir}"


def print_lines(report: SubmitReport) -> Iterator[str]:
    """Show each file of a submission that was not made.

    Parameters
    ----------
    report : SubmitReport
        With its files.

    Yields
    ------
    str
        Each file's name, then its lines.
    """
    yield from (f"# {line}" for line in submit_lines(report))
    for name, text in report.files.items():
        yield ""
        yield f"==> {name} <=="
        yield from text.rstrip("\n").split("\n")


def report_lines(report: BatchReport) -> Iterator[str]:
    """Word where submissions are.

    Parameters
    ----------
    report : BatchReport
        One in detail, or several.

    Yields
    ------
    str
        The table, what there is to be said of some, and the detail of one.
    """
    if not report.runs:
        since = (
            f" in the last {report.hist:g} day{'s' * (report.hist != 1)}"
            if report.hist
            else "; those of the last week: --hist 7"
        )
        yield f"no submissions{since if report.hist else ' that have not ended' + since}"
        return
    rows = [
        (r.flag, r.state, r.percent, r.id or "-", r.operator, r.project, r.campaign, r.payload, r.run)
        for r in report.runs
    ]
    yield table_text(_HEADS, rows)
    for run in report.runs:
        if run.note:
            yield ""
            yield f"{run.id or run.run}: {run.note}"
    if report.detail is not None:
        yield from _detail_lines(report.runs[0], report.detail)


def _detail_lines(run: RunSummary, detail: RunDetail) -> Iterator[str]:
    yield ""
    yield f"Path: {run.submit_dir}"
    yield f"Engine: {_places(detail.sites or {detail.site: detail.engine})}, submitted by {run.user} on {run.host}"
    yield ""
    shown = [s for s in _STATES if any(label.states.get(s) for label in detail.labels)]
    rows = [_total(detail.labels, shown), *(_label_row(label, shown) for label in detail.labels)]
    heads = ("", *shown, "EXPECTED", "ATTEMPTS", "MB ASKED", "MB USED")
    if detail.sites:
        heads = (*heads, "SITE")
        rows = [(*row, site) for row, site in zip(rows, ["", *(c.site for c in detail.labels)], strict=True)]
    yield table_text(heads, rows)
    if detail.causes:
        yield ""
        yield "Why attempts failed:"
        for cause in detail.causes[:_SHOWN_CAUSES]:
            yield from _cause_lines(cause)
        if len(detail.causes) > _SHOWN_CAUSES:
            yield f"  and {len(detail.causes) - _SHOWN_CAUSES} more (--json has all)"
    if detail.held:
        yield ""
        yield "Held:"
        yield from (f"  {held.job}: {held.message}" for held in detail.held)
    for output in detail.outputs:
        yield ""
        yield f"==> {output.path} <=="
        yield from output.text.split("\n")


def _total(labels: Sequence[LabelCounts], shown: Sequence[str]) -> tuple[object, ...]:
    sums = (sum(label.states.get(s, 0) for label in labels) for s in shown)
    return ("TOTAL", *sums, sum(c.expected for c in labels), sum(c.attempts for c in labels), "", "")


def _label_row(label: LabelCounts, shown: Sequence[str]) -> tuple[object, ...]:
    least, most = label.memory_asked
    asked = "" if not most else f"{least:,}" if least == most else f"{least:,}-{most:,}"
    counts = (label.states.get(s, 0) for s in shown)
    used = f"{label.memory_used:,}" if label.memory_used else ""
    return (label.label, *counts, label.expected, label.attempts, asked, used)


def _cause_lines(cause: CauseGroup) -> Iterable[str]:
    codes = f" code {', '.join(map(str, cause.exit_codes))}" if cause.exit_codes else ""
    why = f"exit{codes}" if cause.cause == "exit" else f"{cause.cause}{f', exit{codes}' if codes else ''}"
    since = f", {cause.recovered:,} done since" if cause.recovered else ""
    attempts = f" in {count_text(cause.attempts, 'attempt')}" if cause.attempts != cause.jobs else ""
    yield f"  {cause.label}: {count_text(cause.jobs, 'job')}{attempts} ({why}{since})"
    if cause.message:
        yield f"    {cause.message}"
    if cause.example:
        yield f"    as in {cause.example}"


def cancel_lines(runs: Sequence[RunSummary]) -> Iterator[str]:
    """Word what was ended.

    Parameters
    ----------
    runs : sequence of RunSummary
        Each as it was before.

    Yields
    ------
    str
        A line each.
    """
    for run in runs:
        yield f"Successfully canceled: {run.id or run.run}"


def restart_lines(report: RestartReport) -> Iterator[str]:
    """Word what begins again.

    Parameters
    ----------
    report : RestartReport
        What was done.

    Yields
    ------
    str
        Lines; the last two as the field's users know them.
    """
    if report.n_ended:
        yield f"ended where they ran before: {count_text(report.n_ended, 'job')}"
    if report.n_abandoned:
        jobs = count_text(report.n_abandoned, "job")
        yield f"left to themselves where they run: {jobs}; what these record is not merged"
    at = f", by {_places({report.site: report.engine})}" if report.site else ""
    yield (
        f"{count_text(report.n_jobs, 'job')} begin again{at}"
        if report.n_jobs != 1
        else f"1 job begins again{at}"
    )
    yield f"Run Id: {report.run_id}"
    yield f"Run Name: {report.run_name}"
    if report.state:
        yield f"State: {report.state}"


def config_lines(values: Sequence[Explained], *, origin: bool = False) -> Iterator[str]:
    """Word settings.

    Parameters
    ----------
    values : sequence of Explained
        The settings.
    origin : bool, optional
        Whether to say where each comes from.

    Yields
    ------
    str
        ``key: value``.
    """
    for value in values:
        shown = value.value if isinstance(value.value, str) else json.dumps(value.value, default=str)
        line = f"{value.key}: {value.problem or shown}"
        yield f"{line}   # {value.origin}" if origin else line


def watch_line(event: WatchEvent) -> str:
    """Word what a watcher did, or saw end.

    Parameters
    ----------
    event : WatchEvent
        Which.

    Returns
    -------
    str
        One line.
    """
    when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(event.at_ns / 1e9))
    return f"{when}  {event.run_id} ({event.run_name})  {event.what}: {event.message}"
