"""What a quantum costs: wall and CPU time, and peak memory as good as the system tells."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time

__all__ = ["Usage"]

_CLEAR = "/proc/self/clear_refs"
_STATUS = "/proc/self/status"


def _cpu_ns() -> int:
    """CPU time of this process and of those it has waited for, in nanoseconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time_ns() + int((children.ru_utime + children.ru_stime) * 1e9)


def _largest_bytes(who: int) -> int:
    # Linux counts in kilobytes, macOS in bytes.
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _high_water_bytes() -> int:
    """Largest resident memory since it was last reset; 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError):
        fd = os.open(_STATUS, os.O_RDONLY)
        try:
            text = os.read(fd, 4096)
        finally:
            os.close(fd)
        _, found, rest = text.partition(b"VmHWM:")
        if found:
            return int(rest.split(None, 1)[0]) * 1024
    return 0


def _reset_high_water() -> bool:
    """Make the high-water mark of this process start from what it uses now (Linux 4.0 and later)."""
    try:
        fd = os.open(_CLEAR, os.O_WRONLY)
        try:
            os.write(fd, b"5")
        finally:
            os.close(fd)
    except OSError:
        return False
    return True


class Usage:
    """Measures one quantum, from its making to `stop`.

    Attributes
    ----------
    started_ns, finished_ns : int
        UTC nanoseconds since 1970.
    wall_s : float
        Seconds between, by a clock that is never set.
    cpu_ns : int
        CPU time of this process and of its children that have ended.
    peak_bytes : int
        Largest resident memory of the process in that time, where the kernel lets the mark be reset; else
        the largest since the process began. A larger child process counts in its place.
    """

    def __init__(self) -> None:
        self._children = _largest_bytes(resource.RUSAGE_CHILDREN)
        self._is_reset = _reset_high_water()
        self.started_ns = self.finished_ns = time.time_ns()
        self._clock = time.perf_counter()
        self._cpu = _cpu_ns()
        self.wall_s, self.cpu_ns, self.peak_bytes = 0.0, 0, 0

    def stop(self) -> None:
        """Take the measures."""
        self.cpu_ns = _cpu_ns() - self._cpu
        self.wall_s = time.perf_counter() - self._clock
        self.finished_ns = self.started_ns + int(self.wall_s * 1e9)
        own = _high_water_bytes() if self._is_reset else 0
        self.peak_bytes = own or _largest_bytes(resource.RUSAGE_SELF)
        children = _largest_bytes(resource.RUSAGE_CHILDREN)
        if children > self._children:
            self.peak_bytes = max(self.peak_bytes, children)
