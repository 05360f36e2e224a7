"""Pushing when files here are not what was recorded, or the record itself is broken."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream, tree_digest

PUSH = ("push", "--register-dataset-types")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a campaign in which all has run."""
    folder = tmp_path_factory.mktemp("source")
    make_upstream(folder)
    call(
        "clone",
        "upstream",
        "camp",
        "-p",
        "pipeline.yaml",
        "-i",
        "net/raw",
        "--next-run",
        "%c/r%n",
        cwd=folder,
    )
    call("run", "-j0", "-q", cwd=folder / "camp")
    return folder


@pytest.fixture
def work(source: Path, tmp_path: Path) -> Path:
    """Folder whose campaign a test may break; upstream is the same for all, as none of them changes it."""
    shutil.copytree(source / "camp", tmp_path / "camp")
    return tmp_path


def artifacts(work: Path, dataset_type: str) -> list[Path]:
    return sorted((work / "camp/data/camp/r0" / dataset_type).rglob("*.json"))


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_missing_files_are_named_and_nothing_is_written(
    work: Path, source: Path, options: tuple[str, ...]
) -> None:
    """Exit code 10, each file by name and place, a way on; upstream is the same byte for byte."""
    before = tree_digest(source / "upstream")
    victims = [artifacts(work, "clean")[2], artifacts(work, "total")[0]]
    for victim in victims:
        victim.unlink()
    refused = call(*PUSH, *options, cwd=work / "camp", code=10)

    assert "2 missing here; nothing was written upstream" in refused.stderr
    assert [f"nothing at {victim}" in refused.stderr for victim in victims] == [True, True]
    assert "stage run --new-run" in refused.stderr
    assert before == tree_digest(source / "upstream")


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
@pytest.mark.parametrize("content", [b"{}", None], ids=["shorter", "as-long"])
def test_changed_files_are_named_and_nothing_is_written(
    work: Path, source: Path, options: tuple[str, ...], content: bytes | None
) -> None:
    """Exit code 13, also where a file has as many bytes as before and would only be linked."""
    before = tree_digest(source / "upstream")
    victim = artifacts(work, "total")[0]
    victim.write_bytes(content or victim.read_bytes().replace(b"12", b"13"))
    refused = call(*PUSH, *options, cwd=work / "camp", code=13)

    assert "1 changed here; nothing was written upstream" in refused.stderr
    assert f"artifact-changed: {victim.relative_to(work / 'camp/data')}" in refused.stderr
    assert before == tree_digest(source / "upstream")


def test_a_touched_file_is_read_and_found_the_same(work: Path) -> None:
    """A newer time alone is no change: the bytes are compared."""
    os.utime(artifacts(work, "total")[0])

    assert "conflicts none" in call(*PUSH, "--dry-run", cwd=work / "camp").stdout


def test_a_lost_output_can_be_made_again_for_the_push(work: Path, source: Path) -> None:
    """The way on that the error names: exec makes what is missing, and then the push may go."""
    artifacts(work, "summary")[0].unlink()
    camp = work / "camp"
    call(*PUSH, cwd=camp, code=10)
    done = call("exec", "submit/camp/r0/graph.qg", "--quanta", "all", "--record", "r.jsonl", "-j0", cwd=camp)

    assert "skipped 9 quanta" in done.stdout
    assert "0 quanta merged" in call("merge", "r.jsonl", cwd=camp).stdout
    assert "conflicts none" in call(*PUSH, "--dry-run", cwd=camp).stdout


@pytest.mark.parametrize(
    ("column", "value"), [("size", "abc"), ("size", 1.5), ("uri", b"\xff"), ("checksum", b"7")]
)
@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_broken_record_of_an_artifact_is_named(
    work: Path, column: str, value: object, options: tuple[str, ...]
) -> None:
    """A value of another kind than its column, as SQLite lets anybody write, is an integrity error by dataset."""
    with sqlite3.connect(work / "camp/staging.sqlite3") as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute(f"UPDATE artifact SET {column} = ? WHERE uri LIKE '%/total/%'", (value,))
    database.close()
    refused = call(*PUSH, *options, cwd=work / "camp", code=13)

    assert "the artifact of total {}" in refused.stderr
    assert f"as its {column}" in refused.stderr


def test_pushed_runs_stay_pushed_after_exec_and_merge(source: Path, tmp_path: Path) -> None:
    """Executing a complete run again and merging the record makes no difference to what upstream has."""
    shutil.copytree(source, tmp_path / "all")
    upstream = tmp_path / "all/upstream"
    call("clone", upstream, "other", "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n",
         cwd=tmp_path / "all")  # fmt: skip
    camp = tmp_path / "all/other"
    call("run", "-j0", "-q", cwd=camp)
    call(*PUSH, cwd=camp)
    done = call("exec", "submit/other/r0/graph.qg", "--quanta", "all", "--record", "r.jsonl", "-j0", cwd=camp)
    call("merge", "r.jsonl", cwd=camp)

    assert "skipped 10 quanta, complete already" in done.stdout
    assert "nothing to push" in call(*PUSH, cwd=camp).stdout
    call(
        "exec", "submit/other/r0/graph.qg", "--quanta", "0", "--record", "f.jsonl", "-j0", "--force", cwd=camp
    )
    call("merge", "f.jsonl", cwd=camp)
    refused = call(*PUSH, cwd=camp, code=12)

    assert "dataset-differs: clean_log" in refused.stderr


def test_a_lost_staging_registry_is_told_with_what_to_do(work: Path, source: Path) -> None:
    """Status says that it is gone; whatever needs it ends with 10; nothing makes an empty one in its place."""
    camp = work / "camp"
    (camp / "staging.sqlite3").unlink()
    found = call("status", cwd=camp).stdout

    assert "is gone: there is no staging.sqlite3. Put staging.sqlite3 back from a copy" in found
    assert "stage clone" in found
    for words in (
        ("query", "datasets"), ("get", "total"), ("log",), ("history",), ("report",), ("push",), ("push", "--dry-run"),
        ("run", "-j0"), ("run", "-j0", "--new-run"), ("fetch",), ("build",), ("prep",),
    ):  # fmt: skip
        assert "the staging registry of campaign" in call(*words, cwd=camp, code=10).stderr
    assert not (camp / "staging.sqlite3").exists()
    shutil.copy(source / "camp/staging.sqlite3", camp)

    assert "is gone" not in call("status", cwd=camp).stdout


def test_a_campaign_without_runs_makes_its_staging_again(source: Path, tmp_path: Path) -> None:
    """Where nothing has run nothing is lost: the next build makes another registry."""
    call("clone", source / "upstream", tmp_path / "new", "-p", source / "pipeline.yaml", "-i", "net/raw",
         cwd=source)  # fmt: skip
    (tmp_path / "new/staging.sqlite3").unlink()
    call("build", cwd=tmp_path / "new")

    assert "reading" in call("query", "datasets", cwd=tmp_path / "new").stdout
