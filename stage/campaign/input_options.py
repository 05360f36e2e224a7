"""How the files of inputs come to a campaign: the values that the options about it may have."""

from __future__ import annotations

import re

from registry.errors import UsageError

__all__ = ["ARTIFACT_MODES", "check_artifacts", "check_cache_size"]

ARTIFACT_MODES = ("direct", "link", "symlink", "copy")
_SIZE = re.compile(r"([0-9]+(\.[0-9]*)? ?([KMGT]?B)?)?\Z")


def check_artifacts(mode: str) -> str:
    """Return a way of fetching files if there is one of that name.

    Parameters
    ----------
    mode : str
        Its name.

    Returns
    -------
    str
        The same.

    Raises
    ------
    UsageError
        If there is none.
    """
    if mode not in ARTIFACT_MODES:
        raise UsageError(
            f"'{mode}' is no way to fetch files",
            code="bad-artifacts",
            hint=f"Ways are: {', '.join(ARTIFACT_MODES)}.",
        )
    return mode


def check_cache_size(size: str) -> str:
    """Return a size of the cache if it is one.

    Parameters
    ----------
    size : str
        As ``20GB``; empty for the default.

    Returns
    -------
    str
        The same.

    Raises
    ------
    UsageError
        If it is none.
    """
    if not _SIZE.match(size):
        raise UsageError(
            f"'{size}' is not a size", code="bad-size", hint="Write it as 20GB, 500MB or 0 for no cache."
        )
    return size
