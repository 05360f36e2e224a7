"""Fetched files that are gone here, or that hang on upstream's more than a mode wants."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import numpy as np

from registry.artifacts import artifacts_of_runs
from registry.model.columns import Columns
from registry.model.records import ARTIFACT
from sync.filesystem import files
from sync.filesystem.uris import local_text
from sync.found import below
from sync.manifest import DATASET, read_baselines

if TYPE_CHECKING:
    from registry.snapshot import Snapshot

__all__ = ["weaker_files"]


def weaker_files(ours: Snapshot, root: str, mode: str) -> Columns:
    """Return the records of fetched files that have a name here and are to be fetched once more.

    Parameters
    ----------
    ours : Snapshot
        Of staging.
    root : str
        Its datastore's root.
    mode : {"link", "symlink", "copy"}
        How files are fetched now.

    Returns
    -------
    Columns
        `registry.model.records.ARTIFACT`: of files that are gone, of symbolic links where that is not the mode, and of
        hard links where it is ``copy``. Nothing is replaced by what hangs on upstream more. In a store there are no
        links, and nothing is looked for.

    Notes
    -----
    One call of the system a file.
    """
    base = local_text(root)
    fetched = read_baselines(ours, DATASET).keys() if base is not None else ()
    if base is None or not fetched:
        return Columns.from_rows(ARTIFACT, [])
    rows = artifacts_of_runs(ours, (), others=True).select(ARTIFACT)
    chosen = [
        i in fetched and not files.is_absolute(uri)
        for i, uri in zip(rows["id"].tolist(), rows["uri"].tolist(), strict=True)
    ]
    rows = rows.take(np.array(chosen, np.bool_))
    weaker = [_is_weaker(path, mode) for path in below(base, rows["uri"].tolist())]
    return rows.take(np.array(weaker, np.bool_))


def _is_weaker(path: str, mode: str) -> bool:
    try:
        there = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    if stat.S_ISLNK(there.st_mode):
        return mode != "symlink"
    return mode == "copy" and there.st_nlink > 1
