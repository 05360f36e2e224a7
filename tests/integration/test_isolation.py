"""Isolation: no command but push changes one byte upstream, and all others work when it cannot be written."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream, tree_digest

WORDS = ("-p", "pipeline.yaml", "-i", "net/raw")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream repository, never changed."""
    folder = tmp_path_factory.mktemp("source")
    make_upstream(folder)
    return folder


@pytest.fixture
def work(source: Path, tmp_path: Path) -> Path:
    """Fresh copy of the source folder."""
    shutil.copytree(source, tmp_path / "work")
    return tmp_path / "work"


def _every_command_but_push(work: Path, upstream: str, refused: int = 12) -> Iterator[str]:
    """Run them one after another; after each, yield what it was. A push is among them that is refused."""
    camp = work / "camp"

    def run(*words: str, cwd: Path = camp, code: int = 0) -> str:
        call(*words, cwd=cwd, code=code)
        return " ".join(words)

    yield run("init", upstream, "other", cwd=work)
    yield run("build", "--campaign-dir", "other", *WORDS, cwd=work)
    yield run("clone", upstream, "camp", *WORDS, "-c", "clean:fail_on=bex", cwd=work)
    yield run("edit", "--campaign-docs", "text")
    yield run("build", "-d", "station IN ('aar', 'bex')")
    yield run("fetch")
    yield run("fetch", "--artifacts", "copy")
    yield run("drop", "--inputs", "--yes")
    yield run("fetch", "--artifacts", "direct")
    yield run("qg", "show")
    yield run("status")
    yield run("run", "-j0", "-q", code=3)
    yield run("log", "--failed")
    yield run("run", "-j", "2", "-q", code=3)
    yield run("run", "-j0", "-q", "--new-run", "-c", "clean:fail_on=nobody", "--rebuild")
    yield run("prep", "--new-run")
    (graph,) = [
        p for p in camp.glob("submit/camp/*/graph.qg") if not list(camp.glob(f"logs/camp/{p.parent.name}"))
    ]
    yield run("exec", str(graph), "--quanta", "all", "--record", "job.jsonl")
    yield run("merge", "job.jsonl")
    yield run("push", "--dry-run", code=12)
    yield run("push", "--dry-run", "--register-dataset-types", "--chain", "u/me")
    yield run("push", code=refused)
    yield run("query", "datasets")
    yield run("query", "datasets", "reading", "--repo", upstream)
    yield run("query", "data-ids", "station", "month", "--repo", upstream)
    yield run("query", "records", "station", "--repo", upstream)
    yield run("query", "collections", "--repo", upstream)
    yield run("query", "dataset-types", "--repo", upstream)
    yield run("get", "total")
    yield run("get", "reading", "station=aar", "month=202601", "--repo", upstream)
    yield run("history")
    yield run("report", "--html", "report.html")
    yield run("repo", "info", upstream)


def test_no_command_but_push_changes_upstream(work: Path) -> None:
    """Tree and database dump are the same after every command; then a push changes them."""
    upstream = work / "upstream"
    before = tree_digest(upstream)
    for command in _every_command_but_push(work, str(upstream)):
        assert before == tree_digest(upstream), command
    call("push", "--register-dataset-types", cwd=work / "camp")

    assert before != tree_digest(upstream)


@pytest.fixture
def read_only(work: Path, tmp_path: Path) -> Iterator[Path]:
    """Upstream where it cannot be written: a read-only mount for root, permissions for others."""
    upstream = work / "upstream"
    if os.geteuid() != 0:
        paths = [upstream, *upstream.rglob("*")]
        for path in paths:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
        yield upstream
        for path in paths:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o200)
        return
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    done = subprocess.run(["mount", "--bind", upstream, mounted], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot make a read-only bind mount: {done.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", mounted], check=True)
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_everything_but_push_works_on_a_read_only_upstream(work: Path, read_only: Path) -> None:
    """All the same commands work on an upstream that is mounted read-only, and push says what is wrong."""
    with pytest.raises(OSError, match=r"Read-only|Permission"):
        (read_only / "probe").touch()
    for _ in _every_command_but_push(work, str(read_only), refused=1):
        pass
    refused = call("push", "--register-dataset-types", cwd=work / "camp", code=1)

    assert str(read_only) in refused.stderr
