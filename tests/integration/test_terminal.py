"""What a person at a terminal sees of a run: progress, Ctrl-C, and answers that nothing else is mixed into."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_campaign import ROOT, call, make_upstream, stage

SLOW = """
import ctypes
import os
import time
from pathlib import Path
from stage import Input, Output, task

BOTH = ("station", "month")


@task(
    dimensions=BOTH,
    inputs={"reading": Input(dataset_type="reading", storage_class="Json", dimensions=BOTH)},
    outputs={"slow": Output(dataset_type="slow", storage_class="Json", dimensions=BOTH)},
)
def slow(reading, seconds: float = 0.0):
    Path(os.environ["STAGE_TEST_STARTED"]).touch()
    print("printed by Python")
    os.write(1, b"written to the descriptor\\n")
    ctypes.CDLL(None).puts(b"kept in a buffer of the C library")
    time.sleep(seconds)
    return {}
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream repository and a task that takes its time."""
    folder = tmp_path_factory.mktemp("terminal")
    make_upstream(folder)
    (folder / "slow_tasks.py").write_text(SLOW)
    (folder / "slow.yaml").write_text("tasks:\n  slow: slow_tasks.slow\n")
    return folder


def clone(source: Path, camp: Path, **settings: float) -> Path:
    options = [word for k, v in settings.items() for word in ("-c", f"slow:{k}={v}")]
    call(
        "clone", source / "upstream", camp, "-p", source / "slow.yaml", "-i", "net/raw",
        "--next-run", "%c/r%n", *options, cwd=source,
    )  # fmt: skip
    return camp


def begin(camp: Path, *words: str) -> subprocess.Popen[str]:
    """Begin a command and wait until its first task runs."""
    started = camp.parent / "started"
    started.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        cwd=camp,
        env={**os.environ, "PYTHONPATH": str(ROOT), "STAGE_TEST_STARTED": str(started)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not started.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.2)  # the others begin too
    return process


def first_line(process: subprocess.Popen[str], beginning: str) -> float:
    """Return how long it takes until a line that begins so comes on standard error."""
    began = time.monotonic()
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(beginning):
            return time.monotonic() - began
    pytest.fail(f"no line begins with {beginning!r}")


def test_ctrl_c_is_answered_at_once_and_the_second_kills(source: Path, tmp_path: Path) -> None:
    """The first says how many quanta are waited for; the second ends them; then the same command can go on."""
    camp = clone(source, tmp_path / "camp", seconds=60)
    process = begin(camp, "run", "-j", "2")
    process.send_signal(signal.SIGINT)

    assert first_line(process, "interrupted: waiting for 2 running quanta") < 20
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert time.monotonic() - began < 30  # less than the quanta would have had
    assert process.returncode == 130
    assert "killing 2 running quanta" in err
    assert "interrupted; 'stage run' goes on from here" in out
    done = stage("run", "-j", "2", "-q", "--use-qg-configs", "--timeout", "1", cwd=camp, code=3,
                 env={"STAGE_TEST_STARTED": str(tmp_path / "again")})  # fmt: skip
    assert "timed out: it ran for more than 1 s" in done.stdout


def test_quanta_that_end_in_time_are_kept_after_ctrl_c(source: Path, tmp_path: Path) -> None:
    """One Ctrl-C lets what runs come to its end and records it; the rest is run by the same command."""
    camp = clone(source, tmp_path / "camp", seconds=1.5)
    process = begin(camp, "run", "-j", "2")
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "interrupted: waiting for 2 running quanta" in err
    assert "killing" not in err
    (run,) = json.loads(call("status", "--json", cwd=camp).stdout)["runs"]

    assert run["tasks"]["slow"] == {"succeeded": 2, "missing": 4}
    assert run["place"] == "current"
    env = {"STAGE_TEST_STARTED": str(tmp_path / "again")}
    again = json.loads(stage("run", "-j", "4", "--json", cwd=camp, env=env).stdout)

    assert (again["executed"], again["finished"]) == (4, True)


def test_exec_shows_progress_unless_it_is_to_be_quiet(source: Path, tmp_path: Path) -> None:
    """Lines on standard error say how far a job is; -q writes none of them; Ctrl-C says where to go on."""
    camp = clone(source, tmp_path / "camp", seconds=60)
    call("prep", cwd=camp)
    words = ("exec", "submit/camp/r0/graph.qg", "--quanta", "0-1", "--record", "r.jsonl")
    process = begin(camp, *words, "-j", "1")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "0 of 2 quanta done" in err
    assert "interrupted; the same command goes on from here" in out
    process = begin(camp, *words, "-j", "1", "-q", "--timeout", "1")
    out, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert "quanta done" not in err


def test_answers_are_json_whatever_tasks_write(source: Path, tmp_path: Path) -> None:
    """With -j 0 neither prints, nor writes to the descriptor, nor what a C library flushes at the end are in it."""
    camp = clone(source, tmp_path / "camp")
    env = {"STAGE_TEST_STARTED": str(tmp_path / "started")}
    done = stage("run", "-j0", "--json", cwd=camp, env=env)

    assert json.loads(done.stdout)["executed"] == 6
    for text in ("printed by Python", "written to the descriptor", "kept in a buffer of the C library"):
        assert done.stderr.count(text) == 6
    assert "PRINT" in call("log", "slow", cwd=camp).stdout


def test_a_closed_pipe_ends_a_command_quietly(source: Path, tmp_path: Path) -> None:
    """Who reads only the first line of an answer gets no traceback for it."""
    camp = clone(source, tmp_path / "camp")
    done = subprocess.run(
        f"{sys.executable} -m cli query datasets | head -n 1",
        shell=True, cwd=camp, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_an_answer_that_nobody_reads_changes_no_exit_code(source: Path, tmp_path: Path) -> None:
    """A command ends with its own code, and what it had to do is done; also where there is no output at all."""
    camp = tmp_path / "camp"
    call(
        "clone", source / "upstream", camp, "-p", source / "pipeline.yaml", "-i", "net/raw", "-c", "clean:fail_on=bex",
        cwd=source,
    )  # fmt: skip

    def code(words: str, **env: str) -> int:
        """Return the exit code, as a pipeline with pipefail has it, of a command whose answer fills no pipe."""
        line = f"set -o pipefail; {sys.executable} -m cli {words}"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
        done = subprocess.run(
            ["bash", "-c", line], cwd=camp, env=environment, capture_output=True, check=False, timeout=60
        )
        assert b"Traceback" not in done.stderr
        return done.returncode

    assert code("run -j0 | true") == 3
    assert code("run -j0 >&- 2>&-") == 3
    assert code("run -j1 2>&1 | true", STAGE_TEST_HEALED="1") == 0
    assert json.loads(call("get", "total", cwd=camp).stdout)["stations"] == 3


def test_a_long_answer_ends_with_its_reader(source: Path, tmp_path: Path) -> None:
    """Of what fills no pipe only the beginning is read: that is no failure of the command; a full disk is one."""
    camp = clone(source, tmp_path / "camp")
    code = "import sys; from cli.ending import *; run_process(lambda: code_of(lambda: {}, is_debug=lambda: False))"
    forever = code.format("[sys.stdout.write('x' * 99 + chr(10)) for _ in iter(int, 1)]")
    socket = code.format("(_ for _ in ()).throw(BrokenPipeError(32, 'Broken pipe', 'a server'))")
    for words, expected in (
        (f'{sys.executable} -c "{forever}" | head -n 1', 0),
        (f'{sys.executable} -c "{socket}" | cat', 1),
        (f"{sys.executable} -m cli query datasets > /dev/full", 1),
    ):
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {words}"],
            cwd=camp, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

        assert done.returncode == expected, (words, done.stderr)
        assert bool(done.stderr) == bool(expected)
        assert "Traceback" not in done.stderr
