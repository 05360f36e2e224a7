"""What a clone and a push could cost at the least: bare rows, bare system calls, bare programs."""

# ruff: noqa: PTH103, PTH116, PTH120, PTH123

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from benchmarks.parts import TAGS, cpu, program, timed
from benchmarks.sync_world import PROVENANCE, RUN, of_run


def rows(root: Path, tables: dict[str, str]) -> float:
    """Return the seconds of CPU that inserting what the queries give into bare tables takes."""
    act = floor_rows(root / "staging.sqlite3", root / "bare.sqlite3", tables)
    return timed(act)[0]


def rows_of_clone(root: Path) -> float:
    """Return those of the rows that a clone left."""
    return rows(root, of_run("CAM/raw") | {"baseline": "SELECT * FROM baseline"})


def rows_of_push(root: Path) -> float:
    """Return those of the rows of a run."""
    return rows(root, of_run(RUN) | {name: f"SELECT * FROM {name}" for name in PROVENANCE})


def floor_rows(source: Path, target: Path, tables: dict[str, str]) -> Callable[[], object]:
    """Return a call that inserts the rows that the queries give into bare tables with primary keys as ours."""
    with sqlite3.connect(source) as database:
        found = {name: database.execute(query).fetchall() for name, query in tables.items()}
        names = ["dataset", TAGS, "artifact", "baseline", *PROVENANCE]
        texts = [
            database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (n,)).fetchone()[0]
            for n in names
        ]
    database.close()
    bare = sqlite3.connect(target, isolation_level=None)
    for text in texts:
        bare.execute(text)
    bare.execute(f"CREATE INDEX tag_dataset ON {TAGS} (dataset_id)")
    bare.execute("CREATE INDEX input_dataset ON quantum_input (dataset_id)")
    bare.execute("CREATE INDEX output_dataset ON quantum_output (dataset_id)")

    def act() -> None:
        bare.execute("BEGIN")
        for name, values in found.items():
            if values:
                bare.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(values[0]))})", values)
        bare.execute("COMMIT")
        bare.close()

    return act


def compare_ids(root: Path) -> None:
    """Read the ids of the run on both sides, and compare them."""
    sides = []
    for path in (root / "staging.sqlite3", root / "up/registry.sqlite3"):
        with sqlite3.connect(path) as database:
            query = f"SELECT dataset_id FROM {TAGS} JOIN collection c ON c.id = collection_id AND c.name = ?"
            sides.append(set(database.execute(query, (RUN,)).fetchall()))
        database.close()
    if not sides[0] or sides[0] != sides[1]:
        raise SystemExit("the push did not arrive")


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


FILES = {"auto": stat_all, "link": link_all, "copy": copy_all}
"""What has to be done to the files, by mode."""


def rsync(source: str, target: Path) -> float | None:
    """Return the seconds of CPU of ``rsync -a``, where that is installed."""
    return cpu(program("rsync", "-a", f"{source}/", f"{target}/")) if shutil.which("rsync") else None
