"""Whether artifacts are linked rather than copied."""

from __future__ import annotations

from typing import Literal

from registry.errors import UsageError
from sync.filesystem import files
from sync.filesystem.file_errors import worded

__all__ = ["Mode", "can_link"]

Mode = Literal["auto", "link", "copy"]


def can_link(source: str, target: str, mode: Mode) -> bool:
    """Tell whether files are to be linked; nothing is written.

    Parameters
    ----------
    source, target : str
        The two roots; that of `target` need not be there yet.
    mode : {"auto", "link", "copy"}
        What was asked for.

    Returns
    -------
    bool
        Whether both are on one local file system, and a copy was not asked for.

    Raises
    ------
    UsageError
        If a link was asked for, and cannot be made.
    """
    if mode == "copy":
        return False
    ours, theirs = files.local_path(source), files.local_path(target)
    if ours is not None and theirs is not None and ours.exists():
        with worded(theirs, "look at"):
            there = next(path for path in (theirs, *theirs.parents) if path.exists())
            if ours.stat().st_dev == there.stat().st_dev:
                return True
    if mode == "auto":
        return False
    raise UsageError(
        f"cannot link from {files.redact(source)} to {files.redact(target)}: not one local file system",
        code="cannot-link",
        hint="Use mode 'copy' or 'auto'.",
    )
