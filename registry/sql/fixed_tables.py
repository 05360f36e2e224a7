"""The tables that every repository has, whatever its universe; migrations make the same ones."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

__all__ = ["IdType", "fixed_tables", "make_table"]


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
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID(as_uuid=False))
        return dialect.type_descriptor(sa.LargeBinary(16))

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
        return bytes(value).hex()

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> bytes | None:
        """Turn the driver's value into 16 bytes.

        Parameters
        ----------
        value : object
            What the driver gave.
        dialect : sqlalchemy.Dialect
            The database's.

        Returns
        -------
        bytes or None
            An id.
        """
        if value is None or dialect.name != "postgresql":
            return value  # type: ignore[no-any-return]
        return bytes.fromhex(str(value).replace("-", ""))


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
        "repository", metadata, c("key", sa.String, primary_key=True), c("value", sa.Text, nullable=False)
    )
    make_table(
        "dataset_type", metadata,
        c("id", _SERIAL, primary_key=True),
        c("name", sa.String(128), nullable=False, unique=True),
        c("dimensions", sa.Text, nullable=False),
        c("storage_class", sa.String(64), nullable=False),
        c("is_calibration", sa.Boolean, nullable=False),
        clustered=False,
    )  # fmt: skip
    make_table(
        "collection", metadata,
        c("id", _SERIAL, primary_key=True),
        c("name", sa.String(255), nullable=False, unique=True),
        c("type", sa.SmallInteger, nullable=False),
        c("doc", sa.Text, nullable=False, server_default=""),
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
        c("uri", sa.Text, nullable=False),
        c("size", _INT, nullable=False),
        c("checksum", sa.Text, nullable=False),
        c("formatter", sa.String(64), nullable=False),
    )  # fmt: skip
    make_table(
        "quantum", metadata,
        c("id", IdType, primary_key=True),
        c("attempt", sa.SmallInteger, primary_key=True),
        c("run_id", fk("collection.id"), nullable=False, index=True),
        c("task", sa.String(128), nullable=False),
        c("data_id", sa.Text, nullable=False),
        c("status", sa.String(16), nullable=False),
        c("started_ns", _INT), c("finished_ns", _INT), c("cpu_ns", _INT), c("peak_bytes", _INT),
        c("host", sa.Text), c("message", sa.Text),
        c("graph_id", IdType),
    )  # fmt: skip
    make_table(
        "quantum_input", metadata,
        c("quantum_id", IdType, primary_key=True),
        c("dataset_id", IdType, primary_key=True, index=True),
        c("connection", sa.String(64), primary_key=True),
        c("was_read", sa.Boolean, nullable=False),
    )  # fmt: skip
    make_table(
        "quantum_output", metadata,
        c("quantum_id", IdType, primary_key=True),
        c("dataset_id", IdType, primary_key=True, index=True),
        c("connection", sa.String(64), primary_key=True),
    )  # fmt: skip
    make_table(
        "baseline", metadata,
        c("kind", sa.String(64), primary_key=True),
        c("key", sa.LargeBinary, primary_key=True),
        c("digest", sa.LargeBinary(16), nullable=False),
    )  # fmt: skip
    make_table(
        "journal", metadata,
        c("operation", IdType, primary_key=True),
        c("item", sa.LargeBinary, primary_key=True),
        c("state", sa.String(16), nullable=False),
        c("payload", sa.Text, nullable=False, server_default="{}"),
        c("at_ns", _INT, nullable=False),
    )  # fmt: skip
    make_table(
        "push_ledger", metadata,
        c("id", IdType, primary_key=True),
        c("campaign_id", IdType, nullable=False),
        c("campaign", sa.String(255), nullable=False),
        c("who", sa.Text, nullable=False),
        c("host", sa.Text, nullable=False),
        c("at_ns", _INT, nullable=False),
        c("runs", sa.Text, nullable=False),
        c("summary", sa.Text, nullable=False),
    )  # fmt: skip
    make_table(
        "campaign", metadata,
        c("id", IdType, primary_key=True),
        c("name", sa.String(255), nullable=False),
        c("doc", sa.Text, nullable=False),
        c("document", sa.Text, nullable=False),
        c("at_ns", _INT, nullable=False),
    )  # fmt: skip
    make_table(
        "history", metadata,
        c("position", _SERIAL, primary_key=True),
        c("at_ns", _INT, nullable=False),
        c("command", sa.Text, nullable=False),
        c("change", sa.Text, nullable=False),
        clustered=False,
    )  # fmt: skip
    return dict(metadata.tables)
