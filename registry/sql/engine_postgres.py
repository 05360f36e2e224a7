"""PostgreSQL: every BEGIN, COMMIT and lock of it is here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus

from registry.errors import (
    AlreadyExistsError,
    BusyError,
    InternalError,
    NotFoundError,
    StageError,
    StorageError,
)  # fmt: skip
from registry.model.columns import Columns
from registry.sql.arrays_postgres import copy_rows, kind_of, unnested
from registry.sql.connect_postgres import HotCursor, dial, schema_of
from registry.sql.engine import Database, redacted
from registry.sql.failures import translate, translated
from registry.sql.failures_postgres import commit_unknown

__all__ = ["PostgresDatabase", "open_postgres"]

_LOCK_CLASS = 0x73746167
"""First half of the number of the lock that writers of a registry take; the schema's name gives the other."""
_MANY_ROWS = 1000
"""Fewer rows travel with the statements that need them; more go into a temporary table first."""
_WORTH_COUNTING = 100
"""Rows that a table has grown by before it is counted: of an uncounted one the planner may expect a single row."""
_OPEN = (TransactionStatus.ACTIVE, TransactionStatus.INTRANS, TransactionStatus.INERROR)
_IDLE_WRITER = "10min"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT current_schema()"
_BEGIN_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {ms}; SET LOCAL idle_in_transaction_session_timeout = '{idle}'; SELECT pg_advisory_xact_lock({lock})"
_HOLDER = """
SELECT a.pid, a.usename, a.application_name, to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND l.classid::bigint = %s AND l.objid::bigint = %s
"""
_TABLES_TO_ANALYZE = """
SELECT quote_ident(c.relname) FROM pg_class c JOIN unnest(%s::text[], %s::bigint[]) AS w (name, n)
ON c.oid = to_regclass(quote_ident(w.name)) WHERE c.reltuples < 8 * w.n
"""


@dataclass
class PostgresDatabase(Database):
    """A schema of a PostgreSQL database.

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
    schema : str
        Its name.
    """

    schema: str = "public"
    _reading: bool = field(default=False, init=False)
    _counts: dict[str, int] = field(default_factory=dict, init=False)

    @property
    def url(self) -> str:
        """Where it is, without a password."""
        return self.place

    def nothing_here(self) -> StageError:
        """Make the error about a schema that holds no registry.

        Returns
        -------
        StageError
            To be raised.
        """
        return NotFoundError(
            f"there is no registry at {self.place}",
            code="no-such-registry",
            hint="Check database and schema; 'stage repo create' makes one.",
        )

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, be it one that has failed; a lost connection has none."""
        return not self.driver.closed and self.driver.info.transaction_status in _OPEN

    def begin_read(self) -> None:
        """Begin a transaction that sees one state of the database.

        Raises
        ------
        StorageError
            If the connection was lost.
        """
        with translated(self.place):
            # The server takes the state with the first question, so one is asked at once.
            asked = self._simple(_BEGIN_READ)
            asked.nextset()
            found = asked.fetchone()
        self._reading = True
        self._check_schema(found[0])

    def begin_write(self, timeout_s: float) -> None:
        """Begin a transaction, the only one on this registry that may write.

        Parameters
        ----------
        timeout_s : float
            Longest wait for other writers, in seconds.

        Raises
        ------
        BusyError
            If the wait was in vain; names who holds the registry.
        """
        self._reading = False
        self._counts.clear()
        lock = crc32(self.schema.encode())
        signed = lock - 2**32 if lock >= 2**31 else lock
        text = _BEGIN_WRITE.format(
            ms=max(1, int(timeout_s * 1000)), idle=_IDLE_WRITER, lock=f"{_LOCK_CLASS}, {signed}"
        )
        try:
            self._simple(text)
        except psycopg.errors.LockNotAvailable as exc:
            self.rollback()
            raise self._busy(lock, timeout_s) from exc
        except psycopg.Error as exc:
            self.rollback()
            raise translate(exc, self.place) from exc

    def commit(self, timeout_s: float) -> None:  # noqa: ARG002 - readers never hold a writer up here
        """End a transaction, keeping what it wrote; on failure nothing is kept.

        Parameters
        ----------
        timeout_s : float
            Of no use here.

        Raises
        ------
        StorageError
            If it could not be kept; with the code ``commit-unknown`` if the connection broke before the server
            said whether it was.
        """
        try:
            self._analyze()
        except psycopg.Error as exc:
            self.rollback()
            raise translate(exc, self.place) from exc
        try:
            said = self._simple("COMMIT").statusmessage
        except psycopg.Error as exc:
            if self.driver.closed:
                raise commit_unknown(self.place) from exc
            self.rollback()
            raise translate(exc, self.place) from exc
        if said != "COMMIT":
            raise InternalError(
                f"{self.place}: nothing was kept, since a statement of the change had failed",
                code="failed-transaction",
            )

    def rollback(self) -> None:
        """End a transaction as if it had not been."""
        if not self.in_transaction:
            return
        # psycopg forgets the statements it prepared after each ROLLBACK; reading ends as well by the other word.
        intact = self.driver.info.transaction_status is not TransactionStatus.INERROR
        with contextlib.suppress(psycopg.OperationalError):  # a lost connection has been rolled back
            self._simple("COMMIT" if self._reading and intact else "ROLLBACK")

    def run(self, text: str) -> None:
        """Run one statement that has no parameters and gives no rows.

        Parameters
        ----------
        text : str
            The statement.
        """
        with translated(self.place):
            self._simple(text)

    def run_all(self, texts: Sequence[str]) -> None:
        """Run statements that have no parameters and give no rows, in one round trip.

        Parameters
        ----------
        texts : sequence of str
            The statements.
        """
        if texts:
            self.run(";\n".join(texts))

    def cursor(self, text: str, values: Sequence[Any]) -> Any:
        """Run a statement of a hot path; the server keeps its plan when it comes again and again.

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
        return HotCursor(self.driver).execute(text, values)

    @contextlib.contextmanager
    def stash(
        self,
        name: str,
        rows: Columns,
        types: Mapping[str, sa.types.TypeEngine[Any]],
        key: tuple[str, ...],  # noqa: ARG002 - the planner hashes what it looks up
    ) -> Iterator[sa.FromClause]:
        """Hand rows over: as arrays with each statement, or when writing many, by COPY into a temporary table.

        Parameters
        ----------
        name : str
            What to call them.
        rows : Columns
            The rows.
        types : mapping of str to sqlalchemy type
            Which columns to hand over, in what form.
        key : tuple of str
            Of no use here.

        Yields
        ------
        sqlalchemy.FromClause
            What to select from.

        Notes
        -----
        A read-only transaction can make no table, and a small list is not worth one: each costs rows in the catalogue.
        """
        if self._reading or rows.n_rows <= _MANY_ROWS:
            yield unnested(name, rows, types)
            return
        with translated(self.place):
            table = self._copied(name, rows, types)
        yield table
        # Nobody needs the rows again; the table itself goes with the transaction.
        self.run(f"TRUNCATE {table.name}")

    def _copied(self, name: str, rows: Columns, types: Mapping[str, sa.types.TypeEngine[Any]]) -> Any:
        kinds = {n: kind_of(t) for n, t in types.items()}
        quote = self.dialect.identifier_preparer.quote
        columns = ", ".join(f"{quote(n)} {k.name}" for n, k in kinds.items())
        # Tables of one name have the same columns: SQLAlchemy's texts stay good for the next one.
        full = f"{name}_{crc32(columns.encode()):08x}"
        self._simple(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {full} ({columns}) ON COMMIT DROP; TRUNCATE {full}"
        )
        data = copy_rows(list(types), list(kinds.values()), [rows[n] for n in types])
        with self.driver.cursor() as cursor, cursor.copy(f"COPY {full} FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(data)
        return sa.table(full, *(sa.column(n, t) for n, t in types.items()))

    def index(self, stash: sa.FromClause, names: Sequence[str]) -> None:
        """Do nothing: the planner knows how many rows were handed over, and hashes them.

        Parameters
        ----------
        stash : sqlalchemy.FromClause
            From `stash`.
        names : sequence of str
            Its columns.
        """

    def written(self, table: sa.Table, n_rows: int) -> None:
        """Take note of rows inserted, so that the planner hears of many new ones.

        Parameters
        ----------
        table : sqlalchemy.Table
            Which.
        n_rows : int
            How many.
        """
        self._counts[table.name] = self._counts.get(table.name, 0) + n_rows

    def close(self) -> None:
        """Give the connection back; a lost one as well, and one whose statement was interrupted."""
        # On that nothing can be said any more, not even to roll back: the server does so when the connection ends.
        is_of_no_use = self.driver.closed or self.driver.info.transaction_status is TransactionStatus.ACTIVE
        with translated(self.place):
            if is_of_no_use and not self.connection.closed:
                self.connection.invalidate()
            self.connection.close()
            self.connection.engine.dispose()

    def make_room(self) -> None:
        """Make the schema, in a write transaction, unless it is there.

        Raises
        ------
        AlreadyExistsError
            If it holds a registry.
        """
        found = self.query("SELECT to_regnamespace(%s) IS NOT NULL, to_regclass(%s) IS NOT NULL",
                           [f'"{self.schema}"', f'"{self.schema}".repository'])  # fmt: skip
        there, taken = found[0]
        if taken:
            raise AlreadyExistsError(
                f"there is a registry at {self.place} already",
                code="registry-exists",
                hint="Choose another database, or another schema of it (?schema=NAME).",
            )
        if not there:
            self.run(f'CREATE SCHEMA "{self.schema}"')

    def _simple(self, text: str) -> Any:
        """Run statements by the simple protocol: several at once, rows as text."""
        return psycopg.Cursor(self.driver).execute(text, prepare=False)

    def _check_schema(self, found: str | None) -> None:
        """Refuse to look into another schema, as behind a proxy that drops the connection's options."""
        if found not in (None, self.schema):
            self.rollback()
            raise StorageError(
                f"{self.place} opened schema '{found}' instead of '{self.schema}'",
                code="wrong-schema",
                hint="Connect to the server itself: something between drops the connection's options.",
            )

    def _analyze(self) -> None:
        """Let the planner count tables that have grown much, before anybody asks about the new rows."""
        grown = {n: c for n, c in self._counts.items() if c >= _WORTH_COUNTING}
        if grown:
            found = self.driver.execute(_TABLES_TO_ANALYZE, [list(grown), list(grown.values())]).fetchall()
            if found:
                self._simple(f"ANALYZE {', '.join(name for (name,) in found)}")

    def _busy(self, lock: int, timeout_s: float) -> BusyError:
        who = ""
        with contextlib.suppress(psycopg.Error):
            rows = self.driver.execute(_HOLDER, [_LOCK_CLASS, lock]).fetchall()
            who = "; ".join(_describe(*row) for row in rows)
        return BusyError(
            f"{self.place} is being written by {who or 'another process'} (waited {timeout_s:g} s)",
            code="database-busy", hint="Wait and try again.", holder=who, waited_s=timeout_s,
        )  # fmt: skip


def _describe(pid: int, user: str | None, program: str | None, since: str | None) -> str:
    text = f"'{program}'" if program else "a program"
    return f"{text}, user {user or 'unknown'}, server process {pid}{f', since {since}' if since else ''}"


def open_postgres(url: sa.URL, *, writable: bool) -> PostgresDatabase:
    """Open a schema of a PostgreSQL database.

    Parameters
    ----------
    url : sqlalchemy.URL
        Which; the query's ``schema`` names it.
    writable : bool
        Otherwise the server refuses every write.

    Returns
    -------
    PostgresDatabase
        Open.

    Raises
    ------
    UsageError
        If the URL has a parameter that libpq does not know.
    NotFoundError
        If there is no such database.
    StorageError
        If the server cannot be reached, or does not let one in.
    """
    schema = schema_of(url)
    connection = dial(url, schema, writable=writable)
    driver = connection.connection.driver_connection
    return PostgresDatabase(redacted(url), connection, driver, writable, schema=schema)
