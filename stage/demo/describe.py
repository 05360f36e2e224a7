"""Which exposure a frame is: header words to dimension records, for ``stage repo ingest --describe``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stage.demo.imaging import pointing_wcs

__all__ = ["describe", "frame_corners"]


def frame_corners(
    ra: float, dec: float, scale_arcsec: float, shape: tuple[int, int], pad_deg: float
) -> list[list[float]]:
    """Return the corners of a frame by its pointing, moved outwards.

    Parameters
    ----------
    ra, dec : float
        Where the frame's middle points, in degrees.
    scale_arcsec : float
        Pixel size.
    shape : (int, int)
        Rows and columns.
    pad_deg : float
        By how much the pointing may be off, in degrees.

    Returns
    -------
    list of [float, float]
        Positions in degrees, counter-clockwise seen from outside the sphere.
    """
    import numpy as np

    pad = pad_deg * 3600 / scale_arcsec
    ny, nx = shape
    x = np.array([nx - 0.5 + pad, -0.5 - pad, -0.5 - pad, nx - 0.5 + pad])
    y = np.array([-0.5 - pad, -0.5 - pad, ny - 0.5 + pad, ny - 0.5 + pad])
    lon, lat = pointing_wcs(ra, dec, scale_arcsec, shape).pixel_to_world_values(x, y)
    return [[float(a) % 360, float(b)] for a, b in zip(lon, lat, strict=True)]


def describe(path: str) -> dict[str, Any]:
    """Read one simulated frame's header.

    Parameters
    ----------
    path : str
        A FITS file that `stage.demo.simulate` wrote.

    Returns
    -------
    dict
        ``data_id`` of the raw frame, and ``records`` by element.
    """
    from astropy.io import fits

    header = fits.getheader(Path(path))
    camera, exposure, detector = header["INSTRUME"], int(header["EXPID"]), int(header["DETECTOR"])
    begin, day = int(header["TAIBEGIN"]), 20261028
    shape = (int(header["NAXIS2"]), int(header["NAXIS1"]))
    corners = frame_corners(header["RA"], header["DEC"], header["IM_SCALE"], shape, pad_deg=0.01)
    timespan = {"begin_ns": begin, "end_ns": begin + int(header["EXPTIME"] * 1e9)}
    common = {
        "instrument": camera, "id": exposure, "day_obs": day, "physical_filter": header["FILTER"],
        "exposure_time": float(header["EXPTIME"]), "target_name": header["OBJECT"], "seq_num": exposure,
        "timespan": timespan,
    }  # fmt: skip
    # Both detectors tell of one visit, so its own region must not depend on which of them is read.
    middle = {"ra": 150.0, "dec": 2.0}
    visit_corners = frame_corners(middle["ra"], middle["dec"], 2.0, (600, 900), pad_deg=0.05)
    return {
        "data_id": {"instrument": camera, "exposure": exposure, "detector": detector},
        "records": {
            "day_obs": [{"instrument": camera, "id": day}],
            "group": [{"instrument": camera, "name": str(exposure)}],
            "exposure": [
                {
                    **common,
                    "group": str(exposure),
                    "obs_id": f"sim-{exposure:03d}",
                    "observation_type": "science",
                }
            ],
            "visit": [{**common, "name": f"sim-{exposure:03d}", "region": _polygon(visit_corners)}],
            "visit_definition": [{"instrument": camera, "exposure": exposure, "visit": exposure}],
            "visit_system_membership": [{"instrument": camera, "visit_system": 0, "visit": exposure}],
            "visit_detector_region": [
                {"instrument": camera, "detector": detector, "visit": exposure, "region": _polygon(corners)}
            ],
        },
    }


def _polygon(corners: list[list[float]]) -> dict[str, Any]:
    return {"type": "convex_polygon", "vertices_deg": corners}
