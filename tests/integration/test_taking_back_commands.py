"""The commands: push --abort, repo pushes, repo unpush, and what status says afterwards."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from stage import Campaign
from sync.outputs import read_claim
from tests.integration.tiny_campaign import call, make_upstream, template_folder
from tests.processes_killed import killed_at

CLONE = ("-p", "pipeline.yaml", "-i", "net/raw")
PLACE = "upstream/data/.campaigns/own"


@pytest.fixture(scope="module")
def template() -> Path:
    """Two campaigns that have run: one keeps its outputs in upstream's storage."""
    folder = template_folder("taking-back")
    make_upstream(folder)
    for name, *options in (("camp",), ("own", "--outputs-in", PLACE)):
        call("clone", "upstream", name, *CLONE, *options, cwd=folder)
        call("run", "-q", "-j", "0", cwd=folder / name)
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template, put back afterwards: campaigns know their upstream by its full path."""
    kept = tmp_path / "kept"
    shutil.copytree(template, kept, symlinks=True)
    monkeypatch.syspath_prepend(template)
    return template


@pytest.fixture(autouse=True)
def _put_back(template: Path, tmp_path: Path) -> object:
    """Undo what a test has done."""
    yield
    for name in ("upstream", "camp", "own"):
        shutil.rmtree(template / name)
        shutil.copytree(tmp_path / "kept" / name, template / name, symlinks=True)


def run_of(world: Path, name: str = "camp") -> str:
    """The campaign's run."""
    (run,) = Campaign.load(world / name).state.collections.runs
    return run


def break_off(world: Path, name: str, point: str) -> None:
    """Push, and be killed at a point."""
    from stage.campaign import pushing
    from sync import push

    def life(at: object) -> None:
        original = push.execute_push
        push.execute_push = lambda *a, **k: original(*a, **{**k, "at": at})  # type: ignore[assignment]
        campaign = Campaign.load(world / name)
        pushing.push_campaign(campaign.layout, campaign.state, register_dataset_types=True)

    assert killed_at(point, life)


def test_a_push_is_listed_taken_back_and_made_again(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger has it before and after; status says that it was taken back; the next push brings all anew."""
    camp, run = world / "camp", run_of(world)
    assert "no pushes" in call("repo", "pushes", "upstream", cwd=world).stdout
    call("push", "--register-dataset-types", cwd=camp)
    (told,) = json.loads(call("repo", "pushes", "upstream", "--json", cwd=world).stdout)
    assert (told["runs"], told["counts"]["dataset"]["new"], told["withdrawn"]) == ([run], 34, None)
    assert told["size_bytes"] > 0
    pushed = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(told["at_ns"] / 1e9))
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert pushed in call("repo", "pushes", "upstream", cwd=world).stdout
    time.tzset()
    planned = json.loads(call("repo", "unpush", "upstream", run, "--dry-run", "--json", cwd=world).stdout)
    assert (planned["done"], planned["files"], planned["runs"]) == (False, 34, [run])
    said = call("repo", "unpush", "upstream", run, cwd=world, code=2)
    assert "Say --yes. Nothing was done." in said.stderr
    said = call("repo", "unpush", "upstream", told["id"], "--yes", cwd=world)

    assert "removed 34 datasets, 10 quanta, 34 files" in said.stdout
    assert "dataset types and dimension records stay" in said.stdout
    assert "taken back" in call("repo", "pushes", "upstream", cwd=world).stdout
    assert "its push was taken back" in call("status", "--upstream", cwd=camp).stdout
    assert "it was taken back" in call("repo", "unpush", "upstream", run, "--yes", cwd=world).stdout
    assert f"pushed  {run}" in call("push", cwd=camp).stdout
    assert "taken back" not in call("status", "--upstream", cwd=camp).stdout


def test_a_push_that_others_use_is_refused(world: Path) -> None:
    """Exit code 12, who uses it and what to do first; with --json the same as values; nothing has gone."""
    call("push", "--register-dataset-types", cwd=world / "camp")
    run = run_of(world)
    call("repo", "chain", "upstream", "net/all", run, cwd=world)
    said = call("repo", "unpush", "upstream", run, "--yes", cwd=world, code=12)
    told = json.loads(call("repo", "unpush", "upstream", run, "--yes", "--json", cwd=world, code=12).stdout)

    assert "chain 'net/all' searches 1 of its runs" in said.stderr
    assert f"stage repo chain {world / 'upstream'} net/all {run} --mode remove" in said.stderr
    assert [("chain", "net/all")] == [(d["kind"], d["what"]) for d in told["dependents"]]
    call("repo", "chain", "upstream", "net/all", run, "--mode", "remove", cwd=world)
    call("repo", "unpush", "upstream", run, "--yes", cwd=world)


def test_a_push_that_was_broken_off_is_given_up(world: Path) -> None:
    """Status tells of it; a dry run says what would go; then upstream's files are gone and status says to push."""
    camp, run = world / "camp", run_of(world)
    break_off(world, "camp", "journal-moved")
    assert "push broken off" in call("status", cwd=camp).stdout
    assert "would remove 34 files" in call("push", "--abort", "--dry-run", cwd=camp).stdout
    assert (world / "upstream/data" / run).exists()
    said = call("push", "--abort", run, cwd=camp).stdout

    assert f"of {run} was broken off, moved" in said
    assert "removed 34 files" in said
    assert not (world / "upstream/data" / run).exists()
    assert (
        f"run {run} (current; to push)" in call("status", cwd=camp).stdout
        or "to push" in call("status", cwd=camp).stdout
    )
    assert "no push was broken off" in call("push", "--abort", cwd=camp).stdout
    assert json.loads(call("push", "--abort", "--json", cwd=camp).stdout)["aborted"] == []
    assert "--chain has no meaning" in call("push", "--abort", "--chain", "x", cwd=camp, code=2).stderr


def test_a_push_that_was_committed_is_only_acknowledged(world: Path) -> None:
    """It says so and names the command that takes it back; all files stay."""
    break_off(world, "camp", "committed")
    said = call("push", "--abort", cwd=world / "camp").stdout

    assert "was committed: upstream has it all, and nothing of it is removed" in said
    assert (world / "upstream/data" / run_of(world)).exists()
    assert "pushed)" in call("status", cwd=world / "camp").stdout


def test_adopted_outputs_are_the_campaigns_own(world: Path) -> None:
    """Given up or taken back, no file of them goes, and the campaign may go on with its run."""
    own, place = world / "own", world / PLACE
    before = sorted(str(p) for p in place.rglob("*"))
    break_off(world, "own", "journal-moved")
    claim = read_claim(str(place))
    assert claim is not None
    assert claim.given == (run_of(world, "own"),)
    assert "removed 0 files" in call("push", "--abort", cwd=own).stdout
    claim = read_claim(str(place))
    assert claim is not None
    assert claim.given == ()
    call("push", "--register-dataset-types", cwd=own)
    said = call("repo", "unpush", "upstream", run_of(world, "own"), "--yes", cwd=world).stdout

    assert "34 files stay where they are" in said
    assert "removed 34 datasets, 10 quanta, 0 files" in said
    assert before == sorted(str(p) for p in place.rglob("*"))
    claim = read_claim(str(place))
    assert claim is not None
    assert claim.given == ()
    assert "pushed  " in call("push", cwd=own).stdout
