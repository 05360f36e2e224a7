"""A probe of a directory: whether its file system does what a campaign relies on."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sync.filesystem.names import aside_name

__all__ = ["try_directory"]

_SKEW_S, _GREAT_SKEW_S = 2.0, 60.0
Status = Literal["ok", "warn", "bad"]
Line = tuple[str, Status, str, str]


def try_directory(root: Path) -> list[Line]:
    """Make a file in a directory of its own below one, rename it, link it, lock it, and remove all.

    Parameters
    ----------
    root : pathlib.Path
        Where; nothing else in it is touched.

    Returns
    -------
    list of (str, str, str, str)
        Name, status, text and next step of what was found.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{aside_name()}.", dir=root))
    except OSError as exc:
        return [("writing", "warn", f"{root} cannot be written: {exc.strerror}",
                 "Here one can only look; make a campaign of your own: stage clone.")]  # fmt: skip
    try:
        return [_acts(folder), _clock(folder)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _acts(folder: Path) -> Line:
    one, other = folder / "one", folder / "other"
    acts: dict[str, Callable[[], object]] = {
        "write": lambda: one.write_bytes(b"probe"), "fsync": lambda: _flush(one), "lock": lambda: _lock(one),
        "link": lambda: os.link(one, other), "rename": lambda: one.replace(other.with_name("third")),
        "symbolic link": lambda: (folder / "leads").symlink_to(other),
    }  # fmt: skip
    failed = {}
    for name, act in acts.items():
        try:
            act()
        except OSError as exc:
            failed[name] = exc.strerror or str(exc)
    if not failed:
        return "probe", "ok", f"{', '.join(acts)} work here", ""
    text = "; ".join(f"{name} does not work here: {why}" for name, why in failed.items())
    if set(failed) <= {"link", "symbolic link"}:
        return "probe", "warn", text, "Artifacts are copied instead of linked; nothing has to be done."
    return "probe", "bad", text, "Put the campaign on another file system."


def _flush(path: Path) -> None:
    for place in (path, path.parent):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _lock(path: Path) -> None:
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _clock(folder: Path) -> Line:
    """Compare the clock of the file system with this machine's: logs and left-over files are judged by both."""
    path = folder / "now"
    before = time.time()
    path.write_bytes(b"")
    after, told = time.time(), path.stat().st_mtime
    skew = max(before - told, told - after, 0.0)
    # File systems keep time in steps, some of them of a second.
    if skew <= _SKEW_S:
        return "clock", "ok", "the file system's is this machine's", ""
    status: Status = "bad" if skew > _GREAT_SKEW_S else "warn"
    return (
        "clock",
        status,
        f"the file system's differs from this machine's by {skew:,.0f} s",
        "Set both by NTP.",
    )
