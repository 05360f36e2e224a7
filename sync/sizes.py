"""The sizes of many files of a datastore at once."""
# ruff: noqa: PTH116
# pathlib costs more than the system calls that it wraps, and there is one a file

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from registry.errors import NotFoundError
from sync.filesystem import files
from sync.filesystem.file_errors import worded
from sync.found import below, sizes_there

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["sizes_of"]


def sizes_of(uris: Sequence[str], root: str) -> npt.NDArray[np.int64]:
    """Return the sizes of files.

    Parameters
    ----------
    uris : sequence of str
        Relative to the root, or absolute.
    root : str
        A datastore's root.

    Returns
    -------
    numpy.ndarray of int64
        Bytes of each, -1 where there is no file.

    Raises
    ------
    StorageError
        If that cannot be known.

    Notes
    -----
    One call of the system a local file; a store elsewhere is asked for a list.
    """
    local = files.local_text(root)
    if local is None:
        ours = [uri for uri in uris if not files.is_absolute(uri)]
        there = sizes_there(ours, root)
        found = [there.get(uri, -1) if not files.is_absolute(uri) else _size(uri) for uri in uris]
        return np.array(found, dtype=np.int64)
    out = np.full(len(uris), -1, dtype=np.int64)
    with worded(root, "look for files below"):
        for i, path in enumerate(below(local, uris)):
            try:
                out[i] = os.stat(path).st_size if "://" not in path else _size(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
    return out


def _size(uri: str) -> int:
    try:
        return files.size(uri)
    except NotFoundError:
        return -1
