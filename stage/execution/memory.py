"""Memory of quanta: how much each attempt gets, how it is held to that, and whether it died of it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from registry.errors import StageError

__all__ = [
    "data_mb",
    "is_out_of_memory",
    "limited_memory",
    "machine_memory_mb",
    "memory_of_attempt",
    "was_killed_for_memory",
]

_MB = 1 << 20
_STATUS = "/proc/self/status"
_DATA = b"VmData:"
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_of_attempt(
    first_mb: int, n: int, *, multiplier: float = 1.0, maximum_mb: int | None = None
) -> int | None:
    """Return how much memory an attempt gets: ``min(first * multiplier ** n, maximum)``.

    Parameters
    ----------
    first_mb : int
        What the first attempt asks for, in megabytes.
    n : int
        How many attempts before it died for want of memory; others do not count.
    multiplier : float, optional
        By how much more the next attempt gets. With 1 or less all get the same, and `maximum_mb` counts for nothing.
    maximum_mb : int, optional
        The most that an attempt may get. There is one attempt with that much, and none after it.

    Returns
    -------
    int or None
        Whole megabytes, as the field's batch service reckons them; None if an attempt before it had the maximum.
    """
    if multiplier <= 1:
        return first_mb
    if maximum_mb is None:
        return _grown(first_mb, n, multiplier)
    if n and _grown(first_mb, n - 1, multiplier) >= maximum_mb:
        return None
    return min(_grown(first_mb, n, multiplier), maximum_mb)


def _grown(first_mb: int, n: int, multiplier: float) -> int:
    try:
        return int(first_mb * multiplier**n)
    except OverflowError:
        return sys.maxsize


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether something was raised for want of memory, or because of what was.

    Parameters
    ----------
    error : BaseException
        What a task raised.

    Returns
    -------
    bool
        Whether it is a MemoryError, has one as its cause, or says that a child was killed as the system does it.
    """
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if isinstance(found, MemoryError) or was_killed_for_memory(_exit_status(found)):
            return True
        found = found.__cause__ or found.__context__
    return False


def _exit_status(error: BaseException) -> int:
    """Return how the child ended that an exception is about, of ours or of `subprocess`; 0 where it is about none."""
    status = (
        error.context.get("exit_status") if isinstance(error, StageError) else getattr(error, "returncode", 0)
    )
    return status if isinstance(status, int) else 0


def was_killed_for_memory(status: int) -> bool:
    """Tell whether a process that nobody here has killed ended as the system ends one for want of memory.

    Parameters
    ----------
    status : int
        As `subprocess.Popen.returncode`.

    Returns
    -------
    bool
        Whether it was SIGKILL: also as shells and batch systems say it, 137.
    """
    return status in {-signal.SIGKILL, 128 + signal.SIGKILL}


@contextlib.contextmanager
def limited_memory(memory_mb: int, left_over_mb: float = 0.0) -> Iterator[None]:
    """Hold this process to an amount of memory for a while; more than that is refused, as MemoryError in Python.

    Parameters
    ----------
    memory_mb : int
        Megabytes of private writable memory, with those that the process has already; 0 is no limit.
    left_over_mb : float, optional
        How much of what the process has does not count: what earlier quanta left behind in it.

    Yields
    ------
    None
        While it holds. Each process that is started in that time is held to the same amount for itself.

    Notes
    -----
    Only the soft limit is changed, so that it can be lifted again. It is ``RLIMIT_DATA``, which Linux counts mappings
    against too; elsewhere the system does not hold a process to it, and only other ends are noticed.
    """
    if not memory_mb:
        yield
        return
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = int((memory_mb + left_over_mb) * _MB)
    for known in (before, hard):
        if known != resource.RLIM_INFINITY:
            allowed = min(allowed, known)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def data_mb() -> float:
    """Return how much private writable memory this process has.

    Returns
    -------
    float
        Megabytes, as limits count them; 0 where the system does not tell.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        fd = os.open(_STATUS, os.O_RDONLY)
        try:
            _, found, rest = os.read(fd, 4096).partition(_DATA)
        finally:
            os.close(fd)
        if found:
            return int(rest.split(None, 1)[0]) / 1024
    return 0.0


def machine_memory_mb() -> int:
    """Return how much memory there is for all quanta together.

    Returns
    -------
    int
        Megabytes: of the machine, or of the control group that this process is in.
    """
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):
            found = min(found, int(Path(path).read_text("ascii")))
    return max(1, found // _MB)
