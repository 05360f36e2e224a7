"""Arrays as pictures for a report."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from registry.errors import StorageError

__all__ = ["Picture", "picture_of"]


@dataclass(frozen=True)
class Picture:
    """A picture with a caption.

    Parameters
    ----------
    caption : str
        What it shows.
    png : bytes
        The picture itself.
    """

    caption: str
    png: bytes

    @property
    def data_uri(self) -> str:
        """The picture in a form that a page can hold."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def picture_of(image: Any, caption: str, max_pixels: int = 900) -> Picture:
    """Render an image in shades of grey, with a stretch that shows faint and bright.

    Parameters
    ----------
    image : numpy.ndarray, shape (ny, nx)
        Any unit; NaN is shown black. The first row is drawn at the bottom.
    caption : str
        What it shows.
    max_pixels : int
        Largest width or height of the picture; larger images are thinned.

    Returns
    -------
    Picture
        An 8-bit PNG.

    Raises
    ------
    StorageError
        If Pillow is not installed.

    Notes
    -----
    Source: the asinh stretch of Lupton et al. 2004.
    """
    try:
        from PIL import Image as PilImage
    except ImportError as exc:
        raise StorageError(
            "pictures need Pillow",
            code="missing-extra",
            hint="Install the extra: pip install 'stage[astro]'.",
        ) from exc
    step = max(1, -(-max(image.shape) // max_pixels))
    pixels = np.asarray(image, dtype=np.float64)[::step, ::step]
    good = np.isfinite(pixels)
    middle = np.median(pixels[good]) if good.any() else 0.0
    spread = 1.4826 * np.median(np.abs(pixels[good] - middle)) if good.any() else 1.0
    stretched = np.arcsinh((np.where(good, pixels, middle) - middle + 2 * spread) / (3 * max(spread, 1e-12)))
    top = np.percentile(stretched, 99.7)
    shades = np.where(good, np.clip(stretched / max(top, 1e-12), 0, 1) * 255, 0).astype(np.uint8)
    out = io.BytesIO()
    PilImage.fromarray(shades[::-1]).save(out, format="PNG", optimize=True)
    return Picture(caption, out.getvalue())
