"""How the files of inputs come to a campaign: the values that the options about it may have."""

from __future__ import annotations

from registry.errors import UsageError

__all__ = ["ARTIFACT_MODES", "check_artifacts", "check_cache_size"]

ARTIFACT_MODES = ("direct", "link", "symlink", "copy")


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
    from sync.cache import parse_size

    if size:
        parse_size(size)
    return size
