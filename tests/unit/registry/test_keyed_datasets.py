"""Datasets looked up by their data IDs, without the query language: what it would find, and statements of one form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import DataIdError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.registry import Registry
from registry.sql import keyed_datasets
from tests.databases import DATABASES, database_of
from tests.registry_builders import add_camera, dataset_type, detector_rows, new_registry

KEYS = Columns({"detector": [3, 0, 0, 99], "instrument": ["Cam"] * 4})


@pytest.fixture(params=DATABASES)
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """Raws in two runs, flats in one, some tagged, a bias that is certified, and chains of these."""
    with database_of(request, tmp_path) as database:
        made = database.registry()
        with made.write() as tx:
            fill(tx)
        yield made


def fill(tx: Any) -> None:
    """Put datasets into all kinds of collections."""
    add_camera(tx)
    for name in ("raw", "flat", "bias"):
        tx.register_dataset_type(dataset_type(name, "instrument", "detector", is_calibration=name == "bias"))
    for run in ("a", "b", "empty"):
        tx.register_run(run)
    tx.insert_datasets("raw", "a", detector_rows(artifacts=True, n=2))
    tx.insert_datasets("raw", "b", detector_rows(artifacts=True))
    tx.insert_datasets("flat", "b", detector_rows())
    tx.insert_datasets("bias", "b", detector_rows())
    tx.register_collection("tagged", CollectionType.TAGGED)
    tx.associate("tagged", tx.datasets("raw", ["a"])["id"].tolist())
    tx.register_collection("certified", CollectionType.CALIBRATION)
    tx.certify("certified", tx.datasets("bias", ["b"])["id"].tolist())


def both_ways(registry: Registry, kind: str, collections: list[str]) -> tuple[list[Any], list[Any]]:
    """Return what is found by key, and by an expression that says the same."""
    with registry.read() as snapshot:
        found = snapshot.datasets(kind, collections, table=KEYS, artifacts=True)
        asked = snapshot.datasets(
            kind, collections, where="instrument = 'Cam' AND detector IN (0, 3, 99)", artifacts=True
        )
    assert found.names == asked.names
    return sorted(found.rows(), key=repr), sorted(asked.rows(), key=repr)


@pytest.mark.parametrize(
    ("kind", "collections", "n"),
    [
        ("raw", ["a"], 1),
        ("raw", ["b"], 2),
        ("raw", ["empty", "b"], 2),
        ("raw", ["a", "b"], 2),
        ("raw", ["tagged"], 1),
        ("raw", ["tagged", "empty"], 1),
        ("raw", ["empty"], 0),
        ("flat", ["a", "b"], 2),
        ("flat", ["certified", "b"], 2),
        ("bias", ["b"], 2),
    ],
)
def test_what_is_found_is_what_the_query_language_finds(
    registry: Registry, kind: str, collections: list[str], n: int
) -> None:
    """In whatever collections they are, one or several of them, keys twice or unknown: the same rows."""
    found, asked = both_ways(registry, kind, collections)
    assert len(found) == n
    assert found == asked


def test_a_tagged_dataset_is_of_its_own_run(registry: Registry) -> None:
    """The collection that holds it is not the run that it is from."""
    with registry.read() as snapshot:
        found = snapshot.datasets("raw", ["tagged"], table=KEYS)
    assert found["run"].tolist() == ["a"]


def test_a_key_of_another_type_is_refused(registry: Registry) -> None:
    """As everywhere else."""
    with registry.read() as snapshot, pytest.raises(DataIdError):
        snapshot.datasets("raw", ["a"], table=Columns({"instrument": ["Cam"], "detector": ["one"]}))


def test_who_alone_decides(registry: Registry) -> None:
    """Only one collection that holds the type does, if neither times nor other dimensions have a say."""
    with registry.read() as snapshot:
        session, known = (
            snapshot._session,
            {e.name: e for e in snapshot._search(["a", "b", "empty", "certified"])},
        )
        raw, bias = (
            keyed_datasets_type(snapshot, name) for name in ("raw", "bias")
        )  # fmt: skip

        def holder(found: Any, *names: str, keys: Columns | None = KEYS) -> str | None:
            entry = keyed_datasets.only_holder(session, found, [known[n] for n in names], keys)
            return None if entry is None else entry.name

        assert holder(raw, "empty", "b") == "b"
        assert holder(raw, "a", "b") is None
        assert holder(raw, "a", keys=None) is None
        assert holder(raw, "a", keys=KEYS.select(["instrument"])) is None
        assert holder(bias, "certified") is None
        assert holder(bias, "certified", "empty") is None


def keyed_datasets_type(snapshot: Any, name: str) -> Any:
    """Return a dataset type as other tables refer to it."""
    from registry.sql.dataset_types import find_type

    return find_type(snapshot._session, name)


def test_questions_of_one_form_are_compiled_once(tmp_path: Path) -> None:
    """Another type of the same dimensions, another collection and other keys: the same text."""
    with new_registry(tmp_path / "r.sqlite3") as registry:
        with registry.write() as tx:
            fill(tx)
        with registry.read() as snapshot:
            known = snapshot._session.statements._forms
            snapshot.datasets("raw", ["a"], table=KEYS)
            first = set(known)
            snapshot.datasets("flat", ["b"], table=KEYS.select(["instrument", "detector"]))
            assert set(known) == first


def test_a_reader_leaves_no_table_behind(tmp_path: Path) -> None:
    """Rows that were handed over are gone when a reader ends, be it by an error within."""
    with new_registry(tmp_path / "r.sqlite3") as registry:
        with registry.write() as tx:
            fill(tx)
        driver = registry._database.driver
        for wrong in (False, True):
            with (
                pytest.raises(KeyError) if wrong else pytest.MonkeyPatch.context(),
                registry.read() as snapshot,
                snapshot._session.stash(KEYS.unique(), snapshot._session.schema.dimension_types(KEYS.names)),
            ):
                if wrong:
                    raise KeyError
            assert not registry._database.in_transaction
            assert driver.execute("SELECT name FROM sqlite_temp_schema WHERE type = 'table'").fetchall() in (
                [], [("sqlite_stat1",)]
            )  # fmt: skip


def test_dataset_types_by_their_names(registry: Registry) -> None:
    """Those that there are, whatever else is asked for; none of none."""
    with registry.read() as snapshot:
        found = snapshot.known_types(["raw", "none", "bias"])
        assert found == {name: snapshot.dataset_type(name) for name in ("bias", "raw")}
        assert snapshot.known_types([]) == {}
