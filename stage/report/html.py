"""One HTML page about a run, with everything inside: it opens in a browser from anywhere, and its size is bounded."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from stage.report.picture import Picture
from stage.report.resources import TaskResources
from stage.report.summary import STATUSES, Failure, RunReport, TaskReport
from stage.report.times import Slow, TaskTimes

__all__ = ["render"]

_CSS = """
:root{--ink:#1d2733;--soft:#5b6878;--line:#d9dfe6;--paper:#fff;--panel:#f5f7f9;--ok:#2a7f62;--none:#8a97a6;--bad:#b3372f;
--wait:#b98a1d;--busy:#2f6db3}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#9aa7b5;--line:#323c47;--paper:#14191f;--panel:#1c232b;
--ok:#52b894;--none:#7c8896;--bad:#e0776f;--wait:#d9ae4f;--busy:#6aa3e0}}
*{box-sizing:border-box}body{margin:0 auto;max-width:64rem;padding:2rem 1.25rem 4rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
p{margin:.3rem 0}.soft{color:var(--soft)}.tiles{display:flex;flex-wrap:wrap;gap:.8rem;margin:1.4rem 0}
.tile{background:var(--panel);border-radius:.5rem;padding:.7rem 1.1rem;min-width:7rem}.tile b{display:block;font-size:1.5rem}
.succeeded{color:var(--ok)}.no-work{color:var(--none)}.failed{color:var(--bad)}.blocked{color:var(--wait)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.3rem .7rem;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:500}td.text,th.text{text-align:left;white-space:normal}
svg text{fill:var(--soft);font:12px system-ui,sans-serif}figure{margin:1rem 0}img{max-width:100%;border-radius:.4rem}
figcaption{color:var(--soft)}figure.drawing{overflow-x:auto}figure.drawing img{background:#fff;padding:.5rem;max-width:none}
pre{background:var(--panel);padding:.7rem 1rem;border-radius:.4rem;overflow-x:auto}code{background:var(--panel);padding:.05rem .3rem;border-radius:.2rem}
"""


def render(
    report: RunReport,
    title: str,
    *,
    facts: Mapping[str, str] | None = None,
    pictures: Sequence[Picture] = (),
    drawings: Sequence[str] = (),
) -> str:
    """Write the page.

    Parameters
    ----------
    report : RunReport
        What happened.
    title : str
        Heading.
    facts : mapping of str to str, optional
        Further lines: a name and a text each.
    pictures : sequence of Picture, optional
        Shown after the timeline.
    drawings : sequence of str, optional
        SVG documents, shown above the table of tasks.

    Returns
    -------
    str
        A whole HTML document; no other file is needed.
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(_when(report))}</p>',
        _facts(facts or {}),
        _tiles(report),
        _timeline(report),
        _pictures(pictures),
        _failure_table(report),
        _drawings(drawings),
        _task_table(report.tasks),
        _time_table(report.times or ()),
        _slow_table(report.slowest),
        _resource_table(report.resources or (), report.resources_yaml),
    ]
    body = "\n".join(part for part in parts if part)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return f'<!doctype html><html lang="en"><head>{head}<style>{_CSS}</style></head><body>\n{body}\n</body></html>\n'


def _when(report: RunReport) -> str:
    if not report.started_ns:
        return "nothing has run"
    start = datetime.fromtimestamp(report.started_ns / 1e9, tz=UTC)
    return f"{', '.join(report.runs)} · {start:%Y-%m-%d %H:%M:%S} UTC · {report.elapsed_s:.1f} s"


def _facts(facts: Mapping[str, str]) -> str:
    return "".join(f"<p>{escape(name)}: <b>{escape(text)}</b></p>" for name, text in facts.items())


def _tiles(report: RunReport) -> str:
    tiles = [f'<div class="tile"><b>{sum(report.counts.values()):,}</b>quanta</div>']
    tiles += [
        f'<div class="tile"><b class="{status}">{report.counts[status]:,}</b>{status}</div>'
        for status in STATUSES
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _timeline(report: RunReport) -> str:
    """Draw one lane a task: how many of its quanta ran, over time."""
    if not report.tasks:
        return ""
    left, width, lane = 150, 780, 30
    height = lane * len(report.tasks) + 24
    lanes = []
    for row, task in enumerate(report.tasks):
        base = lane * (row + 1) - 4
        top = max(float(task.activity.max()), 1e-9)
        step = width / len(task.activity)
        points = " ".join(
            f"{left + step * (i + 0.5):.1f},{base - value / top * (lane - 8):.1f}"
            for i, value in enumerate(task.activity)
        )
        lanes.append(
            f'<text x="{left - 8}" y="{base - 6}" text-anchor="end">{escape(task.task)}</text>'
            f'<polygon fill="var(--busy)" fill-opacity=".75" points="{left},{base} {points} {left + width},{base}"/>'
            f'<line x1="{left}" x2="{left + width}" y1="{base}" y2="{base}" stroke="var(--line)"/>'
        )
    form = ".1f" if report.elapsed_s >= 4 else ".3g"
    ticks = "".join(
        f'<text x="{left + width * i / 4:.0f}" y="{height - 6}" text-anchor="middle">{report.elapsed_s * i / 4:{form}} s</text>'
        for i in range(5)
    )
    svg = f'<svg viewBox="0 0 {left + width + 20} {height}" role="img" aria-label="timeline">{"".join(lanes)}{ticks}</svg>'
    return f"<h2>Timeline</h2><p class='soft'>Quanta running, each lane to its own height.</p><div class='wide'>{svg}</div>"


def _pictures(pictures: Sequence[Picture]) -> str:
    return "".join(
        f'<figure><img alt="{escape(p.caption)}" src="{p.data_uri}"><figcaption>{escape(p.caption)}</figcaption></figure>'
        for p in pictures
    )


def _task_table(tasks: Sequence[TaskReport]) -> str:
    if not tasks:
        return ""
    head = "".join(
        f"<th>{name}</th>" for name in ("task", *STATUSES, "median s", "total s", "CPU s", "peak MB")
    )
    rows = "".join(
        f"<tr><td>{escape(t.task)}</td>"
        + "".join(f"<td>{t.counts[status]:,}</td>" for status in STATUSES)
        + f"<td>{t.median_s:.3f}</td><td>{t.total_s:.1f}</td><td>{t.cpu_s:.1f}</td><td>{t.peak_bytes / 1e6:.0f}</td></tr>"
        for t in tasks
    )
    return f'<h2>Tasks</h2><div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _data_id(text: str) -> str:
    return ", ".join(f"{name}={value}" for name, value in json.loads(text).items()) or "(no dimensions)"


_WORDS = dict.fromkeys(("data ID", "first line"), ' class="text"')


def _table(title: str, head: Sequence[str], rows: Sequence[str], below: str = "") -> str:
    names = "".join(f"<th{_WORDS.get(name, '')}>{escape(name)}</th>" for name in head)
    lines = "".join(f"<tr>{row}</tr>" for row in rows)
    table = f'<div class="wide"><table><tr>{names}</tr>{lines}</table></div>'
    return f"<h2>{escape(title)}</h2>{table}{below}"


def _cells(first: str, *others: str) -> str:
    return f"<td>{escape(first)}</td>" + "".join(f"<td>{escape(text)}</td>" for text in others)


def _failure_table(report: RunReport) -> str:
    failures = report.failures
    if not failures:
        return ""
    every = report.counts["failed"] + report.counts["blocked"]
    below = f'<p class="soft">The first {len(failures):,} of {every:,}.</p>' if len(failures) < every else ""
    return _table("Failures", ("task", "data ID", "status", "first line"), [*map(_failure, failures)], below)


def _failure(f: Failure) -> str:
    return (
        f'<td>{escape(f.task)}</td><td class="text"><code>{escape(_data_id(f.data_id))}</code></td>'
        f'<td class="{f.status}">{f.status}</td><td class="text">{escape(f.message)}</td>'
    )


def _drawings(drawings: Sequence[str]) -> str:
    """Return drawings as pictures of their own, whose styles do not mix with the page's."""
    if not drawings:
        return ""
    parts = "".join(
        f'<figure class="drawing"><img alt="tasks and dataset types" src="data:image/svg+xml;base64,{_base64(d)}"></figure>'
        for d in drawings
    )
    return f"<h2>Pipeline</h2>{parts}"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _time_table(times: Sequence[TaskTimes]) -> str:
    if not times:
        return ""
    head = ("task", "ran", "min s", "median s", "p90 s", "max s", "total s", "CPU s")
    rows = [
        _cells(
            t.task, f"{t.n:,}", *(f"{v:.3f}" for v in (t.min_s, t.median_s, t.p90_s, t.max_s)),
            f"{t.wall_s:.1f}", f"{t.cpu_s:.1f}",
        )
        for t in times
    ]  # fmt: skip
    return _table("Times", head, rows)


def _slow_table(slowest: Sequence[Slow]) -> str:
    if not slowest:
        return ""
    rows = [
        f'<td>{escape(s.task)}</td><td class="text"><code>{escape(_data_id(s.data_id))}</code></td>'
        f'<td class="{s.status}">{s.status}</td><td>{s.wall_s:.3f}</td><td>{s.cpu_s:.3f}</td>'
        for s in slowest
    ]
    return _table("Slowest quanta", ("task", "data ID", "status", "wall s", "CPU s"), rows)


def _resource_table(tasks: Sequence[TaskResources], yaml: str) -> str:
    if not any(t.n or t.n_killed for t in tasks):
        return ""
    head = (
        "task", "complete", "cores asked", "median", "p90", "memory MB asked", "median", "p99", "max",
        "time s asked", "median", "max", "out of memory",
    )  # fmt: skip
    rows = [_cells(t.task, f"{t.n:,}", *_used(t)) for t in tasks]
    below = f'<p class="soft">To ask for next time:</p><pre>{escape(yaml)}</pre>' if yaml else ""
    return _table("Asked for and used", head, rows, below)


def _used(t: TaskResources) -> list[str]:
    asked = t.asked.resources.to_document() if t.asked is not None else {}
    parts = (
        ("cpus", t.cores, ("median", "p90"), ".2f"),
        ("memory_mb", t.memory_mb, ("median", "p99", "max"), ".0f"),
        ("walltime_s", t.wall_s, ("median", "max"), ".1f"),
    )
    out = []
    for name, spread, shown, form in parts:
        out.append("-" if asked.get(name) is None else f"{asked[name]:,}")
        out += ["-" if spread is None else f"{getattr(spread, which):{form}}" for which in shown]
    return [*out, f"{t.n_killed:,}" if t.n_killed else "-"]
