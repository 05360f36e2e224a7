"""A campaign whose directory is at a URI: the same commands, from any machine, one at a time, and nothing lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_campaign import ROOT, call, make_upstream, stage

from registry.errors import BusyError, ConflictError, IntegrityError
from stage.campaign.afar.copy import copy_for
from stage.campaign.afar.generations import Generations
from stage.campaign.afar.lease import lease
from stage.campaign.afar.listing import PIECE_BYTES, names_in
from stage.campaign.campaign import Campaign
from stage.campaign.lock import Holder
from sync.filesystem import files
from tests.stores import Bucket, bucket, requests_sent, s3_server

__all__ = ["bucket", "s3_server"]
HERE = socket.gethostname()
LONG = os.environ.get("STAGE_FAULTS") == "long"


@pytest.fixture
def uri(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a campaign is to be kept; an upstream and a pipeline are in the working directory."""
    make_upstream(tmp_path)
    monkeypatch.chdir(tmp_path)
    move_to(tmp_path, "one", monkeypatch)
    return bucket.uri("people/ada/camp")


def move_to(folder: Path, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on at another machine: nothing that was kept on this one is there."""
    monkeypatch.setenv("STAGE_STATE_DIR", str(folder / machine))
    monkeypatch.setattr("socket.gethostname", lambda: HERE if machine == "one" else machine)


def clone(folder: Path, uri: str) -> None:
    """Make the campaign."""
    call("clone", "upstream", uri, "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n", cwd=folder)


def test_runs_of_a_bundle_come_into_a_campaign_at_a_uri(uri: str, tmp_path: Path) -> None:
    """Exported from there, run on without a network, and brought back: rows, logs, and files at the URI; twice is once."""
    env = {"STAGE_CAMPAIGN_DIR": uri}
    clone(tmp_path, uri)
    call("run", "-q", "-j0", cwd=tmp_path, env=env)
    call("bundle", "export", "all.bundle", cwd=tmp_path, env=env)
    told = call("bundle", "import", "all.bundle", f"{uri}-other", cwd=tmp_path, code=2).stderr
    assert "Import it into a local directory" in told
    call("bundle", "import", "all.bundle", "away", cwd=tmp_path)
    call("run", "-q", "-j0", "--new-run", "--use-qg-configs", cwd=tmp_path / "away")
    call("bundle", "export", "../back.bundle", "camp/r1", cwd=tmp_path / "away")

    report = json.loads(call("bundle", "import", "back.bundle", "--json", cwd=tmp_path, env=env).stdout)

    assert (report["is_new"], report["runs"]) == (False, ["camp/r1"])
    shutil.rmtree(copy_for(uri).root)
    assert json.loads(call("get", "total", "-i", "camp/r1", cwd=tmp_path, env=env).stdout)["n"] == 12
    assert "cleaning" in call("log", "clean", "--run", "camp/r1", cwd=tmp_path, env=env).stdout
    call("fsck", "--full", cwd=tmp_path, env=env)
    again = call("bundle", "import", "back.bundle", cwd=tmp_path, env=env).stdout
    assert "nothing to bring" in again


def test_the_round_from_three_machines(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made on one machine, run on the next, pushed from a third: each finds what the one before has done."""
    monkeypatch.setenv("STAGE_CAMPAIGN_DIR", uri)
    env = {"STAGE_CAMPAIGN_DIR": uri}
    said = call("status", cwd=tmp_path, env=env, code=10).stderr
    assert said.startswith(f"stage: {uri} is not a campaign directory")
    clone(tmp_path, uri)
    move_to(tmp_path, "two", monkeypatch)
    call("run", "-q", "-j", "2", cwd=tmp_path, env=env)
    made = json.loads(call("get", "total", cwd=tmp_path, env=env).stdout)
    assert made["stations"] == 3

    move_to(tmp_path, "three", monkeypatch)
    assert json.loads(call("get", "total", cwd=tmp_path, env=env).stdout) == made
    told = json.loads(call("status", "--json", cwd=tmp_path, env=env).stdout)
    assert told["name"] == "camp"
    assert told["runs"][0]["tasks"]["total"] == {"succeeded": 1}, told["runs"]
    assert [n for n in files.list_files(f"{uri}/data") if n.startswith("camp/r0/total")], (
        "outputs went there at once"
    )
    call("push", "--register-dataset-types", cwd=tmp_path, env=env)
    shown = call(
        "repo", "query", "upstream", "datasets", "total", "-i", "camp/r0", "--count", cwd=tmp_path
    ).stdout
    assert shown.strip().endswith("1")
    move_to(tmp_path, "one", monkeypatch)
    assert "push" in call("history", cwd=tmp_path, env=env).stdout


def test_only_what_has_changed_is_sent_and_brought(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a large file is one piece of it; a command that changes nothing sends nothing."""
    clone(tmp_path, uri)
    copy = copy_for(uri)
    with (copy.root / "large").open("wb") as handle:
        for i in range(4):
            handle.write(bytes([i]) * PIECE_BYTES)
    with requests_sent() as first:
        call("edit", "--campaign-docs", "a", "--campaign-dir", uri, cwd=tmp_path)
    assert sum(m == "PUT" for m in first.methods) >= 6
    with (copy.root / "large").open("r+b") as handle:
        handle.seek(2 * PIECE_BYTES + 7)
        handle.write(b"changed")
    with requests_sent() as second:
        call("edit", "--campaign-docs", "b", "--campaign-dir", uri, cwd=tmp_path)
    with requests_sent() as reading:
        call("status", "--campaign-dir", uri, cwd=tmp_path)
    assert reading.methods.count("PUT") == 0
    move_to(tmp_path, "two", monkeypatch)
    other = copy_for(uri)
    assert (other.root / "large").read_bytes() == (copy.root / "large").read_bytes()
    with (other.root / "large").open("r+b") as handle:
        handle.write(b"mine")
    call("edit", "--campaign-docs", "c", "--campaign-dir", uri, cwd=tmp_path)

    move_to(tmp_path, "one", monkeypatch)
    with requests_sent() as brought:
        again = copy_for(uri)
    assert (again.root / "large").read_bytes()[:4] == b"mine"
    assert brought.n_bytes < PIECE_BYTES
    assert sum(m == "PUT" for m in second.methods) < sum(m == "PUT" for m in first.methods) + 4


def test_who_changes_it_is_told_and_the_dead_are_healed(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one machine changes it another is told who does; whoever has been silent for long is dead."""
    clone(tmp_path, uri)
    place = Generations(uri).lock
    with lease(place, Holder("elsewhere", 7, "stage run", time.time_ns()), 0.0):
        with pytest.raises(BusyError, match=r"s3://.*camp is held by 'stage run' \(process 7 on elsewhere"):
            Campaign.load(uri).edit(campaign_docs="x")
        told = json.loads(call("status", "--json", "--campaign-dir", uri, cwd=tmp_path).stdout)
        assert (told["kept_at"], told["held_by"]["host"]) == (uri, "elsewhere"), "readers need no lock"
    # Another user of the same machine has a copy, and a lock of it, of his own.
    with lease(place, Holder(HERE, os.getppid(), "stage run", time.time_ns()), 0.0), pytest.raises(BusyError):
        Campaign.load(uri).edit(campaign_docs="x")
    Campaign.load(uri).edit(campaign_docs="x")

    document = {
        "holder": {"host": "elsewhere", "pid": 7, "command": "stage run", "since_ns": 1},
        "at_s": time.time() - 1000,
    }
    files.write_bytes(place, json.dumps(document).encode())
    Campaign.load(uri).edit(campaign_docs="y")
    assert not files.exists(place)
    move_to(tmp_path, "two", monkeypatch)
    assert Campaign.load(uri).state.doc == "y"


def test_two_who_save_at_a_time(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lock was taken from a machine that still lives, the second to save is refused, and loses nothing."""
    clone(tmp_path, uri)
    mine = copy_for(uri)
    changing = mine.changing(Holder("one", 1, "stage run", 1), 0.0)
    changing.__enter__()
    (mine.root / "pipeline.yaml").write_text("mine")
    files.remove(mine.kept.lock)
    move_to(tmp_path, "two", monkeypatch)
    Campaign.load(uri).edit(campaign_docs="theirs")
    move_to(tmp_path, "one", monkeypatch)
    with pytest.raises(ConflictError, match="was changed meanwhile by"):
        changing.__exit__(None, None, None)
    assert (mine.root / "pipeline.yaml").read_text() == "mine"
    with pytest.raises(ConflictError, match="has changes that were not saved") as caught:
        Campaign.load(uri).edit(campaign_docs="mine")

    command = caught.value.hint.partition(": ")[2]
    subprocess.run(command, shell=True, check=True)
    assert Campaign.load(uri).state.doc == "theirs"


def test_a_command_that_is_killed_loses_nothing(uri: str, bucket: Bucket, tmp_path: Path) -> None:
    """What it had done is in this machine's copy, and the next command saves it; others have a whole generation meanwhile."""
    clone(tmp_path, uri)
    before = Generations(uri).latest()
    code = (
        "import os, signal, sys; from stage.campaign.afar.generations import Generations\n"
        "Generations.add = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from stage.campaign.campaign import Campaign\n"
        f"Campaign.load({uri!r}).edit(campaign_docs='kept')"
    )
    environment = {**os.environ, **bucket.environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert Generations(uri).latest() == before
    shutil.copytree(tmp_path / "one", tmp_path / "kept")

    assert Campaign.load(uri).state.doc == "kept"
    call("edit", "--campaign-name", "new", "--campaign-dir", uri, cwd=tmp_path)
    assert Campaign.load(uri).state.doc == "kept"
    shutil.rmtree(tmp_path / "one")
    assert (Campaign.load(uri).state.doc, Campaign.load(uri).state.name) == ("kept", "new")


def test_old_generations_go_and_damage_is_told(uri: str, tmp_path: Path) -> None:
    """A few generations stay, with the pieces that they need; a piece that the store has damaged is named."""
    clone(tmp_path, uri)
    for i in range(7):
        Campaign.load(uri).edit(campaign_docs=str(i))
    kept = Generations(uri)
    numbers = [
        n for n in range(1, kept.latest() + 1) if files.exists(f"{uri}/.campaign/generations/{n:08d}.json")
    ]
    assert len(numbers) == 5
    needed = {p for n in numbers for e in kept.load(n).entries.values() for p in e.pieces}
    names = files.list_files(f"{uri}/.campaign/pieces")
    assert len(names) == len(needed)

    shutil.rmtree(tmp_path / "one")
    for name in names:
        files.write_bytes(f"{uri}/.campaign/pieces/{name}", b"not that")
    with pytest.raises(IntegrityError, match="is not what was written there"):
        Campaign.load(uri)


def test_a_machine_that_dies_while_it_brings_files(
    uri: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a generation is no change of anybody's: the next command brings the rest."""
    clone(tmp_path, uri)
    move_to(tmp_path, "two", monkeypatch)
    Campaign.load(uri).edit(campaign_docs="theirs")
    call("build", "--campaign-dir", uri, "-d", "station = 'aar'", cwd=tmp_path)
    move_to(tmp_path, "one", monkeypatch)
    code = (
        "import os, signal; from pathlib import Path\n"
        "from stage.campaign.afar.copy import WorkingCopy, copy_for\n"
        "make, n = WorkingCopy._make, []\n"
        "def killed(*a):\n"
        "    n.append(1)\n"
        "    make(*a) if len(n) < 3 else os.kill(os.getpid(), signal.SIGKILL)\n"
        "WorkingCopy._make = killed\n"
        f"copy_for({uri!r})"
    )
    environment = {**os.environ, **bucket.environment, "PYTHONPATH": str(ROOT)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode
        == -signal.SIGKILL
    )

    assert Campaign.load(uri).state.doc == "theirs"
    one, two = copy_for(uri).root, tmp_path / "two" / copy_for(uri).root.relative_to(tmp_path / "one")
    assert [(one / n).read_bytes() for n in names_in(one)] == [(two / n).read_bytes() for n in names_in(two)]


def test_without_the_store_one_can_look(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only reads gets what this machine has, and is told; who would change something is refused, and nothing is lost."""
    clone(tmp_path, uri)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        told = stage("status", "--campaign-dir", uri, cwd=tmp_path)
        failed = stage("edit", "--campaign-docs", "x", "--campaign-dir", uri, cwd=tmp_path, code=1)
        nothing = stage("status", "--campaign-dir", uri + "2", cwd=tmp_path, code=1)

    assert "campaign  camp\n" in told.stdout
    assert "as far as this machine knows" in told.stderr
    assert "the store of s3://" in failed.stderr
    assert "the store of s3://" in nothing.stderr


@pytest.mark.skipif(not LONG, reason="moments between steps are the short form (STAGE_FAULTS=long)")
def test_killed_at_any_moment(uri: str, bucket: Bucket, tmp_path: Path) -> None:
    """Whenever a run is killed, the same command ends it, and another machine then finds all of it."""
    clone(tmp_path, uri)
    rng = random.Random(7)
    environment = {**os.environ, **bucket.environment, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "cli", "run", "-q", "-j0", "--campaign-dir", uri]
    for _ in range(30):
        with subprocess.Popen(words, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
            time.sleep(rng.uniform(0.5, 4.0))
            process.kill()
    call("run", "-q", "-j0", "--campaign-dir", uri, cwd=tmp_path)

    shutil.rmtree(tmp_path / "one")
    told = json.loads(call("status", "--json", "--campaign-dir", uri, cwd=tmp_path).stdout)
    # One that was whole before it was killed stays; the command after it began another.
    assert {str(run["tasks"]["total"]) for run in told["runs"]} == {"{'succeeded': 1}"}
    assert json.loads(call("get", "total", "--campaign-dir", uri, cwd=tmp_path).stdout)["stations"] == 3
