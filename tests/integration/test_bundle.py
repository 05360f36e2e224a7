"""A campaign as one file: taken elsewhere, run there, its runs brought back; twice is as good as once."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.integration.tiny_campaign import ROOT, call, campaign_digest, copy_tree, make_upstream


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an upstream and a campaign whose inputs are copies and whose first run is done."""
    root = tmp_path_factory.mktemp("bundles")
    make_upstream(root)
    call(
        "clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n",
        "--artifacts", "copy", "--write-pipeline", "pipeline.yaml", cwd=root,
    )  # fmt: skip
    call("run", "-q", "-j0", cwd=root / "camp")
    call("bundle", "export", root / "all.bundle", cwd=root / "camp")
    return root


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    copy_tree(made, tmp_path / "world")
    return tmp_path / "world"


def _json(*words: str | Path, cwd: Path) -> Any:
    return json.loads(call(*words, "--json", cwd=cwd).stdout)


def test_a_campaign_goes_elsewhere_whole(made: Path, world: Path, tmp_path: Path) -> None:
    """Without upstream at hand, the campaign made of it answers the same and runs the same."""
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy(world / "all.bundle", there)
    shutil.copy(world / "weather_tasks.py", there)
    shutil.rmtree(world / "upstream")
    report = _json("bundle", "import", "all.bundle", "camp", cwd=there)

    assert (report["is_new"], report["runs"], report["n_elsewhere"]) == (True, ["camp/r0"], 0)
    assert call("get", "total", cwd=there / "camp").stdout == call("get", "total", cwd=world / "camp").stdout
    # Its graph names files of the upstream that was cloned, wherever the campaign is now.
    (made / "upstream").rename(made / "out-of-reach")
    try:
        call("run", "--new-run", "-q", "-j0", "--use-qg-configs", cwd=there / "camp")
    finally:
        (made / "out-of-reach").rename(made / "upstream")
    found = json.loads(call("get", "total", "-i", "camp/r1", cwd=there / "camp").stdout)
    assert found == {"n": 12, "stations": 3}


def test_runs_come_back_and_are_pushed_from_home(world: Path, tmp_path: Path) -> None:
    """What was run elsewhere is in the campaign that it came from, with provenance, and goes upstream from there."""
    call("bundle", "import", world / "all.bundle", tmp_path / "away", cwd=world)
    call("run", "--new-run", "-q", "-j0", "--use-qg-configs", cwd=tmp_path / "away")
    call("bundle", "export", world / "back.bundle", "camp/r1", cwd=tmp_path / "away")
    report = _json("bundle", "import", world / "back.bundle", cwd=world / "camp")

    assert (report["is_new"], report["runs"]) == (False, ["camp/r1"])
    assert report["n_files"] > 0
    state = _json("status", cwd=world / "camp")
    assert state["collections"]["past_runs"] == ["camp/r1", "camp/r0"]
    assert call("diff", "camp/r0", "camp/r1", cwd=world / "camp").stdout
    pushed = _json("push", "camp/r1", "--register-dataset-types", cwd=world / "camp")
    assert pushed["pushed"]
    assert "camp/r1" in call("why", "total", cwd=world / "camp").stdout
    assert "bundle import" in call("history", cwd=world / "camp").stdout


def test_what_failed_here_and_was_tried_again_elsewhere_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New attempts and their outputs come; the log of the attempt here stays, and that is said each time."""
    make_upstream(tmp_path)
    monkeypatch.delenv("STAGE_TEST_HEALED", raising=False)
    camp, away = tmp_path / "camp", tmp_path / "away"
    call("clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--artifacts", "copy",
         "-c", "clean:fail_on=bex", cwd=tmp_path)  # fmt: skip
    call("run", "-q", "-j0", cwd=camp, code=3)
    call("bundle", "export", tmp_path / "out.bundle", cwd=camp)
    call("bundle", "import", tmp_path / "out.bundle", away, cwd=tmp_path)
    call("run", "-q", "-j0", "--continue", cwd=away, env={"STAGE_TEST_HEALED": "1"})
    call("bundle", "export", tmp_path / "back.bundle", cwd=away)

    told = _json("bundle", "import", tmp_path / "back.bundle", cwd=camp)

    assert "4 logs and metadata of quanta that were tried again elsewhere stay here" in told["notes"][0]
    assert call("get", "total", cwd=camp).stdout == call("get", "total", cwd=away).stdout
    again = call("bundle", "import", tmp_path / "back.bundle", cwd=camp).stdout
    assert "nothing to bring" in again
    assert "4 logs and metadata" in again
    assert "nothing is wrong" in call("fsck", "--full", cwd=camp).stdout


def test_a_second_import_changes_nothing(world: Path) -> None:
    """Neither the bundle of what is there, nor one that was brought already, changes a byte that counts."""
    before = campaign_digest(world / "camp")
    report = _json("bundle", "import", world / "all.bundle", cwd=world / "camp")
    told = call("bundle", "import", world / "all.bundle", cwd=world / "camp").stdout

    assert report["n_files"] == 0
    assert "nothing to bring" in told
    after = campaign_digest(world / "camp")
    assert {k: v for k, v in after.items() if before.get(k) != v and ".campaign.history" not in k} == {}


def test_another_campaign_is_refused(world: Path) -> None:
    """Runs go into the campaign that they came from, not into one of the same name."""
    call("clone", "upstream", "other/camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=world)
    before = campaign_digest(world / "other" / "camp")
    told = call("bundle", "import", world / "all.bundle", cwd=world / "other" / "camp", code=12).stderr

    assert "came from campaign 'camp'" in told
    assert campaign_digest(world / "other" / "camp") == before


def test_two_sides_that_went_on_differently_are_refused(world: Path, tmp_path: Path) -> None:
    """The same RUN with other datasets under the same data IDs is a conflict; nothing is brought."""
    call("bundle", "import", world / "all.bundle", tmp_path / "away", cwd=world)
    for camp in (world / "camp", tmp_path / "away"):
        call("run", "--new-run", "-q", "-j0", "--use-qg-configs", cwd=camp)
    call("bundle", "export", world / "back.bundle", "camp/r1", cwd=tmp_path / "away")
    before = campaign_digest(world / "camp")
    told = call("bundle", "import", world / "back.bundle", cwd=world / "camp", code=12).stderr

    assert "dataset-exists" in told
    assert campaign_digest(world / "camp") == before


@pytest.mark.survives("fuzzed", "bundles", 30)
def test_damage_anywhere_is_found(world: Path, tmp_path: Path) -> None:
    """A byte changed at random, or the end cut off: no campaign is made, or it is the same in all its files."""
    whole = (world / "all.bundle").read_bytes()
    call("bundle", "import", world / "all.bundle", tmp_path / "whole", cwd=tmp_path)
    expected = campaign_digest(tmp_path / "whole")
    rng = random.Random(7)
    refused = 0
    for n in range(30):
        data = bytearray(whole)
        if n % 5 == 0:
            del data[rng.randrange(len(data)) :]
        else:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (tmp_path / "bad.bundle").write_bytes(data)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            refused += _is_refused(tmp_path / "bad.bundle", tmp_path / "camp", expected)
    assert refused >= 20


def _is_refused(bundle: Path, target: Path, expected: dict[str, str]) -> bool:
    """Import a bundle; tell whether it was refused and left nothing. Otherwise it has to be all that it should be."""
    from registry.errors import StageError
    from stage import Campaign

    try:
        Campaign.bundle_import(bundle, target)
    except StageError:
        assert not [p for p in target.parent.iterdir() if target.name in p.name and p != bundle]
        return True
    assert campaign_digest(target) == expected  # the byte said nothing: a date, a flag
    shutil.rmtree(target)
    return False


@pytest.mark.parametrize(
    "name", ["../escaped", "/escaped", "a/../../escaped", "a\\..\\escaped", "C:/x", "a//b"]
)
def test_a_name_that_leads_out_is_refused(made: Path, tmp_path: Path, name: str) -> None:
    """A bundle made by hand cannot write outside of the campaign, whatever its manifest says."""
    from sync.bundle import write_bundle

    with zipfile.ZipFile(made / "all.bundle") as archive:
        facts = json.loads(archive.read("manifest.json"))["facts"]
    (tmp_path / "evil").write_text("evil")
    write_bundle(tmp_path / "evil.bundle", [(name, tmp_path / "evil")], facts)
    told = call("bundle", "import", "evil.bundle", "in/camp", cwd=tmp_path, code=13).stderr

    assert "lead out of a directory" in told
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil", "evil.bundle"]


def test_what_the_manifest_does_not_name_is_refused(world: Path) -> None:
    """A file that was added to the archive afterwards makes it a damaged one."""
    with zipfile.ZipFile(world / "all.bundle", "a") as archive:
        archive.writestr("extra.txt", "extra")
    told = call("bundle", "import", "all.bundle", "new", cwd=world, code=13).stderr

    assert "other files than its manifest says" in told
    assert not (world / "new").exists()


def test_an_import_killed_before_any_step_on_disk_is_finished_by_the_same_import(world: Path) -> None:
    """The campaign is there whole or not at all, and what a dead import left is taken away by the next one."""
    script = Path(__file__).with_name("kill_steps.py")
    done = subprocess.run(
        [sys.executable, script, "new", world, "bundle", "import", "all.bundle", "new"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(world.glob(".new.stage-*"))


def test_an_export_names_what_is_not_in_it(world: Path) -> None:
    """Inputs that lie elsewhere are counted, with the command that brings them; a run that there is none is refused."""
    call("clone", "upstream", "direct", "-p", "pipeline.yaml", "-i", "net/raw", cwd=world)
    report = _json("bundle", "export", "../d.bundle", cwd=world / "direct")

    assert report["n_elsewhere"] == 6
    assert "stage fetch --artifacts copy" in "\n".join(report["notes"])
    assert "no run" in call("bundle", "export", "../e.bundle", "camp/r9", cwd=world / "camp", code=10).stderr
    assert not (world / "e.bundle").exists()
