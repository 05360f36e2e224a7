"""Runs of which a part failed, pushed, tried again and pushed again by the same command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.model.refs import id_text
from sync.repo import Repo
from tests.integration.tiny_campaign import call, database_dump, make_upstream

RUN = "u/again"


@pytest.fixture
def camp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A campaign whose run was pushed with two quanta of ten failed, and two that waited for them."""
    make_upstream(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("STAGE_TEST_HEALED", raising=False)
    words = ("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", RUN)
    call(*words, "-c", "clean:fail_on=bex", cwd=tmp_path)
    call("run", "-q", "-j0", cwd=tmp_path / "camp", code=3)
    call("push", "--register-dataset-types", cwd=tmp_path / "camp")
    return tmp_path / "camp"


def counts(camp: Path, *words: str) -> tuple[dict[str, dict[str, int]], list[str]]:
    told = json.loads(call("push", "--register-dataset-types", "--json", *words, cwd=camp).stdout)
    return told["counts"], [note["code"] for note in told["warnings"]]


def attempts(repo: Path) -> dict[str, list[str]]:
    """Statuses of attempts at the quanta of the task that failed, in order, by data ID."""
    out: dict[str, list[str]] = {}
    with Repo.open(repo) as upstream, upstream.registry.read() as snap:
        rows = snap.quanta([RUN], latest=False).rows(("attempt", "task", "data_id", "status"))
    for _, task, data_id, status in sorted(rows):
        if task == "clean" and "bex" in data_id:
            out.setdefault(data_id, []).append(status)
    return out


def logs(repo: Path) -> dict[str, str]:
    """Checksums of upstream's logs of those quanta, by id."""
    with Repo.open(repo) as upstream, upstream.registry.read() as snap:
        rows = snap.datasets("clean_log", [RUN], find_first=False, artifacts=True)
    return {id_text(i): c for i, s, c in rows.rows(("id", "station", "checksum")) if s == "bex"}


def test_what_succeeded_since_goes_with_the_same_command(camp: Path) -> None:
    """New quanta, new attempts and new datasets go; logs of the first attempts stay, and the plan says so each time."""
    upstream = camp.parent / "upstream"
    before = logs(upstream)
    call("run", "-q", "-j0", "--continue", cwd=camp, env={"STAGE_TEST_HEALED": "1"})

    foretold = counts(camp, "--dry-run")
    done = counts(camp)

    assert foretold == done
    assert done[0]["quantum"] == {"new": 4, "same": 8}
    assert done[0]["dataset"] == {"new": 8, "same": 22, "conflict": 0, "kept": 4}
    assert done[1] == ["accounts-kept"]
    assert list(attempts(upstream).values()) == [["failed", "succeeded"]] * 2
    assert logs(upstream) == before
    call("repo", "fsck", upstream, "--full", cwd=camp)
    dump = database_dump(upstream / "registry.sqlite3")
    assert counts(camp)[1] == ["accounts-kept"], "told again, without a comparison"
    assert database_dump(upstream / "registry.sqlite3") == dump
    assert (
        "stays   4 files: upstream records another size or checksum"
        in call("drop", "--dry-run", cwd=camp).stdout
    )


def test_what_failed_again_goes_too(camp: Path) -> None:
    """An attempt that has made nothing but another log and other metadata is told upstream."""
    call("run", "-q", "-j0", "--continue", cwd=camp, code=3)

    told, warnings = counts(camp)

    assert told["quantum"]["new"] == 2
    assert "accounts-kept" in warnings
    assert list(attempts(camp.parent / "upstream").values()) == [["failed", "failed"]] * 2


def test_data_that_differ_are_a_conflict_as_ever(camp: Path) -> None:
    """Other bytes of an output proper are nothing that upstream keeps in silence; nor are those of one attempt."""
    database = camp / "staging.sqlite3"
    call("run", "-q", "-j0", "--continue", cwd=camp, env={"STAGE_TEST_HEALED": "1"})
    _change(database, "clean_log_aar_202601", "clean_aar_202601")

    told = call("push", "--register-dataset-types", "--json", cwd=camp, code=12).stdout

    assert [(c["code"], c["about"]["dataset_type"]) for c in json.loads(told)["conflicts"]] == [
        ("dataset-differs", "clean"), ("dataset-differs", "clean_log")]  # fmt: skip


def test_attempts_that_both_sides_made_are_a_conflict(camp: Path) -> None:
    """If upstream knows of an attempt that is not ours, its log is another's."""
    call("run", "-q", "-j0", "--continue", cwd=camp, env={"STAGE_TEST_HEALED": "1"})
    _sql(
        camp.parent / "upstream/registry.sqlite3",
        "UPDATE quantum SET host = 'elsewhere' WHERE status = 'failed'",
    )

    told = json.loads(call("push", "--register-dataset-types", "--json", cwd=camp, code=12).stdout)

    assert {c["about"]["dataset_type"] for c in told["conflicts"]} == {"clean_log", "clean_metadata"}
    assert len(told["conflicts"]) == 4


def _change(database: Path, *names: str) -> None:
    for name in names:
        _sql(database, "UPDATE artifact SET checksum = 'blake3:0' WHERE uri LIKE ?", f"%/{name}%")


def _sql(database: Path, statement: str, *values: object) -> None:
    from tests.push_worlds import sql

    sql(database, statement, *values)
