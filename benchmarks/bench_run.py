"""What it costs to run a quantum that does nothing: in one process, with two workers, and as a batch job.

    python benchmarks/bench_run.py [--n 10000] [--only run-pool] [--json results.json]

Each quantum writes three files (an output, its log, its metadata); the runs also record all of it in the staging
registry. The floor is three tiny files written by bare system calls, in the same number of directories: in this
process, or by calls of a `concurrent.futures.ProcessPoolExecutor`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.records import Artifact
from registry.model.refs import new_ids
from registry.registry import Registry
from stage.execution.run import run_graph
from stage.graph.building.build import build
from stage.graph.building.view import BuildView
from stage.graph.graph import QuantumGraph
from stage.pipeline.pipeline import Pipeline
from sync.repo import Repo

UNIVERSE = DimensionUniverse.from_yaml(
    "{name: bench/lab, version: 1, elements: {sample: {key: {name: id, type: int}}}}"
)
DIMS = ("sample",)


SLEEPERS, SLEEP_S = 64, 2.0
"""Workers, and seconds that each quantum sleeps: what is found is told as a part of quanta of ten seconds."""


def make(root: Path, n: int, **settings: Any) -> tuple[Repo, QuantumGraph, str]:
    """Make a staging repository with n inputs (rows only: they are not read) and a graph of n quanta."""
    url = f"sqlite:///{root}/staging.sqlite3"
    Registry.create(url, UNIVERSE, wal=True).close()
    staging = Repo.attach(url, root / "data", writable=True)
    with staging.registry.write() as change:
        change.insert_records("sample", Columns({"sample": list(range(n))}))
        change.register_dataset_type(DatasetType("number", UNIVERSE.group(DIMS), "Json"))
        change.register_run("inputs")
        columns = {"sample": list(range(n)), "id": new_ids(n), "uri": [f"in/{i}.json" for i in range(n)]}
        columns |= {"size": [2] * n, "checksum": [""] * n, "formatter": ["json"] * n}
        change.insert_datasets("number", "inputs", Columns(columns))
    noop = {
        "dimensions": DIMS,
        "inputs": {"number": {"dataset_type": "number", "storage_class": "Json"}},
        "outputs": {"out": {"dataset_type": "nothing", "storage_class": "Json"}},
        **settings,
    }
    pipeline = Pipeline.of(noop=("stage.tasks.noop:NoOpTask", noop))
    graph = build(pipeline, BuildView(None, staging), input_collections=["inputs"]).retarget("u/bench/run")
    uri = str(root / "graph.qg")
    graph.save(uri)
    return staging, graph, uri


def three_files(folder: str) -> None:
    """Write three tiny files by bare system calls."""
    for name in ("out", "log", "metadata"):
        path = f"{folder}/{name}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        except FileNotFoundError:
            Path(folder).mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        os.write(fd, b"{}" * 100)
        os.close(fd)


def cpu() -> float:
    """CPU seconds of this process and of those it has waited for."""
    both = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in both)


def measure(act: Callable[[], Any]) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    start, used = time.perf_counter(), cpu()
    act()
    return time.perf_counter() - start, cpu() - used


def bench_inprocess(root: Path, n: int) -> list[dict[str, Any]]:
    """One process, with recording."""
    staging, graph, uri = make(root, n)
    wall, used = measure(lambda: run_graph(staging, uri, processes=0, graph=graph))
    staging.close()
    bare = [str(root / "floor" / str(i)) for i in range(n)]
    floor_wall, floor = measure(lambda: [three_files(f) for f in bare])
    return [
        row("run-inprocess", n, used, floor, "CPU ms"),
        row("run-inprocess-wall", n, wall, floor_wall, "ms"),
    ]


def bench_pool(root: Path, n: int) -> list[dict[str, Any]]:
    """Two workers, with recording."""
    staging, graph, uri = make(root, n)
    wall, used = measure(lambda: run_graph(staging, uri, processes=2, graph=graph))
    staging.close()

    def floor() -> None:
        with ProcessPoolExecutor(2) as pool:
            for _ in pool.map(three_files, [str(root / "floor" / str(i)) for i in range(n)]):
                pass

    floor_wall, floor_used = measure(floor)
    return [row("run-pool", n, wall, floor_wall, "ms"), row("run-pool-cpu", n, used, floor_used, "CPU ms")]


def bench_sleepers(root: Path, n: int) -> list[dict[str, Any]]:
    """64 workers on whatever cores there are, with quanta that sleep: what each costs besides, and what all of it costs.

    ``run-sleepers`` is the time between the end of one quantum and the beginning of the next in the same worker, from
    what they say of themselves; ``run-sleepers-all`` shares out the whole run, its start with 64 workers included. The
    unit of both is the part, in percent, of quanta of ten seconds. The floor is that of a bare pool of processes.
    """
    n = min(n, 10 * SLEEPERS)
    staging, graph, uri = make(root, n, seconds=SLEEP_S)
    wall, _ = measure(lambda: run_graph(staging, uri, processes=SLEEPERS, graph=graph))
    gaps = []
    with staging.registry.read() as snapshot:
        rows = snapshot.quanta([graph.output_run]).rows(("id", "started_ns", "finished_ns"))
        said = snapshot.datasets("noop_metadata", [graph.output_run], artifacts=True)
    names = ("uri", "size", "checksum", "formatter")
    told = [staging.datastore.get(Artifact(*a), "Json") for a in said.rows(names)]
    by_worker: dict[int, list[tuple[int, int]]] = {}
    spans = {str(UUID(bytes=i)): (begun, ended) for i, begun, ended in rows}
    for metadata in told:
        by_worker.setdefault(metadata["pid"], []).append(spans[metadata["quantum"]])
    for each in map(sorted, by_worker.values()):
        gaps += [(after - before) * 1e-9 for (_, before), (after, _) in pairwise(each)]
        gaps += [(ended - begun) * 1e-9 - SLEEP_S for begun, ended in each]
    staging.close()
    between = sum(gaps) / n
    floor_wall, _ = measure(lambda: _sleep_in_pool(n))
    share = [wall * SLEEPERS / n - SLEEP_S, floor_wall * SLEEPERS / n - SLEEP_S]
    in_percent = 1e-3 * n * 100 / 10
    return [
        row("run-sleepers", n, between * in_percent, share[1] * in_percent, "% of 10 s"),
        row("run-sleepers-all", n, share[0] * in_percent, share[1] * in_percent, "% of 10 s"),
    ]


def _sleep_in_pool(n: int) -> None:
    with ProcessPoolExecutor(SLEEPERS) as pool:
        list(pool.map(time.sleep, [SLEEP_S] * n))


def bench_job(root: Path, n: int) -> list[dict[str, Any]]:
    """One batch job of one quantum, from start to end, out of a graph of n: the command as a scheduler runs it."""
    from stage.execution.prep import prepare_run

    staging, graph, uri = make(root, n)
    prepare_run(staging, graph)
    staging.close()

    def job(i: int) -> None:
        record = str(root / f"record-{i}.jsonl")
        words = [
            "exec",
            uri,
            "--quanta",
            str(i),
            "--record",
            record,
            "--datastore",
            str(root / "data"),
            "-j",
            "0",
        ]
        subprocess.run([sys.executable, "-m", "cli", *words], check=True, capture_output=True)

    job(0)
    used = sorted(measure(lambda i=i: job(i))[1] for i in range(1, 6))[2]
    floor = sorted(
        measure(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))[1] for _ in range(5)
    )[2]
    found = row("job", 1, used, floor, "CPU ms")
    return [{**found, "n": n}]


def row(name: str, n: int, ours_s: float, floor_s: float, unit: str) -> dict[str, Any]:
    """Return one row of results, per quantum."""
    ours, floor = 1e3 * ours_s / n, 1e3 * floor_s / n
    return {
        "id": name, "n": n, "ours": round(ours, 4), "reference": None, "floor": round(floor, 4), "unit": unit,
        "ratio_reference": None, "ratio_floor": round(ours / floor, 2),
    }  # fmt: skip


BENCHES = {
    "run-inprocess": bench_inprocess,
    "run-pool": bench_pool,
    "run-sleepers": bench_sleepers,
    "job": bench_job,
}


def main() -> None:
    """Run what was asked for, print a table, add to the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--only", default=",".join(BENCHES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    for name in options.only.split(","):
        root = Path(tempfile.mkdtemp(prefix="stage-bench-"))
        try:
            results += BENCHES[name](root, options.n)
        finally:
            shutil.rmtree(root)
    print(f"{'id':<20}{'n':>8}{'ours':>10}{'floor':>10}{'ratio':>8}  unit")
    for r in results:
        print(
            f"{r['id']:<20}{r['n']:>8}{r['ours']:>10.3f}{r['floor']:>10.3f}{r['ratio_floor']:>8.1f}  {r['unit']} each"
        )
    if options.json:
        before = json.loads(options.json.read_text()) if options.json.exists() else []
        names = {(r["id"], r["n"]) for r in results}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(
            json.dumps([r for r in before if (r["id"], r["n"]) not in names] + results, indent=1)
        )


if __name__ == "__main__":
    main()
