"""One open transaction's way to the database: statements in, columns out."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from registry.errors import UsageError
from registry.model.columns import Array, Columns
from registry.sql.engine import Database
from registry.sql.failures import translate, translated
from registry.sql.fixed_tables import IdType
from registry.sql.schema import Schema

__all__ = ["ORDINAL", "Session", "Statements"]

ORDINAL = "ordinal"
"""Name of the column that numbers the rows of a stash in the order they were handed over."""


class Statements:
    """Texts of statements that were compiled once, for one schema and dialect.

    Parameters
    ----------
    dialect : sqlalchemy.Dialect
        The database's.
    """

    def __init__(self, dialect: sa.Dialect) -> None:
        self.dialect = dialect
        self._texts: dict[object, tuple[str, tuple[str, ...]]] = {}
        self.stashes: dict[object, tuple[sa.Table, str, str]] = {}

    def text(self, key: object, make: Callable[[], Any]) -> tuple[str, tuple[str, ...]]:
        """Return a statement's text and the names of its parameters in order.

        Parameters
        ----------
        key : hashable
            Names the statement.
        make : callable
            Makes it, the first time.

        Returns
        -------
        (str, tuple of str)
            For the driver.
        """
        found = self._texts.get(key)
        if found is None:
            compiled = make().compile(dialect=self.dialect, compile_kwargs={"render_postcompile": True})
            found = self._texts[key] = (str(compiled), tuple(compiled.positiontup or ()))
        return found


class Session:
    """What statements are run through, within one transaction.

    Parameters
    ----------
    database : Database
        With a transaction begun.
    schema : Schema
        Its tables.
    statements : Statements
        Texts compiled before.
    """

    def __init__(self, database: Database, schema: Schema, statements: Statements) -> None:
        self.schema = schema
        self.statements = statements
        self.place = database.place
        self._database: Database | None = database
        self._depth = 0

    @property
    def database(self) -> Database:
        """The database, as long as the transaction lasts."""
        if self._database is None:
            raise UsageError(
                f"the transaction on {self.place} has ended",
                code="transaction-ended",
                hint="Begin another one.",
            )
        return self._database

    def close(self) -> None:
        """Let nobody use it any longer."""
        self._database = None

    def fetch(self, statement: sa.Select[Any] | sa.CompoundSelect[Any], **parameters: Any) -> Columns:
        """Run a query and return its rows as columns.

        Parameters
        ----------
        statement : sqlalchemy.Select
            The query.
        **parameters
            Values to bind.

        Returns
        -------
        Columns
            Named as selected; typed as declared also where there are no rows.
        """
        with translated(self.place):
            result = self.database.connection.execute(statement, parameters)
            # The driver's own tuples: a wrapper for each row costs more than reading it.
            rows = result.cursor.fetchall() if result.cursor is not None else []
            result.close()
        columns = list(statement.selected_columns)
        if not columns:
            return Columns({}).take(np.arange(len(rows)))
        values = zip(*rows, strict=True) if rows else ([] for _ in columns)
        return Columns({c.name: _typed(c.type, v) for c, v in zip(columns, values, strict=True)})

    def lookup(self, key: object, make: Callable[[], Any], **parameters: Any) -> list[tuple[Any, ...]]:
        """Run a small statement of a hot path, compiled once.

        Parameters
        ----------
        key : hashable
            Names the statement.
        make : callable
            Makes it, the first time, with named bind parameters.
        **parameters
            Values to bind.

        Returns
        -------
        list of tuple
            The driver's rows.
        """
        text, names = self.statements.text(key, make)
        try:
            return self.database.driver.execute(text, [parameters[n] for n in names]).fetchall()  # type: ignore[no-any-return]
        except sqlite3.Error as exc:
            raise translate(exc, self.place) from exc

    def execute(self, statement: sa.Executable, **parameters: Any) -> int:
        """Run a statement that writes.

        Parameters
        ----------
        statement : sqlalchemy.Executable
            The statement.
        **parameters
            Values to bind.

        Returns
        -------
        int
            Rows changed.

        Raises
        ------
        ConstraintViolation
            If the database refuses the rows.
        """
        with translated(self.place):
            result = self.database.connection.execute(statement, parameters)
            return int(getattr(result, "rowcount", 0))

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo on any exception what was written within.

        Yields
        ------
        None
            Nothing.
        """
        self._run("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self.database.driver.in_transaction:
                self._run("ROLLBACK TO part")
                self._run("RELEASE part")
            raise
        self._run("RELEASE part")

    @contextlib.contextmanager
    def stash(
        self,
        columns: Columns,
        types: Mapping[str, sa.types.TypeEngine[Any]],
        *,
        numbered: bool = False,
        key: Sequence[str] = (),
    ) -> Iterator[sa.Table]:
        """Hand rows over to the database for as long as a few statements need them.

        Parameters
        ----------
        columns : Columns
            The rows.
        types : mapping of str to sqlalchemy type
            Which columns to hand over, in what form.
        numbered : bool
            Whether to add the column `ORDINAL`: 0, 1, … in the order of the rows.
        key : sequence of str
            Columns that are unique together and never null, by which rows will be looked up.

        Yields
        ------
        sqlalchemy.Table
            A temporary table; gone afterwards.

        Notes
        -----
        Databases guess how many rows a condition leaves. Where one guesses that a collection holds ten datasets, it
        reads rows handed over without a key once for each dataset; see also `index`.
        """
        names = list(types)
        lists: list[Any] = [columns[n].tolist() for n in names]
        if numbered:
            # An INTEGER key is SQLite's own row number: rows come out in this order without sorting.
            types, key = {ORDINAL: sa.Integer(), **types}, (ORDINAL,)
            lists.insert(0, range(columns.n_rows))
        table, create, fill = self._stash_table(types, tuple(key))
        self._depth += 1
        try:
            self._run(create)
            self.database.hand_over(fill, zip(*lists, strict=True))
            yield table
        except BaseException:
            # The first error is the one to tell; after a failed disk not even this may work.
            with contextlib.suppress(Exception):
                self.database.drop_temporary(table.name)
            raise
        else:
            self.database.drop_temporary(table.name)
        finally:
            self._depth -= 1

    def index(self, stash: sa.Table, names: Sequence[str]) -> None:
        """Let rows that were handed over be looked up by some of their columns.

        Parameters
        ----------
        stash : sqlalchemy.Table
            From `stash`.
        names : sequence of str
            Its columns.
        """
        if names:
            self.database.index_temporary(stash.name, names)

    def _stash_table(
        self, types: Mapping[str, sa.types.TypeEngine[Any]], key: tuple[str, ...]
    ) -> tuple[sa.Table, str, str]:
        known = (self._depth, key, tuple((n, str(t)) for n, t in types.items()))
        found = self.statements.stashes.get(known)
        if found is None:
            columns = [sa.Column(n, t, primary_key=n in key, autoincrement=False) for n, t in types.items()]
            table = sa.Table(
                f"stash_{self._depth}",
                sa.MetaData(),
                *columns,
                prefixes=["TEMPORARY"],
                sqlite_with_rowid=not key or key == (ORDINAL,),
            )
            create = str(CreateTable(table).compile(dialect=self.database.dialect))
            fill = str(sa.insert(table).compile(dialect=self.database.dialect))
            found = self.statements.stashes[known] = (table, create, fill)
        return found

    def _run(self, text: str) -> None:
        with translated(self.place):
            self.database.driver.execute(text)


_DTYPES: tuple[tuple[type, type], ...] = (
    (sa.Boolean, np.bool_),
    (sa.Integer, np.int64),
    (sa.Float, np.float64),
)


def _typed(kind: sa.types.TypeEngine[Any], values: Sequence[Any]) -> Sequence[Any] | Array:
    """Give a column the type that was declared where the driver's values do not tell it."""
    if not values:
        return np.empty(0, next((d for k, d in _DTYPES if isinstance(kind, k)), object))
    if isinstance(kind, sa.Boolean):
        return [None if v is None else bool(v) for v in values]
    if isinstance(kind, IdType) and not isinstance(next((v for v in values if v is not None), b""), bytes):
        return [None if v is None else v.bytes for v in values]
    return values
