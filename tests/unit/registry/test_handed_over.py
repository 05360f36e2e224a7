"""Rows handed over to the database: many with each statement, counted, and read before any table of the registry."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import DataIdError
from registry.model.columns import Columns
from registry.model.refs import new_ids
from registry.registry import Registry
from registry.sql.rows_sqlite import insert_columns
from tests.databases import DATABASES, database_of, sent
from tests.registry_builders import add_camera, dataset_type, new_registry


@pytest.fixture
def bare() -> Iterator[sqlite3.Connection]:
    """A table of SQLite without a registry around it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    yield connection
    connection.close()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A camera with raws of its detectors, logs of some and a bias, in a file of SQLite."""
    with new_registry(tmp_path / "r.sqlite3") as made:
        with made.write() as tx:
            fill(tx)
        yield made


@pytest.fixture(params=DATABASES)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """The same in each kind of database."""
    with database_of(request, tmp_path) as database:
        made = database.registry()
        with made.write() as tx:
            fill(tx)
        yield made


def fill(tx: Any) -> None:
    add_camera(tx)
    for name in ("bias", "log", "raw"):
        tx.register_dataset_type(dataset_type(name, "instrument", "detector"))
    tx.register_run("a")
    for name, n in (("bias", 1), ("log", 2), ("raw", 4)):
        rows: dict[str, Any] = {"instrument": ["Cam"] * n, "detector": list(range(n)), "id": new_ids(n)}
        artifact = {"uri": [f"{name}{i}" for i in range(n)], "size": [1] * n, "checksum": [""] * n}
        tx.insert_datasets(name, "a", Columns(rows | artifact | {"formatter": ["json"] * n}))


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 100])
def test_every_row_arrives(bare: sqlite3.Connection, n: int) -> None:
    """Whether they fill the last statement or not, rows go in once, in order, and are counted."""
    columns = [np.arange(n), np.array([f"t{i}" for i in range(n)], dtype=object)]
    assert n == insert_columns(bare, "INSERT INTO t (a, b) VALUES (?, ?)", columns)
    found = bare.execute("SELECT a, b FROM t ORDER BY a").fetchall()
    assert found == [(i, f"t{i}") for i in range(n)]


def test_rows_that_are_there_are_not_counted(bare: sqlite3.Connection) -> None:
    """Where the statement says what a taken key does, it does so for each row."""
    columns = [np.arange(70), np.array(["x"] * 70, dtype=object)]
    insert_columns(bare, "INSERT INTO t (a, b) VALUES (?, ?)", [c[:40] for c in columns])
    text = "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (a) DO NOTHING"
    assert insert_columns(bare, text, columns) == 30


def test_a_row_of_many_columns(bare: sqlite3.Connection) -> None:
    """No statement has more values than older versions of SQLite take."""
    names = [f"c{i}" for i in range(300)]
    bare.execute(f"CREATE TABLE wide ({', '.join(names)})")
    text = f"INSERT INTO wide ({', '.join(names)}) VALUES ({', '.join('?' * 300)})"
    assert insert_columns(bare, text, [np.arange(5)] * 300) == 5


def plans(registry: Registry, ask: Any) -> list[str]:
    """Return how SQLite would go about each SELECT of a question from rows handed over, as it is told while the rows are there."""
    database, driver = registry._database, registry._database.driver
    found: list[str] = []
    execute, cursor = database.connection.execute, database.cursor

    def explain(text: str, values: Any) -> None:
        found.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {text}", values))

    def explained(statement: Any, parameters: Any = None, **options: Any) -> Any:
        compiled = statement.compile(dialect=database.dialect, compile_kwargs={"render_postcompile": True})
        explain(str(compiled), [compiled.params[name] for name in compiled.positiontup or ()])
        return execute(statement, parameters, **options)

    def explained_text(text: str, values: Any) -> Any:
        if "stash_" in text or "json_each" in text:
            explain(text, values)
        return cursor(text, values)

    database.connection.execute = explained  # type: ignore[method-assign]
    database.cursor = explained_text  # type: ignore[method-assign]
    try:
        with registry.read() as snapshot:
            ask(snapshot)
    finally:
        database.connection.execute = execute  # type: ignore[method-assign]
        database.cursor = cursor  # type: ignore[method-assign]
    return found


def test_few_rows_are_looked_up_and_no_table_is_read_through(registry: Registry) -> None:
    """Of a registry however large only what was asked for is read: datasets by id, and records by key."""
    with registry.read() as snapshot:
        ids = snapshot.datasets("raw", ["a"])["id"].tolist()[:2]
    keys = Columns({"instrument": ["Cam"] * 2, "detector": [0, 1]})
    pairs = Columns({"instrument": ["Cam"] * 2, "detector": [0, 1], "visit": [1, 2]})
    for ask in (
        lambda s: s.datasets_by_id(ids, artifacts=True),
        lambda s: s.existing_ids(ids),
        lambda s: s.records("detector", keys=keys),
        lambda s: s.records("visit_detector_region", keys=pairs),
        lambda s: s.datasets("raw", ["a"], table=keys),
    ):
        steps = plans(registry, ask)
        assert [s for s in steps if s.startswith("SEARCH")]
        handed_over = ("SCAN stash_", "SCAN json_each")
        assert not [s for s in steps if s.startswith("SCAN") and not s.startswith(handed_over)]


def test_keys_that_one_dimension_tells_apart_are_looked_up_one_by_one(registry: Registry) -> None:
    """A list that travels as one value is looked up in the key's index, and not compared with every record."""
    keys = Columns({"instrument": ["Cam"] * 2, "detector": [0, 1]})
    steps = plans(registry, lambda s: s.records("detector", keys=keys))
    assert [s for s in steps if s.startswith("SEARCH dim_detector") and "detector=?" in s]


def test_datasets_of_several_types_by_id(anywhere: Registry) -> None:
    """Ids of any types, in any order, some of them twice or of nothing: each type has its own, ordered."""
    with anywhere.read() as snapshot:
        by_type = {n: snapshot.datasets(n, ["a"], artifacts=True) for n in ("bias", "log", "raw")}
        ids = [i for rows in by_type.values() for i in rows["id"].tolist()]
        found = snapshot.datasets_by_id([*reversed(ids), *ids[:3], b"\0" * 16], artifacts=True)
        none = snapshot.datasets_by_id([b"\0" * 16])
    assert list(found) == ["bias", "log", "raw"]
    assert {n: sorted(rows.rows(found[n].names)) for n, rows in by_type.items()} == {
        n: rows.rows() for n, rows in found.items()
    }
    assert none == {}


def test_records_by_key_are_those_that_the_query_language_finds(anywhere: Registry) -> None:
    """Keys in any order, twice or unknown: records in order of their keys."""
    keys = Columns({"detector": [3, 1, 1, 99], "instrument": ["Cam"] * 4})
    with anywhere.read() as snapshot:
        found = snapshot.records("detector", keys=keys)
        asked = snapshot.records("detector", where="instrument = 'Cam' AND detector IN (1, 3)")
        none = snapshot.records("detector", keys=keys.take(np.array([], dtype=np.int64)))
        with pytest.raises(DataIdError):
            snapshot.records("detector", keys=Columns({"instrument": ["Cam"], "detector": ["one"]}))
    assert found.names == asked.names == none.names
    assert found.rows() == asked.rows()
    assert none.n_rows == 0


def test_a_statement_is_compiled_once_for_all_files(tmp_path: Path) -> None:
    """Registries of one universe share the texts of statements, and the connections nothing else."""
    with new_registry(tmp_path / "a.sqlite3") as one, new_registry(tmp_path / "b.sqlite3") as other:
        with one.write() as tx:
            add_camera(tx)
        with one.read() as here, other.read() as there:
            assert here._session.statements is there._session.statements
            assert one._database.dialect is other._database.dialect
            assert (here.records("instrument").n_rows, there.records("instrument").n_rows) == (1, 0)


def test_each_thread_opens_its_own_file(tmp_path: Path) -> None:
    """Files opened at the same moment in several threads are not taken for one another."""
    names = [f"r{i}" for i in range(8)]
    for name in names:
        with new_registry(tmp_path / f"{name}.sqlite3") as made, made.write() as tx:
            tx.register_run(name)
    start = threading.Barrier(len(names))
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        start.wait()
        with Registry.open(f"sqlite:///{tmp_path}/{name}.sqlite3") as registry, registry.read() as snapshot:
            found[name] = [c.name for c in snapshot.collections(["*"])]

    threads = [threading.Thread(target=look, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: [name] for name in names} == found


def test_no_more_statements_for_more_rows(registry: Registry) -> None:
    """What is sent for ten rows is what is sent for two: the rows of a statement are values."""
    counts = []
    for n in (2, 10):
        with registry.read() as snapshot, sent(registry) as statements:
            snapshot.datasets_by_id(new_ids(n))
        counts.append(len({s.partition("VALUES")[0] for s in statements}))
    assert counts[0] == counts[1]
