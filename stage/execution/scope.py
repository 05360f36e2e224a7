"""Which part of a graph is executed now, and where the scripts of its quanta begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stage.graph.graph import QuantumGraph

__all__ = ["Scope"]


@dataclass(frozen=True)
class Scope:
    """Which part of a graph is executed now, and where the scripts of its quanta begin.

    Parameters
    ----------
    only : frozenset of str, optional
        Tasks that are executed, with all that they depend on; None for all of them.
    keep_scratch : bool
        Whether the scratch directories of scripts that fail are kept.
    begin_at : mapping of str to int
        Task to the number of the command, from 1, that its quanta begin at.
    """

    only: frozenset[str] | None = None
    keep_scratch: bool = False
    begin_at: Mapping[str, int] = field(default_factory=dict)

    def complete(self, graph: QuantumGraph, done: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return what a scheduler is not to hand out: what is done, and what is left for another time.

        Parameters
        ----------
        graph : QuantumGraph
            Whose quanta.
        done : numpy.ndarray of bool
            Those that are complete.

        Returns
        -------
        numpy.ndarray of bool
            By quantum.
        """
        if self.only is None:
            return done
        import numpy as np

        aside = np.array([task.label not in self.only for task in graph.layout.tasks], dtype=np.bool_)
        left: npt.NDArray[np.bool_] = aside[graph.task_of(np.arange(graph.n_quanta))]
        return done | left
