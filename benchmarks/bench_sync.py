"""What it costs to clone, to push a run, and to push it again when there is nothing to do, beside the reference.

    python -m benchmarks.bench_sync [--n 1000 10000 57305 100000] [--only push,clone] [--reference 1000 10000] [--json results.json]

n is a number of quanta, and of raws: ``clone`` fetches n datasets (rows; their files stay), and a run has three datasets a
quantum (data, log, metadata), each a file of 200 bytes. ``push`` adopts files that lie in upstream's storage already. The
floor of ``clone`` and the pushes is bare `sqlite3.executemany` of the same rows into plain tables in one transaction, and for a
push a bare `os.stat` of the same files, which ``push-link`` then links with `os.link` and ``push-copy`` reads, hashes and
writes. No push reads files that were not touched since their quanta were done, but to copy them. ``push-rsync`` is the same
push with another floor, the same rows and `rsync -a` of the same files, where rsync is installed. The floor of
``push-again`` is reading the ids of the run on both sides with bare SQL and comparing them.

Figures are CPU time (user and system) a dataset, but for ``push-again``, which is given in milliseconds a push. Each is the
median of several rounds, as is its floor, which is taken after it in each. A round is a process that makes repositories of
its own, and has cloned and pushed a little before: what is loaded and compiled once is in ``clone-first`` and ``push-first``,
which are what a fresh process does, from opening both sides on, at the smallest size. ``memory-push`` is the peak of such a
process, at each size; its floor is the peak when both sides are open. ``memory-push-growth`` is what a quantum adds to it,
from the smallest size on. With ``--reference`` the reference's clone and push are measured between the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import reference, sync_floors
from benchmarks.parts import timed
from benchmarks.reference_sync import ReferenceSync
from benchmarks.sync_alone import alone
from benchmarks.sync_world import (
    PER_QUANTUM,
    clone_once,
    make_survey,
    make_world,
    opened,
    push_once,
    raws_of,
)

IDS = (
    "clone", "clone-first", "push", "push-first", "push-link", "push-copy", "push-rsync", "push-again", "memory-push",
    "memory-push-growth",
)  # fmt: skip
SIZES = (1_000, 10_000, 57_305, 100_000)
MILLION = 333_334
"""Quanta of a run of a million datasets: only ``memory-push`` goes so far."""
FEW = 30
UNITS = {"push-again": "ms/push", "memory-push": "MB", "memory-push-growth": "kB/quantum"}
Figures = Iterator[tuple[str, float, float | None]]
"""Of each measurement its id, our figure and the floor's."""


def measure_clone(root: Path, n: int) -> Figures:
    make_survey(root, n)
    with opened(root) as (upstream, staging):
        wanted = raws_of(upstream)
        ours, _ = timed(lambda: clone_once(upstream, staging, wanted))
    yield "clone", ours / n * 1e6, sync_floors.rows_of_clone(root) / n * 1e6


def measure_clone_first(root: Path, n: int) -> Figures:
    make_survey(root, n)
    ours = alone("clone", root)["cpu_s"]
    yield "clone-first", ours / n * 1e6, sync_floors.rows_of_clone(root) / n * 1e6


def measure_push(root: Path, n: int, mode: str) -> Figures:
    datasets = PER_QUANTUM * n
    source, uris = make_world(root, n, mode)
    with opened(root, mode) as (upstream, staging):
        ours, _ = timed(lambda: push_once(upstream, staging, mode))
        again = statistics.median(timed(lambda: push_once(upstream, staging, mode))[0] for _ in range(3))
    rows = sync_floors.rows_of_push(root)
    files, _ = timed(lambda: sync_floors.FILES[mode](source, root / "bare", uris))
    yield "push" if mode == "auto" else f"push-{mode}", ours / datasets * 1e6, (rows + files) / datasets * 1e6
    compare, _ = timed(lambda: sync_floors.compare_ids(root))
    if mode == "auto":
        yield "push-again", again * 1e3, compare * 1e3
    whole = sync_floors.rsync(source, root / "rsync") if mode == "copy" else None
    if whole is not None:
        yield "push-rsync", ours / datasets * 1e6, (rows + whole) / datasets * 1e6


def measure_push_first(root: Path, n: int) -> Figures:
    datasets = PER_QUANTUM * n
    source, uris = make_world(root, n, "auto")
    found = alone("push", root)
    yield "memory-push", found["peak"], found["base"]
    rows = sync_floors.rows_of_push(root)
    files, _ = timed(lambda: sync_floors.stat_all(source, root, uris))
    yield "push-first", found["cpu_s"] / datasets * 1e6, (rows + files) / datasets * 1e6


MEASURES: dict[str, Callable[[Path, int], Figures]] = {
    "clone": measure_clone,
    "clone-first": measure_clone_first,
    "push push-again": partial(measure_push, mode="auto"),
    "push-link": partial(measure_push, mode="link"),
    "push-copy push-rsync": partial(measure_push, mode="copy"),
    "push-first memory-push": measure_push_first,
}
ALONE = ("clone-first", "push-first", "memory-push")


def one_round(n: int, only: list[str]) -> list[tuple[str, float, float | None]]:
    """Measure each once, in repositories of its own, after a little of the same."""
    take(FEW, [name for name in only if name not in ALONE])
    return take(n, only)


def take(n: int, only: Iterable[str]) -> list[tuple[str, float, float | None]]:
    found = []
    for names, measure in MEASURES.items():
        if set(names.split()) & set(only):
            with tempfile.TemporaryDirectory(prefix="bench-sync-") as folder:
                found += [figures for figures in measure(Path(folder), n) if figures[0] in only]
    return found


def in_process(n: int, only: list[str]) -> list[tuple[str, float, float | None]]:
    """Do a round in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.bench_sync",
        "--here",
        "--n",
        str(n),
        "--only",
        ",".join(only),
    ]
    done = subprocess.run(command, cwd=reference.ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [(name, ours, floor) for name, ours, floor in json.loads(done.stdout)]


def rounds_at(n: int) -> int:
    return 5 if n <= SIZES[0] else 3


def reference_rounds_at(n: int) -> int:
    """Three where they take seconds: a round at the size of 57,305 quanta takes it ten minutes."""
    return 3 if n <= SIZES[1] else 1


def one_size(n: int, only: list[str], rounds: int, beside: ReferenceSync | None) -> list[dict[str, Any]]:
    """Measure one size: rounds of ours and of the reference's in turn; the medians."""
    found: dict[str, list[tuple[float, float | None]]] = {}
    for i in range(rounds):
        # Memory is the same each time.
        asked = [name for name in only if i == 0 or name != "memory-push"]
        for name, ours, floor in in_process(n, asked) if asked else ():
            found.setdefault(name, []).append((ours, floor))
        if beside is not None:
            beside.round()
    rows = [row(name, n, figures) for name, figures in found.items()]
    if beside is not None:
        reference.fill(rows, beside.sections(), n)
    return rows


def row(name: str, n: int, figures: list[tuple[float, float | None]]) -> dict[str, Any]:
    ours = statistics.median(f[0] for f in figures)
    floors = [f[1] for f in figures if f[1] is not None]
    floor = statistics.median(floors) if floors else None
    return {
        "id": name, "n": n, "ours": round(ours, 4), "reference": None,
        "floor": None if floor is None else round(floor, 4), "unit": UNITS.get(name, "us/dataset"),
        "ratio_reference": None, "ratio_floor": round(ours / floor, 2) if floor else None,
    }  # fmt: skip


def memory_growth(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a quantum adds to the peak of memory, from the smallest size to each other one."""
    taken = sorted((r["n"], r["ours"]) for r in rows if r["id"] == "memory-push")
    return [
        row("memory-push-growth", n, [(max(0.0, mb - taken[0][1]) * 1024 / (n - taken[0][0]), None)])
        for n, mb in taken[1:]
    ]


def run_all(options: argparse.Namespace, only: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    sizes = options.n or list(SIZES)
    plain = [name for name in only if name in IDS and not name.endswith("-first")]
    if "memory-push-growth" in only and "memory-push" not in plain:
        plain.append("memory-push")
    for n in sizes:
        asked = [*plain, *(name for name in only if name.endswith("-first") and n == min(sizes))]
        asked = [name for name in asked if name != "memory-push-growth"]
        rounds = options.rounds or rounds_at(n)
        with contextlib.ExitStack() as stack:
            beside = None
            if n in options.reference:
                times = min(rounds, reference_rounds_at(n))
                beside = ReferenceSync(n, times, options.results, anew=options.reference_anew)
                stack.enter_context(beside)
            rows += told(one_size(n, asked, rounds, beside))
    if not options.n and "memory-push" in plain:
        rows += told(one_size(MILLION, ["memory-push"], 1, None))
    rows += told(memory_growth(rows))
    return [r for r in rows if r["id"] in only]


def told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print rows, and return them."""
    for r in rows:
        beside = "".join(f"  {key} {r[key]:10.1f}" for key in ("floor", "reference") if r[key] is not None)
        print(f"{r['id']:20} {r['n']:8,}  {r['ours']:9.1f} {r['unit']:11}{beside}", flush=True)
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--n", type=int, nargs="+", help="numbers of quanta")
    parser.add_argument("--only", default=",".join(IDS), help="ids, separated by commas")
    parser.add_argument("--rounds", type=int, help="how often each is measured")
    parser.add_argument(
        "--reference", type=int, nargs="*", default=[], help="sizes at which it is measured too"
    )
    parser.add_argument("--reference-anew", action="store_true", help="do not use what is kept of it")
    parser.add_argument("--results", type=Path, default=reference.RESULTS, help="where that is kept")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--here", action="store_true", help="do one round in this process, print it as JSON")
    options = parser.parse_args(arguments)
    only = options.only.split(",")
    unknown = sorted(set(only) - set(IDS))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(IDS)}")
    if options.here:
        print(json.dumps([found for n in options.n for found in one_round(n, only)]))
        return 0
    rows = run_all(options, only)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
