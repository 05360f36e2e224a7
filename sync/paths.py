"""Where an artifact goes below a datastore's root, made from what it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from registry.errors import UsageError

__all__ = ["artifact_stem", "dataset_id_of", "safe_part"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_.+@%:-]|^\.|::|^-")
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*\Z")
_ID = re.compile(r".*_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:[./]|\Z)")
_MAX_VALUE = 40
_MAX_NAME = 200


def safe_part(text: str, longest: int = 255) -> str:
    """Turn any text into one part of a path.

    Parameters
    ----------
    text : str
        Any text.
    longest : int, optional
        Most characters to keep.

    Returns
    -------
    str
        Not empty, without ``/``, never ``.`` or ``..``, and not hidden; plain names stay as they are.
    """
    if _SAFE.match(text) and len(text) <= longest:
        return text
    return _UNSAFE.sub("_", text)[:longest] or "_"


def artifact_stem(
    run: str, dataset_type: str, dimension_names: Sequence[str], values: Sequence[Any], dataset_id: bytes
) -> str:
    """Return an artifact's path without its extension.

    Parameters
    ----------
    run : str
        The RUN collection.
    dataset_type : str
        Name of the dataset type.
    dimension_names, values : sequence
        The data ID: required dimensions in universe order.
    dataset_id : bytes
        16 bytes.

    Returns
    -------
    str
        ``<run>/<type>/<value>/…/<type>_<value>_…_<uuid>``, relative, with a directory for each value but the last.
        The id in it is whole, so no two datasets share a path; other parts need not be unique and may be cut.

    Raises
    ------
    UsageError
        If names and values do not pair, or `dataset_id` is no id.

    Notes
    -----
    A directory for each dataset would cost more than its file: 0.1 to 0.8 ms for a `mkdir` against 0.03 to
    0.05 ms for a tiny file, measured on ext4.

    Examples
    --------
    >>> artifact_stem("hsc/1", "raw", ("instrument", "exposure"), ("HSC", 318), bytes(16))
    'hsc/1/raw/HSC/raw_HSC_318_00000000-0000-0000-0000-000000000000'
    """
    if len(dimension_names) != len(values) or len(dataset_id) != 16:
        raise UsageError(
            f"no path for {dataset_type}: {len(dimension_names)} dimensions, {len(values)} values, "
            f"an id of {len(dataset_id)} bytes",
            code="bad-path",
        )
    kind = safe_part(dataset_type)
    parts = [safe_part(str(v), _MAX_VALUE) for v in values]
    name = "_".join((kind, *parts))[:_MAX_NAME]
    folder = "/".join((*map(safe_part, run.split("/")), kind, *parts[:-1]))
    digits = dataset_id.hex()  # as a UUID is written, without making one
    return f"{folder}/{name}_{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def dataset_id_of(path: str) -> bytes | None:
    """Return the id of the dataset whose artifact a path is.

    Parameters
    ----------
    path : str
        An artifact's path, or one of a file within.

    Returns
    -------
    bytes or None
        None if it is not made as `artifact_stem` makes it.
    """
    found = _ID.match(path)
    return bytes.fromhex(found[1].replace("-", "")) if found else None
