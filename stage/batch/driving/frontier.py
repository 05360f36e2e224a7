"""`Frontier`: which jobs may be given to the engine now; pure bookkeeping over what waits for what."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from stage.execution.scheduler import reverse_csr
from stage.graph.table import Csr

__all__ = ["Frontier"]

_IDLE, _GIVEN, _DONE, _DEAD = range(4)


class Frontier:
    """Which jobs may begin.

    A job may when all that it waits for has succeeded; where the engine looks ahead, when the engine has it or it has
    succeeded. All of it together costs O(jobs + edges), and a logarithm for the order.

    Parameters
    ----------
    parents : Csr
        What each job waits for.
    priority : numpy.ndarray
        Of each job; higher is sooner, then lower numbers.
    done : numpy.ndarray of bool
        Jobs that have succeeded.
    dead : numpy.ndarray of bool
        Jobs that ended otherwise.
    looks_ahead : bool, optional
        Whether jobs may be given before those that they wait for have ended.
    lane_of : numpy.ndarray of int32, optional
        Of each job its lane: jobs under the same limits of how many may begin.
    """

    def __init__(
        self,
        parents: Csr,
        priority: npt.NDArray[np.int64],
        done: npt.NDArray[np.bool_],
        dead: npt.NDArray[np.bool_],
        *,
        looks_ahead: bool = False,
        lane_of: npt.NDArray[np.int32] | None = None,
    ) -> None:
        n = len(priority)
        self._parents = parents
        self._child_ptr, self._children = reverse_csr(parents.indptr, parents.indices, n)
        self._place = np.full(n, _IDLE, dtype=np.int8)
        self._place[done] = _DONE
        self._place[dead] = _DEAD
        self._looks_ahead = looks_ahead
        open_edges = np.concatenate(([0], np.cumsum(~done[parents.indices])))
        self._waits = open_edges[parents.indptr[1:]] - open_edges[parents.indptr[:-1]]
        order = np.lexsort((np.arange(n), -priority))
        self._rank = np.empty(n, dtype=np.int64)
        self._rank[order] = np.arange(n)
        self._order = order
        self._queued = np.zeros(n, dtype=np.bool_)
        self._lane = np.zeros(n, dtype=np.int32) if lane_of is None else lane_of
        self._ready: list[list[int]] = [[] for _ in range(int(self._lane.max(initial=0)) + 1)]
        self._queue(np.flatnonzero((self._waits == 0) & (self._place == _IDLE)))

    @property
    def n_ready(self) -> int:
        """Number of jobs that `take` could give, or a few more."""
        return sum(map(len, self._ready))

    def take(self, limit: int, enter: Callable[[int], bool] | None = None) -> list[int]:
        """Hand out jobs that may begin, and note that the engine has them.

        Parameters
        ----------
        limit : int
            How many at most.
        enter : callable, optional
            Takes a place for a job of a lane, and tells whether there was one.

        Returns
        -------
        list of int
            In the order in which they should begin; what a job waits for is never after it.
        """
        taken: list[int] = []
        full: set[int] = set()
        while len(taken) < limit and (lane := self._first(full)) is not None:
            number = int(self._order[self._ready[lane][0]])
            may_begin = self._place[number] == _IDLE and not self._waits[number]
            if may_begin and enter is not None and not enter(lane):
                full.add(lane)
                continue
            heapq.heappop(self._ready[lane])
            self._queued[number] = False
            if may_begin:
                taken.append(number)
                self.give(number)
        return taken

    def _first(self, full: Collection[int]) -> int | None:
        """Return the lane whose first job is the most urgent, of those that are not full."""
        if len(self._ready) == 1:
            return 0 if self._ready[0] and not full else None
        heads = [(ready[0], lane) for lane, ready in enumerate(self._ready) if ready and lane not in full]
        return min(heads)[1] if heads else None

    def give(self, number: int) -> None:
        """Note that the engine has a job.

        Parameters
        ----------
        number : int
            The job.
        """
        self._place[number] = _GIVEN
        if self._looks_ahead:
            self._open(number)

    def after(self, number: int) -> tuple[int, ...]:
        """Return what a job waits for that the engine has.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        tuple of int
            Empty unless the engine looks ahead.
        """
        if not self._looks_ahead:
            return ()
        parents = self._parents.of(number)
        return tuple(parents[self._place[parents] == _GIVEN].tolist())

    def is_released(self, number: int) -> bool:
        """Tell whether all that a job waits for has succeeded.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        bool
            Whether it has.
        """
        return bool((self._place[self._parents.of(number)] == _DONE).all())

    def succeed(self, number: int) -> None:
        """Note that a job has succeeded.

        Parameters
        ----------
        number : int
            One that the engine had.
        """
        self._place[number] = _DONE
        if not self._looks_ahead:
            self._open(number)

    def back(self, numbers: Iterable[int]) -> None:
        """Take back jobs that are to begin again.

        Parameters
        ----------
        numbers : iterable of int
            Those that the engine had.
        """
        found = np.fromiter(numbers, dtype=np.int64)
        self._place[found] = _IDLE
        if self._looks_ahead:
            for number in found.tolist():
                self._waits[self._children_of(number)] += 1
        self._queue(found[self._waits[found] == 0])

    def fail(self, number: int) -> tuple[list[int], list[int]]:
        """Note that a job will not succeed.

        Parameters
        ----------
        number : int
            The job.

        Returns
        -------
        idle : list of int
            Jobs that wait for it, directly or not, and can no longer begin: they are out.
        given : list of int
            Those of them that the engine has.
        """
        self._place[number] = _DEAD
        return self._doom([number])

    def sweep(self) -> tuple[list[int], list[int]]:
        """Take out what waits for jobs that are dead: what a head that was killed did not come to.

        Returns
        -------
        idle, given : list of int
            As of `fail`.
        """
        return self._doom(np.flatnonzero(self._place == _DEAD).tolist())

    def _doom(self, dead: list[int]) -> tuple[list[int], list[int]]:
        idle: list[int] = []
        given: list[int] = []
        seen: set[int] = set()
        front = dead
        while front:
            children = {c for n in front for c in self._children_of(n).tolist()} - seen
            seen |= children
            # Beyond one that was dead before, all is out already.
            front = [c for c in children if self._place[c] in {_IDLE, _GIVEN}]
            idle += [c for c in front if self._place[c] == _IDLE]
            given += [c for c in front if self._place[c] == _GIVEN]
        self._place[idle] = _DEAD
        return sorted(idle), sorted(given)

    def drop(self) -> list[int]:
        """Take out all that has not begun.

        Returns
        -------
        list of int
            These jobs, rising.
        """
        found = np.flatnonzero(self._place == _IDLE)
        self._place[found] = _DEAD
        for ready in self._ready:
            ready.clear()
        dropped: list[int] = found.tolist()
        return dropped

    def _children_of(self, number: int) -> npt.NDArray[np.int64]:
        return self._children[self._child_ptr[number] : self._child_ptr[number + 1]]

    def _open(self, number: int) -> None:
        start, stop = self._child_ptr[number : number + 2].tolist()
        if start == stop:
            return
        children = self._children[start:stop]
        self._waits[children] -= 1
        self._queue(children[(self._waits[children] == 0) & (self._place[children] == _IDLE)])

    def _queue(self, numbers: npt.NDArray[np.int64] | Sequence[int]) -> None:
        for number in np.asarray(numbers).tolist():
            if not self._queued[number]:
                self._queued[number] = True
                heapq.heappush(self._ready[self._lane[number]], int(self._rank[number]))
