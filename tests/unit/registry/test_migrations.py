"""Migrations and the tables that `create` makes are the same."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import alembic.command
import alembic.config
import pytest

from registry.errors import NotFoundError, SchemaVersionError
from registry.migrations import run
from registry.registry import Registry
from registry.sql.engine import connect, parse_url
from registry.sql.version import HEAD, VERSIONS
from tests.registry_builders import new_registry


def tables(path: Path) -> dict[str, str]:
    """Definition of every table and index, spaces aside."""
    with sqlite3.connect(path) as raw:
        rows = raw.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    raw.close()
    return {
        name: re.sub(r"[\s]+|(?<=\() | (?=\))", " ", sql).replace("( ", "(").replace(" )", ")")
        for name, sql in rows
    }


def migrated(path: Path, to: str = HEAD) -> None:
    """Make a database by migrations alone."""
    database = connect(parse_url(f"sqlite:///{path}"), writable=True, create=True)
    database.begin_write(1.0)
    run.migrate(database.connection, to)
    assert database.driver.in_transaction
    database.commit(1.0)
    database.close()


def test_migrations_make_what_create_makes(tmp_path: Path) -> None:
    """The fixed tables, their indexes and the stamp do not depend on the way they were made."""
    new_registry(tmp_path / "created.sqlite3").close()
    migrated(tmp_path / "migrated.sqlite3")
    created, made = tables(tmp_path / "created.sqlite3"), tables(tmp_path / "migrated.sqlite3")

    assert made == {n: s for n, s in created.items() if not n.startswith(("dim_", "overlap_", "ix_overlap_"))}
    with sqlite3.connect(tmp_path / "migrated.sqlite3") as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    raw.close()


def test_a_migration_is_undone_with_its_transaction(tmp_path: Path) -> None:
    """Half a migration cannot exist: rolling back leaves an empty database."""
    path = tmp_path / "r.sqlite3"
    database = connect(parse_url(f"sqlite:///{path}"), writable=True, create=True)
    database.begin_write(1.0)
    run.migrate(database.connection)
    database.rollback()
    database.close()

    assert tables(path) == {}


def test_downgrade_of_the_first_version_empties_the_database(tmp_path: Path) -> None:
    """Each downgrade works, or says that it cannot: the first one drops its tables."""
    path = tmp_path / "r%20.sqlite3"
    migrated(path)
    database = connect(parse_url(f"sqlite:///{path}"), writable=True)
    database.begin_write(1.0)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(run.__file__).parent))
    config.attributes["connection"] = database.connection
    database.connection.begin()
    alembic.command.downgrade(config, "base")
    database.commit(1.0)
    database.close()

    assert list(tables(path)) == ["alembic_version"]


def test_upgrade_of_a_current_registry_does_nothing(tmp_path: Path) -> None:
    """It tells the version and leaves every byte."""
    path = tmp_path / "r.sqlite3"
    new_registry(path).close()
    before = path.read_bytes()

    assert VERSIONS[-1] == Registry.upgrade(f"sqlite:///{path}")
    assert before == path.read_bytes()


def test_upgrade_refuses_a_newer_or_missing_registry(tmp_path: Path) -> None:
    """What this code does not know is left as it is."""
    path = tmp_path / "r.sqlite3"
    with pytest.raises(NotFoundError):
        Registry.upgrade(f"sqlite:///{path}")
    new_registry(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE repository SET value = '9999' WHERE key = 'schema_version'")
    raw.close()
    with pytest.raises(SchemaVersionError, match="9999"):
        Registry.upgrade(f"sqlite:///{path}")
