"""Where a campaign stands, as lines for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cli.pull_lines import class_lines
from cli.render import count_text, size_text
from cli.wording import STATUSES, count_rows, failure_lines, tasks_text
from stage.campaign.moved_on import KEPT

if TYPE_CHECKING:
    from stage.campaign.status_report import RunStatus, StatusReport, UpstreamStatus

__all__ = ["status_lines"]

_WORDS = {"missing": "not run"}


def status_lines(report: StatusReport) -> Iterable[str]:
    """Word where a campaign stands.

    Parameters
    ----------
    report : StatusReport
        The campaign.

    Yields
    ------
    str
        Lines.
    """
    yield f"campaign  {report.name}" + (f" — {report.doc}" if report.doc else "")
    if report.kept_at:
        yield f"kept at   {report.kept_at}"
    yield f"upstream  {report.upstream}"
    yield f"pipeline  {report.pipeline or '-'}"
    yield f"inputs    {', '.join(report.collections.get('inputs', ())) or '-'}"
    if report.artifacts != "direct":
        yield f"artifacts {report.artifacts}"
    if report.outputs_in:
        yield f"outputs   in {report.outputs_in}"
    if report.collections.get("chain"):
        yield f"chain     {report.collections['chain']}"
    yield from _graph_lines(report)
    yield from _staging_lines(report)
    if report.holder:
        yield f"busy      {report.holder}"
    yield from _run_lines(report)
    if report.asked_upstream is not None:
        yield ""
        yield from _upstream_lines(report.asked_upstream)
    if report.next_commands:
        yield ""
        yield "next"
        yield from (f"  {command}" for command in report.next_commands)


def _graph_lines(report: StatusReport) -> Iterable[str]:
    yield f"graph     {tasks_text(report.graph.tasks) if report.graph else '-'}"
    if report.graph and report.graph.step:
        yield f"          {report.graph.step}"
    if report.graph:
        yield f"          built from {', '.join(report.graph.input_collections) or 'no collection'}"
    if report.graph_problem:
        yield f"          {report.graph_problem}"
    yield from (f"          {note}" for note in report.graph_notes)


def _staging_lines(report: StatusReport) -> Iterable[str]:
    for what, n in report.inputs_moved.items():
        kept = "; kept as read" if what in KEPT else ""
        yield f"moved on  {count_text(n, 'input')}: {what}{kept} ('stage why ID' tells it of each)"
    if report.staging:
        yield (
            f"staging   {count_text(report.staging['datasets'], 'dataset')}; files {size_text(report.staging['size_bytes'])}, "
            f"database {size_text(report.staging['database_bytes'])}"
        )
    if report.staging_problem:
        yield f"staging   {report.staging_problem}"
    if report.push.runs:
        what = f"{count_text(len(report.push.runs), 'run')}, {count_text(report.push.datasets, 'dataset')}"
        yield f"push      would take {what}, {size_text(report.push.size_bytes)}"


def _run_lines(report: StatusReport) -> Iterable[str]:
    """Tell all of the newest run, and a line of each other one."""
    for run in report.runs[:1]:
        yield ""
        yield f"run {run.name} ({run.place}; {run.push})"
        if run.tasks:
            yield count_rows(run.tasks)
        yield from failure_lines(run.failures, run.n_failures)
        if run.n_failures > len(run.failures):
            yield "        all of them: stage log --failed"
        yield from _job_lines(run)
        begun = run.totals.get("begun", 0)
        if begun and not report.holder:
            yield f"lost    {count_text(begun, 'quantum', 'quanta')} begun and not recorded: that run was killed; 'stage run' runs them again"
        if run.steps_left:
            yield f"steps   not begun: {', '.join(run.steps_left)}"
    if len(report.runs) > 1:
        yield ""
        yield from (f"past      {run.name}: {_totals_text(run)}; {run.push}" for run in report.runs[1:])
    if dropped := report.collections.get("dropped"):
        yield ""
        yield f"dropped   {', '.join(dropped)}; 'stage clean' removes what is left"


def _job_lines(run: RunStatus) -> Iterable[str]:
    if run.unmerged:
        what = count_text(run.unmerged, "quantum", "quanta")
        yield f"jobs    {what} as jobs have recorded them, not merged into staging yet"
    if run.driven:
        yield f"jobs    run now: stage batch report --id {run.driven}"


def _totals_text(run: RunStatus) -> str:
    totals = run.totals
    parts = [f"{totals[s]:,} {_WORDS.get(s, s)}" for s in STATUSES if s in totals]
    steps = [f"steps not begun: {', '.join(run.steps_left)}"] if run.steps_left else []
    return ", ".join([*parts, *steps]) or "no quanta"


def _upstream_lines(moved: UpstreamStatus) -> Iterable[str]:
    yield "upstream, asked now"
    if moved.problem:
        yield f"  {moved.problem}"
    yield from (f"  {line}" for line in moved.collections)
    for name, counts in moved.datasets.items():
        yield f"  {name}: {_counts_text(counts)}"
    for kind, counts in moved.moved.items():
        yield from (f"  {line}" for line in class_lines(kind, counts))
    yield from (f"  {note}" for note in moved.notes)
    for run, is_there in moved.runs.items():
        yield f"  {run}: {'is there' if is_there else 'is not there'}"
    if not (moved.problem or moved.collections or moved.datasets or moved.moved or moved.notes):
        yield "  nothing has moved of what the campaign uses"


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)
