"""`TraversableGraph`: finding quanta of a graph, what they rest on, what rests on them, and parts of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from stage.graph.dependencies import compute_dependencies
from stage.graph.ordinals import OrdinalColumns
from stage.graph.table import Csr, Ints
from stage.graph.texts import matching_rows

if TYPE_CHECKING:
    from stage.graph.graph import QuantumGraph

__all__ = ["TraversableGraph"]


class TraversableGraph(OrdinalColumns):
    """A graph in memory, as a net of quanta: what `stage.graph.graph.QuantumGraph` adds its parts and its file to."""

    @property
    def _whole(self) -> QuantumGraph:
        return cast("QuantumGraph", self)

    def find(self, label: str | None = None, data_id: Mapping[str, Any] | None = None) -> Ints:
        """Return the quanta of a task whose data IDs have given values.

        Parameters
        ----------
        label : str, optional
            The task; all tasks by default.
        data_id : mapping, optional
            Values of some dimensions. A task without one of these dimensions has no such quantum.

        Returns
        -------
        numpy.ndarray of int64
            Ordinals, rising.

        Raises
        ------
        NotFoundError
            If there is no such task.
        """
        places = range(len(self.layout.tasks)) if label is None else [self._task_place(label)]
        parts = [
            matching_rows(self.task_rows[p].table, data_id or {}) + self.layout.tasks[p].offset
            for p in places
        ]
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    @cached_property
    def _dependencies(self) -> Csr:
        return compute_dependencies(self._whole)

    def dependencies(self) -> Csr:
        """Return for each quantum those before it whose outputs it reads.

        Returns
        -------
        Csr
            ``indptr`` (n_quanta + 1) and ``indices`` (ordinals, rising within each quantum); computed once.
        """
        return self._dependencies

    @cached_property
    def _dependents(self) -> Csr:
        from stage.graph.select import transposed

        return transposed(self._dependencies)

    def ancestors(self, ordinals: npt.ArrayLike) -> Ints:
        """Return all quanta on whose outputs some quanta rest, directly or through others.

        Parameters
        ----------
        ordinals : array-like of int
            The quanta.

        Returns
        -------
        numpy.ndarray of int64
            Ordinals, rising.

        Raises
        ------
        NotFoundError
            If there is no such quantum.
        """
        from stage.graph.select import reached

        return reached(ordinals, self._dependencies)

    def descendants(self, ordinals: npt.ArrayLike) -> Ints:
        """Return all quanta that rest on the outputs of some quanta, directly or through others.

        Parameters
        ----------
        ordinals : array-like of int
            The quanta.

        Returns
        -------
        numpy.ndarray of int64
            Ordinals, rising.

        Raises
        ------
        NotFoundError
            If there is no such quantum.
        """
        from stage.graph.select import reached

        return reached(ordinals, self._dependents)

    def select(
        self,
        ordinals: npt.ArrayLike | None = None,
        *,
        labels: Sequence[str] | str | None = None,
        data_id: Mapping[str, Any] | None = None,
        ancestors: bool = False,
        descendants: bool = False,
    ) -> QuantumGraph:
        """Return the part of the graph with only some quanta; those that fulfil all that is asked.

        Parameters
        ----------
        ordinals : array-like of int, optional
            Only these quanta.
        labels : str or sequence of str, optional
            Only those of these tasks, chosen as in a pipeline: ``>=label`` stands for a task and all that build on it,
            ``>label`` for these alone, ``<=label`` and ``<label`` for what it builds on.
        data_id : mapping, optional
            Only those whose data IDs have these values.
        ancestors, descendants : bool, optional
            Whether all that these rest on, or that rests on them, comes along.

        Returns
        -------
        QuantumGraph
            Quanta and datasets have the ids that they had. All tasks are there, some perhaps without quanta. It is
            this very graph if all quanta are chosen.

        Raises
        ------
        NotFoundError
            If there is no such task or quantum.
        """
        from stage.graph.select import chosen_quanta, subgraph

        chosen = chosen_quanta(self._whole, ordinals, labels, data_id)
        above = self.ancestors(chosen) if ancestors else chosen
        below = self.descendants(chosen) if descendants else chosen
        return subgraph(self._whole, np.concatenate([chosen, above, below]))
