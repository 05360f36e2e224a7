"""Lineages: what came of what, over any number of runs, asked of both databases."""

from __future__ import annotations

import pytest

from registry.errors import NotFoundError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import QUANTUM, Walk
from registry.registry import Registry
from tests.databases import Database


def of(letter: str) -> bytes:
    """An id that is easily told from others."""
    return letter.encode() * 16


@pytest.fixture
def registry(database: Database) -> Registry:
    """Two runs: quantum p makes b of a, q makes c and d of b, and r of run 2 makes e of d and a."""
    made = database.registry()
    reads = [("p", "a", True), ("q", "b", True), ("q", "a", False), ("r", "d", True), ("r", "a", True)]
    makes = [("p", "b"), ("q", "c"), ("q", "d"), ("r", "e")]
    with made.write() as tx:
        for run in ("0", "1", "2"):
            tx.register_run(run)
        tx.register_dataset_type(DatasetType("raw", made.universe.group([]), "Json"))
        tx.register_dataset_type(DatasetType("result", made.universe.group([]), "Json"))
        tx.insert_datasets("raw", "0", artifacts("a", "x"))
        tx.insert_datasets("result", "1", artifacts("c", "y"))
        tx.insert_datasets("result", "2", artifacts("e", "z"))
        tx.insert_quanta(quanta(("p", "1", "one"), ("q", "1", "two"), ("r", "2", "two")))
        tx.insert_quantum_inputs(
            Columns.from_rows(
                ("quantum_id", "dataset_id", "connection", "was_read"),
                [(of(q), of(d), "in", r) for q, d, r in reads],
            )
        )
        tx.insert_quantum_outputs(
            Columns.from_rows(
                ("quantum_id", "dataset_id", "connection"), [(of(q), of(d), "out") for q, d in makes]
            )
        )
    return made


def artifacts(letter: str, checksum: str) -> Columns:
    """One dataset without dimensions."""
    return Columns(
        {"id": [of(letter)], "uri": [letter], "size": [1], "checksum": [checksum], "formatter": ["json"]}
    )


def quanta(*rows: tuple[str, str, str], status: str = "succeeded", attempt: int = 0) -> Columns:
    """Rows of quanta: id, run, task."""
    full = [
        {"id": of(i), "run": run, "task": task, "status": status, "attempt": attempt, "data_id": "{}", "graph_id": None,
         "started_ns": 5, "finished_ns": 7, "cpu_ns": None, "peak_bytes": 1, "host": "h", "message": None}
        for i, run, task in rows
    ]  # fmt: skip
    return Columns({n: [r[n] for r in full] for n in QUANTUM})


def links(found: Walk) -> set[tuple[str, bool, str]]:
    """Quantum, whether it made the dataset, dataset: one letter each."""
    quanta, datasets = ([chr(i[0]) for i in rows["id"].tolist()] for rows in (found.quanta, found.datasets))
    return {
        (quanta[q], made, datasets[d])
        for made, rows in ((False, found.read), (True, found.made))
        for q, d in rows.rows(("quantum", "dataset"))
    }


def quanta_of(found: Walk) -> set[str]:
    """The letters of the quanta that were met."""
    return {chr(i[0]) for i in found.quanta["id"].tolist()}


def test_a_lineage_goes_up_over_runs(registry: Registry) -> None:
    """All that led to a dataset is found, with what is known of it; what led nowhere is left out."""
    with registry.read() as snapshot:
        found = snapshot.walk([of("e")])

        assert links(found) == {
            ("r", False, "d"), ("r", False, "a"), ("r", True, "e"),
            ("q", False, "b"), ("q", False, "a"), ("q", True, "d"), ("p", False, "a"), ("p", True, "b"),
        }  # fmt: skip
        assert dict(zip(found.quanta["id"].tolist(), found.quanta.rows(("run", "task", "status")), strict=True)) == {
            of("p"): ("1", "one", "succeeded"), of("q"): ("1", "two", "succeeded"), of("r"): ("2", "two", "succeeded"),
        }  # fmt: skip
        known = dict(
            zip(found.datasets["id"].tolist(), found.datasets.rows(("dataset_type", "run")), strict=True)
        )

        assert known == {
            of("a"): ("raw", "0"), of("b"): (None, None), of("d"): (None, None), of("e"): ("result", "2"),
        }  # fmt: skip
        unread = [chr(found.quanta["id"][q][0]) for q, r in found.read.rows(("quantum", "was_read")) if not r]

        assert unread == ["q"]


def test_a_lineage_goes_down(registry: Registry) -> None:
    """All that came of a dataset is found; a quantum that many ways lead to is met once."""
    with registry.read() as snapshot:
        found = snapshot.walk([of("a")], up=False)

        assert sorted(quanta_of(found)) == ["p", "q", "r"]
        assert found.quanta.n_rows == 3
        assert links(found) == {
            ("p", False, "a"), ("q", False, "a"), ("r", False, "a"), ("q", False, "b"), ("r", False, "d"),
            ("p", True, "b"), ("q", True, "c"), ("q", True, "d"), ("r", True, "e"),
        }  # fmt: skip
        assert quanta_of(snapshot.walk([of("d")], up=False)) == {"r"}
        assert snapshot.walk([of("e")], up=False).quanta.n_rows == 0


def test_depth_ends_a_lineage(registry: Registry) -> None:
    """Only so many quanta one after another are gone over; a quantum itself counts for none."""
    with registry.read() as snapshot:
        assert quanta_of(snapshot.walk([of("e")], depth=1)) == {"r"}
        assert quanta_of(snapshot.walk([of("e")], depth=2)) == {"r", "q"}
        assert snapshot.walk([of("e")], depth=0).quanta.n_rows == 0
        assert links(snapshot.walk([of("r")], depth=0)) == {("r", False, "d"), ("r", False, "a")}
        assert links(snapshot.walk([of("r")], up=False, depth=0)) == {("r", True, "e")}
        assert quanta_of(snapshot.walk([of("p")], up=False)) == {"p", "q", "r"}
        assert quanta_of(snapshot.walk([of("?")])) == set()


def test_a_circle_ends(registry: Registry) -> None:
    """Provenance that is damaged, so that something came of itself, is told and not followed for ever."""
    with registry.write() as tx:
        row = [(of("p"), of("e"), "in", True)]
        tx.insert_quantum_inputs(
            Columns.from_rows(("quantum_id", "dataset_id", "connection", "was_read"), row)
        )

        assert quanta_of(tx.walk([of("e")])) == {"p", "q", "r"}


def test_quanta_by_id(registry: Registry) -> None:
    """The last attempt counts, only the columns asked for are read, and what is not there is left out."""
    with registry.write() as tx:
        tx.insert_quanta(quanta(("p", "1", "one"), status="failed", attempt=1))

        assert tx.quanta_by_id([of("p"), of("?")], ("id", "run", "status")).rows() == [
            (of("p"), "1", "failed")
        ]
        assert tx.quanta_by_id([of("p")]).names == QUANTUM


def test_outcomes_of_a_run(registry: Registry) -> None:
    """What became of quanta, one by one or counted: the last attempt at each."""
    with registry.write() as tx:
        tx.insert_quanta(quanta(("p", "1", "one"), status="failed", attempt=1))

        assert sorted(tx.outcomes("1").rows(("id", "task", "status"))) == [
            (of("p"), "one", "failed"),
            (of("q"), "two", "succeeded"),
        ]
        assert tx.outcomes("1", task="two")["id"].tolist() == [of("q")]
        assert tx.count_outcomes("1").rows() == [("one", "failed", 1), ("two", "succeeded", 1)]
        with pytest.raises(NotFoundError, match="no collection 'nothing'"):
            tx.outcomes("nothing")


def test_artifacts_of_quanta(registry: Registry) -> None:
    """What quanta made by one connection, with where it is; what has no artifact is left out."""
    with registry.read() as snapshot:
        found = snapshot.artifacts_of_quanta([of("p"), of("q"), of("r")], "out")

        assert sorted(found.rows(("quantum_id", "uri", "checksum"))) == [
            (of("q"), "c", "y"),
            (of("r"), "e", "z"),
        ]
        assert snapshot.artifacts_of_quanta([of("q")], "in").n_rows == 0
