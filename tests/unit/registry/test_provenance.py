"""Provenance and plain rows."""

from __future__ import annotations

from typing import Any

import pytest

from registry import keeping
from registry.errors import AlreadyExistsError, NotFoundError, UsageError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import QUANTUM, QUANTUM_INPUT, QUANTUM_OUTPUT
from registry.registry import Registry
from tests.databases import Database

Q = [bytes([i]) * 16 for i in range(4)]


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with runs a and b."""
    made = database.registry()
    with made.write() as tx:
        tx.register_run("a")
        tx.register_run("b")
    return made


def quanta(*rows: tuple[bytes, str, str, str, int]) -> Columns:
    """Rows of quanta: id, run, task, status, attempt."""
    full = [
        {"id": i, "run": run, "task": task, "status": status, "attempt": attempt, "data_id": "{}", "graph_id": None,
         "started_ns": 5, "finished_ns": 7, "cpu_ns": None, "peak_bytes": 1, "host": "h", "message": None}
        for i, run, task, status, attempt in rows
    ]  # fmt: skip
    return Columns({n: [r[n] for r in full] for n in QUANTUM})


def test_quanta_come_back_with_the_names_of_their_runs(registry: Registry) -> None:
    """Every column is returned as it was given, filtered by run, task and status."""
    rows = quanta(
        (Q[0], "a", "isr", "succeeded", 0), (Q[1], "a", "warp", "failed", 0), (Q[2], "b", "isr", "failed", 0)
    )
    with registry.write() as tx:
        tx.insert_quanta(rows)
        assert tx.quanta().names == QUANTUM
        assert rows.rows() == tx.quanta().rows()
        assert [Q[0], Q[1]] == tx.quanta(["a"])["id"].tolist()
        assert [Q[0], Q[2]] == tx.quanta(task="isr")["id"].tolist()
        assert [Q[2]] == tx.quanta(["a", "b"], task="isr", status=["failed", "blocked"])["id"].tolist()
        assert (tx.quanta([]).n_rows, tx.quanta([]).names) == (0, QUANTUM)
        assert [("a", Q[0]), ("a", Q[1])] == tx.quanta(["a"], names=("run", "id")).rows()
        assert tx.quanta(["a"], names=("status",)).rows() == [("succeeded",), ("failed",)]


def test_the_last_attempt_counts(registry: Registry) -> None:
    """By default only the newest attempt at a quantum is returned, and status is that of the newest."""
    with registry.write() as tx:
        tx.insert_quanta(
            quanta(
                (Q[0], "a", "t", "failed", 0), (Q[0], "a", "t", "succeeded", 1), (Q[1], "a", "t", "failed", 0)
            )
        )
        assert [(Q[0], 1), (Q[1], 0)] == tx.quanta().rows(["id", "attempt"])
        assert [Q[1]] == tx.quanta(status=["failed"])["id"].tolist()
        assert tx.quanta(latest=False).n_rows == 3
        tx.insert_quanta(quanta((Q[1], "a", "t", "succeeded", 0)))
        assert tx.quanta(status=["failed"])["id"].tolist() == []


def test_a_quantum_needs_its_run(registry: Registry) -> None:
    """A run that does not exist is named; rows that lack a column say which."""
    with registry.write() as tx:
        with pytest.raises(NotFoundError, match="no collection 'c'"):
            tx.insert_quanta(quanta((Q[0], "c", "t", "failed", 0)))
        with pytest.raises(UsageError, match="lack run, task"):
            tx.insert_quanta(Columns({"id": [Q[0]]}))
        with pytest.raises(NotFoundError, match="no collection 'c'"):
            tx.quanta(["c"])


def test_what_was_read_may_change_and_what_was_made_stays(registry: Registry) -> None:
    """Inputs recorded again take the new `was_read`; outputs recorded again change nothing."""
    inputs: dict[str, list[Any]] = {
        "quantum_id": [Q[0], Q[2]],
        "dataset_id": [b"d" * 16] * 2,
        "connection": ["x"] * 2,
    }
    with registry.write() as tx:
        tx.insert_quanta(quanta((Q[0], "a", "t", "failed", 0), (Q[2], "b", "t", "failed", 0)))
        tx.insert_quantum_inputs(Columns(inputs | {"was_read": [False, False]}))
        tx.insert_quantum_inputs(Columns(inputs | {"was_read": [True, False]}))
        tx.insert_quantum_outputs(Columns(inputs))
        tx.insert_quantum_outputs(Columns(inputs))

        assert tx.quantum_inputs(["a"]).names == QUANTUM_INPUT
        assert [(Q[0], b"d" * 16, "x", True)] == tx.quantum_inputs(["a"]).rows()
        assert tx.quantum_inputs(["a", "b"])["was_read"].tolist() == [True, False]
        assert [(Q[2], b"d" * 16, "x")] == tx.quantum_outputs(["b"]).rows(QUANTUM_OUTPUT)


def test_plain_rows_are_kept_as_given(registry: Registry) -> None:
    """Rows are inserted, replaced, skipped, selected by equality and deleted."""
    rows = {"kind": ["k", "k", "m"], "key": [b"1", b"2", b"1"], "digest": [b"a" * 16, b"b" * 16, b"c" * 16]}
    with registry.write() as tx:
        tx.insert_rows("baseline", Columns(rows))
        assert tx.table("baseline", kind="k").rows(["key", "digest"]) == [
            (b"1", b"a" * 16),
            (b"2", b"b" * 16),
        ]
        changed = Columns({"kind": ["k", "n"], "key": [b"1", b"1"], "digest": [b"z" * 16] * 2})
        with pytest.raises(AlreadyExistsError, match="kind='k', key=31"):
            tx.insert_rows("baseline", changed)
        tx.insert_rows("baseline", changed, on_existing="skip")
        assert tx.table("baseline", kind="k", key=b"1")["digest"].tolist() == [b"a" * 16]
        tx.insert_rows("baseline", changed, on_existing="replace")
        assert tx.table("baseline", kind="k", key=b"1")["digest"].tolist() == [b"z" * 16]
        tx.delete_rows("baseline", kind="k")
        assert tx.table("baseline")["kind"].tolist() == ["m", "n"]


def test_history_numbers_itself(registry: Registry) -> None:
    """Columns left out take their defaults: positions count upwards."""
    rows = Columns({"at_ns": [1, 2], "command": ["a", "b"], "change": ["{}", "{}"]})
    with registry.write() as tx:
        tx.insert_rows("history", rows)
        tx.insert_rows("history", rows)
        assert tx.table("history")["position"].tolist() == [1, 2, 3, 4]


def test_unknown_tables_and_columns_are_named(registry: Registry) -> None:
    """A misspelt table or column offers the nearest one; tables of the registry's own are not plain."""
    with registry.write() as tx:
        for act in (
            lambda: tx.table("baselin"),
            lambda: tx.insert_rows("dataset", Columns({"id": [b"x" * 16]})),
            lambda: tx.table("baseline", kid="k"),
            lambda: tx.insert_rows("journal", Columns({"opration": [b"x" * 16]})),
            lambda: tx.insert_rows("journal", Columns({"operation": [b"x" * 16]})),
        ):
            with pytest.raises(UsageError):
                act()


def test_outputs_that_are_no_datasets_are_named(registry: Registry) -> None:
    """Of what a run's quanta made, that of which there is no dataset; other runs' outputs are none of its."""
    with registry.write() as tx:
        kind = DatasetType("flat", tx.universe.empty, "Json")
        tx.register_dataset_type(kind)
        row: dict[str, list[Any]] = {"id": [Q[2]], "uri": ["f"], "size": [7], "checksum": [""]}
        tx.insert_datasets("flat", "a", Columns({**row, "formatter": ["json"]}))
        tx.insert_quanta(quanta((Q[0], "a", "t", "succeeded", 0), (Q[1], "b", "t", "succeeded", 0)))
        tx.insert_quantum_outputs(
            Columns(
                {
                    "quantum_id": [Q[0], Q[0], Q[1]],
                    "dataset_id": [Q[2], Q[3], Q[1]],
                    "connection": ["x", "y", "x"],
                }
            )
        )
    with registry.read() as snapshot:
        assert [Q[3]] == keeping.lost_outputs(snapshot, "a")
        assert [Q[1]] == keeping.lost_outputs(snapshot, "b")
        assert {"a": (1, 7)} == keeping.run_sizes(snapshot)
        assert [Q[0]] == keeping.odd_quanta(snapshot, "a", {"t": 2})
        assert [] == keeping.odd_quanta(snapshot, "a", {"t": 1})
        assert [] == keeping.odd_quanta(snapshot, "a", {"t": 1, "u": 2})
        assert [Q[0]] == keeping.odd_quanta(snapshot, "a", {"s": 1, "u": 2})
        made = keeping.outputs_of_quanta(snapshot, [Q[0], Q[2]])
        assert {(Q[0], Q[2], True), (Q[0], Q[3], False)} == set(
            made.rows(("quantum_id", "dataset_id", "is_known"))
        )
        assert keeping.outputs_of_quanta(snapshot, []).n_rows == 0
