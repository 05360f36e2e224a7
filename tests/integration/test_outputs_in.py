"""Outputs in upstream's storage from the start: written there, registered there, and never removed from there again."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_campaign import call, campaign_digest, make_upstream

from registry.model.digest import digest_bytes
from stage import Campaign, Repo
from sync.outputs import CLAIM_FILE, read_claim

PLACE = "upstream/data/.campaigns/camp"
CLONE = ("-p", "pipeline.yaml", "-i", "net/raw")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upstream with data, and what a pipeline needs."""
    folder = tmp_path_factory.mktemp("outputs-template")
    make_upstream(folder)
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(template, tmp_path / "w")
    return tmp_path / "w"


@pytest.fixture(scope="module")
def pushed_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign in a world that can be copied elsewhere: run twice, the first run pushed."""
    folder = tmp_path_factory.mktemp("outputs-pushed") / "w"
    shutil.copytree(template, folder)
    call("clone", "upstream", "camp", *CLONE, "--outputs-in", PLACE, cwd=folder)
    call("run", "-q", "-j", "0", cwd=folder / "camp")
    call("push", "--register-dataset-types", cwd=folder / "camp")
    call("run", "-q", "-j", "0", cwd=folder / "camp")
    return folder


@pytest.fixture
def pushed(pushed_template: Path) -> Iterator[Path]:
    """That world; whoever changes it puts it back."""
    before = campaign_digest(pushed_template)
    yield pushed_template
    assert campaign_digest(pushed_template) == before


def rows_of(world: Path) -> list[tuple[str, int, str]]:
    """Artifact rows of upstream."""
    with sqlite3.connect(world / "upstream/registry.sqlite3") as database:
        found = database.execute("SELECT uri, size, checksum FROM artifact").fetchall()
    database.close()
    return found


def runs_of(world: Path) -> list[str]:
    """Runs of the campaign, the newest first."""
    return list(Campaign.load(world / "camp").state.collections.runs)


def test_what_is_pushed_stays_where_it_was_written(pushed: Path) -> None:
    """Upstream's rows name the very files, relative to its root, with their bytes; the campaign's own data stays empty."""
    first = runs_of(pushed)[-1]
    ours = [row for row in rows_of(pushed) if row[0].startswith(".campaigns/")]

    assert len(ours) == 34
    assert {uri.startswith(f".campaigns/camp/{first}/") for uri, *_ in ours} == {True}
    for uri, size, checksum in ours:
        data = (pushed / "upstream/data" / uri).read_bytes()
        assert (len(data), digest_bytes(data)) == (size, checksum)
    assert list((pushed / "camp/data").iterdir()) == []
    assert not (pushed / "upstream/data" / first).exists()


def test_the_push_says_so(world: Path) -> None:
    """A dry run moves and notes nothing; the push says that files were adopted, and how many; the next has nothing to do."""
    call("clone", "upstream", "camp", *CLONE, "--outputs-in", PLACE, cwd=world)
    call("run", "-q", "-j", "0", cwd=world / "camp")
    before = campaign_digest(world)

    call("push", "--dry-run", "--register-dataset-types", cwd=world / "camp")
    assert campaign_digest(world) == before
    told = call("push", "--register-dataset-types", cwd=world / "camp").stdout
    again = call("push", cwd=world / "camp").stdout

    assert "adopted 34 files where they are" in told
    assert "nothing to push" in again
    assert "outputs   in " in call("status", cwd=world / "camp").stdout


def test_upstream_reads_them_and_another_campaign_too(pushed: Path, tmp_path: Path) -> None:
    """What upstream returns is what the campaign returns; a clone of upstream can take it as its input."""
    first = runs_of(pushed)[-1]
    with Repo.open(str(pushed / "upstream")) as upstream:
        there = upstream.get("total", {}, collections=[first])
    call("clone", pushed / "upstream", tmp_path / "other", "-i", first, cwd=tmp_path)

    assert there == {"n": 12, "stations": 3}


@pytest.mark.parametrize("mode", ["--unstore", "--purge"])
def test_what_was_given_is_never_removed(pushed: Path, mode: str) -> None:
    """Neither popping nor cleaning removes files of a pushed run: refused by name, also where staging has forgotten the push."""
    first = runs_of(pushed)[-1]
    said = call("pop", "2", mode, cwd=pushed / "camp", code=12).stderr
    assert f"run '{first}' cannot be removed" in said

    claim = read_claim(str(pushed / PLACE))
    assert claim is not None
    assert claim.given == (first,)


def test_the_store_itself_refuses(pushed: Path) -> None:
    """Whoever asks the campaign's datastore to remove a file that upstream names is refused, and the file stays."""
    from registry.errors import ConflictError
    from stage.campaign.layout import Layout
    from stage.campaign.repositories import open_staging

    uri = next(u for u, *_ in rows_of(pushed) if "/total_" in u).removeprefix(".campaigns/camp/")
    with (
        open_staging(Layout(pushed / "camp")) as staging,
        pytest.raises(ConflictError, match="upstream's") as caught,
    ):
        staging.datastore.remove(uri)

    assert caught.value.code == "run-given"
    assert (pushed / PLACE / uri).is_file()


def test_a_given_run_is_not_gone_on_with(world: Path) -> None:
    """A run that was pushed before it was done is not executed again in its place, by run or by a job; a new run is."""
    call("clone", "upstream", "camp", *CLONE, "--outputs-in", PLACE, "-c", "clean:fail_on=bex", cwd=world)
    camp = world / "camp"
    call("run", "-q", "-j", "0", cwd=camp, code=3)
    call("push", "--register-dataset-types", cwd=camp)
    (run,) = runs_of(world)
    before = campaign_digest(world)

    said = call("run", "-q", "-j", "0", cwd=camp, code=12, env={"STAGE_TEST_HEALED": "1"}).stderr
    graph = camp / "submit" / run / "graph.qg"
    job = call("exec", graph, "--quanta", "all", "--record", "r.json", "--force", cwd=world, code=12).stderr

    assert f"run '{run}' cannot be gone on with" in said
    assert "--new-run" in said
    assert f"run '{run}' cannot be gone on with" in job
    assert campaign_digest(world) == before
    call("run", "-q", "-j", "0", "--new-run", cwd=camp, env={"STAGE_TEST_HEALED": "1"})
    call("push", "--register-dataset-types", cwd=camp)


def test_jobs_write_there_too(world: Path) -> None:
    """A job that has nothing but a graph file puts its outputs where the campaign's are, and merging finds them."""
    call("clone", "upstream", "camp", *CLONE, "--outputs-in", PLACE, cwd=world)
    camp = world / "camp"
    call("prep", cwd=camp)
    (run,) = runs_of(world)
    call(
        "exec", camp / "submit" / run / "graph.qg", "--quanta", "all", "--record", world / "r.json", cwd=world
    )
    call("merge", world / "r.json", cwd=camp)
    call("push", "--register-dataset-types", cwd=camp)

    assert sum(uri.startswith(f".campaigns/camp/{run}/") for uri, *_ in rows_of(world)) == 34


def test_a_refused_push_leaves_the_files_to_the_campaign(world: Path) -> None:
    """A conflict found inside the transaction takes nothing from the campaign: it can still purge the run."""
    call("clone", "upstream", "camp", *CLONE, "--outputs-in", PLACE, cwd=world)
    camp = world / "camp"
    call("run", "-q", "-j", "0", cwd=camp)
    call("push", cwd=camp, code=12)  # upstream lacks the dataset types
    there = [p for p in (world / PLACE).rglob("*") if p.is_file()]
    call("pop", "1", "--purge", cwd=camp)

    assert len(there) == 35
    assert [p.name for p in (world / PLACE).rglob("*") if p.is_file()] == [CLAIM_FILE]


def test_upstreams_orphans_are_not_a_campaigns_outputs(pushed: Path) -> None:
    """Pruning upstream's orphans passes over what campaigns have there and have not pushed."""
    told = call(
        "repo",
        "prune",
        pushed / "upstream",
        "--orphans",
        "--older-than",
        "0",
        "--dry-run",
        "--json",
        cwd=pushed,
    ).stdout

    assert json.loads(told)["paths"] == []


REFUSALS: list[tuple[str, str, int]] = [
    ("upstream/data", "upstream's own files", 2),
    ("upstream", "upstream's own files", 2),
    ("camp/out", "the campaign's own directory", 2),
    ("memory://elsewhere/out", "might not reach", 2),
    ("pipeline.yaml/out", "cannot go to", 2),
]


@pytest.mark.parametrize(("place", "words", "code"), REFUSALS)
def test_a_place_that_would_not_do_is_refused(world: Path, place: str, words: str, code: int) -> None:
    """Refused by name, before anything was made anywhere."""
    before = campaign_digest(world)

    said = call("clone", "upstream", "camp", *CLONE, "--outputs-in", place, cwd=world, code=code).stderr

    assert words in said
    assert campaign_digest(world) == before
    assert not (world / "camp").exists()


def test_a_place_is_one_campaigns_only(world: Path) -> None:
    """A second campaign is told whose the place is, also of one inside it; the same directory may try again after a kill."""
    call("clone", "upstream", "camp", *CLONE, "--outputs-in", PLACE, cwd=world)

    for place in (PLACE, f"{PLACE}/inside"):
        said = call("clone", "upstream", "two", "--outputs-in", place, cwd=world, code=12).stderr
        assert "campaign 'camp' in" in said
    shutil.rmtree(world / "camp")
    call("clone", "upstream", "camp", *CLONE, "--outputs-in", PLACE, cwd=world)


def test_it_can_be_chosen_until_something_was_written(world: Path) -> None:
    """An edit moves the claim and lets go of the old place; after a run it is refused, and nothing has changed."""
    call("clone", "upstream", "camp", *CLONE, cwd=world)
    camp = world / "camp"
    call("edit", "--outputs-in", world / PLACE, cwd=camp)
    call("edit", "--outputs-in", world / "beside/out", cwd=camp)
    assert not (world / PLACE).exists()
    call("run", "-q", "-j", "0", cwd=camp)
    before = campaign_digest(world)

    for place in (world / PLACE, ""):
        said = call("edit", "--outputs-in", place, cwd=camp, code=12).stderr
        assert "that stays so" in said
    assert campaign_digest(world) == before
    call("push", "--register-dataset-types", cwd=camp)
    ours = [uri for uri, *_ in rows_of(world) if uri.startswith(f"{world}/beside/out/")]
    assert len(ours) == 34


def test_a_push_may_copy_instead(world: Path) -> None:
    """Asked for copies, a push leaves the campaign its own files: it may remove them afterwards."""
    call("clone", "upstream", "camp", *CLONE, "--outputs-in", PLACE, cwd=world)
    camp = world / "camp"
    call("run", "-q", "-j", "0", cwd=camp)
    call("push", "--register-dataset-types", "--artifacts", "copy", cwd=camp)
    (run,) = runs_of(world)
    call("pop", "1", "--unstore", cwd=camp)

    for uri, size, _ in rows_of(world):
        assert (world / "upstream/data" / uri).stat().st_size == size
    assert [p.name for p in (world / PLACE).rglob("*") if p.is_file()] == [CLAIM_FILE]
    assert (world / "upstream/data" / run).is_dir()


def test_other_words_for_artifacts_are_refused(pushed: Path) -> None:
    """The three ways are named."""
    said = call("push", "--artifacts", "teleport", cwd=pushed / "camp", code=2).stderr

    assert "auto, link or copy" in said


def test_a_changed_or_missing_file_is_found(world: Path) -> None:
    """Sizes are looked at before anything is written, and the bytes of what was touched since its run."""
    call("clone", "upstream", "camp", *CLONE, "--outputs-in", PLACE, cwd=world)
    camp = world / "camp"
    call("run", "-q", "-j", "0", cwd=camp)
    path: Any = next((world / PLACE).rglob("total_*.json"))
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b" ")
    said = call("push", "--register-dataset-types", cwd=camp, code=13).stderr
    assert path.name in said
    path.write_bytes(good)

    call("push", "--register-dataset-types", cwd=camp)
