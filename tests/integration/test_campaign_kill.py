"""kill -9 at any moment of clone, run and push: the same command again finishes the work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_campaign import ROOT, call, make_upstream

LONG = os.environ.get("STAGE_FAULTS") == "long"
MOMENTS_S = (0.3, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0) if LONG else (0.6, 1.2)


def _killed(words: list[str], cwd: Path, after_s: float) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        cwd=cwd,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_killed_commands_are_finished_by_the_same_commands(tmp_path: Path) -> None:
    """However often clone, run and push are killed, the end is that of an undisturbed round."""
    make_upstream(tmp_path)
    clone = ["clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw"]
    camp = tmp_path / "camp"
    for after_s in MOMENTS_S:
        shutil.rmtree(camp, ignore_errors=True)
        _killed(clone, tmp_path, after_s)
        if not (camp / ".campaign.json").exists():
            call(*clone, cwd=tmp_path)
        assert call("status", cwd=camp).stdout
    for after_s in MOMENTS_S:
        _killed(["run", "-q", "-j", "1"], camp, after_s)
    call("run", "-q", "-j0", cwd=camp)

    assert json.loads(call("get", "total", cwd=camp).stdout) == {"n": 12, "stations": 3}
    runs = [r for r in json.loads(call("status", "--json", cwd=camp).stdout)["runs"] if r["place"] == "past"]

    assert all(set(c) == {"succeeded"} for run in runs for c in run["tasks"].values())
    push = ["push", "--register-dataset-types", "--chain", "u/me"]
    for after_s in MOMENTS_S:
        _killed(push, camp, after_s)
    call(*push, cwd=camp)

    assert json.loads(call("push", "--json", cwd=camp).stdout)["is_empty"]
    found = json.loads(call("get", "total", "--repo", "upstream", "-i", "u/me", cwd=tmp_path).stdout)

    assert found == {"n": 12, "stations": 3}
    assert {r["push"] for r in json.loads(call("status", "--json", cwd=camp).stdout)["runs"]} == {"pushed"}


def test_a_clone_killed_before_any_step_on_disk_is_finished_by_the_same_clone(tmp_path: Path) -> None:
    """Each file made, renamed or linked is a moment to die at; what is left never stands in the way."""
    make_upstream(tmp_path)
    script = Path(__file__).with_name("kill_steps.py")
    words = ["clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw"]
    done = subprocess.run(
        [sys.executable, script, "camp", tmp_path, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 8


KILLS = "40" if LONG else "2"
"""Moments to die at, spread over all steps of a command on disk."""


@pytest.mark.parametrize(
    ("has_run", "words"),
    [
        (False, ("run", "-q", "-j0")),
        (True, ("push", "--register-dataset-types", "--chain", "u/me")),
    ],
    ids=["run", "push"],
)
def test_a_command_killed_before_a_step_on_disk_is_finished_by_the_same_command(
    tmp_path: Path, has_run: bool, words: tuple[str, ...]
) -> None:
    """Upstream has all of a push or nothing, status can be asked, and the end is that of an undisturbed round."""
    work = tmp_path / "work"
    work.mkdir()
    make_upstream(work)
    call(
        "clone", "upstream", "camp", "-p", "pipeline.yaml", "-i", "net/raw", "--next-run", "%c/r%n", cwd=work
    )
    if has_run:
        call("run", "-q", "-j0", cwd=work / "camp")
    shutil.copytree(work, tmp_path / "template")
    script = Path(__file__).with_name("kill_rounds.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path / "template", work, KILLS, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= int(KILLS)


def test_a_run_that_was_begun_when_its_command_was_killed_leaves_no_trace(tmp_path: Path) -> None:
    """Killed when the run was prepared but not yet kept: the same command takes the same name for its run."""
    make_upstream(tmp_path)
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
        cwd=tmp_path,
    )
    camp = tmp_path / "camp"
    code = (
        "import os, signal; from stage.campaign.change import Change;"
        "Change.keep = lambda self: os.kill(os.getpid(), signal.SIGKILL); from cli.main import run; run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "-j0"],
        cwd=camp,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert "camp/r0" in call("query", "collections", cwd=camp).stdout
    call("run", "-q", "-j0", cwd=camp)
    names = [c["name"] for c in json.loads(call("query", "collections", "--json", cwd=camp).stdout)]

    assert sorted(names) == ["camp", "camp/r0", "net/raw"]
    assert [r["name"] for r in json.loads(call("status", "--json", cwd=camp).stdout)["runs"]] == ["camp/r0"]
    call("run", "-q", "-j0", "--new-run", cwd=camp)

    assert [r["name"] for r in json.loads(call("status", "--json", cwd=camp).stdout)["runs"]] == [
        "camp/r1",
        "camp/r0",
    ]
