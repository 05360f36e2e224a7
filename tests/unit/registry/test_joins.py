"""Which tables a question joins, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from registry.errors import QueryError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse, default_universe
from registry.model.refs import new_ids
from registry.model.regions import encode_polygon
from registry.query.parser import MAX_DEPTH, MAX_TERMS
from registry.registry import Registry
from registry.sql.joins import data_id_query
from tests.databases import DATABASES, Database

UNIVERSE = default_universe()

pytest.importorskip("lsst.sphgeom")


def _text(registry: Registry, *dimensions: str, **kwargs: Any) -> str:
    with (
        registry.read() as snapshot,
        data_id_query(snapshot._session, UNIVERSE.group(dimensions), **kwargs) as statement,
    ):
        return str(statement.compile(dialect=sqlite.dialect()))


def _tables(registry: Registry, *dimensions: str, **kwargs: Any) -> list[str]:
    text = _text(registry, *dimensions, **kwargs)
    return sorted(set(re.findall(r"\b(?:dim|overlap)_[a-z_]*[a-z]", text)))


def _square(lon: float, lat: float, half: float) -> bytes:
    return encode_polygon(
        [
            (lon - half, lat - half),
            (lon + half, lat - half),
            (lon + half, lat + half),
            (lon - half, lat + half),
        ]
    )


@pytest.fixture(scope="module", params=DATABASES)
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Two visits of two detectors over two patches of one tract; visit 2 has no filter and no region."""
    folder: Path = tmp_path_factory.mktemp("joins")
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else ""
    database = Database(request.param, folder, server)
    made = database.registry()
    with made.write() as change:
        _fill(change)
    yield made
    database.drop()


def _fill(change: Any) -> None:
    insert = change.insert_records
    insert("instrument", Columns({"instrument": ["I", "J"]}))
    insert(
        "physical_filter",
        Columns({"instrument": ["I"] * 3, "physical_filter": ["R1", "G1", "a1"], "band": ["r", "g", "g"]}),
    )
    insert("day_obs", Columns({"instrument": ["I"], "day_obs": [20200101]}))
    insert("group", Columns({"instrument": ["I", "I"], "group": ["a", "b"]}))
    insert("detector", Columns({"instrument": ["I", "I"], "detector": [0, 1], "full_name": ["d0", "d1"]}))
    visit = {
        "instrument": ["I", "I"],
        "visit": [1, 2],
        "day_obs": [20200101, 20200101],
        "physical_filter": ["R1", None],
    }
    insert(
        "visit",
        Columns({**visit, "name": ["v1", "v2"], "region": [_square(1, 0, 1), None], "seq_num": [5, None]}),
    )
    exposure = {
        "instrument": ["I", "I"],
        "exposure": [11, 12],
        "day_obs": [20200101, 20200101],
        "group": ["a", "b"],
    }
    insert("exposure", Columns({**exposure, "physical_filter": ["R1", "G1"], "obs_id": ["o1", "o2"]}))
    insert("visit_definition", Columns({"instrument": ["I"], "exposure": [11], "visit": [1]}))
    of_detectors = {"instrument": ["I", "I"], "detector": [0, 1], "visit": [1, 1]}
    insert(
        "visit_detector_region",
        Columns({**of_detectors, "region": [_square(0.5, 0, 0.4), _square(1.5, 0, 0.4)]}),
    )
    insert("skymap", Columns({"skymap": ["S"], "hash": [b"s"]}))
    insert("tract", Columns({"skymap": ["S"], "tract": [3], "region": [_square(1, 0, 2)]}))
    cells = {"skymap": ["S", "S"], "tract": [3, 3], "patch": [0, 1], "cell_x": [0, 1], "cell_y": [0, 0]}
    insert("patch", Columns({**cells, "region": [_square(0.5, 0, 0.5), _square(1.5, 0, 0.45)]}))
    change.register_run("run")
    for name, dims in (("calexp", ("visit", "detector")), ("pair", ("visit", "patch")), ("config", ())):
        change.register_dataset_type(DatasetType(name, UNIVERSE.group(dims), "Json"))
    rows = {"instrument": ["I", "I"], "detector": [0, 1], "visit": [1, 2]}
    change.insert_datasets("calexp", "run", Columns({**rows, "id": new_ids(2)}))
    pairs = {
        "instrument": ["I", "I"],
        "visit": [1, 2],
        "skymap": ["S", "S"],
        "tract": [3, 3],
        "patch": [0, 1],
    }
    change.insert_datasets("pair", "run", Columns({**pairs, "id": new_ids(2)}))


def _ids(
    registry: Registry, *dimensions: str, constrain: tuple[str, ...] = (), **kwargs: Any
) -> list[tuple[Any, ...]]:
    group = registry.universe.group(dimensions)
    with registry.read() as snapshot:
        there = [(snapshot.dataset_type(n), ["run"]) for n in constrain]
        found = snapshot.data_ids(group, constrain=there, **kwargs)
        return sorted(found.rows([n for n in group.required if n not in {"instrument", "skymap"}]))


def test_tables_are_joined_only_where_needed(registry: Registry) -> None:
    """A visit's own table and the filter's, for its band; the instrument's only for its metadata."""
    assert _tables(registry, "visit") == ["dim_physical_filter", "dim_visit"]
    assert _tables(registry, "visit", columns=["visit"], where="visit.exposure_time > 3") == ["dim_visit"]
    assert _tables(registry, "visit", columns=["visit"], where="class_name = 'x'") == [
        "dim_instrument",
        "dim_visit",
    ]
    assert _tables(registry, "visit", "detector", columns=["visit", "detector"]) == [
        "dim_detector",
        "dim_visit",
    ]
    assert [
        t
        for t in _tables(registry, "visit", "exposure", columns=["visit", "exposure"])
        if t != "dim_exposure"
    ] == ["dim_visit", "dim_visit_definition"]


def test_the_most_precise_regions_are_joined(registry: Registry) -> None:
    """Patches meet a visit's own region, and with detectors those of its detectors; tracts are not used beside patches."""
    assert "overlap_visit_patch" in _tables(registry, "visit", "patch")
    both = {t for t in _tables(registry, "visit", "detector", "patch") if t.startswith("overlap")}
    assert both == {"overlap_visit_detector_region_patch"}


def test_unique_rows_are_not_made_distinct(registry: Registry) -> None:
    """DISTINCT, which sorts, is left out where the keys of the joined tables already forbid repetition."""
    assert "DISTINCT" not in _text(registry, "visit", "detector")
    assert "DISTINCT" in _text(registry, "visit", where="detector.raft = 'x'")
    assert "DISTINCT" in _text(registry, "visit", columns=["band"])


def test_unrelated_dimensions_are_crossed(registry: Registry) -> None:
    """Visits and detectors of one instrument go together in all ways."""
    assert _ids(registry, "visit", "detector") == [(0, 1), (0, 2), (1, 1), (1, 2)]


def test_null_in_an_implied_dimension_hides_no_row(registry: Registry) -> None:
    """A visit without filter is still a visit: its filter and band are null."""
    with registry.read() as snapshot:
        found = snapshot.data_ids(UNIVERSE.group(["visit"]), order_by=["visit"])
    assert found.rows(["visit", "physical_filter", "band"]) == [(1, "R1", "r"), (2, None, None)]
    assert _ids(registry, "visit", where="band = NULL") == [(2,)]
    assert _ids(registry, "visit", where="band = 'r'") == [(1,)]


def test_exposures_and_visits_go_together_by_definition(registry: Registry) -> None:
    """The relation of visits and exposures joins in whenever both take part, asked for or only named."""
    assert _ids(registry, "exposure", "visit") == [(11, 1)]
    assert _ids(registry, "exposure", where="visit.seq_num = 5") == [(11,)]


def test_regions_relate_visits_and_patches(registry: Registry) -> None:
    """The visit overlaps both patches, each of its detectors only its own; what has no region overlaps nothing."""
    assert _ids(registry, "visit", "patch") == [(1, 3, 0), (1, 3, 1)]
    assert _ids(registry, "visit", "detector", "patch") == [(0, 1, 3, 0), (1, 1, 3, 1)]
    assert _ids(registry, "visit", where="patch.cell_x = 1") == [(1,)]


def test_datasets_constrain_data_ids(registry: Registry) -> None:
    """Only data IDs of datasets that exist are found, also through further dimensions."""
    assert _ids(registry, "visit", "detector", constrain=("calexp",)) == [(0, 1), (1, 2)]
    assert _ids(registry, "visit", constrain=("calexp",)) == [(1,), (2,)]
    assert _ids(registry, "patch", constrain=("calexp",)) == [(3, 0)]


def test_datasets_that_relate_regions_replace_the_test_of_overlap(registry: Registry) -> None:
    """Where datasets have both a visit and a patch, that they exist relates the two, overlap or not."""
    assert _ids(registry, "visit", "patch", constrain=("pair",)) == [(1, 3, 0), (2, 3, 1)]


def test_the_empty_data_id_is_there_once(registry: Registry) -> None:
    """No dimensions make one data ID, if the condition can be met and the datasets exist."""
    group = UNIVERSE.empty
    with registry.read() as snapshot:
        assert snapshot.data_ids(group).n_rows == 1
        assert snapshot.data_ids(group, where="instrument = 'I'").n_rows == 1
        assert snapshot.data_ids(group, where="instrument = 'X'").n_rows == 0
        assert snapshot.data_ids(group, constrain=[(snapshot.dataset_type("config"), ["run"])]).n_rows == 0


def test_a_table_of_data_ids_keeps_to_its_rows(registry: Registry) -> None:
    """Rows given, twice or unknown, choose among what exists; a column that is no dimension is refused."""
    table = Columns({"instrument": ["I", "I", "I"], "visit": [1, 1, 99]})
    assert _ids(registry, "visit", "detector", table=table) == [(0, 1), (1, 1)]
    with pytest.raises(Exception, match="exposure_time"):
        _ids(registry, "visit", table=Columns({"exposure_time": [1.0]}))


def test_order_and_limit(registry: Registry) -> None:
    """Rows are ordered by what was asked, nulls first, then by their keys; a limit takes the first."""
    with registry.read() as snapshot:
        group = UNIVERSE.group(["visit", "detector"])
        found = snapshot.data_ids(group, order_by=["-visit.seq_num", "-detector"], limit=3)
        assert found.rows(["visit", "detector"]) == [(1, 1), (1, 0), (2, 1)]
        found = snapshot.data_ids(UNIVERSE.group(["visit"]), where="patch.cell_x >= 0", order_by=["seq_num"])
        assert found.rows(["visit"]) == [(1,)]
        assert snapshot.data_ids(group, limit=0).n_rows == 0


def test_nulls_come_first_and_last_in_the_reverse(registry: Registry) -> None:
    """Of metadata, of implied dimensions and of times, whether rows are made distinct or not."""
    both, again = [1, 2], [2, 1]
    with registry.read() as snapshot:

        def visits(term: str, where: str = "", *dimensions: str) -> list[int]:
            group = UNIVERSE.group(["visit", *dimensions])
            found = snapshot.data_ids(group, where=where, order_by=[term])["visit"].tolist()
            return list(dict.fromkeys(found))

        every = "detector.raft = NULL"
        for term in ("visit.seq_num", "physical_filter", "band"):
            for where, more in (("", ()), (every, ()), ("", ("detector",))):
                assert visits(term, where, *more) == again, term
                assert visits(f"-{term}", where, *more) == both, term
        assert visits("visit.timespan.begin") == both
        assert visits("-visit.timespan.begin") == both


def test_text_is_ordered_by_its_characters(registry: Registry) -> None:
    """Capitals before small letters, in every database and whatever its language."""
    with registry.read() as snapshot:
        found = snapshot.records("physical_filter")["physical_filter"].tolist()
        assert found == ["G1", "R1", "a1"]
        group = UNIVERSE.group(["physical_filter"])
        ordered = snapshot.data_ids(group, order_by=["-physical_filter"])["physical_filter"].tolist()
        assert ordered == found[::-1]
        assert snapshot.data_ids(group, where="physical_filter > 'Z' AND instrument = 'I'").n_rows == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("seq_num / 2 = 2.5", True), ("seq_num / 2 > 2", True), ("seq_num % 3 = 2", True),
        ("(0 - seq_num) % 3 = 0 - 2", True), ("seq_num % (0 - 3) = 2", True), ("(0 - seq_num) / 2 = 0.0 - 2.5", True),
        ("seq_num / 0 = 1", False), ("NOT (seq_num / 0 = 1)", False), ("seq_num % 0 = 0", False),
        ("(seq_num / 0) = NULL", True), ("seq_num * 3 / 2 = 7.5", True), ("exposure_time / 0.0 > 1.0", False),
    ],
)  # fmt: skip
def test_arithmetic_is_the_same_in_every_database(registry: Registry, text: str, found: bool) -> None:
    """Division is true division, the remainder has the sign of the dividend, and by zero both are null."""
    where = f"({text}) AND instrument = 'I' AND visit = 1"
    assert found is bool(_ids(registry, "visit", where=where))


def test_records_of_one_element(registry: Registry) -> None:
    """Records come in order of their keys, of relations and of views too."""
    with registry.read() as snapshot:
        found = snapshot.records("visit", where="instrument = 'I' AND visit > 0")
        assert UNIVERSE.element("visit").record_columns == found.names
        assert found["visit"].tolist() == [1, 2]
        assert snapshot.records(
            "visit_detector_region", where="detector.full_name = 'd0' AND instrument='I'"
        ).rows(["instrument", "detector", "visit"]) == [("I", 0, 1)]
        assert snapshot.records("band").rows() == [("g",), ("r",)]
        assert snapshot.records("instrument", where="patch.cell_x = 1 AND visit.seq_num = 5")[
            "instrument"
        ].tolist() == ["I"]


def test_sky_pixels_join_what_has_a_region(registry: Registry) -> None:
    """Pixels of the common pixelisation, or a coarser level of it, are those that a region touches."""
    fine = _ids(registry, "visit", "htm7")
    coarse = _ids(registry, "visit", "htm5")
    assert {(v, p >> 4) for v, p in fine} == set(coarse)
    assert _ids(registry, "visit", where=f"htm7 = {fine[0][1]}") == [(1,)]
    with pytest.raises(QueryError, match="something on the sky"):
        _text(registry, "htm7")
    with pytest.raises(QueryError, match="no records"), registry.read() as snapshot:
        snapshot.records("htm7")


@pytest.mark.parametrize(
    "text",
    [
        "NOT (seq_num = 1 AND " * (MAX_DEPTH // 2 - 2) + "seq_num = 2" + ")" * (MAX_DEPTH // 2 - 2),
        "seq_num = 1 AND (seq_num = 2 OR (" * (MAX_DEPTH // 2 - 2)
        + "seq_num = 2"
        + "))" * (MAX_DEPTH // 2 - 2),
        "(seq_num / " * (MAX_DEPTH // 2 - 1) + "seq_num" + ")" * (MAX_DEPTH // 2 - 1) + " = 1",
        "(seq_num - " * (MAX_DEPTH - 2) + "seq_num" + ")" * (MAX_DEPTH - 2) + " IN (1..9:2, 40, NULL)",
        " OR ".join(["seq_num = 1"] * (MAX_TERMS // 2)),
        " OR ".join([f"seq_num IN ({', '.join(map(str, range(30)))})"] * (MAX_TERMS // 2)),
        f"seq_num IN ({', '.join(f'{i}..{i + 3}:2' for i in range(MAX_TERMS - 2))})",
        f"seq_num IN ({', '.join(map(str, range(40_000)))})",
    ],
)
def test_whatever_is_read_the_database_can_answer(registry: Registry, text: str) -> None:
    """The deepest, widest and longest expressions that are read are within what the database takes."""
    with registry.read() as snapshot:
        found = snapshot.data_ids(UNIVERSE.group(["visit"]), where=text, order_by=["-exposure_time"], limit=5)
    assert found.n_rows <= 2


def test_a_universe_without_sky(tmp_path: Path) -> None:
    """A user's own universe needs neither instruments nor a sky; implied values must agree between dimensions."""
    universe = DimensionUniverse.from_yaml(
        """
        name: lab
        version: 1
        elements:
          lab: {key: {name: name, type: string}}
          bench: {requires: [lab], key: {name: id, type: int}}
          sample: {requires: [lab], implies: [bench], key: {name: id, type: int}, metadata: {mass: float}}
          probe: {requires: [lab], implies: [bench], key: {name: id, type: int}}
        """
    )
    with Registry.create(f"sqlite:///{tmp_path / 'r.sqlite3'}", universe) as made:
        with made.write() as change:
            change.insert_records("lab", Columns({"lab": ["L"]}))
            change.insert_records("bench", Columns({"lab": ["L", "L"], "bench": [1, 2]}))
            change.insert_records(
                "sample", Columns({"lab": ["L"] * 3, "sample": [1, 2, 3], "bench": [1, 1, 2]})
            )
            change.insert_records("probe", Columns({"lab": ["L"] * 2, "probe": [7, 8], "bench": [1, 2]}))
        with made.read() as snapshot:
            found = snapshot.data_ids(universe.group(["sample", "probe"]), order_by=["sample", "probe"])
            assert found.rows(["sample", "probe", "bench"]) == [(1, 7, 1), (2, 7, 1), (3, 8, 2)]
            assert snapshot.data_ids(universe.group(["sample"]), where="lab = 'L' AND bench = 2").rows(
                ["sample"]
            ) == [(3,)]
