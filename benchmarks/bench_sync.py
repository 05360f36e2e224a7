"""What it costs to fetch inputs, to push a run, and to push it again when there is nothing to do.

    python benchmarks/bench_sync.py [--n 1000 10000 100000] [--only push-link] [--json results.json]

A run has three datasets a quantum (data, log, metadata), each a file of 200 bytes. ``push`` adopts files that lie in
upstream's storage already. The floor of ``clone`` and the pushes is bare `sqlite3.executemany` of the same rows into plain
tables in one transaction, and for a push a bare `os.stat` of the same files, which ``push-link`` then links with `os.link`
and ``push-copy`` reads, hashes and writes. No push reads files that were not touched since their quanta were done, but
to copy them. ``push-rsync`` is the same push with another floor, the same rows and `rsync -a` of the same files, where rsync
is installed. The floor of
``push-again`` is reading the ids of the run on both sides with bare SQL and comparing them. Figures are CPU time (user
and system) a dataset, but for ``push-again``, which is given in milliseconds a push.
"""

# ruff: noqa: PTH103, PTH116, PTH120, PTH123

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from benchmarks.parts import DATA, DIMS, OUTPUTS, UNIVERSE, cpu, program, rows_of, survey, timed
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import QUANTUM, QUANTUM_INPUT, QUANTUM_OUTPUT
from registry.model.refs import new_id, new_ids
from registry.registry import Registry
from sync.clone import execute_fetch, plan_fetch
from sync.outputs import OUTPUTS_CLAIM, OUTPUTS_IN, Claim, claim
from sync.plan import CampaignInfo, Wanted
from sync.push import execute_push, plan_push
from sync.repo import Repo

RUN = "u/bench/run"
CAMPAIGN = CampaignInfo(bytes(16), "bench")
IDS = ("clone", "push", "push-link", "push-copy", "push-rsync", "push-again")


def campaign(root: Path, upstream: Repo, outputs: Path | None = None) -> Repo:
    """Make a staging repository, whose files lie in upstream's storage if that is said."""
    url = f"sqlite:///{root}/staging.sqlite3"
    facts = {}
    if outputs is not None:
        claim(str(outputs), Claim("bench", "bench", str(root)))
        facts = {OUTPUTS_IN: str(outputs), OUTPUTS_CLAIM: "bench"}
    Registry.create(url, upstream.registry.universe, wal=True, attributes=facts).close()
    return Repo.attach(url, outputs or root / "data", writable=True)


def make_run(staging: Repo, n: int, run: str = RUN) -> list[str]:
    """Make a run of n datasets with their files and the provenance of n/3 quanta; return the URIs."""
    n_quanta = n // 3
    quantum_ids, graph = new_ids(n_quanta), new_id()
    tables = {name: rows_of(name, run, n_quanta) for name in OUTPUTS}
    uris = [uri for _, names in tables.values() for uri in names]
    write_files(staging.datastore.root, uris)
    done = time.time_ns()
    with staging.registry.write() as tx:
        tx.register_run(run)
        raws = tx.datasets("raw", ["CAM/raw"])["id"].tolist()[:n_quanta]
        for name in OUTPUTS:
            tx.register_dataset_type(DatasetType(name, UNIVERSE.group(DIMS), "Bytes"))
            rows, _ = tables[name]
            tx.insert_datasets(name, run, rows)
            links = zip(quantum_ids, rows["id"].tolist(), [name] * n_quanta, strict=True)
            tx.insert_quantum_outputs(Columns.from_rows(QUANTUM_OUTPUT, links))
        data_id = '{"instrument":"CAM","detector":1,"exposure":1}'
        quanta = [(q, run, "t", data_id, "succeeded", 0, 1, done, 3, 4, "h", "", graph) for q in quantum_ids]
        tx.insert_quanta(Columns.from_rows(QUANTUM, quanta))
        links = zip(quantum_ids, raws, ["raw"] * n_quanta, [True] * n_quanta, strict=True)
        tx.insert_quantum_inputs(Columns.from_rows(QUANTUM_INPUT, links))
    return uris


def write_files(root: str, uris: list[str]) -> None:
    for folder in {os.path.dirname(f"{root}/{uri}") for uri in uris}:
        os.makedirs(folder, exist_ok=True)
    for uri in uris:
        with open(f"{root}/{uri}", "wb") as file:
            file.write(DATA)


def floor_rows(source: Path, target: Path, tables: dict[str, str]) -> Callable[[], object]:
    """Return a call that inserts the rows that the queries give into bare tables with primary keys as ours."""
    with sqlite3.connect(source) as database:
        rows = {name: database.execute(query).fetchall() for name, query in tables.items()}
        names = ["dataset", "tags_instrument_detector_exposure", "artifact", "baseline", *PROVENANCE]
        texts = [
            database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (n,)).fetchone()[0]
            for n in names
        ]
    database.close()
    bare = sqlite3.connect(target, isolation_level=None)
    for text in texts:
        bare.execute(text)
    bare.execute("CREATE INDEX tag_dataset ON tags_instrument_detector_exposure (dataset_id)")
    bare.execute("CREATE INDEX input_dataset ON quantum_input (dataset_id)")
    bare.execute("CREATE INDEX output_dataset ON quantum_output (dataset_id)")

    def act() -> None:
        bare.execute("BEGIN")
        for name, values in rows.items():
            if values:
                bare.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(values[0]))})", values)
        bare.execute("COMMIT")
        bare.close()

    return act


PROVENANCE = ("quantum", "quantum_input", "quantum_output")
TAGS = "tags_instrument_detector_exposure"


def of_run(run: str) -> dict[str, str]:
    where = f"(SELECT id FROM collection WHERE name = '{run}')"
    ids = f"(SELECT id FROM dataset WHERE run_id = {where})"
    return {
        "dataset": f"SELECT * FROM dataset WHERE run_id = {where}",
        TAGS: f"SELECT * FROM {TAGS} WHERE collection_id = {where}",
        "artifact": f"SELECT * FROM artifact WHERE id IN {ids}",
    }


def stat_all(source: str, _: Path, uris: list[str]) -> None:
    for uri in uris:
        os.stat(f"{source}/{uri}")


def link_all(source: str, target: Path, uris: list[str]) -> None:
    for folder in {os.path.dirname(f"{target}/{uri}") for uri in uris}:
        os.makedirs(folder, exist_ok=True)
    for uri in uris:
        os.stat(f"{source}/{uri}")
        os.link(f"{source}/{uri}", f"{target}/{uri}")


def copy_all(source: str, target: Path, uris: list[str]) -> None:
    for folder in {os.path.dirname(f"{target}/{uri}") for uri in uris}:
        os.makedirs(folder, exist_ok=True)
    for uri in uris:
        os.stat(f"{source}/{uri}")
        with open(f"{source}/{uri}", "rb") as file:
            data = file.read()
        blake3(data).hexdigest()
        with open(f"{target}/{uri}", "wb") as file:
            file.write(data)


def measure_clone(root: Path, n: int) -> tuple[float, float]:
    with survey(root, n) as upstream, campaign(root, upstream) as staging:
        with upstream.registry.read() as snap:
            ids = snap.datasets("raw", ["CAM/raw"])["id"].tolist()
        types = [DatasetType("raw", UNIVERSE.group(DIMS), "Bytes")]
        wanted = Wanted(ids, {}, types, ("CAM/raw",))
        ours, _ = timed(lambda: execute_fetch(plan_fetch(upstream, staging, wanted), staging))
    tables = of_run("CAM/raw") | {"baseline": "SELECT * FROM baseline"}
    floor, _ = timed(floor_rows(root / "staging.sqlite3", root / "bare.sqlite3", tables))
    return ours / n * 1e6, floor / n * 1e6


def push_once(upstream: Repo, staging: Repo, mode: str, run: str = RUN) -> None:
    plan = plan_push(staging, upstream, [run], campaign=CAMPAIGN, chain="u/bench/chain")
    execute_push(plan, staging, upstream, mode=mode)  # type: ignore[arg-type]


def measure_push(root: Path, n: int, mode: str) -> dict[str, tuple[float, float]]:
    n -= n % 3
    act = {"link": link_all, "copy": copy_all}.get(mode, stat_all)
    outputs = root / "up/data/.campaigns/bench" if mode == "auto" else None
    with survey(root, n // 3) as upstream, campaign(root, upstream, outputs) as staging:
        with upstream.registry.read() as snap:
            ids = snap.datasets("raw", ["CAM/raw"])["id"].tolist()
        execute_fetch(plan_fetch(upstream, staging, Wanted(ids, {}, [], ("CAM/raw",))), staging)
        uris = make_run(staging, n)
        os.sync()
        ours, _ = timed(lambda: push_once(upstream, staging, mode))
        again = min(timed(lambda: push_once(upstream, staging, mode))[0] for _ in range(3))
        source = staging.datastore.root
    tables = of_run(RUN) | {name: f"SELECT * FROM {name}" for name in PROVENANCE}
    rows, _ = timed(floor_rows(root / "staging.sqlite3", root / "bare.sqlite3", tables))
    files, _ = timed(lambda: act(source, root / "bare", uris))
    compare, _ = timed(lambda: compare_ids(root))
    beside = {}
    if mode == "copy" and shutil.which("rsync"):
        whole = cpu(program("rsync", "-a", f"{source}/", f"{root}/rsync/"))
        beside = {"push-rsync": (ours / n * 1e6, (rows + whole) / n * 1e6)}
    return beside | {
        "push" if mode == "auto" else f"push-{mode}": (ours / n * 1e6, (rows + files) / n * 1e6),
        "push-again": (again * 1e3, compare * 1e3),
    }


def compare_ids(root: Path) -> None:
    sides = []
    for path in (root / "staging.sqlite3", root / "up/registry.sqlite3"):
        with sqlite3.connect(path) as database:
            query = f"SELECT dataset_id FROM {TAGS} JOIN collection c ON c.id = collection_id AND c.name = ?"
            sides.append(set(database.execute(query, (RUN,)).fetchall()))
        database.close()
    if sides[0] != sides[1]:
        raise SystemExit("the push did not arrive")


def run_all(sizes: list[int], only: list[str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []

    def note(name: str, n: int, ours: float, floor: float) -> None:
        unit = "ms/push" if name == "push-again" else "us/dataset"
        rows.append({"id": name, "n": n, "ours": round(ours, 2), "reference": None, "floor": round(floor, 2),
                     "unit": unit, "ratio_reference": None, "ratio_floor": round(ours / floor, 2)})  # fmt: skip
        print(
            f"{name:12} {n:8,}  {ours:9.1f} {unit:11} floor {floor:9.1f}  ratio {ours / floor:6.2f}",
            flush=True,
        )

    for n in sizes:
        for name in only:
            if name == "push-again" or (name == "push-rsync" and "push-copy" in only):
                continue  # beside another
            if name == "push-rsync" and not shutil.which("rsync"):
                print("push-rsync: rsync is not installed", flush=True)
                continue
            root = Path(tempfile.mkdtemp(prefix="bench-sync-"))
            try:
                if name == "clone":
                    note(name, n, *measure_clone(root, n))
                    continue
                mode = {"push": "auto", "push-rsync": "copy"}.get(name, name.removeprefix("push-"))
                for key, values in measure_push(root, n, mode).items():
                    if key in only and not (key == "push-again" and name != "push-link"):
                        note(key, n, *values)
            finally:
                shutil.rmtree(root)
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--n", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--only", nargs="+", choices=IDS, default=list(IDS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    rows = run_all(options.n, options.only)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
