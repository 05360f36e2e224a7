"""Run the benchmarks and write what they found: ``python -m benchmarks.run [--only push,clone] [--no-reference]``.

The reference's whole program runs only where an id is asked for that needs it: its clone and push are measured by themselves,
between the rounds of ours (`benchmarks.reference_sync`). What was found of it is kept and used again, but with
``--reference-anew``.
Rows go to ``benchmarks/results/latest.json`` (one an id and a size, merged into what is there) and, as a table, into
``docs/performance.md``.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import bench_far, bench_sync, reference

ROOT = Path(__file__).resolve().parents[1]
RESULTS = reference.RESULTS
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- table: made by make bench -->", "<!-- end of table -->"

PER_ITEM = ("/dataset", "/record", "/file", "/row", "/quantum", "/job")
"""Ends of units of which the whole cost has as many as there are items."""

PROGRAMS: dict[str, tuple[str, ...]] = {
    "bench_registry": (
        "register-bulk", "dimension-plain", "dimension-region", "import", "ingest-direct", "put", "get-id", "get-ref",
        "find", "query-columns", "query-objects",
    ),
    "bench_postgres": ("register-bulk-pg", "dimension-plain-pg", "find-pg", "query-columns-pg"),
    "bench_start": (
        "startup-help", "startup-help-wall", "startup-status", "startup-status-wall", "query-start", "query-start-wall",
    ),
    "bench_graph": (
        "graph-build", "graph-build-first", "graph-columns", "graph-save", "graph-bytes", "graph-load", "graph-load-one",
        "graph-load-job", "memory-build",
    ),
    "bench_graph_kinds": ("graph-build-gather", "graph-build-coadd", "graph-refresh"),
    "bench_run": ("run-inprocess", "run-pool", "run-sleepers", "job"),
    "bench_engines": ("batch-parsl", "batch-parsl-process"),
    "bench_merge": ("merge", "merge-again"),
    "bench_batch": ("batch-prepare", "batch-cluster", "batch-follow", "batch-memory", "batch-read-job"),
    "bench_sync": bench_sync.IDS,
    "bench_far": bench_far.IDS,
    "bench_large": ("find-1e7", "query-1e7", "clone-1e7", "push-1e7"),
}  # fmt: skip

ONLY_NAMED = ("bench_large",)
"""Programs that take many minutes or gigabytes."""

WITH_REFERENCE = "bench_sync"
"""The one that takes the reference's figures itself, in turn with its own."""

QUANTA, SYNC_QUANTA = [1_000], [1_000, 10_000, 57_305]
"""Where the reference is measured by default: its whole program; its clone and push."""


def chosen(only: str) -> dict[str, list[str]]:
    """Return for each program the ids that are asked for; a program's own name stands for all of its ids."""
    asked = [name.strip() for name in only.split(",") if name.strip()]
    found: dict[str, list[str]] = {}
    for name in asked or [p for p in PROGRAMS if p not in ONLY_NAMED]:
        hits = {p: list(ids) for p, ids in PROGRAMS.items() if name in (p, p.removeprefix("bench_"))}
        hits = hits or {p: [name] for p, ids in PROGRAMS.items() if name in ids}
        if not hits:
            raise SystemExit(
                f"no benchmark '{name}'; there are: {', '.join(i for ids in PROGRAMS.values() for i in ids)}"
            )
        for program, ids in hits.items():
            found.setdefault(program, []).extend(i for i in ids if i not in found.get(program, []))
    return found


def run_program(program: str, ids: list[str], words: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Run one program in a process of its own and return its rows."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [sys.executable, "-m", f"benchmarks.{program}", "--only", ",".join(ids), "--json", str(out)]
        subprocess.run([*command, *words], cwd=ROOT, check=True)
        rows: list[dict[str, Any]] = json.loads(out.read_text())
    return rows


def merge(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put new rows in the place of older ones of the same id and size."""
    latest = RESULTS / "latest.json"
    before = json.loads(latest.read_text()) if latest.exists() else []
    new = {(r["id"], r["n"]) for r in rows}
    merged = sorted(
        [r for r in before if (r["id"], r["n"]) not in new] + rows, key=lambda r: (r["id"], r["n"])
    )
    latest.write_text(json.dumps(merged, indent=1) + "\n")
    return merged


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    head = "| id | n | ours | reference | floor | unit | reference / ours | ours / floor |\n|---|---|---|---|---|---|---|---|\n"
    keys = ("ours", "reference", "floor", "unit", "ratio_reference", "ratio_floor")

    def cell(value: Any) -> str:
        return "" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)

    return head + "".join(
        f"| `{r['id']}` | {r['n']:,} | {' | '.join(cell(r[k]) for k in keys)} |\n" for r in rows
    )


def growth(rows: list[dict[str, Any]]) -> str:
    """Return, for each id taken at three sizes or more, the exponent by which its whole cost grows with size."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["ours"] and row["n"]:
            found.setdefault(row["id"], []).append((math.log(row["n"]), math.log(row["ours"])))
    lines = []
    for name, points in sorted(found.items()):
        if len(points) < 3:
            continue
        slope = statistics.linear_regression(*zip(*points, strict=True)).slope
        units = {r["unit"] for r in rows if r["id"] == name}
        whole = slope + any(unit.endswith(PER_ITEM) for unit in units)
        lines.append(f"| `{name}` | {len(points)} | {whole:.2f} |\n")
    return "| id | sizes | exponent |\n|---|---|---|\n" + "".join(lines)


def write_page(rows: list[dict[str, Any]]) -> None:
    """Replace the table in the page, and say when and on what it was taken."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    when = f"Taken {datetime.now(tz=UTC):%Y-%m-%d} with Python {platform.python_version()} on {platform.machine()}."
    text = f"{when}\n\n{table(rows)}\nHow the whole cost grows with size (1 is linear, 0 flat):\n\n{growth(rows)}"
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", default="", help="ids or programs, separated by commas")
    parser.add_argument("--no-reference", action="store_true", help="leave the reference's column empty")
    parser.add_argument("--reference-quanta", type=int, nargs="+", help="sizes at which it is measured")
    parser.add_argument("--reference-anew", action="store_true", help="do not use what is kept of it")
    options = parser.parse_args(arguments)
    RESULTS.mkdir(parents=True, exist_ok=True)
    sections: dict[int, list[dict[str, Any]]] = {}
    for program, ids in chosen(options.only).items():
        words: list[str] = []
        with_reference = program == WITH_REFERENCE
        if not options.no_reference and with_reference:
            words += ["--reference", *map(str, options.reference_quanta or SYNC_QUANTA)]
            words += ["--results", str(RESULTS), *(["--reference-anew"] if options.reference_anew else [])]
        if not options.no_reference and not with_reference and set(ids) & set(reference.SECTIONS):
            for quanta in options.reference_quanta or QUANTA:
                if quanta not in sections:
                    sections[quanta] = reference.measure(quanta, RESULTS, anew=options.reference_anew)
        rows = run_program(program, ids, words)
        for quanta, found in () if with_reference else sections.items():
            reference.fill(rows, found, quanta)
        write_page(merge(rows))
        print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
