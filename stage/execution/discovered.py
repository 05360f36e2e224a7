"""Dimension records that quanta find out: completed and checked by who runs the quantum, recorded by the one writer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError, StageError, UsageError
from registry.model.records import Artifact, QuantumStatus
from stage.errors import ExecutionError
from stage.pipeline.node import LOG
from sync.formatters.lines import JsonLinesFormatter

if TYPE_CHECKING:
    from registry.change import Change
    from registry.model.columns import Columns
    from registry.model.dimensions import DimensionUniverse
    from stage.execution.outcome import QuantumOutcome
    from stage.graph.access import QuantumSource
    from stage.graph.quantum import Quantum
    from stage.pipeline.node import TaskNode
    from sync.datastore import Datastore

__all__ = ["Discoveries", "RecordsRefusedError", "completed_records", "finders", "insert_found"]

_json = JsonLinesFormatter()


class RecordsRefusedError(ConflictError):
    """Dimension records of a quantum that the registry does not take."""


def finders(source: QuantumSource) -> frozenset[int]:
    """Return which tasks of a graph find out dimension records.

    Parameters
    ----------
    source : QuantumSource
        The graph.

    Returns
    -------
    frozenset of int
        Places of the tasks in the graph's order.
    """
    return frozenset(i for i, node in enumerate(source.tasks) if elements_of(node))


def elements_of(node: TaskNode) -> dict[str, str]:
    """Return of which element the records of a task's outputs are.

    Parameters
    ----------
    node : TaskNode
        The task.

    Returns
    -------
    dict of str to str
        Connection to element; empty for a task that finds out none.
    """
    return {c.name: c.records for c in node.connections if c.records}


def completed_records(quantum: Quantum, output: str, obj: object) -> list[dict[str, Any]]:
    """Check the dimension records of an output, and fill in what the quantum's data ID says.

    Parameters
    ----------
    quantum : Quantum
        Which found them out.
    output : str
        Its connection.
    obj : object
        What the task returned, or its file held: a list of dicts.

    Returns
    -------
    list of dict
        Whole records, in the order given.

    Raises
    ------
    ExecutionError
        If one is not a record of that dimension (``bad-records``); names it.
    """
    element = quantum.source.universe.element(elements_of(quantum.node)[output])
    try:
        rows: Any = _json.decode(_json.encode(obj))
        for row in rows:
            for name in (*element.required, *element.implied):
                if name != element.name and name in quantum.data_id:
                    row.setdefault(name, quantum.data_id[name])
        _columns(quantum.source.universe, element.name, rows, output)
    except UsageError as exc:
        raise ExecutionError(
            f"{exc.message}",
            code="bad-records",
            hint=f"Return a list of dicts with the columns of {element.name}: {', '.join(element.record_columns)}.",
        ) from exc
    return rows  # type: ignore[no-any-return]


def _columns(universe: DimensionUniverse, element: str, rows: list[dict[str, Any]], output: str) -> Columns:
    from sync.exports.json_lines import Lines
    from sync.exports.record_fields import columns_of

    names = frozenset().union(*rows)
    lines = [Lines(f"output '{output}'", rows, range(1, len(rows) + 1), names, "record")] if rows else []
    return columns_of(universe, universe.element(element), lines)


class Discoveries:
    """What quanta of a graph have found out, as their outputs hold it.

    Parameters
    ----------
    graph : QuantumSource
        The graph.
    store : Datastore
        Where their outputs are.
    """

    def __init__(self, graph: QuantumSource, store: Datastore) -> None:
        self._graph = graph
        self._store = store
        self._finders = finders(graph)

    def __bool__(self) -> bool:
        return bool(self._finders)

    def has(self, outcome: QuantumOutcome) -> bool:
        """Tell whether a quantum may have found out records.

        Parameters
        ----------
        outcome : QuantumOutcome
            What became of it.

        Returns
        -------
        bool
            Whether it succeeded, and its task does such things.
        """
        if not self._finders or outcome.status != QuantumStatus.SUCCEEDED:
            return False
        return self._graph.layout.locate_quantum(outcome.ordinal)[0] in self._finders

    def of(self, outcome: QuantumOutcome) -> dict[str, Columns]:
        """Read what a quantum has found out.

        Parameters
        ----------
        outcome : QuantumOutcome
            One for which `has` is true.

        Returns
        -------
        dict of str to Columns
            Records by element, what is referred to before what refers to it.
        """
        quantum = self._graph.quantum(outcome.ordinal)
        stored = {a.dataset: Artifact(*a[1:]) for a in outcome.artifacts}
        found: dict[str, list[dict[str, Any]]] = {}
        for name, element in elements_of(quantum.node).items():
            for planned in quantum.outputs.get(name, ()):
                if planned.ordinal in stored:
                    rows: Any = self._store.get(stored[planned.ordinal], planned.storage_class)
                    found.setdefault(element, []).extend(rows)
        universe = self._graph.universe
        return {
            name: _columns(universe, name, found[name], name) for name in universe.elements if found.get(name)
        }

    def refused(self, outcome: QuantumOutcome, error: StageError, *, keep: bool) -> QuantumOutcome:
        """Return the outcome of a quantum whose records are not taken: it failed.

        Parameters
        ----------
        outcome : QuantumOutcome
            What it was.
        error : StageError
            Why.
        keep : bool
            Whether files stay; else all that it wrote but its log is removed.

        Returns
        -------
        QuantumOutcome
            With its log alone.
        """
        quantum = self._graph.quantum(outcome.ordinal)
        log = quantum.outputs[LOG][0].ordinal
        # The metadata go first: where they are, the quantum counts as complete.
        for artifact in reversed(outcome.artifacts):
            if artifact.dataset != log and not keep:
                with contextlib.suppress(StageError):
                    self._store.remove(artifact.uri)
        return outcome._replace(
            status=QuantumStatus.FAILED,
            message=f"its dimension records are refused: {error.message}",
            artifacts=tuple(a for a in outcome.artifacts if a.dataset == log),
            absent=(),
        )


def insert_found(change: Change, found: Mapping[str, Columns]) -> None:
    """Record what a quantum has found out; what is there already and the same stays.

    Parameters
    ----------
    change : Change
        A write transaction of the staging registry.
    found : mapping of str to Columns
        Records by element, what is referred to first.

    Raises
    ------
    RecordsRefusedError
        If one is there with other values, or refers to what is not there.
    """
    for element, rows in found.items():
        try:
            change.insert_records(element, rows, on_existing="compare")
        except (ConflictError, UsageError) as exc:
            raise RecordsRefusedError(exc.message, code=exc.code, hint=exc.hint) from exc
