"""Tasks on single frames: from raw counts to sources with a position on the sky.

They are ordinary tasks, used by ``stage demo`` and by ``examples/hatp32``; each can be called in a notebook::

    >>> from stage.demo.frames import PatternTask  # doctest: +SKIP
    >>> PatternTask().run(raws=[image_a, image_b, image_c]).pattern  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stage.demo.imaging import (
    bad_pixels,
    detect_sources,
    fit_registration,
    fixed_pattern,
    pointing_wcs,
    subtract_background,
)
from stage.pipeline.config import Config, Field
from stage.pipeline.connections import Connections, Input, Output
from stage.pipeline.task import NoWorkFound, Struct, Task
from sync.formatters.fits import Image

__all__ = [
    "RAW",
    "VISIT",
    "CalibrateTask",
    "DetectConfig",
    "DetectTask",
    "PatternTask",
    "RegisterTask",
    "guess_wcs",
]

RAW = ("instrument", "exposure", "detector")
VISIT = ("instrument", "visit", "detector")


class PatternConnections(Connections, dimensions=("instrument", "detector")):
    """All raw frames of a detector to its fixed pattern."""

    raws = Input(dataset_type="raw", storage_class="FitsImage", dimensions=RAW, multiple=True, minimum=3)
    pattern = Output(dataset_type="pattern", storage_class="FitsImage", dimensions=("instrument", "detector"))


class PatternTask(Task):
    """Estimate the fixed pattern of a detector from the frames themselves."""

    ConfigClass = Config
    ConnectionsClass = PatternConnections
    default_label = "pattern"

    def run(self, raws: list[Image]) -> Struct:
        """Take the median over frames.

        Parameters
        ----------
        raws : list of Image
            Raw frames, in counts, pointed differently.

        Returns
        -------
        Struct
            ``pattern``: an image whose median is zero, in counts.
        """
        self.metadata["n_frames"] = len(raws)
        return Struct(pattern=Image(fixed_pattern([np.asarray(r.data, dtype=np.float32) for r in raws]), {}))


class CalibrateConnections(Connections, dimensions=RAW):
    """A raw frame and the pattern to a calibrated frame."""

    raw = Input(dataset_type="raw", storage_class="FitsImage", dimensions=RAW)
    pattern = Input(dataset_type="pattern", storage_class="FitsImage", dimensions=("instrument", "detector"))
    calexp = Output(dataset_type="calexp", storage_class="FitsImage", dimensions=RAW)


class CalibrateConfig(Config):
    """How a frame is calibrated."""

    saturation: float = Field(60000.0, gt=0, description="Counts from which a pixel is saturated.")
    background_box: int = Field(32, ge=8, description="Size of the background's cells, in pixels.")


class CalibrateTask(Task):
    """Subtract pattern and background; mask what is saturated."""

    ConfigClass = CalibrateConfig
    ConnectionsClass = CalibrateConnections
    default_label = "calibrate"
    config: CalibrateConfig

    def run(self, raw: Image, pattern: Image) -> Struct:
        """Calibrate one frame.

        Parameters
        ----------
        raw, pattern : Image
            In counts, of one shape.

        Returns
        -------
        Struct
            ``calexp``: background-subtracted image with mask (1 is saturated) and header word ``RMS``.
        """
        data = np.asarray(raw.data, dtype=np.float32)
        saturated = data >= self.config.saturation
        image, rms = subtract_background(data - pattern.data, saturated, self.config.background_box)
        self.log.info("background rms %.2f counts, %d saturated pixels", rms, int(saturated.sum()))
        self.metadata["rms"] = rms
        return Struct(calexp=Image(image, {**raw.header, "RMS": rms}, mask=saturated.astype(np.uint8)))


class DetectConnections(Connections, dimensions=VISIT):
    """The frames of a visit to its table of sources."""

    calexps = Input(dataset_type="calexp", storage_class="FitsImage", dimensions=RAW, multiple=True)
    sources = Output(dataset_type="src", storage_class="ArrowTable", dimensions=VISIT)


class DetectConfig(Config):
    """What counts as a source."""

    threshold: float = Field(5.0, gt=0, description="In units of the noise.")


class DetectTask(Task):
    """Find and measure the sources of one frame."""

    ConfigClass = DetectConfig
    ConnectionsClass = DetectConnections
    default_label = "detect"
    config: DetectConfig

    def run(self, calexps: list[Image]) -> Struct:
        """Detect in the visit's (one) frame.

        Parameters
        ----------
        calexps : list of Image
            Background-subtracted frames; a visit here is one exposure.

        Returns
        -------
        Struct
            ``sources``: a table with columns as `stage.demo.imaging.detect_sources` gives them.
        """
        import pyarrow as pa

        frame = calexps[0]
        found = detect_sources(
            frame.data, float(frame.header["RMS"]), self.config.threshold, bad_pixels(frame.data, frame.mask)
        )
        self.metadata["n_sources"] = len(found["x"])
        self.log.info("%d sources", len(found["x"]))
        return Struct(sources=pa.table(found))


class RegisterConnections(Connections, dimensions=(*VISIT, "skymap")):
    """A frame's sources and reference stars to its astrometry."""

    calexps = Input(dataset_type="calexp", storage_class="FitsImage", dimensions=RAW, multiple=True)
    sources = Input(dataset_type="src", storage_class="ArrowTable", dimensions=VISIT)
    refcat = Input(dataset_type="refcat", storage_class="ArrowTable", dimensions=("skymap",))
    astrometry = Output(dataset_type="astrometry", storage_class="Json", dimensions=(*VISIT, "skymap"))


class RegisterConfig(Config):
    """How far the pointing may be off, and which header words hold it."""

    max_shift: float = Field(60.0, gt=0, description="Largest error of the pointing, in pixels.")
    max_rms: float = Field(
        1.0, gt=0, description="Largest residual of a frame that counts as registered, in pixels."
    )
    min_matched: int = Field(15, ge=8, description="Fewest stars of a frame that counts as registered.")
    ra_word: str = Field("RA", description="Header word of the pointing's right ascension, degrees.")
    dec_word: str = Field("DEC", description="Header word of the pointing's declination, degrees.")
    scale_word: str = Field("IM_SCALE", description="Header word of the pixel size, arcseconds.")


class RegisterTask(Task):
    """Find the true position of a frame; one that does not match has no astrometry and no further work."""

    ConfigClass = RegisterConfig
    ConnectionsClass = RegisterConnections
    default_label = "register"
    config: RegisterConfig

    def run(self, calexps: list[Image], sources: Any, refcat: Any) -> Struct:
        """Match a frame's stars with the reference.

        Parameters
        ----------
        calexps : list of Image
            The visit's (one) frame, for its header.
        sources : pyarrow.Table
            ``x``, ``y`` in pixels, brightest first.
        refcat : pyarrow.Table
            ``ra``, ``dec`` in degrees, brightest first.

        Returns
        -------
        Struct
            ``astrometry``: the projection as header words, ``n_matched`` and ``rms_pixels``.

        Raises
        ------
        NoWorkFound
            If the frame does not match.
        """
        frame = calexps[0]
        guess = guess_wcs(frame, self.config)
        expected = np.column_stack(guess.world_to_pixel_values(_column(refcat, "ra"), _column(refcat, "dec")))
        ny, nx = frame.data.shape
        edge = self.config.max_shift
        inside = ((expected > -edge) & (expected < [nx + edge, ny + edge])).all(axis=1)
        found = np.column_stack([_column(sources, "x"), _column(sources, "y")])
        fit = fit_registration(found, expected[inside], self.config.max_shift)
        if fit is None or fit.n_matched < self.config.min_matched or fit.rms_pixels > self.config.max_rms:
            raise NoWorkFound(f"the frame does not match the reference ({fit})")
        self.metadata.update(n_matched=fit.n_matched, rms_pixels=fit.rms_pixels)
        self.log.info("%d stars matched, rms %.3f pixels", fit.n_matched, fit.rms_pixels)
        header = {
            word: value for word, value in fit.correct(guess).to_header().items() if word not in _NOT_WCS
        }
        return Struct(astrometry={"header": header, "n_matched": fit.n_matched, "rms_pixels": fit.rms_pixels})


_NOT_WCS = frozenset({"DATE-OBS", "MJD-OBS", "DATEREF", "MJDREF"})


def guess_wcs(frame: Image, config: RegisterConfig) -> Any:
    """Guess a frame's astrometry from its header.

    Parameters
    ----------
    frame : Image
        Whose header has the words that `config` names.
    config : RegisterConfig
        Which words.

    Returns
    -------
    astropy.wcs.WCS
        Without rotation.
    """
    header = frame.header
    ra, dec = float(header[config.ra_word]), float(header[config.dec_word])
    return pointing_wcs(ra, dec, float(header[config.scale_word]), frame.data.shape)


def _column(table: Any, name: str) -> Any:
    return table.column(name).to_numpy()
