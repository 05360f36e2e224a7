"""The campaign's lock: one changer at a time, readers free, the dead forgotten."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry.errors import BusyError, StorageError
from stage.campaign.lock import campaign_lock, read_holder

HOLD = """
import sys, time
from pathlib import Path
from stage.campaign.lock import campaign_lock
with campaign_lock(Path(sys.argv[1]), "stage run -j 8"):
    print("held", flush=True)
    time.sleep(60)
"""


def _hold(path: Path) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def _end(process: subprocess.Popen[str], how: signal.Signals) -> None:
    process.send_signal(how)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    """BusyError names the holder's command, process and host; a reader sees the same without waiting."""
    process = _hold(tmp_path / "lock")
    try:
        with (
            pytest.raises(BusyError, match=r"stage run -j 8") as caught,
            campaign_lock(tmp_path / "lock", "push"),
        ):
            pass
        holder = read_holder(tmp_path / "lock")
    finally:
        _end(process, signal.SIGKILL)

    assert str(process.pid) in caught.value.holder
    assert holder is not None
    assert process.pid == holder.pid


def test_a_dead_holder_is_healed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After kill -9 of the holder the lock can be taken at once, and the log says whose it was."""
    process = _hold(tmp_path / "lock")
    _end(process, signal.SIGKILL)

    assert read_holder(tmp_path / "lock") is None
    with campaign_lock(tmp_path / "lock", "push") as holder:
        assert os.getpid() == holder.pid
    assert f"process {process.pid}" in caplog.text


def test_waiting_ends_when_the_holder_does(tmp_path: Path) -> None:
    """With a timeout the lock is taken as soon as it is free."""
    process = _hold(tmp_path / "lock")
    process.terminate()
    began = time.monotonic()
    with campaign_lock(tmp_path / "lock", "push", timeout_s=20):
        waited_s = time.monotonic() - began
    _end(process, signal.SIGTERM)

    assert waited_s < 10


def test_one_process_excludes_itself(tmp_path: Path) -> None:
    """Two threads or two objects of one process are two holders, and reading does not lose the lock."""
    with campaign_lock(tmp_path / "lock", "run"):
        assert read_holder(tmp_path / "lock") is not None
        with pytest.raises(BusyError, match="run"), campaign_lock(tmp_path / "lock", "push"):
            pass
    with campaign_lock(tmp_path / "lock", "push"):
        pass


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A child that outlives its parent's hold, as a pool's worker may, does not hold the lock."""
    with campaign_lock(tmp_path / "lock", "run"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    try:
        process = _hold(tmp_path / "lock")
        _end(process, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()


def test_a_directory_that_cannot_be_locked_is_a_storage_error(tmp_path: Path) -> None:
    """A missing directory is told as such."""
    with pytest.raises(StorageError, match="cannot lock"), campaign_lock(tmp_path / "none" / "lock", "edit"):
        pass
