"""The way to a file of SQLite: what is looked at before, and what a connection is told."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from registry.errors import BusyError, NotFoundError, StorageError
from registry.sql.engine import READ_TIMEOUT_S
from registry.sql.failures import translated
from registry.sql.owners import group_text, owner_text

__all__ = ["open_file", "open_nowhere"]

_TRIES = 5


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
        if writable:
            _check_rights(path)
    mode = "rwc" if create else ("rw" if writable else "ro")

    def dial() -> sqlite3.Connection:
        if mode == "ro" and _needs_copy(path):
            return _connect_to_copy(path)
        return _connect(path, f"mode={mode}")

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
    engine = sa.create_engine("sqlite://", creator=_dial, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    sa.event.listen(engine, "handle_error", _keep_connected)
    return engine


def _keep_connected(context: sa.engine.ExceptionContext) -> None:
    """Keep a connection in whose statement somebody pressed Ctrl-C: SQLAlchemy would close it, as one whose server is lost."""
    context.is_disconnect = False


def _connected(way: Callable[[], sqlite3.Connection]) -> sa.Connection:
    _dialling.way = way
    return _engine().connect()


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?{options}",
        uri=True, isolation_level=None, timeout=READ_TIMEOUT_S, cached_statements=256,
    )  # fmt: skip


def _needs_copy(path: Path) -> bool:
    """Tell whether a file cannot be read where it is: in WAL mode, where nothing can be written beside it.

    Such a file is only readable together with its log and the index of that, or where they can be made.
    """
    if os.access(path.parent, os.W_OK):
        return False
    try:
        with contextlib.closing(_connect(path, "mode=ro")) as probe:
            probe.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except sqlite3.Error as exc:
        name = getattr(exc, "sqlite_errorname", "") or ""
        # Of a change that a killed writer left half done, and all else, whoever reads next can say what it is.
        is_in_the_way = name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        return is_in_the_way and not Path(f"{path}-journal").exists()
    return False


def _connect_to_copy(path: Path) -> sqlite3.Connection:
    """Connect to a copy of a file and of its log, which is this process's alone and has no name any more.

    SQLite could be told that the file never changes (``immutable``). But its owner may write at any time, and then half
    of what is read would be old and half new. A copy that was made while nothing changed is one state, and what the
    log has is in it.
    """
    folder = Path(tempfile.mkdtemp(prefix="stage-registry-"))
    try:
        copy = folder / path.name
        _copy_unchanged(path, copy)
        with contextlib.closing(_connect(copy, "mode=rw")) as taken:
            taken.execute("PRAGMA journal_mode = DELETE").fetchone()
        connection = _connect(copy, "mode=ro")
        # With this the file is held open; its names can go.
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return connection


def _copy_unchanged(path: Path, copy: Path) -> None:
    """Copy a file and its log in one state."""
    log = Path(f"{path}-wal")
    for _ in range(_TRIES):
        before = _state(path), _state(log)
        try:
            shutil.copyfile(path, copy)
            copy.chmod(0o600)
            if before[1] is not None:
                shutil.copyfile(log, f"{copy}-wal")
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise StorageError(
                f"{path} is in WAL mode, and {path.parent} cannot be written; a copy cannot be made: {exc.strerror}",
                code="log-unreadable",
                hint="Make room for it in TMPDIR, or read it where its directory can be written.",
            ) from exc
        if before == (_state(path), _state(log)):
            return
    raise BusyError(
        f"{path} changes all the time, and cannot be read from here meanwhile",
        code="database-busy",
        hint="Wait until its owner's command has ended, and try again.",
    )


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        told = path.stat()
    except FileNotFoundError:
        return None
    return told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns


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


def _check_rights(path: Path) -> None:
    """Refuse a file that may not be written, before anything is done that a change would need."""
    for place in (path, path.parent):
        if os.access(place, os.W_OK):
            continue
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            raise StorageError(
                f"{path} cannot be written: it is mounted read-only",
                code="read-only",
                hint="Open it where it is mounted for writing.",
            )
        told = place.stat()
        owner, group = owner_text(told.st_uid), group_text(told.st_gid)
        may_group = told.st_mode & stat.S_IWGRP
        raise StorageError(
            f"{path} cannot be written by {owner_text(os.geteuid())}: {place.name} belongs to {owner} and group {group} "
            f"({stat.filemode(told.st_mode)})",
            code="not-permitted",
            hint=f"Ask its keeper to take you into group {group}." if may_group
            else "Ask its keeper to share it with your group: see 'Sharing a repository' in the documentation.",
        )  # fmt: skip


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
