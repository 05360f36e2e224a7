"""A repository of two runs of many quanta, written straight into its registry, to be asked afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.records import QUANTUM
from registry.model.refs import new_ids
from registry.registry import Change
from sync.repo import Repo

__all__ = ["START", "UNIVERSE", "fill_run", "make_world"]

START = 1_793_318_437_000_000_000
UNIVERSE = DimensionUniverse.from_yaml(
    "name: test/cells\nversion: 1\nelements:\n  cell: {key: {name: id, type: int}}\n"
)


def make_world(root: Path | str, n: int, *, changed: int = 3, failed: int = 2) -> str:
    """Make a repository of ``raw`` and two runs of `n` cells; return its root.

    Each run has ``n`` quanta of ``make`` (raw to made) and one of ``gather`` (made to all). In run ``two``, `changed`
    outputs have another checksum, and the `failed` last quanta of ``make`` failed.
    """
    repo = Repo.create(str(root), UNIVERSE)
    with repo.registry.write() as tx:
        tx.insert_records("cell", Columns({"cell": np.arange(n)}))
        tx.register_run("raw")
        cells = UNIVERSE.group(["cell"])
        for name, storage_class in (
            ("raw", "Json"), ("made", "Json"), ("make_log", "Text"), ("make_metadata", "Json"),
        ):  # fmt: skip
            tx.register_dataset_type(DatasetType(name, cells, storage_class))
        for name, storage_class in (("all", "Json"), ("gather_log", "Text"), ("gather_metadata", "Json")):
            tx.register_dataset_type(DatasetType(name, UNIVERSE.group([]), storage_class))
        raw = new_ids(n)
        tx.insert_datasets("raw", "raw", _with_cells(raw, ["x"] * n, "raw"))
        fill_run(tx, "one", raw)
        fill_run(tx, "two", raw, changed=changed, failed=failed)
    repo.close()
    return str(root)


def _with_cells(ids: list[bytes], checksums: list[str], kind: str) -> Columns:
    n = len(ids)
    return Columns(
        {
            "cell": np.arange(n), "id": ids, "uri": [f"{kind}/{i.hex()}.json" for i in ids], "size": [10] * n,
            "checksum": checksums, "formatter": ["json"] * n,
        }
    )  # fmt: skip


def fill_run(tx: Change, run: str, raw: list[bytes], *, changed: int = 0, failed: int = 0) -> None:
    """Record one run over some raw datasets."""
    n = len(raw)
    good = n - failed
    tx.register_run(run)
    made, logs, metadata = new_ids(n), new_ids(n), new_ids(n)
    sums = [f"blake3:{i}{run if i < changed else ''}" for i in range(n)]
    tx.insert_datasets("made", run, _with_cells(made, sums, f"{run}/made").take(np.arange(good)))
    for kind, ids in (("make_log", logs), ("make_metadata", metadata)):
        tx.insert_datasets(kind, run, _with_cells(ids, [run] * n, f"{run}/{kind}"))
    quanta, (last,), (whole,) = new_ids(n), new_ids(1), new_ids(1)
    tx.insert_datasets(
        "all", run,
        Columns({"id": [whole], "uri": [f"{run}/all"], "size": [1], "checksum": [run], "formatter": ["json"]}),
    )  # fmt: skip
    tx.insert_quanta(_quanta(run, "make", quanta, good))
    tx.insert_quanta(_quanta(run, "gather", [last], 1))
    read = [*zip(quanta, raw, ["raw"] * n, strict=True), *((last, d, "made") for d in made[:good])]
    tx.insert_quantum_inputs(
        Columns.from_rows(
            ("quantum_id", "dataset_id", "connection", "was_read"), [(*row, True) for row in read]
        )
    )
    outputs = [
        *zip(quanta[:good], made[:good], ["made"] * good, strict=True),
        *zip(quanta, logs, ["_log"] * n, strict=True),
        *zip(quanta, metadata, ["_metadata"] * n, strict=True),
        (last, whole, "all"),
    ]
    tx.insert_quantum_outputs(Columns.from_rows(("quantum_id", "dataset_id", "connection"), outputs))


def _quanta(run: str, task: str, ids: list[bytes], good: int) -> Columns:
    n = len(ids)
    is_good = np.arange(n) < good
    begun = START + np.arange(n) * 10**7
    return Columns(
        {
            "id": ids, "run": [run] * n, "task": [task] * n,
            "data_id": [json.dumps({"cell": i} if task == "make" else {}, separators=(",", ":")) for i in range(n)],
            "status": np.where(is_good, "succeeded", "failed").astype(object), "attempt": np.zeros(n, dtype=np.int64),
            "started_ns": begun, "finished_ns": begun + 10**9 + np.arange(n), "cpu_ns": np.full(n, 5 * 10**8),
            "peak_bytes": 10**8 + np.arange(n) * 1000, "host": ["node-1"] * n,
            "message": np.where(is_good, "", "ValueError: bad\nsecond line").astype(object), "graph_id": [None] * n,
        }
    ).select(QUANTUM)  # fmt: skip
