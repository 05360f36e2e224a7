"""What may run next: pure bookkeeping over the dependencies of a graph, with no object a quantum."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from registry.model.columns import unique_values

__all__ = ["Scheduler", "reverse_csr"]

Index = npt.NDArray[np.int64]

_WAITING, _READY, _RUNNING, _DONE, _FAILED, _BLOCKED = range(6)

_HELD_MAX = 64
"""So many ready quanta are looked through for one that fits; more of them cost more than they gain."""
_OVERTAKEN_MAX = 32
"""So many others may begin before one that is held back; then they wait until it fits."""


def reverse_csr(indptr: npt.NDArray[Any], indices: npt.NDArray[Any], n: int) -> tuple[Index, Index]:
    """Turn edges around.

    Parameters
    ----------
    indptr : numpy.ndarray, shape (m + 1,)
        Where the edges of each row start.
    indices : numpy.ndarray, shape (n_edges,)
        What each edge leads to, below `n`.
    n : int
        Rows of the result.

    Returns
    -------
    indptr : numpy.ndarray, shape (n + 1,)
        Where the edges of each row start, turned around.
    indices : numpy.ndarray, shape (n_edges,)
        Rows that lead here, in rising order.
    """
    counts = np.bincount(indices, minlength=n)
    out = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    sources = np.repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))
    return out, sources[np.argsort(indices, kind="stable")]


class Scheduler:
    """Which quanta are ready, and which can no longer run.

    Quanta are numbered from 0 to n - 1 in an order in which each comes after those it depends on. All of
    it together costs O(n + edges), whatever the order of events.

    Parameters
    ----------
    indptr, indices : numpy.ndarray
        For each quantum the earlier quanta it depends on, each named once (compressed sparse rows).
    complete : numpy.ndarray of bool, shape (n,), optional
        Quanta that are done already; they are never handed out.
    """

    def __init__(
        self,
        indptr: npt.NDArray[Any],
        indices: npt.NDArray[Any],
        *,
        complete: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        n = len(indptr) - 1
        self.n = n
        self._state = np.zeros(n, dtype=np.int8)
        self._root = np.full(n, -1, dtype=np.int64)
        self._child_ptr, self._children = reverse_csr(indptr, indices, n)
        done = np.zeros(n, dtype=np.bool_) if complete is None else complete
        open_edges = np.concatenate(([0], np.cumsum(~done[indices])))
        self._waits = open_edges[indptr[1:]] - open_edges[indptr[:-1]]
        self._state[done] = _DONE
        ready = np.flatnonzero((self._waits == 0) & ~done)
        self._state[ready] = _READY
        self._ready: deque[int] = deque(ready.tolist())
        self._fresh: list[int] = []
        self._held: list[int] = []
        self._overtaken = 0
        self.n_running = 0
        self.n_open = n - int(done.sum())

    @property
    def n_ready(self) -> int:
        """Number of quanta that `take` could give now."""
        return len(self._ready) + len(self._fresh) + len(self._held)

    @property
    def is_finished(self) -> bool:
        """Whether every quantum is done, failed or blocked."""
        return self.n_open == 0

    def take(self, fits: Callable[[int], bool] | None = None) -> int | None:
        """Hand out one ready quantum.

        What became ready last goes first, so that intermediates are used soon after they are made. One that does not
        fit is held back, and is overtaken by no more than a few before all wait for it.

        Parameters
        ----------
        fits : callable, optional
            Tells of a number whether there is room for it now. When nothing runs, there has to be room for any.

        Returns
        -------
        int or None
            Its number; None if none is ready now, or none may begin now.
        """
        number = self._pop() if fits is None else self._pop_fitting(fits)
        if number is not None:
            self._state[number] = _RUNNING
            self.n_running += 1
        return number

    def _pop(self) -> int | None:
        if self._fresh:
            return self._fresh.pop()
        return self._ready.popleft() if self._ready else None

    def _pop_fitting(self, fits: Callable[[int], bool]) -> int | None:
        for place, number in enumerate(self._held):
            if fits(number):
                del self._held[place]
                self._overtaken = self._overtaken + 1 if place else 0
                return number
            if self._overtaken >= _OVERTAKEN_MAX:
                return None
        while len(self._held) < _HELD_MAX and (found := self._pop()) is not None:
            if fits(found):
                self._overtaken += bool(self._held)
                return found
            self._held.append(found)
        return None

    def peek(self) -> int | None:
        """Tell what `take` would hand out.

        Returns
        -------
        int or None
            Its number; None if none is ready now.
        """
        if self._fresh:
            return self._fresh[-1]
        return self._ready[0] if self._ready else None

    def give_back(self, numbers: Iterable[int]) -> None:
        """Take back quanta that were handed out and did not run.

        Parameters
        ----------
        numbers : iterable of int
            Running quanta.
        """
        back = list(numbers)
        self._state[back] = _READY
        self._ready.extendleft(reversed(back))
        self.n_running -= len(back)

    def children(self, number: int) -> Index:
        """Return the quanta that depend on one directly.

        Parameters
        ----------
        number : int
            Any quantum.

        Returns
        -------
        numpy.ndarray
            Their numbers, rising.
        """
        return self._children[self._child_ptr[number] : self._child_ptr[number + 1]]

    def finish(self, number: int) -> None:
        """Note that a running quantum is done, and make ready what waited for it alone.

        Parameters
        ----------
        number : int
            A running quantum.
        """
        self._end(number, _DONE)
        start, stop = self._child_ptr[number : number + 2].tolist()
        if stop == start:
            return
        children = self._children[start:stop]
        self._waits[children] -= 1
        fresh = children[(self._waits[children] == 0) & (self._state[children] == _WAITING)]
        if len(fresh):
            self._state[fresh] = _READY
            self._fresh.extend(fresh[::-1].tolist())

    def fail(self, number: int) -> Index:
        """Note that a running quantum failed, and block all that needs it, directly or not.

        Parameters
        ----------
        number : int
            A running quantum.

        Returns
        -------
        numpy.ndarray of int64
            The quanta newly blocked by it, rising. Those blocked before by another are not named again.
        """
        self._end(number, _FAILED)
        self._root[number] = number
        blocked: list[Index] = []
        front = self._newly_blocked(self.children(number))
        while len(front):
            self._state[front] = _BLOCKED
            self._root[front] = number
            blocked.append(front)
            front = self._newly_blocked(_gather(self._child_ptr, self._children, front))
        if not blocked:
            return np.empty(0, dtype=np.int64)
        found = np.sort(np.concatenate(blocked))
        self.n_open -= len(found)
        return found

    def root(self, number: int) -> int:
        """Return the quantum whose failure blocked another.

        Parameters
        ----------
        number : int
            A blocked quantum.

        Returns
        -------
        int
            The first cause; -1 for a quantum that is not blocked.
        """
        return int(self._root[number])

    def running(self) -> npt.NDArray[np.bool_]:
        """Tell which quanta are handed out.

        Returns
        -------
        numpy.ndarray of bool, shape (n,)
            A mask.
        """
        return np.equal(self._state, _RUNNING)

    def _end(self, number: int, state: int) -> None:
        if self._state[number] != _RUNNING:
            raise ValueError(f"quantum {number} is not running")
        self._state[number] = state
        self.n_running -= 1
        self.n_open -= 1

    def _newly_blocked(self, numbers: Index) -> Index:
        # A quantum that waits for one that failed is waiting itself, so nothing ready or running is blocked.
        return unique_values(numbers[self._state[numbers] == _WAITING])


def _gather(indptr: Index, indices: Index, rows: Index) -> Index:
    """Return the entries of several rows, one row after another."""
    starts, counts = indptr[rows], indptr[rows + 1] - indptr[rows]
    total = int(counts.sum())
    shift = np.repeat(starts - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    gathered: Index = indices[shift + np.arange(total)]
    return gathered
