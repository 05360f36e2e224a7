"""Applies migrations from within the program: no alembic.ini, no current directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

from registry.sql.engine import connect, parse_url
from registry.sql.failures import translated
from registry.sql.version import HEAD, VERSIONS, check_version, read_attributes

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["migrate", "upgrade"]


def migrate(connection: sa.Connection, to: str = HEAD) -> None:
    """Bring the fixed tables from the version they have to another.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        In a write transaction, which this neither begins nor ends.
    to : str
        A version.
    """
    config = Config()
    # Alembic reads options through configparser, to which % is special.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    if not connection.in_transaction():
        # Of SQLAlchemy's own book-keeping: the database is in a transaction already. Alembic then leaves both alone.
        connection.begin()
    command.upgrade(config, to)


def upgrade(url: str) -> str:
    """Bring a registry of an older version to this one's, in one transaction.

    Parameters
    ----------
    url : str
        Which.

    Returns
    -------
    str
        The version it had.

    Raises
    ------
    SchemaVersionError
        If it is newer than this software.
    """
    database = connect(parse_url(url), writable=True)
    try:
        facts = read_attributes(database)
        found = facts.get("schema_version", "none")
        if found not in VERSIONS:
            check_version(facts, database.place)
        if found == HEAD:
            return found
        database.begin_write(60.0)
        try:
            with translated(database.place):
                migrate(database.connection)
                database.driver.execute(
                    "UPDATE repository SET value = ? WHERE key = 'schema_version'", (HEAD,)
                )
        except BaseException:
            database.rollback()
            raise
        database.commit(60.0)
        return found
    finally:
        database.close()
