"""`stage doctor` says what a campaign stands on, and works where it is broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_campaign import call, make_upstream

from stage.campaign.campaign import Campaign
from stage.campaign.files import allows_wal, file_system, is_network
from stage.campaign.lock import campaign_lock
from stage.campaign.trying import try_directory
from tests.fsck_world import die_in_the_middle

NAMES = {
    "versions", "sqlite", "campaign", "lock", "staging", "upstream", "upstream's file system", "file system", "probe",
    "clock", "room", "processors", "memory", "open files",
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream and a campaign that has a graph and a run."""
    folder = tmp_path_factory.mktemp("sound")
    make_upstream(folder)
    call("clone", folder / "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", cwd=folder)
    call("run", "-j0", "-q", cwd=folder / "camp")
    return folder


@pytest.fixture
def camp(sound: Path, tmp_path: Path) -> Path:
    """A copy of the campaign."""
    shutil.copytree(sound / "camp", tmp_path / "camp")
    return tmp_path / "camp"


def lines(root: Path) -> dict[str, tuple[str, str, str]]:
    return {line.name: (line.status, line.text, line.hint) for line in Campaign.doctor(root).lines}


def test_a_sound_campaign_has_a_line_for_each_thing(camp: Path) -> None:
    """All is well, each thing is told of, and nothing is left behind."""
    before = sorted(p.name for p in camp.iterdir())
    found = lines(camp)

    assert set(found) >= NAMES
    assert {"bad"}.isdisjoint(status for status, _, _ in found.values())
    assert "can be trusted" in found["file system"][1]
    assert "rename" in found["probe"][1]
    assert before == sorted(p.name for p in camp.iterdir() if "sqlite3-" not in p.name)


def test_the_command_shows_a_line_each_and_ends_by_the_worst(camp: Path) -> None:
    """Exit code 0 where nothing is bad, 13 where something is; each bad line has its next step below."""
    assert "ok    versions" in call("doctor", cwd=camp).stdout
    document = json.loads(call("doctor", camp, "--json", cwd=camp.parent).stdout)
    assert NAMES <= {line["name"] for line in document["lines"]}
    (camp / ".campaign.json").write_text("{")
    shown = call("doctor", cwd=camp, code=13).stdout

    assert "bad   campaign" in shown
    assert "not valid JSON" in shown
    assert "Restore the file" in shown


def _kill_a_push(root: Path) -> None:
    upstream = root.parent / "upstream"
    shutil.copytree(json.loads((root / ".campaign.json").read_text())["repo"], upstream)
    _edit(root, repo=str(upstream))
    die_in_the_middle(upstream)


def _edit(root: Path, **changes: object) -> None:
    state = json.loads((root / ".campaign.json").read_text())
    (root / ".campaign.json").write_text(json.dumps({**state, **changes}))


@pytest.mark.parametrize(
    ("broken", "name", "text"),
    [
        (lambda root: (root / "staging.sqlite3").write_bytes(b"no database at all"), "staging", "not a database"),
        (lambda root: (root / "staging.sqlite3").unlink(), "staging", "is gone"),
        (lambda root: _edit(root, repo="/nowhere/at/all"), "upstream", "cannot be reached"),
        (_kill_a_push, "upstream", "has an unfinished change in its journal"),
    ],
)  # fmt: skip
def test_what_is_broken_is_one_bad_line_among_others(
    camp: Path, broken: object, name: str, text: str
) -> None:
    """No traceback: the thing is named with a next step, and all other things are told of."""
    broken(camp)  # type: ignore[operator]
    found = lines(camp)

    assert "bad" == found[name][0]
    assert text in found[name][1]
    assert found[name][2]
    assert {"versions", "probe", "room"} <= set(found)


def test_a_lock_is_told_with_its_holder(camp: Path) -> None:
    """Who holds it, with what command, since when, and whether that process lives."""
    with campaign_lock(camp / ".campaign.lock", "stage run -j4"):
        status, text, hint = lines(camp)["lock"]

    assert "warn" == status
    assert f"process {os.getpid()}" in text
    assert "stage run -j4" in text
    assert "lives" in text
    assert "--lock-timeout" in hint


def test_the_lock_of_a_dead_holder_heals_itself(camp: Path) -> None:
    """A command that was killed is named, and the lock is free."""
    code = (
        "import os, signal, sys, pathlib\n"
        "from stage.campaign.lock import campaign_lock\n"
        "with campaign_lock(pathlib.Path(sys.argv[1]), 'stage push'): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run(
        [sys.executable, "-c", code, camp / ".campaign.lock"], cwd=root, check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    status, text, hint = lines(camp)["lock"]

    assert "ok" == status
    assert "'stage push'" in text
    assert "heals" in hint


def test_network_file_systems_are_known_by_the_table_of_mounts(tmp_path: Path) -> None:
    """The innermost mount counts; a log is allowed on local ones alone."""
    table = tmp_path / "mounts"
    inner = tmp_path / "with space"
    inner.mkdir()
    shown = str(inner).replace(" ", "\\040")
    table.write_text(
        f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path} lustre rw 0 0\n/dev/sdb {shown} xfs rw 0 0\n"
    )

    assert (str(tmp_path), "lustre") == file_system(tmp_path, table)
    assert (str(inner), "xfs") == file_system(inner, table)
    assert is_network("lustre")
    assert not allows_wal(tmp_path, table)
    assert allows_wal(inner, table)


def test_a_log_on_a_network_file_system_is_bad(camp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign that was copied there still has its log, and cannot be trusted; without one it is only slow."""
    monkeypatch.setattr("stage.campaign.doctor.file_system", lambda _: ("/net", "nfs4"))
    status, text, hint = lines(camp)["file system"]

    assert ("bad", True, True) == (status, "nfs4" in text, "local disk" in hint)


def test_a_file_system_that_does_less_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without links artifacts are copied, which is no harm; without locks a campaign cannot be kept there."""

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    assert "ok" == try_directory(tmp_path)[0][1]
    monkeypatch.setattr("stage.campaign.trying.os.link", refuse)
    assert "warn" == try_directory(tmp_path)[0][1]
    monkeypatch.setattr("stage.campaign.trying.fcntl.lockf", refuse)
    name, status, text, hint = try_directory(tmp_path)[0]

    assert ("probe", "bad") == (name, status)
    assert "lock does not work here" in text
    assert hint
    assert [] == list(tmp_path.iterdir())


def test_a_clock_that_differs_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left-over files and logs are judged by both clocks."""
    import time

    now = time.time()
    monkeypatch.setattr("stage.campaign.trying.time.time", lambda: now + 3600)
    name, status, text, _ = try_directory(tmp_path)[1]

    assert ("clock", "bad") == (name, status)
    assert "3,600 s" in text or "3,599 s" in text
