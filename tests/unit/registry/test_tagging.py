"""TAGGED collections, what removal says, and dataset types that go."""

from __future__ import annotations

import pytest

from registry.errors import ConflictError, NotFoundError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.refs import id_text, new_id
from registry.registry import Registry
from tests.databases import Database
from tests.registry_builders import add_camera, dataset_type, detector_rows

ONE, OTHER = detector_rows(), detector_rows()
FIRST, SECOND = ONE["id"].tolist(), OTHER["id"].tolist()
CONFIG = Columns({"id": [new_id()]})


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with datasets of the same data IDs in runs a and b, and an empty TAGGED collection."""
    made = database.registry()
    with made.write() as tx:
        add_camera(tx)
        tx.register_dataset_type(dataset_type("raw", "detector"))
        tx.register_dataset_type(dataset_type("bias", "detector", is_calibration=True))
        tx.register_dataset_type(dataset_type("config"))
        for run, rows in (("a", ONE), ("b", OTHER)):
            tx.register_run(run)
            tx.insert_datasets("raw", run, rows)
        tx.insert_datasets("config", "a", CONFIG)
        tx.register_collection("good", CollectionType.TAGGED)
    return made


def test_tagged_datasets_are_found(registry: Registry) -> None:
    """Datasets of several types and runs are put in at once, again without harm, and found as those of their runs."""
    chosen = [FIRST[0], SECOND[1], CONFIG["id"][0]]
    with registry.write() as tx:
        tx.associate("good", chosen)
        tx.associate("good", [*chosen, *chosen])
        rows = tx.datasets("raw", ["good"], order_by=["detector"])
        assert [(FIRST[0], "a"), (SECOND[1], "b")] == rows.rows(("id", "run"))
        assert tx.datasets("config", ["good"])["id"].tolist() == [chosen[2]]
        ref = tx.find("raw", {"instrument": "Cam", "detector": 1}, ["good", "a"])
        assert ref is not None
        assert (SECOND[1], "b") == (ref.id, ref.run)


def test_a_data_id_is_tagged_once(registry: Registry) -> None:
    """A second dataset of a data ID is refused, naming both, unless it may take the first one's place."""
    with registry.write() as tx:
        tx.associate("good", FIRST[:2])
        with pytest.raises(
            ConflictError, match=r"'good' has another raw \{instrument=Cam, detector=1\}"
        ) as caught:
            tx.associate("good", [FIRST[3], SECOND[1], SECOND[0]])
        assert caught.value.code == "tag-taken"
        assert id_text(SECOND[1]) in str(caught.value)
        assert id_text(FIRST[1]) in str(caught.value)
        assert tx.datasets("raw", ["good"]).n_rows == 2
        tx.associate("good", [FIRST[3], SECOND[1]], replace=True)
        rows = tx.datasets("raw", ["good"], order_by=["detector"])
        assert [FIRST[0], SECOND[1], FIRST[3]] == rows["id"].tolist()


def test_two_of_one_data_id_are_refused_together(registry: Registry) -> None:
    """Even where datasets may be replaced, two of those given cannot both be in."""
    for replace in (False, True):
        with (
            registry.write() as tx,
            pytest.raises(ConflictError, match=r"two raw .* cannot both be in") as caught,
        ):
            tx.associate("good", [FIRST[2], FIRST[1], SECOND[1]], replace=replace)
        assert caught.value.code == "tag-twice"
        assert caught.value.context["ids"] == (FIRST[1], SECOND[1])


def test_tags_are_taken_away(registry: Registry) -> None:
    """Datasets leave the collection, not their runs; what is not in it is ignored."""
    with registry.write() as tx:
        tx.associate("good", [*FIRST, CONFIG["id"][0]])
        assert tx.disassociate("good", [FIRST[0], SECOND[1], new_id(), CONFIG["id"][0]]) == 2
        assert FIRST[1:] == tx.datasets("raw", ["good"], order_by=["detector"])["id"].tolist()
        assert set(FIRST) == tx.existing_ids(FIRST)


def test_only_tagged_collections_are_tagged(registry: Registry) -> None:
    """Other collections, and ids that are none, are named."""
    lost = new_id()
    with registry.write() as tx:
        tx.set_chain("chain", ["good"])
        for name, kind in (("a", "RUN"), ("chain", "CHAINED")):
            with pytest.raises(ConflictError, match=f"'{name}' is {kind}, not TAGGED"):
                tx.associate(name, FIRST[:1])
            with pytest.raises(ConflictError, match=f"'{name}' is {kind}, not TAGGED"):
                tx.disassociate(name, FIRST[:1])
        with pytest.raises(NotFoundError, match="no collection 'goood'") as caught:
            tx.associate("goood", FIRST[:1])
        assert "Did you mean 'good'?" in caught.value.hint
        assert "stage repo register-collection REPO goood --type TAGGED" in caught.value.hint
        with pytest.raises(NotFoundError, match=rf"no dataset {id_text(lost)} .*\(row 1\)"):
            tx.associate("good", [FIRST[0], lost])
        assert tx.datasets("raw", ["good"]).n_rows == 0


def test_removal_tells_all_that_refers_to_a_run(registry: Registry) -> None:
    """Chains and collections are named with numbers, in one error; the options let them go, one by one."""
    bias = detector_rows()
    with registry.write() as tx:
        tx.insert_datasets("bias", "a", bias)
        tx.register_collection("calib", CollectionType.CALIBRATION)
        tx.certify("calib", bias["id"].tolist()[:2])
        tx.certify("calib", bias["id"].tolist()[2:], None, 10)
        tx.certify("calib", bias["id"].tolist()[2:], 20, None)
        tx.associate("good", FIRST[:3])
        tx.set_chain("chain", ["b", "a"])
        told = r"searched by chain; datasets of it are in calib \(4\), good \(3\)"
        with pytest.raises(ConflictError, match=told) as caught:
            tx.remove_collection("a")
        assert caught.value.context == {"chains": ["chain"], "collections": {"calib": 4, "good": 3}}
        with pytest.raises(ConflictError, match=r"removed: datasets of it are in calib"):
            tx.remove_collection("a", unlink=True)
        with pytest.raises(ConflictError, match=r"removed: it is searched by chain$"):
            tx.remove_collection("a", purge=True)
        tx.remove_collection("a", unlink=True, purge=True)
        assert tx.collection("chain").children == ("b",)
        assert tx.datasets("raw", ["good"]).n_rows == 0
        assert tx.datasets("bias", ["calib"], find_first=False).n_rows == 0
        assert set(SECOND) == tx.existing_ids([*FIRST, *SECOND])


def test_removing_a_tagged_collection_leaves_its_datasets(registry: Registry) -> None:
    """A collection that owns nothing goes alone."""
    with registry.write() as tx:
        tx.associate("good", FIRST)
        tx.remove_collection("good")
        assert set(FIRST) == tx.existing_ids(FIRST)
        assert tx.collection_names("*") == ["a", "b"]


def test_a_dataset_type_goes_when_it_has_no_datasets(registry: Registry) -> None:
    """Until then it is told how many there are, and where."""
    with registry.write() as tx:
        tx.associate("good", FIRST[:3])
        with pytest.raises(
            ConflictError, match=r"'raw' cannot be .* in a \(4\), b \(4\), good \(3\)"
        ) as caught:
            tx.remove_dataset_type("raw")
        assert caught.value.code == "dataset-type-in-use"
        tx.delete_datasets([*FIRST, *SECOND])
        tx.remove_dataset_type("raw")
        assert [t.name for t in tx.dataset_types()] == ["bias", "config"]
        with pytest.raises(NotFoundError, match="no dataset type 'raw'"):
            tx.remove_dataset_type("raw")
        assert tx.register_dataset_type(dataset_type("raw", "detector", storage_class="Yaml"))


def test_summaries_tell_types_and_governors(registry: Registry) -> None:
    """Which types a collection holds and for which instruments, also of what is tagged or certified."""
    bias = detector_rows(n=1)
    with registry.write() as tx:
        add_camera(tx, "Other")
        tx.insert_datasets("raw", "b", detector_rows(name="Other"))
        tx.insert_datasets("bias", "b", bias)
        tx.associate("good", [CONFIG["id"][0]])
        tx.register_collection("calib", CollectionType.CALIBRATION)
        tx.certify("calib", bias["id"].tolist())
        tx.register_run("empty")
        names = ("collection", "dataset_type", "governor", "value")
        assert names == tx.collection_summary(["empty"]).names
        expected = [
            ("a", "config", "", ""),
            ("a", "raw", "instrument", "Cam"),
            ("b", "bias", "instrument", "Cam"),
            ("b", "raw", "instrument", "Cam"),
            ("b", "raw", "instrument", "Other"),
            ("calib", "bias", "instrument", "Cam"),
            ("good", "config", "", ""),
        ]
        assert expected == tx.collection_summary().rows()
        tx.set_chain("chain", ["good", "a"])
        assert expected[:2] + expected[-1:] == tx.collection_summary(["chain"]).rows()
