"""Databases: their URLs, and what every one of them can do. What only one kind does is in ``engine_<dialect>``."""

from __future__ import annotations

import contextlib
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from registry.errors import StageError, UsageError
from registry.model.columns import Columns
from registry.sql.failures import translated

__all__ = ["READ_TIMEOUT_S", "Database", "connect", "parse_url", "redacted", "sqlite_path"]

READ_TIMEOUT_S = 30.0
"""Longest wait of a reader for others, in seconds."""

_SQLITE = "sqlite:///"
_POSTGRES = re.compile(r"postgres(ql)?(\+psycopg)?://")
_WRITE = "Write sqlite:///path/to/file or postgresql://user@host/database."
_SHOWN = ("host", "port", "service", "schema")
"""What may be shown of the query of a PostgreSQL URL: where the database is, and no secret."""


def parse_url(url: str) -> sa.URL:
    """Read a database URL.

    Parameters
    ----------
    url : str
        ``sqlite:///path``, the path relative or absolute and nothing in it escaped; or
        ``postgresql://user@host/database``, with ``?schema=NAME`` for another schema than ``public`` and any
        connection parameter of libpq (``?host=/run/postgresql`` for a socket).

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
        parsed = sa.make_url(_POSTGRES.sub("postgresql+psycopg://", url, count=1))
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(
            f"'{_without_credentials(url)}' is not a database URL", code="bad-url", hint=_WRITE
        ) from None
    if parsed.get_backend_name() == "sqlite":
        raise UsageError(f"'{_without_credentials(url)}' names no file", code="bad-url", hint=_WRITE)
    if parsed.drivername != "postgresql+psycopg":
        raise UsageError(
            f"databases of kind '{parsed.drivername}' are not supported ({_without_credentials(url)})",
            code="unsupported-database",
            hint=_WRITE,
        )
    return parsed


def _without_credentials(text: str) -> str:
    text = text.partition("?")[0]
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
        For SQLite the path alone; else a URL that opens the same database for who has the password elsewhere.
    """
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    query = {name: url.query[name] for name in _SHOWN if name in url.query}
    shown = sa.URL.create("postgresql", url.username, None, url.host, url.port, url.database, query)
    # A socket is a path: a URL reads better with its slashes as they are.
    return shown.render_as_string(hide_password=False).replace("%2F", "/")


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
class Database(ABC):
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
    """

    place: str
    connection: sa.Connection
    driver: Any
    writable: bool
    thread: int = field(default_factory=threading.get_ident)

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect, for compiling statements."""
        return self.connection.dialect

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, without credentials."""

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

    @abstractmethod
    def nothing_here(self) -> StageError:
        """Make the error that says that the tables of a registry are not there.

        Returns
        -------
        StageError
            To be raised.
        """

    @property
    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether a transaction is open, be it one that has failed."""

    @abstractmethod
    def make_room(self) -> None:
        """Make the place of a new registry, in a write transaction.

        Raises
        ------
        AlreadyExistsError
            If there is one.
        """

    @abstractmethod
    def begin_read(self) -> None:
        """Begin a transaction that sees one state of the database.

        Raises
        ------
        BusyError
            If a writer keeps it from that.
        """

    @abstractmethod
    def begin_write(self, timeout_s: float) -> None:
        """Begin the only transaction that may write.

        Parameters
        ----------
        timeout_s : float
            Longest wait for others, in seconds.

        Raises
        ------
        BusyError
            If the wait was in vain.
        """

    @abstractmethod
    def commit(self, timeout_s: float) -> None:
        """End a transaction, keeping what it wrote; on failure nothing is kept.

        Parameters
        ----------
        timeout_s : float
            The wait that was allowed.

        Raises
        ------
        BusyError
            If others held it for too long.
        StorageError
            If it could not be kept, or (code ``commit-unknown``) nobody can tell whether it was.
        """

    @abstractmethod
    def rollback(self) -> None:
        """End a transaction as if it had not been."""

    @abstractmethod
    def run(self, text: str) -> None:
        """Run one statement that has no parameters and gives no rows.

        Parameters
        ----------
        text : str
            The statement.
        """

    @abstractmethod
    def run_all(self, texts: Sequence[str]) -> None:
        """Run statements that have no parameters and give no rows, in as few round trips as there can be.

        Parameters
        ----------
        texts : sequence of str
            The statements.
        """

    @abstractmethod
    def cursor(self, text: str, values: Sequence[Any]) -> Any:
        """Run a statement of a hot path.

        Parameters
        ----------
        text : str
            Compiled for this dialect.
        values : sequence
            Its positional parameters.

        Returns
        -------
        cursor
            The driver's, with rows to be fetched.
        """

    def query(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a small statement of a hot path.

        Parameters
        ----------
        text : str
            Compiled for this dialect.
        values : sequence
            Its positional parameters.

        Returns
        -------
        list of tuple
            The driver's rows.
        """
        with translated(self.place):
            return self.cursor(text, values).fetchall()  # type: ignore[no-any-return]

    @abstractmethod
    def stash(
        self,
        name: str,
        rows: Columns,
        types: Mapping[str, sa.types.TypeEngine[Any]],
        key: tuple[str, ...],
    ) -> contextlib.AbstractContextManager[sa.FromClause]:
        """Hand rows over for as long as a few statements need them.

        Parameters
        ----------
        name : str
            What to call them; not in use.
        rows : Columns
            The rows.
        types : mapping of str to sqlalchemy type
            Which columns to hand over, in what form.
        key : tuple of str
            Columns that are unique together and never null, by which rows will be looked up.

        Returns
        -------
        context manager of sqlalchemy.FromClause
            What to select from.
        """

    @abstractmethod
    def index(self, stash: sa.FromClause, names: Sequence[str]) -> None:
        """Let rows that were handed over be looked up by some of their columns.

        Parameters
        ----------
        stash : sqlalchemy.FromClause
            From `stash`.
        names : sequence of str
            Its columns.
        """

    @abstractmethod
    def written(self, table: sa.Table, n_rows: int) -> None:
        """Take note that rows were inserted into a table, by the present transaction.

        Parameters
        ----------
        table : sqlalchemy.Table
            Which.
        n_rows : int
            How many.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the connection back; a second time does nothing."""


def connect(url: sa.URL, *, writable: bool, create: bool = False) -> Database:
    """Open a database and hold one connection to it.

    Parameters
    ----------
    url : sqlalchemy.URL
        Which.
    writable : bool
        Otherwise not one byte of it, or beside it, is changed.
    create : bool
        Whether to make a file of SQLite.

    Returns
    -------
    Database
        Open; belongs to this thread.

    Raises
    ------
    NotFoundError
        If there is no such database.
    StorageError, IntegrityError
        If it cannot be opened, or is none.
    """
    if url.get_backend_name() == "sqlite":
        from registry.sql.engine_sqlite import open_sqlite

        return open_sqlite(url, writable=writable, create=create)
    try:
        from registry.sql.engine_postgres import open_postgres
    except ImportError as exc:
        if exc.name and not exc.name.startswith("psycopg"):
            raise
        raise UsageError(
            f"{redacted(url)} needs psycopg, which is not installed",
            code="missing-package",
            hint="Install the extra: pip install 'stage[postgres]'.",
        ) from exc
    return open_postgres(url, writable=writable)
