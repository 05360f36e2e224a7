"""Tasks on patches of the sky: frames resampled onto them, averaged, and catalogued.

They are ordinary tasks, used by ``stage demo`` and by ``examples/hatp32``; each can be called in a notebook::

    >>> from stage.demo.coadds import StackTask  # doctest: +SKIP
    >>> StackTask().run(warps=[image_a, image_b]).coadd  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stage.demo.frames import RAW, VISIT, DetectConfig
from stage.demo.imaging import SkyGrid, bad_pixels, detect_sources, stack
from stage.pipeline.config import Config, Field
from stage.pipeline.connections import Connections, Input, Output, PrerequisiteInput
from stage.pipeline.task import NoWorkFound, Struct, Task
from sync.formatters.fits import Image

__all__ = ["CatalogueTask", "StackTask", "WarpTask"]

PATCH = ("skymap", "tract", "patch")


class WarpConnections(Connections, dimensions=(*VISIT, *PATCH)):
    """A frame, its astrometry and the sky map to the frame on a patch's pixels."""

    calexps = Input(dataset_type="calexp", storage_class="FitsImage", dimensions=RAW, multiple=True)
    astrometry = Input(dataset_type="astrometry", storage_class="Json", dimensions=(*VISIT, "skymap"))
    sky_grid = PrerequisiteInput(dataset_type="sky_grid", storage_class="Json", dimensions=("skymap",))
    warp = Output(dataset_type="warp", storage_class="FitsImage", dimensions=(*VISIT, *PATCH))


class WarpConfig(Config):
    """What makes a warp worth keeping."""

    min_pixels: int = Field(
        500, ge=1, description="A frame that covers fewer pixels of the patch has no work there."
    )


class WarpTask(Task):
    """Resample a frame onto a patch."""

    ConfigClass = WarpConfig
    ConnectionsClass = WarpConnections
    default_label = "warp"
    config: WarpConfig

    def run(
        self,
        calexps: list[Image],
        astrometry: dict[str, Any],
        sky_grid: dict[str, Any],
        data_id: Mapping[str, Any],
    ) -> Struct:
        """Resample one frame.

        Parameters
        ----------
        calexps : list of Image
            The visit's (one) frame.
        astrometry : dict
            With the projection's words under ``header``.
        sky_grid : dict
            Arguments of `stage.demo.imaging.SkyGrid`.
        data_id : mapping
            With the number of the ``patch``.

        Returns
        -------
        Struct
            ``warp``: NaN where the frame has nothing.

        Raises
        ------
        NoWorkFound
            If the frame misses the patch.

        Notes
        -----
        Bilinear interpolation (reproject).
        """
        from astropy.wcs import WCS
        from reproject import reproject_interp

        frame, grid = calexps[0], SkyGrid(**sky_grid)
        data = np.where(bad_pixels(frame.data, frame.mask), np.nan, frame.data).astype(np.float32)
        pixels, footprint = reproject_interp(
            (data, WCS(astrometry["header"])),
            grid.wcs(int(data_id["patch"])),
            shape_out=grid.shape,
            order="bilinear",
        )
        covered = int(np.isfinite(pixels).sum())
        if covered < self.config.min_pixels:
            raise NoWorkFound(f"the frame covers {covered} pixels of the patch")
        self.metadata["covered"] = float(np.mean(footprint))
        return Struct(warp=Image(pixels.astype(np.float32), {"RMS": float(frame.header["RMS"])}))


class StackConnections(Connections, dimensions=(*PATCH, "band")):
    """The warps of a patch in one band to their coadd."""

    warps = Input(dataset_type="warp", storage_class="FitsImage", dimensions=(*VISIT, *PATCH), multiple=True)
    coadd = Output(dataset_type="coadd", storage_class="FitsImage", dimensions=(*PATCH, "band"))


class StackConfig(Config):
    """How warps are averaged."""

    clip_sigma: float = Field(4.0, gt=0, description="Pixels further out than this are left out of the mean.")


class StackTask(Task):
    """Average the warps of a patch."""

    ConfigClass = StackConfig
    ConnectionsClass = StackConnections
    default_label = "stack"
    config: StackConfig

    def run(self, warps: list[Image]) -> Struct:
        """Average with clipping.

        Parameters
        ----------
        warps : list of Image
            NaN where there is nothing; header word ``RMS`` is the noise of the frame.

        Returns
        -------
        Struct
            ``coadd``: mean, with its variance, and mask (1 where no warp has anything).
        """
        mean, count = stack([w.data for w in warps], self.config.clip_sigma)
        noise = float(np.median([float(w.header["RMS"]) for w in warps]))
        variance = np.where(count > 0, noise**2 / np.maximum(count, 1), 0).astype(np.float32)
        self.metadata.update(n_warps=len(warps), max_depth=int(count.max()))
        header = {"NWARPS": len(warps)}
        return Struct(
            coadd=Image(np.nan_to_num(mean), header, mask=(count == 0).astype(np.uint8), variance=variance)
        )


class CatalogueConnections(Connections, dimensions=(*PATCH, "band")):
    """A coadd to the catalogue of its patch."""

    coadd = Input(dataset_type="coadd", storage_class="FitsImage", dimensions=(*PATCH, "band"))
    sky_grid = PrerequisiteInput(dataset_type="sky_grid", storage_class="Json", dimensions=("skymap",))
    catalogue = Output(dataset_type="catalogue", storage_class="ArrowTable", dimensions=(*PATCH, "band"))


class CatalogueTask(Task):
    """Detect on a coadd, and keep what lies in the patch proper, so that no source is counted twice."""

    ConfigClass = DetectConfig
    ConnectionsClass = CatalogueConnections
    default_label = "catalogue"
    config: DetectConfig

    def run(self, coadd: Image, sky_grid: dict[str, Any], data_id: Mapping[str, Any]) -> Struct:
        """Measure one coadd.

        Parameters
        ----------
        coadd : Image
            With variance and mask.
        sky_grid : dict
            Arguments of `stage.demo.imaging.SkyGrid`.
        data_id : mapping
            With the number of the ``patch``.

        Returns
        -------
        Struct
            ``catalogue``: ``ra``, ``dec`` in degrees, and what `detect_sources` measures.
        """
        import pyarrow as pa

        if coadd.variance is None:
            raise ValueError("the coadd has no variance plane")
        grid, bad = SkyGrid(**sky_grid), bad_pixels(coadd.data, coadd.mask)
        rms = np.sqrt(np.where(bad, 1.0, coadd.variance))
        found = detect_sources(coadd.data, rms, self.config.threshold, bad)
        mine = grid.inner(found["x"], found["y"])
        found = {name: values[mine] for name, values in found.items()}
        ra, dec = grid.wcs(int(data_id["patch"])).pixel_to_world_values(found["x"], found["y"])
        self.metadata["n_sources"] = int(mine.sum())
        return Struct(catalogue=pa.table({"ra": np.asarray(ra), "dec": np.asarray(dec), **found}))
