"""A shared repository in PostgreSQL and a campaign in SQLite: the round by commands, and by its database's URL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_campaign import ROOT, call, make_upstream, stage, write_sources

from sync.push import execute_push, plan_push
from sync.repo import Repo
from tests import sync_builders as made
from tests.databases import Database

pytestmark = pytest.mark.service
RUN = "u/me/trial/1"


def test_a_campaign_goes_all_the_way_round(postgres: Database, tmp_path: Path) -> None:
    """Create, import, ingest, clone, run, push, push again, and ask: all by the commands, as with SQLite."""
    url = postgres.url()
    make_upstream(tmp_path, "--registry", url)
    assert yaml.safe_load((tmp_path / "upstream/repo.yaml").read_text())["registry"] == url

    cloned = stage("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=tmp_path).stdout
    assert "3 tasks, 10 quanta (clean 6, summarise 3, total 1)" in cloned
    assert "fetched 6 reading, 5 dimension records; 0 bytes copied" in cloned
    camp = tmp_path / "camp"
    assert "10 quanta executed" in call("run", "-q", "-j0", cwd=camp).stdout
    plan = json.loads(call("push", "--dry-run", "--json", "--register-dataset-types", cwd=camp).stdout)
    words = ("push", "--json", "--register-dataset-types", "--chain", "u/me")
    pushed = json.loads(stage(*words, cwd=camp).stdout)
    assert plan["new_datasets"] == pushed["new_datasets"]

    before = made.dump(tmp_path / "upstream")
    again = json.loads(call("push", "--json", cwd=camp).stdout)
    assert (again["is_empty"], again["pushed"]) == (True, False)
    assert before == made.dump(tmp_path / "upstream")
    found = call("get", "total", "--repo", "upstream", "-i", "u/me", cwd=tmp_path).stdout
    assert json.loads(found) == {"n": 12, "stations": 3}
    where = ("--where", "station = 'bex' AND month > 202601", "--json")
    rows = call("query", "datasets", "clean", "--repo", "upstream", "-i", "u/me", *where, cwd=tmp_path)
    assert [(r["station"], r["month"]) for r in json.loads(rows.stdout)] == [("bex", 202602)]
    info = json.loads(call("repo", "info", "upstream", "--json", cwd=tmp_path).stdout)
    assert info["database"]["kind"] == "postgresql"


def test_the_url_of_a_database_names_the_repository(postgres: Database, tmp_path: Path) -> None:
    """A repository without any repo.yaml is made, filled, cloned from and pushed to by its URL alone."""
    url = postgres.url()
    write_sources(tmp_path)
    call(
        "repo", "create", url, "--universe", "universe.yaml", "--datastore", tmp_path / "files", cwd=tmp_path
    )
    call("repo", "import", url, "records", cwd=tmp_path)
    call("repo", "register-dataset-type", url, "reading", "Json", "station", "month", cwd=tmp_path)
    table = ("--table", "readings/table.csv", "--run", "net/raw")
    call("repo", "ingest", url, "reading", *table, cwd=tmp_path)
    call("clone", url, "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=tmp_path)
    camp = tmp_path / "camp"
    call("run", "-q", "-j0", cwd=camp)
    call("push", "--register-dataset-types", cwd=camp)

    assert json.loads(call("push", "--json", cwd=camp).stdout)["is_empty"]
    rows = json.loads(call("query", "datasets", "total", "--repo", url, "--json", cwd=tmp_path).stdout)
    assert len(rows) == 1
    assert "no registry" in call("repo", "info", postgres.url(), cwd=tmp_path, code=10).stderr


def test_a_password_is_written_into_no_file(postgres: Database, tmp_path: Path) -> None:
    """A URL with one is refused before anything is made, and the error does not show it."""
    url = postgres.url()
    for bad in (url.replace("postgres:@", "postgres:sesame@"), f"{url}&password=sesame"):
        said = call("repo", "create", "up", "--registry", bad, cwd=tmp_path, code=2).stderr
        assert "holds a password" in said
        assert "sesame" not in said
    assert list(tmp_path.iterdir()) == []
    assert "no registry" in call("repo", "info", url, cwd=tmp_path, code=10).stderr


def push(root: Path) -> bool:
    """Push as the user would, again; tell whether there was anything left to do."""
    with Repo.open(root / "up", writable=True) as upstream, made.open_staging(root / "campaign") as staging:
        options = {"campaign": made.CAMPAIGN, "register_dataset_types": True, "chain": "u/me/best"}
        plan = plan_push(staging, upstream, [RUN], **options)  # type: ignore[arg-type]
        assert plan.conflicts == ()
        return execute_push(plan, staging, upstream).push_id is not None


@pytest.mark.parametrize("point", ["rows-written", "committed"])
def test_a_push_killed_in_the_middle_is_completed_by_the_next(
    postgres: Database, tmp_path: Path, point: str
) -> None:
    """Nothing or everything is in the server after the kill; the same push again ends like an undisturbed one."""
    made.copy_world(tmp_path, postgres)
    with made.open_staging(tmp_path / "campaign") as staging:
        run = made.make_run(staging, RUN)
    arguments = ["push", str(tmp_path / "up"), str(tmp_path / "campaign"), RUN, point]
    words = [sys.executable, "-m", "tests.sync_crash", *arguments]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()

    with Repo.open(tmp_path / "up") as upstream, upstream.registry.read() as snap:
        there = snap.existing_ids(run.dataset_ids)
    assert (set(run.dataset_ids) if point == "committed" else set()) == there
    assert push(tmp_path) is (point != "committed")
    with Repo.open(tmp_path / "up") as upstream, upstream.registry.read() as snap:
        assert set(run.dataset_ids) == snap.existing_ids(run.dataset_ids)
        assert snap.table("push_ledger").n_rows == 1
    assert made.dangling(tmp_path / "up") == []
    assert not push(tmp_path)
