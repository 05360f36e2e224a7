"""`Pace`: how often the scheduler is asked. Soon while things happen, seldom while nothing does, less while it is busy."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Pace"]

_STEPS = (0.0, 1.0, 3.0, 5.0, 10.0, 15.0, 20.0)
_BUSY_FIRST = 2.0
_BUSY_LONGEST = 120.0


class Pace:
    """Tells when to ask next.

    Parameters
    ----------
    longest_s : float, optional
        The longest interval.
    clock : callable, optional
        Seconds.
    """

    def __init__(self, longest_s: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest_s
        self._clock = clock
        self._step = 0
        self._busy = 0.0
        self._due = clock()

    def due_in(self) -> float:
        """Return how long to wait before the next question.

        Returns
        -------
        float
            Seconds, 0 if it may be asked at once.
        """
        return max(0.0, self._due - self._clock())

    def started(self) -> None:
        """Note that jobs were given to the scheduler: what becomes of them is soon to be seen."""
        self._step = min(self._step, 1)
        if not self._busy:
            self._due = min(self._due, self._clock() + self._interval(1))

    def asked(self, *, news: bool) -> None:
        """Note an answer.

        Parameters
        ----------
        news : bool
            Whether it said anything new.
        """
        self._busy = 0.0
        self._step = 1 if news else min(self._step + 1, len(_STEPS) - 1)
        self._due = self._clock() + self._interval(self._step)

    def refused(self) -> float:
        """Note that the scheduler is busy.

        Returns
        -------
        float
            How long it is left alone, in seconds: each time twice as long.
        """
        self._busy = min(_BUSY_LONGEST, 2 * self._busy or _BUSY_FIRST)
        self._due = self._clock() + min(self._busy, max(self._longest, 0.1) * 6)
        return self._busy

    def _interval(self, step: int) -> float:
        return min(_STEPS[step], self._longest)
