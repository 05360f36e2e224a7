"""Finding out, without a database, which inputs of a quantum were never made."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from stage.execution.earlier import find_earlier
from stage.pipeline.node import METADATA

if TYPE_CHECKING:
    from registry.model.columns import Array
    from stage.graph.file.reader import GraphFile
    from stage.graph.quantum import Quantum
    from sync.datastore import Datastore

__all__ = ["Lookout", "Missing"]


class Missing(NamedTuple):
    """What a quantum lacks.

    Parameters
    ----------
    absent : tuple of int
        Ordinals of inputs that will not be made: the quanta that could have made them are complete.
    blocked_by : str
        Which input is not there though it may still be made; empty if none.
    """

    absent: tuple[int, ...] = ()
    blocked_by: str = ""


class Lookout:
    """Looks for the inputs of quanta where the graph planned them.

    Parameters
    ----------
    graph : GraphFile
        The graph.
    store : Datastore
        Where its outputs are.
    """

    def __init__(self, graph: GraphFile, store: Datastore) -> None:
        self._graph = graph
        self._store = store

    def missing(self, quantum: Quantum, known: frozenset[int]) -> Missing:
        """Look for the inputs that quanta of the same graph make.

        Parameters
        ----------
        quantum : Quantum
            Whose inputs.
        known : frozenset of int
            Inputs that are known to be absent.

        Returns
        -------
        Missing
            What is not there, and whether it may still come.
        """
        absent: list[int] = []
        for refs in quantum.inputs.values():
            for d in refs:
                if d.ordinal in known or d.uri is None or self._graph.is_found(d):
                    continue
                if self._store.has(d.uri):
                    continue
                if self._makers[d.ordinal] < 0:
                    return Missing(
                        (), f"{d.dataset_type} is not there, and no quantum of this graph makes it"
                    )
                maker = self._graph.quantum(int(self._makers[d.ordinal]))
                accounts = maker.outputs[METADATA][0].uri
                if accounts is None or not self._store.has(accounts):
                    return Missing((), f"{d.dataset_type} is not there, and {maker} is not complete")
                # It may have come to its end between the two looks.
                if self._store.has(d.uri):
                    continue
                # Only what was never made counts as absent; what was made and removed has to be made again.
                before = find_earlier(maker, self._store)
                if before is not None and d.ordinal in {a.dataset for a in before.outcome.artifacts}:
                    return Missing(
                        (), f"{d.dataset_type} was made and its file is gone; {maker} has to run again"
                    )
                absent.append(d.ordinal)
        return Missing(tuple(absent))

    @cached_property
    def _makers(self) -> Array:
        # Needed only when something is missing, so the whole graph is not read for most jobs.
        from stage.graph.dependencies import producers

        return producers(self._graph.load())
