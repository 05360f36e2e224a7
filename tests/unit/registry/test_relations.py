"""What relates dimensions in space and time, in universes of the user's own."""

from __future__ import annotations

from typing import Any

import pytest

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from registry.model.refs import new_ids
from registry.registry import Registry
from tests.databases import Database
from tests.regions import square

pytest.importorskip("lsst.sphgeom")

WEATHER = DimensionUniverse.from_yaml(
    """
name: weather
version: 1
common_skypix: htm6
elements:
  network: {key: {name: name, type: string}}
  station: {requires: [network], key: {name: id, type: int}, region: true}
  campaign: {requires: [network], key: {name: name, type: string}, timespan: true}
  hour: {requires: [network], key: {name: id, type: int}, timespan: true}
  storm:
    requires: [network]
    key: {name: id, type: int}
    metadata: {strength: int}
    region: true
    timespan: true
  gust: {requires: [network, storm], key: {name: id, type: int}, region: true, timespan: true}
skypix:
  htm: {min_level: 1, max_level: 10}
  healpix: {min_level: 0, max_level: 6}
spatial_families:
  weather: [storm, gust]
temporal_families:
  weather: [storm, gust]
  clock: [hour]
"""
)


@pytest.fixture
def registry(database: Database) -> Registry:
    """Three stations, two storms of which the first has gusts, two campaigns and three hours."""
    made = database.registry(universe=WEATHER)
    with made.write() as change:
        insert = change.insert_records
        insert("network", Columns({"network": ["n"]}))
        stations = Columns({"network": ["n"] * 3, "station": [1, 2, 3]})
        insert("station", stations.with_column("region", [square(0, 50, 0.1), square(3, 50, 0.1), None]))
        storms = Columns({"network": ["n"] * 2, "storm": [1, 2], "strength": [5, 9]})
        storms = storms.with_column("region", [square(0, 50, 1), square(3, 50, 3.2)])
        insert("storm", _spans(storms, (0, 20), (10, 30)))
        gusts = Columns({"network": ["n"] * 2, "storm": [1, 1], "gust": [1, 2]})
        gusts = gusts.with_column("region", [square(0, 50, 0.3), square(0.8, 50.8, 0.1)])
        insert("gust", _spans(gusts, (0, 5), (15, 20)))
        campaigns = Columns({"network": ["n"] * 3, "campaign": ["early", "late", "never"]})
        insert("campaign", _spans(campaigns, (0, 10), (20, 40), (None, None)))
        insert(
            "hour", _spans(Columns({"network": ["n"] * 3, "hour": [0, 1, 2]}), (0, 10), (10, 20), (20, 30))
        )
    return made


def _spans(rows: Columns, *spans: tuple[int | None, int | None]) -> Columns:
    begins, ends = zip(*spans, strict=True)
    return rows.with_column("timespan_begin", begins).with_column("timespan_end", ends)


def asked(registry: Registry, *dimensions: str, where: str = "", **options: Any) -> list[tuple[Any, ...]]:
    """Values of the data IDs found, the network apart."""
    group = WEATHER.group(dimensions)
    names = [n for n in group.required if n != "network"]
    with registry.read() as snapshot:
        return sorted(snapshot.data_ids(group, where=where, data_id={"network": "n"}, **options).rows(names))


def test_space_relates_families(registry: Registry) -> None:
    """Stations go with the storms over them, and with gusts where these take part; an element in no family is its own."""
    assert [("station",), ("storm", "gust")] == sorted(tuple(e.name for e in f) for f in WEATHER.on_sky)
    assert asked(registry, "station", "storm") == [(1, 1), (1, 2), (2, 2)]
    assert asked(registry, "station", "gust") == [(1, 1, 1)]
    assert asked(registry, "station", where="storm.strength > 6") == [(1,), (2,)]


def test_time_relates_families(registry: Registry) -> None:
    """Storms go with the campaigns that they fall into: half-open spans that have an instant in common."""
    assert asked(registry, "storm", "campaign") == [("early", 1), ("late", 2)]
    assert asked(registry, "gust", "campaign") == [("early", 1, 1)]
    assert asked(registry, "campaign", "hour") == [("early", 0), ("late", 2)]
    assert asked(registry, "campaign", where="storm.strength = 9") == [("late",)]


def test_space_and_time_together(registry: Registry) -> None:
    """Both relate a storm to what it meets; what has no timespan is related by none."""
    found = asked(registry, "station", "storm", "campaign")
    assert found == [(1, "early", 1), (1, "late", 2), (2, "late", 2)]
    assert asked(registry, "station", "campaign") == [
        (s, c) for s in (1, 2, 3) for c in ("early", "late", "never")
    ]


def test_three_families_meet_pairwise(registry: Registry) -> None:
    """Each two of them have an instant in common."""
    assert asked(registry, "storm", "campaign", "hour") == [("early", 0, 1), ("late", 2, 2)]


def test_what_a_question_says_of_time_replaces_what_is_automatic(registry: Registry) -> None:
    """Families whose timespans a condition compares, anywhere in it, are related by that alone."""
    text = "storm.timespan OVERLAPS campaign.timespan"
    assert asked(registry, "gust", "campaign", where=text) == [("early", 1, 1), ("early", 1, 2)]
    assert asked(registry, "storm", "campaign", where=f"NOT ({text})") == [("early", 2), ("late", 1)]
    assert asked(registry, "storm", "campaign", where="storm.timespan OVERLAPS (NULL, NULL)") == [
        ("early", 1), ("late", 2),
    ]  # fmt: skip


def test_datasets_relate_what_they_are_of(registry: Registry) -> None:
    """Where a dataset has both, neither space nor time is asked."""
    with registry.write() as change:
        change.register_run("run")
        for name, dims in (("damage", ("station", "storm")), ("plan", ("campaign", "storm"))):
            change.register_dataset_type(DatasetType(name, WEATHER.group(dims), "Json"))
        rows = Columns({"network": ["n"], "station": [3], "storm": [1]})
        change.insert_datasets("damage", "run", rows.with_column("id", new_ids(1)))
        rows = Columns({"network": ["n"], "campaign": ["never"], "storm": [1]})
        change.insert_datasets("plan", "run", rows.with_column("id", new_ids(1)))
    with registry.read() as snapshot:
        damage, plan = (snapshot.dataset_type(n) for n in ("damage", "plan"))
    assert asked(registry, "station", "storm", constrain=[(damage, ["run"])]) == [(3, 1)]
    assert asked(registry, "campaign", "storm", constrain=[(plan, ["run"])]) == [("never", 1)]
    listed = Columns({"network": ["n"], "station": [2], "storm": [1]})
    assert asked(registry, "station", "storm", table=listed) == [(2, 1)]


def test_pixels_of_another_common_level(registry: Registry) -> None:
    """A universe may name any common pixelisation; finer, coarser and other ones are joined as well."""
    for name in ("htm4", "htm6", "htm8", "healpix4"):
        found = asked(registry, "station", name, where="station = 1")
        assert found
        assert asked(
            registry, "station", where=f"{name} = {found[0][-1] if found[0][0] == 1 else found[0][0]}"
        )


def test_elements_that_fix_each_other_are_not_compared() -> None:
    """A gust has its storm, whatever their places: no table holds the two against each other."""
    universe = DimensionUniverse.from_yaml(
        """
name: apart
version: 1
elements:
  area: {key: {name: id, type: int}, region: true, timespan: true}
  spot: {requires: [area], key: {name: id, type: int}, region: true, timespan: true}
  visitor: {implies: [area], key: {name: id, type: int}, region: true}
"""
    )
    area, spot, visitor = (universe.element(n) for n in ("area", "spot", "visitor"))
    assert universe.fixes(spot, area)
    assert universe.fixes(visitor, area)
    assert not universe.fixes(area, spot)
    assert not universe.fixes(visitor, spot)
