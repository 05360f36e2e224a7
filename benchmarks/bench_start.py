"""What a whole command costs, from the shell's call to its end.

    python -m benchmarks.bench_start [--n 1000 100000] [--only query-start] [--json results.json]

``startup-help`` is ``stage --help``; ``startup-status`` is ``stage status`` of a campaign of n datasets; and
``query-start`` is ``stage query datasets`` for one of n datasets in a repository. The floor is an interpreter (for the
latter two: one that imports what any such program needs). Figures are CPU time, with ``-wall`` wall time; medians of
several runs, with the byte code of the modules at hand.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.parts import Figures, run_program, survey

RUNS = 7
IMPORTS = "import sqlalchemy, numpy, typer"
WHERE = "instrument = 'CAM' AND exposure = 3 AND detector = 5"


class Commands:
    """Runs commands of this interpreter's Python, with byte code kept in a directory of their own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        # Where this project is found is part of it: elsewhere the working directory is another one.
        self._environment |= {
            "PYTHONPYCACHEPREFIX": str(root / "pycache"),
            "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        }

    def once(self, words: Sequence[str], cwd: Path | None = None) -> tuple[float, float]:
        """Return CPU and wall time of one run, in seconds."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, *words],
            check=True, cwd=cwd or self._root, env=self._environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall

    def beside(
        self, ours: Sequence[str], floor: Sequence[str], cwd: Path | None = None
    ) -> list[tuple[float, float]]:
        """Return CPU and wall time of two commands, ours and the floor, run by turns."""
        self.once(ours, cwd)
        self.once(floor, cwd)
        taken = [(*self.once(ours, cwd), *self.once(floor, cwd)) for _ in range(RUNS)]
        cpu, wall, floor_cpu, floor_wall = (
            statistics.median(column) * 1e3 for column in zip(*taken, strict=True)
        )
        return [(cpu, floor_cpu), (wall, floor_wall)]


def measure_help(root: Path, n: int) -> Figures:
    """Whatever the size."""
    del n
    cpu, wall = Commands(root).beside(["-m", "cli", "--help"], ["-c", ""])
    yield "startup-help", *cpu, "ms"
    yield "startup-help-wall", *wall, "ms"


def measure_status(root: Path, n: int) -> Figures:
    """A campaign that is defined, beside an upstream repository."""
    survey(root, n).close()
    commands = Commands(root)
    commands.once(["-m", "cli", "init", str(root / "up"), str(root / "campaign"), "-i", "CAM/raw"])
    cpu, wall = commands.beside(["-m", "cli", "status"], ["-c", IMPORTS], root / "campaign")
    yield "startup-status", *cpu, "ms"
    yield "startup-status-wall", *wall, "ms"


def measure_query(root: Path, n: int) -> Figures:
    """One of all datasets."""
    survey(root, n).close()
    words = ["-m", "cli", "query", "datasets", "raw", "--repo", str(root / "up"), "-i", "CAM/raw"]
    cpu, wall = Commands(root).beside([*words, "--where", WHERE], ["-c", IMPORTS])
    yield "query-start", *cpu, "ms"
    yield "query-start-wall", *wall, "ms"


MEASURES = {
    "startup-help startup-help-wall": measure_help,
    "startup-status startup-status-wall": measure_status,
    "query-start query-start-wall": measure_query,
}


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    return run_program(MEASURES, str(__doc__), arguments)


if __name__ == "__main__":
    sys.exit(main())
