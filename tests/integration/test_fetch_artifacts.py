"""Files of inputs fetched into a campaign: every mode, what cannot work, what is there already, and upstream untouched."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.artifacts import artifacts_elsewhere
from registry.errors import UsageError
from registry.model.digest import digest_bytes
from sync.clone import execute_fetch, plan_fetch
from sync.errors import TransferError
from sync.fetching.artifacts import ArtifactMode, plan_artifacts
from sync.fetching.movers import LinkMode, Moved, move_all
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import ask

N_FILES = 6
MODES: tuple[LinkMode, ...] = ("link", "symlink", "copy")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream that is never changed."""
    root = tmp_path_factory.mktemp("source")
    made.make_upstream(root / "up").close()
    return root


@pytest.fixture
def world(source: Path, tmp_path: Path) -> Iterator[tuple[Repo, Repo]]:
    """A copy of it, and an empty staging."""
    shutil.copytree(source / "up", tmp_path / "up")
    with Repo.open(tmp_path / "up") as upstream, made.make_staging(tmp_path / "campaign") as staging:
        yield upstream, staging


def fetch(upstream: Repo, staging: Repo, mode: ArtifactMode, held: list[bytes] | None = None) -> int:
    """Fetch as the campaign does; return the files that were looked at."""
    plan = plan_fetch(upstream, staging, made.wanted(upstream))
    files = plan_artifacts(plan.datasets, upstream, staging, mode, held=held)
    execute_fetch(plan, staging, files)
    return len(files.tasks)


def uris(staging: Repo) -> list[str]:
    return sorted(uri for (uri,) in ask(staging.registry, "SELECT uri FROM artifact"))


@pytest.mark.parametrize("mode", MODES)
def test_files_get_names_in_the_campaign(world: tuple[Repo, Repo], mode: ArtifactMode) -> None:
    """Each record names a file below the campaign's own root, with upstream's bytes, made as the mode says."""
    upstream, staging = world
    before = made.tree(Path(upstream.root))
    n = fetch(upstream, staging, mode)

    assert n == len(uris(staging)) == N_FILES
    for uri in uris(staging):
        ours, theirs = Path(staging.datastore.root, uri), Path(upstream.datastore.root, uri)
        assert ours.read_bytes() == theirs.read_bytes()
        assert ours.is_symlink() == (mode == "symlink")
        assert (ours.lstat().st_ino == theirs.stat().st_ino) == (mode == "link")
    assert before == made.tree(Path(upstream.root))


@pytest.mark.parametrize("mode", MODES)
def test_a_second_fetch_looks_at_no_file(world: tuple[Repo, Repo], mode: ArtifactMode) -> None:
    """What is there is not fetched again."""
    upstream, staging = world
    fetch(upstream, staging, mode)

    assert fetch(upstream, staging, mode) == 0


def test_files_of_what_was_fetched_direct_come_later(world: tuple[Repo, Repo]) -> None:
    """A fetch with another mode brings the files of what is there, and the records refer to them."""
    upstream, staging = world
    fetch(upstream, staging, "direct")
    assert all(uri.startswith("/") for uri in uris(staging))

    assert fetch(upstream, staging, "copy") == N_FILES
    assert not any(uri.startswith("/") for uri in uris(staging))
    assert plan_fetch(upstream, staging, made.wanted(upstream)).is_empty


@pytest.mark.parametrize(
    ("before", "after", "n"),
    [("link", "copy", N_FILES), ("symlink", "copy", N_FILES), ("symlink", "link", N_FILES), ("copy", "link", 0),
     ("link", "symlink", 0)],
)  # fmt: skip
def test_another_mode_replaces_what_hangs_on_upstream_more(
    world: tuple[Repo, Repo], before: LinkMode, after: LinkMode, n: int
) -> None:
    """Links become copies where somebody asks for that, and nothing is ever replaced by less."""
    upstream, staging = world
    was = made.tree(Path(upstream.root))
    fetch(upstream, staging, before)

    assert fetch(upstream, staging, after) == n
    stands = after if n else before
    for uri in uris(staging):
        ours, theirs = Path(staging.datastore.root, uri), Path(upstream.datastore.root, uri)
        assert not ours.is_symlink()
        assert ours.samefile(theirs) == (stands == "link")
        assert ours.read_bytes() == theirs.read_bytes()
    assert fetch(upstream, staging, after) == 0
    assert was == made.tree(Path(upstream.root))


@pytest.mark.parametrize("mode", MODES)
def test_files_that_are_gone_here_come_again(world: tuple[Repo, Repo], mode: LinkMode) -> None:
    """Whoever removed some by hand fetches them as the first time."""
    upstream, staging = world
    fetch(upstream, staging, mode)
    for uri in uris(staging)[:2]:
        Path(staging.datastore.root, uri).unlink()

    assert fetch(upstream, staging, mode) == 2
    assert all(Path(staging.datastore.root, uri).is_file() for uri in uris(staging))


def test_only_what_was_chosen_comes(world: tuple[Repo, Repo]) -> None:
    """Of what staging has, the files of the datasets that are named come, and no others."""
    upstream, staging = world
    fetch(upstream, staging, "direct")
    with staging.registry.read() as snapshot:
        one = artifacts_elsewhere(snapshot)["id"].tolist()[:1]

    assert fetch(upstream, staging, "copy", held=one) == 1
    assert sum(not uri.startswith("/") for uri in uris(staging)) == 1


def test_what_upstream_registered_where_it_lies_comes_too(world: tuple[Repo, Repo], tmp_path: Path) -> None:
    """A file outside upstream's root gets a name made from its URI."""
    upstream, staging = world
    (uri, *_) = [uri for uri in uris(upstream) if uri.startswith("CAM/raw")]
    (tmp_path / "archive").mkdir()
    Path(upstream.datastore.root, uri).rename(tmp_path / "archive" / "x.bin")
    made.change(
        Path(upstream.root), f"UPDATE artifact SET uri = '{tmp_path}/archive/x.bin' WHERE uri = '{uri}'"
    )
    fetch(upstream, staging, "copy")

    assert f".elsewhere/file{tmp_path}/archive/x.bin" in uris(staging)
    assert all(Path(staging.datastore.root, uri).is_file() for uri in uris(staging))


def test_damaged_files_are_named_and_nothing_is_recorded(world: tuple[Repo, Repo]) -> None:
    """Upstream files that are not what it records, or missing, refuse the fetch; the rest has arrived and is found again."""
    upstream, staging = world
    first, second, *_ = [
        Path(upstream.datastore.root, uri) for uri in uris(upstream) if uri.startswith("CAM/raw")
    ]
    data = first.read_bytes()
    first.write_bytes(b"x" * len(data))
    moved = second.rename(second.with_name("away"))
    with pytest.raises(TransferError, match=r"2 of 6 files[\s\S]*artifact-(changed|missing)") as caught:
        fetch(upstream, staging, "copy")

    assert uris(staging) == []
    assert len(caught.value.result.moved) == N_FILES - 2
    first.write_bytes(data)
    moved.rename(second)
    fetch(upstream, staging, "copy")
    assert len(uris(staging)) == N_FILES


@pytest.mark.parametrize("mode", MODES)
def test_what_is_there_and_right_is_not_read_again_upstream(world: tuple[Repo, Repo], mode: LinkMode) -> None:
    """Files of a fetch that was killed before its rows count as fetched, and are left as they are."""
    upstream, staging = world
    plan = plan_fetch(upstream, staging, made.wanted(upstream))
    tasks = plan_artifacts(plan.datasets, upstream, staging, mode).tasks
    list(move_all(tasks, mode, is_remote=False))
    again = Moved()
    for part in move_all(tasks, mode, is_remote=False):
        again.add(part)

    assert (again.moved, len(again.same), again.failed) == ([], N_FILES, [])


def test_a_link_that_stands_in_place_of_a_copy_is_replaced(world: tuple[Repo, Repo]) -> None:
    """Copies are files of their own even where a killed fetch had linked; what the links led to stays."""
    upstream, staging = world
    before = made.tree(Path(upstream.root))
    plan = plan_fetch(upstream, staging, made.wanted(upstream))
    tasks = plan_artifacts(plan.datasets, upstream, staging, "copy").tasks
    list(move_all(tasks[:3], "symlink", is_remote=False))
    list(move_all(tasks[3:], "link", is_remote=False))
    fetch(upstream, staging, "copy")

    assert all(Path(task[2]).lstat().st_nlink == 1 and not Path(task[2]).is_symlink() for task in tasks)
    assert before == made.tree(Path(upstream.root))


def test_links_to_another_file_system_are_refused_by_name(world: tuple[Repo, Repo], tmp_path: Path) -> None:
    """A hard link cannot leave its file system: the error says so, what would work, and nothing is written."""
    upstream, _ = world
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no other file system to link to")
    place = other / f"stage-test-{os.getpid()}"
    try:
        with made.make_staging(place) as staging:
            with pytest.raises(UsageError, match="two file systems") as caught:
                fetch(upstream, staging, "link")
            assert (caught.value.code, "symlink or copy" in caught.value.hint) == ("cannot-link", True)
            assert uris(staging) == []
            assert not (place / "data").exists()
            fetch(upstream, staging, "symlink")
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("mode", ["link", "symlink"])
def test_links_into_a_store_are_refused_by_name(
    world: tuple[Repo, Repo], mode: ArtifactMode, tmp_path: Path
) -> None:
    """Neither kind of link leads to or from what is no local file; a copy would work."""
    upstream, _ = world
    staging = Repo.attach(f"sqlite:///{tmp_path}/campaign/staging.sqlite3", "memory://links", writable=True)
    with staging, pytest.raises(UsageError, match="no links") as caught:
        fetch(upstream, staging, mode)

    assert caught.value.code == f"cannot-{mode}"
    assert "copy" in caught.value.hint


def test_a_directory_that_leads_out_is_refused(world: tuple[Repo, Repo], tmp_path: Path) -> None:
    """Where a symbolic link in the campaign's datastore leads to upstream, no file is written through it."""
    upstream, staging = world
    Path(staging.datastore.root).mkdir()
    Path(staging.datastore.root, "CAM").symlink_to(Path(upstream.datastore.root, "CAM"))
    before = made.tree(Path(upstream.root))
    with pytest.raises(UsageError, match="leads out"):
        fetch(upstream, staging, "copy")

    assert before == made.tree(Path(upstream.root))
    assert uris(staging) == []


def test_a_large_file_is_copied_in_pieces_and_verified(tmp_path: Path) -> None:
    """Bytes that differ from the record at the end of a large file never get its name; the right ones do."""
    data = os.urandom((1 << 20) + 7)
    (tmp_path / "a.bin").write_bytes(data)
    target = tmp_path / "own" / "a.bin"
    right = ("a.bin", str(tmp_path / "a.bin"), str(target), len(data), digest_bytes(data))
    (wrong,) = move_all([(*right[:4], digest_bytes(b"other"))], "copy", is_remote=False)

    assert [failure.code for failure in wrong.failed] == ["artifact-changed"]
    assert list((tmp_path / "own").iterdir()) == []
    (done,) = move_all([right], "copy", is_remote=False)
    assert (done.moved, done.size_bytes, target.read_bytes() == data) == (["a.bin"], len(data), True)


@pytest.fixture
def locked(world: tuple[Repo, Repo]) -> Iterator[Path]:
    """An input of upstream's that the system lets nobody link, as where one owns it who is somebody else."""
    upstream, _ = world
    path = Path(upstream.datastore.root, next(uri for uri in uris(upstream) if uri.startswith("CAM/calib")))
    if (
        shutil.which("chattr") is None
        or subprocess.run(["chattr", "+i", path], check=False, capture_output=True).returncode
    ):
        pytest.skip("no file can be made immutable here")
    yield path
    subprocess.run(["chattr", "-i", path], check=True)


def test_links_that_the_system_does_not_allow_are_refused_by_name(
    world: tuple[Repo, Repo], locked: Path
) -> None:
    """The system's refusal is told before any file has a name, with what would work."""
    upstream, staging = world
    held = [i for i, uri in ask(upstream.registry, "SELECT id, uri FROM artifact") if locked.name in uri]
    fetch(upstream, staging, "direct")
    with pytest.raises(UsageError, match="refuses it") as caught:
        fetch(upstream, staging, "link", held=held)

    assert "symlink or copy" in caught.value.hint
    assert all(uri.startswith("/") for uri in uris(staging))


def test_a_place_that_cannot_be_written_is_refused_by_name(world: tuple[Repo, Repo]) -> None:
    """Where the campaign's files may not be, no mode but direct works, and the error says so."""
    upstream, staging = world
    root = Path(staging.datastore.root)
    root.mkdir()
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", root, root], check=False, capture_output=True)
    if mounted.returncode or os.access(root, os.W_OK):
        if not mounted.returncode:
            subprocess.run(["umount", root], check=True)
        pytest.skip("cannot make a read-only bind mount")
    try:
        with pytest.raises(UsageError, match="cannot be written") as caught:
            fetch(upstream, staging, "copy")
    finally:
        subprocess.run(["umount", root], check=True)

    assert (caught.value.code, "direct" in caught.value.hint) == ("cannot-copy", True)
