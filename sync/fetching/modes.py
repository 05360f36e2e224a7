"""Whether a way of fetching files can work between two places; told before anything is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from registry.errors import UsageError
from sync.fetching.movers import refused_by
from sync.filesystem import files
from sync.filesystem.file_errors import worded

if TYPE_CHECKING:
    from sync.fetching.movers import LinkMode

__all__ = ["check_mode", "try_mode"]

_COPY = "--artifacts copy would work; --artifacts direct reads them where they are."
_EITHER = "--artifacts symlink or copy would work; --artifacts direct reads them where they are."
_DIRECT = "--artifacts direct reads the files where they are, and writes none."


def check_mode(mode: LinkMode, sources: Sequence[str], root: str) -> None:
    """Refuse a way of fetching that cannot work, as far as that can be known without writing.

    Parameters
    ----------
    mode : {"link", "symlink", "copy"}
        How.
    sources : sequence of str
        Where the files are.
    root : str
        Root of the datastore that they are to be named in; it need not be there.

    Raises
    ------
    UsageError
        With code ``cannot-link``, ``cannot-symlink`` or ``cannot-copy``; says what is in the way and what would work.
    """
    if not sources:
        return
    own = files.local_path(root)
    if own is not None:
        there = next(p for p in (own, *own.parents) if p.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            raise _refused(mode, f"{there} cannot be written", _DIRECT)
    if mode == "copy":
        return
    if own is None:
        raise _refused(
            mode, f"the campaign's files are in {files.redact(root)}, where there are no links", _COPY
        )
    remote = next((source for source in sources if not files.is_local(source)), None)
    if remote is not None:
        raise _refused(mode, f"{files.redact(remote)} is not a local file", _COPY)
    other = _other_device(sources, there.stat().st_dev) if mode == "link" else None
    if other is not None:
        raise _refused(mode, f"{other} and {own} are on two file systems", _EITHER)


def try_mode(mode: LinkMode, sources: Sequence[str], root: str) -> None:
    """Refuse links where the system does not let one make the first of them.

    Parameters
    ----------
    mode : {"link", "symlink", "copy"}
        How.
    sources : sequence of str
        Where the files are.
    root : str
        Root of the datastore; made if need be.

    Raises
    ------
    UsageError
        As of `check_mode`.
    StorageError
        If the root cannot be made.
    """
    own = files.local_path(root)
    if own is None or not sources:
        return
    with worded(root, "make"):
        own.mkdir(parents=True, exist_ok=True)
    refused = refused_by(mode, sources[0], str(own))
    if refused is not None:
        hint = _EITHER if mode == "link" else _COPY
        raise _refused(mode, f"the system refuses it for {sources[0]}: {refused.strerror}", hint)


def _other_device(sources: Sequence[str], here: int) -> str | None:
    """Return a directory that is on another file system; one question a directory."""
    for folder in {source.rpartition("/")[0] for source in sources}:
        with suppress(OSError):  # what is missing is told file by file
            if os.stat(folder).st_dev != here:  # noqa: PTH116 - one call a directory
                return folder
    return None


def _refused(mode: LinkMode, why: str, hint: str) -> UsageError:
    return UsageError(f"--artifacts {mode} cannot work: {why}", code=f"cannot-{mode}", hint=hint)
