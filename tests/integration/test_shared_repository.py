"""A repository that a group shares: two users, each with a umask that gives nothing away, and a third who is not in it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream

from registry.errors import StageError, StorageError
from registry.model.columns import Columns
from registry.sql.owners import group_text, owner_text
from sync.filesystem.sharing import make_folders
from sync.pushing.sources import check_sources
from sync.repo import Repo
from tests.fsck_world import die_in_the_middle
from tests.other_users import as_user, needs_root

pytestmark = needs_root
ANNA, BORIS, CARLA = 50_001, 50_002, 50_003
GROUP = 50_100


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where everybody may look, with a shared repository, and a home for each."""
    made = Path(tempfile.mkdtemp(prefix="stage-shared-"))
    made.chmod(0o755)
    before = os.umask(0o022)
    # All that the others will need is imported by this.
    (made / "mine").mkdir()
    make_upstream(made / "mine")
    (made / "mine").chmod(0o755)
    call("clone", made / "mine/upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=made / "mine")
    call("run", "-j0", "-q", cwd=made / "mine/camp")
    call("push", "--register-dataset-types", cwd=made / "mine/camp")
    call("status", cwd=made / "mine/camp")
    call("repo", "fsck", made / "mine/upstream", "--full", cwd=made)
    call("repo", "prune", made / "mine/upstream", "*", "--purge", "--yes", "-t", "total", cwd=made)
    assert (owner_text(GROUP), group_text(GROUP)) == (f"user {GROUP}", str(GROUP))
    call("push", made / "none", cwd=made / "mine/camp", code=10)
    (made / "ours").mkdir()
    (made / "ours").chmod(0o755)
    make_upstream(made / "ours", f"--shared={GROUP}")
    os.umask(before)
    for name in ("pipeline.yaml", "weather_tasks.py"):
        (made / "ours" / name).chmod(0o644)
    for uid in (ANNA, BORIS, CARLA):
        (made / str(uid)).mkdir()
        os.chown(made / str(uid), uid, uid)
    yield made
    shutil.rmtree(made)


def push_as(folder: Path, uid: int, groups: list[int], code: int = 0) -> str:
    """Clone, run and push as a user; return what the push says when it is refused."""
    home = folder / str(uid)

    def act() -> str:
        name = f"c{uid}"
        call(
            "clone",
            folder / "ours/upstream",
            name,
            "-p",
            folder / "ours/pipeline.yaml",
            "-i",
            "net/raw",
            cwd=home,
        )
        call("run", "-j0", "-q", cwd=home / name)
        return call("push", "--register-dataset-types", cwd=home / name, code=code).stderr

    return str(as_user(uid, groups, act))


def not_shared(root: Path) -> list[str]:
    """Whatever in a repository the group does not own, or may not write."""
    out = []
    for path in [root, *root.rglob("*")]:
        told = path.stat()
        wanted = 0o2070 if path.is_dir() else 0o060
        if told.st_gid != GROUP or stat.S_IMODE(told.st_mode) & wanted != wanted:
            out.append(f"{path.relative_to(root)} {stat.filemode(told.st_mode)} {told.st_gid}")
    return out


def test_what_two_users_push_belongs_to_both(folder: Path) -> None:
    """Database, artifacts and directories are the group's, whoever made them; each may push, prune and check."""
    upstream = folder / "ours/upstream"
    assert [] == not_shared(upstream)
    push_as(folder, ANNA, [GROUP])
    push_as(folder, BORIS, [GROUP])

    assert [] == not_shared(upstream)
    assert {0, ANNA, BORIS} == {p.stat().st_uid for p in upstream.rglob("*")}

    def tidy() -> str:
        call("repo", "prune", upstream, f"c{ANNA}/*", "--purge", "--yes", cwd=folder)
        return call("repo", "fsck", upstream, "--full", cwd=folder).stdout

    assert "nothing is wrong" in as_user(BORIS, [GROUP], tidy)
    assert [] == not_shared(upstream)
    assert ANNA not in {p.stat().st_uid for p in (upstream / "data").rglob("*") if p.is_file()}


def test_files_are_linked_and_given_to_the_group(folder: Path) -> None:
    """A push by their owner copies no bytes: staging's name and upstream's are of one file, which the group may write."""
    if not (folder / str(BORIS) / f"c{BORIS}").exists():
        push_as(folder, BORIS, [GROUP])
    here = [p for p in (folder / str(BORIS) / f"c{BORIS}/data").rglob("*") if p.is_file()]
    there = {p.stat().st_ino for p in (folder / "ours/upstream/data").rglob("*") if p.is_file()}

    assert here
    assert {p.stat().st_ino for p in here} <= there
    assert {GROUP} == {p.stat().st_gid for p in here}


def test_who_is_not_in_the_group_is_told_so(folder: Path) -> None:
    """Nothing is moved upstream: the error names the user, the group, and whom to ask."""
    before = sorted((folder / "ours/upstream").rglob("*"))
    refused = push_as(folder, CARLA, [], code=1)

    assert f"user {CARLA}" in refused
    assert f"group {GROUP}" in refused
    assert "Ask its keeper" in refused
    assert before == sorted((folder / "ours/upstream").rglob("*"))


def test_the_journal_of_a_writer_is_the_groups_too(folder: Path) -> None:
    """If its writer dies, the next one, another user, can take the change back."""
    upstream = folder / "ours/upstream"

    def write() -> tuple[int, int]:
        with Repo.open(upstream, writable=True) as repo, repo.registry.write() as tx:
            tx.register_run("u/journal")
            told = (upstream / "registry.sqlite3-journal").stat()
            return stat.S_IMODE(told.st_mode), told.st_gid

    assert (0o664, GROUP) == as_user(ANNA, [GROUP], write)


def test_another_ones_file_is_copied(folder: Path, tmp_path: Path) -> None:
    """What is not the pusher's own cannot be given to the group: its bytes are copied, and it stays as it is."""
    from registry.model.columns import Columns
    from registry.model.digest import digest_bytes
    from sync.transfer import transfer

    source, target = folder / "mixed", folder / "ours/upstream/data"
    source.mkdir()
    source.chmod(0o755)
    (source / "theirs.bin").write_bytes(b"theirs")
    (source / "theirs.bin").chmod(0o644)
    row = ("theirs.bin", 6, digest_bytes(b"theirs"))
    rows = Columns.from_rows(("uri", "size", "checksum"), [row])
    result = as_user(ANNA, [GROUP], transfer, rows, str(source), str(target))

    assert ("theirs.bin",) == result.moved
    assert (0, 0) == ((source / "theirs.bin").stat().st_uid, (source / "theirs.bin").stat().st_gid)
    assert (ANNA, GROUP) == ((target / "theirs.bin").stat().st_uid, (target / "theirs.bin").stat().st_gid)
    (target / "theirs.bin").unlink()


def test_a_directory_made_by_hand_is_honoured_and_others_are_left_alone(folder: Path) -> None:
    """Set-group-ID and group-write say that it is shared; without them a umask counts as everywhere."""
    for mode, wanted in ((0o2770, 0o2770), (0o2755, 0o2700), (0o775, 0o700)):
        place = folder / f"by-hand-{mode:o}"
        place.mkdir()
        os.chown(place, ANNA, GROUP)
        place.chmod(mode)
        as_user(ANNA, [GROUP], make_folders, str(place / "a/b"))

        assert {wanted} == {stat.S_IMODE((place / name).stat().st_mode) for name in ("a", "a/b")}


def test_a_hot_journal_is_told_by_who_may_not_heal_it_and_healed_by_who_may(folder: Path) -> None:
    """A reader outside the group changes no byte; a member's next write takes the unfinished change back."""
    upstream = folder / "ours/upstream"
    database, journal = upstream / "registry.sqlite3", upstream / "registry.sqlite3-journal"
    as_user(ANNA, [GROUP], die_in_the_middle, upstream)
    assert journal.exists()
    before = database.read_bytes(), journal.read_bytes()

    def look() -> str:
        return call("repo", "query", upstream, "collections", cwd=folder, code=11).stderr

    told = as_user(CARLA, [], look)
    assert "registry.sqlite3-journal" in told
    assert "stage repo fsck" in told
    found = as_user(CARLA, [], lambda: call("repo", "fsck", upstream, cwd=folder, code=13).stdout)
    assert "hot-journal" in found
    assert before == (database.read_bytes(), journal.read_bytes())
    with pytest.raises(StorageError, match="cannot be written"):
        raise as_user(CARLA, [], _error_of, upstream)
    assert before == (database.read_bytes(), journal.read_bytes())

    healed = as_user(BORIS, [GROUP], lambda: call("repo", "fsck", upstream, "--repair", cwd=folder).stdout)
    assert "took back a change" in healed
    assert not journal.exists()
    assert [] == not_shared(upstream)


def test_a_campaign_in_wal_mode_is_read_where_nothing_can_be_written_beside_it(folder: Path) -> None:
    """Another user's staging is read from a copy of one state: nothing appears beside it, nothing of it is taken to never change."""
    camp = folder / "mine/camp"
    for path in (camp, *camp.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert (camp / "staging.sqlite3").read_bytes()[18:20] == b"\2\2"
    before = sorted(p.name for p in camp.iterdir())
    told = as_user(CARLA, [], lambda: call("status", cwd=camp).stdout)

    assert "succeeded" in told
    assert before == sorted(p.name for p in camp.iterdir())


def _error_of(root: Path) -> Exception:
    try:
        Repo.open(root, writable=True).close()
    except StorageError as exc:
        return exc
    return AssertionError("it was opened")


def test_a_repository_is_shared_when_it_is_made_or_not_made_at_all(folder: Path) -> None:
    """By the group that is named or the directory's own; a group that is not there, or a place elsewhere, leaves nothing."""
    place = folder / "new"
    told = call("repo", "create", place, "--shared=no-such-group", cwd=folder, code=10).stderr
    assert "no-such-group" in told
    assert not place.exists()
    call(
        "repo",
        "create",
        "memory://shared/new",
        "--registry",
        f"sqlite:///{place}",
        "--shared",
        cwd=folder,
        code=2,
    )
    assert not place.exists()

    call("repo", "create", place, "--shared", cwd=folder)
    assert 0o2070 == stat.S_IMODE(place.stat().st_mode) & 0o2070
    assert place.stat().st_gid == folder.stat().st_gid
    before = stat.S_IMODE((folder / "mine/upstream").stat().st_mode)
    call("repo", "create", folder / "mine/upstream", f"--shared={GROUP}", cwd=folder, code=12)
    assert before == stat.S_IMODE((folder / "mine/upstream").stat().st_mode)


def test_a_table_makes_a_shared_repository_too(folder: Path) -> None:
    """All of it is the group's, files that are linked in among them."""
    (folder / "lab").mkdir()
    (folder / "lab/a.txt").write_text("a")
    (folder / "lab/table.csv").write_text("sample,note\none,a.txt\n")
    words = (
        "--from-table",
        "table.csv",
        "--key",
        "sample",
        "--file",
        "note",
        "--mode",
        "link",
        f"--shared={GROUP}",
    )
    call("repo", "create", "made", *words, cwd=folder / "lab")

    assert [] == not_shared(folder / "lab/made")
    assert GROUP == (folder / "lab/a.txt").stat().st_gid


def test_a_file_that_its_pusher_cannot_read_is_refused(folder: Path) -> None:
    """Linked it would be a file upstream that nobody can read; it is named before anything is written, as where it is missing."""
    source = folder / "closed"
    source.mkdir()
    source.chmod(0o755)
    for name in ("closed.bin", "theirs.bin", "open.bin"):
        (source / name).write_bytes(b"abc")
        os.chown(source / name, ANNA if name != "theirs.bin" else BORIS, GROUP)
    (source / "closed.bin").chmod(0)
    (source / "theirs.bin").chmod(0o600)

    told = as_user(ANNA, [GROUP], lambda: _checked(source))

    assert told[0] == "artifact-missing"
    assert sorted(told[1]) == ["closed.bin", "theirs.bin"]
    assert "a file that cannot be read" in told[2]


def _checked(source: Path) -> tuple[str, list[str], str]:
    names = sorted(path.name for path in source.glob("*.bin"))
    rows = Columns({"uri": names, "size": [3] * len(names), "checksum": [""] * len(names)})
    try:
        check_sources(rows, str(source), written_ns=time.time_ns() + 10**12)
    except StageError as exc:
        return exc.code, list(exc.context["artifacts"]), exc.__notes__[0]
    return "", [], ""
