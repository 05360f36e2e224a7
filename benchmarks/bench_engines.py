"""What it costs to hand a job that does nothing to a pilot, beside what Parsl's own tasks cost that do nothing.

    python -m benchmarks.bench_engines [--n 500] [--only batch-parsl] [--json results.json]

A job is `stage exec` of one quantum: it reads its slice of the graph, writes three files and a record. The floor is a
Python app of Parsl's that returns at once, on a pilot of the same kind. Of both two runs of different size are made, and
the figures are of their difference, so that what pilots take to start and end is not in them.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.bench_run import make
from stage.batch.engines.base import EngineSettings, JobRequest, JobState
from stage.batch.engines.parsl.engine import ParslEngine
from stage.batch.layout import SubmitDir
from stage.batch.workflow.model import JobSettings
from stage.execution.prep import prepare_run

WORKERS = 2
SITE = {"provider": "local", "coresPerNode": WORKERS, "maxQueued": 100_000}
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Have all that is left of pilots become children of this process: what they used is then known."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def measure(act: Callable[[], float]) -> tuple[float, float]:
    """Return the CPU seconds of all that was started, and the wall seconds that the call itself tells."""

    def used() -> float:
        both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(r.ru_utime + r.ru_stime for r in both)

    before = used()
    wall = act()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    return used() - before, wall


def through_engine(root: Path, n: int, isolation: str) -> float:
    """Run n quanta as n jobs; return the time from the first end to the last."""
    staging, graph, uri = make(root, n)
    prepare_run(staging, graph)
    staging.close()
    where = SubmitDir(root / "submit")
    (where.jobs / "noop").mkdir(parents=True)
    settings = JobSettings("noop")
    program = str(Path(sys.executable).with_name("stage"))

    def request(number: int) -> JobRequest:
        record = where.record(number)
        record.parent.mkdir(parents=True, exist_ok=True)
        words = (
            "exec",
            uri,
            "--quanta",
            str(number),
            "--record",
            str(record),
            "--datastore",
            str(root / "data"),
            "-q",
            "-j",
            "0",
        )
        log = where.job_log("noop", str(number), 0)
        return JobRequest(number, str(number), 0, (program, *words), log, settings)

    engine = ParslEngine(EngineSettings("here", {**SITE, "isolation": isolation}))
    engine.open(where, {})
    try:
        engine.start([request(i) for i in range(n)])
        return _listen(engine, n)
    finally:
        engine.close()


def _listen(engine: ParslEngine, n: int) -> float:
    done, first = 0, 0.0
    while done < n:
        for event in engine.poll(1.0):
            if event.state != JobState.RUNNING:
                assert event.state == JobState.SUCCEEDED, event
                done += 1
                first = first or time.perf_counter()
    return time.perf_counter() - first


def _nothing() -> None:
    return None


def through_parsl(root: Path, n: int) -> float:
    """Run n tasks that do nothing; return the time from the first end to the last."""
    import parsl
    from parsl.executors import HighThroughputExecutor
    from parsl.launchers import SimpleLauncher
    from parsl.providers import LocalProvider

    executor = HighThroughputExecutor(
        label="floor",
        provider=LocalProvider(launcher=SimpleLauncher()),
        address="127.0.0.1",
        encrypted=True,
        cores_per_worker=1,
        max_workers_per_node=WORKERS,
        heartbeat_period=1,
        heartbeat_threshold=5,
    )
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    config = parsl.Config(
        executors=[executor],
        run_dir=str(root),
        strategy="simple",
        strategy_period=0.5,
        initialize_logging=False,
    )
    with parsl.load(config):
        app = parsl.python_app(_nothing)
        app().result()
        start = time.perf_counter()
        for future in [app() for _ in range(n - 1)]:
            future.result()
        return time.perf_counter() - start


def slope(run: Callable[[Path, int], float], few: int, many: int) -> tuple[float, float]:
    """Return CPU and wall milliseconds of one job more."""
    found = []
    for n in (few, many):
        folder = Path(tempfile.mkdtemp(prefix="bench-engines-"))
        try:
            found.append(measure(lambda folder=folder, n=n: run(folder, n)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    (cpu_few, _), (cpu_many, wall_many) = found
    return 1e3 * (cpu_many - cpu_few) / (many - few), 1e3 * wall_many / many


def row(name: str, n: int, ours: float, floor: float, unit: str) -> dict[str, Any]:
    return {
        "id": name, "n": n, "ours": ours, "reference": None, "floor": floor, "unit": unit,
        "ratio_reference": None, "ratio_floor": ours / floor,
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--only", default="batch-parsl,batch-parsl-process")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    adopt_orphans()
    n, rows = options.n, []
    floor_cpu, floor_wall = slope(through_parsl, n, 20 * n)
    for name, isolation in (("batch-parsl", "fork"), ("batch-parsl-process", "process")):
        if name in options.only.split(","):
            cpu, wall = slope(lambda root, k, how=isolation: through_engine(root, k, how), 20, n)
            rows += [row(name, n, cpu, floor_cpu, "CPU ms"), row(f"{name}-wall", n, wall, floor_wall, "ms")]
    if options.json:
        options.json.write_text(json.dumps(rows))
    for found in rows:
        print(
            f"{found['id']:24} {found['ours']:8.2f} {found['floor']:8.2f} {found['unit']}  x{found['ratio_floor']:.1f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
