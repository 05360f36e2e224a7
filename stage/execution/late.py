"""Asking for resources that follow from inputs, when a quantum is about to run and its inputs are there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import PipelineError, StageError
from stage.execution.limited import artifact_of
from stage.pipeline.late_resources import HOOK, late_value

if TYPE_CHECKING:
    import numpy.typing as npt

    from stage.graph.access import QuantumSource
    from stage.graph.quantum import PlannedDataset, Quantum
    from stage.pipeline.resources import Resources
    from stage.pipeline.task import Task
    from sync.datastore import Datastore

__all__ = ["Late"]

_log = logging.getLogger(__name__)
_MB = 1_000_000


class Late:
    """Resources that follow from inputs.

    Parameters
    ----------
    graph : QuantumSource
        Whose quanta.
    ordinals : sequence of int
        Which, in the order of the scheduler.
    store : Datastore
        Where inputs are.
    task_path : sequence of str, optional
        Directories of the users' own modules, besides those that the graph names.
    code_dirs : sequence of str, optional
        Directories of such modules that count before those.
    """

    def __init__(
        self,
        graph: QuantumSource,
        ordinals: Sequence[int],
        store: Datastore,
        task_path: Sequence[str] = (),
        *,
        code_dirs: Sequence[str] = (),
    ) -> None:
        self._graph, self._ordinals, self._store = graph, ordinals, store
        self._path = (*code_dirs, *graph.header.search_path, *task_path)
        places = np.searchsorted(
            [t.offset for t in graph.layout.tasks], np.asarray(ordinals, dtype=np.int64), side="right"
        )
        late = np.array([bool(node.late) for node in graph.tasks], dtype=np.bool_)
        self._open: npt.NDArray[np.bool_] = late[places - 1]
        self._tasks: dict[str, Task] = {}

    def take(self, number: int) -> Resources | None:
        """Ask once for what a quantum needs.

        Parameters
        ----------
        number : int
            Its place in the scheduler; its inputs are there.

        Returns
        -------
        Resources or None
            None for one that was asked before, or that does not look at its inputs.
        """
        if not self._open[number]:
            return None
        self._open[number] = False
        quantum = self._graph.quantum(int(self._ordinals[number]))
        node = quantum.node
        inputs = _Inputs(quantum, self._store)
        try:
            if HOOK in node.late:
                hook: Any = self._task(quantum).resources
                return node.resources.changed(
                    hook(dict(quantum.data_id), inputs), f"resources() of '{quantum.label}'"
                )
            return node.resources.changed({k: late_value(k, text, inputs) for k, text in node.late.items()})
        except Exception as exc:  # noqa: BLE001 - a hook of the user's may fail at anything
            said = exc.message if isinstance(exc, StageError) else f"{type(exc).__name__}: {exc}"
            _log.warning("%s: %s; it gets what is declared for all of its task", quantum, said)
            return node.resources

    def _task(self, quantum: Quantum) -> Task:
        if quantum.label not in self._tasks:
            from stage.pipeline.importing import extend_path

            extend_path(self._path)
            init_inputs = {
                name: self._store.get(artifact_of(planned), planned.storage_class)
                for name, planned in self._graph.init_inputs(quantum.label).items()
            }
            self._tasks[quantum.label] = quantum.node.build(init_inputs)
        return self._tasks[quantum.label]


class _Inputs:
    """What may be asked of the inputs of one quantum."""

    def __init__(self, quantum: Quantum, store: Datastore) -> None:
        self._quantum, self._store = quantum, store

    def _refs(self, name: str) -> Sequence[PlannedDataset]:
        if not any(c.name == name for c in self._quantum.node.inputs):
            raise PipelineError(f"task '{self._quantum.label}' has no input '{name}'", code="bad-resources")
        # What quanta before it were to make and did not is not there.
        refs = self._quantum.inputs.get(name, ())
        return [d for d in refs if d.size or (d.uri is not None and self._store.exists(d.uri))]

    def size(self, name: str) -> float:
        """Return megabytes."""
        return sum(d.size or self._store.size(str(d.uri)) for d in self._refs(name)) / _MB

    def count(self, name: str) -> int:
        """Return the number of datasets."""
        return len(self._refs(name))

    def value(self, name: str) -> Any:
        """Return the value, or a list of them."""
        values = [self._store.get(artifact_of(d), d.storage_class) for d in self._refs(name)]
        if self._quantum.node.connection(name).multiple:
            return values
        if not values:
            raise PipelineError(f"its input '{name}' is not there", code="bad-resources")
        return values[0]
