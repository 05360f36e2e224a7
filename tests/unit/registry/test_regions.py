"""Regions on the sky, against the library's own and against the ground truth of the shared data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry.errors import UsageError
from registry.model import regions

sphgeom = pytest.importorskip("lsst.sphgeom")


def _read(path: Path, key: tuple[str, ...]) -> dict[tuple[object, ...], bytes]:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return {
        tuple(r[k] for k in key): bytes.fromhex(r["region"]["sphgeom_hex"]) for r in records if r["region"]
    }


@pytest.mark.parametrize("dataset", ["spatial", "ci_hsc", "hsc-rc2"])
def test_pixels_are_those_of_the_reference(shared: Path, dataset: str) -> None:
    """The htm7 pixels of each visit are exactly those that the field's own registry has."""
    folder = shared / "data" / dataset
    visits = _read(folder / "visit.jsonl", ("instrument", "id"))
    expected = {tuple(r) for r in json.loads((folder / "overlaps/visit-htm7.json").read_text())["rows"]}
    assert expected == {(p, *key) for key, region in visits.items() for p in regions.pixels(region)}


def test_overlaps_are_those_of_the_reference(shared: Path) -> None:
    """Visits and patches overlap exactly where the field's own registry says so: touching counts."""
    folder = shared / "data" / "spatial"
    visits = _read(folder / "visit.jsonl", ("instrument", "id"))
    patches = _read(folder / "patch.jsonl", ("skymap", "tract", "id"))
    known = json.loads((folder / "overlaps/visit-patch.json").read_text())
    columns = known["columns"]
    expected = {
        tuple(r[columns.index(c)] for c in ("instrument", "visit", "skymap", "tract", "patch"))
        for r in known["rows"]
    }
    found = {(*v, *p) for v, a in visits.items() for p, b in patches.items() if regions.overlaps(a, b)}
    assert expected == found


def test_overlaps_with_null_is_null() -> None:
    """A region that is not there neither overlaps nor fails to."""
    assert regions.overlaps(None, regions.encode_point(1, 2)) is None
    assert regions.overlaps(regions.encode_point(1, 2), None) is None


def test_longitudes_wrap() -> None:
    """A position may be given with any longitude."""
    assert regions.overlaps(regions.encode_point(-209.9, 2.2), regions.encode_circle(150.1, 2.2, 0.001))


def test_box_has_full_extents() -> None:
    """Width and height of a box are from edge to edge."""
    box = regions.encode_box(10, 0, 2, 4)
    assert regions.overlaps(box, regions.encode_point(10.99, 1.99))
    assert not regions.overlaps(box, regions.encode_point(11.01, 0))
    assert not regions.overlaps(box, regions.encode_point(10, 2.01))


def test_polygon_is_the_hull() -> None:
    """The order of a polygon's corners does not matter; its corners can be read back."""
    hull = regions.encode_polygon([(0, 0), (2, 2), (2, 0), (0, 2), (1, 1)])
    assert regions.overlaps(hull, regions.encode_point(1.9, 1))
    assert {(0, 0), (2, 0), (2, 2), (0, 2)} == {
        (round(a, 6), round(b, 6)) for a, b in regions.polygon_vertices(hull)
    }
    assert regions.polygon_vertices(regions.encode_circle(0, 0, 1)) == []


def test_from_text_reads_all_shapes() -> None:
    """The observatory's POS form gives circles, ranges and polygons."""
    point = regions.encode_point(150.1, 2.2)
    for text in (
        "CIRCLE 150.1 2.2 0.1",
        "RANGE 149 151 1 3",
        "RANGE -Inf +Inf -Inf 3",
        "POLYGON 150 2 150.2 2 150.2 2.4 150 2.4",
    ):
        assert regions.overlaps(regions.from_text(text), point), text


def test_nothing_is_in_a_region_of_negative_extent() -> None:
    """A region that ends before it begins is empty, as a timespan is, and no mistake."""
    point = regions.encode_point(1, 2)
    for text in ("CIRCLE 1 2 -1", "RANGE 1 2 5 3"):
        assert not regions.overlaps(regions.from_text(text), point)
    for empty in (
        regions.encode_circle(1, 2, -1),
        regions.encode_box(1, 2, -1, 1),
        regions.encode_box(1, 2, 1, -1),
    ):
        assert not regions.overlaps(empty, point)
        assert regions.pixels(empty) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "CIRCLE 1 2",
        "CIRCLE 1 2 x",
        "CIRCLE 1 95 1",
        "circle 1 2 3",
        "RANGE 1 2 nan 3",
        "POLYGON 1 2 3 4",
        "CIRCLE 1 2 nan",
    ],
)
def test_from_text_refuses(text: str) -> None:
    """What is no region is refused as a mistake of the caller."""
    with pytest.raises(UsageError):
        regions.from_text(text)


def test_points_beyond_the_pole_are_refused() -> None:
    """Latitudes do not wrap."""
    with pytest.raises(UsageError, match="beyond the pole"):
        regions.encode_point(0, 90.001)
    regions.encode_point(0, 90)


def test_a_polygon_without_hull_is_refused() -> None:
    """Too few points, or points on one great circle, have no convex hull."""
    with pytest.raises(UsageError, match="three points"):
        regions.encode_polygon([(0, 0), (1, 1)])
    with pytest.raises(UsageError, match="no convex hull"):
        regions.encode_polygon([(0, 0), (120, 0), (240, 0)])


def test_bytes_that_are_no_region_are_refused() -> None:
    """Damaged bytes give an error of ours."""
    with pytest.raises(UsageError, match="are not a region"):
        regions.pixels(b"nonsense")


def test_bounding_circle_holds_the_corners() -> None:
    """The bounding circle of a polygon reaches its corners."""
    lon, lat, radius = regions.bounding_circle(regions.encode_polygon([(10, 0), (12, 0), (11, 1)]))
    circle = regions.encode_circle(lon, lat, radius + 1e-9)
    assert all(regions.overlaps(circle, regions.encode_point(a, b)) for a, b in [(10, 0), (12, 0), (11, 1)])


def test_pixel_region_is_the_pixel() -> None:
    """The region of a pixel touches that pixel; a number that is none is refused."""
    assert 8 * 4**7 in regions.pixels(regions.pixel_region(8 * 4**7))
    with pytest.raises(UsageError, match="no pixel"):
        regions.pixel_region(3)
    with pytest.raises(UsageError, match="not a sky pixelisation"):
        regions.pixels(regions.encode_point(0, 0), "q3c")


def test_without_the_library_the_error_says_what_to_install() -> None:
    """Importing the module needs no sky library; the first region does, and says which extra has it."""
    program = (
        "import sys\n"
        "sys.modules['lsst.sphgeom'] = None\n"
        "from registry.model import regions\n"
        "from registry.errors import UsageError\n"
        "try:\n    regions.encode_point(1, 2)\n"
        "except UsageError as exc:\n    print(exc.code, exc.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("missing-package")
    assert "stage[astro]" in done.stdout
