"""A campaign where nothing can be written: everything that only looks works, and not a byte changes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream

QUESTIONS = (
    ("status",),
    ("status", "--json"),
    ("query", "datasets", "clean"),
    ("query", "collections"),
    ("log", "clean", "station=aar"),
    ("get", "total"),
    ("history",),
    ("report",),
    ("qg", "show"),
    ("push", "--dry-run", "--register-dataset-types"),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a campaign in which all has run."""
    folder = tmp_path_factory.mktemp("source")
    make_upstream(folder)
    call("clone", folder / "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=folder)
    call("run", "-j0", "-q", cwd=folder / "camp")
    return folder


@pytest.fixture
def camp(source: Path, tmp_path: Path) -> Path:
    """Copy of the campaign that a test may leave in whatever state before it is mounted."""
    shutil.copytree(source / "camp", tmp_path / "camp")
    return tmp_path / "camp"


@pytest.fixture
def mounted(camp: Path, tmp_path: Path) -> Iterator[Path]:
    """The campaign where it cannot be written: a read-only mount for root, permissions for others."""
    if os.geteuid() != 0:
        paths = [camp, *camp.rglob("*")]
        for path in paths:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
        yield camp
        for path in paths:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o200)
        return
    place = tmp_path / "mounted"
    place.mkdir()
    done = subprocess.run(["mount", "--bind", camp, place], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot make a read-only bind mount: {done.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file with its time and content."""
    return {
        str(p.relative_to(root)): (p.stat().st_mtime_ns, p.read_bytes())
        for p in root.rglob("*")
        if p.is_file()
    }


def test_all_that_only_looks_works(camp: Path, mounted: Path) -> None:
    """The campaign is in WAL mode, whose files beside the database cannot be made here: it is read without them."""
    assert (camp / "staging.sqlite3").read_bytes()[18:20] == b"\2\2"
    assert list(camp.glob("staging.sqlite3-*")) == []
    before = tree(camp)
    with pytest.raises(OSError, match=r"Read-only|Permission"):
        (mounted / "probe").touch()
    answers = [call(*words, cwd=mounted).stdout for words in QUESTIONS]

    assert all(answers)
    assert before == tree(camp)
    assert '"n": 12' in answers[5]


def test_what_changes_it_says_why_it_cannot(mounted: Path) -> None:
    """A command that would write names the file that it cannot make, and the reason."""
    refused = call("run", "-j0", "-q", cwd=mounted, code=1)

    assert f"{mounted}/.campaign.lock" in refused.stderr
    assert "Read-only" in refused.stderr or "Permission" in refused.stderr


@pytest.fixture
def unfinished(camp: Path) -> Path:
    """The campaign with a change in the log beside the database, as a killed writer leaves it."""
    writer = sqlite3.connect(camp / "staging.sqlite3")
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("UPDATE history SET command = 'changed in the log'")
    writer.commit()
    kept = camp.parent / "kept"
    shutil.copytree(camp, kept)
    writer.close()
    shutil.rmtree(camp)
    shutil.copytree(kept, camp)
    return camp


def test_a_log_with_changes_is_read_or_refused_but_never_passed_over(unfinished: Path, mounted: Path) -> None:
    """With the log's index beside it the changes are seen; without it the command says what is in the way."""
    found = call("history", cwd=mounted)

    assert "changed in the log" in found.stdout


def test_a_log_with_changes_and_no_index_is_read_from_a_copy(
    unfinished: Path, request: pytest.FixtureRequest
) -> None:
    """What a killed writer has committed is seen, though no index of its log can be made beside it; nothing is repaired."""
    (unfinished / "staging.sqlite3-shm").unlink()
    mounted = request.getfixturevalue("mounted")
    before = tree(unfinished)

    assert "changed in the log" in call("history", cwd=mounted).stdout
    assert before == tree(unfinished)


def test_an_empty_log_is_no_obstacle(camp: Path, request: pytest.FixtureRequest) -> None:
    """An empty log, as a clean end on some systems leaves it, says nothing."""
    (camp / "staging.sqlite3-wal").touch()
    mounted = request.getfixturevalue("mounted")

    assert "succeeded" in call("status", cwd=mounted).stdout
