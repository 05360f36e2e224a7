"""Every planted corruption is found under its own code, and nothing is found where nothing is wrong."""

from __future__ import annotations

import os
import random
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from registry.errors import NotFoundError
from registry.model.dataset_type import DatasetType
from sync.administration import prune
from sync.fsck.check import CheckOptions, check_repo
from sync.fsck.findings import Depth, FsckPlan
from sync.fsck.kinds import KINDS
from sync.fsck.plan import plan_fsck
from sync.fsck.repair import execute_repair, left_after
from sync.repo import Repo
from sync.repo_file import RepoFile
from tests.databases import Database
from tests.fsck_world import ON_POSTGRES, PLANTED, World, make_world

pytest.importorskip("lsst.sphgeom")
CLOSE_LOOK = ("artifact-checksum", "overlap-differs in part")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world in which nothing is wrong."""
    root = tmp_path_factory.mktemp("sound") / "repo"
    make_world(root)
    return root


@pytest.fixture
def world(sound: Path, tmp_path: Path) -> World:
    """A copy of it, to be made wrong."""
    shutil.copytree(sound, tmp_path / "repo")
    return World(tmp_path / "repo")


def checked(world: World, depth: Depth = "full", older_than_s: float = -1.0) -> FsckPlan:
    """Check it; whatever nobody names counts as left over, unless said otherwise."""
    return plan_fsck(str(world.root), partial(Repo.open, world.root), depth=depth, older_than_s=older_than_s)


def codes(plan: FsckPlan) -> set[str]:
    return {f.code for f in plan.findings}


@pytest.mark.parametrize("depth", ["fast", "default", "full"])
def test_nothing_is_found_where_nothing_is_wrong(world: World, depth: Depth) -> None:
    """A sound repository has no finding, however closely it is looked at; a full check reads every byte."""
    plan = checked(world, depth)

    assert () == plan.findings
    assert plan.checked["artifacts"] == plan.checked["files"] == 9
    assert plan.checked.get("bytes", 0) == (
        sum(p.stat().st_size for p in world.files) if depth == "full" else 0
    )


@pytest.fixture(scope="module", autouse=True)
def _another_repository(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One of the same universe, in the same process, with dataset types that the checked ones lack."""
    with Repo.create(tmp_path_factory.mktemp("another")) as repo, repo.registry.write() as tx:
        tx.register_dataset_type(DatasetType("sky", repo.registry.universe.group(("skymap",)), "Json"))


@pytest.mark.survives("damage", "repository")
@pytest.mark.parametrize("planted", PLANTED)
def test_each_corruption_is_found_under_its_own_code(world: World, planted: str) -> None:
    """Exactly the code of what was done is found, with what it is about, and the way on."""
    PLANTED[planted](world)
    plan = checked(world, "full" if planted in CLOSE_LOOK else "default")

    assert codes(plan) == {planted.partition(" ")[0]}
    assert all(f.items and f.what and f.where and f.hint for f in plan.findings)


def test_the_list_is_long_enough() -> None:
    """Far more than a dozen kinds are planted."""
    assert len({name.partition(" ")[0] for name in PLANTED}) >= 30
    assert {name.partition(" ")[0] for name in PLANTED} <= set(KINDS)


@pytest.mark.parametrize("planted", CLOSE_LOOK)
def test_what_needs_a_close_look_is_left_to_a_full_check(world: World, planted: str) -> None:
    """Bytes are read, and overlaps worked out anew, only where that was asked for."""
    PLANTED[planted](world)

    assert set() == codes(checked(world, "default"))
    assert {planted.partition(" ")[0]} == codes(checked(world, "full"))


@pytest.mark.parametrize("seed", range(3))
def test_several_corruptions_at_once_are_all_found(world: World, seed: int) -> None:
    """What is wrong in one place hides nothing that is wrong in another."""
    alone = {
        "repo-file-damaged",
        "schema-version",
        "universe-damaged",
        "database-damaged",
        "table-missing",
        "hot-journal",
    }
    apart = [
        "artifact-size", "orphan-file", "part-file", "artifact-without-dataset", "dataset-without-run",
        "record-parent-missing", "overlap-differs", "quantum-without-run", "provenance-without-quantum", "output-missing",
        "input-gone", "chain-cycle", "validity-overlaps", "table-extra", "ledger-run-missing", "path-escape",
    ]  # fmt: skip
    assert not alone & set(apart)
    chosen = random.Random(seed).sample(apart, 6)
    for name in chosen:
        PLANTED[name](world)

    # A dataset of no RUN is held by none either; what has no RUN is made by none.
    assert set(chosen) <= codes(checked(world, "default")) <= {*chosen, "dataset-without-tag"}


@pytest.mark.survives("damage", "repository on a server")
@pytest.mark.parametrize("planted", ON_POSTGRES)
@pytest.mark.service
def test_a_server_is_checked_alike(
    postgres_world: tuple[Path, str, Database], tmp_path: Path, planted: str
) -> None:
    """The same questions find the same in PostgreSQL, which refuses none of what was planted; and that it says so much less
    of its pages is a note.
    """
    root, template, database = postgres_world
    shutil.copytree(root, tmp_path / "repo")
    RepoFile(database.copy(template), "data").save(str(tmp_path / "repo"))
    world, note = World(tmp_path / "repo"), {"pages-unchecked"}
    assert note == codes(checked(world))
    PLANTED[planted](world)

    found = checked(world)
    assert {planted.partition(" ")[0], *note} == codes(found), found.findings
    if planted == "overlap-differs":
        with Repo.open(world.root, writable=True) as repo:
            execute_repair(checked(world), repo)
        assert note == codes(checked(world))


@pytest.fixture(scope="module")
def postgres_world(tmp_path_factory: pytest.TempPathFactory, postgres_server: str) -> object:
    """The world in a database of its own, of which copies are made."""
    folder = tmp_path_factory.mktemp("server")
    database = Database("postgres", folder, postgres_server)
    template = database.copy(postgres_server)
    make_world(folder / "repo", template)
    yield folder / "repo", template, database
    database.drop()


def test_a_repair_removes_what_is_left_over_and_notes_overlaps_anew(world: World) -> None:
    """What loses nothing is done, and said; a second check finds nothing."""
    for name in ("orphan-file", "part-file", "overlap-differs", "overlap-differs in part"):
        PLANTED[name](world)
    before = {p: p.read_bytes() for p in world.files if "calexp_of_nobody" not in p.name and p.name[0] != "."}
    plan = checked(world)
    with Repo.open(world.root, writable=True) as repo:
        done = execute_repair(plan, repo)

    assert {"orphan-file", "part-file", "overlap-differs"} == {d.code for d in done}
    assert () == left_after(plan, done).findings == checked(world).findings
    assert before == {p: p.read_bytes() for p in world.files}


def test_a_reader_leaves_the_journal_of_a_killed_writer_alone_and_a_repair_heals_it(world: World) -> None:
    """A check says so, changes no byte, and calls nothing else sound; a repair takes the change back and checks the rest."""
    PLANTED["orphan-file"](world)
    PLANTED["hot-journal"](world)
    before = {p.name: p.read_bytes() for p in world.root.glob("registry*")}
    assert {"registry.sqlite3", "registry.sqlite3-journal"} == set(before)
    (found,) = checked(world).findings

    assert ("hot-journal", "error") == (found.code, found.severity)
    assert before == {p.name: p.read_bytes() for p in world.root.glob("registry*")}
    options = CheckOptions(repair=True, older_than_s=-1)
    report = check_repo("it", lambda writable: Repo.open(world.root, writable=writable), options)
    assert (True, ["hot-journal", "orphan-file"]) == (report.is_sound, [r.code for r in report.repaired])
    assert not (world.root / "registry.sqlite3-journal").exists()
    assert () == checked(world).findings


def test_a_repair_leaves_alone_what_it_cannot_make_good(world: World) -> None:
    """Missing and damaged files, and rows that contradict each other, stay as they are, and stay found."""
    for name in ("artifact-missing", "chain-cycle", "validity-overlaps"):
        PLANTED[name](world)
    plan = checked(world)
    with Repo.open(world.root, writable=True) as repo:
        assert () == execute_repair(plan, repo)

    assert plan == left_after(plan, ()) == checked(world)


def test_a_file_is_given_up_only_by_name(world: World) -> None:
    """Its artifact record goes, the dataset stays, and the journal keeps what was recorded; others stay found."""
    gone, kept = world.files[0], world.files[-1]
    gone.unlink()
    kept.unlink()
    plan = checked(world)
    name = str(gone.relative_to(world.root / "data"))
    with Repo.open(world.root, writable=True) as repo:
        with pytest.raises(NotFoundError, match="u/9/none"):
            execute_repair(plan, repo, lost=[name, "u/9/none"])
        assert plan == checked(world)
        (done,) = execute_repair(plan, repo, lost=[name])
        with repo.registry.read() as snapshot:
            (noted,) = snapshot.table("journal", item=b"lost").rows(("operation", "payload"))
            assert snapshot.existing_ids([noted[0]]) == {noted[0]}

    assert ("artifact-missing", [name]) == (done.code, list(done.items))
    assert name in noted[1]
    (left,) = checked(world).findings
    assert (str(kept.relative_to(world.root / "data")),) == left.items
    assert (left,) == left_after(plan, [done]).findings


def test_a_file_whose_record_was_lost_is_never_removed(world: World) -> None:
    """Its dataset is on record, and nobody has noted that the file should go: a repair cannot know, and leaves it."""
    PLANTED["artifact-unrecorded"](world)
    PLANTED["orphan-file"](world)
    plan = checked(world)
    (uri,) = next(f for f in plan.findings if f.code == "artifact-unrecorded").items
    with Repo.open(world.root, writable=True) as repo:
        execute_repair(plan, repo)

    assert (world.root / "data" / uri).is_file()
    assert {"artifact-unrecorded"} == codes(checked(world))


@pytest.mark.parametrize("is_broken_off", [False, True])
def test_what_was_unstored_on_purpose_is_no_finding(
    world: World, monkeypatch: pytest.MonkeyPatch, is_broken_off: bool
) -> None:
    """Its datasets stay without files; of a removal that was killed before those, a repair does the rest."""
    child = os.fork()
    if child == 0:
        try:
            if is_broken_off:
                monkeypatch.setattr(prune, "remove_files", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            with Repo.open(world.root, writable=True) as repo:
                plan = prune.plan_prune(repo, ["u/1"], mode="unstore")
                prune.execute_prune(plan, repo, even_held=True)
        finally:
            os._exit(0)
    assert (signal.SIGKILL if is_broken_off else 0) == os.WTERMSIG(os.waitpid(child, 0)[1])
    found = checked(world)
    assert ({"orphan-file"} if is_broken_off else set()) == codes(found)
    with Repo.open(world.root, writable=True) as repo:
        execute_repair(found, repo)
        with repo.registry.read() as snapshot:
            assert 0 == snapshot.table("journal").n_rows

    assert set() == codes(checked(world))
    assert not [p for p in world.files if "u/1" in str(p)]


def test_the_file_of_a_dataset_that_was_given_up_is_left_over(world: World) -> None:
    """One that was damaged is still there: what was noted of it says that nobody misses its record."""
    path = world.files[-1]
    path.write_bytes(b"short")
    with Repo.open(world.root, writable=True) as repo:
        execute_repair(checked(world), repo, lost=[str(path.relative_to(world.root / "data"))])

    assert {"orphan-file"} == codes(checked(world))


def test_a_file_that_was_put_in_place_and_named_meanwhile_is_not_removed(world: World) -> None:
    """What is to be removed is held against the rows once more."""
    PLANTED["orphan-file"](world)
    plan = checked(world)
    (uri,) = next(f for f in plan.findings if f.code == "orphan-file").items
    world.sql(f"UPDATE artifact SET uri = '{uri}' WHERE uri LIKE 'u/2/%'")
    with Repo.open(world.root, writable=True) as repo:
        execute_repair(plan, repo)

    assert (world.root / "data" / uri).is_file()


def test_young_files_are_of_somebody_who_is_at_work(world: World) -> None:
    """A push puts files in place before the rows that name them: they are counted and left alone."""
    (world.root / "data" / "u" / "1" / "new.bin").write_bytes(b"just now")
    plan = checked(world, older_than_s=3600)

    assert ((), 1) == (plan.findings, plan.n_young)


def test_nothing_there_is_an_error_and_no_finding(tmp_path: Path) -> None:
    """A check of nothing does not say that all is well."""
    with pytest.raises(NotFoundError):
        plan_fsck(str(tmp_path), partial(Repo.open, tmp_path))


def test_a_directory_is_listed_once_and_no_file_is_asked_for_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Presence and size of inside files come from the listing."""
    asked: list[str] = []
    monkeypatch.setattr("sync.fsck.artifacts._size_now", asked.append)
    checked(world, "fast")

    assert [] == asked


def test_files_of_a_store_elsewhere_are_listed_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where many are in one directory a listing tells of all; one that lacks, or is of another size, is found."""
    from sync.filesystem.files import write_bytes
    from sync.fsck import artifacts

    store = f"memory://fsck-{os.getpid()}/in"
    rows = [(f"{store}/{i}.bin", f"{store}/{i}.bin", 3, "") for i in range(12)]
    for i in range(11):
        write_bytes(f"{store}/{i}.bin", b"abc" if i else b"other")
    asked: list[str] = []
    monkeypatch.setattr("sync.fsck.artifacts._size_now", asked.append)
    found, there = artifacts.check_presence(rows, artifacts.Listing(str(world.root)))

    assert [rows[11][0]] == asked
    assert {"outside-missing", "outside-size"} == {f.code for f in found}
    assert rows[1:11] == there


@pytest.mark.survives("kills", "fsck --repair")
@pytest.mark.parametrize(
    "point", ["overlaps-rebuilt", "artifacts-given-up", "journal-cleared", "orphans-removed"]
)
def test_a_repair_that_is_killed_is_done_by_the_next(world: World, point: str) -> None:
    """At no point between its steps is anything half done: the same command goes on."""
    for name in ("orphan-file", "part-file", "overlap-differs", "artifact-missing"):
        PLANTED[name](world)
    plan = checked(world)
    gone = next(f for f in plan.findings if f.code == "artifact-missing").items
    child = os.fork()
    if child == 0:
        with Repo.open(world.root, writable=True) as repo:
            execute_repair(
                plan, repo, lost=gone, at=lambda name: name == point and os.kill(os.getpid(), signal.SIGKILL)
            )
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert signal.SIGKILL == os.WTERMSIG(status)

    between = checked(world)
    assert codes(between) <= codes(plan)
    left = [i for f in between.findings if f.code == "artifact-missing" for i in f.items]
    with Repo.open(world.root, writable=True) as repo:
        execute_repair(between, repo, lost=left)
    assert set() == codes(checked(world))
