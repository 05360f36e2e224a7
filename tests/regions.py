"""Regions on the sky for tests: squares, and a small survey whose visits, detectors and patches overlap or do not."""

from __future__ import annotations

from collections.abc import Sequence

from registry.model.columns import Columns
from registry.model.dimensions import DimensionUniverse, default_universe
from registry.model.regions import encode_polygon

__all__ = ["UNIVERSE", "patches", "square", "survey", "visits"]

UNIVERSE: DimensionUniverse = default_universe()


def square(lon: float, lat: float, half: float = 0.5) -> bytes:
    """Return a square around a place, degrees."""
    corners = [(-half, -half), (half, -half), (half, half), (-half, half)]
    return encode_polygon([(lon + x, lat + y) for x, y in corners])


def survey() -> dict[str, Columns]:
    """Return the records that visits and patches need: one camera, one sky map of one tract."""
    return {
        "instrument": Columns({"instrument": ["I"]}),
        "physical_filter": Columns({"instrument": ["I"], "physical_filter": ["r1"], "band": ["r"]}),
        "day_obs": Columns({"instrument": ["I"], "day_obs": [20200101]}),
        "detector": Columns({"instrument": ["I"] * 3, "detector": [0, 1, 2], "full_name": ["a", "b", "c"]}),
        "skymap": Columns({"skymap": ["S"], "hash": [b"s"]}),
    }


def visits(regions: Sequence[bytes | None], first: int = 1) -> Columns:
    """Return records of visits, numbered in order."""
    n = len(regions)
    numbers = list(range(first, first + n))
    return Columns(
        {
            "instrument": ["I"] * n,
            "visit": numbers,
            "day_obs": [20200101] * n,
            "physical_filter": ["r1"] * n,
            "name": [f"v{i}" for i in numbers],
            "region": list(regions),
        }
    )


def patches(regions: Sequence[bytes | None], first: int = 0, tract: int = 0) -> Columns:
    """Return records of patches of one tract, numbered in order."""
    n = len(regions)
    numbers = list(range(first, first + n))
    return Columns(
        {
            "skymap": ["S"] * n,
            "tract": [tract] * n,
            "patch": numbers,
            "cell_x": numbers,
            "cell_y": [0] * n,
            "region": list(regions),
        }
    )
