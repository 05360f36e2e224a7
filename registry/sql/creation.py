"""Makes the place of a new registry: all of it, or nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import AlreadyExistsError, StorageError
from registry.model.refs import new_id
from registry.sql.engine import Database, connect, parse_url, sqlite_path
from registry.sql.failures import translated

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["create"]

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
_TIMEOUT_S = 60.0


def create(url: sa.URL, fill: Callable[[Database], None], *, wal: bool) -> None:
    """Make a database's file, or its schema, and what is in it.

    Parameters
    ----------
    url : sqlalchemy.URL
        Where.
    fill : callable
        Makes the tables, in a write transaction.
    wal : bool
        Whether a file of SQLite gets a write-ahead log.

    Raises
    ------
    AlreadyExistsError
        If there is something already.
    StorageError
        If it cannot be made. Nothing is left at `url`.
    """
    if url.get_backend_name() == "sqlite":
        _create_file(sqlite_path(url), fill, wal=wal)
    else:
        _create_schema(url, fill)


def _create_file(path: Path, fill: Callable[[Database], None], *, wal: bool) -> None:
    if path.exists():
        raise AlreadyExistsError(
            f"there is a file at {path} already", code="registry-exists", hint="Choose another path."
        )
    aside = path.with_name(f".{path.name}.new-{new_id().hex()}")
    try:
        _build(aside, fill, wal=wal)
        _publish(aside, path)
    except OSError as exc:
        raise StorageError(f"{path} cannot be made: {exc.strerror}", code="cannot-create") from exc
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            aside.with_name(aside.name + suffix).unlink(missing_ok=True)


def _build(path: Path, fill: Callable[[Database], None], *, wal: bool) -> None:
    from registry.sql.engine_sqlite import open_sqlite

    database = open_sqlite(parse_url(f"sqlite:///{path}"), writable=True, create=True)
    try:
        database.begin_write(0.0)
        fill(database)
        database.commit(0.0)
        if wal:  # only now: what was still in the log at the end would not get the file's new name
            database.use_log()
    finally:
        database.close()


def _publish(aside: Path, path: Path) -> None:
    """Give a finished file its name, durably, unless somebody else took it."""
    try:
        os.link(aside, path)
    except FileExistsError:
        raise AlreadyExistsError(f"there is a file at {path} already", code="registry-exists") from None
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        # A file system without hard links: a rename is as atomic, but would not notice a rival just now.
        aside.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _create_schema(url: sa.URL, fill: Callable[[Database], None]) -> None:
    database = connect(url, writable=True)
    try:
        # The writers' lock keeps rivals out: who comes second finds a registry, and no half of one.
        database.begin_write(_TIMEOUT_S)
        try:
            database.make_room()
            with translated(database.place):
                fill(database)
        except BaseException:
            database.rollback()
            raise
        database.commit(_TIMEOUT_S)
    finally:
        database.close()
