"""A small repository in which everything is right, and the many ways in which it can be made wrong behind its back."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import QUANTUM, QUANTUM_INPUT, QUANTUM_OUTPUT
from registry.model.refs import new_id, new_ids
from registry.registry import Registry
from sync.filesystem.local_files import aside_name
from sync.paths import artifact_stem
from sync.repo import Repo
from sync.repo_file import RepoFile, is_database_url
from tests.regions import UNIVERSE, patches, square, survey, visits

TYPES = {
    "bias": DatasetType("bias", UNIVERSE.group(["detector"]), "Bytes", True),
    "calexp": DatasetType("calexp", UNIVERSE.group(["visit", "detector"]), "Bytes"),
    "packages": DatasetType("packages", UNIVERSE.group([]), "Bytes"),
}


def put(repo: Repo, name: str, run: str, values: Sequence[tuple[object, ...]]) -> list[bytes]:
    """Write files and rows of datasets of one type."""
    dims = TYPES[name].dimensions.required
    ids, rows = new_ids(len(values)), []
    for number, value in zip(ids, values, strict=True):
        stem = artifact_stem(run, name, dims, value, number)
        rows.append((*value, number, *repo.datastore.put_bytes(f"{name} {value}".encode(), stem, "bytes")))
    with repo.registry.write() as tx:
        tx.register_dataset_type(TYPES[name])
        tx.register_run(run)
        columns = (*dims, "id", "uri", "size", "checksum", "formatter")
        tx.insert_datasets(name, run, Columns.from_rows(columns, rows))
    return ids


def make_world(root: Path, url: str | None = None) -> None:
    """Biases that are valid one after the other, two runs with provenance, chains, a tag, and a sky."""
    with Repo.create(root, UNIVERSE, registry_url=url) as repo:
        with repo.registry.write() as tx:
            for element, rows in survey().items():
                tx.insert_records(element, rows)
            tx.insert_records("tract", Columns({"skymap": ["S"], "tract": [0], "region": [square(2, 0, 3)]}))
            tx.insert_records("patch", patches([square(0.5, 0, 0.1), square(1.75, 0, 0.25)]))
            tx.insert_records("visit", visits([square(0, 0), square(1, 0)]))
        biases = put(repo, "bias", "cal/1", [("I", 0), ("I", 1)]) + put(repo, "bias", "cal/2", [("I", 0)])
        calexps = put(repo, "calexp", "u/1", list(product(["I"], [0, 1], [1, 2])))
        put(repo, "packages", "u/1", [()])
        put(repo, "calexp", "u/2", [("I", 0, 1)])
        quanta = new_ids(4)
        with repo.registry.write() as tx:
            tx.register_collection("calib", CollectionType.CALIBRATION)
            tx.certify("calib", biases[:2], 0, 100)
            tx.certify("calib", biases[2:], 100, 200)
            tx.register_collection("best", CollectionType.TAGGED)
            tx.associate("best", calexps[:1])
            tx.set_chain("all", ["u/2", "u/1"])
            tx.set_chain("top", ["all", "cal/1"])
            attempts = [
                (q, "u/1", "isr", json.dumps({"visit": i}), "succeeded", 0, 1, 2, 1, 10, "here", "", new_id())
                for i, q in enumerate(quanta)
            ]
            tx.insert_quanta(Columns.from_rows(QUANTUM, attempts))
            tx.insert_quantum_inputs(
                Columns.from_rows(QUANTUM_INPUT, [(q, biases[0], "bias", True) for q in quanta])
            )
            made = [(q, i, "image") for q, i in zip(quanta, calexps, strict=True)]
            tx.insert_quantum_outputs(Columns.from_rows(QUANTUM_OUTPUT, made))
            names = ("id", "campaign_id", "campaign", "who", "host", "at_ns", "runs", "summary")
            push = (new_id(), new_id(), "trial", "me", "here", 1, json.dumps(["u/1"]), "{}")
            tx.insert_rows("push_ledger", Columns.from_rows(names, [push]))


@dataclass
class World:
    """One copy of the world, to be made wrong."""

    root: Path

    @property
    def url(self) -> str:
        """The database."""
        found = RepoFile.load(str(self.root)).registry
        return found if is_database_url(found) else f"sqlite:///{self.root / found}"

    @property
    def files(self) -> list[Path]:
        """Artifacts, in order of their names."""
        return sorted(p for p in (self.root / "data").rglob("*") if p.is_file())

    def sql(self, *texts: str) -> None:
        """Change rows as no command would: the database checks no reference. ``{new}`` is an id of nothing."""
        is_file = self.url.startswith("sqlite")
        number = f"X'{new_id().hex()}'" if is_file else f"'{new_id().hex()}'::uuid"
        texts = tuple(t.replace("{new}", number).replace("{true}", "1" if is_file else "true") for t in texts)
        if is_file:
            with sqlite3.connect(self.url.removeprefix("sqlite:///")) as raw:
                for text in texts:
                    raw.execute(text)
            raw.close()
            return
        with Registry.open(self.url, writable=True) as registry:
            for text in ("SET session_replication_role = replica", *texts):
                registry._database.driver.execute(text)


def die_in_the_middle(root: Path) -> None:
    """Let a process be killed in a transaction of which pages have been written."""
    child = os.fork()
    if child == 0:
        with Repo.open(root, writable=True) as repo, repo.registry.write() as tx:
            tx._session.database.driver.execute("PRAGMA cache_size = 1")
            n = 3000
            keys = [b"%d" % i for i in range(n)]
            tx.insert_rows(
                "baseline", Columns.from_rows(("kind", "key", "digest"), [("k", k, b"d" * 16) for k in keys])
            )
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def _flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def _leave(world: World, name: str) -> None:
    path = world.root / "data" / "u" / "1" / name
    path.write_bytes(b"left over")


def _lead_out(world: World) -> None:
    outside = world.root.parent / "elsewhere"
    inside = world.root / "data" / "u" / "2"
    inside.rename(outside)
    inside.symlink_to(outside, target_is_directory=True)


def _rename(world: World, uri: str) -> None:
    world.sql(f"UPDATE artifact SET uri = {uri} WHERE uri LIKE 'u/2/%'")
    world.files[-1].unlink()


def _break_index(world: World) -> None:
    """Make the table and its index disagree, as a lost page write does."""
    with sqlite3.connect(world.root / "registry.sqlite3") as raw:
        raw.execute("PRAGMA writable_schema = ON")
        root = raw.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name LIKE 'ix_quantum_run_id%'"
        ).fetchone()[0]
        size = raw.execute("PRAGMA page_size").fetchone()[0]
    raw.close()
    with (world.root / "registry.sqlite3").open("r+b") as file:
        file.seek((root - 1) * size + size - 40)
        file.write(b"\xff" * 40)


PLANTED: dict[str, Callable[[World], object]] = {
    "artifact-missing": lambda w: w.files[0].unlink(),
    "artifact-size": lambda w: w.files[0].write_bytes(b"short"),
    "artifact-checksum": lambda w: _flip(w.files[0]),
    "orphan-file": lambda w: _leave(w, "calexp_of_nobody.bin"),
    "part-file": lambda w: _leave(w, aside_name()),
    "path-escape": lambda w: _rename(w, "'../../../' || uri"),
    "path-escape by a link": _lead_out,
    "outside-missing": lambda w: _rename(w, "'/nowhere/' || uri"),
    "artifact-unrecorded": lambda w: w.sql("DELETE FROM artifact WHERE uri LIKE 'u/2/%'"),
    "artifact-without-dataset": lambda w: w.sql(
        "INSERT INTO artifact (id, uri, size, checksum, formatter) "
        "VALUES ({new}, '/dev/null', 0, '', 'bytes')"
    ),
    "dataset-without-tag": lambda w: w.sql("DELETE FROM tags_none"),
    "tag-without-dataset": lambda w: w.sql(
        "INSERT INTO tags_none (collection_id, dataset_type_id, dataset_id) "
        "SELECT (SELECT id FROM collection WHERE name = 'best'), id, {new} FROM dataset_type WHERE name = 'packages'"
    ),
    "tag-without-collection": lambda w: w.sql(
        "INSERT INTO tags_none (collection_id, dataset_type_id, dataset_id) SELECT 999, dataset_type_id, dataset_id FROM tags_none"
    ),
    "tag-differs": lambda w: w.sql(
        "INSERT INTO tags_none (collection_id, dataset_type_id, dataset_id) "
        "SELECT (SELECT id FROM collection WHERE name = 'u/2'), dataset_type_id, dataset_id FROM tags_none"
    ),
    "dataset-without-run": lambda w: w.sql("INSERT INTO dataset (id, dataset_type_id, run_id) VALUES ({new}, 888, 999)"),
    "data-id-without-record": lambda w: w.sql("UPDATE calibs_instrument_detector SET detector = 77 WHERE valid_begin = 100"),
    "record-parent-missing": lambda w: w.sql("UPDATE dim_visit SET physical_filter = 'gone' WHERE visit = 2"),
    "overlap-differs": lambda w: w.sql("DELETE FROM overlap_visit WHERE visit = 2"),
    "overlap-differs in part": lambda w: w.sql("DELETE FROM overlap_visit_patch WHERE visit = 2"),
    "quantum-without-run": lambda w: w.sql(
        "INSERT INTO quantum (id, attempt, run_id, task, data_id, status) VALUES ({new}, 0, 999, 'isr', '{}', 'failed')"
    ),
    "provenance-without-quantum": lambda w: w.sql(
        "INSERT INTO quantum_output (quantum_id, dataset_id, connection) SELECT {new}, dataset_id, 'image' FROM tags_none"
    ),
    "output-missing": lambda w: w.sql(
        "INSERT INTO quantum_output (quantum_id, dataset_id, connection) SELECT id, {new}, 'more' FROM quantum WHERE data_id LIKE '%1%'"
    ),
    "input-gone": lambda w: w.sql(
        "INSERT INTO quantum_input (quantum_id, dataset_id, connection, was_read) SELECT id, {new}, 'more', {true} FROM quantum WHERE data_id LIKE '%1%'"
    ),
    "chain-child-missing": lambda w: w.sql(
        "UPDATE collection_chain SET child_id = 999 WHERE child_id = (SELECT id FROM collection WHERE name = 'u/2')"
    ),
    "chain-cycle": lambda w: w.sql(
        "UPDATE collection_chain SET child_id = (SELECT id FROM collection WHERE name = 'top') "
        "WHERE child_id = (SELECT id FROM collection WHERE name = 'u/2')"
    ),
    "validity-overlaps": lambda w: w.sql("UPDATE calibs_instrument_detector SET valid_end = 150 WHERE valid_begin = 0"),
    "table-missing": lambda w: w.sql("DROP TABLE calibs_instrument_detector"),
    "table-extra": lambda w: w.sql("CREATE TABLE tags_skymap AS SELECT * FROM tags_none"),
    "ledger-run-missing": lambda w: w.sql("UPDATE push_ledger SET runs = '[\"u/gone\"]'"),
    "journal-damaged": lambda w: w.sql("UPDATE push_ledger SET runs = 'no JSON'"),
    "schema-version": lambda w: w.sql("UPDATE repository SET value = '9999' WHERE key = 'schema_version'"),
    "universe-damaged": lambda w: w.sql("UPDATE repository SET value = '{}' WHERE key = 'universe'"),
    "repo-file-damaged": lambda w: (w.root / "repo.yaml").write_text("format: 1\nregistry: [\n"),
    "database-damaged": _break_index,
    "hot-journal": lambda w: die_in_the_middle(w.root),
}  # fmt: skip
"""What is done to the world, by the code that a check has to find; more than one way with words behind it."""
ON_POSTGRES = (
    "artifact-unrecorded", "artifact-without-dataset", "dataset-without-tag", "tag-differs", "overlap-differs", "validity-overlaps", "table-extra",
)  # fmt: skip
