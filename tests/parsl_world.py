"""Pilots of Parsl on this machine for tests, and what kills their workers."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from stage.batch.engines.base import DrivenEngine
from stage.batch.engines.leftovers import TAG

__all__ = ["kill_worker", "local_site", "need_parsl", "worker_of"]


def need_parsl() -> None:
    """Skip where Parsl is not installed."""
    pytest.importorskip("parsl", reason="needs Parsl: pip install 'stage[parsl]'")


def local_site(workers: int, **more: object) -> dict[str, object]:
    """Return the section of a site whose pilot is on this machine."""
    return {"provider": "local", "coresPerNode": workers, "memoryPerNode": 4000 * workers, **more}


def worker_of(number: int, root: Path | str = "") -> int:
    """Return the process of the worker that runs a job; of several submissions on this machine, the one in a directory."""
    wanted = f"{root}#{number}.".encode()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and wanted in _tag(entry):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if wanted not in _tag(Path("/proc", str(parent))):
                    return parent
    raise AssertionError(f"no process runs job {number}")


def _tag(process: Path) -> bytes:
    return next(
        (v for v in (process / "environ").read_bytes().split(b"\0") if v.startswith(TAG.encode())), b""
    )


def kill_worker(engine: DrivenEngine, number: int) -> None:
    """Kill the worker that runs a job."""
    os.kill(worker_of(number, engine._root), signal.SIGKILL)  # type: ignore[attr-defined]
