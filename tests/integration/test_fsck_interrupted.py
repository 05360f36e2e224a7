"""A check in which somebody presses Ctrl-C, at whatever moment: it says that, and never that something is wrong."""

from __future__ import annotations

import os
import signal
import time
import traceback
from functools import partial
from pathlib import Path

import pytest

from sync.fsck.plan import plan_fsck
from sync.repo import Repo
from tests.databases import Database
from tests.fsck_world import make_world

pytest.importorskip("lsst.sphgeom")
MOMENTS = 250 if os.environ.get("STAGE_FAULTS") == "long" else 12
SOUND, WRONG, FAILED, INTERRUPTED = 0, 13, 1, 130


def pressed(root: Path, after_s: float) -> int:
    """Check a repository in a child that is interrupted after a time; return how it ended."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = FAILED
    try:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        if after_s:
            signal.setitimer(signal.ITIMER_REAL, after_s)
        plan = plan_fsck(str(root), partial(Repo.open, root), depth="full", older_than_s=-1.0)
        code = WRONG if plan.wrong else SOUND
        if plan.wrong:
            print(*plan.wrong, sep="\n", flush=True)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BaseException:  # noqa: BLE001 - whatever it is, the code tells it
        traceback.print_exc()
    finally:
        os._exit(code)


def test_an_interrupted_check_finds_nothing_wrong(
    database: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends as interrupted, or was done before; nothing it could not look at any more is called damaged."""
    root = tmp_path / "repo"
    make_world(root, database.url() if database.name == "postgres" else None)
    plan_fsck(str(root), partial(Repo.open, root), depth="full")  # children need not import anything
    began = time.monotonic()
    assert pressed(root, 0.0) == SOUND
    longest_s = time.monotonic() - began
    # Starting a check on a server takes long beside what it then does.
    count = MOMENTS if database.name == "sqlite" else MOMENTS // 2
    ends = [pressed(root, longest_s * (i + 1) / (2 * count)) for i in range(count)]

    assert set(ends) <= {SOUND, INTERRUPTED}, capfd.readouterr()
    assert INTERRUPTED in ends
