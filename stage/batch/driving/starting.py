"""Heads in the background: a process of its own that outlives the command that starts it, and how it is ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from registry.errors import BusyError, StageError
from stage.batch.driving.asking import Ask, ask
from stage.batch.driving.locking import living_head
from stage.batch.engines.leftovers import TAG
from stage.batch.layout import SubmitDir
from stage.errors import ExecutionError

__all__ = ["main", "start_head", "stop_head"]

_log = logging.getLogger(__name__)
# What is found here is found there too, but nothing of it is handed on to jobs, which may be other programs.
_BOOT = (
    "import sys, json; sys.path.extend(p for p in json.loads(sys.argv[2]) if p not in sys.path); "
    "from stage.batch.driving.starting import main; sys.exit(main(sys.argv[1]))"
)
_START_S = 60.0
_DONE, _FAILED, _TAKEN = "done: ", "failed: ", "taken: "
"""How the last that a head says begins."""
_FORMAT = "%(asctime)s %(levelname)s %(message)s"
# The shell starts it and ends, so that nobody has to wait for it; it prints the number of its process.
_DETACH = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'


def start_head(where: SubmitDir) -> int:
    """Start a head that goes on without us.

    Parameters
    ----------
    where : SubmitDir
        A submission that was prepared.

    Returns
    -------
    int
        Its process. It has the lock, or has already ended since all was done.

    Raises
    ------
    BusyError
        If there is one.
    ExecutionError
        If it ends at once; with what it said.
    """
    found = living_head(where)
    if found is not None:
        raise _taken(where, str(found))
    size = where.head_log.stat().st_size if where.head_log.exists() else 0
    command = [sys.executable, "-P", "-c", _BOOT, str(where.root), json.dumps([p for p in sys.path if p])]
    # Who starts it may be a job itself, the final one of a step: with that this head has nothing to do.
    environment = {k: v for k, v in os.environ.items() if k != TAG}
    shell = ["/bin/sh", "-c", _DETACH, "sh", str(where.head_log), *command]
    try:
        said = subprocess.run(
            shell, check=True, capture_output=True, env=environment, start_new_session=True, cwd=where.root
        )
        pid = int(said.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise ExecutionError(f"cannot start a head: {error}", code="no-head") from error
    _await_start(where, pid, size)
    return pid


def _taken(where: SubmitDir, holder: str) -> BusyError:
    return BusyError(
        f"{where.root} is driven by another head: {holder}",
        code="has-head",
        holder=holder,
        hint="See how far it is: stage batch report.",
    )


def _await_start(where: SubmitDir, pid: int, size: int) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        found = living_head(where)
        if found is not None and found.pid == pid:
            return
        if not _lives(pid):
            break
        time.sleep(0.02)
    else:
        return  # a slow machine: it will be there
    said = _since(where.head_log, size)
    if said and said[-1].startswith(_DONE):
        return
    # Of two that were started at once, the one that was quicker writes there too.
    if taken := next((line for line in said if line.startswith(_TAKEN)), ""):
        raise _taken(where, taken.removeprefix(_TAKEN))
    # What went wrong is before what to do about it; of a crash it is the last line.
    why = next((line for line in said if line.startswith(_FAILED)), said[-1] if said else "it said nothing")
    raise ExecutionError(
        f"the head of {where.root} ended at once: {why.removeprefix(_FAILED)}",
        code="no-head",
        hint=f"All that it said is in {where.head_log}.",
    )


def stop_head(where: SubmitDir, cancel: bool, timeout_s: float = 60.0) -> bool:
    """End a head: let it leave, or have all jobs cancelled, which a new one does if there is none.

    Parameters
    ----------
    where : SubmitDir
        The submission's directory.
    cancel : bool
        Whether all jobs are to be ended, and the final job is to run as its rules say. Otherwise jobs that go on
        without a head go on, and the others begin again with the next one.
    timeout_s : float, optional
        How long to wait for its end.

    Returns
    -------
    bool
        Whether it has ended; it may take longer to cancel jobs, or to run the final job.

    Raises
    ------
    StorageError
        If it cannot be told.
    ExecutionError
        If there was none to cancel jobs, and none can be started.
    """
    head = living_head(where)
    if head is None and not cancel:
        return True
    ask(where, Ask.CANCEL if cancel else Ask.LEAVE)
    if head is None:
        start_head(where)
    elif not cancel and head.host == socket.gethostname():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(head.pid, signal.SIGTERM)
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if living_head(where) is None:
            return True
        time.sleep(0.05)
    return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _since(log: Path, size: int) -> list[str]:
    with contextlib.suppress(OSError), log.open("rb") as handle:
        handle.seek(size)
        return [line for line in handle.read().decode(errors="replace").splitlines() if line.strip()]
    return []


def main(root: str) -> int:
    """Be a head: what `start_head` starts.

    Parameters
    ----------
    root : str
        The submission's directory.

    Returns
    -------
    int
        Exit code: 0 if all has ended, or it was told to leave; 1 if it could not go on.
    """
    from stage.batch.driving.head import run_head

    # A shell starts what is in its background deaf to these.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=_FORMAT)
    try:
        result = run_head(SubmitDir(Path(root)))
    except StageError as error:
        if isinstance(error, BusyError) and error.code == "has-head":
            sys.stderr.write(f"{_TAKEN}{error.holder}\n")
        else:
            sys.stderr.write(f"{_FAILED}{error}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return 1
    said = "all has ended" if result.is_ended else "left"
    sys.stderr.write(f"{_DONE}{said} after {result.elapsed_s:.1f} s\n")
    return 0
