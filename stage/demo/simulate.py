"""A simulated sky survey with known truth: what ``stage demo`` puts into its upstream repository.

The model, all with one fixed seed: stars uniformly over the field with magnitudes from a rising power law,
Gaussian images of them, a sky level, Poisson and readout noise, a fixed pattern on each detector, saturation,
and pointings that differ from what the headers say.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stage.demo.imaging import SkyGrid, pointing_wcs

__all__ = ["Survey", "match_with_truth"]

Double = npt.NDArray[np.float64]
_SECOND = 1_000_000_000
_START_NS = 1_793_318_437 * _SECOND


@dataclass(frozen=True)
class Survey:
    """The simulated survey.

    Parameters
    ----------
    seed : int
        Of everything random.
    n_stars : int
        Stars in the field.
    n_exposures : int
        Exposures, spread evenly over `bands`.
    detector_size : int
        Pixels on a side of each of the two detectors.
    scale_arcsec : float
        Pixel size.
    bands : tuple of str
        Names of the bands.
    pointing_error : float
        Largest error of the headers, in pixels.
    seeing : float
        Sigma of a star's image, in pixels.
    grid : SkyGrid
        The patches that the field is cut into.
    """

    seed: int = 20260901
    n_stars: int = 900
    n_exposures: int = 10
    detector_size: int = 256
    scale_arcsec: float = 2.0
    bands: tuple[str, ...] = ("r", "i")
    pointing_error: float = 12.0
    seeing: float = 1.3
    grid: SkyGrid = field(default_factory=lambda: SkyGrid(150.0, 2.0, 2.0, 220, 16, 3, 2))

    sky = 400.0
    read_noise = 5.0
    saturation = 60000.0
    detector_gap = 12

    def stars(self) -> dict[str, Double]:
        """Return the truth.

        Returns
        -------
        dict of str to numpy.ndarray, shape (n_stars,)
            ``ra``, ``dec`` in degrees, and ``flux`` in counts of one exposure, brightest first.
        """
        rng = np.random.default_rng(self.seed)
        width = self.grid.n_x * self.grid.patch_size
        height = self.grid.n_y * self.grid.patch_size
        x, y = rng.uniform(0, width, self.n_stars), rng.uniform(0, height, self.n_stars)
        flux = np.sort(500.0 * (1 - rng.uniform(0, 1, self.n_stars)) ** -1.1)[::-1]
        centre = pointing_wcs(self.grid.ra, self.grid.dec, self.scale_arcsec, (height, width))
        ra, dec = centre.pixel_to_world_values(x, y)
        return {"ra": np.asarray(ra), "dec": np.asarray(dec), "flux": np.minimum(flux, 4e5)}

    def write(self, folder: Path) -> None:
        """Write everything that the upstream repository is filled from.

        Parameters
        ----------
        folder : Path
            Gets ``records/*.jsonl``, ``raw/*.fits``, ``sky_grid.json``, ``refcat.parquet`` and ``truth.parquet``.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        for name in ("records", "raw", "refs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for element, rows in self.static_records().items():
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / "records" / f"{element}.jsonl").write_text(lines)
        truth = self.stars()
        pq.write_table(pa.table(truth), folder / "truth.parquet")
        bright = {name: values[: self.n_stars // 3] for name, values in truth.items() if name != "flux"}
        pq.write_table(pa.table(bright), folder / "refs" / "refcat.parquet")
        (folder / "refs" / "sky_grid.json").write_text(json.dumps(asdict(self.grid)))
        self._write_frames(folder / "raw", truth)

    def static_records(self) -> dict[str, list[dict[str, Any]]]:
        """Return the dimension records that do not come from headers.

        Returns
        -------
        dict of str to list of dict
            By element, in the form that ``stage repo import`` reads.
        """
        corners = [self.grid.corners(p) for p in range(self.grid.n_x * self.grid.n_y)]
        lon, lat = zip(*(c for patch in corners for c in patch), strict=True)
        tract = [(min(lon), min(lat)), (max(lon), min(lat)), (max(lon), max(lat)), (min(lon), max(lat))]
        return {
            "instrument": [{"name": "SimCam", "detector_max": 2, "class_name": "stage.demo.simulate.Survey"}],
            "physical_filter": [
                {"instrument": "SimCam", "name": f"sim-{band}", "band": band} for band in self.bands
            ],
            "detector": [
                {"instrument": "SimCam", "id": d, "full_name": f"S{d}", "purpose": "SCIENCE"} for d in range(2)
            ],
            "visit_system": [{"instrument": "SimCam", "id": 0, "name": "one-to-one"}],
            "skymap": [{"name": "demo", "hash": {"hex": "de" * 20}, "tract_max": 1}],
            "tract": [{"skymap": "demo", "id": 0, "region": _polygon(tract)}],
            "patch": [
                {
                    "skymap": "demo", "tract": 0, "id": patch,
                    "cell_x": patch % self.grid.n_x, "cell_y": patch // self.grid.n_x,
                    "region": _polygon(corners[patch]),
                }
                for patch in range(len(corners))
            ],
        }  # fmt: skip

    def _write_frames(self, folder: Path, truth: dict[str, Double]) -> None:
        from astropy.io import fits

        rng = np.random.default_rng(self.seed + 1)
        patterns = [self._pattern(rng) for _ in range(2)]
        for exposure in range(1, self.n_exposures + 1):
            centre = self._pointing(rng)
            band = self.bands[exposure % len(self.bands)]
            error = rng.uniform(-1, 1, 2) * self.pointing_error * self.scale_arcsec / 3600
            for detector in range(2):
                told = self._detector_centre(centre, detector)
                true = (told[0] + error[0], told[1] + error[1])
                image = self._frame(rng, true, truth, patterns[detector])
                header = fits.Header()
                header["INSTRUME"], header["DETECTOR"], header["EXPID"] = "SimCam", detector, exposure
                header["FILTER"], header["OBJECT"], header["EXPTIME"] = f"sim-{band}", "demo field", 30.0
                header["RA"], header["DEC"], header["IM_SCALE"] = told[0], told[1], self.scale_arcsec
                header["TAIBEGIN"] = (str(_START_NS + exposure * 60 * _SECOND), "TAI nanoseconds since 1970")
                fits.writeto(folder / f"sim_{exposure:03d}_{detector}.fits", image, header, overwrite=True)

    def _pattern(self, rng: np.random.Generator) -> Double:
        n = self.detector_size
        columns = rng.normal(0, 12, n)[None, :] + np.zeros((n, n))
        hot = rng.random((n, n)) < 0.0008
        return np.asarray(columns + hot * rng.uniform(500, 4000, (n, n)))

    def _pointing(self, rng: np.random.Generator) -> tuple[float, float]:
        reach = (
            0.22 * np.array([self.grid.n_x, self.grid.n_y]) * self.grid.patch_size * self.scale_arcsec / 3600
        )
        offset = rng.uniform(-1, 1, 2) * reach
        return self.grid.ra + float(offset[0]), self.grid.dec + float(offset[1])

    def _detector_centre(self, centre: tuple[float, float], detector: int) -> tuple[float, float]:
        step = (self.detector_size + self.detector_gap) / 2 * self.scale_arcsec / 3600
        return centre[0] + (step if detector == 0 else -step), centre[1]

    def _frame(
        self,
        rng: np.random.Generator,
        pointing: tuple[float, float],
        truth: dict[str, Double],
        pattern: Double,
    ) -> npt.NDArray[np.uint16]:
        n = self.detector_size
        wcs = pointing_wcs(*pointing, self.scale_arcsec, (n, n))
        x, y = wcs.world_to_pixel_values(truth["ra"], truth["dec"])
        image = np.full((n, n), self.sky)
        reach = 8
        near = (x > -reach) & (x < n + reach) & (y > -reach) & (y < n + reach)
        norm = 2 * np.pi * self.seeing**2
        for star_x, star_y, flux in zip(x[near], y[near], truth["flux"][near], strict=True):
            x0, x1 = max(0, round(star_x) - reach), min(n, round(star_x) + reach + 1)
            y0, y1 = max(0, round(star_y) - reach), min(n, round(star_y) + reach + 1)
            if x0 >= x1 or y0 >= y1:
                continue
            yy, xx = np.mgrid[y0:y1, x0:x1]
            profile = np.exp(-((xx - star_x) ** 2 + (yy - star_y) ** 2) / (2 * self.seeing**2)) / norm
            image[y0:y1, x0:x1] += flux * profile
        counts = rng.poisson(image) + rng.normal(0, self.read_noise, image.shape) + pattern
        return np.clip(counts, 0, self.saturation).astype(np.uint16)


def _polygon(corners: list[tuple[float, float]]) -> dict[str, Any]:
    return {"type": "convex_polygon", "vertices_deg": [list(c) for c in corners]}


def match_with_truth(
    catalogue: dict[str, Double], truth: dict[str, Double], radius_arcsec: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Double]:
    """Match a catalogue with the truth by position.

    Parameters
    ----------
    catalogue, truth : dict of str to numpy.ndarray
        With ``ra`` and ``dec`` in degrees; n and m rows.
    radius_arcsec : float
        Largest distance of a match.

    Returns
    -------
    is_real : numpy.ndarray of bool, shape (n,)
        Which entries of the catalogue have a true star.
    is_found : numpy.ndarray of bool, shape (m,)
        Which stars have an entry.
    distance : numpy.ndarray, shape (n,), arcseconds
        From each entry to its nearest star.
    """
    from scipy.spatial import cKDTree

    def plane(table: dict[str, Double]) -> Double:
        cosine = np.cos(np.radians(np.mean(truth["dec"])))
        return np.column_stack([table["ra"] * cosine, table["dec"]]) * 3600

    found, real = plane(catalogue), plane(truth)
    distance, _ = cKDTree(real).query(found)
    back, _ = cKDTree(found).query(real)
    return distance <= radius_arcsec, back <= radius_arcsec, np.asarray(distance)
