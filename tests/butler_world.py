"""A small butler repository of the field, made by its own software, and tasks that read it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

__all__ = ["PIPELINE", "TASKS", "files_of", "make_field", "open_field"]

TASKS = """
from stage.pipeline.connections import Input, Output, PrerequisiteInput
from stage.tasks.function import task

IMAGE = ("instrument", "exposure", "detector")


@task(
    dimensions=IMAGE,
    inputs={
        "raw": Input(dataset_type="raw", storage_class="Json", dimensions=IMAGE),
        "bias": PrerequisiteInput(
            dataset_type="bias", storage_class="Json", dimensions=("instrument", "detector"), is_calibration=True
        ),
    },
    outputs={"clean": Output(dataset_type="clean", storage_class="Json", dimensions=IMAGE)},
)
def isr(raw, bias):
    return {"counts": raw["counts"] - bias["level"]}


@task(
    dimensions=("instrument", "exposure"),
    inputs={"cleans": Input(dataset_type="clean", storage_class="Json", dimensions=IMAGE, multiple=True)},
    outputs={"mean": Output(dataset_type="mean", storage_class="Json", dimensions=("instrument", "exposure"))},
)
def gather(cleans):
    return {"mean": sum(c["counts"] for c in cleans) / len(cleans)}


@task(
    dimensions=("instrument", "exposure"),
    inputs={"mean": Input(dataset_type="mean", storage_class="Json", dimensions=("instrument", "exposure"))},
    outputs={"note": Output(dataset_type="note", storage_class="Text", dimensions=("instrument", "exposure"))},
)
def describe(mean):
    return f"mean {mean['mean']}"
"""

PIPELINE = "description: Two tasks on a butler's images.\ntasks:\n  isr: field_tasks:isr\n  gather: field_tasks:gather\n"


def open_field(root: Path, *, writable: bool = False) -> Any:
    """Open a butler repository by its own software."""
    from lsst.daf.butler import Butler

    return Butler.from_config(str(root), writeable=writable)


def make_field(root: Path, datastore: str | None = None) -> None:
    """Make the repository: four exposures of three detectors, and a bias that was replaced after the second one.

    Its files are in its directory, or at the URI given.
    """
    from astropy.time import Time
    from lsst.daf.butler import Butler, CollectionType, Config, DatasetType, Timespan

    def span(i: int) -> Any:
        return Timespan(
            Time(f"2026-01-01T00:0{i}:00", scale="tai"), Time(f"2026-01-01T00:0{i}:30", scale="tai")
        )

    config = Config({"datastore": {"root": datastore}} if datastore else None)
    Butler.makeRepo(str(root), config, forceConfigRoot=datastore is None)
    butler = open_field(root, writable=True)
    registry, cam = butler.registry, {"instrument": "Cam"}
    registry.insertDimensionData(
        "instrument", {"name": "Cam", "visit_max": 10**6, "exposure_max": 10**6, "detector_max": 9}
    )
    registry.insertDimensionData("physical_filter", {**cam, "name": "r0", "band": "r"})
    registry.insertDimensionData("detector", *[{**cam, "id": i, "full_name": f"D{i}"} for i in range(3)])
    registry.insertDimensionData("day_obs", {**cam, "id": 20260101})
    registry.insertDimensionData("group", *[{**cam, "name": f"g{i}"} for i in range(4)])
    shared = {**cam, "physical_filter": "r0", "day_obs": 20260101}
    exposures = [
        {**shared, "id": i, "obs_id": f"o{i}", "group": f"g{i}", "timespan": span(i)} for i in range(4)
    ]
    registry.insertDimensionData("exposure", *exposures)
    raw = DatasetType("raw", butler.dimensions.conform(["exposure", "detector"]), "StructuredDataDict")
    bias = DatasetType(
        "bias", butler.dimensions.conform(["detector"]), "StructuredDataDict", isCalibration=True
    )
    for kind in (raw, bias):
        registry.registerDatasetType(kind)
    for run in ("Cam/raw/all", "Cam/calib/old", "Cam/calib/new"):
        butler.collections.register(run)
    butler.collections.register("Cam/calib", CollectionType.CALIBRATION)
    butler.collections.register("Cam/defaults", CollectionType.CHAINED)
    for exposure in range(4):
        for detector in range(3):
            data_id = {**cam, "exposure": exposure, "detector": detector}
            butler.put({"counts": 100 * exposure + detector}, raw, data_id, run="Cam/raw/all")
    for level, run in enumerate(("Cam/calib/old", "Cam/calib/new"), 1):
        refs = [butler.put({"level": level}, bias, {**cam, "detector": d}, run=run) for d in range(3)]
        replaced = span(2).begin
        registry.certify(
            "Cam/calib", refs, Timespan(None, replaced) if level == 1 else Timespan(replaced, None)
        )
    butler.collections.redefine_chain("Cam/defaults", ["Cam/raw/all", "Cam/calib"])


def files_of(root: Path) -> dict[str, str]:
    """Return a digest of every file below a directory."""
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }
