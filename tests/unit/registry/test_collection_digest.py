"""Digests of what collections hold: they change with it, and with nothing else."""

from __future__ import annotations

import pytest

from registry.model.collections import CollectionType
from registry.registry import Registry
from tests.databases import Database
from tests.registry_builders import add_camera, dataset_type, detector_rows

ONE, OTHER = detector_rows(), detector_rows()
FIRST, SECOND = ONE["id"].tolist(), OTHER["id"].tolist()
NAMES, TYPES = ("a", "b", "good", "calib", "all"), ("raw", "bias", "nothing")


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with raws in runs a and b, tags, certified biases, and a chain of all of them."""
    made = database.registry()
    with made.write() as tx:
        add_camera(tx)
        tx.register_dataset_type(dataset_type("raw", "detector"))
        tx.register_dataset_type(dataset_type("flat", "detector"))
        tx.register_dataset_type(dataset_type("bias", "detector", is_calibration=True))
        for run, rows in (("a", ONE), ("b", OTHER)):
            tx.register_run(run)
            tx.insert_datasets("raw", run, rows.take([0, 1, 2]))
        tx.register_collection("good", CollectionType.TAGGED)
        tx.associate("good", FIRST[:2])
        tx.register_run("biases")
        tx.insert_datasets("bias", "biases", detector_rows())
        tx.register_collection("calib", CollectionType.CALIBRATION)
        tx.certify("calib", tx.datasets("bias", ["biases"])["id"].tolist()[:2], 0, 100)
        tx.register_collection("all", CollectionType.CHAINED)
        tx.set_chain("all", ["good", "a", "calib"])
    return made


def _digests(registry: Registry, **options: object) -> dict[str, str]:
    with registry.read() as snapshot:
        return snapshot.content_digests(NAMES, TYPES, **options)  # type: ignore[arg-type]


def _changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_the_same_content_has_the_same_digest(registry: Registry) -> None:
    """Asked twice the answer is the same; what is not there is left out."""
    assert set(NAMES) == set(_digests(registry))
    assert _digests(registry) == _digests(registry)
    with registry.read() as snapshot:
        assert snapshot.content_digests(["nowhere"], TYPES) == {}


def test_a_new_dataset_changes_its_run_and_the_chains_that_have_it(registry: Registry) -> None:
    """Other runs, and other types, have nothing to do with it."""
    before = _digests(registry)
    with registry.write() as tx:
        tx.insert_datasets("flat", "a", detector_rows())

    assert before == _digests(registry)
    with registry.write() as tx:
        tx.insert_datasets("raw", "a", ONE.take([3]))

    assert _changed(before, _digests(registry)) == {"a", "all"}


def test_a_tag_that_goes_to_another_dataset_is_seen(registry: Registry) -> None:
    """Number and highest id may be the same; the sum of the ids is not."""
    before = _digests(registry)
    with registry.write() as tx:
        tx.disassociate("good", [FIRST[0]])
        tx.associate("good", [SECOND[0]])

    assert _changed(before, _digests(registry)) == {"good", "all"}


def test_another_validity_is_seen(registry: Registry) -> None:
    """A calibration that holds for another time is another answer."""
    before = _digests(registry)
    with registry.write() as tx:
        tx.decertify("calib", "bias", 50, 100)

    assert _changed(before, _digests(registry)) == {"calib", "all"}


def test_a_chain_is_what_it_searches_without_what_is_left_out(registry: Registry) -> None:
    """Another order is another search; a run that does not count may come and go."""
    before = _digests(registry, leave_out={"b"})
    with registry.write() as tx:
        tx.set_chain("all", ["b", "good", "a", "calib"])

    assert before == _digests(registry, leave_out={"b"})
    with registry.write() as tx:
        tx.set_chain("all", ["a", "good", "calib"])

    assert _changed(before, _digests(registry, leave_out={"b"})) == {"all"}
