"""Which schema versions this code reads, and the facts a repository tells about itself."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from registry.errors import IntegrityError, SchemaVersionError, StageError
from registry.model.dimensions import DimensionUniverse
from registry.sql.engine import Database
from registry.sql.schema import Schema, definitions

__all__ = [
    "HEAD",
    "VERSIONS",
    "check_version",
    "create_tables",
    "make_tables",
    "read_attributes",
    "schema_of",
]

VERSIONS = ("0001", "0002")
"""Every schema version there has been, oldest first; each is the name of a migration."""

HEAD = VERSIONS[-1]
FORMAT = "stage-registry"


def make_tables(database: Database, tables: list[sa.Table]) -> None:
    """Create tables and their indexes where they are not there yet.

    Parameters
    ----------
    database : Database
        In a write transaction.
    tables : list of sqlalchemy.Table
        In order of reference.
    """
    _make(database, definitions(tables, database.dialect), [table.name for table in tables])


def _make(database: Database, texts: list[str], names: list[str]) -> None:
    database.run_all(texts)
    if database.dialect.name == "postgresql":
        from registry.sql.roles import extend

        extend(database, names)


def create_tables(
    database: Database, universe: DimensionUniverse, repo_id: bytes, attributes: Mapping[str, str]
) -> None:
    """Make an empty registry, as the newest migration would leave it.

    Parameters
    ----------
    database : Database
        Empty, in a write transaction.
    universe : DimensionUniverse
        Its dimensions.
    repo_id : bytes
        Its identity.
    attributes : mapping of str to str
        More facts to keep.

    Notes
    -----
    The migrations make the same tables (a test compares them); importing alembic to do it here would cost
    every campaign a fifth of a second.
    """
    # Not canonical JSON: the order of the elements is part of a universe.
    document = json.dumps(dict(universe.source), ensure_ascii=False)
    schema = _schema(document)
    _make(database, schema.definitions(database.dialect), [t.name for t in schema.first_tables()])
    stamp = sa.table("alembic_version", sa.column("version_num"))
    database.connection.execute(
        sa.text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    database.connection.execute(sa.insert(stamp).values(version_num=HEAD))
    facts = {
        **attributes,
        "format": FORMAT,
        "schema_version": HEAD,
        "repo_id": repo_id.hex(),
        "created": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        "universe": document,
    }
    database.connection.execute(
        sa.insert(schema["repository"]), [{"key": k, "value": v} for k, v in facts.items()]
    )


def read_attributes(database: Database) -> dict[str, str]:
    """Read what a repository tells about itself.

    Parameters
    ----------
    database : Database
        Open, with no transaction.

    Returns
    -------
    dict
        Keys to values.

    Raises
    ------
    IntegrityError
        If the database is none of ours, or is damaged.
    """
    database.begin_read()
    try:
        facts = dict(database.query("SELECT key, value FROM repository", ()))
    except StageError as exc:
        if exc.code not in {"bad-statement", "table-missing"}:
            raise
        raise database.nothing_here() from exc
    finally:
        database.rollback()
    if facts.get("format") != FORMAT:
        raise database.nothing_here()
    return facts


def check_version(facts: Mapping[str, str], place: str) -> None:
    """Refuse a registry of a version that this code does not read.

    Parameters
    ----------
    facts : mapping
        What the repository tells about itself.
    place : str
        Which database.

    Raises
    ------
    SchemaVersionError
        If it is newer (or unknown), or older.
    """
    found = facts.get("schema_version", "none")
    if found == HEAD:
        return
    older = found in VERSIONS
    raise SchemaVersionError(
        f"{place} has schema version {found}; this version of stage reads {HEAD}",
        found=found,
        supported=HEAD,
        hint="Run 'stage repo upgrade' on it."
        if older
        else "Upgrade stage: the registry was made by a newer one.",
    )


@lru_cache(maxsize=8)
def _schema(document: str) -> Schema:
    parsed: Any = json.loads(document)
    return Schema(DimensionUniverse.from_document(parsed))


def schema_of(facts: Mapping[str, str], place: str) -> Schema:
    """Return the tables of the universe that a repository stores.

    Parameters
    ----------
    facts : mapping
        What the repository tells about itself.
    place : str
        Which database.

    Returns
    -------
    Schema
        The same object for equal universes, so that their groups are the same objects too.

    Raises
    ------
    IntegrityError
        If what is stored is no universe.
    """
    try:
        return _schema(facts["universe"])
    except (KeyError, ValueError, StageError) as exc:
        raise IntegrityError(
            f"{place}: the stored universe cannot be read: {exc}", code="damaged-universe"
        ) from exc
