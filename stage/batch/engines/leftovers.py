"""Ends what is left of jobs when their parent is gone: all processes that carry its tag in their environment.

Run as a script it is a *guard*: it waits for the end of its input, and unless it was told that all is well, ends what
carries the tag. So jobs end with a parent that was killed, whatever they had started themselves. It loads next to
nothing, since each engine of this machine has one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

__all__ = ["TAG", "Guard", "end_left_over"]

TAG = "STAGE_BATCH_JOB"
"""Variable that all processes of a job have: by it they are found when their parent is gone."""
_WELL = b"well\n"
_PATIENCE_S = 5.0


class Guard:
    """A process that outlives this one for a moment, to end what carries a tag.

    Parameters
    ----------
    tag : str
        How the values of `TAG` begin.
    """

    def __init__(self, tag: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-P", __file__, tag], stdin=subprocess.PIPE, start_new_session=True
        )

    def dismiss(self) -> None:
        """Let it end: there is nothing left to guard."""
        with contextlib.suppress(OSError):
            self._process.communicate(_WELL)
        self._process.wait()


def end_left_over(tag: str) -> int:
    """Kill what has a tag: jobs of a parent that was killed, and whatever they had started.

    Parameters
    ----------
    tag : str
        How the values of `TAG` begin.

    Returns
    -------
    int
        How many processes there were.
    """
    wanted = f"{TAG}={tag}".encode()
    seen: set[int] = set()
    # Again until there is none: one that was just begun may not have been seen.
    while found := {pid for pid in _others() if _has(pid, wanted)} - seen:
        seen |= found
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    left, until = seen, time.monotonic() + _PATIENCE_S
    while (left := {pid for pid in left if _has(pid, wanted)}) and time.monotonic() < until:
        time.sleep(0.005)
    return len(seen)


def _others() -> list[int]:
    with contextlib.suppress(OSError), os.scandir("/proc") as entries:
        return [int(e.name) for e in entries if e.name.isdigit() and int(e.name) != os.getpid()]
    return []


def _has(pid: int, wanted: bytes) -> bool:
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY)
    except OSError:
        return False
    environment = b"\0"
    with contextlib.suppress(OSError):
        while data := os.read(fd, 1 << 16):
            environment += data
    os.close(fd)
    return b"\0" + wanted in environment


if __name__ == "__main__":
    # Ctrl-C at a terminal, and what ends a service, are for the parent.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.readline() != _WELL:
        end_left_over(sys.argv[1])
