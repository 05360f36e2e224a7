"""FITS images and tables, through astropy (extra ``astro``).

A file that is packed with gzip is unpacked first, whatever its name: raw frames often come so.
"""

from __future__ import annotations

import gzip
import io
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from registry.errors import IntegrityError, UsageError
from sync.formatters.base import needs_extra, reading, writing, wrong_type

__all__ = ["Image", "ImageFormatter", "TableFormatter"]

_GZIP = b"\x1f\x8b"
_PLANES = ("MASK", "VARIANCE")
# Words that say how the array is stored. They are made anew from the array when it is written.
_STRUCTURE = frozenset(
    [
        "SIMPLE",
        "XTENSION",
        "BITPIX",
        "NAXIS",
        "EXTEND",
        "PCOUNT",
        "GCOUNT",
        "GROUPS",
        "BSCALE",
        "BZERO",
        "BLANK",
        "CHECKSUM",
        "DATASUM",
        "EXTNAME",
        "END",
    ]
)
_COMMENTARY = ("COMMENT", "HISTORY")


@dataclass(eq=False)
class Image:
    """An image with its header, and what is known of each pixel.

    Parameters
    ----------
    data : numpy.ndarray
        The pixels, in the machine's byte order.
    header : dict
        FITS keywords (upper case) to values, in the file's order. ``COMMENT`` and ``HISTORY`` are one text each,
        with a line a card; a keyword without a value is None.
    mask : numpy.ndarray, optional
        Integers or booleans of the shape of `data`; 0 is good.
    variance : numpy.ndarray, optional
        Variances of the shape of `data`.
    """

    data: npt.NDArray[Any]
    header: dict[str, Any] = field(default_factory=dict)
    mask: npt.NDArray[Any] | None = None
    variance: npt.NDArray[Any] | None = None

    def __repr__(self) -> str:
        planes = [n for n in ("mask", "variance") if getattr(self, n) is not None]
        extra = f", {' and '.join(planes)}" if planes else ""
        return f"Image({self.data.shape} {self.data.dtype}, {len(self.header)} header words{extra})"


class ImageFormatter:
    """An `Image`: pixels and header first, then extensions ``MASK`` and ``VARIANCE`` where it has them.

    Any other FITS file can be read: the first HDU that holds an image counts. Numbers that a header cannot hold
    (NaN, infinity) are written as keywords without a value.
    """

    name = "fits"
    extension = ".fits"

    def encode(self, obj: object) -> bytes:
        """Return a FITS file.

        Parameters
        ----------
        obj : object
            An `Image`, or an array alone.

        Returns
        -------
        bytes
            The file.

        Raises
        ------
        UsageError
            If it is neither, its header has a value that FITS cannot hold, or astropy is not installed.
        """
        image = Image(obj) if isinstance(obj, np.ndarray) else obj
        if not isinstance(image, Image):
            raise wrong_type(self.name, "sync.formatters.fits.Image", obj)
        fits = _fits()
        stream = io.BytesIO()
        with writing(self.name, obj), _quiet():
            parts = [fits.PrimaryHDU(_storable(image.data), _to_cards(fits, image.header))]
            for name in _PLANES:
                plane = getattr(image, name.lower())
                if plane is not None:
                    _check_shape(name.lower(), plane, image.data)
                    parts.append(fits.ImageHDU(_storable(plane), name=name))
            fits.HDUList(parts).writeto(stream)
        return stream.getvalue()

    def decode(self, data: bytes) -> object:
        """Read a FITS file.

        Parameters
        ----------
        data : bytes
            The file, packed with gzip or not.

        Returns
        -------
        Image
            Its first image.

        Raises
        ------
        IntegrityError
            If it is no FITS file, is cut short, or has no image.
        UsageError
            If astropy is not installed.
        """
        fits = _fits()
        with reading(self.name), _quiet(), fits.open(io.BytesIO(_unpacked(data)), memmap=False) as parts:
            planes = {p.name: _native(p.data) for p in parts if p.name in _PLANES and p.is_image}
            for part in parts:
                if part.is_image and part.name not in _PLANES and part.data is not None:
                    # The pixels first: reading them takes the scaling they had out of the header.
                    pixels = _native(part.data)
                    return Image(pixels, _from_cards(part.header), planes.get("MASK"), planes.get("VARIANCE"))
        raise IntegrityError("not readable as 'fits': it holds no image", code="damaged-file")


class TableFormatter:
    """An astropy table: one binary table HDU; of other files, the first one they hold."""

    name = "fits-table"
    extension = ".fits"

    def encode(self, obj: object) -> bytes:
        """Return a FITS file.

        Parameters
        ----------
        obj : object
            An `astropy.table.Table`.

        Returns
        -------
        bytes
            The file.

        Raises
        ------
        UsageError
            If it is none, has a column that FITS cannot hold, or astropy is not installed.
        """
        _fits()
        from astropy.table import Table

        if not isinstance(obj, Table):
            raise wrong_type(self.name, "an astropy.table.Table", obj)
        stream = io.BytesIO()
        with writing(self.name, obj), _quiet():
            obj.write(stream, format="fits")
        return stream.getvalue()

    def decode(self, data: bytes) -> object:
        """Read a FITS file.

        Parameters
        ----------
        data : bytes
            The file, packed with gzip or not.

        Returns
        -------
        astropy.table.Table
            Its first table.

        Raises
        ------
        IntegrityError
            If it is no FITS file, is cut short, or has no table.
        UsageError
            If astropy is not installed.
        """
        fits = _fits()
        from astropy.table import Table

        with reading(self.name), _quiet(), fits.open(io.BytesIO(_unpacked(data)), memmap=False) as parts:
            for part in parts:
                if isinstance(part, fits.BinTableHDU | fits.TableHDU):
                    return Table.read(part)
        raise IntegrityError("not readable as 'fits-table': it holds no table", code="damaged-file")


def _fits() -> ModuleType:
    try:
        from astropy.io import fits
    except ImportError as exc:
        raise needs_extra("the format 'fits'", "astro", "astropy") from exc
    return fits  # type: ignore[no-any-return]


@contextmanager
def _quiet() -> Iterator[None]:
    """Take a file that is cut short for an error, and leave out what astropy says of style."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*truncated.*")
        yield


def _unpacked(data: bytes) -> bytes:
    return gzip.decompress(data) if data[:2] == _GZIP else data


def _native(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _storable(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array = np.asarray(values)
    return array.astype(np.uint8) if array.dtype == np.bool_ else array


def _check_shape(name: str, plane: npt.NDArray[Any], data: npt.NDArray[Any]) -> None:
    if np.shape(plane) != data.shape:
        raise UsageError(
            f"the image's {name} has shape {np.shape(plane)}, its data {data.shape}", code="wrong-shape"
        )


def _from_cards(header: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for card in header.cards:
        name = card.keyword
        if name in _COMMENTARY:
            out[name] = f"{out[name]}\n{card.value}" if name in out else str(card.value)
        elif name:
            # An undefined value has a class of its own there.
            out.setdefault(
                name, card.value if isinstance(card.value, str | bool | int | float | complex) else None
            )
    return out


def _is_structure(name: str) -> bool:
    return name in _STRUCTURE or (name.startswith("NAXIS") and name[5:].isdigit())


def _to_cards(fits: ModuleType, header: Mapping[str, Any]) -> Any:
    out = fits.Header()
    for key, given in header.items():
        name = key.upper()
        if name in _COMMENTARY:
            for line in str(given).split("\n"):
                out.add_comment(line) if name == "COMMENT" else out.add_history(line)
        elif not _is_structure(name):
            value, comment = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
            keyword = name if len(name) <= 8 or name.startswith("HIERARCH ") else f"HIERARCH {name}"
            out.append(fits.Card(keyword, _card_value(key, value), comment), end=True)
    return out


def _card_value(key: str, value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not math.isfinite(plain):
        return None
    if plain is None or isinstance(plain, str | bool | int | float | complex):
        return plain
    raise UsageError(
        f"header word '{key}' holds a {type(plain).__name__}, which FITS cannot",
        code="not-writable",
        hint="Use text, a number, a bool or None.",
    )
