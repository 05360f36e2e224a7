"""A graph with the tasks of a pipeline, and what stands in the way of that."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from registry.errors import ConflictError
from stage.graph.changing.retask import has_tasks_of, with_header, with_tasks
from tests.graph_helpers import chain_graph

GRAPH = chain_graph()


def _pipeline(nodes: Any, fingerprint: str = "new") -> Any:
    return SimpleNamespace(nodes=tuple(nodes), fingerprint=fingerprint, search_path=("/there",), whole=None)


def test_other_settings_are_taken_over_and_all_ids_stay() -> None:
    """Quanta and datasets are those that they were; the first graph is as it was."""
    changed = [replace(node, config={"limit": 7}, version="2") for node in GRAPH.tasks]
    made = with_tasks(GRAPH, _pipeline(changed))

    assert has_tasks_of(made, changed)
    assert not has_tasks_of(GRAPH, changed)
    assert ("new", ("/there",)) == (made.header.pipeline_fingerprint, made.header.search_path)
    assert GRAPH.quantum_ids(range(GRAPH.n_quanta)) == made.quantum_ids(range(made.n_quanta))


def test_nothing_is_made_of_the_same_pipeline() -> None:
    """The same fingerprint is the same graph."""
    assert with_tasks(GRAPH, _pipeline(GRAPH.tasks, GRAPH.header.pipeline_fingerprint)) is GRAPH


def _changed(what: str) -> list[Any]:
    first, *rest = GRAPH.tasks
    if what == "gone":
        return rest
    if what == "new":
        return [first, *rest, replace(first, label="other")]
    if what == "dimensions":
        return [replace(first, dimensions=first.dimensions[:1]), *rest]
    connection, *others = first.connections
    if what == "dataset type":
        return [replace(first, connections=(replace(connection, dataset_type="x"), *others)), *rest]
    return [replace(first, connections=tuple(others)), *rest]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("gone", "is gone"),
        ("new", "task 'other' is new"),
        ("dimensions", "its dimensions were"),
        ("dataset type", "dataset_type of connection"),
        ("connection", "is gone"),
    ],
)
def test_what_would_make_other_quanta_is_refused(what: str, said: str) -> None:
    """The error names task and part, with both values, and the ways on."""
    with pytest.raises(ConflictError, match=said) as caught:
        with_tasks(GRAPH, _pipeline(_changed(what)))

    assert caught.value.code == "graph-tasks-differ"
    assert "--rebuild" in caught.value.hint


def test_header_and_metadata_are_changed_alone() -> None:
    """Metadata are added to those there are, and rows are shared."""
    made = with_header(with_header(GRAPH, metadata={"a": 1}), created_ns=5, metadata={"b": 2})

    assert (5, 1, 2) == (made.header.created_ns, made.header.metadata["a"], made.header.metadata["b"])
    assert made.task_rows == GRAPH.task_rows
