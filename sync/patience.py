"""Trying again what failed for a moment: a bounded number of times, with bounded waits, and not for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from registry.errors import StorageError

__all__ = ["Patience"]

_Result = TypeVar("_Result")
_HOPELESS = frozenset({"disk-full"})
"""What a later command may find better, and the next moment will not."""


class Patience:
    """How often a store that fails is asked again, shared by the threads that ask it.

    Parameters
    ----------
    tries : int
        How often one thing is tried.
    first_s : float
        How long to wait before the second try, in seconds; four times as long before each further one.
    total_s : float
        How long to wait in all, whatever fails; after that everything is tried once.
    most : int
        After so many things that failed with none succeeding in between, nothing more is tried.
    """

    def __init__(self, tries: int = 3, first_s: float = 0.2, total_s: float = 30.0, most: int = 16) -> None:
        self._tries = tries
        self._first_s = first_s
        self._left_s = total_s
        self._most = most
        self._failed = 0
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether so much failed one after the other that trying more is no use."""
        return self._failed >= self._most

    def trying(self, act: Callable[[], _Result]) -> _Result:
        """Do something, again if it fails for a moment.

        Parameters
        ----------
        act : callable
            What; it may be done twice.

        Returns
        -------
        object
            What it returns.

        Raises
        ------
        StorageError
            What it raised the last time, or at once if another try would not help.
        """
        wait_s = self._first_s
        for left in reversed(range(self._tries)):
            try:
                return act()
            except StorageError as exc:
                if not left or not exc.transient or exc.code in _HOPELESS or not self._wait(wait_s):
                    raise
                wait_s *= 4
        raise AssertionError("unreachable: the last try returns or raises")

    def _wait(self, wait_s: float) -> bool:
        with self._lock:
            if self._left_s < wait_s:
                return False
            self._left_s -= wait_s
        time.sleep(wait_s)
        return True

    def note(self, *, failed: bool) -> None:
        """Note how something ended.

        Parameters
        ----------
        failed : bool
            Whether the store failed it.
        """
        with self._lock:
            self._failed = self._failed + 1 if failed else 0
