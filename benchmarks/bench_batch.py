"""What it costs to make jobs of a graph, and for a job to find what is its own.

    python -m benchmarks.bench_batch [--only batch-prepare] [--n 1000 100000] [--json results.json]

The graph is five tasks of a chain by visit and detector, as columns; nothing runs. ``batch-prepare`` is all that a submission does
between the graph and the engine, with a job for each quantum: names, needs, commands, and the file, per job; its floor writes the
same rows (name, number, quantum, parent) as lines of JSON. ``batch-cluster`` groups the quanta by visit and detector and makes
jobs of them, per quantum; its floor finds the distinct pairs with NumPy. ``batch-follow`` groups them by following dependencies,
four to a job. ``batch-memory`` is the peak of a fresh process that prepares, in MB; its floor is one that only imports.
``batch-read-job`` is what one job reads, in ms; its floor is one read of the same file. Times are CPU time (user and system).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_graph import cpu, row
from stage.batch.clustering.clusters import cluster_quanta
from stage.batch.clustering.quanta import QuantaTable
from stage.batch.config.settings import Settings
from stage.batch.workflow.file import read_job, save_workflow
from stage.batch.workflow.making import make_workflow
from stage.graph.table import Csr, Table

TASKS = ("isr", "characterize", "calibrate", "measure", "report")
SIZES = (1_000, 10_000, 100_000, 1_000_000)
IDS = ("batch-prepare", "batch-cluster", "batch-follow", "batch-memory", "batch-read-job")
_YAML = """
payload: {payloadName: bench, butlerConfig: /data/repo, inCollection: raw}
templateDataId: "{tract}_{patch}_{band}_{visit}_{exposure}_{detector}"
requestMemory: 4096
memoryMultiplier: 2
finalJob: {command1: stage merge}
"""
_MODES = {
    "batch-prepare": "",
    "batch-cluster": "clusterAlgorithm: dimension\ncluster:\n  all:\n    pipetasks: "
    + ", ".join(TASKS)
    + "\n    dimensions: visit, detector\n",
    "batch-follow": "clusterAlgorithm: dependency\nmaxQuanta: 4\n",
}


def quanta(n: int) -> QuantaTable:
    """Return n quanta: a chain of tasks for each visit and detector."""
    each = n // len(TASKS)
    visit, detector = np.divmod(np.arange(each), 100)
    table = Table({"visit": visit, "detector": detector}, each)
    later = np.arange(each, each * len(TASKS))
    places = np.arange(len(TASKS) + 1) * each
    edges = frozenset((i, i + 1) for i in range(len(TASKS) - 1))
    return QuantaTable(TASKS, places, (table,) * len(TASKS), Csr.from_pairs(int(places[-1]), later, later - each), edges)  # fmt: skip


def settings(mode: str, folder: Path) -> Settings:
    """Return a submission's settings, over the package's."""
    path = folder / "submit.yaml"
    path.write_text(_YAML + _MODES[mode])
    return Settings.read(path, command_line={"submitPath": "/data/c/submit/run", "outputRun": "u/bench/run"})


def prepare(n: int, mode: str, folder: Path) -> Path:
    """Do what a submission does between the graph and the engine."""
    table, chosen = quanta(n), settings(mode, folder)
    workflow = make_workflow(table, cluster_quanta(table, chosen), chosen)
    path = folder / f"{mode}.jobs"
    save_workflow(workflow, path)
    return path


def plain_lines(n: int, folder: Path) -> None:
    """Write the rows of n jobs as lines of JSON."""
    each = n // len(TASKS)
    with (folder / "plain.jsonl").open("w") as out:
        for job in range(n):
            parent = [job - each] if job >= each else []
            out.write(json.dumps({"name": f"{job}_t_{job // 100}", "number": job, "quanta": [job], "parents": parent}) + "\n")  # fmt: skip


def distinct_pairs(n: int) -> None:
    """Find the distinct pairs of visit and detector over all quanta."""
    visit, detector = np.divmod(np.arange(n // len(TASKS)), 100)
    np.unique(np.tile(visit * 100 + detector, len(TASKS)), return_inverse=True)


def peak_mb(n: int) -> float:
    """Return the peak memory of a fresh process that prepares n jobs; 0 only imports."""
    command = [sys.executable, "-m", "benchmarks.bench_batch", "--peak", str(n)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def one_size(n: int, only: set[str], folder: Path) -> list[dict[str, Any]]:
    """Measure one size."""
    rows: list[dict[str, Any]] = []
    for mode in _MODES:
        if mode in only:
            ours, _ = cpu(partial(prepare, n, mode, folder))
            floor, _ = cpu(
                partial(plain_lines, n, folder) if mode == "batch-prepare" else partial(distinct_pairs, n)
            )
            unit = "CPU µs/job" if mode == "batch-prepare" else "CPU µs/quantum"
            rows.append(row(mode, n, ours / n * 1e6, floor / n * 1e6, unit))
    if "batch-memory" in only:
        rows.append(row("batch-memory", n, peak_mb(n), peak_mb(0), "MB"))
    if "batch-read-job" in only:
        path = prepare(n, "batch-prepare", folder)
        ours, _ = cpu(lambda: [read_job(path, job) for job in range(n // 2, n // 2 + 20)])
        floor, _ = cpu(lambda: [path.open("rb").read(1 << 16) for _ in range(20)])
        rows.append(row("batch-read-job", n, ours / 20 * 1e3, floor / 20 * 1e3, "CPU ms"))
    return rows


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--n", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--only", default=",".join(IDS), help="rows, separated by commas")
    parser.add_argument("--json", default="", help="file for the rows")
    parser.add_argument("--peak", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.peak is not None:
            if options.peak:
                prepare(options.peak, "batch-prepare", folder)
            # Not `getrusage`: what that tells begins with the process that started this one.
            status = Path("/proc/self/status").read_text("ascii")
            print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
            return
        only = set(options.only.split(","))
        rows = [r for n in options.n for r in one_size(n, only, folder)]
    for r in rows:
        print(
            f"{r['id']:16}{r['n']:>10,}{r['ours']:>12.3f}{r['floor']:>12.3f}{r['ratio_floor']:>8}  {r['unit']}"
        )
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
