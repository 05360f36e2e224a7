"""Lives of a process that end at a named fault point, or at any moment: forks of this one, killed as by a power cut."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

from sync.faults import At

__all__ = ["Chance", "killed_at", "killed_sometime", "points_of"]


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


class Chance:
    """Moments at which something is killed: any up to the end that it had when nobody killed it.

    Parameters
    ----------
    seed : int, optional
        By default another one each time; it is printed.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = random.randrange(2**32) if seed is None else seed
        print("seed", self.seed)
        self._random = random.Random(self.seed)
        self._longest_s = 0.0

    def kills(self, act: Callable[[], object]) -> bool:
        """Do something in a child that is killed; tell whether it was before its end. The first time nobody is killed."""
        after_s = self._random.uniform(0, self._longest_s) if self._longest_s else None
        began = time.monotonic()
        killed = killed_sometime(act, after_s)
        if not killed:  # the machine may be quicker by now than it was
            self._longest_s = time.monotonic() - began
        return killed


def killed_sometime(act: Callable[[], object], after_s: float | None) -> bool:
    """Do something in a child that is killed after a time, if at all; tell whether it was before its end."""
    child = os.fork()
    if not child:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    began, ended, status = time.monotonic(), 0, 0
    while after_s is not None and not ended and (left_s := began + after_s - time.monotonic()) > 0:
        time.sleep(min(left_s, 0.002))
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        if after_s is not None:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), f"the child ended with {code}"
    return code != 0


def points_of(act: Callable[[At], object]) -> list[str]:
    """Do something to its end, and return the fault points that it passes, each once."""
    seen: list[str] = []
    act(seen.append)
    return list(dict.fromkeys(seen))
