"""Lineages: what came of what, over any number of runs, asked of both databases."""

from __future__ import annotations

import pytest

from registry.errors import NotFoundError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import QUANTUM
from registry.registry import Registry
from registry.sql.lineage import LINEAGE
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


def links(found: Columns) -> set[tuple[int, str, bool, str]]:
    """Depth, quantum, whether it made the dataset, dataset."""
    rows = found.rows(("depth", "quantum_id", "made", "dataset_id"))
    return {(depth, chr(q[0]), bool(made), chr(d[0])) for depth, q, made, d in rows}


def test_a_lineage_goes_up_over_runs(registry: Registry) -> None:
    """All that led to a dataset is found, each quantum at the length of its shortest way."""
    with registry.read() as snapshot:
        found = snapshot.lineage([of("e")])

        assert found.names == LINEAGE
        assert links(found) == {
            (1, "r", False, "d"), (1, "r", False, "a"), (1, "r", True, "e"),
            (2, "q", False, "b"), (2, "q", False, "a"), (2, "q", True, "c"), (2, "q", True, "d"),
            (3, "p", False, "a"), (3, "p", True, "b"),
        }  # fmt: skip
        assert {(d, r) for d, _, m, _, _, r in found.rows() if not m} == {
            (1, True),
            (2, True),
            (2, False),
            (3, True),
        }


def test_a_lineage_goes_down(registry: Registry) -> None:
    """All that came of a dataset is found; a quantum that many ways lead to is told once."""
    with registry.read() as snapshot:
        found = snapshot.lineage([of("a")], up=False)

        assert {(d, q) for d, q, _, _ in links(found)} == {(1, "p"), (1, "q"), (1, "r")}
        assert found.n_rows == 9
        assert {q for _, q, _, _ in links(snapshot.lineage([of("d")], up=False))} == {"r"}
        assert snapshot.lineage([of("e")], up=False).n_rows == 0


def test_depth_ends_a_lineage(registry: Registry) -> None:
    """Only so many quanta one after another are gone over; a quantum itself is at depth 0."""
    with registry.read() as snapshot:
        assert {q for _, q, _, _ in links(snapshot.lineage([of("e")], depth=1))} == {"r"}
        assert {q for _, q, _, _ in links(snapshot.lineage([of("e")], depth=2))} == {"r", "q"}
        assert snapshot.lineage([of("e")], depth=0).n_rows == 0
        assert {(d, q) for d, q, _, _ in links(snapshot.lineage([of("r")], depth=0))} == {(0, "r")}
        assert {(d, q) for d, q, _, _ in links(snapshot.lineage([of("p")], up=False))} == {
            (0, "p"),
            (1, "q"),
            (2, "r"),
        }


def test_a_circle_ends(registry: Registry) -> None:
    """Provenance that is damaged, so that something came of itself, is told and not followed for ever."""
    with registry.write() as tx:
        row = [(of("p"), of("e"), "in", True)]
        tx.insert_quantum_inputs(
            Columns.from_rows(("quantum_id", "dataset_id", "connection", "was_read"), row)
        )

        assert {q for _, q, _, _ in links(tx.lineage([of("e")]))} == {"p", "q", "r"}


def test_quanta_and_datasets_by_id(registry: Registry) -> None:
    """The last attempt counts, only the columns asked for are read, and what is not there is left out."""
    with registry.write() as tx:
        tx.insert_quanta(quanta(("p", "1", "one"), status="failed", attempt=1))

        assert tx.quanta_by_id([of("p"), of("?")], ("id", "run", "status")).rows() == [
            (of("p"), "1", "failed")
        ]
        assert tx.quanta_by_id([of("p")]).names == QUANTUM
        assert sorted(tx.dataset_types_by_id([of("a"), of("b"), of("c")]).rows()) == [
            (of("a"), "raw", "0"),
            (of("c"), "result", "1"),
        ]


def test_outcomes_inputs_and_checksums_of_a_run(registry: Registry) -> None:
    """What tells runs apart: what became of quanta, what they took from outside, and what they made."""
    with registry.write() as tx:
        tx.insert_quanta(quanta(("p", "1", "one"), status="failed", attempt=1))

        assert sorted(tx.outcomes("1").rows(("id", "task", "status"))) == [
            (of("p"), "one", "failed"),
            (of("q"), "two", "succeeded"),
        ]
        assert tx.outcomes("1", task="two")["id"].tolist() == [of("q")]
        assert tx.inputs_from_outside("1").rows() == [(of("a"), "raw", "0")]
        assert tx.checksums("result", "1").rows() == [(of("c"), "y")]
        assert tx.checksums("raw", "1").n_rows == 0
        with pytest.raises(NotFoundError, match="no collection 'nothing'"):
            tx.outcomes("nothing")
