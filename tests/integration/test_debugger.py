"""``stage run --pdb`` on a real terminal: a person looks at the first failure, and the run ends there."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_campaign import ROOT, call, make_upstream, stage


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an upstream repository and a pipeline, of which a task fails for one station."""
    folder = tmp_path_factory.mktemp("debugger")
    make_upstream(folder)
    return folder


def clone(source: Path, camp: Path) -> Path:
    call(
        "clone", source / "upstream", camp, "-p", source / "pipeline.yaml", "-i", "net/raw",
        "-c", "clean:fail_on=bex", cwd=source,
    )  # fmt: skip
    return camp


def read_until(terminal: int, text: str, timeout_s: float = 60.0) -> str:
    """Return what comes on a terminal, up to some text."""
    seen, deadline = "", time.monotonic() + timeout_s
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            pytest.fail(f"{text!r} does not come: {seen[-2000:]}")
        seen += os.read(terminal, 4096).decode()
    return seen


def test_a_person_looks_at_the_first_failure(source: Path, tmp_path: Path) -> None:
    """The prompt is where the task raised, with its variables; after it nothing more is begun, and the code is 3."""
    camp = clone(source, tmp_path / "camp")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "run", "--pdb"], cwd=camp, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        where = read_until(ours, "(Pdb) ")
        os.write(ours, b"p 'station was ' + reading['station']\n")
        shown = read_until(ours, "(Pdb) ")
        os.write(ours, b"q\n")
        rest = read_until(ours, "failed")
        code = process.wait(60)
    finally:
        process.kill()
        os.close(ours)
    status = call("status", "--json", cwd=camp).stdout

    assert "raise ValueError" in where
    assert "station was bex" in shown
    assert (code, "Traceback" in rest) == (3, False)
    assert '"failed": 1' in status


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pdb",), "needs a terminal"),
        (("--pdb", "-j", "4"), "-j 4 asks for more"),
        (("--memory", "500", "-j", "0"), "cannot be held to an amount of memory"),
        (("--memory-max", "500"), "counts only where memory grows"),
        (("--memory-multiplier", "0.5"), "multiplied by 0.5"),
        (("--wrap", "nice"), "where the command of a worker goes"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_run(
    source: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """It is a matter of usage, and the campaign is as it was, without a run."""
    camp = clone(source, tmp_path / "camp")
    before = (camp / ".campaign.json").read_bytes()
    done = stage("run", *words, cwd=camp, code=2)

    assert said in done.stderr
    assert (camp / ".campaign.json").read_bytes() == before


def test_a_run_of_the_command_is_held_and_wrapped(source: Path, tmp_path: Path) -> None:
    """The options reach the workers: memory that a pipeline asks for, more of it after a failure, and the wrapper."""
    camp = clone(source, tmp_path / "camp")
    done = stage("run", "--wrap", "env STAGE_TEST_HEALED=1 {command}", "--memory-multiplier", "2", cwd=camp)

    assert "failed" not in done.stdout.replace("0 failed", "")
