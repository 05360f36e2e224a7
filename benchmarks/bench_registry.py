"""What it costs to fill a registry and to ask it, a row.

    python -m benchmarks.bench_registry [--n 1000 10000 100000] [--only find,register-bulk] [--json results.json]

The floor of an insert is bare `sqlite3.executemany` of the same rows into tables defined as ours, in one transaction;
that of ``ingest-direct`` adds an `os.stat` of each file, that of ``put`` is a file and its three rows in a transaction
of their own; that of a question is the same rows or the same row by bare SQL on a held connection, and that of ``get``
reading and parsing the file. Figures are CPU time of this process.
"""

# ruff: noqa: PTH104, PTH116, PTH123

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.parts import (
    DETECTORS,
    DIMS,
    PLAIN,
    TAGS,
    UNIVERSE,
    Figures,
    observations,
    prepare,
    rows_of,
    run_program,
    survey,
    timed,
)  # fmt: skip
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.regions import encode_polygon
from sync.administration.ingest import ingest
from sync.exports.jsonl import export_records, import_records
from sync.repo import Repo


def bare_copy(source: Path, target: Path, tables: list[str]) -> Callable[[], object]:
    """Return a call that inserts the rows of some of our tables into bare ones defined as they are."""
    with sqlite3.connect(source) as database:
        rows = {name: database.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
        marks = ", ".join("?" * len(tables))
        texts = database.execute(
            f"SELECT sql FROM sqlite_master WHERE tbl_name IN ({marks}) AND sql IS NOT NULL ORDER BY type DESC",
            tables,
        ).fetchall()
    database.close()
    bare = sqlite3.connect(target, isolation_level=None)
    for (text,) in texts:
        bare.execute(text)

    def act() -> None:
        bare.execute("BEGIN")
        for name, values in rows.items():
            bare.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(values[0]))})', values)
        bare.execute("COMMIT")
        bare.close()

    return act


def sky_regions(n: int) -> Columns:
    """Return n squares of 0.2 degrees, one a visit and detector."""
    visit, detector = np.divmod(np.arange(n), DETECTORS)
    lon, lat = (visit * 0.37) % 360.0, -60 + (visit * 0.11) % 60 + detector * 0.2 % 10
    regions = [
        encode_polygon([(x, y), (x + 0.2, y), (x + 0.2, y + 0.2), (x, y + 0.2)])
        for x, y in zip(lon.tolist(), lat.tolist(), strict=True)
    ]
    return Columns({"instrument": ["CAM"] * n, "visit": visit, "detector": detector, "region": regions})


def measure_register(root: Path, n: int) -> Figures:
    """Datasets registered in bulk: rows, no files."""
    with survey(root, n, raws=False) as repo:
        rows = rows_of("raw", "CAM/raw", n)[0].select([*DIMS, "id"])

        def act() -> None:
            with repo.registry.write() as tx:
                tx.insert_datasets("raw", "CAM/raw", rows)

        ours, _ = timed(act)
    floor, _ = timed(bare_copy(root / "up/registry.sqlite3", root / "bare.sqlite3", ["dataset", TAGS]))
    yield "register-bulk", ours / n * 1e6, floor / n * 1e6, "us/dataset"


def measure_dimensions(root: Path, n: int) -> Figures:
    """Records of exposures and visits, and of regions on the sky."""
    with survey(root, 1, raws=False) as repo:
        prepare(repo)
        plain = observations(n)

        def act() -> None:
            with repo.registry.write() as tx:
                for element, rows in plain.items():
                    tx.insert_records(element, rows)

        ours, _ = timed(act)
        tables = [f"dim_{name}" for name in PLAIN]
        floor, _ = timed(bare_copy(root / "up/registry.sqlite3", root / "bare.sqlite3", tables))
        yield "dimension-plain", ours / n / 5 * 1e6, floor / n / 5 * 1e6, "us/record"
        regions = sky_regions(n)

        def again() -> None:
            with repo.registry.write() as tx:
                tx.insert_records("visit_detector_region", regions)

        ours, _ = timed(again)
    tables = ["dim_visit_detector_region", "overlap_visit_detector_region"]
    floor, _ = timed(bare_copy(root / "up/registry.sqlite3", root / "bare2.sqlite3", tables))
    yield "dimension-region", ours / n * 1e6, floor / n * 1e6, "us/record"


def measure_import(root: Path, n: int) -> Figures:
    """Records read from JSON lines."""
    with survey(root, 1, raws=False) as repo:
        prepare(repo)
        with repo.registry.write() as tx:
            for element, rows in observations(n).items():
                tx.insert_records(element, rows)
        export_records(repo, str(root / "records"))
    with Repo.create(root / "other", UNIVERSE) as repo:
        ours, _ = timed(lambda: import_records(repo, str(root / "records")))
    copy = bare_copy(
        root / "other/registry.sqlite3", root / "bare.sqlite3", [f"dim_{name}" for name in PLAIN]
    )

    def floor() -> None:
        for path in (root / "records").iterdir():
            for line in path.read_text().splitlines():
                json.loads(line)
        copy()

    yield "import", ours / n / 5 * 1e6, timed(floor)[0] / n / 5 * 1e6, "us/record"


def measure_ingest(root: Path, n: int) -> Figures:
    """Files registered where they are."""
    with survey(root, n, raws=False) as repo:
        (root / "files").mkdir()
        paths = [str(root / "files" / f"{i:07}.json") for i in range(n)]
        for path in paths:
            with open(path, "w") as file:
                file.write('{"a": 1}')
        rows = rows_of("raw", "CAM/raw", n)[0].select(DIMS).with_column("path", paths)
        ours, _ = timed(lambda: ingest(repo, "raw", "CAM/raw", rows, mode="direct", checksum=False))
    copy = bare_copy(root / "up/registry.sqlite3", root / "bare.sqlite3", ["dataset", TAGS, "artifact"])

    def floor() -> None:
        for path in paths:
            os.stat(path)
        copy()

    yield "ingest-direct", ours / n * 1e6, timed(floor)[0] / n * 1e6, "us/file"


def measure_put(root: Path, n: int) -> Figures:
    """Single small objects, one by one; then found and read again."""
    with survey(root, n, raws=False) as repo:
        count = min(n, 500)
        with repo.registry.write() as tx:
            tx.register_dataset_type(DatasetType("small", UNIVERSE.group(DIMS), "Json"))
        ids = [
            {"instrument": "CAM", "exposure": i // DETECTORS, "detector": i % DETECTORS} for i in range(count)
        ]
        repo.put({"a": 1}, "small", ids[0], "u/first")
        ours, _ = timed(lambda: [repo.put({"a": 1}, "small", d, "u/put", durable=False) for d in ids])
        floor, _ = timed(_bare_puts(root, count))
        yield "put", ours / count * 1e3, floor / count * 1e3, "ms"
        found, _ = timed(lambda: [repo.get("small", d, ["u/put"]) for d in ids])
        with repo.registry.read() as snapshot:
            refs = [snapshot.find("small", d, ["u/put"]) for d in ids]
        by_ref, _ = timed(lambda: [repo.get(r) for r in refs if r is not None])
        read, _ = timed(
            lambda: [json.loads(Path(repo.locate(r)).read_bytes()) for r in refs if r is not None]
        )
        yield "get-id", found / count * 1e3, read / count * 1e3, "ms"
        yield "get-ref", by_ref / count * 1e3, read / count * 1e3, "ms"


def _bare_puts(root: Path, count: int) -> Callable[[], object]:
    bare = sqlite3.connect(root / "bare.sqlite3", isolation_level=None)
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE a (id BLOB PRIMARY KEY, t INT, r INT) WITHOUT ROWID")
    bare.execute(
        "CREATE TABLE b (c INT, d INT, i TEXT, e INT, x INT, id BLOB, PRIMARY KEY (c, d, i, e, x)) WITHOUT ROWID"
    )
    bare.execute(
        "CREATE TABLE f (id BLOB PRIMARY KEY, uri TEXT, size INT, checksum TEXT, formatter TEXT) WITHOUT ROWID"
    )

    def act() -> None:
        for i in range(count):
            path, key = root / f"bare-{i}.json", i.to_bytes(16)
            with open(f"{path}.part", "w") as file:
                file.write('{"a": 1}')
            os.rename(f"{path}.part", path)
            bare.execute("BEGIN IMMEDIATE")
            bare.execute("INSERT INTO a VALUES (?, 1, 1)", (key,))
            bare.execute("INSERT INTO b VALUES (1, 1, 'CAM', ?, 1, ?)", (i, key))
            bare.execute("INSERT INTO f VALUES (?, ?, 8, 'x', 'json')", (key, str(path)))
            bare.execute("COMMIT")
        bare.close()

    return act


def measure_questions(root: Path, n: int) -> Figures:
    """One dataset by its data ID; all of them as columns and as objects."""
    with survey(root, n) as repo, sqlite3.connect(root / "up/registry.sqlite3") as bare:
        count = min(n, 1000)
        keys = [(i // DETECTORS, i % DETECTORS) for i in range(0, n, max(1, n // count))][:count]
        with repo.registry.read() as snapshot:
            snapshot.find("raw", {"instrument": "CAM", "exposure": 0, "detector": 0}, ["CAM/raw"])

            def find() -> None:
                for e, d in keys:
                    snapshot.find("raw", {"instrument": "CAM", "exposure": e, "detector": d}, ["CAM/raw"])

            ours, _ = timed(find)
            text = (
                f"SELECT dataset_id FROM {TAGS} WHERE collection_id = 1 AND dataset_type_id = 1 "
                "AND instrument = 'CAM' AND exposure = ? AND detector = ?"
            )
            floor, _ = timed(lambda: [bare.execute(text, key).fetchone() for key in keys])
            yield "find", ours / count * 1e6, floor / count * 1e6, "us"
            snapshot.datasets("raw", ["CAM/raw"], where="instrument = 'CAM' AND exposure < 0")
            where = "instrument = 'CAM' AND exposure >= 0"
            ours, _ = timed(lambda: snapshot.datasets("raw", ["CAM/raw"], where=where))
            query = f"SELECT t.instrument, t.detector, t.exposure, dataset_id, collection_id FROM {TAGS} t WHERE collection_id = 1"
            floor, _ = timed(lambda: list(zip(*bare.execute(query).fetchall(), strict=True)))
            yield "query-columns", ours / n * 1e6, floor / n * 1e6, "us/row"
        question = repo.query().where(where)
        objects, _ = timed(lambda: sum(1 for _ in question.datasets("raw", collections=["CAM/raw"])))
        yield "query-objects", objects / n * 1e6, floor / n * 1e6, "us/row"
    bare.close()


MEASURES: dict[str, Callable[[Path, int], Figures]] = {
    "register-bulk": measure_register,
    "dimension-plain dimension-region": measure_dimensions,
    "import": measure_import,
    "ingest-direct": measure_ingest,
    "put get-id get-ref": measure_put,
    "find query-columns query-objects": measure_questions,
}


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    return run_program(MEASURES, str(__doc__), arguments)


if __name__ == "__main__":
    sys.exit(main())
