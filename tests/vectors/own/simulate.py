"""Simulates the dimension records of a small survey: two cameras, two sky maps, some values missing."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

__all__ = ["simulate"]

Record = dict[str, Any]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (TAI, which datetime does not know)
_NIGHTS = {
    "Wide": [datetime(2031, 3, 4), datetime(2031, 3, 5), datetime(2031, 4, 20)],  # noqa: DTZ001
    "Deep": [datetime(2031, 3, 4), datetime(2032, 1, 15)],  # noqa: DTZ001
}
_FILTERS = {
    "Wide": {"Wide-g": "g", "Wide-r": "r", "Wide-i": "i"},
    "Deep": {"Deep-r": "r", "Deep-r2": "r", "Deep-NB": None},
}
_DETECTORS = {"Wide": 4, "Deep": 2}
_VISITS = {"Wide": 9, "Deep": 5}
_CENTRE = (40.0, -5.0)
_FOCAL_DEG = 0.9
"""Half the width of what one visit sees."""


def _span(begin: datetime, seconds: float) -> Record:
    first = (begin - _EPOCH) // timedelta(microseconds=1) * 1000
    return {"begin_ns": first, "end_ns": first + round(seconds * 1e9)}


def _square(lon: float, lat: float, half: float) -> Record:
    corners = [
        (lon - half, lat - half),
        (lon + half, lat - half),
        (lon + half, lat + half),
        (lon - half, lat + half),
    ]
    return {"type": "convex_polygon", "vertices_deg": [[round(a, 6), round(b, 6)] for a, b in corners]}


def simulate(seed: int) -> dict[str, list[Record]]:
    """Return records by element, in order of reference.

    Parameters
    ----------
    seed : int
        Seed of what is random.

    Returns
    -------
    dict of str to list of dict
        As in files of records; regions have corners and no bytes yet.
    """
    rng = random.Random(seed)
    out: dict[str, list[Record]] = {
        "instrument": [
            {"name": "Wide", "visit_max": 9999, "visit_system": 0, "exposure_max": 9999, "detector_max": 4, "class_name": "sim.Wide"},
            {"name": "Deep", "visit_max": 500, "visit_system": None, "exposure_max": 500, "detector_max": 2, "class_name": "sim.Deep"},
        ],
        "skymap": [
            {"name": "rings", "hash": {"hex": "00ff10"}, "tract_max": 2, "patch_nx_max": 2, "patch_ny_max": 2},
            {"name": "one/tract", "hash": {"hex": "a1"}, "tract_max": 1, "patch_nx_max": 1, "patch_ny_max": 1},
        ],
    }  # fmt: skip
    out.update({e: [] for e in (
        "day_obs", "detector", "physical_filter", "group", "visit_system", "tract", "patch", "exposure", "visit",
        "visit_definition", "visit_detector_region", "visit_system_membership",
    )})  # fmt: skip
    for camera in ("Wide", "Deep"):
        _add_camera(out, camera, rng)
    _add_sky(out)
    return out


def _add_camera(out: dict[str, list[Record]], camera: str, rng: random.Random) -> None:
    out["physical_filter"] += [
        {"instrument": camera, "name": n, "band": b or "nb"} for n, b in _FILTERS[camera].items()
    ]
    out["visit_system"].append({"instrument": camera, "id": 0, "name": "one-to-one"})
    for i in range(_DETECTORS[camera]):
        purpose = "SCIENCE" if i < 3 else "GUIDER"
        out["detector"].append(
            {
                "instrument": camera,
                "id": i,
                "full_name": f"R{i // 2}_S{i % 2}",
                "name_in_raft": f"S{i % 2}",
                "raft": f"R{i // 2}",
                "purpose": purpose,
            }
        )
    for i, night in enumerate(_NIGHTS[camera]):
        span = None if camera == "Deep" and i == 1 else _span(night + timedelta(hours=12), 86_400)
        out["day_obs"].append({"instrument": camera, "id": int(f"{night:%Y%m%d}"), "timespan": span})
    for i in range(_VISITS[camera]):
        _add_visit(out, camera, i, rng)


def _add_visit(out: dict[str, list[Record]], camera: str, i: int, rng: random.Random) -> None:
    nights, filters = _NIGHTS[camera], list(_FILTERS[camera])
    night = nights[i % len(nights)]
    identity = (1000 if camera == "Wide" else 100) + 7 * i
    seconds = rng.choice([15.0, 30.0, 30.0, 92.5])
    begin = night + timedelta(
        days=1, hours=2, seconds=300 * i + rng.randrange(60), milliseconds=rng.randrange(1000)
    )
    common = {
        "instrument": camera, "id": identity, "day_obs": int(f"{night:%Y%m%d}"),
        "physical_filter": filters[i % len(filters)], "exposure_time": seconds,
        "target_name": rng.choice(["COSMOS", "SXDS", "el niño", None]),
        "observation_reason": rng.choice(["science", "focus", None]),
        "science_program": rng.choice(["P-1", "P-2"]),
        "azimuth": rng.choice([None, round(rng.uniform(0, 360), 3)]), "zenith_angle": round(rng.uniform(0, 60), 2),
        "timespan": _span(begin, seconds),
    }  # fmt: skip
    out["group"].append({"instrument": camera, "name": f"{camera[0]}{i}"})
    out["exposure"].append({
        **common, "group": f"{camera[0]}{i}", "obs_id": f"{camera}_{identity:05d}", "dark_time": seconds + 0.5,
        "observation_type": "science" if i % 4 else "bias", "seq_num": i + 1, "seq_start": i + 1, "seq_end": i + 1 + i % 2,
        "tracking_ra": _CENTRE[0] + 0.1 * i, "tracking_dec": _CENTRE[1], "sky_angle": rng.choice([0.0, 90.0, None]),
        "has_simulated": True, "can_see_sky": rng.choice([True, False, None]),
    })  # fmt: skip
    if i % 4 == 0 and camera == "Wide":
        return  # a bias: it belongs to no visit
    lon, lat = _CENTRE[0] + rng.uniform(-1.5, 2.5), _CENTRE[1] + rng.uniform(-1.0, 1.0)
    spare = {"zenith_angle": None} if camera == "Deep" and i == 4 else {}
    out["visit"].append(
        {
            **common,
            "name": f"{camera}_{identity:05d}",
            "seq_num": rng.choice([i + 1, None]),
            "region": _square(lon, lat, _FOCAL_DEG),
            **spare,
        }
    )
    out["visit_definition"].append({"instrument": camera, "exposure": identity, "visit": identity})
    out["visit_system_membership"].append({"instrument": camera, "visit_system": 0, "visit": identity})
    for detector in range(_DETECTORS[camera] - i % 2):
        x, y = lon + (detector % 2 - 0.5) * _FOCAL_DEG, lat + (detector // 2 - 0.5) * _FOCAL_DEG
        out["visit_detector_region"].append(
            {
                "instrument": camera,
                "detector": detector,
                "visit": identity,
                "region": _square(x, y, 0.42 * _FOCAL_DEG),
            }
        )


def _add_sky(out: dict[str, list[Record]]) -> None:
    for tract in range(2):
        lon, lat = _CENTRE[0] + 2.0 * tract, _CENTRE[1]
        out["tract"].append({"skymap": "rings", "id": tract, "region": _square(lon, lat, 1.05)})
        for patch in range(4):
            x, y = patch % 2, patch // 2
            region = _square(lon + x - 0.5, lat + y - 0.5, 0.55)
            out["patch"].append(
                {"skymap": "rings", "tract": tract, "id": patch, "cell_x": x, "cell_y": y, "region": region}
            )
    whole = _square(*_CENTRE, 0.8)
    out["tract"].append({"skymap": "one/tract", "id": 0, "region": dict(whole)})
    out["patch"].append(
        {"skymap": "one/tract", "tract": 0, "id": 0, "cell_x": 0, "cell_y": 0, "region": whole}
    )
