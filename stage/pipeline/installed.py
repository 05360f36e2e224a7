"""What is installed in this environment: names and versions, read without loading a library for it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["installed_packages", "installed_version"]

_ENDS = (".dist-info", ".egg-info")
_HEAD_BYTES = 4096
_FILES = ("METADATA", "PKG-INFO")


def installed_packages() -> dict[str, str]:
    """Return what is installed in the folders of the path.

    Returns
    -------
    dict of str to str
        Name to version, sorted by name; looked through once as long as the folders stay as they are.
    """
    return _installed(tuple((p, _changed(p)) for p in sys.path))


def installed_version(name: str) -> str | None:
    """Return the version of one package.

    Parameters
    ----------
    name : str
        In any spelling.

    Returns
    -------
    str or None
        None if none of that name is installed.
    """
    return _by_plain_name(tuple((p, _changed(p)) for p in sys.path)).get(_plain(name))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _changed(folder: str) -> int:
    """Return when something was last installed in a folder or removed from it."""
    try:
        return os.stat(folder or ".").st_mtime_ns  # noqa: PTH116 - many, and most of them are not there
    except OSError:
        return 0


@lru_cache(maxsize=1)
def _installed(where: tuple[tuple[str, int], ...]) -> dict[str, str]:
    found = dict(pair for folder, changed in where if changed for pair in _found_in(folder, changed))
    return dict(sorted(found.items(), key=lambda p: p[0].lower()))


@lru_cache(maxsize=1)
def _by_plain_name(where: tuple[tuple[str, int], ...]) -> dict[str, str]:
    # Of several the first on the path is the one that is imported.
    pairs = [pair for folder, changed in where if changed for pair in _found_in(folder, changed)]
    return {_plain(name): version for name, version in reversed(pairs)}


@lru_cache(maxsize=64)
def _found_in(folder: str, changed: int) -> tuple[tuple[str, str], ...]:
    """Look through a folder once as long as it stays as it is, whatever else is on the path."""
    del changed
    return tuple(_of_folder(folder or "."))


def _of_folder(folder: str) -> Iterator[tuple[str, str]]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - as above
    except NotADirectoryError:
        yield from _of_archive(folder)
        return
    except OSError:
        return
    for name in names:
        if name.endswith(_ENDS):
            found = _name_and_version(f"{folder}/{name}")
            if found is not None:
                yield found


def _name_and_version(place: str) -> tuple[str, str] | None:
    """Read the two lines that are asked for: a whole document parsed for each package takes most of a short command."""
    for path in (*(f"{place}/{name}" for name in _FILES), place):
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            head = os.read(fd, _HEAD_BYTES).decode(errors="replace").partition("\n\n")[0]
        except OSError:
            continue
        finally:
            os.close(fd)
        found: dict[str, str] = {}
        for line in head.splitlines():
            if line.startswith(("Name:", "Version:")):
                key, _, value = line.partition(":")
                found.setdefault(key, value.strip())
        if len(found) == 2:
            return found["Name"], found["Version"]
    return None


def _of_archive(path: str) -> Iterator[tuple[str, str]]:
    """Ask Python for what an archive on the path holds."""
    from importlib import metadata

    for package in metadata.distributions(path=[path]):
        if package.name:
            yield package.name, package.version
