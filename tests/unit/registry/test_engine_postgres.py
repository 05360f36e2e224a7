"""PostgreSQL: connections, locks, transactions, what it refuses, and in how few round trips."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.errors import (
    AlreadyExistsError,
    BusyError,
    IntegrityError,
    InternalError,
    NotFoundError,
    SchemaVersionError,
    StageError,
    StorageError,
    UsageError,
)
from registry.model.columns import Columns
from registry.model.refs import new_ids
from registry.registry import Registry
from registry.sql.engine import parse_url
from registry.sql.failures import ConstraintViolation, translate
from tests.databases import Database, ask, round_trips, sent
from tests.registry_builders import UNIVERSE, add_camera, dataset_type, detector_rows

pytestmark = pytest.mark.service
psycopg = pytest.importorskip("psycopg")
ROOT = Path(__file__).resolve().parents[3]


def other(registry: Registry, *, writable: bool = True) -> Registry:
    """A second connection to the same registry."""
    return Registry.open(registry.url, writable=writable)


def end_connection(victim: Registry, killer: Registry) -> None:
    """Let the server end a connection, as a restart or a firewall does."""
    pid = victim._database.driver.info.backend_pid
    ask(killer, "SELECT pg_terminate_backend(:pid)", pid=pid)
    deadline = time.monotonic() + 10
    while ask(killer, "SELECT 1 FROM pg_stat_activity WHERE pid = :pid", pid=pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Where it is


def test_its_url_opens_it_again(postgres: Database) -> None:
    """What a registry calls itself names socket and schema, opens the same registry, and is what errors say."""
    made = postgres.registry()
    assert "schema=main_" in made.url
    assert str(made) == made.url
    with other(made) as again:
        assert made.repo_id == again.repo_id
        assert again.dialect == "postgresql"


def test_schemas_are_registries_of_their_own(postgres: Database) -> None:
    """Two schemas of one database share nothing, not even the writers' lock."""
    one, two = postgres.registry(), postgres.registry()
    assert one.repo_id != two.repo_id
    with one.write() as a, two.write(timeout_s=0.05) as b:
        a.register_run("a")
        b.register_run("b")
    with one.read() as snap:
        assert [c.name for c in snap.collections()] == ["a"]


def test_what_holds_no_registry_is_refused_by_name(postgres: Database) -> None:
    """A missing database, a missing schema and one with other tables are told apart, and each is named."""
    url = postgres.url()
    with pytest.raises(NotFoundError, match="no registry at") as caught:
        Registry.open(url)
    assert caught.value.code == "no-such-registry"
    gone = parse_url(url).set(database="nowhere").render_as_string()
    with pytest.raises(NotFoundError, match=r"no database at .*/nowhere"):
        Registry.open(gone)

    made = postgres.registry()
    ask(made, "DELETE FROM repository")
    with pytest.raises(NotFoundError, match="no registry at"):
        Registry.open(made.url)


def test_other_versions_and_damaged_universes_are_refused(postgres: Database) -> None:
    """As with SQLite, a newer version is refused by name, and so is a universe that cannot be read."""
    made = postgres.registry()
    ask(made, "UPDATE repository SET value = '9999' WHERE key = 'schema_version'")
    with pytest.raises(SchemaVersionError, match="9999"):
        Registry.open(made.url)

    made = postgres.registry()
    ask(made, "UPDATE repository SET value = '{' WHERE key = 'universe'")
    with pytest.raises(IntegrityError, match="universe"):
        Registry.open(made.url)


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        (lambda url: url.set(host="localhost", port=1, query={}), StorageError, "cannot-connect"),
        (lambda url: url.set(username="nobody-known"), StorageError, "cannot-open"),
        (lambda url: url.update_query_dict({"schema": "pg_catalog"}), UsageError, "bad-url"),
        (lambda url: url.update_query_dict({"schema": 'a"; DROP SCHEMA public'}), UsageError, "bad-url"),
        (lambda url: url.update_query_dict({"no_such_parameter": "1"}), UsageError, "bad-url"),
    ],
)
def test_what_keeps_one_out_is_said_without_the_password(
    postgres: Database, change: Callable[[Any], Any], error: type[StageError], code: str
) -> None:
    """Servers that cannot be reached, unknown users and wrong parameters have errors of their own."""
    url = change(parse_url(postgres.url())).set(password="sesame")
    with pytest.raises(error) as caught:
        Registry.open(url.render_as_string(hide_password=False))
    assert code == caught.value.code
    assert "sesame" not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lacks the driver is told what to install."""
    for name in [n for n in sys.modules if n.startswith(("psycopg", "registry.sql.engine_postgres"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in [n for n in sys.modules if n.startswith(("registry.sql.connect_p", "registry.sql.arrays_p"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match="needs psycopg") as caught:
        Registry.open("postgresql://host/db")
    assert "stage[postgres]" in caught.value.hint


def test_the_server_knows_the_command_and_not_its_arguments(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server shows of a connection is the verb, host and process; an argument may be a secret."""
    url = postgres.registry().url
    monkeypatch.setattr(sys, "argv", ["/usr/bin/stage", "push", "postgresql://ann:sesame@host/db"])
    with Registry.open(url) as opened:
        ((shown,),) = ask(opened, "SELECT current_setting('application_name')")
    assert shown.startswith("stage push on ")
    assert "sesame" not in shown


# Making one


CREATE = """
import sys
from registry.errors import AlreadyExistsError
from registry.model.dimensions import default_universe
from registry.registry import Registry
try:
    Registry.create(sys.argv[1], default_universe()).close()
except AlreadyExistsError as exc:
    sys.exit(exc.code)
"""


def test_of_four_processes_that_create_one_wins(postgres: Database) -> None:
    """The others are told that there is one; nobody meets half of it."""
    url = postgres.url()
    words = [sys.executable, "-c", CREATE, url]
    rivals = [subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [rival.communicate(timeout=120)[1].strip() for rival in rivals]

    assert sorted(said) == ["", *["registry-exists"] * 3]
    assert sorted(rival.returncode for rival in rivals) == [0, 1, 1, 1]
    with Registry.open(url) as opened, opened.read() as snap:
        assert snap.collections() == []


def test_a_creation_that_fails_leaves_nothing(postgres: Database) -> None:
    """Not even the schema is there when the tables could not be made."""
    url = postgres.url()
    with pytest.raises(UsageError):
        Registry.create(url, UNIVERSE, attributes={"name": "nul\0"})
    made = postgres.registry()
    name = parse_url(url).query["schema"]
    assert ask(made, "SELECT to_regnamespace(:name) IS NULL", name=name) == [(True,)]


# Who waits for whom


def test_a_writer_that_waits_in_vain_is_told_who_writes(postgres: Database) -> None:
    """The wait is bounded, and the error names process, user and command of the holder, and since when."""
    first = postgres.registry()
    with other(first) as second:
        with first.write() as tx:
            tx.register_run("a")
            began = time.monotonic()
            with pytest.raises(BusyError, match=r"waited 0\.2 s") as caught, second.write(timeout_s=0.2):
                pass
            assert time.monotonic() - began < 30
        assert f"process {first._database.driver.info.backend_pid}" in caught.value.holder
        assert "user postgres" in caught.value.holder
        assert "UTC" in caught.value.holder
        assert caught.value.code == "database-busy"
        with second.write(timeout_s=0.2) as tx:
            tx.register_run("b")


def test_a_writer_goes_on_when_the_other_ends(postgres: Database) -> None:
    """A waiting writer gets its turn, and sees what was written meanwhile."""
    first = postgres.registry()
    seen: list[list[str]] = []

    def wait() -> None:
        with other(first) as second, second.write(timeout_s=30) as tx:
            seen.append([c.name for c in tx.collections()])

    with first.write() as tx:
        thread = threading.Thread(target=wait)
        thread.start()
        deadline = time.monotonic() + 20
        while not ask(first, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            assert time.monotonic() < deadline
        tx.register_run("a")
    thread.join()
    assert seen == [["a"]]


def test_readers_and_the_writer_never_wait_for_each_other(postgres: Database) -> None:
    """A snapshot stays as it is while a writer adds tables and rows and commits, and the writer is not held up."""
    writer = postgres.registry()
    with other(writer, writable=False) as reader:
        with reader.read() as snap:
            with writer.write(timeout_s=1) as tx:
                add_camera(tx)
                tx.register_dataset_type(dataset_type("raw", "detector"))
                tx.register_run("run")
                tx.insert_datasets("raw", "run", detector_rows())
                assert snap.collections() == []
            assert (snap.collections(), snap.dataset_types(), snap.records("detector").n_rows) == ([], [], 0)
        with reader.read() as snap:
            assert snap.count_datasets().rows() == [("raw", "run", 4)]


def test_reading_takes_its_state_at_the_beginning(postgres: Database) -> None:
    """What is committed after a read transaction began is not in it, although nothing was asked before."""
    writer = postgres.registry()
    with other(writer, writable=False) as reader, reader.read() as snap:
        with writer.write() as tx:
            tx.register_run("late")
        assert snap.collections() == []


def test_a_connection_for_reading_cannot_write(postgres: Database) -> None:
    """The server itself refuses; nothing rests on this code alone."""
    made = postgres.registry()
    with other(made, writable=False) as reader:
        with pytest.raises(UsageError, match="for reading only"), reader.write():
            pass
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader._database.driver.execute("DELETE FROM repository")


# What breaks


def test_a_connection_lost_in_a_change_leaves_nothing_of_it(postgres: Database) -> None:
    """The error says that it is transient, and nothing is half-written; the same registry can be opened again."""
    made, killer = postgres.registry(), postgres.registry()
    with pytest.raises(StorageError, match="was lost") as caught, made.write() as tx:  # noqa: PT012
        tx.register_run("a")
        end_connection(made, killer)
        tx.register_run("b")
    assert (caught.value.code, caught.value.transient) == ("connection-lost", True)
    with pytest.raises(StorageError, match="was lost"), made.read():
        pass
    with other(made) as again, again.read() as snap:
        assert snap.collections() == []


def test_a_connection_lost_between_transactions_is_an_error_of_ours(postgres: Database) -> None:
    """Reading and writing over a dead connection raise what may be tried again."""
    made, killer = postgres.registry(), postgres.registry()
    end_connection(made, killer)
    for begin in (made.read, made.write):
        with pytest.raises(StorageError) as caught, begin():
            pass
        assert caught.value.transient


def test_a_commit_whose_outcome_is_unknown_says_so(postgres: Database) -> None:
    """If the connection breaks before the server has answered, nobody claims that the change was kept, or was not."""
    made, killer = postgres.registry(), postgres.registry()
    with pytest.raises(StorageError, match="all of it or nothing") as caught, made.write() as tx:  # noqa: PT012
        tx.register_run("a")
        end_connection(made, killer)
    assert caught.value.code == "commit-unknown"
    assert not caught.value.transient


def test_a_change_whose_failed_statement_was_swallowed_is_not_kept_silently(postgres: Database) -> None:
    """The server keeps nothing of a transaction that failed; the end of the block says so."""
    made = postgres.registry()
    with pytest.raises(InternalError, match="nothing was kept"), made.write() as tx:  # noqa: PT012
        tx.register_run("a")
        with pytest.raises(StageError):
            tx._session.lookup("broken", lambda: __import__("sqlalchemy").text("SELECT 1 / 0"))
    with made.read() as snap:
        assert snap.collections() == []


@pytest.mark.parametrize(
    ("code", "error", "name"),
    [
        ("55P03", BusyError, "database-busy"),
        ("40P01", BusyError, "database-busy"),
        ("42P01", IntegrityError, "table-missing"),
        ("XX001", IntegrityError, "damaged-database"),
        ("25006", StorageError, "read-only"),
        ("42501", StorageError, "not-allowed"),
        ("53100", StorageError, "disk-full"),
        ("53300", StorageError, "too-many-connections"),
        ("57P01", StorageError, "connection-lost"),
        ("08006", StorageError, "connection-lost"),
        ("22001", UsageError, "bad-value"),
        ("22003", UsageError, "bad-value"),
        ("3D000", NotFoundError, "no-such-registry"),
        ("42601", InternalError, "bad-statement"),
    ],
)
def test_each_failure_of_the_server_has_its_own_error(code: str, error: type[Exception], name: str) -> None:
    """What a caller would do next decides the class; the fact decides the code; all name the place."""
    raised = psycopg.errors.lookup(code)("words")
    found = translate(raised, "postgresql://here/r")
    assert error is type(found)
    assert name == getattr(found, "code", None)
    assert "postgresql://here/r" in str(found)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("INSERT INTO b VALUES (1, 9)", "reference"),
        ("INSERT INTO a VALUES (1)", "unique"),
        ("INSERT INTO b VALUES (NULL, 1)", "null"),
        ("INSERT INTO c VALUES (0)", "check"),
    ],
)
def test_broken_constraints_are_told_apart(postgres: Database, statement: str, kind: str) -> None:
    """The kinds of constraint are those of SQLite."""
    driver = postgres.registry()._database.driver
    driver.execute("CREATE TABLE a (x INTEGER UNIQUE)")
    driver.execute("INSERT INTO a VALUES (1)")
    driver.execute("CREATE TABLE b (y INTEGER NOT NULL, x INTEGER REFERENCES a (x))")
    driver.execute("CREATE TABLE c (z INTEGER CHECK (z > 0))")
    with pytest.raises(psycopg.IntegrityError) as caught:
        driver.execute(statement)
    found = translate(caught.value, "here")
    assert isinstance(found, ConstraintViolation)
    assert kind == found.kind


# How much it costs


def test_round_trips_do_not_grow_with_rows(postgres: Database) -> None:
    """Datasets go in, are found and go out in a few exchanges with the server, however many they are."""
    made = postgres.registry()
    n = 6000
    with made.write() as tx:
        tx.insert_records("instrument", Columns({"instrument": ["Cam"]}))
        ones = {"instrument": ["Cam"] * n, "detector": list(range(n))}
        with round_trips(made) as records:
            tx.insert_records("detector", Columns(ones | {"full_name": [f"D{i}" for i in range(n)]}))
        tx.register_dataset_type(dataset_type("raw", "detector"))
        tx.register_run("a")
        counts = []
        for start, end in ((0, 10), (10, 2000), (2000, 6000)):
            rows = Columns({k: v[start:end] for k, v in ones.items()} | {"id": new_ids(end - start)})
            with round_trips(made) as inserted:
                tx.insert_datasets("raw", "a", rows)
            counts += inserted
    with round_trips(made) as read, made.read() as snap:
        assert snap.datasets("raw", ["a"]).n_rows == n
    assert records[0] <= 12
    assert counts[0] <= 8
    assert counts[1] == counts[2] <= 12
    assert read[0] <= 8


def test_looking_up_again_and_again_is_prepared_once(postgres: Database) -> None:
    """The server keeps the statement of a hot path, also across transactions."""
    made = postgres.registry()
    with made.write() as tx:
        add_camera(tx)
        tx.register_dataset_type(dataset_type("raw", "detector"))
        tx.register_run("a")
        tx.insert_datasets("raw", "a", detector_rows())
    data_id = {"instrument": "Cam", "detector": 1}
    for _ in range(8):
        with made.read() as snap:
            assert snap.find("raw", data_id, ["a"]) is not None
    with sent(made) as log, made.read() as snap:
        snap.find("raw", data_id, ["a"])
    assert not [text for text in log if text.startswith('""')]
    assert [text for text in log if "as kept" in text]


def test_many_new_rows_are_counted_for_the_planner(postgres: Database) -> None:
    """After a large change the server knows how large the tables are, before it would look by itself."""
    made = postgres.registry()
    n = 3000
    with made.write() as tx:
        tx.insert_records("instrument", Columns({"instrument": ["Cam"]}))
        names = [f"D{i}" for i in range(n)]
        rows = {"instrument": ["Cam"] * n, "detector": list(range(n)), "full_name": names}
        tx.insert_records("detector", Columns(rows))
    assert ask(made, "SELECT reltuples::int FROM pg_class WHERE oid = to_regclass('dim_detector')") == [(n,)]


def test_nothing_is_left_in_the_temporary_schema(postgres: Database) -> None:
    """Rows handed over for a change are gone after it, also when it failed."""
    made = postgres.registry()
    n = 3000
    rows = {"kind": ["k"] * n, "key": [b"%d" % i for i in range(n)], "digest": [b"d" * 16] * n}
    with made.write() as tx:
        tx.insert_rows("baseline", Columns(rows))
    with pytest.raises(AlreadyExistsError), made.write() as tx:
        tx.insert_rows("baseline", Columns(rows))
    left = "SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r' AND pg_table_is_visible(oid)"
    assert ask(made, left) == []


def test_text_is_sorted_by_code_points_whatever_the_database_does(postgres: Database) -> None:
    """Every text column has the collation C, so that order and comparison are SQLite's."""
    made = postgres.registry()
    with made.write() as tx:
        tx.register_dataset_type(dataset_type("raw", "detector", "visit"))
    found = ask(
        made,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() "
        "AND data_type IN ('text', 'character varying') AND collation_name IS DISTINCT FROM 'C' "
        "AND table_name <> 'alembic_version'",
    )
    assert found == []
