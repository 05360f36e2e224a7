"""Lives of a process that end at a named fault point: a fork of this one, killed as by a machine that loses power."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from sync.faults import At

__all__ = ["killed_at", "points_of"]


def killed_at(point: str, act: Callable[[At], object], *, nth: int = 1) -> bool:
    """Do something in a child that is killed when it comes to a point for the n-th time; tell whether it came there."""
    if child := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL), f"the child ended with {code}"
        return code != 0
    seen = 0

    def at(name: str) -> None:
        nonlocal seen
        if name == point:
            seen += 1
            if seen == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        act(at)
        code = 0
    finally:
        os._exit(code)


def points_of(act: Callable[[At], object]) -> list[str]:
    """Do something to its end, and return the fault points that it passes, each once."""
    seen: list[str] = []
    act(seen.append)
    return list(dict.fromkeys(seen))
