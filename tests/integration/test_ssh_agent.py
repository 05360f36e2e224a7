"""The agent of a far machine: what it is told and tells by files, killed, told twice, alone, and over a line that breaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from registry.errors import StorageError
from stage.batch.engines.base import EngineSettings
from stage.batch.engines.ssh.connection import Connection
from stage.batch.engines.ssh.options import SshOptions
from stage.batch.engines.ssh.packing import send_packages
from stage.batch.workflow.model import JobSettings
from tests.ssh_world import FarMachine, need_sshd, running_sshd

REPO = Path(__file__).parents[2]
AGENT = ("-P", "-m", "stage.batch.engines.ssh.agent")
PATIENCE_S = 60.0


class Run:
    """A run's directory with its agents."""

    def __init__(self, root: Path, engine: str = "local", **more: Any) -> None:
        self.root = root
        self.home = root / "agent"
        for folder in (self.home, root / "submit"):
            folder.mkdir(parents=True)
        settings = EngineSettings("far", {"cores": 4, "memory": 4000}, "u/run")
        document = {"engine": engine, "settings": asdict(settings), **more}
        (self.home / "agent.json").write_text(json.dumps(document))
        self.agents: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start an agent."""
        with (self.home / "agent.log").open("ab") as log:
            words = [sys.executable, *AGENT, str(self.root)]
            environment = {**os.environ, "PYTHONPATH": str(REPO)}
            found = subprocess.Popen(words, env=environment, stdout=log, stderr=log, cwd=self.root)
        self.agents.append(found)
        return found

    def say(self, **message: Any) -> None:
        """Say something to them."""
        with (self.home / "inbox.jsonl").open("a") as box:
            box.write(json.dumps(message) + "\n")

    def ask(self, number: int, *command: str, attempt: int = 0) -> dict[str, Any]:
        """Return a request."""
        return request(self.root, number, *command, attempt=attempt)

    def said(self) -> list[dict[str, Any]]:
        """Return all that they have said."""
        path = self.home / "outbox.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def told(self, kind: str) -> list[Any]:
        """Return what they have said of one kind."""
        return [message[kind] for message in self.said() if kind in message]

    def ends(self) -> list[tuple[int, int, str, str]]:
        """Return the ends that they have said: job, attempt, state, cause."""
        rows = [row for rows in self.told("events") for row in rows]
        return [(r[0], r[1], r[2], r[3]) for r in rows if r[2] in {"SUCCEEDED", "FAILED", "DELETED"}]

    def wait(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so."""
        until = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < until, (self.said(), (self.home / "agent.log").read_text())
            time.sleep(0.02)

    def end(self) -> None:
        """Kill what is left."""
        for agent in self.agents:
            agent.kill()
            agent.wait()


def request(root: Path | str, number: int, *command: str, attempt: int = 0) -> dict[str, Any]:
    """Return an attempt as home writes it."""
    settings = JobSettings("kind", retry_unless_exit=(7,), environment=(("A", "b"),), extra=(("x", [1]),))
    return {
        "number": number,
        "name": f"kind_{number}",
        "attempt": attempt,
        "command": list(command),
        "log": f"{root}/submit/{number}.{attempt}.log",
        "memory_mb": None,
        "after": [],
        "settings": asdict(settings),
    }


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Make runs, whose agents are gone when the test is over."""
    made: list[Run] = []

    def new(engine: str = "local", **more: Any) -> Run:
        made.append(Run(tmp_path / f"run {len(made)}", engine, **more))
        return made[-1]

    yield new
    for run in made:
        run.end()


def test_it_runs_what_it_is_told_and_ends_when_it_is_told(make: Callable[..., Run]) -> None:
    """Jobs run within its engine's room and are told, more than fit at once too; one is cancelled; then it ends."""
    run = make()
    run.say(start=[run.ask(n, "sh", "-c", f"echo {n}$A; exit {n // 9}") for n in range(10)])
    agent = run.start()
    run.say(start=[run.ask(20, "sleep", "60")])
    run.wait(lambda: any(row[:3] == [20, 0, "RUNNING"] for rows in run.told("events") for row in rows))
    run.say(cancel=[20, 77])
    run.wait(lambda: len(run.ends()) == 11)
    run.say(end=True)
    assert 0 == agent.wait(PATIENCE_S)
    expected = [(n, 0, "SUCCEEDED", "") for n in range(9)]
    assert [*expected, (9, 0, "FAILED", "exit"), (20, 0, "DELETED", "cancelled")] == sorted(run.ends())
    assert "3b\n" == (run.root / "submit/3.0.log").read_text()
    (hello,) = run.told("hello")
    assert (agent.pid, "local", 4, False, 1) == tuple(
        hello[k] for k in ("pid", "engine", "capacity", "looks_ahead", "version")
    )
    assert [{"why": "end"}] == run.told("bye")
    assert not (run.home / "agent.beat").exists()


def test_a_request_given_twice_is_run_once(make: Callable[..., Run]) -> None:
    """The same attempt again is none; if it has ended its end is said again; the next attempt is one."""
    run = make()
    job = run.ask(1, "sh", "-c", "echo ran; sleep 0.3")
    run.say(start=[job, job])
    run.start()
    run.say(start=[job])
    run.wait(run.ends)
    assert [(1, 0, "SUCCEEDED", "")] == run.ends()
    run.say(start=[job])
    run.wait(lambda: len(run.ends()) == 2)
    run.say(start=[run.ask(1, "echo", "ran", attempt=1)])
    run.wait(lambda: len(run.ends()) == 3)
    assert [(1, 0, "SUCCEEDED", ""), (1, 1, "SUCCEEDED", "")] == run.ends()[1:]
    assert "ran\n" == (run.root / "submit/1.0.log").read_text()


def test_jobs_that_were_lost_with_it_are_said_so(make: Callable[..., Run]) -> None:
    """Of one that was killed the guard of its engine ends the jobs; the next says that they are lost, and goes on."""
    run = make()
    run.say(start=[run.ask(1, "sh", "-c", "sleep 60; true"), run.ask(2, "true")])
    agent = run.start()
    run.wait(lambda: (2, 0, "SUCCEEDED", "") in run.ends() and len(run.told("given")) >= 1)
    run.wait(lambda: any(row[:3] == [1, 0, "RUNNING"] for rows in run.told("events") for row in rows))
    agent.send_signal(signal.SIGKILL)
    agent.wait()
    run.say(start=[run.ask(3, "true")])
    run.start()
    run.wait(lambda: len(run.ends()) == 3)
    assert [(2, 0, "SUCCEEDED", ""), (1, 0, "FAILED", "node"), (3, 0, "SUCCEEDED", "")] == run.ends()
    assert 2 == len(run.told("hello"))


def test_jobs_that_leave_are_found_again(make: Callable[..., Run]) -> None:
    """Where jobs go on without their engine, the next agent finds them, those that ended meanwhile too."""
    run = make("tests.ssh_engines:Leaving")
    run.say(start=[run.ask(1, "sleep", "1"), run.ask(2, "sh", "-c", "sleep 0.5; exit 3")])
    agent = run.start()
    run.wait(lambda: [[1, 0], [2, 0]] == [r[:2] for rows in run.told("given")[1:] for r in rows])
    agent.kill()
    agent.wait()
    time.sleep(0.6)
    run.start()
    run.wait(lambda: len(run.ends()) == 2)
    assert [(1, 0, "SUCCEEDED", ""), (2, 0, "FAILED", "exit")] == sorted(run.ends())


def test_a_busy_engine_is_asked_again(make: Callable[..., Run]) -> None:
    """What an engine cannot do now is put off, told once, and done when it can be; jobs run once."""
    run = make("tests.ssh_engines:Moody")
    (run.root / "submit/mood").write_text("start:busy start:busy poll:away")
    run.say(start=[run.ask(1, "echo", "ran")])
    run.start()
    run.wait(run.ends)
    assert [(1, 0, "SUCCEEDED", "")] == run.ends()
    assert "ran\n" == (run.root / "submit/1.0.log").read_text()
    told = [(e["message"], e["transient"]) for e in run.told("error")]
    assert [("the queue is busy", True), ("the queue is away", True)] == told


def test_what_no_waiting_helps_against_is_told(make: Callable[..., Run]) -> None:
    """An engine that fails for good, or cannot be had, is told with what to do, and the agent leaves."""
    run, other = make("tests.ssh_engines:Moody"), make("no-such-engine")
    (run.root / "submit/mood").write_text("poll:broken")
    run.say(start=[run.ask(1, "sleep", "60")])
    assert [1, 1] == [agent.wait(PATIENCE_S) for agent in (run.start(), other.start())]
    (said,) = run.told("error")
    assert {"code": "moody", "message": "the queue is broken", "hint": "Wait.", "transient": False} == said
    assert "no-engine" == other.told("error")[0]["code"]
    assert [{"why": "error"}] == other.told("bye")


def test_a_second_agent_leaves(make: Callable[..., Run]) -> None:
    """While one lives, or has just beaten on another machine, a second does nothing; a beat that is old counts for nothing."""
    run = make()
    first = run.start()
    run.wait(lambda: run.told("hello"))
    assert 0 == run.start().wait(PATIENCE_S)
    assert first.poll() is None
    assert "there is an agent" in (run.home / "agent.log").read_text()
    first.kill()
    first.wait()
    beat = run.home / "agent.beat"
    beat.write_text(json.dumps({"host": "another", "pid": 1}))
    assert 0 == run.start().wait(PATIENCE_S)
    assert 1 == len(run.told("hello"))
    os.utime(beat, (0, time.time() - 300))
    run.start()
    run.wait(lambda: len(run.told("hello")) == 2)


def test_it_ends_when_nobody_looks_any_more(make: Callable[..., Run]) -> None:
    """With nothing to run, and nobody who looks after it for as long as it is told, it ends by itself."""
    run = make(orphan_s=0.5)
    run.say(start=[run.ask(1, "sleep", "1")])
    assert 0 == run.start().wait(PATIENCE_S)
    assert [(1, 0, "SUCCEEDED", "")] == run.ends()
    assert [{"why": "orphan"}] == run.told("bye")


def test_an_end_is_for_those_who_hear_it(make: Callable[..., Run]) -> None:
    """One that is started after an earlier one was ended stays; one whose forerunner was killed before ends."""
    run = make()
    run.say(end=True)
    assert 0 == run.start().wait(PATIENCE_S)
    later = run.start()
    run.wait(lambda: len(run.told("hello")) == 2)
    time.sleep(0.3)
    assert later.poll() is None
    later.send_signal(signal.SIGTERM)
    assert 0 == later.wait(PATIENCE_S)
    assert [{"why": "end"}, {"why": "signal"}] == run.told("bye")


def test_a_line_that_was_torn_is_passed_by(make: Callable[..., Run]) -> None:
    """Half a line in a box, which a machine that went down has left, hides nothing that follows it."""
    run = make()
    (run.home / "inbox.jsonl").write_text('{"start": [\n')
    (run.home / "outbox.jsonl").write_text('{"events": [[1, 0, "SUCC')
    run.say(start=[run.ask(1, "true")])
    run.start()
    run.wait(lambda: '"SUCCEEDED"' in (run.home / "outbox.jsonl").read_text())
    assert (run.home / "outbox.jsonl").read_text().startswith('{"events": [[1, 0, "SUCC\n{')


@pytest.mark.parametrize(
    ("words", "answer"),
    [(["ping"], {"answer": "this machine: 4 cores, 4,000 MB"}), (["memory", "node.*"], {"answer": 4000})],
)
def test_it_can_be_asked_once(make: Callable[..., Run], words: list[str], answer: object) -> None:
    """What is asked of its engine is answered in one line of JSON, and nothing else is left."""
    run = make()
    asked = [sys.executable, *AGENT, str(run.root), "--ask", *words]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(asked, env=environment, capture_output=True, check=True, cwd=run.root)
    assert answer == json.loads(done.stdout)
    assert ["agent.json"] == [p.name for p in run.home.iterdir()]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarMachine]:
    """A far machine for all tests of this module."""
    need_sshd()
    with running_sshd(tmp_path_factory.mktemp("far")) as found:
        yield found


def test_no_event_is_lost_with_the_line(machine: FarMachine) -> None:
    """Over a line that is cut and mended time and again an agent hears and tells each thing, once."""
    line = Connection(SshOptions.from_section(machine.section()))
    name = "runs/cut"
    settings = EngineSettings("far", {"cores": 2, "memory": 1000})
    line.put(
        f"{name}/agent/agent.json", json.dumps({"engine": "local", "settings": asdict(settings)}).encode()
    )
    line.put(f"{name}/submit/there", b"")
    hello, code = line.open(), send_packages(line)
    words = [hello.python, *AGENT, f"{hello.base}/{name}"]
    log = f"{name}/agent/agent.log"
    line.start(words, cwd=f"{name}/submit", log=log, environment={"PYTHONPATH": code})
    said = b""
    for n in range(4):
        job = request(f"{hello.base}/{name}", n, "sh", "-c", "echo $STAGE_FAR_MACHINE; sleep 0.2")
        line.append(f"{name}/agent/inbox.jsonl", json.dumps({"start": [job]}).encode() + b"\n")
        machine.cut()
        with pytest.raises(StorageError):
            line.stat(["x"])
        machine.mend()
        said += line.tail(f"{name}/agent/outbox.jsonl", len(said), 5)
    until = time.monotonic() + PATIENCE_S
    while said.count(b"SUCCEEDED") < 4 and time.monotonic() < until:
        said += line.tail(f"{name}/agent/outbox.jsonl", len(said), 5)
    line.append(f"{name}/agent/inbox.jsonl", b'{"end":true}\n')
    while b"bye" not in said and time.monotonic() < until:
        said += line.tail(f"{name}/agent/outbox.jsonl", len(said), 5)
    line.close()
    events = [row for s in said.splitlines() for row in json.loads(s).get("events", ())]
    for state in ("RUNNING", "SUCCEEDED"):
        assert [0, 1, 2, 3] == [row[0] for row in events if row[2] == state]
    assert b"hello" in said
    # It is what was sent that ran there, not what is installed.
    assert (Path(code) / "stage/batch/engines/ssh/__pycache__").exists()
