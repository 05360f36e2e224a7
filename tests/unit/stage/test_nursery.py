"""Tests of `stage.execution.nursery`: what is forked is whole, and how it ended is known."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

import pytest

from stage.errors import ExecutionError
from stage.execution.nursery import Forked, Nursery, can_fork
from stage.execution.worker_process import thread_env

pytestmark = pytest.mark.skipif(not can_fork(thread_env(1)), reason="workers are not forked here")


@pytest.fixture
def lifeline() -> Iterator[int]:
    """The read end of a pipe that ends with the test."""
    ours, theirs = os.pipe()
    yield ours
    os.close(theirs)
    os.close(ours)


@pytest.fixture
def nursery(lifeline: int) -> Iterator[Nursery]:
    """One that is closed in the end."""
    found = Nursery(thread_env(1), lifeline)
    yield found
    found.close()


def fork(nursery: Nursery, **env: str) -> tuple[Forked, Connection]:
    """Make a worker, which waits for its settings."""
    ours, theirs = Pipe(duplex=True)
    worker = nursery.fork(theirs.fileno(), env)
    theirs.close()
    return worker, ours


def test_a_worker_has_a_group_and_an_environment_of_its_own(nursery: Nursery, tmp_path: Path) -> None:
    """A signal to its group reaches nobody else, and its temporary files go where it is told."""
    worker, pipe = fork(nursery, TMPDIR=str(tmp_path))
    other, other_pipe = fork(nursery)

    assert os.getpgid(worker.pid) == worker.pid
    assert worker.poll() is None
    os.killpg(worker.pid, signal.SIGKILL)
    assert worker.wait(10) == -signal.SIGKILL
    assert worker.poll() == -signal.SIGKILL
    assert other.poll() is None
    other_pipe.close()
    assert other.wait(10) >= -signal.SIGKILL
    pipe.close()


def test_waiting_has_an_end(nursery: Nursery) -> None:
    """A worker that lives is waited for as long as is asked, and no longer."""
    worker, pipe = fork(nursery)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0.05)
    os.killpg(worker.pid, signal.SIGTERM)

    assert worker.wait(10) == -signal.SIGTERM
    pipe.close()


def test_a_nursery_that_died_says_so(nursery: Nursery) -> None:
    """No worker can be made any more, and how the others end is not known; nothing hangs."""
    worker, pipe = fork(nursery)
    os.kill(int(Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    with pytest.raises(ExecutionError, match="worker processes do not start"):
        fork(nursery)
    os.killpg(worker.pid, signal.SIGKILL)

    assert worker.wait(10) == 255
    assert not nursery.is_alive
    pipe.close()


def test_libraries_with_threads_are_not_forked() -> None:
    """Where the environment gives numerical libraries more than one thread, workers are processes of their own."""
    assert not can_fork({**thread_env(1), "OMP_NUM_THREADS": "4"})
    assert not can_fork({})
