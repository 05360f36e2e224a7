"""Migrations: what they make is what `create` makes, from nothing and from every stored sample, on each database."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa

from registry.errors import IntegrityError, NotFoundError, SchemaVersionError, StorageError
from registry.migrations import backup, run
from registry.model.dimensions import DimensionUniverse, default_universe
from registry.registry import Registry
from registry.sql.engine import connect, parse_url
from registry.sql.version import HEAD, VERSIONS
from tests.databases import Database
from tests.registry_builders import new_registry

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
DIALECTS = {"sqlite": "sqlite", "postgres": "postgresql"}
ON_DEMAND = ("dim_", "overlap_", "ix_overlap_", "tags_", "ix_tags_", "calibs_", "ix_calibs_")


def load_sample(database: Database, version: str) -> str:
    """Make a registry as a version of this software left it, from its dump."""
    url = database.url(f"sample_{version}")
    text = (SAMPLES / f"{version}.{DIALECTS[database.name]}.sql").read_text(encoding="utf-8")
    if database.name == "sqlite":
        with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
            raw.executescript(text)
        raw.close()
        return url
    opened = connect(parse_url(url), writable=True)
    opened.begin_write(1.0)
    opened.make_room()
    opened.run(text)
    opened.commit(1.0)
    opened.close()
    return url


def columns_of(database: Database, url: str) -> dict[str, Any]:
    """What tables and indexes there are, as far as the database can tell."""
    if database.name == "sqlite":
        with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
            rows = raw.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
        raw.close()
        return {name: re.sub(r"\s+", "", sql) for name, sql in rows}
    opened = connect(parse_url(url), writable=False)
    columns = opened.query(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, l.collname::text "
        "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_collation l ON l.oid = a.attcollation "
        "WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 ORDER BY 1, 2",
        [],
    )
    keys = opened.query(
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = current_schema()::regnamespace AND contype <> 'n' ORDER BY 1, 2", [],
    )  # fmt: skip
    indexes = opened.query(
        "SELECT tablename::text, indexname::text FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1, 2", [],
    )  # fmt: skip
    opened.close()
    out: dict[str, Any] = {}
    for table, *rest in (*columns, *keys, *indexes):
        out.setdefault(table, []).append(rest)
    return out


def migrated(database: Database, to: str = HEAD) -> str:
    """Make a database by migrations alone."""
    url = database.url("migrated")
    if database.name == "sqlite":
        Path(url.removeprefix("sqlite:///")).touch()
    opened = connect(parse_url(url), writable=True)
    opened.begin_write(1.0)
    opened.make_room()
    run.migrate(opened.connection, to)
    assert opened.in_transaction
    opened.commit(1.0)
    opened.close()
    return url


@pytest.fixture(params=[v for v in VERSIONS if v != HEAD])
def version(request: pytest.FixtureRequest) -> str:
    """Every version there has been, but this one."""
    return str(request.param)


def test_every_version_has_a_sample() -> None:
    """A version that has been superseded has left a registry, for each kind of database."""
    wanted = {f"{v}.{d}.sql" for v in VERSIONS[:-1] for d in DIALECTS.values()}

    assert wanted <= {p.name for p in SAMPLES.iterdir()}


def test_migrations_make_what_create_makes(database: Database) -> None:
    """The fixed tables, their indexes and the stamp do not depend on the way they were made."""
    url = database.url("created")
    Registry.create(url, default_universe()).close()
    by_migrations = migrated(database)
    created, made = columns_of(database, url), columns_of(database, by_migrations)

    assert made == {n: s for n, s in created.items() if not n.startswith(ON_DEMAND)}
    opened = connect(parse_url(by_migrations), writable=False)
    assert opened.query("SELECT version_num FROM alembic_version", []) == [(HEAD,)]
    opened.close()


def test_samples_are_upgraded_to_what_is_made_new(database: Database, version: str) -> None:
    """A registry of any older version ends with the tables of one that was made today."""
    url, new = load_sample(database, version), database.url("new")
    found = run.upgrade(url)
    with Registry.open(url) as upgraded:
        Registry.create(new, upgraded.universe).close()
    after, fresh = columns_of(database, url), columns_of(database, new)

    assert (found.found, found.to, found.versions) == (version, HEAD, VERSIONS[VERSIONS.index(version) + 1 :])
    assert fresh == {n: s for n, s in after.items() if n in fresh}
    assert all(
        n.startswith(("tags_", "ix_tags_", "calibs_", "ix_calibs_")) for n in after.keys() - fresh.keys()
    )


def test_an_upgraded_sample_can_be_asked_and_written(database: Database, version: str) -> None:
    """Records, regions, spans, tags, calibrations, provenance and ledger are there, and more can be added."""
    url = load_sample(database, version)
    run.upgrade(url)
    with Registry.open(url, writable=True) as registry, registry.write() as tx:
        assert tx.records("visit", where="instrument = 'CAM' AND visit.exposure_time > 20").n_rows == 2
        group = registry.universe.group(["visit", "tract"])
        assert tx.data_ids(group, where="instrument = 'CAM' AND skymap = 'rings' AND tract = 1").n_rows == 2
        assert tx.datasets("calexp", ["u/me"], artifacts=True).n_rows == 4
        assert tx.datasets("calexp", ["CAM/best"]).rows(("visit", "detector")) == [(1, 0)]
        assert tx.datasets("bias", ["CAM/certified"], find_first=False).n_rows == 2
        assert len(tx.quanta(["u/me/1"]).rows()) == 4
        assert tx.table("push_ledger")["campaign"].tolist() == ["trial"]
        assert tx.register_run("u/me/2")
        assert not tx.register_run("u/me/1")
        tx.remove_collection("u/me/2")


def test_older_registries_are_refused_with_the_way_on(database: Database, version: str) -> None:
    """Until it is upgraded nothing else opens a registry of an older version."""
    url = load_sample(database, version)
    with pytest.raises(SchemaVersionError, match=f"{version}.*{HEAD}") as caught:
        Registry.open(url)

    assert "stage repo upgrade" in caught.value.hint


def test_a_plan_says_from_where_to_where(database: Database, version: str) -> None:
    """Asking what an upgrade would do changes nothing."""
    url = load_sample(database, version)
    before = columns_of(database, url)
    plan = run.plan_upgrade(url)

    assert (plan.found, plan.to, plan.is_needed, plan.backup) == (version, HEAD, True, None)
    assert before == columns_of(database, url)


def test_two_upgrades_at_once_are_one(database: Database, version: str) -> None:
    """Who comes second waits, reads the version again under the lock, and finds it done."""
    url = load_sample(database, version)
    words = [sys.executable, "-c", "import sys; from registry.migrations.run import upgrade; print(upgrade(sys.argv[1]).is_needed)", url]  # fmt: skip
    both = [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = sorted(process.communicate(timeout=60)[0].strip() for process in both)

    assert [process.returncode for process in both] == [0, 0]
    assert answers == ["False", "True"]
    with Registry.open(url) as registry:
        assert registry.attribute("schema_version") == HEAD


KILLED = """
import os, signal, sys
from registry.migrations import run
apply = run._apply
run._apply = lambda *args: (apply(*args), os.kill(os.getpid(), signal.SIGKILL))
run.upgrade(sys.argv[1], backup=True)
"""


def test_a_killed_upgrade_is_begun_again(database: Database, version: str) -> None:
    """Killed when all is written and nothing is kept: the registry is as it was, and the same call finishes."""
    url = load_sample(database, version)
    before = columns_of(database, url)
    done = subprocess.run([sys.executable, "-c", KILLED, url], cwd=ROOT, check=False, timeout=60)

    assert done.returncode == -signal.SIGKILL
    if database.name == "sqlite":
        assert len(list(database.folder.glob("*.backup"))) == 1
    assert run.upgrade(url, backup=True).is_needed
    assert before != columns_of(database, url)
    assert not run.plan_upgrade(url).is_needed


def test_a_migration_is_undone_with_its_transaction(tmp_path: Path) -> None:
    """Half a migration cannot exist: rolling back leaves an empty database."""
    path = tmp_path / "r.sqlite3"
    path.touch()
    database = connect(parse_url(f"sqlite:///{path}"), writable=True)
    database.begin_write(1.0)
    run.migrate(database.connection)
    database.rollback()
    database.close()
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    raw.close()


def test_a_failed_upgrade_leaves_the_registry_and_its_copy(
    database: Database, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What breaks in the middle changes nothing; the copy made before is named."""

    def fail(connection: sa.Connection, to: str) -> None:
        connection.execute(sa.text("CREATE TABLE half (a INTEGER)"))
        raise StorageError("the disk is full")

    url = load_sample(database, version)
    before = columns_of(database, url)
    monkeypatch.setattr(run, "migrate", fail)
    with pytest.raises(StorageError, match="full") as caught:
        run.upgrade(url, backup=True)

    assert before == columns_of(database, url)
    assert (".backup" in caught.value.hint) == (database.name == "sqlite")


def test_the_copy_goes_or_stays(tmp_path: Path) -> None:
    """It is made beside the registry, is a whole registry, and is removed when all went well unless it is to stay."""
    database = Database("sqlite", tmp_path)
    url = load_sample(database, VERSIONS[0])
    path = Path(url.removeprefix("sqlite:///"))
    shutil.copy(path, tmp_path / "again.sqlite3")
    done = run.upgrade(url, backup=True)
    kept = run.upgrade(f"sqlite:///{tmp_path}/again.sqlite3", keep_backup=True)

    assert done.backup is None
    assert kept.backup == f"{tmp_path}/again.sqlite3.{VERSIONS[0]}.backup"
    assert run.plan_upgrade(f"sqlite:///{kept.backup}").found == VERSIONS[0]
    assert [p.name for p in tmp_path.iterdir() if "backup" in p.name] == [Path(kept.backup).name]


def test_a_copy_never_replaces_another(tmp_path: Path) -> None:
    """One that an earlier upgrade left stays as it is."""
    url = load_sample(Database("sqlite", tmp_path), VERSIONS[0])
    path = url.removeprefix("sqlite:///")
    first, second = backup.make_backup(path, "0001"), backup.make_backup(path, "0001")

    assert (first.name + "-2", True) == (second.name, first.exists())


def test_without_room_for_the_copy_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is too small is told before the registry is touched."""
    url = load_sample(Database("sqlite", tmp_path), VERSIONS[0])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_copy", full)
    with pytest.raises(StorageError, match="No space left"):
        run.upgrade(url, backup=True)
    assert run.plan_upgrade(url).is_needed


def test_rows_that_refer_to_nothing_are_not_taken_along(tmp_path: Path) -> None:
    """A damaged registry is told, not made new with its damage."""
    url = load_sample(Database("sqlite", tmp_path), VERSIONS[0])
    with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
        raw.execute("DELETE FROM collection WHERE name = 'CAM/best'")
    raw.close()
    with pytest.raises(IntegrityError, match="refers to a row of 'collection'"):
        run.upgrade(url)
    assert run.plan_upgrade(url).is_needed


def test_downgrade_of_the_first_version_empties_the_database(tmp_path: Path) -> None:
    """Each downgrade works, or says that it cannot: the first one drops its tables."""
    path = tmp_path / "r%20.sqlite3"
    path.touch()
    database = connect(parse_url(f"sqlite:///{path}"), writable=True)
    database.begin_write(1.0)
    run.migrate(database.connection)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(run.__file__).parent))
    config.attributes["connection"] = database.connection
    alembic.command.downgrade(config, "base")
    database.commit(1.0)
    found = database.query("SELECT name FROM sqlite_schema WHERE type = 'table'", [])
    database.close()

    assert found == [("alembic_version",)]


def test_upgrade_of_a_current_registry_does_nothing(tmp_path: Path) -> None:
    """It tells the version and leaves every byte."""
    path = tmp_path / "r.sqlite3"
    new_registry(path).close()
    before = path.read_bytes()

    assert VERSIONS[-1] == Registry.upgrade(f"sqlite:///{path}")
    assert before == path.read_bytes()


def test_upgrade_refuses_a_newer_or_missing_registry(database: Database) -> None:
    """What this code does not know is left as it is, and called by its name."""
    url = database.url("newer")
    with pytest.raises(NotFoundError):
        Registry.upgrade(url)
    universe = DimensionUniverse.from_yaml("{name: n, version: 1, elements: {a: {key: {type: int}}}}")
    Registry.create(url, universe).close()
    opened = connect(parse_url(url), writable=True)
    opened.begin_write(1.0)
    opened.run("UPDATE repository SET value = '9999' WHERE key = 'schema_version'")
    opened.commit(1.0)
    opened.close()
    for act in (Registry.upgrade, run.plan_upgrade, Registry.open):
        with pytest.raises(SchemaVersionError, match="9999") as caught:
            act(url)
        assert "newer" in caught.value.hint
