"""Image arithmetic of the demonstration pipelines: plain functions on arrays, with field-standard libraries.

Pixel coordinates are zero-based, x to the right; sky coordinates are ICRS degrees; images are float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Registration",
    "SkyGrid",
    "bad_pixels",
    "detect_sources",
    "fit_registration",
    "fixed_pattern",
    "pointing_wcs",
    "stack",
    "subtract_background",
]

Float = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]


def fixed_pattern(frames: list[Float]) -> Float:
    """Estimate what stays on the detector while the sky moves over it.

    Parameters
    ----------
    frames : list of numpy.ndarray, shape (ny, nx), counts
        Raw frames of one detector, pointed differently.

    Returns
    -------
    numpy.ndarray, shape (ny, nx), counts
        Median over the frames, each less its own median level; its own median is zero.
    """
    levelled = np.stack([frame - np.median(frame) for frame in frames])
    pattern = np.median(levelled, axis=0)
    return np.asarray(pattern - np.median(pattern), dtype=np.float32)


def subtract_background(image: Float, mask: npt.NDArray[np.bool_], box: int) -> tuple[Float, float]:
    """Subtract a smooth background.

    Parameters
    ----------
    image : numpy.ndarray, shape (ny, nx), counts
        The image.
    mask : numpy.ndarray of bool, shape (ny, nx)
        True where pixels must not be used.
    box : int
        Size of the cells over which the background is estimated, in pixels.

    Returns
    -------
    image : numpy.ndarray, shape (ny, nx), counts
        Less its background.
    rms : float
        Noise of the background, in counts.

    Notes
    -----
    Source: Bertin and Arnouts 1996, as implemented in SEP (Barbary 2016).
    """
    import sep

    pixels = np.ascontiguousarray(image, dtype=np.float32)
    background = sep.Background(pixels, mask=mask, bw=box, bh=box)
    return np.asarray(pixels - background.back(), dtype=np.float32), float(background.globalrms)


def detect_sources(
    image: Float, rms: float | Float, threshold: float, mask: npt.NDArray[np.bool_] | None = None
) -> dict[str, Double]:
    """Find and measure sources.

    Parameters
    ----------
    image : numpy.ndarray, shape (ny, nx), counts
        Background-subtracted.
    rms : float or numpy.ndarray, shape (ny, nx), counts
        Noise.
    threshold : float
        In units of `rms`.
    mask : numpy.ndarray of bool, optional
        True where pixels must not be used.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n,)
        ``x``, ``y`` (pixels), ``flux``, ``flux_err`` (counts), ``a``, ``b`` (pixels), ``peak`` (counts),
        brightest first.
    """
    import sep

    pixels = np.ascontiguousarray(image, dtype=np.float32)
    noise = rms if isinstance(rms, float) else np.ascontiguousarray(rms, dtype=np.float32)
    found = sep.extract(pixels, threshold, err=noise, mask=mask)
    flux, flux_err, _ = sep.sum_circle(pixels, found["x"], found["y"], 3.0, err=noise, mask=mask)
    order = np.argsort(-flux)
    columns = {
        "x": found["x"],
        "y": found["y"],
        "flux": flux,
        "flux_err": flux_err,
        "a": found["a"],
        "b": found["b"],
    }
    columns["peak"] = found["peak"]
    return {name: np.asarray(values[order], dtype=np.float64) for name, values in columns.items()}


def pointing_wcs(
    ra: float, dec: float, scale_arcsec: float, shape: tuple[int, int], flip: bool = True
) -> Any:
    """Make the first guess of a frame's astrometry from its pointing.

    Parameters
    ----------
    ra, dec : float
        Where the middle of the frame points, in degrees.
    scale_arcsec : float
        Size of a pixel, in arcseconds.
    shape : (int, int)
        Rows and columns.
    flip : bool
        Whether right ascension grows to the left.

    Returns
    -------
    astropy.wcs.WCS
        A tangent projection without rotation.
    """
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [shape[1] / 2 + 0.5, shape[0] / 2 + 0.5]
    step = scale_arcsec / 3600
    wcs.wcs.cd = [[-step if flip else step, 0.0], [0.0, step]]
    wcs.wcs.set()
    return wcs


@dataclass(frozen=True)
class Registration:
    """The affine map from a frame's pixels to the guessed ones, and how well it fits.

    Parameters
    ----------
    matrix : numpy.ndarray, shape (2, 2)
        Linear part.
    shift : numpy.ndarray, shape (2,), pixels
        Constant part.
    n_matched : int
        Stars used.
    rms_pixels : float
        Root mean square of the residuals, in pixels.
    """

    matrix: Double
    shift: Double
    n_matched: int
    rms_pixels: float

    def correct(self, wcs: Any) -> Any:
        """Return the guessed astrometry, corrected.

        Parameters
        ----------
        wcs : astropy.wcs.WCS
            The guess whose pixels the map leads to.

        Returns
        -------
        astropy.wcs.WCS
            The frame's own.
        """
        fixed = wcs.deepcopy()
        inverse = np.linalg.inv(self.matrix)
        reference = np.asarray(wcs.wcs.crpix) - 1
        fixed.wcs.crpix = inverse @ (reference - self.shift) + 1
        fixed.wcs.cd = np.asarray(wcs.wcs.cd) @ self.matrix
        fixed.wcs.set()
        return fixed


def fit_registration(
    found: Double, expected: Double, max_shift: float, n_bright: int = 150
) -> Registration | None:
    """Match the stars found in a frame with where the guess expects them.

    Parameters
    ----------
    found : numpy.ndarray, shape (n, 2), pixels
        Positions in the frame, brightest first.
    expected : numpy.ndarray, shape (m, 2), pixels
        Positions of reference stars by the guess, brightest first.
    max_shift : float
        Largest error of the guess, in pixels.
    n_bright : int
        How many of the brightest take part in the vote for the shift.

    Returns
    -------
    Registration or None
        None when fewer than 8 stars agree.

    Notes
    -----
    All pairwise differences vote for a shift (a two-dimensional histogram with cells of 3 pixels); an affine
    map is then fitted by least squares to nearest neighbours, with the search radius shrinking.
    """
    from scipy.ndimage import uniform_filter
    from scipy.spatial import cKDTree

    if len(found) < 8 or len(expected) < 8:
        return None
    difference = (expected[:n_bright, None, :] - found[None, :n_bright, :]).reshape(-1, 2)
    cells = int(2 * max_shift / 3)
    span = [[-max_shift, max_shift], [-max_shift, max_shift]]
    votes, edges_x, edges_y = np.histogram2d(difference[:, 0], difference[:, 1], bins=cells, range=span)
    best = np.unravel_index(np.argmax(uniform_filter(votes, 3)), votes.shape)
    half = max_shift / cells
    shift = np.array([edges_x[best[0]] + half, edges_y[best[1]] + half])
    matrix = np.eye(2)
    tree = cKDTree(expected)
    for radius in (8.0, 5.0, 3.0, 2.0, 1.5, 1.5):
        distance, nearest = tree.query(found @ matrix.T + shift)
        near = distance < radius
        if np.count_nonzero(near) < 8:
            return None
        design = np.column_stack([found[near], np.ones(np.count_nonzero(near))])
        solution, *_ = np.linalg.lstsq(design, expected[nearest[near]], rcond=None)
        matrix, shift = solution[:2].T, solution[2]
    residual = found[near] @ matrix.T + shift - expected[nearest[near]]
    return Registration(matrix, shift, int(near.sum()), float(np.sqrt((residual**2).sum(axis=1).mean())))


@dataclass(frozen=True)
class SkyGrid:
    """A tract: one tangent projection, cut into square patches that overlap.

    Parameters
    ----------
    ra, dec : float
        Where it touches the sky, in degrees.
    scale_arcsec : float
        Pixel size, in arcseconds.
    patch_size : int
        Inner size of a patch, in pixels.
    border : int
        By how many pixels a patch is larger on each side.
    n_x, n_y : int
        Number of patches in x and y.
    """

    ra: float
    dec: float
    scale_arcsec: float
    patch_size: int
    border: int
    n_x: int
    n_y: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a patch with its border."""
        return (self.patch_size + 2 * self.border,) * 2

    def wcs(self, patch: int) -> Any:
        """Return the astrometry of one patch.

        Parameters
        ----------
        patch : int
            Its number: ``n_x * cell_y + cell_x``.

        Returns
        -------
        astropy.wcs.WCS
            A tangent projection shared by all patches but for the origin.
        """
        cell_y, cell_x = divmod(patch, self.n_x)
        wcs = pointing_wcs(
            self.ra, self.dec, self.scale_arcsec, (self.n_y * self.patch_size, self.n_x * self.patch_size)
        )
        origin = np.array([cell_x, cell_y]) * self.patch_size - self.border
        wcs.wcs.crpix = np.asarray(wcs.wcs.crpix) - origin
        wcs.wcs.set()
        return wcs

    def inner(self, x: Double, y: Double) -> npt.NDArray[np.bool_]:
        """Say which positions of a patch are its own and not a neighbour's.

        Parameters
        ----------
        x, y : numpy.ndarray, shape (n,), pixels
            Positions in the patch with its border.

        Returns
        -------
        numpy.ndarray of bool, shape (n,)
            True for those inside the patch proper.
        """
        low, high = self.border - 0.5, self.border + self.patch_size - 0.5
        return (x >= low) & (x < high) & (y >= low) & (y < high)

    def corners(self, patch: int) -> list[tuple[float, float]]:
        """Return the corners of a patch with its border.

        Parameters
        ----------
        patch : int
            Its number.

        Returns
        -------
        list of (float, float)
            Four positions in degrees, counter-clockwise seen from outside the sphere.
        """
        ny, nx = self.shape
        x, y = np.array([-0.5, -0.5, nx - 0.5, nx - 0.5]), np.array([-0.5, ny - 0.5, ny - 0.5, -0.5])
        ra, dec = self.wcs(patch).pixel_to_world_values(x, y)
        # x grows westward, so that up the right-hand side first is counter-clockwise seen from outside.
        return [(float(a) % 360, float(b)) for a, b in zip(ra, dec, strict=True)]


def stack(images: list[Float], clip_sigma: float) -> tuple[Float, npt.NDArray[np.int16]]:
    """Average aligned images, leaving out what sticks out.

    Parameters
    ----------
    images : list of numpy.ndarray, shape (ny, nx), counts
        NaN where an image has nothing.
    clip_sigma : float
        Pixels further than this many (robust) sigmas from the median are left out, where at least 4 images overlap.

    Returns
    -------
    mean : numpy.ndarray, shape (ny, nx), counts
        NaN where no image has anything.
    count : numpy.ndarray of int16, shape (ny, nx)
        Images used.
    """
    cube = np.stack(images)
    good = np.isfinite(cube)
    if len(images) >= 4:
        filled = np.where(good, cube, np.nan)
        some = good.any(axis=0)
        middle = np.zeros(cube.shape[1:], dtype=np.float32)
        middle[some] = np.nanmedian(filled[:, some], axis=0)
        spread = np.full(cube.shape[1:], np.inf, dtype=np.float32)
        spread[some] = 1.4826 * np.nanmedian(np.abs(filled[:, some] - middle[some]), axis=0)
        enough = good.sum(axis=0) >= 4
        good &= ~((np.abs(cube - middle) > clip_sigma * np.maximum(spread, 1e-3)) & enough)
    count = good.sum(axis=0).astype(np.int16)
    total = np.where(good, cube, 0).sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean.astype(np.float32), count


def bad_pixels(data: Float, mask: npt.NDArray[Any] | None) -> npt.NDArray[np.bool_]:
    """Return a mask as booleans.

    Parameters
    ----------
    data : numpy.ndarray, shape (ny, nx)
        The image.
    mask : numpy.ndarray, shape (ny, nx), optional
        Above zero where pixels must not be used; all may be used by default.

    Returns
    -------
    numpy.ndarray of bool, shape (ny, nx)
        True where pixels must not be used.
    """
    return np.zeros(data.shape, dtype=np.bool_) if mask is None else np.asarray(mask > 0)
