"""Datasets: registered, found first, by id, counted, deleted; each batch in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from registry.errors import ConflictError, DataIdError, NotFoundError, QueryError, StageError, UsageError
from registry.model.collections import CollectionType
from registry.model.columns import Columns
from registry.model.records import Artifact
from registry.model.refs import new_id, new_ids
from registry.registry import Registry
from tests.databases import Database, ask, sent
from tests.registry_builders import UNIVERSE, VISITS, add_camera, dataset_type, detector_rows

NAMES = ("instrument", "detector", "id", "run")


@pytest.fixture
def registry(database: Database) -> Registry:
    """A registry with runs a and b and the dataset types `raw` (detector) and `image` (visit, detector)."""
    made = database.registry()
    with made.write() as tx:
        add_camera(tx)
        tx.register_dataset_type(dataset_type("raw", "detector"))
        tx.register_dataset_type(dataset_type("image", "visit", "detector"))
        tx.register_run("a")
        tx.register_run("b")
    return made


def statements(registry: Registry, act: Callable[[], object]) -> int:
    """Number of questions that `act` sends."""
    with sent(registry) as log:
        act()
    return sum("SELECT" in s for s in log)


def test_datasets_come_back_as_they_were_registered(registry: Registry) -> None:
    """Ids, runs and artifact records are those that went in."""
    rows = detector_rows(artifacts=True)
    with registry.write() as tx:
        assert tx.insert_datasets("raw", "a", rows) == 4
        found = tx.datasets("raw", ["a"], artifacts=True)

    assert (*NAMES, "uri", "size", "checksum", "formatter") == found.names
    assert sorted(rows.with_column("run", ["a"] * 4).rows(found.names)) == sorted(found.rows())


def test_no_artifact_record_is_null(registry: Registry) -> None:
    """A dataset without an artifact record is listed with nulls; a null uri makes no record."""
    rows = detector_rows(artifacts=True)
    rows = rows.with_column("uri", [None, "x", None, None])
    with registry.write() as tx:
        tx.insert_datasets("raw", "a", rows)
        found = tx.datasets("raw", ["a"], artifacts=True, order_by=["detector"])
        assert found["uri"].tolist() == [None, "x", None, None]
        assert found["size"].tolist() == [None, 11, None, None]
        assert tx.artifact(rows["id"][0]) is None
        assert Artifact("x", 11, "blake3:00", "json") == tx.artifact(rows["id"][1])
        tx.insert_artifacts(
            Columns(
                {
                    "id": rows["id"][:2],
                    "uri": ["y", "z"],
                    "size": [1, 2],
                    "checksum": ["", ""],
                    "formatter": ["f", "f"],
                }
            )
        )
        assert Artifact("z", 2, "", "f") == tx.artifact(rows["id"][1])
        with pytest.raises(NotFoundError, match="no dataset "):
            tx.insert_artifacts(
                Columns({"id": [new_id()], "uri": ["y"], "size": [1], "checksum": [""], "formatter": ["f"]})
            )


def test_the_first_in_the_search_path_is_found(registry: Registry) -> None:
    """Of equal data IDs the one whose collection comes first counts; without find-first all do."""
    first, second = detector_rows(n=2), detector_rows()
    with registry.write() as tx:
        tx.insert_datasets("raw", "a", first)
        tx.insert_datasets("raw", "b", second)
        tx.set_chain("chain", ["a", "b"])

        found = tx.datasets("raw", ["chain"], order_by=["detector"])
        assert [*first["id"], *second["id"][2:]] == found["id"].tolist()
        assert found["run"].tolist() == ["a", "a", "b", "b"]
        assert tx.datasets("raw", ["b", "a"])["run"].tolist() == ["b"] * 4
        assert tx.datasets("raw", ["chain"], find_first=False).n_rows == 6
        assert tx.datasets("raw", []).n_rows == 0

        ref = tx.find("raw", {"instrument": "Cam", "detector": 1}, ["chain"])
        assert ref is not None
        assert (first["id"][1], "a") == (ref.id, ref.run)
        ref = tx.find("raw", {"instrument": "Cam", "detector": "S3"}, ["chain"])
        assert ref is not None
        assert (second["id"][3], "b", 3) == (ref.id, ref.run, ref.data_id["detector"])
        assert ref == tx.dataset(ref.id)
        assert tx.find("raw", {"instrument": "Cam", "detector": 9}, ["chain"]) is None
        assert tx.find("image", {"instrument": "Cam", "detector": 1, "visit": 100}, ["chain"]) is None


def test_search_paths_may_be_long(registry: Registry) -> None:
    """A thousand runs are searched in order, by query and by data ID."""
    runs = [f"many/{i:04d}" for i in range(1000)]
    rows = detector_rows(n=1)
    with registry.write() as tx:
        for run in runs:
            tx.register_run(run)
        tx.insert_datasets("raw", runs[900], rows)
        tx.insert_datasets("raw", runs[950], detector_rows())
        ref = tx.find("raw", {"instrument": "Cam", "detector": 0}, ["many/*"])
        assert ref is not None
        assert (rows["id"][0], runs[900]) == (ref.id, ref.run)
        tx.set_chain("long", runs)
        found = tx.datasets("raw", ["long"], order_by=["detector"])
        assert [runs[900], *[runs[950]] * 3] == found["run"].tolist()
        with pytest.raises(UsageError, match="what is first in 'many/\\*' is not defined"):
            tx.datasets("raw", ["many/*"])
        assert tx.datasets("raw", ["many/*"], find_first=False).n_rows == 5
        assert rows["id"][0] != tx.datasets("raw", runs[::-1], order_by=["detector"])["id"][0]


def test_questions_narrow_datasets(registry: Registry) -> None:
    """Expressions on records, data IDs, tables, order and limit apply to datasets."""
    n = len(VISITS) * 4
    rows = Columns(
        {
            "instrument": ["Cam"] * n,
            "detector": [d for _ in VISITS for d in range(4)],
            "visit": [v for v in VISITS for _ in range(4)],
            "id": new_ids(n),
        }
    )
    with registry.write() as tx:
        tx.insert_datasets("image", "a", rows)
        assert tx.datasets("image", ["a"], where="visit.exposure_time > 45").n_rows == 4
        assert tx.datasets("image", ["a"], where="band = b", bind={"b": "g"}).n_rows == 8
        assert tx.datasets("image", ["a"], data_id={"instrument": "Cam", "detector": 2}).n_rows == 3
        table = Columns({"detector": [1, 2, 2], "visit": [100, 101, 101]})
        assert tx.datasets("image", ["a"], table=table, order_by=["visit"]).rows(["visit", "detector"]) == [
            (100, 1),
            (101, 2),
        ]
        top = tx.datasets("image", ["a"], order_by=["-visit", "detector"], limit=2)
        assert top.rows(["visit", "detector"]) == [(102, 0), (102, 1)]
        with pytest.raises(QueryError, match=r"unknown name 'vist\.exposure_time'"):
            tx.datasets("image", ["a"], where="vist.exposure_time > 45")


def test_data_ids_can_be_constrained_by_datasets(registry: Registry) -> None:
    """Only data IDs for which a dataset exists in the collections are kept; implied dimensions come along."""
    group = UNIVERSE.group(["visit", "detector"])
    raw = dataset_type("raw", "detector")
    with registry.write() as tx:
        assert tx.data_ids(group).n_rows == 12
        tx.insert_datasets("raw", "a", detector_rows(n=2))
        tx.insert_datasets("raw", "b", detector_rows(n=3))
        found = tx.data_ids(group, constrain=[(raw, ["a", "b"])], where="visit.exposure_time < 45")
        assert group.names == found.names
        assert {(v, d, b) for v, b in ((100, "g"), (101, "r")) for d in range(3)} == set(
            found.rows(["visit", "detector", "band"])
        )
        assert found.n_rows == 6
        assert tx.data_ids(group, constrain=[(raw, [])]).n_rows == 0
        with pytest.raises(NotFoundError, match="no dataset type 'flat'"):
            tx.data_ids(group, constrain=[(dataset_type("flat", "detector"), ["a"])])


def test_ids_are_looked_up_in_a_fixed_number_of_statements(registry: Registry) -> None:
    """Ten ids or some thousands, of several types and runs: the number of statements is the same."""
    image = Columns({"instrument": ["Cam"] * 3, "detector": [0] * 3, "visit": list(VISITS), "id": new_ids(3)})
    raw, other = detector_rows(artifacts=True), detector_rows()
    with registry.write() as tx:
        tx.insert_datasets("raw", "a", raw)
        tx.insert_datasets("raw", "b", other)
        tx.insert_datasets("image", "a", image)
        ids = [*raw["id"], *image["id"], *other["id"]]
        found = tx.datasets_by_id([*ids, *ids, *new_ids(2000)], artifacts=True)
        assert sorted(found) == ["image", "raw"]
        assert (*NAMES, "uri", "size", "checksum", "formatter") == found["raw"].names
        expected = [(i, "a") for i in raw["id"]] + [(i, "b") for i in other["id"]]
        assert sorted(expected) == found["raw"].rows(["id", "run"])
        assert image.rows() == found["image"].rows(image.names)
        few = statements(registry, lambda: tx.datasets_by_id(ids[:8]))
        assert few == statements(registry, lambda: tx.datasets_by_id([*ids, *new_ids(5000)]))

        assert set(ids) == tx.existing_ids([*ids, *new_ids(5000)])
        assert tx.datasets_by_id([]) == {}
        with pytest.raises(NotFoundError, match="no dataset "):
            tx.dataset(new_id())


def test_the_same_dataset_again_is_skipped(registry: Registry) -> None:
    """With `skip`, what is there with the same id, data ID and run is left alone, artifact record included."""
    rows = detector_rows(artifacts=True)
    with registry.write() as tx:
        tx.insert_datasets("raw", "a", rows.take(np.arange(2)))
        assert tx.insert_datasets("raw", "a", rows.with_column("uri", ["new"] * 4), on_existing="skip") == 2
        assert tx.datasets("raw", ["a"], artifacts=True, order_by=["detector"])["uri"].tolist() == [
            "0.json",
            "1.json",
            "new",
            "new",
        ]
        assert tx.insert_datasets("raw", "a", rows, on_existing="skip") == 0


@pytest.mark.parametrize("mode", ["error", "skip"])
def test_the_same_data_id_under_another_id_is_named(registry: Registry, mode: str) -> None:
    """A run has one dataset of a type and data ID: the error names the first with both ids."""
    rows = detector_rows()
    other = rows.with_column("id", [rows["id"][0], *new_ids(3)]).take(np.array([0, 2, 1]))
    with registry.write() as tx:
        tx.insert_datasets("raw", "a", rows)
        with pytest.raises(ConflictError, match=r"another raw \{instrument=Cam, detector=2\}") as caught:
            tx.insert_datasets("raw", "a", other, on_existing=mode)  # type: ignore[arg-type]
        assert caught.value.code == "dataset-exists"
        assert (other["id"][1], rows["id"][2]) == (
            caught.value.context["ours"],
            caught.value.context["theirs"],
        )
        assert set(rows["id"]) == tx.existing_ids([*rows["id"], *other["id"]])


def test_an_id_cannot_be_used_twice(registry: Registry) -> None:
    """The same id for another run, type or data ID is refused, skipped or not."""
    rows = detector_rows(n=1)
    moved = rows.with_column("detector", [3])
    image = rows.with_column("visit", [100])
    with registry.write() as tx:
        tx.insert_datasets("raw", "a", rows)
        for name, run, wrong in (("raw", "b", rows), ("raw", "a", moved), ("image", "a", image)):
            with pytest.raises(ConflictError, match=r"registered in .* already"):
                tx.insert_datasets(name, run, wrong)
            with pytest.raises(ConflictError, match="as something else") as caught:
                tx.insert_datasets(name, run, wrong, on_existing="skip")
            assert caught.value.code == "dataset-differs"
        assert tx.count_datasets().rows() == [("raw", "a", 1)]


def test_a_batch_that_repeats_itself_is_named(registry: Registry) -> None:
    """One data ID, or one id, twice in a batch says in which rows."""
    rows = detector_rows()
    with registry.write() as tx:
        with pytest.raises(ConflictError, match=r"detector=0\} is given twice \(rows 0 and 2\)"):
            tx.insert_datasets("raw", "a", rows.with_column("detector", [0, 1, 0, 3]))
        with pytest.raises(ConflictError, match=r"is given twice \(rows 1 and 3\)"):
            tx.insert_datasets("raw", "a", rows.with_column("id", [rows["id"][i] for i in (0, 1, 2, 1)]))
        with pytest.raises(ConflictError):
            tx.insert_datasets("raw", "a", rows.with_column("detector", [0, 1, 0, 3]), on_existing="skip")
        assert tx.count_datasets().rows() == []


def test_a_missing_record_is_named(registry: Registry) -> None:
    """A data ID of which a dimension record is missing says which, the first in the order of the rows."""
    with registry.write() as tx:
        with pytest.raises(
            DataIdError, match=r"no detector record \{instrument=Cam, detector=8\}.*'raw' dataset"
        ):
            tx.insert_datasets("raw", "a", detector_rows().with_column("detector", [0, 8, 7, 1]))
        with pytest.raises(DataIdError, match=r"no detector record \{instrument=Cat, detector=0\}"):
            tx.insert_datasets("raw", "a", detector_rows(name="Cat"))
        assert tx.count_datasets().rows() == []


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda rows: rows.select(["instrument", "id"]), DataIdError, "lack detector"),
        (lambda rows: rows.with_column("visit", [1] * 4), UsageError, "unknown column 'visit'"),
        (lambda rows: rows.with_column("id", ["x"] * 4), UsageError, "not a dataset id"),
        (lambda rows: rows.with_column("id", [b"x"] * 4), UsageError, "not a dataset id"),
        (lambda rows: rows.with_column("detector", ["one"] * 4), DataIdError, "expected an integer"),
        (lambda rows: rows.with_column("uri", ["u"] * 4), DataIdError, "lack size"),
    ],
)
def test_rows_of_the_wrong_form_are_refused(
    registry: Registry, change: Callable[[Columns], Columns], error: type[StageError], text: str
) -> None:
    """Columns, ids and types are checked before anything is written."""
    with registry.write() as tx, pytest.raises(error, match=text):
        tx.insert_datasets("raw", "a", change(detector_rows()))


def test_what_a_dataset_needs_must_exist(registry: Registry) -> None:
    """An unknown dataset type or run, or a collection that is no run, is named."""
    with registry.write() as tx:
        with pytest.raises(NotFoundError, match="no dataset type 'row'") as caught:
            tx.insert_datasets("row", "a", detector_rows())
        assert caught.value.hint == "Did you mean 'raw'?"
        with pytest.raises(NotFoundError, match="no collection 'c'"):
            tx.insert_datasets("raw", "c", detector_rows())
        tx.set_chain("chain", ["a"])
        with pytest.raises(ConflictError, match="'chain' is CHAINED, not RUN"):
            tx.insert_datasets("raw", "chain", detector_rows())


def test_a_dataset_type_is_defined_once(registry: Registry) -> None:
    """The same definition again is fine; another one is a conflict that tells the difference."""
    with registry.write() as tx:
        assert not tx.register_dataset_type(dataset_type("raw", "detector"))
        with pytest.raises(ConflictError, match="storage class: Yaml against Json") as caught:
            tx.register_dataset_type(dataset_type("raw", "detector", storage_class="Yaml"))
        assert caught.value.code == "dataset-type-differs"
        assert [t.name for t in tx.dataset_types()] == ["image", "raw"]
        assert [dataset_type("image", "visit", "detector")] == tx.dataset_types("im*")


def test_datasets_without_dimensions(registry: Registry) -> None:
    """A dataset type of no dimensions has one dataset a run, and takes part in everything."""
    config = dataset_type("config")
    group = UNIVERSE.group(["detector"])
    with registry.write() as tx:
        tx.register_dataset_type(config)
        first, second = new_ids(2)
        tx.insert_datasets("config", "a", Columns({"id": [first]}))
        tx.insert_datasets("config", "b", Columns({"id": [second]}))
        with pytest.raises(ConflictError, match="another config"):
            tx.insert_datasets("config", "a", Columns({"id": [new_id()]}))
        assert [(first, "a")] == tx.datasets("config", ["a", "b"]).rows()
        assert tx.datasets("config", ["a", "b"], find_first=False).n_rows == 2
        ref = tx.find("config", {}, ["b"])
        assert ref is not None
        assert (second, {}) == (ref.id, dict(tx.dataset(second).data_id))
        assert [(first, "a")] == tx.datasets_by_id([first])["config"].rows()
        assert tx.data_ids(group, constrain=[(config, ["a"])]).n_rows == 4
        assert tx.data_ids(group, constrain=[(config, [])]).n_rows == 0


def test_tagged_members_belong_to_their_run(registry: Registry) -> None:
    """A TAGGED collection is searched like a run, and each dataset says which run owns it."""
    rows = detector_rows()
    with registry.write() as tx:
        tx.insert_datasets("raw", "a", rows)
        tx.insert_datasets("raw", "b", detector_rows())
        tx.register_collection("chosen", CollectionType.TAGGED)
        tx.associate("chosen", rows["id"].tolist())
        assert [(i, "a") for i in rows["id"]] == sorted(tx.datasets("raw", ["chosen"]).rows(["id", "run"]))
        assert {"a"} == set(tx.datasets("raw", ["chosen", "b"])["run"].tolist())
        assert tx.datasets("raw", ["chosen", "a", "b"], find_first=False).n_rows == 12
        ref = tx.find("raw", {"instrument": "Cam", "detector": 2}, ["chosen", "b"])
        assert ref is not None
        assert (rows["id"][2], "a") == (ref.id, ref.run)
        assert tx.count_datasets(["chosen"]).rows() == [("raw", "chosen", 4)]
        assert sum(tx.count_datasets()["n"]) == 8
        tx.delete_datasets(rows["id"].tolist()[:1])
        assert tx.datasets("raw", ["chosen"]).n_rows == 3


def test_deletion_takes_everything_but_provenance(registry: Registry) -> None:
    """Deleted datasets are gone with tags and artifact records; unknown ids are ignored; quanta remember them."""
    rows = detector_rows(artifacts=True)
    first = rows["id"][0]
    with registry.write() as tx:
        tx.insert_datasets("raw", "a", rows)
        tx.insert_quantum_outputs(
            Columns({"quantum_id": [b"q" * 16], "dataset_id": [first], "connection": ["c"]})
        )
        tx.delete_datasets([first, new_id()])
        assert tx.count_datasets(["a"]).rows() == [("raw", "a", 3)]
        assert (None, set()) == (tx.artifact(first), tx.existing_ids([first]))
        assert [(first,)] == ask(registry, "SELECT dataset_id FROM quantum_output")
        tx.insert_datasets("raw", "a", rows.take(np.array([0])))


def test_counts_are_by_type_and_run(registry: Registry) -> None:
    """Chains are searched; without collections every run is counted."""
    with registry.write() as tx:
        tx.insert_datasets("raw", "a", detector_rows())
        tx.insert_datasets("raw", "b", detector_rows(n=1))
        tx.insert_datasets("image", "b", detector_rows(n=1).with_column("visit", [100]))
        tx.set_chain("chain", ["b"])
        assert tx.count_datasets().rows() == [("image", "b", 1), ("raw", "a", 4), ("raw", "b", 1)]
        assert tx.count_datasets(["chain"]).rows() == [("image", "b", 1), ("raw", "b", 1)]
        assert tx.count_datasets([]).names == ("dataset_type", "run", "n")


def test_dataset_types_of_the_same_dimensions_share_a_table(registry: Registry) -> None:
    """A new dataset type makes no table where one with its dimensions is there."""
    with registry.write() as tx:
        tx.register_dataset_type(dataset_type("flat", "detector"))
        tx.insert_datasets("raw", "a", detector_rows())
        tx.insert_datasets("flat", "a", detector_rows())

        assert ask(registry, "SELECT count(*) FROM tags_instrument_detector") == [(8,)]
