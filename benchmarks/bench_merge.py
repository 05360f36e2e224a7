"""What it costs to bring the records of batch jobs into staging.

    python -m benchmarks.bench_merge [--n 1000 10000 57305] [--only merge] [--json results.json]

Each job ran a hundred quanta of three datasets (data, log, metadata), which are there as files of 200 bytes. The floor is
bare `sqlite3.executemany` of the rows that the merge left, into plain tables with the same keys in one transaction, and a
bare `os.stat` of the files; ``merge-again`` finds everything there, and its floor is reading the record files' lines as
JSON. Figures are CPU time (user and system) a dataset.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path

from benchmarks.bench_run import make
from benchmarks.parts import CHECKSUM, DATA, Figures, run_program, timed
from benchmarks.sync_world import write_files
from registry.model.records import QuantumStatus
from stage.execution.merge import merge_records
from stage.execution.outcome import QuantumOutcome, StoredArtifact
from stage.execution.prep import prepare_run
from stage.execution.record_file import RecordFile
from stage.graph.graph import QuantumGraph
from sync.repo import Repo

__all__ = ["main"]

JOB_QUANTA = 100
TABLES = ("dataset", "tags_sample", "artifact", "quantum", "quantum_input", "quantum_output")


def bench_merge(root: Path, n: int) -> Figures:
    """Merge the records of n quanta, and merge them again."""
    staging, graph, _ = make(root, n)
    prepare_run(staging, graph)
    records, uris = write_jobs(root, staging, graph)
    n_datasets = 3 * n
    cpu, _ = timed(lambda: merge_records(staging, graph, records))
    again, _ = timed(lambda: merge_records(staging, graph, records))
    root_dir = staging.datastore.root
    staging.close()
    floor = floor_rows(root, uris, root_dir)
    lines, _ = timed(lambda: [json.loads(line) for p in records for line in p.read_bytes().splitlines()])
    yield "merge", 1e6 * cpu / n_datasets, 1e6 * floor / n_datasets, "us/dataset"
    yield "merge-again", 1e6 * again / n_datasets, 1e6 * lines / n_datasets, "us/dataset"


def write_jobs(root: Path, staging: Repo, graph: QuantumGraph) -> tuple[list[Path], list[str]]:
    """Write the files and records of jobs that ran all quanta."""
    records: list[Path] = []
    uris: list[str] = []
    for first in range(0, graph.n_quanta, JOB_QUANTA):
        outcomes = []
        for quantum in graph.quanta(range(first, min(first + JOB_QUANTA, graph.n_quanta))):
            made = [d for refs in quantum.outputs.values() for d in refs]
            stored = tuple(
                StoredArtifact(d.ordinal, str(d.uri), len(DATA), CHECKSUM, d.formatter) for d in made
            )
            uris += [str(d.uri) for d in made]
            read = tuple(d.ordinal for refs in quantum.inputs.values() for d in refs)
            outcomes.append(
                QuantumOutcome(
                    quantum.ordinal, QuantumStatus.SUCCEEDED, 0, 1, 2, 3, 4, "host", "", stored, read
                )
            )
        path = root / "records" / str(first // 100_000) / f"{first // JOB_QUANTA}.jsonl"
        RecordFile(graph.id, graph.output_run, f"job-{first}", tuple(outcomes)).save(path)
        records.append(path)
    write_files(staging.datastore.root, uris)
    return records, uris


def floor_rows(root: Path, uris: list[str], store: str) -> float:
    """Return the seconds of CPU that bare rows and calls take."""
    with sqlite3.connect(root / "staging.sqlite3") as source:
        names = [r[0] for r in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        texts = {
            n: source.execute("SELECT sql FROM sqlite_master WHERE name = ?", (n,)).fetchone()[0]
            for n in names
        }
        rows = {n: source.execute(f"SELECT * FROM {n}").fetchall() for n in names if n in TABLES}
    bare = sqlite3.connect(root / "bare.sqlite3", isolation_level=None)
    for name in rows:
        bare.execute(texts[name])
    bare.execute("CREATE INDEX tag_dataset ON tags_sample (dataset_id)")
    bare.execute("CREATE INDEX input_dataset ON quantum_input (dataset_id)")
    bare.execute("CREATE INDEX output_dataset ON quantum_output (dataset_id)")

    def act() -> None:
        bare.execute("BEGIN")
        for name, values in rows.items():
            bare.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(values[0]))})", values)
        bare.execute("COMMIT")
        for uri in uris:
            os.stat(f"{store}/{uri}")  # noqa: PTH116 - the bare call

    cpu, _ = timed(act)
    bare.close()
    source.close()
    return cpu


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for."""
    return run_program({"merge merge-again": bench_merge}, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
