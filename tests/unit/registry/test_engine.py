"""URLs, and what drivers say put into the project's errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from registry.errors import BusyError, IntegrityError, InternalError, StorageError, UsageError
from registry.sql.engine import connect, parse_url, redacted, sqlite_path
from registry.sql.failures import ConstraintViolation, translate


def test_a_url_with_credentials_is_shown_without_them() -> None:
    """Neither a refused URL nor a shown one has the password in it."""
    for url in ("mysql://ann:sesame@host/db", "nonsense//ann:sesame@host", "mysql://host/db?password=sesame"):
        with pytest.raises(UsageError) as caught:
            parse_url(url)
        assert "sesame" not in str(caught.value)
        assert "sesame" not in repr(caught.value.context)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:sesame@host:5433/db", "postgresql://ann@host:5433/db"),
        ("postgres://ann@host/db?schema=survey", "postgresql://ann@host/db?schema=survey"),
        ("postgresql+psycopg://host/db?sslmode=require", "postgresql://host/db"),
        ("postgresql:///db?host=/run/pg&password=sesame", "postgresql:///db?host=/run/pg"),
        ("postgresql://ann:a%40b@[::1]/db?options=-cx=sesame", "postgresql://ann@[::1]/db"),
    ],
)
def test_a_postgresql_url_is_shown_as_what_opens_it_again(url: str, shown: str) -> None:
    """Host, socket, database and schema stay; passwords and all other parameters do not."""
    assert shown == redacted(parse_url(url))
    assert shown == redacted(parse_url(shown))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "plain/path"])
def test_a_url_without_a_file_is_refused(url: str) -> None:
    """A registry is always a file."""
    with pytest.raises(UsageError):
        parse_url(url)


def test_paths_with_special_characters_are_opened(tmp_path: Path) -> None:
    """`?`, `#`, `%` and spaces in a path are part of it."""
    path = tmp_path / "a b?mode=ro#c%20d.sqlite3"
    url = parse_url(f"sqlite:///{path}")
    assert (str(path), path) == (redacted(url), sqlite_path(url))

    connect(url, writable=True, create=True).close()
    connect(url, writable=True).close()


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("SQLITE_BUSY", BusyError, "database-busy"),
        ("SQLITE_BUSY_SNAPSHOT", BusyError, "database-busy"),
        ("SQLITE_READONLY_ROLLBACK", BusyError, "hot-journal"),
        ("SQLITE_NOTADB", IntegrityError, "not-a-database"),
        ("SQLITE_CORRUPT_VTAB", IntegrityError, "damaged-database"),
        ("SQLITE_READONLY", StorageError, "read-only"),
        ("SQLITE_FULL", StorageError, "disk-full"),
        ("SQLITE_CANTOPEN", StorageError, "cannot-open"),
        ("SQLITE_IOERR_WRITE", StorageError, "io-error"),
        ("SQLITE_ERROR", InternalError, "bad-statement"),
    ],
)
def test_each_failure_of_the_driver_has_its_own_error(name: str, error: type[Exception], code: str) -> None:
    """What a caller would do next decides the class; the fact decides the code."""
    raised = sqlite3.OperationalError("words")
    raised.sqlite_errorname = name

    found = translate(raised, "/here/r.sqlite3")

    assert error is type(found)
    assert code == getattr(found, "code", None)
    assert "/here/r.sqlite3" in str(found)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("INSERT INTO b VALUES (1, 9)", "reference"),
        ("INSERT INTO a VALUES (1)", "unique"),
        ("INSERT INTO b VALUES (NULL, 1)", "null"),
        ("INSERT INTO c VALUES (0)", "check"),
    ],
)
def test_broken_constraints_are_told_apart(statement: str, kind: str) -> None:
    """The kinds of constraint come from the driver's codes, not from its words."""
    raw = sqlite3.connect(":memory:")
    raw.executescript(
        "PRAGMA foreign_keys = ON; CREATE TABLE a (x INTEGER UNIQUE); INSERT INTO a VALUES (1);"
        "CREATE TABLE b (y NOT NULL, x REFERENCES a (x)); CREATE TABLE c (z CHECK (z > 0));"
    )
    with pytest.raises(sqlite3.IntegrityError) as caught:
        raw.execute(statement)
    raw.close()

    found = translate(caught.value, "here")

    assert isinstance(found, ConstraintViolation)
    assert kind == found.kind
