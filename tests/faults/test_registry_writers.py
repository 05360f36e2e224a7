"""Processes that write one registry at once: nothing is lost, nothing is there twice, who loses is told, nobody hangs."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from typing import Any

import pytest

from registry.errors import BusyError, StageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import new_ids
from registry.registry import Change, Registry
from tests.databases import Database
from tests.processes import FORKS, answer, process
from tests.registry_builders import UNIVERSE, add_camera, dataset_type

LONG = os.environ.get("STAGE_FAULTS") == "long"
PROCESSES = 8
ROUNDS, KILLS = (40, 25) if LONG else (3, 1)

GROUPS = [
    ("detector",), ("visit",), ("visit", "detector"), ("physical_filter",), ("physical_filter", "detector"),
    ("day_obs",), ("day_obs", "detector"), ("exposure",), ("exposure", "detector"), ("tract",), ("tract", "patch"),
    ("skymap",), ("group",), ("group", "detector"), ("visit_system",), ("band",),
]  # fmt: skip


# What one writer does in one transaction, in a process of its own: `number` tells them apart, `k` counts its rounds.


def write_apart(tx: Change, number: int, k: int) -> int:
    """Insert datasets of detectors that nobody else has."""
    return _insert(tx, [1000 * k + 10 * number + d for d in range(3)])


def write_same(tx: Change, number: int, k: int) -> int:
    """Insert datasets of which everybody has one."""
    return _insert(tx, [1000 * k, 1000 * k + 500 + number])


def _insert(tx: Change, detectors: list[int]) -> int:
    n = len(detectors)
    chips = {"instrument": ["Cam"] * n, "detector": detectors, "full_name": [f"D{d}" for d in detectors]}
    tx.insert_records("detector", Columns(chips), on_existing="skip")
    rows = {"instrument": ["Cam"] * n, "detector": detectors, "id": new_ids(n)}
    return tx.insert_datasets("raw", "run", Columns(rows))


def write_chain(tx: Change, number: int, k: int) -> int:
    """Put a run of one's own before what a chain searches."""
    tx.register_run(f"run/{number}/{k}")
    tx.prepend_chain("chain", [f"run/{number}/{k}"])
    return 1


def _biases(tx: Change) -> list[bytes]:
    found = [tx.find("bias", {"instrument": "Cam", "detector": d}, ["run"]) for d in range(2)]
    return [ref.id for ref in found if ref is not None]


def write_beside(tx: Change, number: int, k: int) -> int:
    """Certify a time that ends where another writer's begins."""
    begin = PROCESSES * k + number
    tx.certify("calib", _biases(tx), begin, begin + 1)
    return 1


def write_across(tx: Change, number: int, k: int) -> int:
    """Certify a time of which every other writer wants a part."""
    tx.certify("calib", _biases(tx), 100 * k + number, 100 * k + 50 + number)
    return 1


def write_names(tx: Change, number: int, k: int) -> int:
    """Register what all others register too: a dataset type, in half of them another one of that name, and a collection."""
    made = tx.register_collection(f"c{k}", CollectionType.RUN if number % 2 else CollectionType.TAGGED)
    return 2 * made + tx.register_dataset_type(dataset_type(f"t{k}", "detector"))


def write_tables(tx: Change, number: int, k: int) -> int:
    """Register a dataset type of dimensions for which there is no table yet; two writers want the same one."""
    group = GROUPS[(PROCESSES * k + number) // 2 % len(GROUPS)]
    name = f"of_{'_'.join(group)}_{number % 2}"
    return int(tx.register_dataset_type(dataset_type(name, *group, is_calibration=True)))


# How they are run


def _work(job: str, url: str, number: int, rounds: int, barrier: Any, said: Any) -> None:
    """Do a job again and again; say what each transaction gave: a number, or an error's code."""
    out: list[int | str] = []
    with Registry.open(url, writable=True) as registry:
        barrier.wait(120)
        for k in range(rounds):
            try:
                with registry.write(timeout_s=120) as tx:
                    out.append(globals()[f"write_{job}"](tx, number, k))
            except StageError as exc:
                out.append(exc.code)
    said.put((number, out))


def race(url: str, job: str, rounds: int = ROUNDS) -> list[list[Any]]:
    """Let all processes do a job at once; return what each transaction of each gave."""
    barrier, said = FORKS.Barrier(PROCESSES), FORKS.SimpleQueue()
    writers = [
        FORKS.Process(target=_work, args=(job, url, n, rounds, barrier, said)) for n in range(PROCESSES)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(300)
    assert [writer.exitcode for writer in writers] == [0] * PROCESSES
    found = dict(said.get() for _ in writers)
    return [found[n] for n in range(PROCESSES)]


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with a camera, a run with datasets of calibrations, a chain and a CALIBRATION collection."""
    made = database.registry()
    with made.write() as tx:
        add_camera(tx)
        tx.register_run("run")
        tx.set_chain("chain", [])
        tx.register_collection("calib", CollectionType.CALIBRATION)
        tx.register_dataset_type(dataset_type("raw", "detector"))
        tx.register_dataset_type(dataset_type("bias", "detector", is_calibration=True))
        rows = {"instrument": ["Cam"] * 2, "detector": [0, 1], "id": new_ids(2)}
        tx.insert_datasets("bias", "run", Columns(rows))
    return made


def test_datasets_of_all_writers_arrive_once(registry: Registry) -> None:
    """Of data IDs that nobody shares all are there; of one that all want one writer has all its own, the others nothing."""
    apart = race(registry.url, "apart")
    assert apart == [[3] * ROUNDS] * PROCESSES
    with registry.read() as snap:
        assert snap.count_datasets(["run"]).rows() == [
            ("bias", "run", 2),
            ("raw", "run", 3 * PROCESSES * ROUNDS),
        ]
    with registry.write() as tx:
        tx.delete_datasets(tx.datasets("raw", ["run"])["id"].tolist())

    same = race(registry.url, "same")
    for k in range(ROUNDS):
        assert Counter(said[k] for said in same) == {2: 1, "dataset-exists": PROCESSES - 1}
    winners = {k: next(n for n, said in enumerate(same) if said[k] == 2) for k in range(ROUNDS)}
    with registry.read() as snap:
        there = sorted(snap.datasets("raw", ["run"])["detector"].tolist())
    assert there == sorted(d for k, n in winners.items() for d in (1000 * k, 1000 * k + 500 + n))


def test_a_chain_keeps_what_every_writer_put_in(registry: Registry) -> None:
    """A chain to which all prepend at once ends with everybody's runs, each once, the later of each writer first."""
    assert race(registry.url, "chain") == [[1] * ROUNDS] * PROCESSES
    with registry.read() as snap:
        children = snap.collection("chain").children
    assert len(children) == len({*children}) == PROCESSES * ROUNDS
    for n in range(PROCESSES):
        own = [c for c in children if c.startswith(f"run/{n}/")]
        assert own == [f"run/{n}/{k}" for k in reversed(range(ROUNDS))]


def test_validity_never_overlaps_whoever_certifies(registry: Registry) -> None:
    """Ranges that only touch are all kept; of those that overlap one is, and the other writers are told."""
    assert race(registry.url, "beside") == [[1] * ROUNDS] * PROCESSES
    with registry.write() as tx:
        spans = sorted(tx.associations(["calib"]).rows(("valid_begin", "valid_end")))
        assert spans == sorted([(t, t + 1) for t in range(PROCESSES * ROUNDS)] * 2)
        tx.decertify("calib", "bias")

    across = race(registry.url, "across")
    for k in range(ROUNDS):
        assert Counter(said[k] for said in across) == {1: 1, "validity-overlaps": PROCESSES - 1}
    with registry.read() as snap:
        begins = snap.associations(["calib"])["valid_begin"].tolist()
    winners = [100 * k + next(n for n, said in enumerate(across) if said[k] == 1) for k in range(ROUNDS)]
    assert sorted(begins) == sorted(winners * 2)


def test_names_and_tables_are_made_once(registry: Registry) -> None:
    """What several register at once is made by one; another kind of collection is refused; tables are made once."""
    names = race(registry.url, "names")
    for k in range(ROUNDS):
        told = Counter(said[k] for said in names)
        assert told == {3: 1, 0: PROCESSES // 2 - 1, "collection-type-differs": PROCESSES // 2}
    tables = race(registry.url, "tables")
    wanted = {(PROCESSES * k + n) // 2 % len(GROUPS): 0 for n in range(PROCESSES) for k in range(ROUNDS)}
    assert sum(map(sum, tables)) == 2 * len(wanted)
    with registry.read() as snap:
        made = snap.dataset_types("of_*")
        assert len(made) == 2 * len(wanted)
        assert all(snap.datasets(kind.name, ["run"]).n_rows == 0 for kind in made)
        assert all(snap.validity_ranges(kind.name, ["calib"]).n_rows == 0 for kind in made)


# Writers that hold on, or die


def _hold(url: str, n: int, pipe: Any) -> None:
    """Write rows and a table, and hold on until told to end."""
    with Registry.open(url, writable=True) as registry, registry.write() as tx:
        tx.register_run("half")
        tx.register_dataset_type(dataset_type("half", "exposure", "detector"))
        detectors = list(range(100, 100 + n))
        chips = {"instrument": ["Cam"] * n, "detector": detectors, "full_name": [f"H{d}" for d in detectors]}
        tx.insert_records("detector", Columns(chips))
        rows = {"instrument": ["Cam"] * n, "detector": detectors, "id": new_ids(n)}
        tx.insert_datasets("raw", "half", Columns(rows))
        pipe.send("in the middle")
        pipe.recv()


def state(registry: Registry) -> list[Any]:
    """All that matters here, as a reader sees it."""
    with registry.read() as snap:
        return [
            snap.collections(), snap.dataset_types(), snap.records("detector").n_rows, snap.count_datasets().rows(),
        ]  # fmt: skip


def test_a_writer_that_waits_too_long_is_told_for_whom(registry: Registry) -> None:
    """The wait is as long as was said and not longer; PostgreSQL knows who holds the registry, SQLite that somebody does."""
    before = state(registry)
    with process(_hold, registry.url, 10) as (holder, pipe):
        answer(pipe)
        began = time.monotonic()
        with pytest.raises(BusyError) as caught, registry.write(timeout_s=0.5):
            pass
        assert 0.4 < time.monotonic() - began < 10
        assert (caught.value.code, caught.value.waited_s) == ("database-busy", 0.5)
        assert caught.value.hint
        if registry.dialect == "postgresql":
            assert f"({holder.pid})" in caught.value.holder
            assert "user postgres, server process" in caught.value.holder
        else:
            assert "another process" in caught.value.message
        assert before == state(registry)
        pipe.send("end")
    assert holder.exitcode == 0
    with registry.write(timeout_s=10) as tx:
        assert tx.count_datasets(["half"]).rows() == [("raw", "half", 10)]


@pytest.mark.parametrize("n", [10, 20_000])
def test_a_killed_writer_leaves_nothing_and_blocks_nobody(registry: Registry, n: int) -> None:
    """After SIGKILL in the middle of a small change or one larger than any cache, the next writer begins at once."""
    before = state(registry)
    for _ in range(KILLS):
        with process(_hold, registry.url, n) as (holder, pipe):
            answer(pipe)
            holder.kill()
        assert holder.exitcode == -signal.SIGKILL
        began = time.monotonic()
        with registry.write(timeout_s=20) as tx:
            assert tx.collections(["half*"]) == []
        assert time.monotonic() - began < 20
        assert before == state(registry)
        with Registry.open(registry.url) as reader:
            assert before == state(reader)


# Readers


def _commit(url: str, n: int, timeout_s: float, pipe: Any) -> None:
    """Change a chain again and again; say of each change what became of it."""
    with Registry.open(url, writable=True) as registry:
        for k in range(n):
            try:
                with registry.write(timeout_s) as tx:
                    tx.register_run(f"new/{k}")
                    tx.prepend_chain("chain", [f"new/{k}"])
                pipe.send("kept")
            except BusyError as exc:
                pipe.send(exc.code)


@pytest.mark.parametrize("wal", [False, True])
def test_a_long_read_sees_one_state(database: Database, wal: bool) -> None:
    """Whatever is committed meanwhile is not seen; only with a rollback journal does a reader hold a writer's commit up.

    PostgreSQL and a write-ahead log let the writer commit beside the reader. Otherwise SQLite has it wait for the
    reader's end, and after its timeout nothing of the change is kept.
    """
    if wal and database.name == "postgres":
        pytest.skip("only SQLite has the choice")
    registry = database.registry(UNIVERSE, wal=wal)
    with registry.write() as tx:
        tx.register_run("run")
        tx.set_chain("chain", ["run"])
    beside, n = wal or database.name == "postgres", 5
    with Registry.open(registry.url) as reader, reader.read() as snap:
        with process(_commit, registry.url, n, 20 if beside else 0.3) as (writer, pipe):
            for _ in range(n):
                assert answer(pipe) == ("kept" if beside else "database-busy")
                assert snap.collection("chain").children == ("run",)
                assert snap.collection_names("*") == ["run", "chain"]
        assert writer.exitcode == 0
        assert snap.search_path(["chain"]) == ["run"]
    with registry.read() as snap:
        assert len(snap.collection("chain").children) == 1 + n * beside


def test_readers_go_on_while_a_writer_is_in_the_middle(registry: Registry) -> None:
    """Until it is kept, a change of another process is nothing that a reader sees or waits for."""
    before = state(registry)
    with Registry.open(registry.url) as reader:
        with process(_hold, registry.url, 10) as (holder, pipe):
            answer(pipe)
            began = time.monotonic()
            assert before == state(reader)
            assert time.monotonic() - began < 10
            pipe.send("end")
        assert holder.exitcode == 0
        assert before != state(reader)
