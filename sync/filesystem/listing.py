"""Listing what there is below some directories at once, where a question for each file would cost too much."""

from __future__ import annotations

import os
from collections.abc import Iterable

from sync.filesystem import files, local_files, remote_files
from sync.filesystem.file_errors import worded

__all__ = ["sizes_below"]


def sizes_below(root: files.Uri, folders: Iterable[str]) -> dict[str, int]:
    """Return the files below directories, also those that are being written aside.

    Parameters
    ----------
    root : str or path
        Where.
    folders : iterable of str
        Directories, relative to it; those that do not exist have no files.

    Returns
    -------
    dict of str to int
        Path relative to the root to bytes.

    Raises
    ------
    StorageError
        If one cannot be listed.
    """
    path = files.local_path(root)
    found: dict[str, int] = {}
    for folder in dict.fromkeys(folders):
        where = files.join(root, folder) if folder else str(root)
        with worded(where, "list"):
            if path is None:
                told = {name: size for name, size, _ in remote_files.details(where)}
            else:
                told = _local_sizes(str(path / folder))
        found |= {f"{folder}/{name}".lstrip("/"): size for name, size in told.items()}
    return found


def _local_sizes(folder: str) -> dict[str, int]:
    out: dict[str, int] = {}
    for name in local_files.walk(folder):
        try:
            out[name] = os.stat(f"{folder}/{name}").st_size  # noqa: PTH116 - once a file
        except FileNotFoundError:
            continue
    return out
