"""Pages that a disk has changed under a PostgreSQL server are found, and the table or index is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tiny_campaign import call

from registry.errors import StorageError
from registry.registry import Registry
from sync.fsck.database import finding_of
from sync.fsck.findings import Depth, FsckPlan
from sync.fsck.plan import plan_fsck
from sync.repo import Repo
from sync.repo_file import RepoFile
from tests.damaged_server import (
    OwnServer,
    debian_server,
    embedded_server,
    line_pointers,
    lost_row,
    tuple_header,
)
from tests.fsck_world import make_world

pytest.importorskip("lsst.sphgeom")
pytest.importorskip("psycopg", reason="PostgreSQL: the package psycopg is not installed")
pytestmark = pytest.mark.service
DEPTHS: tuple[Depth, ...] = ("fast", "default", "full")


class Place:
    """A repository on a server, of whose database there are copies to be made wrong."""

    def __init__(self, server: OwnServer, root: Path) -> None:
        self.server, self.root = server, root
        server.ask(server.url, "CREATE DATABASE sound")
        self.template = server.url.replace("/postgres?", "/sound?")
        make_world(root, self.template)
        # A value too long for its row is kept apart, in pages of its own.
        text = "SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i"
        server.ask(self.template, f"UPDATE quantum SET message = ({text})")

    def copy(self) -> str:
        """Return the URL of a copy, which the repository is from now on."""
        return self.use(self.server.copy(self.template))

    def use(self, url: str) -> str:
        """Let the repository's database be at a URL."""
        RepoFile(url, "data").save(str(self.root))
        return url


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A repository on a server that can check its pages."""
    with debian_server() as server:
        place = Place(server, tmp_path_factory.mktemp("debian") / "repo")
        server.ask(place.template, "CREATE EXTENSION amcheck")
        yield place


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A repository on a server that has a checksum for each page, and cannot do more."""
    with embedded_server() as server:
        yield Place(server, tmp_path_factory.mktemp("embedded") / "repo")


def checked(place: Place, depth: Depth = "default") -> FsckPlan:
    return plan_fsck("it", partial(Repo.open, place.root), depth=depth, older_than_s=-1.0)


def found(plan: FsckPlan, *codes: str) -> dict[str, tuple[str, ...]]:
    """Return what was found where, of some kinds."""
    return {f.where: tuple(f.items) for f in plan.findings if f.code in codes}


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_sound_server_that_can_check_its_pages_has_no_finding(debian: Place, depth: Depth) -> None:
    """Not even a note, however closely it looks."""
    debian.copy()

    assert () == checked(debian, depth).findings


@pytest.mark.survives("damage", "pages of a server")
@pytest.mark.parametrize("planted", [tuple_header, line_pointers])
def test_a_damaged_page_of_a_table_is_found_by_the_server_itself(
    debian: Place, planted: Callable[[bytearray], None]
) -> None:
    """The table is named, with page and row; nobody asks for its rows, which could end the server."""
    url = debian.copy()
    debian.server.overwrite(url, "dataset", planted)
    for depth in DEPTHS:
        plan = checked(debian, depth)
        lines = found(plan, "table-damaged")["table dataset"]

        assert lines
        assert all(line.startswith("page 0, row ") for line in lines)
        assert {"table-damaged"} <= {f.code for f in plan.findings if f.severity == "error"}
        assert all(f.what and f.hint and f.items for f in plan.findings)


@pytest.mark.survives("damage", "pages of a server")
def test_a_damaged_page_of_an_index_is_found_by_the_server_itself(debian: Place) -> None:
    """The index is named, with what makes it anew; that alone mends it."""
    url = debian.copy()
    debian.server.overwrite(url, "artifact_pkey", line_pointers, page=1)
    for depth in DEPTHS:
        plan = checked(debian, depth)
        damaged = found(plan, "index-damaged", "table-damaged")

        assert ["index artifact_pkey of artifact"] == list(damaged)
        (hint,) = {f.hint for f in plan.findings if f.code == "index-damaged"}
        assert "REINDEX INDEX CONCURRENTLY NAME" in hint
    debian.server.ask(url, "REINDEX INDEX CONCURRENTLY artifact_pkey")
    assert () == checked(debian, "full").findings


@pytest.mark.survives("damage", "pages of a server")
def test_long_values_are_checked_with_their_table(debian: Place) -> None:
    """Pages that hold them are the server's own, and are told as their table's; a fast look misses a part that is gone."""
    url = debian.copy()
    ((toast,),) = debian.server.ask(
        url, "SELECT reltoastrelid::regclass::text FROM pg_class WHERE relname = 'quantum'"
    )
    debian.server.overwrite(url, str(toast), lost_row)
    assert {} == found(checked(debian, "fast"), "table-damaged", "index-damaged")
    assert "table quantum" in found(checked(debian), "table-damaged")

    debian.server.overwrite(url, str(toast), line_pointers)
    assert f"table quantum, its long values in {toast}" in found(checked(debian, "fast"), "table-damaged")


@pytest.mark.survives("damage", "pages of a server")
def test_an_index_that_lacks_a_row_is_found_unless_the_check_is_fast(debian: Place) -> None:
    """Its pages are sound: only holding it against its table tells."""
    url = debian.copy()
    lost = "UPDATE pg_index SET indisready = {} WHERE indexrelid = 'push_ledger_pkey'::regclass"
    row = "INSERT INTO push_ledger SELECT gen_random_uuid(), campaign_id, campaign, who, host, 2, runs, summary FROM push_ledger"
    debian.server.ask(url, lost.format("false"), row, lost.format("true"))

    assert {} == found(checked(debian, "fast"), "index-damaged", "table-damaged")
    (where,) = found(checked(debian), "index-damaged", "table-damaged")
    assert "index push_ledger_pkey of push_ledger" == where


def test_a_table_whose_file_is_gone_is_named(debian: Place) -> None:
    """The server finds that too, where it is asked: nothing is an internal error."""
    url = debian.copy()
    ((path,),) = debian.server.ask(url, "SELECT pg_relation_filepath('collection_chain')")
    debian.server.stop()
    (debian.server.data / str(path)).unlink()
    debian.server.start()
    plan = checked(debian)

    assert "table collection_chain" in found(plan, "table-damaged")
    assert "check-unfinished" in {f.code for f in plan.findings}


def test_no_writer_waits_for_a_check(debian: Place) -> None:
    """While one is in the middle of a change the closest look ends, which takes no lock that would keep the next one out."""
    url = debian.copy()
    with Registry.open(url, writable=True) as registry, registry.write() as change:
        change.register_run("u/new")
        registry._database.run("LOCK TABLE dataset, artifact, collection IN ROW EXCLUSIVE MODE")
        registry._database.run("SET LOCAL idle_in_transaction_session_timeout = 0")

        assert () == checked(debian, "full").findings


def test_who_may_not_call_the_check_is_told_what_an_administrator_runs(debian: Place) -> None:
    """A role that only reads: a note with the statements; once they were run as they stand there is none."""
    url = debian.copy()
    reader = debian.use(url.replace("//postgres@", "//looker@"))
    debian.server.ask(
        url,
        "CREATE ROLE looker LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker",
        "CREATE SCHEMA extensions",
        "ALTER EXTENSION amcheck SET SCHEMA extensions",
    )
    try:
        (note,) = checked(debian).findings
        assert ("pages-unchecked", "note") == (note.code, note.severity)
        assert "may not call" in note.detail
        assert "indexes are not looked at" in note.detail
        assert "without data checksums" in note.detail
        assert ["GRANT USAGE", "GRANT EXECUTE"] == [" ".join(text.split()[:2]) for text in note.items]
        debian.server.ask(url, *note.items)
        assert () == checked(debian).findings
        debian.server.overwrite(url, "artifact_pkey", line_pointers, page=1)
        assert ["index artifact_pkey of artifact"] == list(found(checked(debian), "index-damaged"))
        assert reader.startswith("postgresql://looker@")
    finally:
        debian.server.ask(url, "DROP OWNED BY looker", "DROP ROLE looker")


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_server_that_cannot_check_its_pages_is_read(embedded: Place, depth: Depth) -> None:
    """Of a sound one that is a note, with what was not looked at and how that is changed; nothing is wrong."""
    embedded.copy()
    (note,) = checked(embedded, depth).findings

    assert ("pages-unchecked", "note") == (note.code, note.severity)
    assert "amcheck is not installed: rows are read" in note.detail
    assert "indexes are not looked at" in note.detail
    assert "data checksums" not in note.detail
    assert "CREATE EXTENSION amcheck SCHEMA public" == note.items[-1]
    assert "postgresql-contrib" in note.items[0]


@pytest.mark.survives("damage", "pages of a server")
@pytest.mark.parametrize("table", ["dataset", "collection", "dim_visit", "push_ledger"])
def test_a_page_with_a_wrong_checksum_is_found_by_reading(embedded: Place, table: str) -> None:
    """The table is named, nobody asks for its rows, and the server has noticed it too."""
    url = embedded.copy()
    embedded.server.overwrite(url, table, tuple_header)
    for depth in DEPTHS:
        plan = checked(embedded, depth)

        assert [f"table {table}"] == list(found(plan, "table-damaged"))
        assert {f.code for f in plan.findings} <= {
            "table-damaged", "check-unfinished", "pages-unchecked", "checksum-failures"
        }  # fmt: skip
        assert ["check-unfinished"] == [f.code for f in plan.findings if f.severity == "warning"]


def test_long_values_are_read_unless_the_check_is_fast(embedded: Place) -> None:
    """They lie in pages of their own, which a fast look leaves out."""
    url = embedded.copy()
    ((toast,),) = embedded.server.ask(
        url, "SELECT reltoastrelid::regclass::text FROM pg_class WHERE relname = 'quantum'"
    )
    embedded.server.overwrite(url, str(toast), tuple_header)

    assert {} == found(checked(embedded, "fast"), "table-damaged")
    assert ["table quantum"] == list(found(checked(embedded), "table-damaged"))


def test_what_the_server_noticed_by_itself_is_a_note(embedded: Place) -> None:
    """It counts pages with a wrong checksum that anybody has met in the database."""
    url = embedded.copy()
    embedded.server.overwrite(url, "dim_visit", tuple_header)
    first = checked(embedded)
    assert {} == found(first, "checksum-failures")

    (count,) = found(checked(embedded), "checksum-failures").values()
    assert ", the last 2" in count[0]


def test_a_damaged_table_of_facts_is_told_even_if_nothing_can_be_opened(embedded: Place) -> None:
    """The registry says there what it is: the check ends with a finding."""
    url = embedded.copy()
    embedded.server.overwrite(url, "repository", tuple_header)
    (finding,) = checked(embedded).findings

    assert "database-damaged" == finding.code
    assert "invalid page" in finding.detail


def test_the_command_names_the_table_and_ends_with_13(embedded: Place) -> None:
    """What the keeper of a repository sees."""
    url = embedded.copy()
    embedded.server.overwrite(url, "artifact", line_pointers)
    shown = call("repo", "fsck", embedded.root, cwd=embedded.root, code=13)

    assert "table-damaged" in shown.stdout
    assert "in table artifact (1 item)" in shown.stdout
    assert "check-unfinished" in shown.stdout
    assert "Traceback" not in shown.stderr + shown.stdout


def test_a_connection_that_breaks_on_damaged_pages_is_told_beside_them() -> None:
    """A server may end over what it reads there; without such damage nothing is said to be wrong."""
    error = StorageError("the connection was lost", code="connection-lost", transient=True)

    assert "check-unfinished" == finding_of(error, "it", ["table-damaged"]).code
    with pytest.raises(StorageError, match="was lost"):
        finding_of(error, "it", ["chain-cycle"])
