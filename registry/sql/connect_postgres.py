"""The way to a PostgreSQL server: SQLAlchemy's dialect, the driver's forms of values, and the connection."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.pq import Format
from psycopg.types.numeric import NumericBinaryLoader
from psycopg.types.string import ByteaBinaryLoader
from sqlalchemy.dialects import registry as dialects
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.pool import NullPool

from registry.errors import NotFoundError, StorageError, UsageError
from registry.sql.arrays_postgres import ArrayDumper, BoundArray
from registry.sql.engine import READ_TIMEOUT_S, redacted

__all__ = ["HotCursor", "PostgresDialect", "dial", "schema_of"]

_OLDEST = 13
_SCHEMA = re.compile(r"(?!pg_)[A-Za-z_][A-Za-z0-9_]{0,62}")


class PostgresDialect(PGDialect_psycopg):
    """SQLAlchemy's dialect, which asks the server nothing when it connects.

    Parameters
    ----------
    **options
        As of SQLAlchemy's own.
    """

    supports_statement_cache = True

    def __init__(self, **options: Any) -> None:
        # By position: the texts of hot paths are compiled once and given plain sequences.
        super().__init__(**{"paramstyle": "format", "use_native_hstore": False, **options})  # type: ignore[no-untyped-call]

    def initialize(self, connection: sa.Connection) -> None:
        """Take what the driver knows of the server since it connected.

        Parameters
        ----------
        connection : sqlalchemy.Connection
            The first one.
        """
        driver: Any = connection.connection.driver_connection
        self.server_version_info = divmod(driver.info.server_version, 10000)
        self.default_schema_name = None
        self.default_isolation_level = "READ COMMITTED"
        self.supports_identity_columns = True


dialects.register("postgresql.stage", __name__, "PostgresDialect")


class _NumberLoader(NumericBinaryLoader):  # type: ignore[misc]
    """Gives sums of integers as integers."""

    def load(self, data: Any) -> int | float:
        value = super().load(data)
        return int(value) if value == value.to_integral_value() else float(value)


class _Cursor(psycopg.Cursor[Any]):  # type: ignore[misc]
    """Gets rows in binary form, and prepares nothing: plans then fit the rows that a statement is given."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.format = Format.BINARY

    def execute(self, query: Any, params: Any = None, *, prepare: Any = False, binary: Any = None) -> Any:
        return super().execute(query, params, prepare=bool(prepare), binary=binary)


class HotCursor(psycopg.Cursor[Any]):  # type: ignore[misc]
    """Gets rows in binary form, by statements that the server keeps once they were used a few times.

    Parameters
    ----------
    *args, **options
        As of any cursor.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.format = Format.BINARY


def dial(url: sa.URL, schema: str, *, writable: bool) -> sa.Connection:
    """Connect to a server.

    Parameters
    ----------
    url : sqlalchemy.URL
        Which.
    schema : str
        Where unqualified names are looked up.
    writable : bool
        Otherwise the server refuses every write.

    Returns
    -------
    sqlalchemy.Connection
        In driver autocommit mode.

    Raises
    ------
    UsageError
        If the URL has a parameter that libpq does not know.
    NotFoundError
        If there is no such database.
    StorageError
        If the server cannot be reached, does not let one in, or is too old.
    """
    place, parameters = redacted(url), _parameters(url, schema, writable=writable)

    def creator() -> Any:
        driver = psycopg.connect(**parameters, autocommit=True, cursor_factory=_Cursor)
        driver.adapters.register_loader("uuid", ByteaBinaryLoader)
        driver.adapters.register_loader("numeric", _NumberLoader)
        driver.adapters.register_dumper(BoundArray, ArrayDumper)
        return driver

    engine = sa.create_engine(
        "postgresql+stage://", creator=creator, poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    try:
        connection = engine.connect()
    except (sa.exc.SQLAlchemyError, psycopg.Error) as exc:
        raise _cannot_connect(exc, place) from exc
    driver: Any = connection.connection.driver_connection
    if driver.info.server_version < _OLDEST * 10000:
        connection.close()
        raise StorageError(
            f"{place} runs PostgreSQL {driver.info.server_version // 10000}; {_OLDEST} is the oldest supported",
            code="server-too-old",
            hint="Ask its keeper for a newer one.",
        )
    return connection


def schema_of(url: sa.URL) -> str:
    """Return the schema that a URL names.

    Parameters
    ----------
    url : sqlalchemy.URL
        Of PostgreSQL.

    Returns
    -------
    str
        The query's ``schema``, or ``public``.

    Raises
    ------
    UsageError
        If it is no usable name.
    """
    schema = url.query.get("schema", "public")
    if not isinstance(schema, str) or not _SCHEMA.fullmatch(schema):
        raise UsageError(
            f"'{schema}' cannot be the schema of a registry ({redacted(url)})",
            code="bad-url",
            hint="A schema's name has letters, digits and _, and does not begin with pg_.",
        )
    return schema


def _parameters(url: sa.URL, schema: str, *, writable: bool) -> dict[str, Any]:
    """Return what libpq is given: the URL's parameters, and ours where it has none."""
    given: dict[str, Any] = {
        n: v if isinstance(v, str) else ",".join(v) for n, v in url.query.items() if n != "schema"
    }
    given |= url.translate_connect_args(username="user", database="dbname")
    settings = {
        "search_path": f'"{schema}"',
        "default_transaction_read_only": "off" if writable else "on",
        "lock_timeout": f"{READ_TIMEOUT_S:g}s",
        # Compiling a plan costs more than the statements of a registry take.
        "jit": "off",
    }
    options = " ".join(f"-c {n}={v}" for n, v in settings.items())
    given["options"] = f"{options} {given.get('options', '')}".strip()
    defaults = {
        "connect_timeout": 10,
        "client_encoding": "UTF8",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 6,
        "fallback_application_name": _program(),
    }
    return defaults | given


def _program() -> str:
    """Return what the server shows of this process: the command without its arguments, host and number."""
    name, *words = [os.path.basename(sys.argv[0] or "python"), *sys.argv[1:]]  # noqa: PTH119
    verbs: list[str] = []
    for word in words[:2]:
        if not word.isalpha():
            break  # an argument may be a path, or a URL with a password
        verbs.append(word)
    return " ".join([name, *verbs])[:30] + f" on {os.uname().nodename[:18]} ({os.getpid()})"


def _cannot_connect(exc: BaseException, place: str) -> Exception:
    original = getattr(exc, "orig", None) or exc
    text = " ".join(str(original).split())
    if isinstance(original, psycopg.ProgrammingError):
        return UsageError(f"{place}: {text}", code="bad-url", hint="Check the URL's parameters.")
    if re.search(r'database "[^"]*" does not exist', text):
        return NotFoundError(
            f"there is no database at {place}", code="no-such-registry", hint="Check the database's name."
        )
    if re.search(
        r"authentication failed|no password supplied|no pg_hba.conf entry|role .* does not exist", text
    ):
        return StorageError(
            f"{place} does not let you in: {text}",
            code="cannot-open",
            hint="Check user and password (~/.pgpass, PGPASSWORD).",
        )
    return StorageError(
        f"{place} cannot be reached: {text}",
        code="cannot-connect",
        hint="Check host and port, and that the server runs.",
        transient=True,
    )
