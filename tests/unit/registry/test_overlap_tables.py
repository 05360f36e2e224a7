"""Which records overlap which: noted when they are inserted, whichever comes first."""

from __future__ import annotations

from itertools import product

import pytest
import sqlalchemy as sa

from registry.errors import ConflictError
from registry.model.columns import Columns
from registry.model.dimensions import DimensionUniverse
from registry.registry import Registry
from registry.sql.schema import Schema
from tests.databases import Database, ask, sent
from tests.regions import UNIVERSE, patches, square, survey, visits

regions = pytest.importorskip("registry.model.regions")
pytest.importorskip("lsst.sphgeom")


@pytest.fixture
def registry(database: Database) -> Registry:
    """A camera and a sky map, without anything that has a region but one tract."""
    made = database.registry()
    with made.write() as change:
        for element, rows in survey().items():
            change.insert_records(element, rows)
        change.insert_records("tract", Columns({"skymap": ["S"], "tract": [0], "region": [square(2, 0, 3)]}))
    return made


def pairs(registry: Registry, a: str = "visit", b: str = "patch") -> list[tuple[int, ...]]:
    """What is noted of two elements: their own numbers."""
    return sorted(ask(registry, f'SELECT "{a}", "{b}" FROM overlap_{a}_{b}'))


@pytest.mark.parametrize("visits_first", [True, False])
def test_either_order_of_insertion_notes_the_same(registry: Registry, visits_first: bool) -> None:
    """A pair is found when the second of the two comes; touching counts, a missing region does not."""
    seen = visits([square(0, 0), square(1, 0), None, square(40, 0)])
    cells = patches([square(0.5, 0, 0.1), square(1.75, 0, 0.25), square(90, 0)])
    steps = [("visit", seen), ("patch", cells)]
    for element, rows in steps if visits_first else steps[::-1]:
        with registry.write() as change:
            change.insert_records(element, rows)

    assert [(1, 0), (2, 0), (2, 1)] == pairs(registry)
    assert [(1, 0), (2, 0)] == pairs(registry, "visit", "tract")


def test_all_families_are_held_against_each_other(registry: Registry) -> None:
    """The regions of visits and of their detectors each have tables with patches and with tracts."""
    with registry.write() as change:
        change.insert_records("patch", patches([square(0, 0), square(1, 0)]))
        change.insert_records("visit", visits([square(0.5, 0, 1)]))
        of = Columns({"instrument": ["I"] * 2, "detector": [0, 1], "visit": [1, 1]})
        both = of.with_column("region", [square(-0.2, 0, 0.2), square(1.2, 0, 0.2)])
        change.insert_records("visit_detector_region", both)

    found = ask(registry, "SELECT detector, patch FROM overlap_visit_detector_region_patch ORDER BY 1, 2")
    assert [(0, 0), (1, 1)] == [tuple(r) for r in found]
    assert 2 == len(ask(registry, "SELECT * FROM overlap_visit_detector_region_tract"))
    assert {"visit_tract", "visit_patch", "visit_detector_region_tract", "visit_detector_region_patch"} == {
        t.name.removeprefix("overlap_") for t in Schema(UNIVERSE).pairs.values()
    }


@pytest.mark.parametrize("mode", ["skip", "compare"])
def test_what_is_not_inserted_overlaps_nothing_new(registry: Registry, mode: str) -> None:
    """Of records that exist the old region counts, and only new ones are looked at."""
    with registry.write() as change:
        change.insert_records("patch", patches([square(0, 0), square(20, 0)]))
        change.insert_records("visit", visits([square(0, 0)]))
        again = visits([square(0, 0) if mode == "compare" else square(20, 0), square(20.2, 0)])
        assert 1 == change.insert_records("visit", again, on_existing=mode)  # type: ignore[arg-type]

    assert [(1, 0), (2, 1)] == pairs(registry)


def test_a_failed_insert_notes_nothing(registry: Registry) -> None:
    """Pairs are part of the insertion that found them: they go when it fails, and with their records."""
    with registry.write() as change:
        change.insert_records("patch", patches([square(0, 0)]))
        change.insert_records("visit", visits([square(0, 0)]))
        with pytest.raises(ConflictError):
            change.insert_records("visit", Columns.concat([visits([square(0.1, 0)], 2), visits([None])]))
    assert [(1, 0)] == pairs(registry)
    with registry.write() as change:
        change._session.execute(sa.delete(change._session.schema.dimension("visit")))

    assert [] == pairs(registry)


def test_many_records_cost_a_fixed_number_of_statements(registry: Registry) -> None:
    """Insertion of records with regions is set-wise: ten of them take as many statements as a thousand."""
    with registry.write() as change:
        change.insert_records("patch", patches([square(x, 0, 0.6) for x in range(10)]))
        counts = []
        for n, first in ((10, 1), (1000, 100)):
            with sent(registry) as statements:
                change.insert_records("visit", visits([square(i % 11, 0, 0.3) for i in range(n)], first))
            # SQLite's own account has a line for each row of one INSERT.
            counts.append(sum(not text.startswith("INSERT") for text in statements))

    assert counts[1] <= counts[0] + 4


WEATHER = """
name: weather
version: 1
elements:
  network: {key: {name: name, type: string}}
  station: {requires: [network], key: {name: id, type: int}, region: true}
  storm: {requires: [network], key: {name: id, type: int}, region: true}
"""


def test_families_that_share_a_dimension_meet_only_within_it(database: Database) -> None:
    """Records of two networks are in no data ID together, and so are no pair; no common pixelisation is needed."""
    universe = DimensionUniverse.from_yaml(WEATHER)
    with database.registry(universe=universe) as registry:
        with registry.write() as change:
            change.insert_records("network", Columns({"network": ["n", "o"]}))
            for element in ("station", "storm"):
                rows = Columns({"network": ["n", "o"], element: [1, 1]})
                change.insert_records(element, rows.with_column("region", [square(0, 0), square(0.1, 0)]))
        with registry.read() as snapshot:
            found = snapshot.data_ids(universe.group(["station", "storm"]))

    assert [("n", 1, 1), ("o", 1, 1)] == sorted(found.rows())


def test_names_of_tables_fit_every_database() -> None:
    """Long names, and names that another table has, give way to a digest; each pair has a table of its own."""
    long = "a" * 40, "b" * 40
    elements = "".join(
        f"  {n}: {{key: {{name: id, type: int}}, region: true}}\n" for n in (*long, "x", "y", "x_y")
    )
    universe = DimensionUniverse.from_yaml(f"name: long\nversion: 1\nelements:\n{elements}")
    schema = Schema(universe)
    made = [t.name for t in schema.pairs.values()]

    assert len(list(product(range(5), range(5)))) // 2 - 2 == len(made) == len(set(made))
    indexes = [str(i.name) for t in schema.pairs.values() for i in t.indexes]
    assert max(map(len, [*made, *indexes])) <= 63
    assert "overlap_x_y" not in made
