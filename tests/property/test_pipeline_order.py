"""Order of tasks: laws that hold for every pipeline, with and without circles."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import PipelineError
from stage.pipeline.node import ConnectionDef, TaskNode
from stage.pipeline.order import overall_inputs, producers, sorted_nodes

edges = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.just(n), st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=2 * n)
    )
)
"""A number of tasks, and pairs of a producer and a consumer among them."""


def nodes_of(n: int, pairs: set[tuple[int, int]]) -> list[TaskNode]:
    """Make tasks t0, t1, …: each writes d0, d1, … and reads what `pairs` say."""

    def node(i: int) -> TaskNode:
        reads = [ConnectionDef(f"in_{p}", "input", f"d{p}", "Json") for p, c in sorted(pairs) if c == i]
        connections = (*reads, ConnectionDef("out", "output", f"d{i}", "Json"))
        return TaskNode(f"t{i}", "class", "m:C", {}, (), connections)

    return [node(i) for i in range(n)]


def greedy(n: int, pairs: set[tuple[int, int]]) -> list[int] | None:
    """Take the first written task whose producers are done, again and again; None if none is left to take."""
    done: list[int] = []
    while len(done) < n:
        ready = [i for i in range(n) if i not in done and all(p in done for p, c in pairs if c == i)]
        if not ready:
            return None
        done.append(ready[0])
    return done


@given(edges)
def test_order_is_that_of_taking_the_first_ready_task(drawn: tuple[int, set[tuple[int, int]]]) -> None:
    """Sorting gives the order of the plainest algorithm, or finds a circle where that gets stuck."""
    n, pairs = drawn
    expected = greedy(n, pairs)
    try:
        found = [int(node.label[1:]) for node in sorted_nodes(nodes_of(n, pairs))]
    except PipelineError as error:
        found = None if error.code == "pipeline-cycle" else [-1]

    assert expected == found


@given(edges)
def test_a_printed_circle_is_one(drawn: tuple[int, set[tuple[int, int]]]) -> None:
    """Each step of the circle in the message is an edge of the graph, and it ends where it began."""
    n, pairs = drawn
    if greedy(n, pairs) is not None:
        return
    with pytest.raises(PipelineError) as caught:
        sorted_nodes(nodes_of(n, pairs))
    labels = [int(t) for t in re.findall(r"t(\d+)", str(caught.value).partition("circle: ")[2])]
    types = [int(t) for t in re.findall(r"\(d(\d+)\)", str(caught.value))]

    assert labels[0] == labels[-1]
    assert len(set(labels[:-1])) == len(labels) - 1
    assert types == labels[:-1]
    assert set(itertools.pairwise(labels)) <= pairs


@given(edges)
def test_inputs_and_products_part_the_dataset_types(drawn: tuple[int, set[tuple[int, int]]]) -> None:
    """A dataset type is either made by one task or an overall input."""
    nodes = nodes_of(*drawn)[::2]
    named = {c.dataset_type for node in nodes for c in node.connections}

    assert named == {*producers(nodes), *overall_inputs(nodes)}
    assert not {*producers(nodes)} & {*overall_inputs(nodes)}
