"""Ctrl-C and SIGTERM, at whatever moment: one line, exit code 130, nothing left behind, and the same command goes on."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_campaign import ROOT, call, make_upstream

LONG = os.environ.get("STAGE_FAULTS") == "long"
_BEGIN = "from cli.entry import run; import os, sys; os.write(1, b'begin\\n'); run()"
"""The console script, which tells when its own first line is done: before that there is Python alone to answer."""

SLOW_TASKS = """
import time
from stage import Input, Output, task

BOTH = ("station", "month")


@task(
    dimensions=BOTH,
    inputs={"reading": Input(dataset_type="reading", storage_class="Json", dimensions=BOTH)},
    outputs={"clean": Output(dataset_type="clean", storage_class="Json", dimensions=BOTH)},
)
def clean(reading, seconds: float = 0.0):
    time.sleep(seconds)
    return reading
"""


def begin(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """Start a command, and wait until it is a program of ours."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BEGIN, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begin\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Wait for the end of a command; return its code, and what it wrote to standard error."""
    return process.wait(30), process.communicate()[1].splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_just_starting_ends_in_one_line(number: signal.Signals, tmp_path: Path) -> None:
    """From its first line on, a command that is told to end says so in one line, or has done its work."""
    found = []
    for i in range(60 if LONG else 9):
        with begin("--help", cwd=tmp_path) as process:
            time.sleep(i * (0.01 if LONG else 0.06))
            process.send_signal(number)
            found.append(ended(process))

    assert (130, ["stage: interrupted"]) in found
    assert [f for f in found if f not in [(130, ["stage: interrupted"]), (0, [])]] == []


IN_FINALIZER = """
import signal, sys, time
from cli.ending import run_process

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def command():
    Finalized()
    time.sleep(20)
    return 0

run_process(command)
"""


def test_an_end_that_comes_in_a_finalizer_is_not_lost() -> None:
    """What Python would only print there, since nothing gets out of a finalizer, ends the command a moment later."""
    done = subprocess.run(
        [sys.executable, "-c", IN_FINALIZER],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=15, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (130, "stage: interrupted\n")


def slow_campaign(folder: Path, seconds: float) -> Path:
    """Make a campaign whose quanta take a while."""
    make_upstream(folder)
    (folder / "slow_tasks.py").write_text(SLOW_TASKS)
    (folder / "slow.yaml").write_text(
        f"tasks:\n  clean:\n    function: slow_tasks.clean\n    config: {{seconds: {seconds}}}\n"
    )
    call("clone", "upstream", "camp", "-p", "slow.yaml", "-i", "net/raw", cwd=folder)
    return folder / "camp"


def test_each_command_can_be_interrupted_and_given_again(tmp_path: Path) -> None:
    """Whichever command is told to end, and whenever: no traceback, and the same command then does its work."""
    camp = slow_campaign(tmp_path, 0.0)
    rng = random.Random(5)
    commands = [
        ["build"], ["run", "-j", "1"], ["log"], ["push", "--register-dataset-types"], ["pop", "1"],
        *([["status"], ["edit", "--campaign-docs", "new"], ["report"], ["history"], ["fsck", "--full"]] if LONG else []),
    ]  # fmt: skip
    for words in commands:
        for _ in range(12 if LONG else 1):
            with begin(*words, cwd=camp) as process:
                time.sleep(rng.uniform(0.0, 1.2))
                process.send_signal(signal.SIGINT)
                code, said = ended(process)
            assert code in (0, 130), (words, said)
            assert "Traceback" not in "\n".join(said), words
            assert code == 0 or any("interrupted" in line for line in said), words
        # A run that was popped is not popped again.
        if words != ["pop", "1"]:
            call(*words, cwd=camp)

    assert json.loads(call("status", "--json", cwd=camp).stdout)["name"] == "camp"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_pressed_twice_kills_what_runs(number: signal.Signals, tmp_path: Path) -> None:
    """The first request waits for running quanta, the second kills them; no process is left, and the run can go on."""
    camp = slow_campaign(tmp_path, 60.0)
    with begin("run", "-q", "-j", "2", cwd=camp) as process:
        workers = _wait_for_workers(process.pid)
        process.send_signal(number)
        time.sleep(0.5)
        assert process.poll() is None
        asked = time.monotonic()
        process.send_signal(number)
        code, said = ended(process)

    assert code == 130
    assert time.monotonic() - asked < 10
    assert "waiting for 2 running quanta" in said[0]
    assert "killing 2 running quanta" in said[1]
    assert not any(_is_alive(pid) for pid in workers)
    counts = json.loads(call("status", "--json", cwd=camp).stdout)["runs"][0]["tasks"]["clean"]
    assert counts == {"begun": 2, "missing": 4}


def _wait_for_workers(head: int) -> list[int]:
    """Wait until two workers have begun a quantum; each tells its number in the first line of its log."""
    for _ in range(400):
        logs = [*(Path(f"/proc/{head}/cwd").resolve() / "logs").rglob("*.log")]
        told = [re.search(r", process (\d+)", log.read_text()) for log in logs]
        if len(found := [int(m[1]) for m in told if m]) == 2:
            return found
        time.sleep(0.05)
    raise AssertionError("no workers")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_logs_of_quanta_that_were_killed_with_their_run_are_shown(tmp_path: Path) -> None:
    """While a run lasts, ``log`` shows what runs; when its head was killed ``log --failed`` does, and says so."""
    camp = slow_campaign(tmp_path, 60.0)
    with begin("run", "-q", "-j", "2", cwd=camp) as process:
        workers = _wait_for_workers(process.pid)
        running = json.loads(call("log", "clean", "--json", cwd=camp).stdout)
        assert json.loads(call("log", "--failed", "--json", cwd=camp).stdout) == []
        process.kill()
        process.wait()
    for _ in range(100):
        if not any(_is_alive(pid) for pid in workers):
            break
        time.sleep(0.05)
    killed = json.loads(call("log", "--failed", "--json", cwd=camp).stdout)
    one = call("log", "clean", f"station={killed[0]['data_id']['station']}", "--tail", "1", cwd=camp).stdout

    assert [e["status"] for e in running] == ["running"] * 2
    assert [e["status"] for e in killed] == ["killed"] * 2
    assert all("the run ended before this was recorded" in e["message"] for e in killed)
    assert all(", attempt 0, on " in e["text"] for e in killed)
    assert ": killed\n" in one
    assert not any(_is_alive(pid) for pid in workers)
    # What is done again is recorded, and nothing is lost any more.
    call("run", "-q", "-j0", "--use-task-configs", "-c", "clean:seconds=0", "--new-run", cwd=camp)
    assert json.loads(call("log", "--failed", "--json", cwd=camp).stdout) == []
