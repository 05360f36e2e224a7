"""The tables that every repository has, whatever its universe; migrations make the same ones."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["IdType", "LastId", "fixed_tables", "make_table", "string_type", "text_type"]


class _Uuid(sa.types.UserDefinedType[Any]):
    """PostgreSQL's type, given as hexadecimal digits; the driver hands it back as 16 bytes."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: Any) -> str:
        return "UUID"


class IdType(sa.types.TypeDecorator[bytes]):
    """A dataset or quantum id: 16 bytes in SQLite, ``uuid`` in PostgreSQL.

    Parameters
    ----------
    *args, **kwargs
        As for any type; not needed.
    """

    impl = sa.LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Choose the column type of the database.

        Parameters
        ----------
        dialect : sqlalchemy.Dialect
            The database's.

        Returns
        -------
        sqlalchemy.types.TypeEngine
            ``uuid`` or 16 bytes.
        """
        return dialect.type_descriptor(_Uuid() if dialect.name == "postgresql" else sa.LargeBinary(16))

    def process_bind_param(self, value: bytes | None, dialect: sa.Dialect) -> Any:
        """Turn 16 bytes into what the driver takes.

        Parameters
        ----------
        value : bytes or None
            An id.
        dialect : sqlalchemy.Dialect
            The database's.

        Returns
        -------
        bytes or str or None
            The driver's value.
        """
        if value is None or dialect.name != "postgresql":
            return value
        return bytes(value).hex() if len(value) == 16 else None  # nothing has another one


class LastId(FunctionElement[bytes]):
    """The highest of the ids of a group of rows.

    Parameters
    ----------
    column : sqlalchemy.ColumnElement
        Of `IdType`.
    """

    name = "last_id"
    type = sa.LargeBinary()
    inherit_cache = True


@compiles(LastId)
def _last_id(element: LastId, compiler: Any, **kw: Any) -> str:
    return f"max({compiler.process(element.clauses, **kw)})"


@compiles(LastId, "postgresql")
def _last_id_postgres(element: LastId, compiler: Any, **kw: Any) -> str:
    # Older servers have no max() of uuid; digits in a text are in the same order.
    text = f'CAST({compiler.process(element.clauses, **kw)} AS TEXT) COLLATE "C"'
    return f"uuid_send(CAST(max({text}) AS UUID))"


def string_type(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Return the type of a short text that is compared and sorted by its code points, in every database.

    Parameters
    ----------
    length : int, optional
        Most characters.

    Returns
    -------
    sqlalchemy type
        As SQLite does by itself; in PostgreSQL by collation ``C``.
    """
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def text_type() -> sa.types.TypeEngine[str]:
    """Return the type of a text of any length, compared and sorted as `string_type` is.

    Returns
    -------
    sqlalchemy type
        It.
    """
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


_INT = sa.BigInteger
_SERIAL = sa.Integer


def make_table(name: str, metadata: sa.MetaData, *columns: Any, clustered: bool = True) -> sa.Table:
    """Define a table.

    Parameters
    ----------
    name : str
        Its name.
    metadata : sqlalchemy.MetaData
        Where it is defined.
    *columns
        Its columns and constraints.
    clustered : bool
        Whether its rows are kept in the primary key's own tree (SQLite): less space, one lookup less.

    Returns
    -------
    sqlalchemy.Table
        It.
    """
    return sa.Table(name, metadata, *columns, sqlite_with_rowid=not clustered)


def fixed_tables(metadata: sa.MetaData) -> dict[str, sa.Table]:
    """Define the tables that every repository has, whatever its universe.

    Parameters
    ----------
    metadata : sqlalchemy.MetaData
        Where they are defined.

    Returns
    -------
    dict of str to sqlalchemy.Table
        By name.
    """
    c, fk = sa.Column, sa.ForeignKey
    make_table(
        "repository",
        metadata,
        c("key", string_type(), primary_key=True),
        c("value", text_type(), nullable=False),
    )
    make_table(
        "dataset_type", metadata,
        c("id", _SERIAL, primary_key=True),
        c("name", string_type(128), nullable=False, unique=True),
        c("dimensions", text_type(), nullable=False),
        c("storage_class", string_type(64), nullable=False),
        c("is_calibration", sa.Boolean, nullable=False),
        clustered=False,
    )  # fmt: skip
    make_table(
        "collection", metadata,
        c("id", _SERIAL, primary_key=True),
        c("name", string_type(255), nullable=False, unique=True),
        c("type", sa.SmallInteger, nullable=False),
        c("doc", text_type(), nullable=False, server_default=""),
        clustered=False,
    )  # fmt: skip
    make_table(
        "collection_chain", metadata,
        c("parent_id", fk("collection.id", ondelete="CASCADE"), primary_key=True),
        c("position", sa.Integer, primary_key=True),
        c("child_id", fk("collection.id"), nullable=False, index=True),
    )  # fmt: skip
    make_table(
        "dataset", metadata,
        c("id", IdType, primary_key=True),
        # References are checked once, on the row of the tag table that goes in beside each of these.
        c("dataset_type_id", _SERIAL, nullable=False),
        c("run_id", _SERIAL, nullable=False),
    )  # fmt: skip
    make_table(
        "artifact", metadata,
        c("id", IdType, fk("dataset.id", ondelete="CASCADE"), primary_key=True),
        c("uri", text_type(), nullable=False),
        c("size", _INT, nullable=False),
        c("checksum", text_type(), nullable=False),
        c("formatter", string_type(64), nullable=False),
    )  # fmt: skip
    make_table(
        "quantum", metadata,
        c("id", IdType, primary_key=True),
        c("attempt", sa.SmallInteger, primary_key=True),
        c("run_id", fk("collection.id"), nullable=False, index=True),
        c("task", string_type(128), nullable=False),
        c("data_id", text_type(), nullable=False),
        c("status", string_type(16), nullable=False),
        c("started_ns", _INT), c("finished_ns", _INT), c("cpu_ns", _INT), c("peak_bytes", _INT),
        c("host", text_type()), c("message", text_type()),
        c("graph_id", IdType),
    )  # fmt: skip
    make_table(
        "quantum_input", metadata,
        c("quantum_id", IdType, primary_key=True),
        c("dataset_id", IdType, primary_key=True, index=True),
        c("connection", string_type(64), primary_key=True),
        c("was_read", sa.Boolean, nullable=False),
    )  # fmt: skip
    make_table(
        "quantum_output", metadata,
        c("quantum_id", IdType, primary_key=True),
        c("dataset_id", IdType, primary_key=True, index=True),
        c("connection", string_type(64), primary_key=True),
    )  # fmt: skip
    make_table(
        "baseline", metadata,
        c("kind", string_type(64), primary_key=True),
        c("key", sa.LargeBinary, primary_key=True),
        c("digest", sa.LargeBinary(16), nullable=False),
    )  # fmt: skip
    make_table(
        "journal", metadata,
        c("operation", IdType, primary_key=True),
        c("item", sa.LargeBinary, primary_key=True),
        c("state", string_type(16), nullable=False),
        c("payload", text_type(), nullable=False, server_default="{}"),
        c("at_ns", _INT, nullable=False),
    )  # fmt: skip
    make_table(
        "push_ledger", metadata,
        c("id", IdType, primary_key=True),
        c("campaign_id", IdType, nullable=False),
        c("campaign", string_type(255), nullable=False),
        c("who", text_type(), nullable=False),
        c("host", text_type(), nullable=False),
        c("at_ns", _INT, nullable=False),
        c("runs", text_type(), nullable=False),
        c("summary", text_type(), nullable=False),
    )  # fmt: skip
    make_table(
        "campaign", metadata,
        c("id", IdType, primary_key=True),
        c("name", string_type(255), nullable=False),
        c("doc", text_type(), nullable=False),
        c("document", text_type(), nullable=False),
        c("at_ns", _INT, nullable=False),
    )  # fmt: skip
    make_table(
        "history", metadata,
        c("position", _SERIAL, primary_key=True),
        c("at_ns", _INT, nullable=False),
        c("command", text_type(), nullable=False),
        c("change", text_type(), nullable=False),
        clustered=False,
    )  # fmt: skip
    return dict(metadata.tables)
