"""The reference stack's own costs, taken on this machine in an environment of its own.

The program that takes them is not part of this project: it is read from ``$STAGE_SHARED/reference``. Where that is
absent, or with ``--no-reference``, the column stays empty.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
ENVIRONMENT = ROOT / ".venv-reference"
PACKAGES = ("lsst-daf-butler", "lsst-pipe-base", "lsst-ctrl-mpexec")

# Our id: what the program calls it, which of its figures counts, and how it becomes our unit.
SECTIONS: dict[str, tuple[str, str, float]] = {
    "register-bulk": ("c.i registry.insertDatasets bulk", "per_item_us_cpu", 1.0),
    "dimension-plain": (
        "b. dimension records: group+exposure+visit+visit_definition+membership",
        "per_item_us_cpu",
        1.0,
    ),
    "dimension-region": ("b. visit_detector_region (with region and htm overlaps)", "per_item_us_cpu", 1.0),
    "ingest-direct": ("c.iii butler.ingest direct bulk (incl. building refs)", "per_item_us_cpu", 1.0),
    "put": ("c.ii butler.put tiny dict, one by one", "per_item_us_cpu", 1e-3),
    "find": ("d. find_dataset by data ID (one by one)", "per_item_us_cpu", 1.0),
    "get-id": ("d. get by data ID (find + read yaml)", "per_item_us_cpu", 1e-3),
    "get-ref": ("d. get by resolved ref (read yaml)", "per_item_us_cpu", 1e-3),
    "query-columns": ("d. query_datasets all (second call)", "per_item_us_cpu", 1.0),
    "query-objects": ("d. query_datasets all (second call)", "per_item_us_cpu", 1.0),
    "graph-build": ("e. QG build (with datastore records)", "per_item_us_cpu", 1.0),
    "graph-save": ("e. QG save (.qg)", "per_item_us_cpu", 1.0),
    "graph-load": ("e. QG load, all quanta (read_execution_quanta)", "per_item_us_cpu", 1.0),
    "graph-load-one": ("e. QG load, one quantum (as a batch job does)", "per_item_us_cpu", 1e-3),
    "memory-build": ("e. QG build (with datastore records)", "rss_mb", 1.0),
    "run-inprocess": ("f. exec in-process, full Butler (-j 1)", "per_item_us_cpu", 1e-3),
    "run-inprocess-wall": ("f. exec in-process, full Butler (-j 1)", "per_item_us_wall", 1e-3),
    "run-pool": ("f. CLI pipetask run -j 2 (process per quantum)", "per_item_us_wall", 1e-3),
    "run-pool-cpu": ("f. CLI pipetask run -j 2 (process per quantum)", "per_item_us_cpu", 1e-3),
    **dict.fromkeys(
        ("push", "push-first", "push-link", "push-copy"), ("g. transfer-from-graph", "per_item_us_cpu", 1.0)
    ),
    "push-again": ("g. transfer-from-graph again (nothing to do)", "per_item_us_cpu", 1e-3),
    "memory-push": ("g. transfer-from-graph", "rss_mb", 1.0),
    **dict.fromkeys(
        ("clone", "clone-first"),
        ("g. Butler.transfer_from repo->repo raws (hardlink, with dimensions)", "per_item_us_cpu", 1.0),
    ),
}

_LIMITS = ("--direct-limit", "200", "--exec-max", "1000")
"""Of 10,000 quanta it executes 200, and writes the outputs of the others by hand: all of them would take it hours."""


def program() -> Path | None:
    """Return the measuring program, or None where it is not at hand."""
    shared = Path(os.environ.get("STAGE_SHARED", ROOT.parent / "shared"))
    found = shared / "reference" / "lsst_bench.py"
    return found if found.exists() else None


def measure(quanta: int, results: Path, *, anew: bool = False) -> list[dict[str, Any]]:
    """Run the program once at this size; what it found is kept in ``results`` and used again, if not ``anew``."""
    kept = results / f"reference-{quanta}.jsonl"
    source = program()
    if anew or not kept.exists():
        if source is None:
            print("reference: not measured, there is no $STAGE_SHARED/reference/lsst_bench.py")
            return []
        print(f"reference: measuring at {quanta:,} quanta, this takes minutes", flush=True)
        done = subprocess.run(
            [
                python(),
                str(source),
                "--quanta",
                str(quanta),
                "--repeat",
                "1",
                "--work-dir",
                tempfile.mkdtemp(),
                *_LIMITS,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"reference: its program ended with {done.returncode}: {done.stderr[-400:]}")
        kept.write_text("".join(line + "\n" for line in done.stdout.splitlines() if line.startswith("{")))
    return read(kept)


def read(kept: Path) -> list[dict[str, Any]]:
    """Return what was kept."""
    return [json.loads(line) for line in kept.read_text().splitlines()]


def fill(rows: list[dict[str, Any]], sections: list[dict[str, Any]], quanta: int) -> None:
    """Put the reference's figure, the median of its rounds, beside ours where both were taken at one size.

    A size is a number of quanta, with as many raws; graphs differ by their gathers.
    """
    for row in rows:
        name, figure, factor = SECTIONS.get(row["id"], ("", "", 0.0))
        found = [s[figure] for s in sections if s["name"] == name and s["n"] > 0]
        is_size = 0.9 * quanta <= row["n"] <= 1.1 * quanta
        # What a quantum costs it does not depend on how many there are.
        if found and (is_size or (row["id"].startswith("run-") and row.get("reference") is None)):
            row["reference"] = round(statistics.median(found) * factor, 4)
            row["ratio_reference"] = round(row["reference"] / row["ours"], 1) if row["ours"] else None


@functools.cache
def python() -> str:
    """Return the interpreter of the reference's environment, which is made on first use."""
    interpreter = ENVIRONMENT / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    if subprocess.run(
        [interpreter, "-c", "import lsst.ctrl.mpexec"], check=False, capture_output=True
    ).returncode:
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return str(interpreter)
