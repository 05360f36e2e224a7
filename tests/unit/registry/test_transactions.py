"""All or nothing, one at a time, and who waits for whom."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from registry.errors import BusyError, ConflictError, UsageError
from registry.lookups import session_of
from registry.model.columns import Columns
from registry.registry import Registry
from tests.databases import Database
from tests.registry_builders import add_camera, dataset_type, detector_rows, new_registry


def test_an_exception_undoes_the_whole_change(tmp_path: Path) -> None:
    """Tables, collections and rows of a change that fails are gone, whatever the exception."""
    with new_registry(tmp_path / "r.sqlite3") as registry:
        before = sqlite3.connect(tmp_path / "r.sqlite3").execute("SELECT * FROM sqlite_schema").fetchall()
        with pytest.raises(KeyboardInterrupt), registry.write() as tx:  # noqa: PT012
            add_camera(tx)
            tx.register_dataset_type(dataset_type("raw", "detector"))
            tx.register_run("run")
            tx.insert_datasets("raw", "run", detector_rows())
            raise KeyboardInterrupt
        after = sqlite3.connect(tmp_path / "r.sqlite3").execute("SELECT * FROM sqlite_schema").fetchall()
        with registry.read() as snap:
            assert (snap.collections(), snap.dataset_types(), snap.records("detector").n_rows) == ([], [], 0)

    assert before == after


def test_a_method_that_fails_leaves_nothing_of_its_own(tmp_path: Path) -> None:
    """A caught error inside a change costs only the failed call."""
    with new_registry(tmp_path / "r.sqlite3") as registry, registry.write() as tx:
        add_camera(tx)
        tx.register_dataset_type(dataset_type("raw", "detector"))
        tx.register_run("run")
        tx.insert_datasets("raw", "run", detector_rows(n=1))
        with pytest.raises(ConflictError):
            tx.insert_datasets("raw", "run", detector_rows())
        assert tx.count_datasets().rows() == [("raw", "run", 1)]
        with pytest.raises(ConflictError):
            tx.insert_records("detector", Columns({"instrument": ["Cam"] * 2, "detector": [8, 0]}))
        assert tx.records("detector").n_rows == 4
        with pytest.raises(ConflictError):
            tx.set_chain("chain", ["run"], expected=["other"])
        assert [c.name for c in tx.collections()] == ["run"]


def test_what_was_written_is_read_within_the_change(tmp_path: Path) -> None:
    """A change sees its own rows; a snapshot of another connection does not, until it ends."""
    with (
        new_registry(tmp_path / "r.sqlite3") as writer,
        Registry.open(f"sqlite:///{tmp_path}/r.sqlite3") as reader,
    ):
        with writer.write() as tx:
            tx.register_run("run")
            assert tx.search_path(["run"]) == ["run"]
            with reader.read() as snap:
                assert snap.collections() == []
        with reader.read() as snap:
            assert snap.search_path(["run"]) == ["run"]


@pytest.mark.parametrize("wal", [False, True])
def test_a_snapshot_sees_one_state(tmp_path: Path, wal: bool) -> None:
    """What is committed after a snapshot began is not in it; without a log the writer has to wait for it instead."""
    with (
        new_registry(tmp_path / "r.sqlite3", wal=wal) as writer,
        Registry.open(f"sqlite:///{tmp_path}/r.sqlite3") as reader,
    ):
        with reader.read() as snap:
            if wal:
                with writer.write() as tx:
                    tx.register_run("run")
            else:
                with pytest.raises(BusyError) as caught, writer.write(timeout_s=0.05) as tx:
                    tx.register_run("run")
                assert caught.value.waited_s == 0.05
            assert snap.collections() == []
        with reader.read() as snap:
            assert (1 if wal else 0) == len(snap.collections())


def test_a_second_writer_waits_and_then_says_so(tmp_path: Path) -> None:
    """The lock is taken at the beginning of a change, and the wait for it is bounded."""
    with (
        new_registry(tmp_path / "r.sqlite3") as first,
        Registry.open(f"sqlite:///{tmp_path}/r.sqlite3", writable=True) as second,
    ):
        with first.write() as tx:
            tx.register_run("a")
            with pytest.raises(BusyError, match=r"waited 0\.05 s"), second.write(timeout_s=0.05):
                pass
        with second.write(timeout_s=0.05) as tx:
            assert tx.collections() != []


def test_transactions_do_not_nest(tmp_path: Path) -> None:
    """A second one on the same registry is refused, and the first goes on."""
    with new_registry(tmp_path / "r.sqlite3") as registry:
        with registry.write() as tx:
            tx.register_run("run")
            with pytest.raises(UsageError, match="open already"), registry.read():
                pass
        with registry.read() as snap:
            assert snap.search_path(["run"]) == ["run"]


def test_a_snapshot_is_dead_after_its_block(tmp_path: Path) -> None:
    """Using one later is an error that says why."""
    with new_registry(tmp_path / "r.sqlite3") as registry:
        with registry.read() as snap:
            pass
        with pytest.raises(UsageError, match="has ended"):
            snap.collections()


def test_temporary_tables_do_not_outlive_their_question(tmp_path: Path) -> None:
    """Rows handed over for a question are gone after it, also when it failed."""
    with new_registry(tmp_path / "r.sqlite3") as registry, registry.write() as tx:
        tx.existing_ids([b"0" * 16])
        with pytest.raises(UsageError):
            tx.insert_rows("baseline", Columns({"kind": ["k"], "key": [b"k"], "digest": [None]}))
        left = registry._database.driver.execute("SELECT name FROM sqlite_temp_schema").fetchall()
        counts = registry._database.driver.execute("SELECT tbl FROM temp.sqlite_stat1").fetchall()

        assert left == [("sqlite_stat1",)]
        assert counts == []


_LONG = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500000) SELECT max(n) FROM c",
    "postgres": "SELECT pg_sleep(30)",
}


@pytest.mark.parametrize("through", ["session", "driver"])
def test_ctrl_c_in_a_statement_is_nothing_but_that(database: Database, through: str) -> None:
    """It goes out as what it is, and of the change nothing is left; one who goes on with a file can do so."""
    registry, statement = database.registry(), sa.text(_LONG[database.name])
    # A signal that a caller of ours does not mind is as good as the one that a keyboard sends.
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), registry.write() as tx:  # noqa: PT012
            tx.register_run("run")
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            if through == "session":
                session_of(tx).execute(statement)
            else:
                session_of(tx).database.query(str(statement), [])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    again = registry if database.name == "sqlite" else Registry.open(registry.url)
    with again.read() as snap:
        assert snap.collections() == []
