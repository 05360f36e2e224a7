"""What a refresh adds to the explanation that a graph keeps: quanta that went, and datasets found again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stage.graph.changing.refresh import Refreshed
    from stage.graph.graph import QuantumGraph

__all__ = ["refreshed_explanation"]


def refreshed_explanation(before: QuantumGraph, facts: Refreshed, left: Mapping[str, int]) -> dict[str, Any]:
    """Return the explanation of a graph as it is after a refresh.

    Parameters
    ----------
    before : QuantumGraph
        The graph as it was; what its build told stays.
    facts : Refreshed
        What the refresh did.
    left : mapping of str to int
        By task, how many quanta there are now.

    Returns
    -------
    dict
        JSON values, as `stage.graph.explaining.explain.Explanation.to_document` gives them. Each task has ``trimmed`` and
        ``pruned`` too, counted over all refreshes; ``datasets`` has by dataset type what the last one ``resolved``,
        ``replaced`` and left ``unresolved``.
    """
    told = before.header.metadata.get("explanation") or _nothing_told(before)
    tasks = [
        {
            **task,
            "trimmed": task.get("trimmed", 0) + facts.trimmed.get(task["task"], 0),
            "pruned": task.get("pruned", 0) + facts.pruned.get(task["task"], 0),
            "quanta": left.get(task["task"], 0),
        }
        for task in told["tasks"]
    ]
    datasets = {
        name: {
            "resolved": n,
            "replaced": facts.replaced.get(name, 0),
            "unresolved": facts.unresolved.get(name, 0),
        }
        for name, n in facts.resolved.items()
    }
    return {**told, "tasks": tasks, "datasets": datasets}


def _nothing_told(graph: QuantumGraph) -> dict[str, Any]:
    """Return the explanation of a graph that was built without: its quanta are what it began with."""
    tasks = [
        {"task": label, "data_ids": n, "skipped": 0, "dropped": [], "quanta": n}
        for label, n in graph.counts().items()
    ]
    return {
        "collections": list(graph.header.input_collections),
        "groups": [],
        "tasks": tasks,
        "causes": [],
    }  # fmt: skip
