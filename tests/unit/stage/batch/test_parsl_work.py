"""A worker's part of a job: `stage.batch.engines.parsl.work` and `warm`, in this process."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from stage.batch.engines.parsl import work
from stage.batch.engines.parsl.warm import Warmth
from stage.batch.engines.parsl.work import Ending, Task, run_task

SCRIPTS = Path(sys.executable).parent
PROGRAM = str(SCRIPTS / "stage")


@pytest.fixture(autouse=True)
def _own_warmth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a worker that has loaded nothing yet."""
    monkeypatch.setattr(work, "_warmth", Warmth())


def run(root: Path, *command: str, **more: object) -> Ending:
    """Run a job to its end."""
    task = Task("tag", command, str(root), str(root / "log"), str(root / "stop"), **more)  # type: ignore[arg-type]
    return run_task(task.pack())


def log(root: Path) -> str:
    return (root / "log").read_text()


def test_command_has_its_directory_environment_and_log(tmp_path: Path) -> None:
    """Any command runs in the submission's directory, with its variables, and prints to its log."""
    end = run(
        tmp_path, "sh", "-c", "pwd; echo $COLOUR; echo err >&2; exit 3", environment={"COLOUR": "green"}
    )

    assert ("FAILED", "exit", 3) == end[:3]
    assert f"{tmp_path}\ngreen\nerr\n" == log(tmp_path)


def test_own_program_is_forked_and_its_libraries_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our program runs in a fork with its own exit code; what it has loaded, the next one finds loaded."""
    told: list[int] = []
    load = work._warmth.load
    monkeypatch.setattr(work._warmth, "load", lambda names: (told.append(len(names)), load(names)))
    words = (PROGRAM, "exec", "nowhere.qg", "--quanta", "0", "--record", "r")

    assert ("FAILED", "exit", 10) == run(tmp_path, *words)[:3]
    assert "nowhere.qg" in log(tmp_path)
    first = list(told)
    assert ("FAILED", "exit", 10) == run(tmp_path, *words)[:3]
    assert first == told, "the second had nothing to load any more"


@pytest.mark.parametrize("why", ["process", "early", "other", "threads"])
def test_program_of_its_own_where_a_fork_would_not_do(tmp_path: Path, why: str) -> None:
    """Jobs that are to be processes, set variables of an interpreter's start, or are other programs, are not forked."""
    command = (PROGRAM, "--version") if why != "other" else ("sh", "-c", "exit 0")
    if why == "threads":
        work._warmth._forks = False
    more: dict[str, object] = {
        "process": {"forks": False},
        "early": {"environment": {"OMP_NUM_THREADS": "7"}},
    }.get(why, {})  # type: ignore[assignment]

    assert ("SUCCEEDED", "", 0) == run(tmp_path, *command, **more)[:3]
    assert not any(work._warmth._programs.values())


def test_time_and_memory_are_held_to(tmp_path: Path) -> None:
    """A job that takes too long, or more memory than it may have, is ended for that."""
    eat = "b = bytearray(300 << 20); import time; time.sleep(9)"

    assert ("FAILED", "time") == run(tmp_path, "sleep", "9", walltime=0.005)[:2]
    assert ("FAILED", "memory") == run(tmp_path, sys.executable, "-S", "-c", eat, memory_mb=60)[:2]


def test_cancelled_job_ends_or_does_not_begin(tmp_path: Path) -> None:
    """A job whose file is there is not begun; one that runs when it appears is ended."""
    stop = tmp_path / "stop"
    threading.Thread(target=lambda: (time.sleep(0.3), stop.touch())).start()

    assert ("DELETED", "cancelled", -15) == run(tmp_path, "sleep", "9", check_s=0.1)[:3]
    assert ("DELETED", "cancelled", None) == run(tmp_path, "touch", "begun")[:3]
    assert not (tmp_path / "begun").exists()


def test_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A command that cannot be started is told as such, by its name."""
    state, cause, code, message, host = run(tmp_path, "/no/such/program")

    assert ("FAILED", "start", None) == (state, cause, code)
    assert "cannot start /no/such/program" in message
    assert os.uname().nodename == host
