"""Comparing runs in the database: of one registry and of two, of both kinds."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import NotFoundError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.records import QUANTUM
from registry.registry import Registry, Snapshot
from tests.afterwards_world import UNIVERSE
from tests.databases import Database

OLD, NEW = "old/run", "new/run"
CELLS = UNIVERSE.group(["cell"])


def of(letter: str) -> bytes:
    """An id that is easily told from others."""
    return letter.encode() * 16


def add_inputs(registry: Registry) -> None:
    """Datasets of two collections, with the same ids in every registry: a and b raw, c dark."""
    with registry.write() as tx:
        tx.insert_records("cell", Columns({"cell": [1, 2, 3, 4]}))
        for kind in ("raw", "dark"):
            tx.register_dataset_type(DatasetType(kind, CELLS, "Json"))
            tx.register_run(f"in/{kind}")
        tx.insert_datasets("raw", "in/raw", datasets((1, "a", "x"), (2, "b", "x")))
        tx.insert_datasets("dark", "in/dark", datasets((1, "c", "x")))


def add_run(
    registry: Registry,
    run: str,
    statuses: dict[int, str],
    reads: list[tuple[str, str, bool]],
    made: Columns,
    *,
    letters: str,
    kind: str = "made",
) -> None:
    """Record one run: a quantum a cell, what they read by letter of quantum, and what was made."""
    ids = dict(zip(statuses, letters, strict=True))
    rows = [
        {"id": of(ids[cell]), "run": run, "task": "make", "status": status, "attempt": 0, "data_id": f'{{"cell":{cell}}}',
         "graph_id": None, "started_ns": 5, "finished_ns": 7, "cpu_ns": None, "peak_bytes": 1, "host": "h", "message": None}
        for cell, status in statuses.items()
    ]  # fmt: skip
    with registry.write() as tx:
        tx.register_run(run)
        tx.register_dataset_type(DatasetType(kind, CELLS, "Json"))
        tx.insert_quanta(Columns({n: [r[n] for r in rows] for n in QUANTUM}))
        tx.insert_quantum_inputs(
            Columns.from_rows(
                ("quantum_id", "dataset_id", "connection", "was_read"),
                [(of(q), of(d), "in", r) for q, d, r in reads],
            )
        )
        tx.insert_datasets(kind, run, made)


def datasets(*rows: tuple[int, str, str]) -> Columns:
    """Cell, letter of the id, checksum."""
    return Columns(
        {
            "cell": [c for c, _, _ in rows], "id": [of(i) for _, i, _ in rows], "uri": [i for _, i, _ in rows],
            "size": [1] * len(rows), "checksum": [s for _, _, s in rows], "formatter": ["json"] * len(rows),
        }
    )  # fmt: skip


@pytest.fixture(params=["one registry", "two registries"])
def sides(request: pytest.FixtureRequest, database: Database) -> tuple[Registry, Registry]:
    """A run of cells 1 to 3, and another of cells 1, 2 and 4 that read other things and made something else."""
    first = database.registry(UNIVERSE)
    second = first if request.param == "one registry" else database.registry(UNIVERSE)
    for registry in {id(r): r for r in (first, second)}.values():
        add_inputs(registry)
    add_run(
        first, OLD, {1: "succeeded", 2: "succeeded", 3: "succeeded"},
        [("p", "a", True), ("q", "b", True), ("q", "c", True), ("p", "k", True)],
        datasets((1, "k", "1"), (2, "l", "2"), (3, "m", "3")), letters="pqr",
    )  # fmt: skip
    add_run(
        second, NEW, {1: "succeeded", 2: "failed", 4: "no-work"},
        [("s", "a", True), ("t", "b", False)],
        datasets((1, "t", "1"), (2, "u", "other"), (4, "v", "4")), letters="stu",
    )  # fmt: skip
    return first, second


def ask(
    sides: tuple[Registry, Registry], question: str, *more: object, back: bool = False, **options: object
) -> Any:
    """Ask about the old run against the new, or the other way round."""
    (here, run), (there, other) = ((sides[0], OLD), (sides[1], NEW))[:: -1 if back else 1]
    if here is there:
        with here.read() as snapshot:
            return asked(snapshot, question, run, snapshot, other, *more, **options)
    with here.read() as mine, there.read() as theirs:
        return asked(mine, question, run, theirs, other, *more, **options)


def asked(snapshot: Snapshot, question: str, *words: object, **options: object) -> Any:
    """Return rows, of one answer or of a pair."""
    found = getattr(snapshot, question)(*words, **options)
    return [rows.rows() for rows in found] if isinstance(found, tuple) else found.rows()


def test_quanta_that_came_to_something_else(sides: tuple[Registry, Registry]) -> None:
    """Each change of a status with how many there are; a run that does not have it says nothing of it."""
    assert {tuple(row) for row in ask(sides, "differing_quanta")} == {
        ("make", '{"cell":4}', None, "no-work", 1),
        ("make", '{"cell":2}', "succeeded", "failed", 1),
        ("make", '{"cell":3}', "succeeded", None, 1),
    }


def test_inputs_that_were_read(sides: tuple[Registry, Registry]) -> None:
    """What was read counts, and what was only offered is told apart; the run's own datasets are no inputs."""
    counts, some = ask(sides, "differing_inputs")

    assert set(counts) == {
        ("raw", "in/raw", 1, 1, 1), ("raw", "in/raw", 1, 0, 1), ("dark", "in/dark", 1, None, 1),
    }  # fmt: skip
    assert set(some) == {(of("b"), "raw", 1, 0), (of("c"), "dark", 1, None)}
    counts, some = ask(sides, "differing_inputs", back=True)

    assert {(k, o, n) for k, _, o, n, _ in counts} == {("raw", 1, 1), ("raw", 0, 1), ("dark", None, 1)}


def test_outputs_of_other_content(sides: tuple[Registry, Registry]) -> None:
    """By data ID: other content, only in one of the runs; and both ids of what has changed."""
    assert set(ask(sides, "differing_outputs", "made", (3, 3))) == {
        (2, "changed", 1), (3, "old", 1), (4, "new", 1),
    }  # fmt: skip
    assert ask(sides, "changed_outputs", "made") == [(2, of("l"), of("u"))]
    assert ask(sides, "changed_outputs", "nothing") == []
    assert ask(sides, "differing_outputs", "made", (3, 0)) == [(1, "old", 3), (2, "old", 3), (3, "old", 3)]


def test_outputs_of_which_nobody_can_tell(sides: tuple[Registry, Registry]) -> None:
    """Content that was never summed up is neither the same nor another."""
    with sides[0].write() as tx:
        tx.register_run("third")
        tx.insert_datasets("made", "third", datasets((1, "x", ""), (2, "y", "2")))
        found = tx.differing_outputs(OLD, tx, "third", "made", (3, 2))

        assert set(found.rows()) == {(1, "unknown", 1), (3, "old", 1)}


def test_quanta_that_are_complete_in_both(sides: tuple[Registry, Registry]) -> None:
    """Pairs of ids by task and data ID, all of them or one in so many."""
    assert ask(sides, "same_quanta", ["succeeded", "no-work"]) == [("make", '{"cell":1}', of("p"), of("s"))]
    assert ask(sides, "same_quanta", ["succeeded", "no-work"], step=10) == [
        ("make", '{"cell":1}', of("p"), of("s"))
    ]
    assert ask(sides, "same_quanta", ["blocked"]) == []


def test_a_run_that_is_not_there(sides: tuple[Registry, Registry]) -> None:
    """It is named."""
    with sides[0].read() as snapshot, pytest.raises(NotFoundError, match="no collection 'nothing'"):
        snapshot.differing_quanta("nothing", snapshot, OLD)


def test_only_a_few_of_each_kind_are_shown(database: Database) -> None:
    """However much differs, so many data IDs come back, with the whole number."""
    registry = database.registry(UNIVERSE)
    add_inputs(registry)
    for run, letters, letter in ((OLD, "pqrs", "k"), (NEW, "tuvw", "f")):
        made = datasets(*((cell, chr(ord(letter) + cell), run) for cell in range(1, 5)))
        statuses = dict.fromkeys(range(1, 5), "succeeded" if run == OLD else "failed")
        add_run(registry, run, statuses, [], made, letters=letters)
    with registry.read() as snapshot:
        assert snapshot.differing_quanta(OLD, snapshot, NEW, shown=2)["n"].tolist() == [4, 4]
        assert snapshot.differing_outputs(OLD, snapshot, NEW, "made", (4, 4), shown=3).rows() == [
            (1, "changed", 4),
            (2, "changed", 4),
            (3, "changed", 4),
        ]
