"""What it costs to build a quantum graph, to save it, to load it, and to load one quantum of it.

    python benchmarks/bench_graph.py [--n 1000 10000 100000 1000000] [--only graph-build] [--json results.json]

The pipeline is isr(exposure, detector) → four chained tasks (visit, detector) → a gather (visit); every quantum has three
outputs (data, metadata, log). ``graph-build`` asks a real SQLite registry (data IDs, overall inputs, dimension records) and
relates what it answers; its floor is the same chain in bare SQLite temporary tables. ``graph-columns`` is the part after
the registry's answers; its floor is the chain in sorted NumPy columns without names, checks, prerequisites or records.
The floor of ``graph-load-one`` (open the file and load one quantum, anywhere in it) is to open a file and read a
block's length at one place; ``graph-load-job`` opens it and loads the hundred quanta of one job, and its floor is to read each by
itself. Figures are CPU time (user and system), the least of several calls after one that is not counted; that one is
``graph-build-first``: what a process pays once for loading the query language is in it. Each size runs in a process of its own, so
that ``memory-build`` is the peak of that size.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import default_universe
from registry.model.refs import new_id, new_ids
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.file.reader import GraphFile
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from stage.pipeline.node import ConnectionDef, TaskNode, automatic_connections
from sync.repo import Repo

UNIVERSE = default_universe()
RAW = ("instrument", "exposure", "detector")
IMAGE = ("instrument", "visit", "detector")
VISIT = ("instrument", "visit")
DETECTORS = 100
IDS = (
    "graph-build",
    "graph-build-first",
    "graph-columns",
    "graph-save",
    "graph-bytes",
    "graph-load",
    "graph-load-one",
    "graph-load-job",
    "memory-build",
)
JOB_QUANTA = 100


def task(label: str, dims: tuple[str, ...], source: ConnectionDef, made: str) -> TaskNode:
    """Make one task with one input and one output."""
    output = ConnectionDef("result", "output", made, "Json", dims)
    return TaskNode(
        label, "class", "bench:Task", {}, dims, (source, output, *automatic_connections(label, dims))
    )


def nodes() -> list[TaskNode]:
    """Make the pipeline."""
    out = [task("isr", RAW, ConnectionDef("source", "input", "raw", "Json", RAW), "image0")]
    dims = RAW
    for i in range(1, 5):
        source = ConnectionDef("source", "input", f"image{i - 1}", "Json", dims, multiple=True)
        out.append(task(f"step{i}", IMAGE, source, f"image{i}"))
        dims = IMAGE
    out.append(
        task(
            "gather",
            VISIT,
            ConnectionDef("source", "input", "image4", "Json", IMAGE, multiple=True),
            "summary",
        )
    )
    return out


def survey(root: Path, n_quanta: int) -> Repo:
    """Make an upstream with as many raws as give about n quanta: five for each raw, and one a visit."""
    n_raw = max(1, n_quanta // 5)
    per_visit = min(DETECTORS, n_raw)
    visits = list(range(1, -(-n_raw // per_visit) + 1))
    k, one = len(visits), "CAM"
    repo = Repo.create(root / "up", UNIVERSE)
    filters = [f"f{v % 5}" for v in visits]
    common = {"instrument": [one] * k, "day_obs": [20260101] * k, "physical_filter": filters}
    with repo.registry.write() as change:
        change.insert_records("instrument", Columns({"instrument": [one]}))
        used = sorted(set(filters))
        change.insert_records(
            "physical_filter",
            Columns({"instrument": [one] * len(used), "physical_filter": used, "band": used}),
        )
        change.insert_records("day_obs", Columns({"instrument": [one], "day_obs": [20260101]}))
        change.insert_records("group", Columns({"instrument": [one] * k, "group": [f"g{v}" for v in visits]}))
        exposures = {**common, "exposure": visits, "group": [f"g{v}" for v in visits]}
        change.insert_records("exposure", Columns({**exposures, "obs_id": [f"o{v}" for v in visits]}))
        change.insert_records(
            "visit", Columns({**common, "visit": visits, "name": [f"v{v}" for v in visits]})
        )
        change.insert_records(
            "visit_definition", Columns({"instrument": [one] * k, "exposure": visits, "visit": visits})
        )
        chips = list(range(per_visit))
        change.insert_records(
            "detector",
            Columns(
                {"instrument": [one] * per_visit, "detector": chips, "full_name": [f"d{c}" for c in chips]}
            ),
        )
        change.register_run("raw/all")
        change.register_dataset_type(DatasetType("raw", UNIVERSE.group(RAW), "Json"))
        change.insert_datasets("raw", "raw/all", raws(visits, per_visit, n_raw))
    return repo


def raws(visits: list[int], per_visit: int, n: int) -> Columns:
    """Return datasets as a camera leaves them: a path, a size and a checksum each."""
    exposure, detector = np.repeat(visits, per_visit)[:n], np.tile(np.arange(per_visit), len(visits))[:n]
    pairs = list(zip(exposure.tolist(), detector.tolist(), strict=True))
    ids = new_ids(n)
    return Columns(
        {
            "instrument": np.full(n, "CAM", dtype=object),
            "exposure": exposure.astype(np.int64),
            "detector": detector.astype(np.int64),
            "id": ids,
            "uri": [f"raw/all/raw/CAM/{e}/raw_CAM_{e}_{d}.fits" for e, d in pairs],
            "size": [8_000_000 + (e * 7919 + d * 104729) % 100_000 for e, d in pairs],
            "checksum": ["blake3:" + os.urandom(32).hex() for _ in pairs],
            "formatter": ["fits"] * n,
        }
    )


class Replay:
    """A view that gives the answers it was given before: what is left is the work on columns."""

    def __init__(self, view: BuildView) -> None:
        self._view = view
        self.known: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Any:
        plain = getattr(self._view, name)
        if name not in {"data_ids", "datasets", "records"}:
            return plain

        def answer(first: Any, *rest: Any, **options: Any) -> Any:
            key = (name, str(first))
            if key not in self.known:
                self.known[key] = plain(first, *rest, **options)
            return self.known[key]

        return answer


CHAIN: dict[str, tuple[str, ...]] = {
    "raw": RAW, "image0": RAW, **{f"image{i}": IMAGE for i in range(1, 5)}, "summary": VISIT,
}  # fmt: skip


def floor_sqlite(
    rows: list[tuple[Any, ...]], columns: tuple[str, ...], tables: dict[str, tuple[str, ...]]
) -> None:
    """Make quanta, datasets and edges of a chain of tasks from data IDs with bare SQL."""
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE TEMP TABLE d ({', '.join(columns)})")
    db.executemany(f"INSERT INTO d VALUES ({', '.join('?' for _ in columns)})", rows)
    for name, dims in tables.items():
        keys = ", ".join(dims)
        db.execute(f"CREATE TEMP TABLE {name} AS SELECT DISTINCT {keys} FROM d ORDER BY {keys}")
        db.execute(f"CREATE INDEX temp.by_{name} ON {name} ({keys})")
    chain = list(tables)
    for before, after in pairwise(chain):
        joins = [" AND ".join(f"{t}.{k} = d.{k}" for k in tables[t]) for t in (before, after)]
        db.execute(
            f"CREATE TEMP TABLE edge_{after} AS SELECT DISTINCT {after}.rowid AS q, {before}.rowid AS i "
            f"FROM d CROSS JOIN {before} ON {joins[0]} CROSS JOIN {after} ON {joins[1]}"
        )
    db.close()


def floor_numpy(exposure: Any, visit: Any, detector: Any) -> None:
    """Make quanta and edges of the chain by sorting columns, with nothing around it."""
    keys = [exposure * 1000 + detector, *([visit * 1000 + detector] * 4), visit]
    before = keys[0]
    for key in keys:
        _, inverse = np.unique(key, return_inverse=True)
        _, earlier = np.unique(before, return_inverse=True)
        np.unique(inverse * np.int64(len(before) + 1) + earlier)
        before = key


_LONG_S = 5.0


def cpu(act: Callable[[], Any], at_least_s: float = 0.2) -> tuple[float, Any]:
    """Return the CPU seconds of one call, the least of as many as fit, and what it returned."""
    times: list[float] = []
    result = None
    while len(times) < 3 or (sum(times) < at_least_s and len(times) < 20):
        before = time.process_time()
        result = act()
        times.append(time.process_time() - before)
        if times[0] > _LONG_S:
            break
    return min(times), result


def one_size(n: int, only: set[str]) -> list[dict[str, Any]]:
    """Measure one size."""
    with tempfile.TemporaryDirectory(prefix="bench-graph-") as folder:
        root = Path(folder)
        survey(root, n).close()
        with Repo.open(root / "up") as repo:
            return _measure(root, repo, only)


def _measure(root: Path, repo: Repo, only: set[str]) -> list[dict[str, Any]]:
    pipeline, header = nodes(), Header(new_id(), input_collections=("raw/all",))
    view = BuildView(repo)

    def build() -> QuantumGraph:
        with view:
            return build_from_view(pipeline, view, Question(), header)

    before_mb = _peak_mb()
    began = time.process_time()
    n = build().n_quanta
    first_s = time.process_time() - began
    peak_mb = _peak_mb()
    build_s, graph = cpu(build)
    out = [row("memory-build", n, peak_mb, None, "MB"), row("memory-start", n, before_mb, None, "MB")]
    replay = Replay(view)
    with view:
        build_from_view(pipeline, replay, Question(), header)  # type: ignore[arg-type]
        columns_s, _ = cpu(lambda: build_from_view(pipeline, replay, Question(), header), 0.5)  # type: ignore[arg-type]
        rows = replay.known["data_ids", str(UNIVERSE.group([*RAW, *IMAGE]))]
    columns = ("instrument", "exposure", "visit", "detector")
    tuples = rows.rows(columns)
    sql_s, _ = cpu(lambda: floor_sqlite(tuples, columns, CHAIN))
    numpy_s, _ = cpu(lambda: floor_numpy(rows["exposure"], rows["visit"], rows["detector"]))
    out.append(row("graph-build", n, build_s / n * 1e6, sql_s / n * 1e6, "µs/quantum"))
    out.append(row("graph-build-first", n, first_s / n * 1e6, sql_s / n * 1e6, "µs/quantum"))
    out.append(row("graph-columns", n, columns_s / n * 1e6, numpy_s / n * 1e6, "µs/quantum"))
    uri = str(root / "graph.qg")
    graph = graph.retarget("u/bench/run")
    save_s, size = cpu(lambda: graph.save(uri))
    out.append(row("graph-save", n, save_s / n * 1e6, None, "µs/quantum"))
    out.append(row("graph-bytes", n, size / n, None, "B/quantum"))
    load_s, _ = cpu(lambda: QuantumGraph.load(uri))
    out.append(row("graph-load", n, load_s / n * 1e6, None, "µs/quantum"))
    ours, floor = _load_one(uri, n)
    out.append(row("graph-load-one", n, ours * 1e3, floor * 1e3, "ms"))
    job_s, _ = cpu(lambda: _load_job(uri, n // 2, min(n, n // 2 + JOB_QUANTA)))
    out.append(row("graph-load-job", n, job_s * 1e3, JOB_QUANTA * floor * 1e3, "ms"))
    return [r for r in out if not only or r["id"] in only]


def _load_job(uri: str, first: int, last: int) -> None:
    with GraphFile.open(uri) as file:
        for _ in file.quanta(range(first, last)):
            pass


def _load_one(uri: str, n: int) -> tuple[float, float]:
    ordinals = [int(i) for i in np.linspace(0, n - 1, 101)]
    size = Path(uri).stat().st_size

    def read(ordinal: int) -> None:
        fd = os.open(uri, os.O_RDONLY)
        os.pread(fd, 4096, ordinal * size // n)
        os.close(fd)

    def load(ordinal: int) -> None:
        with GraphFile.open(uri) as file:
            file.quantum(ordinal)

    return _each_s(load, ordinals, 1), _each_s(read, ordinals, 50)


def _each_s(act: Callable[[int], None], ordinals: list[int], repeats: int) -> float:
    """Return the CPU seconds of one call: the least of five rounds over the graph, after one to warm up."""
    rounds = []
    for _ in range(6):
        before = time.process_time()
        for _ in range(repeats):
            for ordinal in ordinals:
                act(ordinal)
        rounds.append((time.process_time() - before) / repeats / len(ordinals))
    return min(rounds[1:])


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def row(name: str, n: int, ours: float, floor: float | None, unit: str) -> dict[str, Any]:
    """Make one row of the results; the reference is measured elsewhere."""
    ratio = None if floor is None else round(ours / floor, 2)
    return {
        "id": name, "n": n, "ours": round(ours, 4), "reference": None,
        "floor": None if floor is None else round(floor, 4),
        "unit": unit, "ratio_reference": None, "ratio_floor": ratio,
    }  # fmt: skip


def exponent(rows: list[dict[str, Any]]) -> float | None:
    """Return how the whole cost grows with size: 1 is proportional, 0 is flat."""
    if len(rows) < 2:
        return None
    per_item = rows[0]["unit"].endswith("/quantum")
    x = np.log([r["n"] for r in rows])
    y = np.log([r["ours"] * (r["n"] if per_item else 1) for r in rows])
    return float(np.polyfit(x, y, 1)[0])


def table(rows: list[dict[str, Any]]) -> str:
    """Return the results as text, with the exponent of each figure."""
    lines = [f"{'id':16}{'n':>9}{'ours':>12}{'floor':>12}{'ratio':>8}  unit"]
    for name in dict.fromkeys(r["id"] for r in rows):
        mine = [r for r in rows if r["id"] == name]
        for r in mine:
            floor, ratio = (("" if r[k] is None else f"{r[k]:g}") for k in ("floor", "ratio_floor"))
            lines.append(f"{name:16}{r['n']:>9}{r['ours']:>12g}{floor:>12}{ratio:>8}  {r['unit']}")
        grown = exponent(mine)
        if grown is not None:
            lines.append(f"{'':16}cost grows as n^{grown:.2f}")
    return "\n".join(lines)


Measure = Callable[[int, set[str]], list[dict[str, Any]]]


def main(
    arguments: list[str] | None = None,
    *,
    program: str = "bench_graph",
    ids: tuple[str, ...] = IDS,
    measure: Measure = one_size,
) -> int:
    """Measure what the command line asks for, each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--n", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--only", default="", help="ids, separated by commas: " + ", ".join(ids))
    parser.add_argument("--json", type=Path, help="file to merge the rows into")
    parser.add_argument(
        "--here", action="store_true", help="measure in this process and print the rows as JSON"
    )
    options = parser.parse_args(arguments)
    only = {name for name in options.only.split(",") if name}
    if options.here:
        print(json.dumps([r for n in options.n for r in measure(n, only)]))
        return 0
    rows: list[dict[str, Any]] = []
    for n in options.n:
        command = [
            sys.executable,
            "-m",
            f"benchmarks.{program}",
            "--here",
            "--n",
            str(n),
            "--only",
            options.only,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.stderr.write(done.stderr)
            return 1
        rows += json.loads(done.stdout)
    print(table(rows))
    if options.json:
        before = json.loads(options.json.read_text()) if options.json.exists() else []
        keys = {(r["id"], r["n"]) for r in rows}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        kept = [r for r in before if (r["id"], r["n"]) not in keys]
        options.json.write_text(json.dumps(kept + rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
