"""One campaign, many terminals: who reads is never held up, who changes waits its turn or is told whose it is."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer.main
from tiny_campaign import ROOT, call, campaign_digest, make_upstream

import stage
from cli.main import app
from registry.errors import BusyError
from stage.campaign.campaign import Campaign

READERS: dict[str, tuple[str, ...]] = {
    "config show": (),
    "describe": ("clean",),
    "bundle export": ("../all.bundle",),
    "diff": ("camp/r0", "camp/r1"),
    "draw graph": ("--status",),
    "draw pipeline": (),
    "get": ("total",),
    "history": (),
    "log": ("clean",),
    "plan": (),
    "qg draw": (),
    "qg show": (),
    "query collections": (),
    "query data-ids": ("station", "month"),
    "query dataset-types": (),
    "query datasets": ("clean",),
    "query records": ("station",),
    "report": (),
    "status": (),
    "why": ("total",),
}
"""Each command that only reads a campaign, and words for it."""
DRY: dict[str, tuple[str, ...]] = {
    "clean": ("--dry-run",),
    "drop": ("--dry-run",),
    "pop": ("1", "--dry-run"),
    "pull": ("--dry-run",),
    "push": ("--dry-run", "--register-dataset-types"),
    "rollback": ("1", "--dry-run"),
}
"""Commands that change something, but not so."""
WRITERS: dict[str, tuple[str, ...]] = {
    **{f"batch {stage}": ("job.yaml",) for stage in ("acquire", "cluster", "transform", "prepare", "submit")},
    "build": (),
    "clean": ("--yes",),
    "drop": ("--yes",),
    "edit": ("--campaign-docs", "mine"),
    "fetch": (),
    "fsck": ("--repair",),
    "merge": ("job.jsonl",),
    "pop": ("1",),
    "prep": (),
    "pull": (),
    "push": ("--register-dataset-types",),
    "qg build": (),
    "qg import": ("camp.qg",),
    "qg refresh": (),
    "register-dataset-types": (),
    "rollback": ("1", "--yes"),
    "run": ("-q", "-j0"),
}
"""Each command that changes a campaign, and words for it."""


def _commands(path: str, command: Any) -> dict[str, Any]:
    children = getattr(command, "commands", None) or {}
    found = {n: c for name, child in children.items() for n, c in _commands(f"{path} {name}", child).items()}
    return found or {path.strip(): command}


COMMANDS = {
    name: command
    for name, command in _commands("", typer.main.get_command(app)).items()
    if any(p.name == "campaign_dir" for p in command.params)
}
IS_WRITER = {
    name: any(p.name == "lock_timeout" for p in command.params) for name, command in COMMANDS.items()
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream and a campaign with a finished run, and a second one in which a quantum failed."""
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
    call("run", "-q", "-j0", cwd=folder / "camp")
    call("edit", "-c", "clean:fail_on=bex", cwd=folder / "camp")
    call("run", "-q", "-j0", "--use-task-configs", cwd=folder / "camp", code=3)
    return folder


@pytest.fixture
def camp(source: Path, tmp_path: Path) -> Path:
    """The campaign of a fresh copy of that folder."""
    folder = Path(shutil.copytree(source, tmp_path / "work"))
    state = folder / "camp" / ".campaign.json"
    state.write_text(state.read_text().replace(str(source), str(folder)))
    return folder / "camp"


@contextmanager
def _held(camp: Path, where: str = "transaction") -> Iterator[subprocess.Popen[str]]:
    """Hold a campaign in another process, in the middle of a change; it is killed in the end."""
    script = Path(__file__).with_name("many_terminals.py")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{camp.parent}"}
    holder = subprocess.Popen(
        [sys.executable, script, camp, where],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.stdin.close()
        holder.stdout.close()
        holder.wait()


def _answers(camp: Path) -> dict[str, str]:
    """Ask with every command that reads, and return what each says."""
    asked = [(n, w) for n, w in (*READERS.items(), *DRY.items()) if n in COMMANDS]
    return {name: _comparable(_ask(camp, name, words)) for name, words in asked}


def _ask(camp: Path, name: str, words: tuple[str, ...]) -> str:
    code = 1 if name == "diff" else 0  # as there: the runs are not the same
    return call(*name.split(), *words, cwd=camp, code=code).stdout


def _comparable(text: str) -> str:
    """Leave out what says that somebody holds the campaign, and how long it took."""
    lines = re.sub(r" +\d+\.\d s$", "", text, flags=re.MULTILINE).splitlines()
    return "\n".join(line for line in lines if "busy" not in line and "is held by" not in line)


def test_each_command_that_reads_is_tried() -> None:
    """The tables above have the program's commands, each as what it is."""
    assert {n for n in COMMANDS if not IS_WRITER[n]} - set(READERS) == set()
    assert {n for n in COMMANDS if IS_WRITER[n]} - set(WRITERS) == set()


def test_readers_are_not_held_up_by_a_transaction(camp: Path) -> None:
    """While another process has rows written and not committed, every command that reads says what it said before."""
    before = _answers(camp)
    with _held(camp) as holder:
        began = time.monotonic()
        during = _answers(camp)
        took_s = time.monotonic() - began
        busy = call("status", cwd=camp).stdout

    next_before, next_during = before.pop("status"), during.pop("status")
    assert during == before
    assert next_before.splitlines()[:4] == next_during.splitlines()[:4]
    assert took_s < 20, "nothing waited for a database to be free"
    assert f"busy      'stage run -j 8' (process {holder.pid} on {socket.gethostname()}, since 20" in busy


def test_readers_are_not_held_up_between_two_files(camp: Path) -> None:
    """While a new graph is in its place and the state that goes with it is not, every reading command answers."""
    with _held(camp, "files"):
        _answers(camp)

        assert "'stage run -j 8'" in call("edit", "--campaign-docs", "x", cwd=camp, code=11).stderr


def test_who_may_not_write_there_sees_who_holds_it_too(camp: Path) -> None:
    """The lock file can be looked at by who may only read it, and looking does not touch it."""
    lock = camp / ".campaign.lock"
    lock.chmod(0o444)
    with _held(camp):
        before = lock.stat()
        said = call("status", cwd=camp).stdout

        assert "busy" in said
        assert (lock.stat().st_mtime_ns, lock.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.fixture
def held(camp: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A campaign that another process holds, with a run that 'clean' would remove."""
    call("pop", cwd=camp)
    with _held(camp) as holder:
        yield camp, holder


def test_who_changes_is_told_who_holds_it(held: tuple[Path, subprocess.Popen[str]]) -> None:
    """Every command that changes a campaign ends with 11, names process, machine, command and since when, and changes nothing."""
    camp, holder = held
    (camp / "job.jsonl").write_text("")
    (camp / "job.yaml").write_text("computeSite: here\n")
    before = campaign_digest(camp)
    for name in (n for n in WRITERS if n in COMMANDS):
        told = call(*name.split(), *WRITERS[name], cwd=camp, code=11).stderr

        assert (
            f"held by 'stage run -j 8' (process {holder.pid} on {socket.gethostname()}, since 20" in told
        ), name
        assert "--lock-timeout" in told
    assert campaign_digest(camp) == before


def _start(camp: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        cwd=camp, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_who_waits_gets_its_turn(camp: Path) -> None:
    """With --lock-timeout a command says for whom it waits, and goes on as soon as that one ends."""
    with _held(camp) as holder:
        waiting = _start(camp, "edit", "--campaign-docs", "at last", "--lock-timeout", "60")
        assert waiting.stderr is not None
        said = waiting.stderr.readline()

        assert waiting.poll() is None
        assert said.startswith("waiting for 'stage run -j 8'")
        assert holder.stdin is not None
        holder.stdin.close()
        out, err = waiting.communicate(timeout=30)

    assert (waiting.returncode, err) == (0, "")
    assert "at last" in out
    assert json.loads((camp / ".campaign.json").read_text())["doc"] == "at last"


def test_waiting_has_an_end(held: tuple[Path, subprocess.Popen[str]]) -> None:
    """After so many seconds it is an error as without waiting, from Python too; a wait of less than none is refused."""
    camp, _ = held
    began = time.monotonic()
    call("edit", "--campaign-docs", "x", "--lock-timeout", "0.8", cwd=camp, code=11)

    assert 0.8 <= time.monotonic() - began < 10
    with stage.lock_timeout(0.5), pytest.raises(BusyError) as caught:
        Campaign.load(camp).edit(campaign_docs="x")

    assert caught.value.waited_s >= 0.5
    call("edit", "--lock-timeout", "-1", cwd=camp, code=2)
    call("edit", "--lock-timeout", "nan", cwd=camp, code=2)


def test_two_changes_at_once_are_both_made(camp: Path) -> None:
    """Of commands begun together each has its turn, and the history has them all, one after another."""
    started = [_start(camp, "edit", "--campaign-docs", f"{n}", "--lock-timeout", "60") for n in range(3)]
    for process in started:
        _, err = process.communicate(timeout=60)

        assert process.returncode == 0, err
    entries = [e for e in json.loads(call("history", "--json", cwd=camp).stdout) if "doc" in e["change"]]
    values = [entry["change"]["doc"] for entry in entries]

    assert sorted(new for _, new in values) == ["0", "1", "2"]
    assert [old for old, _ in values] == ["", *(new for _, new in values[:-1])]


def test_a_campaign_that_two_make_at_once_is_made_once(camp: Path) -> None:
    """The second is refused, and does not take the first one's lock away, so a third one is refused too."""
    work = camp.parent
    (work / "weather_tasks.py").write_text(
        (work / "weather_tasks.py")
        .read_text()
        .replace('print("clean', 'import time; time.sleep(1); print("clean')
    )
    words = (
        "run", "-q", "-j", "1", "--repo", "upstream", "--campaign-dir", "quick", "-p", "pipeline.yaml", "-i", "net/raw",
        "-d", "station = 'aar' AND month = 202601",
    )  # fmt: skip
    first = _start(work, *words)
    lock, deadline = work / "quick" / ".campaign.lock", time.monotonic() + 30
    while not (lock.exists() and lock.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.005)
    inode = lock.stat().st_ino
    for _ in range(2):
        assert f"process {first.pid} " in call(*words, cwd=work, code=11).stderr
        assert lock.stat().st_ino == inode
    _, err = first.communicate(timeout=60)

    assert first.returncode == 0, err
    assert call("get", "total", cwd=work / "quick").stdout


@pytest.mark.parametrize(
    ("host", "pid"),
    [("", os.getppid()), ("another-machine", os.getppid()), ("another-machine", 1)],
    ids=["its-number-is-another's", "elsewhere", "elsewhere-and-alive-here"],
)
def test_a_dead_holder_is_forgotten_whoever_has_its_number_now(camp: Path, host: str, pid: int) -> None:
    """What counts is the system's lock, not the name in the file: of this machine or of another one."""
    left = {"host": host or socket.gethostname(), "pid": pid, "command": "stage run", "since_ns": 1}
    (camp / ".campaign.lock").write_text(json.dumps(left))

    assert "busy" not in call("status", cwd=camp).stdout
    process = _start(camp, "edit", "--campaign-docs", "healed")
    _, err = process.communicate(timeout=30)

    assert process.returncode == 0
    assert f"healed the lock of 'stage run' (process {pid} on {left['host']}, since 1970" in err
    assert (camp / ".campaign.lock").read_text() == ""


def test_who_is_killed_in_a_transaction_leaves_a_campaign_that_goes_on(camp: Path) -> None:
    """After kill -9 the next command has the lock at once, says whose it was, and finds all as it was."""
    before = _answers(camp)
    with _held(camp) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()

    assert _answers(camp) == before
    process = _start(camp, "run", "-q", "-j0", "-c", "clean:fail_on=''", "--use-task-configs", "--new-run")
    _, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert f"healed the lock of 'stage run -j 8' (process {holder.pid}" in err
