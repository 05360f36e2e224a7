"""`sync.closure`: the records that keys need, in any universe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.model.columns import Columns
from registry.model.dimensions import DimensionUniverse
from registry.registry import Registry
from registry.snapshot import Snapshot
from sync.closure import close_records, keys_of_datasets, merge_keys

LAB = DimensionUniverse.from_document(
    {
        "name": "lab",
        "version": 1,
        "elements": {
            "kind": {"key": {"name": "name", "type": "string"}, "view_of": "sample"},
            "site": {"key": {"name": "name", "type": "string"}},
            "sample": {"requires": ["site"], "implies": ["kind"], "key": {"name": "id", "type": "int"}},
            "machine": {"requires": ["site"], "key": {"name": "id", "type": "int"}},
            "parent": {"requires": ["site"], "implies": ["machine"], "key": {"name": "id", "type": "int"}},
            "fit": {"requires": ["sample", "machine"]},
        },
    }
)


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    with Registry.create(f"sqlite:///{tmp_path}/lab.sqlite3", LAB) as registry:
        with registry.write() as tx:
            tx.insert_records("site", Columns({"site": ["a", "b"]}))
            samples = [("a", 1, "wet"), ("a", 2, "dry"), ("b", 1, "dry")]
            tx.insert_records("sample", Columns.from_rows(("site", "sample", "kind"), samples))
            tx.insert_records(
                "machine", Columns.from_rows(("site", "machine"), [("a", 1), ("a", 2), ("b", 1)])
            )
            tx.insert_records(
                "parent", Columns.from_rows(("site", "parent", "machine"), [("a", 7, 2), ("a", 8, None)])
            )
            fits = [("a", s, m) for s in (1, 2) for m in (1, 2)]
            tx.insert_records("fit", Columns.from_rows(("site", "sample", "machine"), fits))
        with registry.read() as snap:
            yield snap


def closed(snapshot: Snapshot, **wanted: list[tuple[object, ...]]) -> dict[str, list[tuple[object, ...]]]:
    keys = {n: Columns.from_rows(LAB.element(n).required, rows) for n, rows in wanted.items()}
    return {n: rows.rows() for n, rows in close_records(snapshot, keys).items()}


def test_required_dimensions_come_along(snapshot: Snapshot) -> None:
    """A sample brings its site, and nothing of other sites."""
    assert closed(snapshot, sample=[("a", 1)]) == {"site": [("a",)], "sample": [("a", 1, "wet")]}


def test_implied_dimensions_come_along(snapshot: Snapshot) -> None:
    """What a record implies is there with what that requires; a null implies nothing."""
    assert closed(snapshot, parent=[("a", 7)]) == {
        "site": [("a",)],
        "machine": [("a", 2)],
        "parent": [("a", 7, 2)],
    }
    assert "machine" not in closed(snapshot, parent=[("a", 8)])


def test_relations_come_where_all_that_they_relate_does(snapshot: Snapshot) -> None:
    """Of a relation exactly the rows come whose every dimension has been read."""
    assert closed(snapshot, sample=[("a", 1)], machine=[("a", 2)])["fit"] == [("a", 1, 2)]
    assert "fit" not in closed(snapshot, sample=[("b", 1)], machine=[("b", 1)])


def test_keys_of_a_relation_bring_what_it_relates(snapshot: Snapshot) -> None:
    """Asking for a relation's rows asks for the records of its dimensions."""
    found = closed(snapshot, fit=[("a", 1, 1)])

    assert found["fit"] == [("a", 1, 1)]
    assert found["sample"] == [("a", 1, "wet")]


def test_values_of_a_view_bring_their_source_unless_it_is_there(snapshot: Snapshot) -> None:
    """A kind is what samples say it is: all of that kind come, but none if one that was wanted has it already."""
    assert closed(snapshot, kind=[("dry",)])["sample"] == [("a", 2, "dry"), ("b", 1, "dry")]
    assert closed(snapshot, kind=[("dry",)], sample=[("b", 1)])["sample"] == [("b", 1, "dry")]


def test_keys_without_a_record_are_left_out(snapshot: Snapshot) -> None:
    """Asking for what is not there is no error here."""
    assert (
        closed(snapshot, sample=[("a", 99)]) == {"site": [("a",)]}
        or closed(snapshot, sample=[("a", 99)]) == {}
    )


def test_keys_are_united_and_each_once() -> None:
    """Keys from several data IDs are merged by element."""
    rows = Columns({"site": ["a", "a"], "sample": [1, 1]})
    keys = keys_of_datasets(LAB, ("site", "sample"), rows)

    merged = merge_keys(LAB, [keys, {"site": Columns({"site": ["b", "a"]})}])

    assert {n: k.rows() for n, k in merged.items()} == {"site": [("a",), ("b",)], "sample": [("a", 1)]}
