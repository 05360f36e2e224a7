"""Heads in the background: `stage.batch.driving.starting`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import BusyError
from stage.batch.driving.asking import Ask, asked
from stage.batch.driving.starting import start_head, stop_head
from stage.batch.driving.states import read_states
from stage.batch.engines.base import EngineSettings, JobState
from stage.batch.engines.finding import save_engine
from stage.batch.engines.leftovers import TAG
from stage.batch.layout import SubmitDir
from stage.batch.workflow.file import save_workflow
from stage.errors import ExecutionError
from tests.batch_world import make_workflow, submit_dir


def prepared(root: Path, scripts: list[str]) -> SubmitDir:
    where = submit_dir(root)
    save_workflow(make_workflow(scripts, final="echo merged", where=where), where.workflow)
    save_engine(where, "local", EngineSettings("here", {"cores": 2}))
    return where


@pytest.fixture
def going(tmp_path: Path) -> Iterator[tuple[SubmitDir, int]]:
    """A head in the background, with a job that takes its time."""
    where = prepared(tmp_path / "run", ["env > env.txt; sleep 60", "true"])
    pid = start_head(where)
    try:
        yield where, pid
    finally:
        stop_head(where, cancel=False)


def test_head_is_a_process_of_its_own(going: tuple[SubmitDir, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a session of its own and no terminal, is nobody's child here, and hands nothing of ours on to jobs."""
    where, pid = going
    until = time.monotonic() + 20
    while not (where.root / "env.txt").exists() or not (where.root / "env.txt").read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
    seen = dict(
        line.split("=", 1) for line in (where.root / "env.txt").read_text().splitlines() if "=" in line
    )

    assert read_states(where).head is not None
    assert pid == read_states(where).head.pid  # type: ignore[union-attr]
    assert os.getsid(pid) != os.getsid(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    assert os.environ.get("PYTHONPATH") == seen.get("PYTHONPATH")
    assert seen[TAG].startswith(f"{where.root}#")


def test_second_head_is_refused(going: tuple[SubmitDir, int]) -> None:
    """Whoever starts another is told who the first is."""
    where, pid = going
    with pytest.raises(BusyError, match=f"process {pid} "):
        start_head(where)


def test_killed_head_is_seen_and_cancelled_by_a_new_one(going: tuple[SubmitDir, int]) -> None:
    """When there is no head, one is started to cancel: what had begun is deleted, and the final job runs."""
    where, pid = going
    os.kill(pid, signal.SIGKILL)
    while read_states(where).head is not None:
        time.sleep(0.01)

    assert stop_head(where, cancel=True)
    found = read_states(where)
    assert (True, True) == (found.is_cancelled, found.is_ended)
    assert JobState.DELETED == found.state_of(0)
    assert "merged\n" == where.final_log.read_text()
    assert asked(where) is None


def test_head_that_ends_at_once_is_an_error_with_what_it_said(tmp_path: Path) -> None:
    """A submission that cannot be driven is told by whoever starts its head, not found in a log."""
    where = prepared(tmp_path / "run", ["true"])
    save_engine(where, "local", EngineSettings("here", {"cores": -2}))

    with pytest.raises(ExecutionError, match="'cores'") as caught:
        start_head(where)
    assert str(where.head_log) in caught.value.hint


def test_nothing_is_asked_of_nobody(tmp_path: Path) -> None:
    """Where there is no head there is none to end."""
    where = submit_dir(tmp_path / "run")

    assert stop_head(where, cancel=False)
    assert asked(where) is None
    assert {Ask.LEAVE, Ask.CANCEL} == set(Ask)
