"""Opens databases: every URL, PRAGMA and BEGIN is here, and all that one dialect does otherwise than another."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from registry.errors import BusyError, NotFoundError, StorageError, UsageError
from registry.sql.failures import translate, translated

__all__ = ["Database", "connect", "parse_url", "redacted", "sqlite_path"]

_READ_TIMEOUT_S = 30.0
_SQLITE = "sqlite:///"
_WRITE = "Write sqlite:///path/to/file."


def parse_url(url: str) -> sa.URL:
    """Read a database URL.

    Parameters
    ----------
    url : str
        ``sqlite:///path``, the path relative or absolute and nothing in it escaped.

    Returns
    -------
    sqlalchemy.URL
        Its parts.

    Raises
    ------
    UsageError
        If it is none, or names a kind of database that is not supported.
    """
    if url.startswith(_SQLITE):
        # The rest is a path as it stands: a %, ? or # in it means nothing else.
        path = url.removeprefix(_SQLITE)
        if path in ("", ":memory:"):
            raise UsageError("a registry is a file, and this URL names none", code="bad-url", hint=_WRITE)
        return sa.URL.create("sqlite", database=path)
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise UsageError(
            f"'{_without_credentials(url)}' is not a database URL", code="bad-url", hint=_WRITE
        ) from None
    if parsed.get_backend_name() == "sqlite":
        raise UsageError(f"'{_without_credentials(url)}' names no file", code="bad-url", hint=_WRITE)
    raise UsageError(
        f"databases of kind '{parsed.get_backend_name()}' are not supported ({redacted(parsed)})",
        code="unsupported-database",
        hint=_WRITE,
    )


def _without_credentials(text: str) -> str:
    head, at, tail = text.rpartition("@")
    if not at:
        return text
    scheme, slashes, _ = head.partition("//")
    return f"{scheme}//***@{tail}" if slashes else f"***@{tail}"


def redacted(url: sa.URL) -> str:
    """Return a URL as it may be shown.

    Parameters
    ----------
    url : sqlalchemy.URL
        Possibly with a password.

    Returns
    -------
    str
        For SQLite the path alone; else the URL with the password as ``***``.
    """
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(query={}).render_as_string(hide_password=True)


def sqlite_path(url: sa.URL) -> Path:
    """Return the file of an SQLite URL.

    Parameters
    ----------
    url : sqlalchemy.URL
        With a path.

    Returns
    -------
    pathlib.Path
        Absolute.
    """
    return Path(str(url.database)).absolute()


@dataclass
class Database:
    """One held connection; transactions are begun and ended here and nowhere else.

    Parameters
    ----------
    place : str
        Which database, as errors say it.
    connection : sqlalchemy.Connection
        In driver autocommit mode: it sends nothing that it was not asked to send.
    driver : object
        The driver's own connection, for hot paths.
    writable : bool
        Whether writes are allowed.
    thread : int
        The thread that may use it.
    timeout_s : float
        How long the driver waits for others now, in seconds.
    """

    place: str
    connection: sa.Connection
    driver: Any
    writable: bool
    thread: int = field(default_factory=threading.get_ident)
    timeout_s: float = _READ_TIMEOUT_S

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect, for compiling statements."""
        return self.connection.dialect

    def check_thread(self) -> None:
        """Refuse use from another thread than the one that opened it.

        Raises
        ------
        UsageError
            If it is another.
        """
        if threading.get_ident() != self.thread:
            raise UsageError(
                f"the registry {self.place} was opened in another thread",
                code="wrong-thread", hint="Open a registry in each thread that uses one.",
            )  # fmt: skip

    def begin_read(self) -> None:
        """Begin a transaction that sees one state of the database.

        Raises
        ------
        BusyError
            If a writer holds it, or died in the middle.
        """
        with translated(self.place):
            self._wait_for(_READ_TIMEOUT_S)
            self.driver.execute("BEGIN")
            try:
                # A deferred BEGIN looks at nothing: the first read takes the state, and meets any trouble, here.
                self.driver.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
            except sqlite3.Error:
                self.rollback()
                raise

    def begin_write(self, timeout_s: float) -> None:
        """Begin the only transaction that may write.

        Parameters
        ----------
        timeout_s : float
            Longest wait for other writers, in seconds; also for readers when it ends.

        Raises
        ------
        BusyError
            If the wait was in vain.
        """
        try:
            self._wait_for(timeout_s)
            self.driver.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as exc:
            raise self._waited(exc, timeout_s) from exc

    def commit(self, timeout_s: float) -> None:
        """End a transaction, keeping what it wrote; on failure nothing is kept.

        Parameters
        ----------
        timeout_s : float
            The wait that was allowed, for the error's text.

        Raises
        ------
        BusyError
            If readers held it for too long.
        StorageError
            If the disk refused.
        """
        try:
            self.driver.execute("COMMIT")
        except sqlite3.Error as exc:
            self.rollback()
            raise self._waited(exc, timeout_s) from exc

    def rollback(self) -> None:
        """End a transaction as if it had not been."""
        # A disk error may have ended it already.
        if self.driver.in_transaction:
            self.driver.execute("ROLLBACK")

    def hand_over(self, text: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert many rows, as tuples straight to the driver.

        Parameters
        ----------
        text : str
            An INSERT with positional parameters.
        rows : iterable of tuple
            The rows.
        """
        with translated(self.place):
            self.driver.executemany(text, rows)

    def drop_temporary(self, name: str) -> None:
        """Drop a temporary table, if it is there.

        Parameters
        ----------
        name : str
            The table.
        """
        with translated(self.place):
            self.driver.execute(f"DROP TABLE IF EXISTS temp.{name}")

    def index_temporary(self, name: str, columns: Sequence[str]) -> None:
        """Index a temporary table, unless it is.

        Parameters
        ----------
        name : str
            The table.
        columns : sequence of str
            Its columns to look rows up by.
        """
        quote_name = self.dialect.identifier_preparer.quote
        listed = ", ".join(quote_name(c) for c in columns)
        index = quote_name(f"{name}_by_{'_'.join(columns)}")
        with translated(self.place):
            self.driver.execute(f"CREATE INDEX IF NOT EXISTS temp.{index} ON {name} ({listed})")

    def _wait_for(self, timeout_s: float) -> None:
        if timeout_s != self.timeout_s:
            self.driver.execute(f"PRAGMA busy_timeout = {max(0, int(timeout_s * 1000))}")
            self.timeout_s = timeout_s

    def _waited(self, exc: sqlite3.Error, timeout_s: float) -> Exception:
        error = translate(exc, self.place)
        if isinstance(error, BusyError):
            return BusyError(
                f"{error.message} (waited {timeout_s:g} s)",
                code=error.code, hint=error.hint, holder=error.holder, waited_s=timeout_s,
            )  # fmt: skip
        return error

    def use_log(self) -> None:
        """Let readers and the writer go on beside each other through a write-ahead log, from now on.

        Raises
        ------
        StorageError
            If there cannot be one.
        """
        with translated(self.place):
            mode = self.driver.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StorageError(f"{self.place} cannot have a write-ahead log", code="no-log")

    def close(self) -> None:
        """Give the connection back."""
        with translated(self.place):
            self.connection.close()
            self.connection.engine.dispose()


def connect(url: sa.URL, *, writable: bool, create: bool = False) -> Database:
    """Open a database and hold one connection to it.

    Parameters
    ----------
    url : sqlalchemy.URL
        Which.
    writable : bool
        Otherwise not one byte of it, or beside it, is changed.
    create : bool
        Whether to make the file.

    Returns
    -------
    Database
        Open; belongs to this thread.

    Raises
    ------
    NotFoundError
        If there is no such file.
    StorageError, IntegrityError
        If it cannot be opened, or is no database.
    """
    path = sqlite_path(url)
    place = str(path)
    if not create:
        _check_file(path)
    mode = "rwc" if create else ("rw" if writable else "ro")

    def creator() -> sqlite3.Connection:
        uri = f"file:{quote(place)}?mode={mode}"
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=_READ_TIMEOUT_S, cached_statements=256
        )

    engine = sa.create_engine("sqlite://", creator=creator, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with translated(place):
        connection = engine.connect()
        driver = connection.connection.driver_connection
        try:
            _prepare(driver, writable=writable)
        except sqlite3.Error:
            connection.close()
            raise
    return Database(place, connection, driver, writable)


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
    driver.create_function("stage_overlaps", 2, _overlaps, deterministic=True)
    if not writable:
        return
    in_wal = driver.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    # In WAL mode NORMAL may lose the newest commits with the power, never consistency; a rollback journal needs FULL.
    driver.execute(f"PRAGMA synchronous = {'NORMAL' if in_wal else 'FULL'}")


def _overlaps(a: bytes | None, b: bytes | None) -> bool | None:
    """Test two regions exactly; the join through common sky pixels has only brought candidates."""
    if a is None or b is None:
        return None
    from registry.model.regions import overlaps

    return bool(overlaps(a, b))
