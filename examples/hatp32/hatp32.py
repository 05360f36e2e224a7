"""What is particular to these frames: their headers, and a reference made from one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stage.demo.describe import frame_corners
from stage.demo.frames import VISIT, RegisterConfig, guess_wcs
from stage.pipeline.connections import Connections, Input, Output
from stage.pipeline.task import Struct, Task

CAMERA, DAY_OBS, DRIFT_DEG = "MicroObs", 20171219, 0.6


def describe(path: str) -> dict[str, Any]:
    """Read one raw frame's header.

    The field drifts by half a degree through the night while the header's pointing stays the same, so the
    regions are padded by that much.
    """
    from astropy.io import fits
    from astropy.time import Time

    header = fits.getheader(Path(path))
    number = int(header["FILENAME"].split(".")[0].removeprefix("HATP-32"))
    begin = round((Time(header["UT-OBS"][:23], scale="utc").tai.unix_tai) * 1e9)
    corners = frame_corners(
        float(header["RA"]), float(header["DEC"]), float(header["IM_SCALE"]),
        (int(header["NAXIS2"]), int(header["NAXIS1"])), DRIFT_DEG,
    )  # fmt: skip
    region = {"type": "convex_polygon", "vertices_deg": corners}
    seconds = float(header["EXPTIME"])
    common = {
        "instrument": CAMERA, "id": number, "day_obs": DAY_OBS, "physical_filter": header["FILTER"].strip(),
        "exposure_time": seconds, "target_name": header["OBJECT"].strip(),
        "zenith_angle": 90 - float(header["TELALT"]), "azimuth": float(header["TELAZ"]),
        "timespan": {"begin_ns": begin, "end_ns": begin + round(seconds * 1e9)},
    }  # fmt: skip
    exposure = {
        **common, "group": str(number), "obs_id": header["FILENAME"], "observation_type": "science",
        "tracking_ra": float(header["RA"]), "tracking_dec": float(header["DEC"]),
    }  # fmt: skip
    visit_region = {"instrument": CAMERA, "detector": 0, "visit": number, "region": region}
    return {
        "data_id": {"instrument": CAMERA, "exposure": number, "detector": 0},
        "records": {
            "day_obs": [{"instrument": CAMERA, "id": DAY_OBS}],
            "group": [{"instrument": CAMERA, "name": str(number)}],
            "exposure": [exposure],
            "visit": [{**common, "name": str(number), "region": region}],
            "visit_definition": [{"instrument": CAMERA, "exposure": number, "visit": number}],
            "visit_system_membership": [{"instrument": CAMERA, "visit_system": 0, "visit": number}],
            "visit_detector_region": [visit_region],
        },
    }


class ReferenceConnections(Connections, dimensions=("skymap",)):
    """All frames and their sources to reference stars."""

    calexps = Input(
        dataset_type="calexp",
        storage_class="FitsImage",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
    )
    sources = Input(dataset_type="src", storage_class="ArrowTable", dimensions=VISIT, multiple=True)
    refcat = Output(dataset_type="refcat", storage_class="ArrowTable", dimensions=("skymap",))


class ReferenceTask(Task):
    """Take the frame with the most sources as the reference, its header's pointing as the truth.

    No catalogue of the sky comes with these frames: positions are right relative to each other.
    """

    ConfigClass = RegisterConfig
    ConnectionsClass = ReferenceConnections
    default_label = "reference"
    config: RegisterConfig

    def run(self, calexps: list[Any], sources: list[Any]) -> Struct:
        """Turn the richest table's pixel positions into sky positions."""
        import pyarrow as pa

        best = max(sources, key=lambda table: table.num_rows)
        wcs = guess_wcs(calexps[0], self.config)
        ra, dec = wcs.pixel_to_world_values(best.column("x").to_numpy(), best.column("y").to_numpy())
        self.log.info("reference of %d stars", best.num_rows)
        return Struct(refcat=pa.table({"ra": np.asarray(ra), "dec": np.asarray(dec)}))
