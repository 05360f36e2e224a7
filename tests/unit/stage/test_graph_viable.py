"""Which quanta a refresh keeps: a task's minimum, its own say, and what exists elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from registry.errors import ConflictError
from stage.graph.changing.refresh import Refreshed, refresh
from stage.graph.graph import QuantumGraph
from stage.pipeline.connections import Connections, Input, Output
from stage.pipeline.resolve import make_node
from stage.pipeline.struct import NoWorkFound, Struct
from stage.pipeline.task import Task
from tests.graph_helpers import SHOT_CHIP, connection, node
from tests.graph_world import SHOT, World, build, full_world, tasks

CALLS: list[int] = []
"""Shots that a task was asked about."""


class SumConnections(Connections, dimensions=SHOT):
    """Raws of a shot to their sum, and to a report on them."""

    raws = Input("raw", "Json", dimensions=SHOT_CHIP, multiple=True)
    sum = Output("sum", "Json")
    report = Output("report", "Json")


class SumTask(Task):
    """Does nothing without the first chip, and reports on whole shots alone."""

    ConnectionsClass = SumConnections

    def adjust_quantum(self, inputs: Any, outputs: Any, data_id: Mapping[str, Any]) -> Any:
        """Look what there is."""
        CALLS.append(data_id["shot"])
        chips = [d.data_id["chip"] for d in inputs["raws"]]
        if 0 not in chips:
            raise NoWorkFound("the first chip is missing")
        if len(chips) < 3:
            outputs["report"] = []
        return inputs, outputs

    def run(self, raws: Any) -> Struct:
        """Add."""
        return Struct(sum=raws)


NODES = [
    make_node("sum", SumTask, SumTask.ConfigClass()),
    node("read", SHOT, connection("report", "input", SHOT), connection("page", "output", SHOT)),
]


def again(graph: QuantumGraph, world: World, **options: Any) -> Refreshed:
    """Refresh."""
    return refresh(graph, world, input_collections=["in"], **options)


def test_a_task_is_asked_only_about_quanta_that_lost_something() -> None:
    """And not at all if nothing is lost."""
    world = full_world(3, 3)
    graph = build(world, NODES)
    CALLS.clear()
    assert again(graph, world).graph is graph
    assert CALLS == []
    again(graph, world.without(raw=[1]), allow_pruning=True)
    assert CALLS == [100]


def test_what_a_task_gives_up_goes_with_all_that_rests_on_it() -> None:
    """A quantum without its first chip, and a report that is not made any more."""
    world = full_world(3, 3)
    graph = build(world, NODES)
    less = world.without(raw=[0, 4])
    done = again(graph, less, allow_pruning=True)
    assert done.graph.counts() == {"sum": 2, "read": 1}
    assert done.pruned == {"sum": 1, "read": 2}
    fresh = build(less, NODES)
    assert fresh.counts() == done.graph.counts()
    assert [len(q.outputs["report"]) for q in done.graph.quanta([0, 1])] == [0, 1]


def test_a_task_that_gives_quanta_up_is_quoted() -> None:
    """Where pruning is not allowed."""
    world = full_world(3, 3)
    graph = build(world, NODES)
    less = world.without(raw=[3])
    said = (
        r"1 of 3 quanta of 'sum', and 1 of other tasks: the task gives them up \(the first chip is missing\)"
    )
    with pytest.raises(ConflictError, match=said) as caught:
        again(graph, less)
    assert caught.value.code == "refresh-would-prune"


def test_a_quantum_with_enough_left_stays() -> None:
    """A gather of two that takes one loses an edge and no more."""
    world = full_world()
    graph = build(world, tasks(1))
    done = again(graph, world.without(raw=[1]), allow_pruning=True)
    assert done.graph.counts() == {"clean": 5, "gather": 3, "split": 3, "last": 5}
    gathers = done.graph.quanta(done.graph.quanta_of("gather"))
    assert [len(q.inputs["parts"]) for q in gathers] == [1, 2, 2]


def test_an_optional_input_that_went_is_no_loss() -> None:
    """Its edge goes; no permission is needed."""
    world = full_world()
    graph = build(world)
    done = again(graph, world.without(mask=[0, 1]))
    assert done.graph.counts() == graph.counts()
    assert [len(q.inputs["mask"]) for q in done.graph.quanta(range(6))] == [0, 0, 1, 1, 1, 1]
    assert (done.unresolved["mask"], done.pruned) == (2, {})


def test_no_dataset_that_the_graph_makes_is_asked_for() -> None:
    """One question for each type of overall inputs."""
    world = full_world()
    graph = build(world)
    world.asked.clear()
    again(graph, world)
    assert sorted(world.asked) == ["flat", "mask", "raw"]


def test_a_quantum_done_half_is_planned_as_before() -> None:
    """What exists of its outputs is made again, under the ids that were planned."""
    world = full_world()
    graph = build(world, run="u/run")
    world.put_outputs(graph, [0], "u/run")
    kind, rows = world.known["clean_log"]
    del world.known["clean_log"]
    assert rows.n_rows == 1
    done = again(graph, world, skip_run="u/run", trim_existing_in=["u/run"])
    assert done.graph is graph
    assert kind.name == "clean_log"
