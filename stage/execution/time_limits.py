"""How long a quantum may take: what a person says, and what its task asks for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from stage.graph.access import QuantumSource

__all__ = ["TimeLimit", "TimeLimits"]


class TimeLimit(NamedTuple):
    """How long one quantum may take.

    Parameters
    ----------
    seconds : float
        Without end for one that may take as long as it likes.
    whose : str
        Who says so.
    """

    seconds: float
    whose: str

    @property
    def message(self) -> str:
        """What is said of a quantum that took longer."""
        return f"timed out: it ran for more than {self.seconds:g} s, {self.whose}"


class TimeLimits:
    """How long each quantum of a graph may take; of two limits the smaller counts.

    Parameters
    ----------
    source : QuantumSource
        The graph; its tasks may ask for a ``walltime_s``.
    timeout_s : float, optional
        What a person says of all of them.

    Attributes
    ----------
    shortest_s : float
        No quantum's limit is less; infinite where there is none.
    """

    def __init__(self, source: QuantumSource, timeout_s: float | None = None) -> None:
        self._source = source
        self._all = TimeLimit(math.inf if timeout_s is None else timeout_s, "the timeout of this run")
        self._by_task = [self._smaller(node.resources.walltime_s) for node in source.tasks]
        self._own = ["resources" in node.hooks for node in source.tasks]
        is_open = any(self._own) or any(node.late for node in source.tasks)
        self.shortest_s = 0.0 if is_open else min((t.seconds for t in self._by_task), default=math.inf)

    def of(self, ordinal: int, late_s: float | None = None) -> TimeLimit:
        """Return how long one quantum may take.

        Parameters
        ----------
        ordinal : int
            Which.
        late_s : float, optional
            What it asks for since it has looked at its inputs.

        Returns
        -------
        TimeLimit
            The smaller of what is said.
        """
        if late_s is not None:
            return self._smaller(late_s)
        place, _ = self._source.layout.locate_quantum(ordinal)
        if not self._own[place]:
            return self._by_task[place]
        return self._smaller(self._source.resources(ordinal).walltime_s)

    def _smaller(self, walltime_s: float | None) -> TimeLimit:
        if walltime_s is None or self._all.seconds <= walltime_s:
            return self._all
        return TimeLimit(walltime_s, "the walltime_s that its task asks for")
