"""The one way in which anything is read or written: within a transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from registry.errors import InternalError, UsageError
from registry.sql.engine import Database
from registry.sql.failures import ConstraintViolation, driver_errors, translate
from registry.sql.schema import Schema
from registry.sql.session import Session, statements_of

__all__ = ["Transactions"]


class Transactions:
    """Hands out sessions, one at a time.

    Parameters
    ----------
    database : Database
        An open database.
    schema : Schema
        Its tables.
    """

    def __init__(self, database: Database, schema: Schema) -> None:
        self._database = database
        self._schema = schema
        self._statements = statements_of(schema, database.dialect)
        self._session: Session | None = None

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """Read one state of the database.

        Yields
        ------
        Session
            Usable within.

        Raises
        ------
        UsageError
            If a transaction is open, or in another thread.
        BusyError
            If a writer holds the database, or died in the middle of a change.
        """
        self._check()
        self._database.begin_read()
        with self._open() as session:
            try:
                yield session
            finally:
                self._database.rollback()

    @contextlib.contextmanager
    def write(self, timeout_s: float) -> Iterator[Session]:
        """Write all or nothing: an exception undoes what was written.

        Parameters
        ----------
        timeout_s : float
            Longest wait for others, in seconds.

        Yields
        ------
        Session
            Usable within.

        Raises
        ------
        UsageError
            If a transaction is open, in another thread, or the registry is open for reading.
        BusyError
            If others hold it for longer; nothing was written.
        """
        self._check()
        if not self._database.writable:
            raise UsageError(
                f"{self._database.place} is open for reading only",
                code="opened-read-only",
                hint="Open it with writable=True.",
            )
        self._database.begin_write(timeout_s)
        with self._open() as session:
            try:
                yield session
            except BaseException:
                self._database.rollback()
                raise
            self._database.commit(timeout_s)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Session]:
        place = self._database.place
        self._session = Session(self._database, self._schema, self._statements)
        try:
            yield self._session
        except ConstraintViolation as exc:
            raise InternalError(f"{place} refused rows: {exc.detail}", code="constraint") from exc
        except driver_errors() as exc:
            raise translate(exc, place) from exc
        finally:
            self._session.close()
            self._session = None

    def _check(self) -> None:
        self._database.check_thread()
        if self._session is not None:
            raise UsageError(
                f"a transaction on {self._database.place} is open already",
                code="nested-transaction", hint="End the first one, or open the registry a second time.",
            )  # fmt: skip
