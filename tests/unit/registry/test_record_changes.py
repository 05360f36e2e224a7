"""What a pull needs of a registry: records changed and removed, whole ranges of validity, what quanta know."""

from __future__ import annotations

import random

import pytest

from registry.errors import ConflictError
from registry.model.columns import Columns
from registry.model.records import QUANTUM, QUANTUM_INPUT, QUANTUM_OUTPUT
from registry.model.refs import new_ids
from registry.registry import Registry
from tests.databases import Database
from tests.regions import UNIVERSE, square
from tests.split_world import put_datasets, records


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with five visits of three detectors and eight patches, and which of them touch."""
    made = database.registry(UNIVERSE)
    with made.write() as tx:
        for element, rows in records().items():
            tx.insert_records(element, rows)
    return made


def touching(registry: Registry, visit: int) -> set[tuple[int, int]]:
    """Return tract and patch of the patches that a visit touches."""
    with registry.read() as snap:
        group = snap.universe.group(["visit", "patch"])
        found = snap.data_ids(
            group, where="instrument = 'I' AND visit = :v AND skymap = 'S'", bind={"v": visit}
        )
    return set(found.rows(("tract", "patch")))


def test_a_record_that_is_replaced_touches_what_its_new_region_does(registry: Registry) -> None:
    """All its columns are the new ones, and joins over the sky find what they would had it been inserted so."""
    elsewhere = touching(registry, 15)
    assert touching(registry, 11) != elsewhere
    with registry.write() as tx:
        rows = tx.records("visit", where="instrument = 'I' AND visit = 11")
        moved = Columns({**rows, "region": [square(15, 0, 0.9)], "exposure_time": [77.0]})
        assert tx.replace_records("visit", moved) == 1
    assert touching(registry, 11) == elsewhere
    with registry.read() as snap:
        assert snap.records("visit")["exposure_time"].tolist() == [77.0, 20.0, 30.0, 40.0, 50.0]


def test_a_replaced_record_may_not_take_anothers_other_name(registry: Registry) -> None:
    """An alternate key that is taken is an error, and nothing has changed."""
    with registry.write() as tx:
        rows = tx.records("detector", where="instrument = 'I' AND detector = 0")
        with pytest.raises(ConflictError) as caught:
            tx.replace_records("detector", Columns({**rows, "full_name": ["b"]}))
        assert caught.value.code == "record-key-taken"
        assert tx.records("detector")["full_name"].tolist() == ["a", "b", "c"]


def test_records_go_only_if_nothing_refers_to_them(registry: Registry) -> None:
    """A relation can be removed; a visit that others refer to cannot, and then nothing has gone."""
    keys = Columns({"instrument": ["I"], "visit": [11]})
    with registry.write() as tx:
        with pytest.raises(ConflictError) as caught:
            tx.remove_records("visit", keys)
        assert caught.value.code == "record-in-use"
        assert tx.remove_records("visit_definition", Columns({**keys, "exposure": [1]})) == 1
        assert tx.records("visit_definition").n_rows == 4


def test_whole_ranges_go_and_others_stay(registry: Registry) -> None:
    """Only the ranges that are given with both ends are taken out."""
    with registry.write() as tx:
        put_datasets(tx, random.Random(1), records())
        before = tx.validity_ranges("bias", ["calib"])
        gone = before.select(("id", "valid_begin", "valid_end")).take(
            before["valid_begin"] == before["valid_begin"][0]
        )
        cut = Columns({**gone, "valid_end": gone["valid_end"] - 1})
        assert tx.remove_ranges("calib", "bias", cut) == 0
        assert tx.remove_ranges("calib", "bias", gone) == gone.n_rows > 0
        assert tx.validity_ranges("bias", ["calib"]).n_rows == before.n_rows - gone.n_rows


def test_listed_rows_go(registry: Registry) -> None:
    """Rows of a plain table go by any of their columns, as many as are listed at once."""
    rows = Columns({"kind": ["a", "a", "b"], "key": [b"1", b"2", b"1"], "digest": [bytes(16)] * 3})
    with registry.write() as tx:
        tx.insert_rows("baseline", rows)
        tx.delete_listed("baseline", Columns({"kind": ["a", "b"], "key": [b"2", b"2"]}))
        assert tx.table("baseline").rows(("kind", "key")) == [("a", b"1"), ("b", b"1")]


def test_what_quanta_have_read_or_made_is_known(registry: Registry) -> None:
    """What was only offered to them is not, nor what nobody registered."""
    quantum, read, offered, made, other = new_ids(5)
    row = (quantum, "r", "t", "{}", "succeeded", 0, 1, 2, 3, 4, "h", "", quantum)
    with registry.write() as tx:
        tx.register_run("r")
        tx.insert_quanta(Columns.from_rows(QUANTUM, [row]))
        links = [(quantum, read, "x", True), (quantum, offered, "x", False)]
        tx.insert_quantum_inputs(Columns.from_rows(QUANTUM_INPUT, links))
        tx.insert_quantum_outputs(Columns.from_rows(QUANTUM_OUTPUT, [(quantum, made, "y")]))
        assert tx.known_to_quanta([read, offered, made, other]) == {read, made}
        assert tx.known_to_quanta([]) == set()
