"""Connections to PostgreSQL that end in the middle: nothing is left behind, and the error says how to go on."""

from __future__ import annotations

import time
from typing import Any

import pytest

from registry.errors import StorageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import new_ids
from registry.registry import Change, Registry
from tests.databases import Database, ask
from tests.processes import answer, process
from tests.registry_builders import add_camera, dataset_type

pytestmark = pytest.mark.service


def insert(tx: Change, detectors: list[int]) -> int:
    """Insert detectors and a dataset of each."""
    n = len(detectors)
    chips = {"instrument": ["Cam"] * n, "detector": detectors, "full_name": [f"D{d}" for d in detectors]}
    tx.insert_records("detector", Columns(chips), on_existing="skip")
    rows = {"instrument": ["Cam"] * n, "detector": detectors, "id": new_ids(n)}
    return tx.insert_datasets("raw", "run", Columns(rows))


def state(registry: Registry) -> list[Any]:
    """All that matters here, as a reader sees it."""
    with registry.read() as snap:
        return [
            snap.collections(), snap.dataset_types(), snap.records("detector").n_rows, snap.count_datasets().rows(),
        ]  # fmt: skip


def end_connection(victim: Registry, killer: Registry) -> None:
    """Let the server end a connection, as a restart or a firewall does."""
    pid = victim._database.driver.info.backend_pid
    ask(killer, "SELECT pg_terminate_backend(:pid)", pid=pid)
    deadline = time.monotonic() + 20
    while ask(killer, "SELECT 1 FROM pg_stat_activity WHERE pid = :pid", pid=pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


QUESTIONS = {
    "lookup": lambda snap: snap.collection("run"),
    "find": lambda snap: snap.find("raw", {"instrument": "Cam", "detector": 1}, ["run"]),
    "query": lambda snap: snap.datasets("raw", ["run"]),
    "table": lambda snap: snap.table("repository"),
}
CHANGES = {
    "insert": lambda tx: tx.register_run("late"),
    "many": lambda tx: insert(tx, list(range(200, 1700))),
    "savepoint": lambda tx: tx.set_chain("chain", ["run"]),
    "table": lambda tx: tx.register_dataset_type(dataset_type("late", "exposure", "detector")),
    "caught": lambda tx: tx.associate("tagged", new_ids(1)),
}


@pytest.fixture
def pair(postgres: Database) -> tuple[Registry, Registry]:
    """A registry, and another connection with which to look at it and to kill the first."""
    made = postgres.registry()
    with made.write() as tx:
        add_camera(tx)
        tx.register_run("run")
        tx.set_chain("chain", [])
        tx.register_collection("tagged", CollectionType.TAGGED)
        tx.register_dataset_type(dataset_type("raw", "detector"))
    other = Registry.open(made.url, writable=True)
    postgres.registries.append(other)
    return made, other


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_connection_that_ends_in_a_read_says_so(pair: tuple[Registry, Registry], question: str) -> None:
    """Whatever is asked next fails as lost and transient, again as often as it is tried, and with what to do about it."""
    made, other = pair
    with pytest.raises(StorageError) as caught, made.read() as snap:  # noqa: PT012
        QUESTIONS[question](snap)
        end_connection(made, other)
        QUESTIONS[question](snap)
    assert (caught.value.code, caught.value.transient) == ("connection-lost", True)
    for begin in (made.read, made.write):
        with pytest.raises(StorageError) as again, begin():
            pass
        assert again.value.code == "connection-lost"
        assert "open the registry again" in again.value.hint.lower()
    made.close()
    with Registry.open(other.url) as opened, opened.read() as snap:
        QUESTIONS[question](snap)


@pytest.mark.parametrize("change", CHANGES)
def test_a_connection_that_ends_in_a_change_leaves_nothing(
    pair: tuple[Registry, Registry], change: str
) -> None:
    """What was written before is undone too, at once: the next writer waits for nobody."""
    made, other = pair
    before = state(other)
    with pytest.raises(StorageError) as caught, made.write() as tx:  # noqa: PT012
        tx.register_run("early")
        insert(tx, [50, 51])
        end_connection(made, other)
        CHANGES[change](tx)
    assert (caught.value.code, caught.value.transient) == ("connection-lost", True)
    assert "open the registry again" in caught.value.hint.lower()
    assert before == state(other)
    with other.write(timeout_s=5) as tx:
        tx.register_run("early")
    made.close()


def _wait_in_vain(url: str, pipe: Any) -> None:
    """Wait for a turn to write; say how that ends."""
    with Registry.open(url, writable=True) as registry:
        try:
            with registry.write(timeout_s=60):
                pipe.send("wrote")
        except StorageError as exc:
            pipe.send((exc.code, exc.transient))


def test_a_connection_that_ends_while_its_writer_waits_is_lost_too(pair: tuple[Registry, Registry]) -> None:
    """The writer is told that, and not that others are busy."""
    made, other = pair
    # What a transaction has seen of pg_stat_activity stays so; locks are looked up each time.
    waiting = (
        "SELECT w.pid FROM pg_locks w JOIN pg_locks h USING (locktype, database, classid, objid, objsubid) "
        "WHERE locktype = 'advisory' AND h.pid = pg_backend_pid() AND NOT w.granted"
    )
    with other.write(), process(_wait_in_vain, made.url) as (_, pipe):
        deadline = time.monotonic() + 30
        while not (found := ask(other, waiting)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        ask(other, "SELECT pg_terminate_backend(:pid)", pid=found[0][0])
        assert answer(pipe) == ("connection-lost", True)
