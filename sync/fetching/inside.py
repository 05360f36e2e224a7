"""Whether names below a root really are below it, symbolic links followed: asked before anything there is touched."""

from __future__ import annotations

import os
from collections.abc import Iterable

from registry.errors import UsageError
from sync.filesystem.uris import local_text

__all__ = ["check_inside", "leading_out"]


def leading_out(names: Iterable[str], root: str) -> dict[str, str]:
    """Find the directories that lead out of a root.

    Parameters
    ----------
    names : iterable of str
        Files, relative to the root. The last part of each is not followed: that may be a link.
    root : str
        The root; one that is not local has no links.

    Returns
    -------
    dict of str to str
        Directory, relative to the root, to where it really is; one question a directory.
    """
    own = local_text(root)
    folders = {name.rpartition("/")[0] for name in names}
    if own is None:
        return {folder: folder for folder in folders if ".." in folder.split("/")}
    real = os.path.realpath(own)
    out = {}
    for folder in folders:
        found = os.path.realpath(f"{real}/{folder}")
        if (found != real and not found.startswith(real.rstrip("/") + "/")) or ".." in folder.split("/"):
            out[folder] = found
    return out


def check_inside(names: Iterable[str], root: str) -> None:
    """Refuse files that are not below a root.

    Parameters
    ----------
    names : iterable of str
        Files, relative to it.
    root : str
        The root.

    Raises
    ------
    UsageError
        If a directory leads out; nothing was touched.
    """
    found = leading_out(names, root)
    if found:
        folder, place = next(iter(found.items()))
        raise UsageError(
            f"'{folder}' leads out of the datastore {root} to {place}",
            code="path-escape",
            hint="Remove the symbolic link in its path.",
        )
