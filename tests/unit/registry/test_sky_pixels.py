"""Pixels of any pixelisation and level, joined with what touches them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import QueryError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from registry.registry import Registry
from tests.databases import DATABASES, Database
from tests.regions import UNIVERSE, patches, square, survey, visits

regions = pytest.importorskip("registry.model.regions")
pytest.importorskip("lsst.sphgeom")

SEEN = [square(10, 0, 0.3), square(10.5, 0.2, 0.3), square(50, 20, 0.1), None]
CELLS = [square(10.3, 0, 0.2), square(50, 20.3, 0.3)]
GIVEN = {"instrument": "I", "skymap": "S"}


@pytest.fixture(scope="module", params=DATABASES)
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Three visits with regions, and datasets of sky pixels that two of them touch."""
    folder: Path = tmp_path_factory.mktemp("pixels")
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else ""
    database = Database(request.param, folder, server)
    made = database.registry()
    with made.write() as change:
        for element, rows in survey().items():
            change.insert_records(element, rows)
        change.insert_records("tract", Columns({"skymap": ["S"], "tract": [0], "region": [square(11, 0, 4)]}))
        change.insert_records("visit", visits(SEEN))
        change.insert_records("patch", patches(CELLS))
        change.register_run("shards")
        change.register_dataset_type(DatasetType("catalogue", UNIVERSE.group(["htm9"]), "Json"))
        shards = [regions.pixels(SEEN[0], "htm9")[0], regions.pixels(SEEN[2], "htm9")[-1], 8 * 4**9]
        change.insert_datasets("catalogue", "shards", Columns({"htm9": shards, "id": new_ids(3)}))
    yield made
    database.drop()


def asked(registry: Registry, *dimensions: str, where: str = "", **options: Any) -> list[tuple[Any, ...]]:
    """Numbers of the data IDs found: pixels last."""
    group = registry.universe.group(dimensions)
    names = [n for n in group.required if n not in {"instrument", "skymap", "tract"}]
    with registry.read() as snapshot:
        given = {n: v for n, v in GIVEN.items() if n in group} | options.pop("data_id", {})
        return sorted(snapshot.data_ids(group, where=where, data_id=given, **options).rows(names))


def touched(skypix: str) -> list[tuple[int, int]]:
    """Each visit with each pixel that the library says it touches."""
    return sorted((v, p) for v, r in enumerate(SEEN, 1) if r for p in regions.pixels(r, skypix))


@pytest.mark.parametrize("skypix", ["htm3", "htm7", "htm8", "htm10", "healpix0", "healpix5", "healpix8"])
def test_every_level_of_every_pixelisation(registry: Registry, skypix: str) -> None:
    """Pixels coarser and finer than the common ones, and of the other kind, are those that the library names."""
    assert touched(skypix) == asked(registry, "visit", skypix)


@pytest.mark.parametrize("skypix", ["htm3", "htm7", "htm10", "healpix6"])
def test_a_pixel_chooses_what_touches_it(registry: Registry, skypix: str) -> None:
    """Given by the condition, in a list or by the data ID, it leaves the records that touch it; no pixel, none."""
    pixels = [p for _, p in touched(skypix)]
    for pixel in {pixels[0], pixels[-1]}:
        expected = [(v,) for v, p in touched(skypix) if p == pixel]
        assert expected == sorted({(v,) for v, *_ in asked(registry, "visit", where=f"{skypix} = {pixel}")})
        assert expected == sorted({(v,) for v, *_ in asked(registry, "visit", data_id={skypix: pixel})})
    two = asked(registry, "visit", where=f"{skypix} IN ({pixels[0]}, {pixels[-1]}, 1)")
    assert sorted({(v,) for v, p in touched(skypix) if p in (pixels[0], pixels[-1])}) == two
    assert asked(registry, "visit", where=f"{skypix} = 3") == [(v,) for v, p in touched(skypix) if p == 3]


def test_a_pixel_of_the_finest_level(registry: Registry) -> None:
    """What would be far too many pixels for all records is quickly answered for one."""
    (inside,) = regions.pixels(regions.encode_point(10.01, 0.01), "htm20")[:1]
    assert asked(registry, "visit", where=f"htm20 = {inside}") == [(1,)]
    (inside,) = regions.pixels(regions.encode_point(50.001, 20.001), "healpix17")[:1]
    assert asked(registry, "visit", where=f"healpix17 IN ({inside})") == [(3,)]
    assert asked(registry, "visit", where=f"htm24 = {8 * 4**24}") == []


def test_too_many_pixels_are_refused(registry: Registry) -> None:
    """The error says how many there would be, of what, and what to do; narrowed down, it is answered."""
    with pytest.raises(QueryError, match=r"3 'visit' records touch about .* pixels of 'htm19'") as caught:
        asked(registry, "visit", "htm19")
    assert caught.value.code == "query-too-many-pixels"
    assert "coarser" in caught.value.hint
    assert asked(registry, "visit", "htm13", where="visit = 3") == [
        (3, p) for p in regions.pixels(square(50, 20, 0.1), "htm13")
    ]


def test_several_levels_of_one_pixelisation(registry: Registry) -> None:
    """A coarser pixel is the one that holds the finer one."""
    expected = [(v, p >> 14, p >> 4, p) for v, p in touched("htm9")]
    found = asked(registry, "visit", "htm9", "htm7", "htm2")
    assert sorted(expected) == sorted((v, *sorted(rest)) for v, *rest in found)


def test_two_pixelisations_touch_each_other(registry: Registry) -> None:
    """With both, each pixel touches the visit, and the other pixel."""
    found = asked(registry, "visit", "htm8", "healpix6", where="visit = 3")
    here = [p for v, p in touched("htm8") if v == 3]
    there = {p for v, p in touched("healpix6") if v == 3}
    near = {p: set(regions.pixels(regions.pixel_region(p, "htm8"), "healpix6")) for p in here}
    assert sorted((3, p, q) for p in here for q in there & near[p]) == found


def test_pixels_touch_both_regions(registry: Registry) -> None:
    """A visit and a patch that overlap are found with each common pixel that both touch."""
    found = asked(registry, "visit", "patch", "htm7")
    expected = [
        (v, p, t)
        for v, a in enumerate(SEEN, 1)
        for p, b in enumerate(CELLS)
        if a and regions.overlaps(a, b)
        for t in set(regions.pixels(a)) & set(regions.pixels(b))
    ]
    assert sorted(expected) == found


def test_pixels_of_datasets_choose_records(registry: Registry) -> None:
    """Datasets of fine pixels are found with the visits that touch these, and no other pixels are made."""
    with registry.read() as snapshot:
        catalogue = snapshot.dataset_type("catalogue")
        group = UNIVERSE.group(["visit", "htm9"])
        found = snapshot.data_ids(group, constrain=[(catalogue, ["shards"])], data_id={"instrument": "I"})
        shards = set(snapshot.datasets("catalogue", ["shards"])["htm9"].tolist())
        one = snapshot.datasets("catalogue", ["shards"], where="visit = 3", data_id={"instrument": "I"})
    expected = sorted((v, p) for v, p in touched("htm9") if p in shards)
    assert expected == sorted(found.rows(["visit", "htm9"]))
    assert [p for v, p in expected if v == 3] == one["htm9"].tolist()


def test_pixels_alone_are_refused(registry: Registry) -> None:
    """Pixels without anything on the sky beside them are not listed; they have no records either."""
    for name in ("htm7", "healpix9"):
        with pytest.raises(QueryError, match="something on the sky"):
            asked(registry, name)
    with registry.read() as snapshot, pytest.raises(QueryError, match="no records"):
        snapshot.records("htm9")
