"""One HTML page about a run, with everything inside: it opens in a browser from anywhere, and its size is bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from stage.report.picture import Picture
from stage.report.summary import STATUSES, Failure, RunReport, TaskReport

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
th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:500}td.text{text-align:left;white-space:normal}
svg text{fill:var(--soft);font:12px system-ui,sans-serif}figure{margin:1rem 0}img{max-width:100%;border-radius:.4rem}
figcaption{color:var(--soft)}code{background:var(--panel);padding:.05rem .3rem;border-radius:.2rem}
"""


def render(
    report: RunReport, title: str, *, facts: Mapping[str, str] | None = None, pictures: Sequence[Picture] = ()
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
        _task_table(report.tasks),
        _failure_table(report.failures),
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
    ticks = "".join(
        f'<text x="{left + width * i / 4:.0f}" y="{height - 6}" text-anchor="middle">{report.elapsed_s * i / 4:.1f} s</text>'
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
    return ", ".join(f"{name}={value}" for name, value in json.loads(text).items())


def _failure_table(failures: Sequence[Failure]) -> str:
    if not failures:
        return ""
    rows = "".join(
        f'<tr><td>{escape(f.task)}</td><td class="text"><code>{escape(_data_id(f.data_id))}</code></td>'
        f'<td class="{f.status}">{f.status}</td><td class="text">{escape(f.message)}</td></tr>'
        for f in failures
    )
    head = "<tr><th>task</th><th>data ID</th><th>status</th><th>first line</th></tr>"
    return f'<h2>Failures</h2><div class="wide"><table>{head}{rows}</table></div>'
