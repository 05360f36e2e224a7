"""The way to a file of SQLite: what is looked at before, and what a connection is told."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from registry.errors import NotFoundError, StorageError
from registry.sql.engine import READ_TIMEOUT_S
from registry.sql.failures import translated

__all__ = ["open_file", "open_nowhere"]


def open_file(path: Path, *, writable: bool, create: bool) -> sa.Connection:
    """Connect to a file.

    Parameters
    ----------
    path : pathlib.Path
        Which.
    writable : bool
        Otherwise not one byte of it, or beside it, is changed.
    create : bool
        Whether to make the file.

    Returns
    -------
    sqlalchemy.Connection
        In driver autocommit mode.

    Raises
    ------
    NotFoundError
        If there is no such file.
    StorageError, IntegrityError
        If it cannot be opened, or is no database.
    """
    place = str(path)
    if not create:
        _check_file(path)
    mode = "rwc" if create else ("rw" if writable else "ro")

    def dial() -> sqlite3.Connection:
        never_changes = mode == "ro" and _needs_immutable(path)
        return _connect(path, f"mode={mode}" + ("&immutable=1" if never_changes else ""))

    with translated(place):
        connection = _connected(dial)
        try:
            _prepare(connection.connection.driver_connection, writable=writable)
        except sqlite3.Error:
            connection.close()
            raise
    return connection


def open_nowhere() -> sa.Connection:
    """Connect to an empty database of its own, which is gone when it is closed.

    Returns
    -------
    sqlalchemy.Connection
        In driver autocommit mode. References between tables are not checked. What does not fit into the cache is
        put into a file without a name.
    """

    def creator() -> sqlite3.Connection:
        return sqlite3.connect("", isolation_level=None, cached_statements=256)

    with translated("a temporary database"):
        connection = _connected(creator)
        driver: Any = connection.connection.driver_connection
        for pragma in (
            "journal_mode = MEMORY",
            "synchronous = OFF",
            "temp_store = MEMORY",
            "cache_size = -262144",
        ):
            driver.execute(f"PRAGMA {pragma}")
    return connection


_dialling = threading.local()
"""How this thread gets to what it is about to connect to."""


def _dial() -> sqlite3.Connection:
    return _dialling.way()  # type: ignore[no-any-return]


@cache
def _engine() -> sa.Engine:
    """Return the one engine of all files, so that a statement is compiled once for all; it keeps no connection."""
    return sa.create_engine("sqlite://", creator=_dial, poolclass=NullPool, isolation_level="AUTOCOMMIT")


def _connected(way: Callable[[], sqlite3.Connection]) -> sa.Connection:
    _dialling.way = way
    return _engine().connect()


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?{options}",
        uri=True, isolation_level=None, timeout=READ_TIMEOUT_S, cached_statements=256,
    )  # fmt: skip


def _needs_immutable(path: Path) -> bool:
    """Tell whether a file has to be read as one that never changes: in WAL mode, where nothing can be written beside it.

    Such a file is only readable together with its log and the index of that, or where they can be made. Without them
    nobody has it open, and it is whole. A log with content has changes that would not be seen, so that is refused.
    """
    if os.access(path.parent, os.W_OK):
        return False
    try:
        with contextlib.closing(_connect(path, "mode=ro")) as probe:
            probe.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except sqlite3.Error as exc:
        if not (getattr(exc, "sqlite_errorname", "") or "").startswith(
            ("SQLITE_CANTOPEN", "SQLITE_READONLY")
        ):
            return False  # whoever reads next meets it and can say what it is
    else:
        return False
    if Path(f"{path}-journal").exists():
        return False  # a writer was killed in the middle: what is there is not whole
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        raise StorageError(
            f"{path} has changes in {log.name} that are not yet in it, and {path.parent} cannot be written",
            code="log-unreadable",
            hint="Read it once where its directory can be written; that puts them in.",
        )
    return True


def _check_file(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(
            f"there is no registry at {path}", code="no-such-registry", hint="Check the path."
        ) from None
    except OSError as exc:
        raise StorageError(f"{path}: {exc.strerror}", code="cannot-open") from exc
    if path.is_dir():
        raise NotFoundError(
            f"{path} is a directory, not a registry", code="no-such-registry", hint="Check the path."
        )
    if not os.access(path, os.R_OK):
        raise StorageError(
            f"{path} cannot be read", code="cannot-open", hint="Ask its owner for the right to read."
        )


def _prepare(driver: Any, *, writable: bool) -> None:
    """Set what a connection needs; of these only the journal mode is kept in the file."""
    driver.execute("PRAGMA foreign_keys = ON")
    # Lists handed over to the database live in temporary tables: in memory, also beside a read-only file.
    driver.execute("PRAGMA temp_store = MEMORY")
    driver.execute("PRAGMA cache_size = -65536")
    if not writable:
        return
    in_wal = driver.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    # In WAL mode NORMAL may lose the newest commits with the power, never consistency; a rollback journal needs FULL.
    driver.execute(f"PRAGMA synchronous = {'NORMAL' if in_wal else 'FULL'}")
