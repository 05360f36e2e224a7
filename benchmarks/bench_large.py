"""What questions, a clone and a push cost beside ten million datasets, against the same beside a thousand.

    python -m benchmarks.bench_large [--n 10000000] [--only find-1e7] [--json results.json]

The floor is ours in a registry that holds nothing else: 1 says that the size of a registry does not matter. To fill it
takes minutes and gigabytes, so this one is run only where it is named. Figures are CPU time of this process, the best
of three.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parts import DETECTORS, Figures, rows_of, run_program, survey, timed
from benchmarks.sync_world import campaign, clone_once, make_run, push_once, raws_of
from registry.model.columns import Columns
from registry.model.refs import new_ids
from sync.repo import Repo

FEW = 1000
PART = 500_000
ROUNDS = 3
WHERE = "instrument = 'CAM' AND exposure = 3 AND detector = 5"


@contextmanager
def filled(root: Path, n: int) -> Iterator[Repo]:
    """Make an upstream with few raws that are asked for, and with n others in other runs."""
    root.mkdir()
    with survey(root, max(n, FEW), raws=False) as repo:
        with repo.registry.write() as tx:
            tx.insert_datasets("raw", "CAM/raw", rows_of("raw", "CAM/raw", FEW)[0])
        for start in range(0, n, PART):
            size = min(PART, n - start)
            exposure, detector = np.divmod(np.arange(start, start + size), DETECTORS)
            rows: dict[str, Any] = {"instrument": ["CAM"] * size, "detector": detector, "exposure": exposure}
            with repo.registry.write() as tx:
                tx.register_run(f"CAM/old/{start}")
                tx.insert_datasets("raw", f"CAM/old/{start}", Columns(rows | {"id": new_ids(size)}))
        yield repo


def best(measure: Callable[[int], float]) -> float:
    return min(measure(i) for i in range(ROUNDS))


def find(repo: Repo, _: int) -> float:
    keys = [(i // DETECTORS, i % DETECTORS) for i in range(FEW)]
    with repo.registry.read() as snapshot:

        def ask() -> None:
            for e, d in keys:
                snapshot.find("raw", {"instrument": "CAM", "exposure": e, "detector": d}, ["CAM/raw"])

        return timed(ask)[0] / FEW * 1e6


def query(repo: Repo, _: int) -> float:
    with repo.registry.read() as snapshot:
        return timed(lambda: snapshot.datasets("raw", ["CAM/raw"], where=WHERE))[0] * 1e3


def clone_and_push(root: Path, repo: Repo, i: int) -> tuple[float, float]:
    folder = root / f"campaign-{i}"
    folder.mkdir()
    wanted = raws_of(repo)
    with campaign(folder, repo) as staging:
        cloned, _ = timed(lambda: clone_once(repo, staging, wanted))
        make_run(staging, FEW - FEW % 3, f"u/bench/run-{i}")
        pushed, _ = timed(lambda: push_once(repo, staging, "link", f"u/bench/run-{i}"))
    return cloned / FEW * 1e6, pushed / FEW * 1e6


def figures(root: Path, n: int) -> dict[str, tuple[float, str]]:
    """Measure all of it in one registry."""
    with filled(root, n) as repo:
        moved = [clone_and_push(root, repo, i) for i in range(ROUNDS)]
        return {
            "find-1e7": (best(lambda i: find(repo, i)), "us"),
            "query-1e7": (best(lambda i: query(repo, i)), "ms"),
            "clone-1e7": (min(m[0] for m in moved), "us/dataset"),
            "push-1e7": (min(m[1] for m in moved), "us/dataset"),
        }


def measure_large(root: Path, n: int) -> Figures:
    """The same beside n others and beside none; what is compiled once has been by then."""
    figures(root / "first", 0)
    alone, beside = figures(root / "few", 0), figures(root / "many", n)
    for name, (value, unit) in beside.items():
        yield name, value, alone[name][0], unit


MEASURES = {"find-1e7 query-1e7 clone-1e7 push-1e7": measure_large}


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    return run_program(
        MEASURES, str(__doc__), ["--n", "10000000", *(sys.argv[1:] if arguments is None else arguments)]
    )


if __name__ == "__main__":
    sys.exit(main())
