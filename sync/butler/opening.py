"""Opening a butler repository by its own software, which is an extra."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from registry.errors import StorageError, UsageError
from sync.butler.yaml_export import NAMESPACE
from sync.filesystem import files

__all__ = ["BUTLER_FILE", "datastore_roots", "is_butler", "open_butler", "plain_path"]

BUTLER_FILE = "butler.yaml"


def is_butler(root: str) -> bool:
    """Tell whether a root is that of a butler repository.

    Parameters
    ----------
    root : str
        A directory at any URI.

    Returns
    -------
    bool
        Whether it has a ``butler.yaml``.
    """
    return files.exists(files.join(root, BUTLER_FILE))


def open_butler(root: str, *, writable: bool = False) -> Any:
    """Open a butler repository.

    Parameters
    ----------
    root : str
        Its root.
    writable : bool, optional
        Whether it may be changed.

    Returns
    -------
    lsst.daf.butler.Butler
        Open.

    Raises
    ------
    UsageError
        If the packages that read it are not installed, or its dimensions are none that ours have.
    StorageError
        If it cannot be opened.
    """
    try:
        from lsst.daf.butler import Butler
    except ImportError as exc:
        raise UsageError(
            f"{files.redact(root)} is a butler repository, and lsst-daf-butler is not installed",
            code="no-butler",
            hint="Install it: pip install 'stage[rubin]'.",
        ) from exc
    try:
        butler = Butler.from_config(root, writeable=writable)
    except Exception as exc:  # a foreign system: which errors it may raise is not told
        raise StorageError(
            f"the butler repository {files.redact(root)} cannot be opened: {exc}",
            code="butler-unreadable",
            hint="See whether 'butler query-collections' can read it.",
        ) from exc
    if butler.dimensions.namespace != NAMESPACE:
        raise UsageError(
            f"{files.redact(root)} has the dimensions '{butler.dimensions.namespace}'; '{NAMESPACE}' is understood",
            code="universe-differs",
            hint="Export what is needed, and import it into a repository with a universe of its own.",
        )
    return butler


def datastore_roots(butler: Any) -> dict[str, str]:
    """Return where each of its datastores keeps its files.

    Parameters
    ----------
    butler : lsst.daf.butler.Butler
        Open.

    Returns
    -------
    dict of str to str
        Name to root: a path, or a URI. One that is only in memory has none.
    """
    store = butler._datastore  # noqa: SLF001 - nothing public tells it
    return {
        one.name: plain_path(str(one.root))
        for one in getattr(store, "datastores", [store])
        if hasattr(one, "root")
    }


def plain_path(uri: str) -> str:
    """Return the path of a local file, as it is on disk.

    Parameters
    ----------
    uri : str
        Anything; in a ``file`` URI names are quoted.

    Returns
    -------
    str
        The path, or what was given.
    """
    return unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
