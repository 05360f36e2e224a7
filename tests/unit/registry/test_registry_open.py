"""Making and opening registries: what is kept, what is refused, what is left untouched."""

from __future__ import annotations

import hashlib
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from registry.errors import (
    AlreadyExistsError,
    BusyError,
    IntegrityError,
    NotFoundError,
    SchemaVersionError,
    StageError,
    StorageError,
    UsageError,
)
from registry.model.columns import Columns
from registry.model.dimensions import DimensionUniverse
from registry.registry import Registry
from registry.sql import connect_sqlite
from registry.sql.version import HEAD
from tests.registry_builders import UNIVERSE, add_camera, new_registry

ROOT = Path(__file__).resolve().parents[3]
WEATHER = """
name: weather
version: 3
elements:
  station: {key: {name: name, type: string}, metadata: {height: {type: float, unit: m}}}
  month: {key: {name: id, type: int}, timespan: true}
"""


def state(directory: Path) -> dict[str, tuple[str, int]]:
    """Digest and time of every file of a directory."""
    return {
        p.name: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns)
        for p in sorted(directory.iterdir())
    }


def test_what_was_given_at_creation_is_read_back(tmp_path: Path) -> None:
    """Universe, identity and attributes survive closing and opening."""
    universe = DimensionUniverse.from_yaml(WEATHER)
    with new_registry(tmp_path / "r.sqlite3", universe, attributes={"name": "air"}) as made:
        repo_id = made.repo_id
    with Registry.open(f"sqlite:///{tmp_path}/r.sqlite3") as opened:
        assert universe == opened.universe
        assert opened.universe.dimension_names == ("station", "month")
        assert repo_id == opened.repo_id
        assert opened.attribute("name") == "air"
        assert opened.attribute("schema_version") == HEAD
        assert opened.attribute("nothing") is None
        assert (opened.writable, opened.dialect) == (False, "sqlite")


def test_equal_universes_are_one_object(tmp_path: Path) -> None:
    """Two registries of one universe share it, so that their dimension groups are the same objects."""
    a, b = new_registry(tmp_path / "a.sqlite3"), new_registry(tmp_path / "b.sqlite3")

    assert a.universe is b.universe
    a.close()
    b.close()


def test_creation_leaves_nothing_but_the_file(tmp_path: Path) -> None:
    """The file appears whole, under its name, with nothing beside it."""
    new_registry(tmp_path / "r.sqlite3").close()

    assert [p.name for p in tmp_path.iterdir()] == ["r.sqlite3"]


def test_creation_refuses_a_file_that_is_there(tmp_path: Path) -> None:
    """An existing file, even one that is no registry, is left as it is."""
    (tmp_path / "r.sqlite3").write_text("mine")

    with pytest.raises(AlreadyExistsError, match="already"):
        new_registry(tmp_path / "r.sqlite3")
    assert (tmp_path / "r.sqlite3").read_text() == "mine"


def test_creation_in_a_missing_directory_is_a_storage_error(tmp_path: Path) -> None:
    """A directory that is not there is named, and not made."""
    with pytest.raises(StorageError, match="nowhere"):
        new_registry(tmp_path / "nowhere" / "r.sqlite3")
    assert not (tmp_path / "nowhere").exists()


LIMITED = """
import resource, signal, sys
from registry.errors import StorageError
from registry.registry import Registry
from tests.registry_builders import UNIVERSE

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    Registry.create(sys.argv[1], UNIVERSE, wal=sys.argv[3] == "wal").close()
except StorageError:
    sys.exit(3)
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_without_room_nothing_is_made(tmp_path: Path, mode: str) -> None:
    """However much room there is: a whole registry in one file, or an error and no file at all."""
    codes = []
    for kilobytes in (1, 60, 200, 4000):
        words = [
            sys.executable,
            "-c",
            LIMITED,
            f"sqlite:///{tmp_path}/r.sqlite3",
            str(kilobytes * 1000),
            mode,
        ]
        codes.append(subprocess.run(words, cwd=ROOT, check=False).returncode)

        assert [p.name for p in tmp_path.iterdir()] == (["r.sqlite3"] if codes[-1] == 0 else [])
        if codes[-1] == 0:
            Registry.open(f"sqlite:///{tmp_path}/r.sqlite3").close()
            for path in tmp_path.iterdir():
                path.unlink()

    assert codes[0] == 3
    assert codes[-1] == 0


def test_the_journal_mode_is_chosen_at_creation(tmp_path: Path) -> None:
    """A staging registry has a write-ahead log, an upstream one a rollback journal."""
    for wal, mode in ((True, "wal"), (False, "delete")):
        with new_registry(tmp_path / f"{mode}.sqlite3", wal=wal):
            pass
        with Registry.open(f"sqlite:///{tmp_path}/{mode}.sqlite3", writable=True) as registry:
            driver = registry._database.driver

            assert mode == driver.execute("PRAGMA journal_mode").fetchone()[0]
            assert (1 if wal else 2) == driver.execute("PRAGMA synchronous").fetchone()[0]
            assert driver.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_read_only_registry_on_a_read_only_directory_is_untouched(tmp_path: Path) -> None:
    """Reading, with temporary tables too, changes no byte, no time and leaves no file."""
    home = tmp_path / "upstream"
    home.mkdir()
    with new_registry(home / "r.sqlite3") as registry, registry.write() as tx:
        add_camera(tx)
    (home / "r.sqlite3").chmod(0o444)
    home.chmod(0o555)
    before = state(home)
    try:
        with Registry.open(f"sqlite:///{home}/r.sqlite3") as registry, registry.read() as snap:
            keys = Columns({"instrument": ["Cam"], "detector": [2]})
            assert snap.records("detector", keys=keys).n_rows == 1
            assert set() == snap.existing_ids([b"0" * 16])
            assert before == state(home)
    finally:
        home.chmod(0o755)

    assert before == state(home)


def test_a_registry_opened_for_reading_refuses_changes(tmp_path: Path) -> None:
    """Neither `write` nor the driver underneath changes anything."""
    new_registry(tmp_path / "r.sqlite3").close()
    with Registry.open(f"sqlite:///{tmp_path}/r.sqlite3") as registry:
        with pytest.raises(UsageError, match="for reading only"), registry.write():
            pass
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            registry._database.driver.execute("DELETE FROM repository")


@pytest.mark.parametrize(
    ("content", "error", "code"),
    [
        (None, NotFoundError, "no-such-registry"),
        (b"", IntegrityError, "not-a-registry"),
        (b"this is not a database, whatever its name says" * 40, IntegrityError, "not-a-database"),
        ("foreign", IntegrityError, "not-a-registry"),
        ("truncated", IntegrityError, "damaged-database"),
        ("overwritten", IntegrityError, "damaged-database"),
        ("directory", NotFoundError, "no-such-registry"),
    ],
)
@pytest.mark.parametrize("writable", [False, True])
def test_what_is_no_registry_is_refused_by_name(
    tmp_path: Path, content: object, error: type[StageError], code: str, writable: bool
) -> None:
    """Missing, foreign and damaged files give one error of ours that names the file."""
    path = tmp_path / "r.sqlite3"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "foreign":
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE repository (key, value)")
        other.close()
    elif content == "directory":
        path.mkdir()
    elif content is not None:
        new_registry(path).close()
        data = path.read_bytes()
        half = len(data) // 2
        path.write_bytes(data[:half] if content == "truncated" else data[:100] + b"\xff" * (len(data) - 100))

    with pytest.raises(error) as caught:
        Registry.open(f"sqlite:///{path}", writable=writable)
    assert code == caught.value.code
    assert str(path) in str(caught.value)


def test_a_damaged_universe_is_an_integrity_error(tmp_path: Path) -> None:
    """A stored universe that cannot be read is named as such."""
    new_registry(tmp_path / "r.sqlite3").close()
    with sqlite3.connect(tmp_path / "r.sqlite3") as raw:
        raw.execute("UPDATE repository SET value = '{\"name\": 1}' WHERE key = 'universe'")
    raw.close()

    with pytest.raises(IntegrityError, match="universe"):
        Registry.open(f"sqlite:///{tmp_path}/r.sqlite3")


def test_a_newer_schema_version_is_refused_naming_both(tmp_path: Path) -> None:
    """A registry of a later version says which it has and which this code reads."""
    new_registry(tmp_path / "r.sqlite3").close()
    with sqlite3.connect(tmp_path / "r.sqlite3") as raw:
        raw.execute("UPDATE repository SET value = '9999' WHERE key = 'schema_version'")
    raw.close()

    with pytest.raises(SchemaVersionError, match=f"9999.*{HEAD}") as caught:
        Registry.open(f"sqlite:///{tmp_path}/r.sqlite3")
    assert (caught.value.found, caught.value.supported) == ("9999", HEAD)


KILLED = """
import os, signal, sys
from registry.model.columns import Columns
from registry.registry import Registry

registry = Registry.open(sys.argv[1], writable=True)
with registry.write() as tx:
    tx._session.database.driver.execute("PRAGMA cache_size = 1")
    n = 3000
    rows = {"kind": ["k"] * n, "key": [b"%d" % i for i in range(n)], "digest": [b"d" * 16] * n}
    tx.insert_rows("baseline", Columns(rows))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_reader_names_the_journal_of_a_killed_writer_and_a_writer_repairs_it(tmp_path: Path) -> None:
    """Reading refuses, with no byte changed; opening for writing undoes the unfinished change."""
    url = f"sqlite:///{tmp_path}/r.sqlite3"
    new_registry(tmp_path / "r.sqlite3").close()
    with Registry.open(url) as reader:
        done = subprocess.run([sys.executable, "-c", KILLED, url], check=False)
        assert done.returncode == -signal.SIGKILL
        before = state(tmp_path)
        assert list(before) == ["r.sqlite3", "r.sqlite3-journal"]

        with pytest.raises(BusyError, match=r"r\.sqlite3-journal") as caught, reader.read():
            pass
        assert caught.value.code == "hot-journal"
        assert "push" in caught.value.hint
        with pytest.raises(BusyError, match=r"r\.sqlite3-journal"):
            Registry.open(url)
        assert before == state(tmp_path)

        Registry.open(url, writable=True).close()
        with reader.read() as snap:
            assert snap.table("baseline").n_rows == 0


def test_another_thread_is_told_to_open_its_own(tmp_path: Path) -> None:
    """Use from a second thread is an error of ours, not of the driver."""
    caught: list[Exception] = []
    with new_registry(tmp_path / "r.sqlite3") as registry:

        def use() -> None:
            try:
                with registry.read():
                    pass
            except UsageError as exc:
                caught.append(exc)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()

    assert [getattr(e, "code", None) for e in caught] == ["wrong-thread"]


def test_closing_twice_is_allowed(tmp_path: Path) -> None:
    """`close` may be called again."""
    registry = new_registry(tmp_path / "r.sqlite3")
    registry.close()
    registry.close()


def test_opening_imports_neither_alembic_nor_the_query_language(tmp_path: Path) -> None:
    """Commands that only look something up start without them."""
    new_registry(tmp_path / "r.sqlite3", UNIVERSE).close()
    program = (
        "import sys; from registry.registry import Registry\n"
        f"with Registry.open('sqlite:///{tmp_path}/r.sqlite3') as r, r.read() as snap: snap.collections()\n"
        "print([m for m in ('alembic', 'lark', 'yaml_not') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


def test_a_copy_is_of_one_state_or_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a registry in WAL mode is read from a copy, and its owner writes meanwhile, it is copied once more; in the end refused."""
    path = tmp_path / "r.sqlite3"
    new_registry(path, wal=True).close()
    copied: list[str] = []

    def copy(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes())
        copied.append(Path(source).name)
        if len(copied) <= n_changes:
            Path(source).write_bytes(Path(source).read_bytes() + b"\0")

    monkeypatch.setattr("registry.sql.connect_sqlite.shutil.copyfile", copy)
    n_changes = 2
    connect_sqlite._copy_unchanged(path, tmp_path / "copy")
    assert 3 == len(copied)
    n_changes = 1000
    with pytest.raises(BusyError, match="changes all the time"):
        connect_sqlite._copy_unchanged(path, tmp_path / "copy")
