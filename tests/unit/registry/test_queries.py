"""The chainable query: what it answers, on each kind of database, and in which forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from registry.errors import DataIdError, NotFoundError, QueryError, UsageError
from registry.model.columns import Columns
from registry.model.refs import DatasetRef, new_ids
from registry.queries.query import Query
from registry.registry import Registry
from registry.snapshot import query_of
from tests.databases import Database
from tests.registry_builders import UNIVERSE, add_camera, dataset_type, detector_rows

FLAT_A, FLAT_B = detector_rows(artifacts=True), detector_rows(n=2)
RAW = Columns({"instrument": ["Cam"] * 3, "visit": [100, 101, 101], "detector": [0, 0, 1], "id": new_ids(3)})


@pytest.fixture
def registry(database: Database) -> Iterator[Registry]:
    """One camera; flats of 4 detectors in run a and of 2 in run b; raws of 2 of 3 visits."""
    with Registry.create(database.url(), UNIVERSE) as made:
        with made.write() as tx:
            add_camera(tx)
            for name, dimensions in (("raw", ("visit", "detector")), ("flat", ("detector",)), ("config", ())):
                tx.register_dataset_type(dataset_type(name, *dimensions))
            for run in ("a", "b", "empty"):
                tx.register_run(run)
            tx.insert_datasets("flat", "a", FLAT_A)
            tx.insert_datasets("flat", "b", FLAT_B)
            tx.insert_datasets("raw", "a", RAW)
            tx.insert_datasets("config", "a", Columns({"id": new_ids(1)}))
        yield made


@pytest.fixture
def query(registry: Registry) -> Query:
    """Ask that registry."""
    return query_of(registry)


def test_a_query_is_put_together_step_by_step(query: Query) -> None:
    """Expressions, values, datasets and a table all hold; each step leaves the query before it as it was."""
    cam = query.where(instrument="Cam")
    long = cam.where("visit.exposure_time > :t", t=30)
    with_raw = long.join_dataset("raw", ["a"])
    listed = with_raw.table({"detector": [1, 3], "instrument": ["Cam", "Cam"]})

    def found(asked: Query) -> list[tuple[Any, ...]]:
        return [
            tuple(d.values_tuple[1:])
            for d in asked.data_ids(["visit", "detector"]).order_by("visit", "detector")
        ]

    assert 12 == cam.data_ids(["visit", "detector"]).count()
    assert [(d, v) for v in (101, 102) for d in range(4)] == found(long)
    assert [(0, 101), (1, 101)] == found(with_raw)
    assert [(1, 101)] == found(listed)


def test_a_name_is_a_value_or_a_dimension(query: Query) -> None:
    """What an expression asks for is its value, any other name a dimension; a typo is neither."""
    assert [101] == [d["visit"] for d in query.where("visit = :v", v=101, instrument="Cam").data_ids("visit")]
    assert 1 == query.where("instrument = :i AND visit > least", i="Cam", least=101).data_ids("visit").count()
    with pytest.raises(UsageError, match="'instrumnt' is neither") as error:
        query.where("visit > 1", instrumnt="Cam")
    assert "instrument" in error.value.hint
    with pytest.raises(UsageError, match="':visit' has the name of what is asked for"):
        query.where("visit = :visit", visit=101)


def test_several_expressions_all_hold_and_keep_their_own_words(query: Query) -> None:
    """An OR in one binds no weaker than what joins them, and an error shows the one that it is in."""
    either = query.where("visit = 100 OR visit = 101", instrument="Cam").where("visit.exposure_time > 30")
    wrong = query.where("instrument = 'Cam'").where("visit > 1 AND bnad = 'r'")

    assert [101] == either.data_ids("visit").to_columns()["visit"].tolist()
    with pytest.raises(QueryError) as error:
        wrong.data_ids("visit").count()
    assert "visit > 1 AND bnad = 'r'" == error.value.expression
    assert str(error.value).endswith("\n  visit > 1 AND bnad = 'r'\n                ^")


def test_an_expression_that_cannot_be_read_is_refused_at_once(query: Query) -> None:
    """Brackets that close what another expression opened do not get far enough to do so."""
    with pytest.raises(QueryError):
        query.where("instrument = 'Cam') OR (visit = 1")


def test_values_that_contradict_are_refused(query: Query) -> None:
    """One name has one value, in expressions as in data IDs."""
    with pytest.raises(DataIdError, match="instrument is 'Cam' already, and cannot be 'Other' too"):
        query.where(instrument="Cam").where({"instrument": "Other"})
    with pytest.raises(UsageError, match="':t' is 1 already, and cannot be 2 too"):
        query.where("visit > :t", t=1).where("visit < :t", t=2)
    with pytest.raises(UsageError, match="one table"):
        query.table({"visit": [1]}).table({"visit": [2]})
    with pytest.raises(DataIdError, match="'visit' can have no default"):
        query.default_data_id(visit=5)


def test_defaults_hold_where_nothing_else_is_said(query: Query) -> None:
    """A default instrument stands in for one that is not named, and gives way to one that is."""
    asked = query.default_data_id(instrument="Cam")

    assert 1 == asked.where("visit = 101").data_ids("visit").count()
    assert 0 == asked.where("visit = 101 AND instrument = 'Other'").data_ids("visit").count()


def test_records_can_be_held_to_datasets(query: Query) -> None:
    """Records of detectors for which a raw exists, each once, in the order asked for."""
    asked = query.join_dataset("raw").records("detector").order_by("-detector")

    assert ["S1", "S0"] == [r["full_name"] for r in asked]
    assert 2 == asked.count()
    assert [("Cam", 3)] == query.records("detector").order_by("-full_name").limit(1).to_columns().rows(
        ["instrument", "detector"]
    )


def test_one_dataset_type_may_be_joined_twice(query: Query) -> None:
    """Data IDs with a flat in each of two runs."""
    asked = query.join_dataset("flat", "a").join_dataset("flat", "b")

    assert [0, 1] == sorted(asked.data_ids("detector").to_columns()["detector"].tolist())
    assert [0, 1] == sorted(
        asked.datasets("raw", ["a"]).order_by("visit").to_columns()["detector"].tolist()[1:]
    )


def test_datasets_are_found_first_where_there_is_a_path(query: Query) -> None:
    """With collections the first of each data ID counts, without any all datasets of all runs."""
    first = query.datasets("flat", ["b", "a"]).order_by("detector")

    assert ["b", "b", "a", "a"] == [ref.run for ref in first]
    assert 6 == query.datasets("flat").count()
    assert 6 == query.datasets("flat", ["a", "b"], find_first=False).count()
    assert 0 == query.datasets("flat", []).count()
    with pytest.raises(UsageError, match="depends on a search path"):
        query.datasets("flat", find_first=True)


def test_datasets_are_references(query: Query) -> None:
    """Iterating gives references with type, data ID and run."""
    ref = query.where(instrument="Cam", visit=100).datasets("raw").one()

    assert isinstance(ref, DatasetRef)
    assert (RAW["id"][0], "raw", "a") == (ref.id, ref.dataset_type.name, ref.run)
    assert {"instrument": "Cam", "detector": 0, "visit": 100} == dict(ref.data_id)


def test_datasets_of_several_types_come_as_one_table(query: Query) -> None:
    """The type is a column, and dimensions that a type lacks are null; a limit holds over all."""
    found = query.datasets("*", artifacts=True).to_columns()

    assert ("dataset_type", "instrument", "detector", "visit", "id", "run") == found.names[:6]
    assert ["config"] + ["flat"] * 6 + ["raw"] * 3 == found["dataset_type"].tolist()
    assert [None, "Cam"] == found["instrument"].tolist()[:2]
    assert ["config", "flat"] == [r.dataset_type.name for r in query.datasets("*").limit(2)]
    assert 8 == query.datasets(["raw", "flat"]).limit(8).count()
    assert 0 == query.datasets("nothing*").count()
    assert [] == query.datasets("nothing*").rows()


def test_artifacts_come_with_datasets(query: Query) -> None:
    """With artifacts each row says where the file is, null where there is none."""
    found = query.datasets("flat", ["b", "a"], artifacts=True).order_by("detector").to_columns()

    assert [None, None, "2.json", "3.json"] == found["uri"].tolist()


def test_any_and_one_look_no_further(query: Query) -> None:
    """Whether there is a row; and the only row, or an error that says what there is instead."""
    visits = query.where(instrument="Cam").data_ids("visit")

    assert visits.any()
    assert not visits.limit(0).any()
    assert not query.where("visit > 500", instrument="Cam").data_ids("visit").any()
    with pytest.raises(UsageError, match="more rows than the one"):
        visits.one()
    with pytest.raises(NotFoundError, match="has no rows"):
        query.where("visit > 500", instrument="Cam").data_ids("visit").one()
    with pytest.raises(UsageError, match="less than no rows"):
        visits.limit(-1)


def test_order_and_limit(query: Query) -> None:
    """Falling order, ties by the keys, and a limit without order by the keys."""
    visits = query.where(instrument="Cam").data_ids("visit")

    assert [102, 101, 100] == [d["visit"] for d in visits.order_by("-visit.exposure_time")]
    assert [101, 100, 102] == [d["visit"] for d in visits.order_by("-band")]
    assert [100, 101] == [d["visit"] for d in visits.limit(2)]
    assert [(100,)] == visits.order_by("visit").limit(1).to_columns().rows(["visit"])
    assert 2 == visits.order_by("visit.exposure_time").limit(2).count()


def test_the_data_id_of_no_dimensions(query: Query) -> None:
    """There is one, unless a dataset that must exist does not."""
    assert [()] == query.data_ids([]).rows()
    assert 1 == query.join_dataset("config").data_ids([]).count()
    assert [] == list(query.join_dataset("config", "b").data_ids([]))


def test_data_ids_with_records(query: Query) -> None:
    """Records come set-wise: each data ID has those of its dimensions, and columns have their values."""
    asked = query.where(instrument="Cam").data_ids(["visit", "detector"]).order_by("visit").with_records()
    first = next(iter(asked.limit(1)))

    assert {"instrument", "physical_filter", "detector", "day_obs", "visit"} == set(first.records)
    assert (30.0, "g") == (first.records["visit"]["exposure_time"], first.records["physical_filter"]["band"])
    columns = asked.to_columns()
    assert [30.0] * 4 + [40.0] * 4 + [50.0] * 4 == columns["visit.exposure_time"].tolist()
    assert {"GUIDE", "SCIENCE"} == set(columns["detector.purpose"].tolist())


def test_a_record_that_is_not_there_is_left_out(registry: Registry) -> None:
    """A visit without filter has no record of one: null in columns, and not among its records."""
    with registry.write() as tx:
        visit = {"instrument": ["Cam"], "visit": [900], "day_obs": [20240101], "physical_filter": [None]}
        tx.insert_records("visit", Columns({**visit, "name": ["dark"], "exposure_time": [1.0]}))
    asked = query_of(registry).where(instrument="Cam").data_ids("visit").with_records()
    found = {d["visit"]: d.records for d in asked}

    assert "physical_filter" not in found[900]
    assert "r" == found[101]["physical_filter"]["band"]


def test_tables_of_other_libraries(query: Query) -> None:
    """Arrow and pandas have the same rows, with types also where nothing is found."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    flats = query.datasets("flat", ["a"]).order_by("detector")
    nothing = query.where(instrument="Cam", detector=77).datasets("flat").to_arrow()

    assert flats.to_arrow().column("detector").to_pylist() == [0, 1, 2, 3]
    assert flats.to_arrow().column("id").to_pylist() == FLAT_A["id"].tolist()
    assert flats.to_arrow().schema.types == nothing.schema.types
    assert flats.to_pandas()["run"].tolist() == ["a"] * 4
    assert [(0,), (2,)] == query.table(
        flats.to_arrow().select(["detector", "instrument"]).take([0, 2])
    ).records("detector").to_columns().rows(["detector"])
    assert 1 == query.table(flats.to_pandas()[["detector", "instrument"]][:1]).records("detector").count()


def test_tables_of_data_ids_are_checked(query: Query) -> None:
    """Columns are dimensions and values have their types, before anything is asked."""
    with pytest.raises(DataIdError, match="no dimension 'visot'"):
        query.table({"visot": [1]})
    with pytest.raises(DataIdError, match="expected an integer"):
        query.table({"visit": ["x"]})
    with pytest.raises(UsageError, match="columns of unequal length"):
        query.table({"visit": [1], "detector": [1, 2]})
    with pytest.raises(UsageError, match="cannot be a int"):
        query.table(5)
    with pytest.raises(UsageError, match="does not read files"):
        query.table("there.csv")


def test_what_is_named_must_exist(query: Query) -> None:
    """Unknown dimensions at once; dataset types and collections when the result is read."""
    with pytest.raises(DataIdError, match="no dimension 'visot'"):
        query.data_ids("visot")
    with pytest.raises(NotFoundError, match="no dataset type 'flta'"):
        query.datasets("flta").count()
    with pytest.raises(NotFoundError, match="no collection 'c'"):
        query.datasets("flat", "c").to_columns()


def test_a_loop_may_ask_again(registry: Registry) -> None:
    """Nothing is open within a loop over a result: the same registry answers, and can be written."""
    seen = []
    for ref in query_of(registry).datasets("flat", ["b"]):
        with registry.write() as tx:
            seen.append(tx.dataset(ref.id).run)

    assert ["b", "b"] == seen


def test_a_snapshot_asks_within_its_own_state(registry: Registry) -> None:
    """All results of one snapshot are of one state; afterwards they cannot be read."""
    with registry.read() as snapshot:
        asked = snapshot.query().where(instrument="Cam").data_ids("visit")

        assert 3 == asked.count() == len(list(asked))
    with pytest.raises(UsageError, match="has ended"):
        asked.count()


def test_one_select_answers(query: Query, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows there are, each way to read a result is one SELECT of them."""
    from registry.sql.session import Session

    seen: list[str] = []
    fetch = Session.fetch

    def counted(self: Session, statement: Any, **parameters: Any) -> Columns:
        text = str(statement)
        seen.extend(["x"] if "dim_visit" in text or "tags_" in text else [])
        return fetch(self, statement, **parameters)

    monkeypatch.setattr(Session, "fetch", counted)
    visits = query.where("visit.exposure_time > 1", instrument="Cam").data_ids("visit")
    flats = query.datasets("flat", ["a"])
    for read in (visits.to_columns, visits.count, visits.any, flats.rows, flats.count, flats.any):
        seen.clear()
        read()

        assert ["x"] == seen
