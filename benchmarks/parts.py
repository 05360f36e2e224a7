"""What the benchmarks have in common: a survey of plain rows, a stopwatch, and a program around measurements."""

from __future__ import annotations

import argparse
import gc
import json
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.digest import digest_bytes
from registry.model.dimensions import default_universe
from registry.model.refs import new_ids
from sync.repo import Repo

UNIVERSE = default_universe()
DIMS = ("instrument", "detector", "exposure")
TAGS = "tags_instrument_detector_exposure"
PLAIN = ("group", "exposure", "visit", "visit_definition", "visit_system_membership")
OUTPUTS = ("out", "out_log", "out_metadata")
DETECTORS = 100
DATA = b"x" * 200
CHECKSUM = digest_bytes(DATA)

Figures = Iterator[tuple[str, float, float, str]]
"""Of each measurement its id, our figure, the floor's, and the unit."""


def survey(root: Path, n: int, *, raws: bool = True, registry_url: str | None = None) -> Repo:
    """Make an upstream with the records of n raws, and perhaps these themselves, rows only."""
    repo = Repo.create(root / "up", UNIVERSE, registry_url=registry_url)
    exposures = range(max(1, -(-n // DETECTORS)))
    with repo.registry.write() as tx:
        tx.insert_records("instrument", Columns({"instrument": ["CAM"]}))
        tx.insert_records(
            "physical_filter",
            Columns.from_rows(("instrument", "physical_filter", "band"), [("CAM", "r", "r")]),
        )
        tx.insert_records("day_obs", Columns.from_rows(("instrument", "day_obs"), [("CAM", 1)]))
        tx.insert_records("group", Columns.from_rows(("instrument", "group"), [("CAM", "g")]))
        tx.insert_records(
            "detector", Columns.from_rows(("instrument", "detector"), [("CAM", d) for d in range(DETECTORS)])
        )
        rows = [("CAM", e, 1, "g", "r", f"o{e}") for e in exposures]
        names = ("instrument", "exposure", "day_obs", "group", "physical_filter", "obs_id")
        tx.insert_records("exposure", Columns.from_rows(names, rows))
        for name in ("raw", *OUTPUTS):
            tx.register_dataset_type(DatasetType(name, UNIVERSE.group(DIMS), "Bytes"))
        tx.register_run("CAM/raw")
        if raws:
            tx.insert_datasets("raw", "CAM/raw", rows_of("raw", "CAM/raw", n)[0])
    return repo


def rows_of(name: str, run: str, n: int) -> tuple[Columns, list[str]]:
    ids = new_ids(n)
    exposure, detector = np.divmod(np.arange(n), DETECTORS)
    uris = [
        f"{run}/{name}/CAM/{e}/{name}_{d}_{i.hex()}.bin"
        for e, d, i in zip(exposure, detector, ids, strict=True)
    ]
    columns = {"instrument": ["CAM"] * n, "detector": detector, "exposure": exposure, "id": ids, "uri": uris}
    columns |= {"size": [len(DATA)] * n, "checksum": [CHECKSUM] * n, "formatter": ["bytes"] * n}
    return Columns(columns), uris


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Return CPU and wall time of a call, in seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    return time.process_time() - cpu, time.perf_counter() - wall


def cpu(act: Callable[[], object]) -> float:
    """Return the CPU time of a call and of the programs that it starts, in seconds."""

    def used() -> float:
        both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(r.ru_utime + r.ru_stime for r in both)

    before = used()
    act()
    return used() - before


def program(*words: str | Path) -> Callable[[], object]:
    """Return a call that runs a program."""
    return lambda: subprocess.run([str(word) for word in words], check=True)


def observations(n: int) -> dict[str, Columns]:
    """Return the records of n exposures and their visits."""
    ids, text = np.arange(n), [f"{i:07}" for i in range(n)]
    begin = np.arange(n, dtype=np.int64) * 30_000_000_000
    common = {
        "instrument": ["CAM"] * n, "physical_filter": ["r"] * n, "day_obs": [1] * n, "exposure_time": [15.0] * n,
        "science_program": ["bench"] * n, "target_name": ["t"] * n, "observation_reason": ["science"] * n,
        "seq_num": ids, "timespan_begin": begin, "timespan_end": begin + 15_000_000_000,
    }  # fmt: skip
    groups = [f"g{t}" for t in text]
    exposure = {
        "exposure": ids + 10**6,
        "obs_id": [f"o{t}" for t in text],
        "group": groups,
        "dark_time": [15.0] * n,
    }
    pair = {"instrument": ["CAM"] * n, "visit": ids}
    return {
        "group": Columns({"instrument": ["CAM"] * n, "group": groups}),
        "exposure": Columns(common | exposure | {"observation_type": ["science"] * n}),
        "visit": Columns(common | {"visit": ids, "name": [f"v{t}" for t in text]}),
        "visit_definition": Columns(pair | {"exposure": ids + 10**6}),
        "visit_system_membership": Columns(pair | {"visit_system": [0] * n}),
    }


def prepare(repo: Repo) -> None:
    with repo.registry.write() as tx:
        tx.insert_records(
            "visit_system", Columns.from_rows(("instrument", "visit_system", "name"), [("CAM", 0, "x")])
        )


Measures = Mapping[str, Callable[[Path, int], Figures]]
"""What measures which ids (separated by spaces), in an empty directory and at a size."""


def run_all(measures: Measures, sizes: list[int], only: list[str]) -> list[dict[str, object]]:
    """Measure what is asked for at each size."""
    rows: list[dict[str, object]] = []
    for n in sizes:
        for names, measure in measures.items():
            if not set(names.split()) & set(only):
                continue
            root = Path(tempfile.mkdtemp(prefix="bench-"))
            gc.collect()
            try:
                for name, ours, floor, unit in measure(root, n):
                    if name not in only:
                        continue
                    rows.append({
                        "id": name, "n": n, "ours": round(ours, 4), "reference": None, "floor": round(floor, 4),
                        "unit": unit, "ratio_reference": None, "ratio_floor": round(ours / floor, 2),
                    })  # fmt: skip
                    print(
                        f"{name:26} {n:9,} {ours:9.3f} {unit:15} floor {floor:9.3f}  ratio {ours / floor:6.2f}",
                        flush=True,
                    )
            finally:
                shutil.rmtree(root)
    return rows


def run_program(measures: Measures, doc: str, arguments: list[str] | None = None) -> int:
    """Run measurements from the command line."""
    ids = [name for names in measures for name in names.split()]
    parser = argparse.ArgumentParser(description=doc.split("\n", 1)[0])
    parser.add_argument("--n", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--only", default=",".join(ids))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    rows = run_all(measures, options.n, options.only.split(","))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0
