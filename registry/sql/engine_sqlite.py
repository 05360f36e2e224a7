"""SQLite: every BEGIN and COMMIT of it is here."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from registry.errors import BusyError, IntegrityError, StageError, StorageError
from registry.model.columns import Columns
from registry.sql.connect_sqlite import open_file, open_nowhere
from registry.sql.engine import READ_TIMEOUT_S, Database, sqlite_path
from registry.sql.failures import translate, translated
from registry.sql.rows_sqlite import insert_columns

__all__ = ["SqliteDatabase", "open_sqlite", "open_temporary"]

_Stash = tuple[sa.TableClause, str, str]

_STASHES: dict[object, _Stash] = {}
"""Temporary tables and their statements, as they were made before for any file: by name, key and columns."""
_MANY_STASHES = 2000


@dataclass
class SqliteDatabase(Database):
    """A file of SQLite.

    Parameters
    ----------
    place : str
        Which database, as errors say it.
    connection : sqlalchemy.Connection
        In driver autocommit mode.
    driver : object
        The driver's own connection.
    writable : bool
        Whether writes are allowed.
    thread : int
        The thread that may use it.
    timeout_s : float
        How long the driver waits for others now, in seconds.
    leaves_nothing : bool
        Whether the present transaction has nothing to undo: it only reads, and has made away with what it stashed.
    """

    timeout_s: float = READ_TIMEOUT_S
    leaves_nothing: bool = False

    @property
    def url(self) -> str:
        """Where it is."""
        return f"sqlite:///{self.place}"

    def nothing_here(self) -> StageError:
        """Make the error about a file that is no registry.

        Returns
        -------
        StageError
            To be raised.
        """
        return IntegrityError(
            f"{self.place} is a database, but not a registry",
            code="not-a-registry",
            hint="Check the path; 'stage repo create' makes one.",
        )

    def make_room(self) -> None:
        """Do nothing: the file is new."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; a disk error may have ended it."""
        return bool(self.driver.in_transaction)

    def begin_read(self) -> None:
        """Begin a transaction that sees one state of the database.

        Raises
        ------
        BusyError
            If a writer holds it, or died in the middle.
        """
        with translated(self.place):
            self._wait_for(READ_TIMEOUT_S)
            self.driver.execute("BEGIN")
            self.leaves_nothing = True
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
            self.leaves_nothing = False
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
        if self.in_transaction:
            # Where temporary tables have come and gone, to roll back is to read the whole schema anew.
            self.driver.execute("COMMIT" if self.leaves_nothing else "ROLLBACK")

    def run(self, text: str) -> None:
        """Run one statement that has no parameters and gives no rows.

        Parameters
        ----------
        text : str
            The statement.
        """
        with translated(self.place):
            self.driver.execute(text)

    def run_all(self, texts: Sequence[str]) -> None:
        """Run statements that have no parameters and give no rows.

        Parameters
        ----------
        texts : sequence of str
            The statements.
        """
        for text in texts:
            self.run(text)

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
        return self.driver.execute(text, values)

    @contextlib.contextmanager
    def stash(
        self,
        name: str,
        rows: Columns,
        types: Mapping[str, sa.types.TypeEngine[Any]],
        key: tuple[str, ...],
    ) -> Iterator[sa.FromClause]:
        """Hand rows over in a temporary table.

        Parameters
        ----------
        name : str
            Its name.
        rows : Columns
            The rows.
        types : mapping of str to sqlalchemy type
            Its columns.
        key : tuple of str
            Its primary key, if any.

        Yields
        ------
        sqlalchemy.FromClause
            The table; gone afterwards.

        Notes
        -----
        Of a table that was not counted SQLite guesses that it has a million rows. Rows handed over are counted, or it
        would as soon read a whole table of the registry, and look each of its rows up among them.
        """
        table, create, fill = self._stash_table(name, types, key)
        try:
            self.run(create)
            with translated(self.place):
                insert_columns(self.driver, fill, [rows[n] for n in types])
                self.driver.execute(f"ANALYZE temp.{name}")
            yield table
        except BaseException:
            # The first error is the one to tell; after a failed disk not even this may work.
            self.leaves_nothing = False
            with contextlib.suppress(Exception):
                self.run(f"DROP TABLE IF EXISTS temp.{name}")
            raise
        self.run(f"DROP TABLE IF EXISTS temp.{name}")

    def _stash_table(
        self, name: str, types: Mapping[str, sa.types.TypeEngine[Any]], key: tuple[str, ...]
    ) -> _Stash:
        known = (name, key, tuple((n, str(t)) for n, t in types.items()))
        found = _STASHES.get(known)
        if found is None:
            quote = self.dialect.identifier_preparer.quote
            names = [quote(n) for n in types]
            columns = [f"{n} {t.compile(self.dialect)}" for n, t in zip(names, types.values(), strict=True)]
            # One INTEGER as key is SQLite's own row number: rows come out in its order without sorting.
            numbered = len(key) == 1 and type(types[key[0]]) is sa.Integer
            if key:
                columns.append(f"PRIMARY KEY ({', '.join(map(quote, key))})")
            tail = " WITHOUT ROWID" if key and not numbered else ""
            create = f"CREATE TEMPORARY TABLE {name} ({', '.join(columns)}){tail}"
            fill = f"INSERT INTO {name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            table = sa.table(name, *(sa.column(n, t) for n, t in types.items()))
            if len(_STASHES) >= _MANY_STASHES:
                _STASHES.clear()
            found = _STASHES[known] = (table, create, fill)
        return found

    def index(self, stash: sa.FromClause, names: Sequence[str]) -> None:
        """Index a temporary table, unless it is.

        Parameters
        ----------
        stash : sqlalchemy.FromClause
            From `stash`.
        names : sequence of str
            Its columns.
        """
        if not isinstance(stash, sa.TableClause) or not names:
            return
        quote_name = self.dialect.identifier_preparer.quote
        listed = ", ".join(quote_name(c) for c in names)
        index = quote_name(f"{stash.name}_by_{'_'.join(names)}")
        self.run(f"CREATE INDEX IF NOT EXISTS temp.{index} ON {stash.name} ({listed})")

    def written(self, table: sa.Table, n_rows: int) -> None:
        """Take no note: SQLite plans by its indexes.

        Parameters
        ----------
        table : sqlalchemy.Table
            Which.
        n_rows : int
            How many.
        """

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


def open_sqlite(url: sa.URL, *, writable: bool, create: bool) -> SqliteDatabase:
    """Open a file of SQLite.

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
    SqliteDatabase
        Open.

    Raises
    ------
    NotFoundError
        If there is no such file.
    StorageError, IntegrityError
        If it cannot be opened, or is no database.
    """
    path = sqlite_path(url)
    connection = open_file(path, writable=writable, create=create)
    return SqliteDatabase(str(path), connection, connection.connection.driver_connection, writable)


def open_temporary(place: str) -> SqliteDatabase:
    """Make an empty database that is gone when it is closed.

    Parameters
    ----------
    place : str
        What errors about its rows are to call it.

    Returns
    -------
    SqliteDatabase
        Open for writing.
    """
    connection = open_nowhere()
    return SqliteDatabase(place, connection, connection.connection.driver_connection, writable=True)
