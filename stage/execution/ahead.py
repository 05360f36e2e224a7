"""Quanta of a graph in memory, read many at a time for a process that runs them in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stage.graph.access import QuantumSource
    from stage.graph.quantum import Quantum

__all__ = ["Ahead"]

_AHEAD = 64
"""Quanta that are read together: what follows of the same task is nearly always asked for next."""


class Ahead:
    """Gives single quanta, and reads those that follow with them.

    Parameters
    ----------
    source : QuantumSource
        The graph.
    """

    def __init__(self, source: QuantumSource) -> None:
        self._source = source
        self._read: dict[str, dict[int, Quantum]] = {}

    def quantum(self, ordinal: int) -> Quantum:
        """Return one quantum.

        Parameters
        ----------
        ordinal : int
            Its number.

        Returns
        -------
        Quantum
            As the graph gives it.
        """
        layout = self._source.layout
        task = layout.tasks[layout.locate_quantum(ordinal)[0]]
        found = self._read.get(task.label, {}).pop(ordinal, None)
        if found is None:
            stop = min(ordinal + _AHEAD, task.offset + task.n_quanta)
            # What was read before and passed over is let go.
            read = self._read[task.label] = {q.ordinal: q for q in self._source.quanta(range(ordinal, stop))}
            found = read.pop(ordinal)
        return found
