"""Whether a piece of work mostly waits for something: then threads shorten it, and else they fight for the interpreter."""

from __future__ import annotations

import time

__all__ = ["Stopwatch"]

FACTOR = 3.0
"""So many times longer than it computes takes a thread that mostly waits."""
TIMES = 1.0
"""So often for each thing gives it way: once at least for each file, where a disk or a server has to answer."""


class Stopwatch:
    """What this thread has done since this was made: its time, and how often it gave way by itself.

    Time alone does not tell: on a machine that others use, a thread that only computes takes long as well, but gives way
    when it is made to.
    """

    def __init__(self) -> None:
        self._wall, self._busy, self._gave_way = time.perf_counter(), time.thread_time(), _times_it_gave_way()

    def waited(self, n: int) -> bool:
        """Tell whether the time went into waiting.

        Parameters
        ----------
        n : int
            Number of things that were done in it.

        Returns
        -------
        bool
            Whether threads would help.
        """
        wall, busy = time.perf_counter() - self._wall, time.thread_time() - self._busy
        if wall < FACTOR * busy:
            return False
        gave_way = _times_it_gave_way()
        return gave_way is None or self._gave_way is None or gave_way - self._gave_way >= TIMES * n


def _times_it_gave_way() -> int | None:
    """Return how often this thread has waited of its own accord, where the system counts that for each thread."""
    import resource

    who = getattr(resource, "RUSAGE_THREAD", None)
    return None if who is None else resource.getrusage(who).ru_nvcsw
