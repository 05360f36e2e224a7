"""``OVERLAPS`` between regions anywhere in a condition, against the same condition evaluated in plain Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from registry.errors import QueryError
from registry.model.columns import Columns
from registry.query.bind import bind
from registry.query.bound import Field
from registry.query.evaluate import evaluate
from registry.query.parser import parse
from registry.registry import Registry
from tests.databases import DATABASES, Database, sent
from tests.regions import UNIVERSE, patches, square, survey, visits

regions = pytest.importorskip("registry.model.regions")
pytest.importorskip("lsst.sphgeom")

SEEN = [square(10, 0), square(11, 0), square(12.5, 0, 0.3), None, square(40, 0), square(10.2, 0.2, 0.1)]
CELLS = [square(10.4, 0, 0.2), square(12.2, 0, 0.3), None, square(40.9, 0, 0.4), square(70, 0)]
GIVEN = {"instrument": "I", "skymap": "S"}


@pytest.fixture(scope="module", params=DATABASES)
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Visits, two of them with detectors, and patches: overlapping, touching, far away, and without a region."""
    folder: Path = tmp_path_factory.mktemp("overlaps")
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else ""
    database = Database(request.param, folder, server)
    made = database.registry()
    with made.write() as change:
        for element, rows in survey().items():
            change.insert_records(element, rows)
        change.insert_records("tract", Columns({"skymap": ["S"], "tract": [0], "region": [square(11, 0, 4)]}))
        change.insert_records("visit", visits(SEEN))
        change.insert_records("patch", patches(CELLS))
        keys = Columns({"instrument": ["I"] * 3, "detector": [0, 1, 0], "visit": [1, 1, 2]})
        detectors = [square(9.7, 0, 0.2), square(10.3, 0, 0.15), None]
        change.insert_records("visit_detector_region", keys.with_column("region", detectors))
    yield made
    database.drop()


def asked(registry: Registry, *dimensions: str, where: str = "", **options: Any) -> list[tuple[Any, ...]]:
    """Numbers of the data IDs found."""
    group = registry.universe.group(dimensions)
    names = [n for n in group.required if n not in {"instrument", "skymap", "tract"}]
    with registry.read() as snapshot:
        return sorted(snapshot.data_ids(group, where=where, data_id=GIVEN, **options).rows(names))


CONSTANT = [
    "visit.region OVERLAPS CIRCLE(10.0, 0.0, 0.7)",
    "POINT(12.5, 0.1) OVERLAPS visit.region",
    "visit.region OVERLAPS BOX(10.5, 0.0, 0.1, 0.1) OR visit = 5",
    "NOT (visit.region OVERLAPS CIRCLE(10.0, 0.0, 0.7))",
    "NOT (visit.region OVERLAPS CIRCLE(10.0, 0.0, 0.7)) AND visit > 2",
    "NOT (visit.region OVERLAPS POINT(200, 50))",
    "visit.region OVERLAPS POINT(200, 50) OR NOT (visit.region OVERLAPS POINT(40, 0))",
    "visit.region OVERLAPS :circle AND visit IN (1, 3..6)",
    "visit.region OVERLAPS CIRCLE(10, 0, 180)",
    "visit.region OVERLAPS POLYGON(9, -1, 11, -1, 11, 1, 9, 1) AND NOT (visit.region OVERLAPS POINT(10.2, 0.2))",
]


@pytest.mark.parametrize("text", CONSTANT)
def test_constant_regions(registry: Registry, text: str) -> None:
    """A visit is found exactly when the condition holds for its region; where that is null, it is unknown."""
    values = {"circle": regions.encode_circle(11.0, 0.0, 0.2)}
    root = bind(parse(text), UNIVERSE, UNIVERSE.group(["visit"]), values, data_id=GIVEN).root

    def met(visit: int, region: bytes | None) -> bool:
        row = {"visit": visit, "region": region}
        return evaluate(root, lambda f: row[f.column]) is True

    expected = [(v,) for v, region in enumerate(SEEN, 1) if met(v, region)]
    assert expected == asked(registry, "visit", where=text, bind=values)


PAIRS = [
    "visit.region OVERLAPS patch.region",
    "NOT (visit.region OVERLAPS patch.region)",
    "visit.region OVERLAPS patch.region OR visit = 5 AND patch = 0",
    "NOT (visit.region OVERLAPS patch.region) AND patch.region OVERLAPS CIRCLE(40, 0, 1)",
    "patch.region OVERLAPS visit.region AND NOT (visit.region OVERLAPS POINT(10.3, 0))",
    "visit.region OVERLAPS POINT(40, 0) OR patch.region OVERLAPS POINT(70, 0)",
]


@pytest.mark.parametrize("text", PAIRS)
def test_regions_of_two_elements(registry: Registry, text: str) -> None:
    """Two regions are compared anywhere in a condition; once a question says how they relate, nothing else does."""
    root = bind(parse(text), UNIVERSE, UNIVERSE.group(["visit", "patch"]), data_id=GIVEN).root
    automatic = "patch.region" not in text or "visit.region" not in text or " OR patch.region" in text

    def met(v: int, a: bytes | None, p: int, b: bytes | None) -> bool:
        row = {("visit", "visit"): v, ("visit", "region"): a, ("patch", "patch"): p, ("patch", "region"): b}

        def lookup(f: Field) -> Any:
            return row[f.element, f.column]

        return evaluate(root, lookup) is True and (not automatic or regions.overlaps(a, b) is True)

    expected = [(v, p) for (v, a), (p, b) in product(enumerate(SEEN, 1), enumerate(CELLS)) if met(v, a, p, b)]
    assert expected == asked(registry, "visit", "patch", where=text)


def test_regions_of_one_family(registry: Registry) -> None:
    """A detector's region is compared with that of its own visit, a region with itself: true unless it is null."""
    of_one = "visit.region OVERLAPS visit_detector_region.region"
    assert asked(registry, "visit", "detector", where=of_one) == [(0, 1), (1, 1)]
    assert asked(registry, "visit", where="visit.region OVERLAPS visit.region") == [
        (1,),
        (2,),
        (3,),
        (5,),
        (6,),
    ]
    assert asked(registry, "visit", where="NOT (visit.region OVERLAPS visit.region)") == []
    assert asked(registry, "patch", where="NOT (tract.region OVERLAPS patch.region)") == [(3,), (4,)]
    assert asked(registry, "patch", where="tract.region OVERLAPS patch.region") == [(0,), (1,)]


def test_an_explicit_overlap_replaces_the_automatic_one(registry: Registry) -> None:
    """Of two families that a question relates by less precise regions, the most precise ones are not related too."""
    assert asked(registry, "visit", "patch") == [(1, 0), (2, 0), (3, 1), (5, 3), (6, 0)]
    wide = asked(registry, "visit", "patch", where="visit.region OVERLAPS tract.region")
    assert list(product([1, 2, 3, 6], range(5))) == wide
    through = asked(
        registry, "visit", "detector", "patch", where="visit.region OVERLAPS patch.region AND patch = 0"
    )
    assert [(d, v, 0) for d, v in product(range(3), [1, 2, 6])] == through


def test_other_conditions_narrow_what_is_looked_at(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only records that share a pixel, and meet what else is said of them, are held to the exact test."""
    looked_at: list[int] = []
    exact = regions.touch

    def touch(a: Sequence[bytes], b: Sequence[bytes]) -> list[bool]:
        looked_at.append(len(a))
        found: list[bool] = exact(a, b)
        return found

    monkeypatch.setattr(regions, "touch", touch)
    assert asked(registry, "visit", where="visit.region OVERLAPS POINT(10, 0) AND visit < 2") == [(1,)]
    assert asked(registry, "visit", where="visit.region OVERLAPS POINT(40, 0)") == [(5,)]
    assert looked_at == [1, 1]


def test_a_region_of_many_pixels(registry: Registry) -> None:
    """A constant whose pixels make hundreds of ranges is handed over, and finds the same."""
    circle = regions.encode_circle(60, 0, 49.2)
    assert len(regions.pixel_ranges(circle)) > 100
    found = asked(registry, "visit", where="visit.region OVERLAPS wide", bind={"wide": circle})
    assert found == [(2,), (3,), (5,)]


def test_a_test_of_regions_costs_a_fixed_number_of_statements(registry: Registry) -> None:
    """One question for the candidates of each test, and one for the answer."""
    with registry.read() as snapshot, sent(registry) as statements:
        snapshot.data_ids(
            UNIVERSE.group(["visit"]), where="visit.region OVERLAPS POINT(10, 0)", data_id=GIVEN
        )
    assert sum("SELECT" in text.upper().split() for text in statements) <= 2


def test_pixels_have_regions(registry: Registry) -> None:
    """A pixel's region is compared with a constant and with records; a level says nothing that its pixels do not."""
    (pixel,) = regions.pixels(regions.encode_point(10.05, 0.13))
    found = asked(registry, "visit", "htm7", where="htm7.region OVERLAPS POINT(10.05, 0.13)")
    expected = [(pixel, v) for v, r in enumerate(SEEN, 1) if r and pixel in regions.pixels(r)]
    assert sorted(expected) == sorted((p, v) for v, p in found) or expected == found
    related = asked(registry, "visit", "htm7", where="visit.region OVERLAPS htm7.region")
    assert asked(registry, "visit", "htm7") == related
    both = "visit.region OVERLAPS htm7.region AND htm7.region OVERLAPS htm5.region"
    assert {p for p, *_ in asked(registry, "htm5", "visit", where=both)} == {
        p for p, *_ in asked(registry, "htm5", "visit")
    }


def test_two_constants_are_refused(registry: Registry) -> None:
    """They say nothing of the data."""
    with pytest.raises(QueryError, match="constant"):
        asked(registry, "visit", where="POINT(1, 2) OVERLAPS CIRCLE(1, 2, 3)")
