"""What the library of SQLite that Python brings can do."""

from __future__ import annotations

import contextlib
import sqlite3

__all__ = ["is_recent_enough", "sqlite_options", "sqlite_version"]

_LEAST = (3, 35)

_TOLD = ("THREADSAFE", "MAX_VARIABLE_NUMBER", "MAX_MMAP_SIZE", "DEFAULT_SYNCHRONOUS", "OMIT_", "USE_URI")


def sqlite_version() -> str:
    """Return its version.

    Returns
    -------
    str
        As ``3.40.1``.
    """
    return sqlite3.sqlite_version


def is_recent_enough() -> bool:
    """Tell whether it knows all that is asked of it.

    Returns
    -------
    bool
        From version 3.35 on.
    """
    return sqlite3.sqlite_version_info[:2] >= _LEAST


def sqlite_options() -> list[str]:
    """Return the options that it was compiled with, as far as something here depends on them.

    Returns
    -------
    list of str
        As ``THREADSAFE=1``.
    """
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        options = [str(row[0]) for row in database.execute("PRAGMA compile_options")]
    return [option for option in options if option.startswith(_TOLD)]
