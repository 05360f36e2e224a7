"""Roles of PostgreSQL, tried with real connections: a reader that reads, a pusher that adds under its prefix and no more."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from registry.errors import ConflictError, StageError, StorageError, UsageError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_id, new_ids
from registry.registry import Registry
from registry.roles import Roles, make_roles
from sync.faults import At
from sync.push import execute_push, plan_push
from sync.pushing.abort import AbortPlan, execute_abort, plan_abort
from sync.repo import Repo
from sync.unpush import execute_unpush, plan_unpush
from tests.databases import Database
from tests.processes_killed import killed_at
from tests.sync_builders import (
    CAMPAIGN,
    UNIVERSE,
    dataset_type,
    make_run,
    make_staging,
    open_staging,
    put_datasets,
    survey_records,
)

pytestmark = pytest.mark.service
psycopg = pytest.importorskip("psycopg")


@dataclass
class World:
    """An upstream in PostgreSQL with a reader and a pusher, and how to connect as each."""

    url: str
    roles: Roles
    root: Path

    def as_user(self, name: str) -> str:
        """URL for a user."""
        return re.sub(r"//[^/]*@", f"//{name}@", self.url, count=1)

    @property
    def pusher(self) -> str:
        """Its name."""
        return str(self.roles.pusher)

    @property
    def prefix(self) -> str:
        """Where it may push."""
        return str(self.roles.prefix)

    def connect(self, name: str) -> Any:
        """Connect without this software."""
        url, _, schema = self.as_user(name).rpartition("schema=")
        connection = psycopg.connect(url.rstrip("?&"), autocommit=True)
        connection.execute(f'SET search_path TO "{schema}"')
        return connection

    def upstream(self, name: str) -> Repo:
        """Open it as a user."""
        return Repo.attach(self.as_user(name), self.root / "data", writable=True)


@pytest.fixture
def world(postgres: Database, tmp_path: Path) -> Iterator[World]:
    """A small survey, one run of the keeper's, and two roles that are dropped in the end."""
    url, mark = postgres.url("upstream"), uuid.uuid4().hex[:8]
    reader, pusher = f"reader_{mark}", f"Pusher-{mark}"
    Registry.create(url, UNIVERSE, attributes={"datastore": str(tmp_path / "data")}).close()
    with Repo.attach(url, tmp_path / "data", writable=True) as repo:
        with repo.registry.write() as tx:
            for element, rows in survey_records(2, 2).items():
                tx.insert_records(element, rows)
        put_datasets(repo, "raw", "CAM/raw/all", [("CAM", 1, 0), ("CAM", 1, 1)])
        with repo.registry.write() as tx:
            for name in ("calexp", "calexp_log"):
                tx.register_dataset_type(dataset_type(name))
            tx.set_chain("CAM/defaults", ["CAM/raw/all"])
    made = World(url, make_roles(url, reader=reader, pusher=pusher, prefix=f"u/{mark}"), tmp_path)
    yield made
    with psycopg.connect(url.rpartition("schema=")[0].rstrip("?&"), autocommit=True) as connection:
        for name in (reader, pusher):
            connection.execute(f'DROP OWNED BY "{name}"')
            connection.execute(f'DROP ROLE "{name}"')


def push(world: World, staging: Repo, run: str, **options: Any) -> Any:
    with world.upstream(world.pusher) as upstream:
        plan = plan_push(staging, upstream, [run], campaign=CAMPAIGN, **options)
        return execute_push(plan, staging, upstream)


@pytest.fixture
def staging(world: World, tmp_path: Path) -> Iterator[Repo]:
    """A campaign's registry that knows the survey."""
    with make_staging(tmp_path / "campaign") as made:
        with made.registry.write() as tx:
            for element, rows in survey_records(2, 2).items():
                tx.insert_records(element, rows)
        yield made


def test_a_push_works_as_pusher(world: World, staging: Repo) -> None:
    """Runs, datasets, files' records, provenance, ledger and a chain arrive, by rights to add alone; twice."""
    first, second = f"{world.prefix}1", f"{world.prefix}2"
    make_run(staging, first)
    made = push(world, staging, first, chain=f"{world.prefix}all")
    make_run(staging, second)
    push(world, staging, second, chain=f"{world.prefix}all")
    again = push(world, staging, second, chain=f"{world.prefix}all")

    assert made.push_id is not None
    assert again.push_id is None
    with Registry.open(world.as_user(str(world.roles.reader))) as registry, registry.read() as snap:
        assert snap.datasets("calexp", [f"{world.prefix}all"], artifacts=True).n_rows == 4
        assert snap.collection(f"{world.prefix}all").children == (second, first)
        assert snap.quanta([first, second]).n_rows == 8
        assert {*snap.table("push_ledger")["who"].tolist()} == {world.pusher}
        assert snap.table("campaign").n_rows == 1


def test_a_pusher_gives_up_its_own_push_and_takes_none_back(world: World, staging: Repo) -> None:
    """What it was killed in the middle of it can abort, by rights to add alone; taking back a push is for the keeper."""
    run = f"{world.prefix}1"
    make_run(staging, run)

    def life(at: At) -> None:
        with world.upstream(world.pusher) as upstream, open_staging(world.root / "campaign") as own:
            execute_push(plan_push(own, upstream, [run], campaign=CAMPAIGN), own, upstream, at=at)

    assert killed_at("journal-moved", life)
    with world.upstream(world.pusher) as upstream:
        for _ in range(2):  # as if the first had been killed before staging forgot
            plan = plan_abort(staging, upstream, campaign=CAMPAIGN)
            assert killed_at("files-removed", partial(_abort, world, plan))
        assert len(execute_abort(plan, staging, upstream).aborted) == 1
    assert push(world, staging, run).moved == 8
    with world.upstream(world.pusher) as upstream, pytest.raises(UsageError, match="may only add") as caught:
        plan_unpush(upstream, run)
    assert caught.value.code == "not-the-keeper"
    with Repo.attach(world.url, world.root / "data", writable=True) as upstream:
        going = plan_unpush(upstream, run)
        with world.upstream(world.pusher) as theirs, pytest.raises(StorageError):
            execute_unpush(going, theirs)
        assert execute_unpush(going, upstream).datasets == 8
    assert push(world, staging, run).moved == 8


def _abort(world: World, plan: AbortPlan, at: At) -> None:
    with world.upstream(world.pusher) as upstream, open_staging(world.root / "campaign") as own:
        execute_abort(plan, own, upstream, at=at)


def test_many_rows_are_pushed_too(world: World, staging: Repo) -> None:
    """Beyond the rows that travel with a statement a temporary table carries them, which a pusher may make."""
    with staging.registry.write() as tx:
        more = Columns.from_rows(
            ("instrument", "detector", "full_name"), [("CAM", 10 + d, f"T{d}") for d in range(1500)]
        )
        tx.insert_records("detector", more)
    with staging.registry.write() as tx:
        tx.register_dataset_type(dataset_type("calexp"))
        tx.register_run(f"{world.prefix}many")
        rows = {
            "instrument": ["CAM"] * 1500, "visit": [1] * 1500, "detector": [10 + d for d in range(1500)],
            "id": new_ids(1500),
        }  # fmt: skip
        tx.insert_datasets("calexp", f"{world.prefix}many", Columns(rows))
    push(world, staging, f"{world.prefix}many")

    with Registry.open(world.url) as registry, registry.read() as snap:
        assert snap.datasets("calexp", [f"{world.prefix}many"]).n_rows == 1500


def test_a_plan_tells_names_outside_the_prefix(world: World, staging: Repo) -> None:
    """A dry run says that the run and the chain may not be written, before a byte moves."""
    make_run(staging, "u/somebody/1")
    with world.upstream(world.pusher) as upstream:
        plan = plan_push(staging, upstream, ["u/somebody/1"], campaign=CAMPAIGN, chain="CAM/defaults")

    assert [(c.code, c.kind) for c in plan.conflicts] == [
        ("name-not-allowed", "run"),
        ("name-not-allowed", "chain"),
    ]
    with world.upstream(world.pusher) as upstream, pytest.raises(ConflictError, match="begin with"):
        execute_push(plan, staging, upstream)


def insert(table: str, columns: str, values: str) -> str:
    return f"INSERT INTO {table} ({columns}) VALUES ({values})"


RUN_OUTSIDE = "(SELECT id FROM collection WHERE name = 'CAM/raw/all')"
OWN_RUN = "(SELECT id FROM collection WHERE name = 'PREFIX/own')"
RAW = "(SELECT min(id::text)::uuid FROM dataset)"
ID = "'01900000-0000-7000-8000-0000000000ff'"
LEDGER = "id, campaign_id, campaign, who, host, at_ns, runs, summary"
FORBIDDEN = {
    "change a dataset": f"UPDATE dataset SET run_id = {OWN_RUN}",
    "delete a dataset": "DELETE FROM dataset",
    "empty a table": "TRUNCATE dataset CASCADE",
    "change a record": "UPDATE dim_detector SET full_name = 'x'",
    "delete a record": "DELETE FROM dim_visit",
    "change a collection": "UPDATE collection SET name = 'PREFIX/stolen' WHERE name = 'CAM/raw/all'",
    "delete a collection": "DELETE FROM collection",
    "make a run outside": insert("collection", "name, type", "'CAM/raw/mine', 1"),
    "make a run beside": insert("collection", "name, type", "'PREFIXx/1', 1"),
    "make a tagged collection": insert("collection", "name, type", "'PREFIX/tagged', 2"),
    "make a calibration collection": insert("collection", "name, type", "'PREFIX/calib', 4"),
    "put a dataset into a run outside": insert("dataset", "id, dataset_type_id, run_id", f"{ID}, 1, {RUN_OUTSIDE}"),
    "hold a dataset in a run outside": insert(
        "tags_instrument_detector_exposure", "collection_id, dataset_type_id, instrument, detector, exposure, dataset_id",
        f"{RUN_OUTSIDE}, 1, 'CAM', 0, 2, {RAW}",
    ),
    "hold somebody's dataset in an own run": insert(
        "tags_instrument_detector_exposure", "collection_id, dataset_type_id, instrument, detector, exposure, dataset_id",
        f"{OWN_RUN}, 1, 'CAM', 0, 2, {RAW}",
    ),
    "say where somebody's file is": insert("artifact", "id, uri, size, checksum, formatter", f"{RAW}, 'x', 1, '', 'json'"),
    "change where files are": "UPDATE artifact SET uri = 'elsewhere'",
    "certify a calibration": "INSERT INTO calibs_instrument_detector SELECT * FROM calibs_instrument_detector",
    "define a dataset type": insert("dataset_type", "name, dimensions, storage_class, is_calibration", "'x', '', 'Json', false"),
    "run a quantum outside": insert("quantum", "id, attempt, run_id, task, data_id, status", f"{ID}, 0, {RUN_OUTSIDE}, 't', '{{}}', 's'"),
    "say what another's quantum read": insert("quantum_input", "quantum_id, dataset_id, connection, was_read", f"{ID}, {RAW}, 'c', true"),
    "add to a chain outside": insert("collection_chain", "parent_id, position, child_id",
        f"(SELECT id FROM collection WHERE name = 'CAM/defaults'), 9, {OWN_RUN}"),
    "write the ledger for another": insert("push_ledger", LEDGER, f"{ID}, {ID}, 'c', 'keeper', 'h', 0, '[]', '{{}}'"),
    "write the ledger about runs outside": insert(
        "push_ledger", LEDGER, f"{ID}, {ID}, 'c', current_user, 'h', 0, '[\"CAM/raw/all\"]', '{{}}'"),
    "change the ledger": "UPDATE push_ledger SET who = 'nobody'",
    "delete from the ledger": "DELETE FROM push_ledger",
    "tell what somebody's campaign is": insert("campaign", "id, name, doc, document, at_ns", f"{ID}, 'c', '', '{{}}', 0"),
    "change the facts": "UPDATE repository SET value = '9999'",
    "widen its own limits": "INSERT INTO repository VALUES ('roles', '{}') ON CONFLICT (key) DO UPDATE SET value = '{}'",
    "drop a policy": 'DROP POLICY stage_read ON dataset',
    "switch the policies off": "ALTER TABLE dataset DISABLE ROW LEVEL SECURITY",
    "make a table": "CREATE TABLE mine (a INTEGER)",
    "make a function": "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "change a table": "ALTER TABLE dataset ADD COLUMN a INTEGER",
    "drop a table": "DROP TABLE history",
    "make a role": "CREATE ROLE intruder SUPERUSER",
    "become the keeper": "SET ROLE postgres",
    "copy into a table": "COPY dataset FROM STDIN",
}  # fmt: skip


def filled(world: World, text: str) -> str:
    return text.replace("PREFIX", world.prefix.rstrip("/"))


def tried(world: World, name: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    connection = world.connect(name)
    try:
        for what, text in FORBIDDEN.items():
            statement = filled(world, text)
            yield what, lambda statement=statement: connection.execute(statement)
    finally:
        connection.close()


def test_what_a_pusher_may_not_do(world: World, staging: Repo) -> None:
    """Nothing that is there can be changed or removed, and nothing be added outside the prefix or in another's name."""
    with Registry.open(world.url, writable=True) as registry, registry.write() as tx:
        tx.register_run(f"{world.prefix}own")
        bias = DatasetType("bias", UNIVERSE.group(["instrument", "detector"]), "Json", is_calibration=True)
        tx.register_dataset_type(bias)
    with world.connect("postgres") as keeper:
        keeper.execute(
            insert(
                "quantum",
                "id, attempt, run_id, task, data_id, status",
                f"{ID}, 0, {RUN_OUTSIDE}, 't', '{{}}', 's'",
            )
        )
        keeper.execute(insert("push_ledger", LEDGER, f"{ID}, {ID}, 'c', 'keeper', 'h', 0, '[]', '{{}}'"))
    before = contents(world)
    refused = {}
    for what, act in tried(world, world.pusher):
        try:
            act()
        except psycopg.errors.InsufficientPrivilege as exc:
            refused[what] = str(exc)
        except psycopg.errors.FeatureNotSupported as exc:  # COPY under row-level security
            refused[what] = str(exc)

    assert sorted(refused) == sorted(FORBIDDEN)
    assert before == contents(world)


def test_a_chain_outside_cannot_be_emptied(world: World) -> None:
    """The right to take rows from chains ends at the prefix: a statement about all of them finds only those."""
    with world.connect(world.pusher) as connection:
        assert connection.execute("DELETE FROM collection_chain").rowcount == 0
    with Registry.open(world.url) as registry, registry.read() as snap:
        assert snap.collection("CAM/defaults").children == ("CAM/raw/all",)


def test_what_a_reader_may_not_do(world: World) -> None:
    """A reader writes nothing at all, not even under a prefix."""
    more = {
        "make a run": insert("collection", "name, type", "'PREFIX/1', 1"),
        "add a record": insert("dim_instrument", "instrument", "'X'"),
    }
    name = str(world.roles.reader)
    before = contents(world)
    with world.connect(name) as connection:
        for text in [*FORBIDDEN.values(), *more.values()]:
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)):
                connection.execute(filled(world, text))
    with Registry.open(world.as_user(name)) as registry, registry.read() as snap:
        assert snap.datasets("raw", ["CAM/raw/all"]).n_rows == 2

    assert before == contents(world)


def contents(world: World) -> dict[str, list[Any]]:
    with world.connect("postgres") as keeper:
        names = keeper.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
        ).fetchall()
        return {name: keeper.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for (name,) in names}


def test_refusals_are_errors_of_ours(world: World) -> None:
    """What the server refuses says so in our words."""
    with (
        Registry.open(world.as_user(world.pusher), writable=True) as registry,
        pytest.raises(StorageError, match="does not allow") as caught,
        registry.write() as tx,
    ):
        tx.register_run("CAM/raw/mine")
    assert caught.value.code == "not-allowed"


def test_tables_made_later_are_open_to_the_roles(world: World, staging: Repo) -> None:
    """A dataset type with new dimensions needs a new table; a pusher adds to it, a reader reads it, others stay out."""
    with Registry.open(world.url, writable=True) as registry, registry.write() as tx:
        tx.register_dataset_type(
            DatasetType("flat", UNIVERSE.group(["instrument", "detector", "band"]), "Json")
        )
    with Registry.open(world.as_user(world.pusher), writable=True) as registry, registry.write() as tx:
        tx.register_run(f"{world.prefix}flats")
        rows = {"instrument": ["CAM"], "detector": [0], "band": ["r"], "id": [new_id()]}
        tx.insert_datasets("flat", f"{world.prefix}flats", Columns(rows))
    with Registry.open(world.as_user(str(world.roles.reader))) as registry, registry.read() as snap:
        assert snap.datasets("flat", [f"{world.prefix}flats"]).n_rows == 1
    with world.connect(world.pusher) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM tags_instrument_band_detector")


def test_giving_rights_again_changes_nothing(world: World, staging: Repo) -> None:
    """The same call a second time finds the roles; a further pusher leaves the first one's rights as they are."""
    roles = world.roles
    again = make_roles(world.url, reader=roles.reader, pusher=roles.pusher, prefix=roles.prefix)
    make_run(staging, f"{world.prefix}1")

    assert (again.made, again.prefix) == ((), roles.prefix)
    assert push(world, staging, f"{world.prefix}1").push_id is not None


def test_passwords_are_kept_encrypted_and_shown_nowhere(world: World) -> None:
    """The server holds a digest; neither the result nor an error has the password."""
    name, secret = f"secret_{uuid.uuid4().hex[:8]}", "hunter2'\\; DROP"
    made = make_roles(world.url, reader=name, reader_password=secret)
    with world.connect("postgres") as keeper:
        stored = keeper.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [name]).fetchone()
    with pytest.raises(UsageError, match="keeps its password") as caught:
        make_roles(world.url, reader=name, reader_password=secret)
    with world.connect("postgres") as keeper:
        keeper.execute(f"DROP OWNED BY {name}")
        keeper.execute(f"DROP ROLE {name}")

    assert stored is not None
    assert stored[0].startswith("SCRAM-SHA-256$")
    assert secret not in f"{made} {caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"reader": "a;b"}, "no usable name"),
        ({"pusher": "pg_evil"}, "no usable name"),
        ({}, "name a reader"),
        ({"reader": "same", "pusher": "same"}, "different"),
        ({"pusher": "p", "prefix": "//"}, "collection"),
        ({"pusher": "postgres"}, "superuser"),
    ],
)
def test_roles_that_cannot_be(world: World, options: dict[str, str], match: str) -> None:
    """Names that are none, and users to which limits mean nothing, are refused, and nothing is left of them."""
    with pytest.raises(StageError, match=match):
        make_roles(world.url, **options)
    with world.connect("postgres") as keeper:
        assert keeper.execute("SELECT 1 FROM pg_roles WHERE rolname IN ('a;b', 'same', 'p')").fetchall() == []


def test_sqlite_has_no_roles(tmp_path: Path) -> None:
    """There the rights on the file are what counts."""
    with pytest.raises(UsageError, match="only PostgreSQL"):
        make_roles(f"sqlite:///{tmp_path}/r.sqlite3", reader="x")
