"""A graph with other settings of its tasks: the same quanta and datasets, done by what a pipeline says now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError
from stage.graph.graph import QuantumGraph
from stage.pipeline.steps import step_document

if TYPE_CHECKING:
    from stage.graph.access import QuantumSource
    from stage.pipeline.node import TaskNode
    from stage.pipeline.pipeline import Pipeline

__all__ = ["has_tasks_of", "with_header", "with_tasks"]

_SHOWN = 5


def with_header(graph: QuantumGraph, **fields: Any) -> QuantumGraph:
    """Return the same graph with other facts in its header.

    Parameters
    ----------
    graph : QuantumGraph
        Stays as it is.
    **fields
        Fields of `stage.graph.layout.Header`; ``metadata`` is added to what there is.

    Returns
    -------
    QuantumGraph
        Shares all rows.
    """
    metadata = {**graph.header.metadata, **fields.pop("metadata", {})}
    header = replace(graph.header, metadata=metadata, **fields)
    return _remade(graph, header, graph.documents)


def has_tasks_of(graph: QuantumSource, nodes: Sequence[TaskNode]) -> bool:
    """Tell whether a graph's quanta are done by just these tasks, settings and versions.

    Parameters
    ----------
    graph : QuantumGraph or GraphFile
        The graph.
    nodes : sequence of TaskNode
        Tasks of a pipeline, or of another graph.

    Returns
    -------
    bool
        Whatever their order is.
    """
    return {n.label: n.fingerprint for n in graph.tasks} == {n.label: n.fingerprint for n in nodes}


def with_tasks(graph: QuantumGraph, pipeline: Pipeline) -> QuantumGraph:
    """Return a graph whose quanta are done by the tasks of a pipeline, matched by label.

    Parameters
    ----------
    graph : QuantumGraph
        Stays as it is.
    pipeline : Pipeline
        With the same labels, dimensions, connections and dataset types; anything else may differ.

    Returns
    -------
    QuantumGraph
        The same graph if nothing differs. Quanta and datasets have the ids that they had.

    Raises
    ------
    ConflictError
        If the pipeline's tasks could not do these quanta (``graph-tasks-differ``); says which, and why.
    """
    ours = {node.label: node for node in pipeline.nodes}
    found = list(_obstacles({node.label: node for node in graph.tasks}, ours))
    if found:
        more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ConflictError(
            f"the pipeline's tasks cannot do the quanta of the graph: {'; '.join(found[:_SHOWN])}{more}",
            code="graph-tasks-differ",
            hint="Build the graph again (--rebuild), or run it as it was built (--use-qg-configs).",
            context={"differences": found},
        )
    if pipeline.fingerprint == graph.header.pipeline_fingerprint:
        return graph
    header = replace(
        graph.header,
        pipeline_fingerprint=pipeline.fingerprint,
        search_path=tuple(str(p) for p in pipeline.search_path),
        metadata={**graph.header.metadata, **step_document(pipeline)},
    )
    documents = {**graph.documents, "tasks": [ours[node.label].to_document() for node in graph.tasks]}
    return _remade(graph, header, documents)


def _remade(graph: QuantumGraph, header: Any, documents: Mapping[str, Any]) -> QuantumGraph:
    return QuantumGraph(header, documents, graph.task_rows, graph.type_rows, graph.record_tables)


def _obstacles(built: Mapping[str, TaskNode], ours: Mapping[str, TaskNode]) -> Iterator[str]:
    """Yield what of two sets of tasks is more than settings and versions."""
    yield from (f"task '{label}' is new" for label in ours if label not in built)
    for label, theirs in built.items():
        mine = ours.get(label)
        if mine is None:
            yield f"task '{label}' is gone"
            continue
        if set(mine.dimensions) != set(theirs.dimensions):
            yield f"{label}: its dimensions were {_words(theirs.dimensions)}, are {_words(mine.dimensions)}"
        yield from _differing_connections(label, theirs, mine)


def _differing_connections(label: str, theirs: TaskNode, mine: TaskNode) -> Iterator[str]:
    before, now = ({c.name: c for c in node.connections} for node in (theirs, mine))
    for name in dict.fromkeys([*before, *now]):
        if name not in now or name not in before:
            yield f"{label}: connection '{name}' is {'gone' if name in before else 'new'}"
            continue
        old, new = ({**c.to_document(), "doc": ""} for c in (before[name], now[name]))
        yield from (
            f"{label}: {key} of connection '{name}' was {old.get(key)!r}, is {new.get(key)!r}"
            for key in dict.fromkeys([*old, *new])
            if old.get(key) != new.get(key)
        )


def _words(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
