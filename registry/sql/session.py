"""One open transaction's way to the database: statements in, columns out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from registry.errors import UsageError
from registry.model.columns import Columns
from registry.sql.engine import Database
from registry.sql.failures import translated
from registry.sql.fixed_tables import IdType
from registry.sql.gathering import batches, gathered
from registry.sql.keys import check_parameters, check_values
from registry.sql.schema import Schema

__all__ = ["ORDINAL", "Session", "Statements", "statements_of"]

ORDINAL = "ordinal"
"""Name of the column that numbers the rows of a stash in the order they were handed over."""


_Parameter = tuple[str, Callable[[Any], Any] | None]


class _Form(NamedTuple):
    """A statement compiled once: what the driver takes, and what it gives."""

    text: str
    parameters: list[_Parameter]
    columns: tuple[tuple[str, sa.types.TypeEngine[Any]], ...]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """Return the driver's values, in order."""
        return [given[n] if to is None else to(given[n]) for n, to in self.parameters]


class Statements:
    """Texts of statements that were compiled once, for one schema and dialect.

    Parameters
    ----------
    dialect : sqlalchemy.Dialect
        The database's.
    """

    def __init__(self, dialect: sa.Dialect) -> None:
        self.dialect = dialect
        self._forms: dict[object, _Form] = {}

    def form(self, key: object, make: Callable[[], Any]) -> _Form:
        """Return a statement's text, its parameters in order, and the columns of its rows.

        Parameters
        ----------
        key : hashable
            Names the statement.
        make : callable
            Makes it, the first time.

        Returns
        -------
        (str, list of (str, callable or None), tuple of (str, sqlalchemy type))
            For the driver: the names of the values to give, and what makes the driver's value of each. Of a SELECT the
            names and types of what it selects.
        """
        found = self._forms.get(key)
        if found is None:
            statement = make()
            compiled = statement.compile(dialect=self.dialect, compile_kwargs={"render_postcompile": True})
            types = {name: bind.type for name, bind in compiled.binds.items()}
            names = compiled.positiontup or ()
            chosen = statement.selected_columns if isinstance(statement, sa.Select) else ()
            found = self._forms[key] = _Form(
                str(compiled),
                [(n, self._maker(types[n])) for n in names],
                tuple([(getattr(c, "name", ""), c.type) for c in chosen]),
            )
        return found

    def _maker(self, declared: sa.types.TypeEngine[Any]) -> Callable[[Any], Any] | None:
        # Only ids differ between databases; SQLAlchemy's other processors cost more than they do.
        if not isinstance(declared, IdType):
            return None
        return declared.dialect_impl(self.dialect).bind_processor(self.dialect)


@lru_cache(maxsize=16)
def statements_of(schema: Schema, dialect: sa.Dialect) -> Statements:
    """Return the texts that were compiled before for these tables.

    Parameters
    ----------
    schema : Schema
        The tables; one object for all registries of a universe.
    dialect : sqlalchemy.Dialect
        The database's; one object for all files of SQLite.

    Returns
    -------
    Statements
        Of these two.
    """
    del schema  # names tell tables of one schema apart, not of two
    return Statements(dialect)


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

    @property
    def takes_rows(self) -> bool:
        """Whether rows go straight into a table at no more cost than by way of a stash: there is no server to wait for."""
        return self.database.dialect.name == "sqlite"

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
            rows = batches(result.cursor) if result.cursor is not None else ()
            found = gathered([(c.name, c.type) for c in statement.selected_columns], rows)
            result.close()
        return found

    def answer(
        self,
        key: object,
        make: Callable[[], sa.Select[Any]],
        stashes: Sequence[sa.FromClause] = (),
        **parameters: Any,
    ) -> Columns:
        """Run a query of a form that comes again and again, compiled once, and return its rows as columns.

        Parameters
        ----------
        key : hashable
            Names the form, apart from the names of the stashes.
        make : callable
            Makes it, with named bind parameters.
        stashes : sequence of sqlalchemy.FromClause
            Rows handed over that it selects from.
        **parameters
            Values to bind, which have been checked.

        Returns
        -------
        Columns
            As from `fetch`.
        """
        form = self._form(key, make, stashes)
        if form is None:
            return self.fetch(make(), **parameters)
        with translated(self.place):
            cursor = self.database.cursor(form.text, form.values(parameters))
            return gathered(form.columns, batches(cursor))

    def _form(self, key: object, make: Callable[[], Any], stashes: Sequence[sa.FromClause]) -> _Form | None:
        """Return a statement compiled once; None where rows that travel with it are a part of it."""
        names = [stash.name for stash in stashes if isinstance(stash, sa.TableClause)]
        return self.statements.form((key, *names), make) if len(names) == len(stashes) else None

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
        check_parameters(parameters)
        form = self.statements.form(key, make)
        return self.database.query(form.text, form.values(parameters))

    def insert_row(self, table: sa.Table, row: Mapping[str, Any]) -> None:
        """Insert one row, by a statement that is compiled once.

        Parameters
        ----------
        table : sqlalchemy.Table
            Where.
        row : mapping of str to object
            Values of its columns, which have been checked.

        Raises
        ------
        ConstraintViolation
            If the database refuses it.
        """

        def make() -> sa.Insert:
            # Hot statements are asked for rows: this one gives one of nothing but a number.
            return sa.insert(table).values(dict.fromkeys(row)).returning(sa.literal_column("1"))

        form = self.statements.form(("insert", table.name, *row), make)
        self.database.query(form.text, form.values(row))
        self.database.written(table, 1)

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
        check_parameters(parameters, statement.table if isinstance(statement, sa.Insert) else None)
        with translated(self.place):
            # The number is gone with the cursor, unless it is asked for beforehand.
            kept = {"preserve_rowcount": True}
            result = self.database.connection.execute(statement, parameters, execution_options=kept)
            return int(getattr(result, "rowcount", 0))

    def change(
        self,
        key: object,
        make: Callable[[], sa.Insert],
        stashes: Sequence[sa.FromClause] = (),
        **parameters: Any,
    ) -> int:
        """Run a statement that writes, of a form that comes again and again, compiled once.

        Parameters
        ----------
        key, make, stashes, **parameters
            As for `answer`.

        Returns
        -------
        int
            Rows changed.

        Raises
        ------
        ConstraintViolation
            If the database refuses the rows.
        """
        form = self._form(key, make, stashes)
        if form is None:
            return self.execute(make(), **parameters)
        with translated(self.place):
            return int(self.database.cursor(form.text, form.values(parameters)).rowcount)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo on any exception what was written within.

        Yields
        ------
        None
            Nothing.
        """
        self.database.run("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self.database.in_transaction:
                self.database.run_all(["ROLLBACK TO part", "RELEASE part"])
            raise
        self.database.run("RELEASE part")

    @contextlib.contextmanager
    def stash(
        self,
        columns: Columns,
        types: Mapping[str, sa.types.TypeEngine[Any]],
        *,
        numbered: bool = False,
        key: Sequence[str] = (),
    ) -> Iterator[sa.FromClause]:
        """Hand rows over to the database for as long as a few statements need them.

        Parameters
        ----------
        columns : Columns
            The rows.
        types : mapping of str to sqlalchemy type
            Which columns to hand over, in what form.
        numbered : bool
            Whether to add the column `ORDINAL`: 0, 1, … in the order of the rows. So are rows that are to be kept:
            their values are checked.
        key : sequence of str
            Columns that are unique together and never null, by which rows will be looked up.

        Yields
        ------
        sqlalchemy.FromClause
            To be selected from; gone afterwards.

        Raises
        ------
        UsageError
            If `numbered`, and a value does not fit its column in every database.
        """
        if numbered:
            check_values(columns, types)
            columns = columns.select(list(types)).with_column(ORDINAL, np.arange(columns.n_rows))
            types, key = {ORDINAL: sa.Integer(), **types}, (ORDINAL,)
        name = f"stash_{self._depth}"
        self._depth += 1
        try:
            with self.database.stash(name, columns, types, tuple(key)) as stash:
                yield stash
        finally:
            self._depth -= 1

    def index(self, stash: sa.FromClause, names: Sequence[str]) -> None:
        """Let rows that were handed over be looked up by some of their columns.

        Parameters
        ----------
        stash : sqlalchemy.FromClause
            From `stash`.
        names : sequence of str
            Its columns.

        Notes
        -----
        SQLite guesses how many rows a condition leaves, and reads rows without an index once for each; PostgreSQL
        hashes them, and needs none.
        """
        self.database.index(stash, names)
