"""What a keeper types: info, prune, upgrade, registering dataset types; and what each asks, tells and refuses."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import call, make_upstream, tree_digest

import stage
from registry.sql.version import HEAD, VERSIONS
from sync.repo import Repo
from tests.databases import Database
from tests.sync_builders import UNIVERSE, put_datasets, survey_records
from tests.unit.registry.test_migrations import SAMPLES

OLD = VERSIONS[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream to which a campaign has pushed one run."""
    folder = tmp_path_factory.mktemp("keeping")
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
    call("push", "--register-dataset-types", "--chain", "net/best", cwd=folder / "camp")
    return folder


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to work in."""
    shutil.copytree(finished, tmp_path / "work")
    return tmp_path / "work"


def old_repository(folder: Path) -> Path:
    """A repository as the first version left it."""
    folder.mkdir()
    with sqlite3.connect(folder / "registry.sqlite3") as raw:
        raw.executescript((SAMPLES / f"{OLD}.sqlite.sql").read_text())
    raw.close()
    (folder / "repo.yaml").write_text("format: 1\nregistry: registry.sqlite3\ndatastore: data\n")
    return folder


def answer(*words: str, cwd: Path) -> Any:
    return json.loads(call(*words, "--json", cwd=cwd).stdout)


def test_info_tells_versions_sizes_and_counts(work: Path) -> None:
    """What it is, how large, and how much of everything there is."""
    info = answer("repo", "info", "upstream", cwd=work)
    text = call("repo", "info", "upstream", cwd=work).stdout

    assert info["versions"]["schema"] == HEAD
    assert info["database"]["kind"] == "sqlite"
    assert info["database"]["size_bytes"] == (work / "upstream/registry.sqlite3").stat().st_size
    files = [p for p in (work / "upstream/data").rglob("*") if p.is_file()]
    assert info["datastore"]["files"] == len(files)
    assert info["datastore"]["size_bytes"] == sum(p.stat().st_size for p in files)
    assert (info["collections"], info["quanta"]) == ({"CHAINED": 1, "RUN": 2}, {"succeeded": 10})
    assert info["pushes"] == {"pushes": 1, "campaigns": 1}
    assert f"schema {HEAD}" in text
    assert "1 from 1 campaign" in text


def test_info_on_each_database(database: Database, tmp_path: Path) -> None:
    """Kind and size of the database are told for each, credentials for none."""
    url = database.url()
    with Repo.create(tmp_path / "repo", UNIVERSE, registry_url=url) as repo:
        with repo.registry.write() as tx:
            for element, rows in survey_records(2, 2).items():
                tx.insert_records(element, rows)
        put_datasets(repo, "raw", "CAM/raw", [("CAM", 1, 0), ("CAM", 2, 0)])
    info = stage.repo_info(str(tmp_path / "repo"))

    assert info.database["kind"] == {"sqlite": "sqlite", "postgres": "postgresql"}[database.name]
    assert info.database["size_bytes"] > 100_000
    assert (info.records["detector"], info.datasets, info.datastore["files"]) == (
        2,
        [("raw", "CAM/raw", 2)],
        2,
    )


def test_prune_tells_asks_and_removes(work: Path) -> None:
    """A dry run tells; without an answer nothing goes; told yes, it goes."""
    before = tree_digest(work / "upstream")
    told = answer("repo", "prune", "upstream", "camp/r0", "--purge", "-t", "clean", "--dry-run", cwd=work)
    shown = call("repo", "prune", "upstream", "camp/r0", "--purge", "-t", "clean", "-n", cwd=work).stdout
    asked = call("repo", "prune", "upstream", "camp/r0", "--purge", "-t", "clean", cwd=work, code=2).stderr

    assert before == tree_digest(work / "upstream")
    assert (told["datasets"], told["files"], told["done"]) == (6, 6, False)
    assert "6 datasets, 6 files" in shown
    assert "Remove 6 datasets? Nobody is there to answer" in asked
    done = answer("repo", "prune", "upstream", "camp/r0", "--purge", "-t", "clean", "--yes", cwd=work)
    assert done["removed"] == {"datasets": 6, "files": 6, "kept": 0}
    assert (
        call("repo", "prune", "upstream", "camp/r0", "--purge", "-t", "clean", cwd=work).stdout
        == "nothing to remove\n"
    )


def test_prune_options_that_contradict(work: Path) -> None:
    """It has to be said what goes, once."""
    for words in (
        [],
        ["--purge", "--unstore"],
        ["--orphans", "camp/r0"],
        ["--orphans", "--older-than", "soon"],
    ):
        call("repo", "prune", "upstream", *words, cwd=work, code=2)


def test_orphans_by_command(work: Path) -> None:
    """Files that no dataset names are listed, and removed when told so."""
    (work / "upstream/data/stray").write_text("x")
    told = answer("repo", "prune", "upstream", "--orphans", "--older-than", "0", "--dry-run", cwd=work)
    young = answer("repo", "prune", "upstream", "--orphans", "-n", cwd=work)
    call("repo", "prune", "upstream", "--orphans", "--older-than", "0s", "--yes", cwd=work)

    assert (told["paths"], young["paths"], young["young"]) == (["stray"], [], 1)
    assert not (work / "upstream/data/stray").exists()


def test_an_older_repository_is_refused_then_upgraded(tmp_path: Path) -> None:
    """Every other command names the way; a dry run tells from where to where; then it can be asked again."""
    old_repository(tmp_path / "old")
    refused = call("repo", "info", "old", cwd=tmp_path, code=13).stderr
    told = answer("repo", "upgrade", "old", "--dry-run", cwd=tmp_path)
    again = call("repo", "info", "old", cwd=tmp_path, code=13).stderr
    shown = call("repo", "upgrade", "old", "--keep-backup", cwd=tmp_path).stdout

    assert f"schema version {OLD}" in refused
    assert "stage repo upgrade" in refused
    assert refused == again
    assert (told["from"], told["to"], told["done"], told["migrations"]) == (
        OLD,
        HEAD,
        False,
        list(VERSIONS[1:]),
    )
    assert f"from schema version {OLD} to {HEAD}" in shown
    assert (tmp_path / f"old/registry.sqlite3.{OLD}.backup").is_file()
    assert answer("repo", "info", "old", cwd=tmp_path)["versions"]["schema"] == HEAD
    assert "which is the newest" in call("repo", "upgrade", "old", cwd=tmp_path).stdout


def test_the_registry_of_a_campaign_is_upgraded_too(work: Path, tmp_path: Path) -> None:
    """A campaign's directory stands for its staging registry; so does the database's URL."""
    with sqlite3.connect(work / "camp/staging.sqlite3") as raw:
        raw.execute("UPDATE repository SET value = '9999' WHERE key = 'schema_version'")
    raw.close()
    said = call("repo", "upgrade", "camp", cwd=work, code=13).stderr
    old_repository(tmp_path / "old")
    by_url = answer("repo", "upgrade", f"sqlite:///{tmp_path}/old/registry.sqlite3", cwd=work)

    assert "staging.sqlite3 has schema version 9999" in said
    assert by_url["done"]
    call("repo", "upgrade", "nowhere", cwd=work, code=10)
    call("repo", "upgrade", "old", "--keep-backup", "--no-backup", cwd=tmp_path, code=2)


def test_dataset_types_of_a_pipeline_are_registered_upstream(work: Path) -> None:
    """All that it writes, after what it reads was found to be what it takes it for; a second time nothing is new."""
    make = ("repo", "register-dataset-types", "fresh", "-p", "pipeline.yaml")
    call("repo", "create", "fresh", "--universe", "universe.yaml", cwd=work)
    missing = call(*make, cwd=work, code=10).stderr
    call("repo", "register-dataset-type", "fresh", "reading", "Json", "station", cwd=work)
    differs = call(*make, cwd=work, code=2).stderr
    names = [t["name"] for t in answer("repo", "query", "fresh", "dataset-types", cwd=work)]

    assert "dataset type 'reading', which clean reads, is not registered" in missing
    assert "'reading' is not what the pipeline takes it for" in differs
    assert names == ["reading"]
    new = answer("repo", "register-dataset-types", "upstream", "-p", "pipeline.yaml", cwd=work)
    assert new["new"] == []
    assert {"clean", "summary", "total", "clean_log", "packages"} <= {*new["known"]}
    assert new["inputs"] == ["reading"]


def test_dataset_types_of_a_campaign_are_registered_in_staging(finished: Path, tmp_path: Path) -> None:
    """Staging gets them, upstream does not; inputs are checked; a campaign without a pipeline has none."""
    shutil.copytree(finished, tmp_path / "w")
    work = tmp_path / "w"
    shutil.rmtree(work / "upstream")
    shutil.rmtree(work / "camp")
    for path in (work / "records", work / "readings"):
        shutil.rmtree(path)
    make_upstream(work)
    call("init", "upstream", "camp", "-i", "net/raw", cwd=work)
    call("register-dataset-types", cwd=work / "camp", code=2)
    call("edit", "-p", "../pipeline.yaml", cwd=work / "camp")
    before = tree_digest(work / "upstream")
    found = answer("register-dataset-types", cwd=work / "camp")
    again = answer("register-dataset-types", cwd=work / "camp")
    known = [t["name"] for t in answer("query", "dataset-types", cwd=work / "camp")]

    assert before == tree_digest(work / "upstream")
    assert {"clean", "summary", "total"} <= {*found["new"]}
    assert (found["inputs"], again["new"], again["known"]) == (["reading"], [], found["new"])
    assert {*found["new"]} <= {*known}
    call("register-dataset-types", cwd=work, code=10)
    call("register-dataset-types", "-p", "x.yaml", cwd=work / "camp", code=2)


def test_a_graph_that_differs_needs_a_choice(work: Path) -> None:
    """Where pipeline and graph differ the user says whose dataset types are meant."""
    call(
        "edit",
        "-c",
        "clean:connections.clean=cleaner",
        "-c",
        "summarise:connections.clean=cleaner",
        cwd=work / "camp",
    )
    said = call("register-dataset-types", cwd=work / "camp", code=12).stderr
    of_graph = answer("register-dataset-types", "--use-qg-configs", cwd=work / "camp")
    of_pipeline = answer("register-dataset-types", "--use-task-configs", cwd=work / "camp")

    assert "'stage register-dataset-types --use-qg-configs'" in said
    assert "'stage register-dataset-types --use-task-configs'" in said
    assert of_graph["new"] == []
    assert of_pipeline["new"] == ["cleaner"]
    call("register-dataset-types", "--use-qg-configs", "--use-task-configs", cwd=work / "camp", code=2)


@pytest.mark.service
def test_roles_by_command(postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``repo create --roles`` makes a reader and a pusher; passwords come by the environment and are shown nowhere."""
    import uuid

    import psycopg

    mark = uuid.uuid4().hex[:8]
    url = postgres.url()
    monkeypatch.setenv("STAGE_PUSHER_PASSWORD", "hunter2")
    words = (
        "--registry",
        url,
        "--roles",
        "--reader",
        f"r_{mark}",
        "--pusher",
        f"p_{mark}",
        "--prefix",
        f"u/{mark}/",
    )
    made = call("repo", "create", "upstream", *words, cwd=tmp_path)
    monkeypatch.delenv("STAGE_PUSHER_PASSWORD")
    again = answer("repo", "roles", "upstream", "--pusher", f"p_{mark}", cwd=tmp_path)
    with psycopg.connect(url.rpartition("schema=")[0].rstrip("?&"), autocommit=True) as connection:
        for name in (f"r_{mark}", f"p_{mark}"):
            connection.execute(f"DROP OWNED BY {name}")
            connection.execute(f"DROP ROLE {name}")

    assert f"r_{mark} may read" in made.stdout
    assert f"begin with u/{mark}/" in made.stdout
    assert "hunter2" not in made.stdout + made.stderr
    assert again == {"reader": None, "pusher": f"p_{mark}", "prefix": f"u/p_{mark}/", "made": []}
