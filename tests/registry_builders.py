"""Small registries that tests fill: one camera with detectors, filters, exposures and visits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse, default_universe
from registry.model.refs import new_ids
from registry.registry import Change, Registry

UNIVERSE = default_universe()
N_DETECTORS = 4
VISITS = (100, 101, 102)


def new_registry(path: Path, universe: DimensionUniverse = UNIVERSE, **options: Any) -> Registry:
    """Make an empty registry at `path`."""
    return Registry.create(f"sqlite:///{path}", universe, **options)


def add_camera(tx: Change, name: str = "Cam") -> None:
    """Insert the records of a camera: 4 detectors, 2 filters, 3 visits of one day."""
    tx.insert_records("instrument", Columns({"instrument": [name], "detector_max": [N_DETECTORS]}))
    n = N_DETECTORS
    detectors = {
        "instrument": [name] * n,
        "detector": list(range(n)),
        "full_name": [f"S{i}" for i in range(n)],
    }
    tx.insert_records("detector", Columns(detectors | {"purpose": ["SCIENCE"] * (n - 1) + ["GUIDE"]}))
    tx.insert_records(
        "physical_filter",
        Columns({"instrument": [name] * 2, "physical_filter": ["g1", "r1"], "band": ["g", "r"]}),
    )
    tx.insert_records("day_obs", Columns({"instrument": [name], "day_obs": [20240101]}))
    tx.insert_records(
        "visit",
        Columns(
            {
                "instrument": [name] * 3,
                "visit": list(VISITS),
                "day_obs": [20240101] * 3,
                "physical_filter": ["g1", "r1", "g1"],
                "name": [f"v{v}" for v in VISITS],
                "exposure_time": [30.0, 40.0, 50.0],
            }
        ),
    )


def dataset_type(
    name: str, *dimensions: str, universe: DimensionUniverse = UNIVERSE, **options: Any
) -> DatasetType:
    """Define a dataset type."""
    return DatasetType(name, universe.group(dimensions), options.pop("storage_class", "Json"), **options)


def detector_rows(*, artifacts: bool = False, name: str = "Cam", n: int = N_DETECTORS) -> Columns:
    """Return rows of datasets, one a detector, with new ids."""
    rows = {"instrument": [name] * n, "detector": list(range(n)), "id": new_ids(n)}
    if artifacts:
        rows |= {
            "uri": [f"{i}.json" for i in range(n)],
            "size": [10 + i for i in range(n)],
            "checksum": ["blake3:00"] * n,
            "formatter": ["json"] * n,
        }
    return Columns(rows)
