"""Applies migrations from within the program: no alembic.ini, no current directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from registry.errors import IntegrityError, StageError
from registry.migrations.backup import make_backup
from registry.sql.engine import Database, connect, parse_url
from registry.sql.failures import translated
from registry.sql.version import HEAD, VERSIONS, check_version, read_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Upgrade", "migrate", "plan_upgrade", "upgrade"]

_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Upgrade:
    """The way of a registry from the version it has to this software's.

    Parameters
    ----------
    place : str
        Which registry, without credentials.
    dialect : {"sqlite", "postgresql"}
        Its kind of database.
    found : str
        The version that it has (had).
    to : str
        The version that this software reads.
    versions : tuple of str
        The migrations between the two, in order; none for a registry that is up to date.
    backup : str or None
        Copy of it as it was, where one was made and kept.
    """

    place: str
    dialect: str
    found: str
    to: str
    versions: tuple[str, ...]
    backup: str | None = None

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.versions)


def migrate(connection: sa.Connection, to: str = HEAD) -> None:
    """Bring the tables from the version they have to another.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        In a write transaction, which this neither begins nor ends.
    to : str
        A version.
    """
    # Alembic costs a fifth of a second, and asking whether an upgrade is needed does without it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Alembic reads options through configparser, to which % is special.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    if not connection.in_transaction():
        # Of SQLAlchemy's own book-keeping: the database is in a transaction already. Alembic then leaves both alone.
        connection.begin()
    command.upgrade(config, to)


def plan_upgrade(url: str) -> Upgrade:
    """Say what an upgrade would do, without writing anywhere.

    Parameters
    ----------
    url : str
        Which registry.

    Returns
    -------
    Upgrade
        From where, to where.

    Raises
    ------
    SchemaVersionError
        If it is newer than this software.
    """
    database = connect(parse_url(url), writable=False)
    try:
        return _plan(database, read_attributes(database))
    finally:
        database.close()


def upgrade(url: str, *, backup: bool = False, keep_backup: bool = False) -> Upgrade:
    """Bring a registry of an older version to this software's, in one transaction.

    Parameters
    ----------
    url : str
        Which.
    backup : bool
        Whether to copy it first, beside it; for SQLite only. The copy is removed when all went well.
    keep_backup : bool
        Whether to keep that copy.

    Returns
    -------
    Upgrade
        What was done.

    Raises
    ------
    SchemaVersionError
        If it is newer than this software.
    StorageError
        If it, or its copy, cannot be written.
    IntegrityError
        If rows refer to what is not there. In all these cases it stays as it was.
    """
    database = connect(parse_url(url), writable=True)
    copied: Path | None = None
    try:
        plan = _plan(database, read_attributes(database))
        if not plan.is_needed:
            return plan
        _leave_references(database)
        database.begin_write(_TIMEOUT_S)
        try:
            # Another process may have upgraded it while this one waited.
            plan = _plan(database, _facts(database))
            if plan.is_needed:
                if (backup or keep_backup) and plan.dialect == "sqlite":
                    copied = make_backup(plan.place, plan.found)
                _apply(database, plan)
        except BaseException as exc:
            database.rollback()
            if copied is not None and isinstance(exc, StageError):
                exc.hint = f"{exc.hint} The registry is as it was; so is its copy {copied}.".strip()
            raise
        database.commit(_TIMEOUT_S)
    finally:
        database.close()
    if copied is not None and not keep_backup:
        copied.unlink(missing_ok=True)
        copied = None
    return Upgrade(
        plan.place, plan.dialect, plan.found, plan.to, plan.versions, None if copied is None else str(copied)
    )


def _plan(database: Database, facts: Mapping[str, str]) -> Upgrade:
    found = facts.get("schema_version", "none")
    if found not in VERSIONS:
        check_version(facts, database.place)
    versions = VERSIONS[VERSIONS.index(found) + 1 :]
    return Upgrade(database.place, database.dialect.name, found, HEAD, versions)


def _facts(database: Database) -> dict[str, str]:
    rows = database.connection.execute(sa.text("SELECT key, value FROM repository"))
    return {key: value for key, value in rows}  # noqa: C416 - rows are no tuples


def _apply(database: Database, plan: Upgrade) -> None:
    repository = sa.table("repository", sa.column("key"), sa.column("value"))
    stamp = sa.update(repository).where(repository.c.key == "schema_version").values(value=plan.versions[-1])
    with translated(database.place):
        migrate(database.connection, plan.versions[-1])
        database.connection.execute(stamp)
        if plan.dialect == "sqlite":
            _refuse_dangling(database)
        else:
            from registry.sql import roles

            # Tables that the migrations made are opened to readers and pushers.
            roles.apply(database)


def _leave_references(database: Database) -> None:
    """Tell SQLite not to follow references: it cannot be told within a transaction.

    A migration that has to make a table anew drops the old one, and with it, if references were followed, the rows
    of other tables that refer to it.
    """
    if database.dialect.name == "sqlite":
        database.run("PRAGMA foreign_keys = OFF")


def _refuse_dangling(database: Database) -> None:
    found = database.query("PRAGMA foreign_key_check", [])
    if found:
        raise IntegrityError(
            f"{database.place}: a row of table '{found[0][0]}' refers to a row of '{found[0][2]}' that is not there",
            code="dangling-reference",
            hint="Restore the registry from a copy, and upgrade that.",
        )
