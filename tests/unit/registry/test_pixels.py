"""Sky pixels of many regions at once are those that the library finds one by one."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from registry.model import pixels, regions

pytest.importorskip("lsst.sphgeom")


def one_by_one(encoded: Sequence[bytes], skypix: str) -> list[tuple[int, int]]:
    """What the library says of each region."""
    return [(i, p) for i, region in enumerate(encoded) for p in regions.pixels(region, skypix)]


def at_once(encoded: Sequence[bytes], skypix: str) -> list[tuple[int, int]]:
    """What is said of all together."""
    return list(zip(*(a.tolist() for a in pixels.pixel_rows(encoded, skypix)), strict=True))


def polygons(seed: int, size: float, count: int) -> list[bytes]:
    """Random polygons, many of them at poles, meridians and edges of trixels."""
    rng = random.Random(seed)
    out: list[bytes] = []
    while len(out) < count:
        lon = rng.choice([rng.uniform(0, 360), rng.uniform(0, 360), rng.choice([0, 45, 90, 180, 270])])
        lat = rng.choice([np.degrees(np.arcsin(rng.uniform(-1, 1))), rng.choice([0, 45, -45, 89.5, -89.9])])
        wide = size / max(0.02, np.cos(np.radians(lat)))
        corners = [
            (lon + rng.uniform(-wide, wide), min(90, max(-90, lat + rng.uniform(-size, size))))
            for _ in range(rng.choice([3, 4, 4, 6]))
        ]
        out.append(regions.encode_polygon(corners))
    return out


@pytest.mark.parametrize("skypix", ["htm7", "htm4", "htm9", "healpix4"])
@pytest.mark.parametrize("size", [0.05, 0.3, 2.0])
def test_pixels_of_random_polygons(size: float, skypix: str) -> None:
    """Small and large polygons, with corners on edges of pixels too, have exactly the library's pixels."""
    encoded = polygons(7, size, 400)
    assert one_by_one(encoded, skypix) == at_once(encoded, skypix)


@pytest.mark.parametrize("dataset", ["spatial", "ci_hsc", "hsc-rc2-ext", "lsstcam"])
def test_pixels_of_real_regions(shared: Path, dataset: str) -> None:
    """Visits, detectors, tracts and patches of real surveys have exactly the library's pixels."""
    found = []
    for path in sorted((shared / "data" / dataset).glob("*.jsonl")):
        records = (json.loads(line) for line in path.read_text().splitlines())
        found += [bytes.fromhex(r["region"]["sphgeom_hex"]) for r in records if r.get("region")]
    encoded = list(dict.fromkeys(found))
    assert one_by_one(encoded, "htm7") == at_once(encoded, "htm7")


def test_most_polygons_of_a_survey_need_no_library() -> None:
    """Of small squares nearly all are decided without it: the others touch an edge within rounding."""
    encoded = [
        regions.encode_polygon([(x, y), (x + 0.2, y), (x + 0.2, y + 0.2), (x, y + 0.2)])
        for x, y in ((i * 0.37 % 360, -60 + i * 0.11 % 60) for i in range(2000))
    ]
    ((index, corners),) = pixels._polygons(encoded)
    known, _, _ = pixels._trixels(corners, 7)
    assert len(index) == 2000
    assert len(known) > 1950


def test_other_shapes_are_left_to_the_library() -> None:
    """Circles, boxes, concave or flat hulls and polygons of the library's own making come out the same."""
    squares = polygons(3, 0.2, 60)
    bent = squares[0][:1] + squares[0][49:73] + squares[0][25:49] + squares[0][1:25] + squares[0][73:]
    others = [regions.encode_circle(10, 5, 0.3), regions.encode_box(20, -5, 1, 2), regions.encode_point(1, 1)]
    thin = [regions.encode_polygon([(x, 0), (x + 1, 1e-7), (x + 0.5, 2e-7)]) for x in range(60)]
    encoded = [*squares, *others, *thin, *[bent] * 60]
    assert one_by_one(encoded, "htm7") == at_once(encoded, "htm7")


def test_no_regions_have_no_pixels() -> None:
    """Nothing in, nothing out."""
    assert at_once([], "htm7") == []
