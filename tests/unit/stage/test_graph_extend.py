"""Two graphs as one: what is joined, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry.errors import ConflictError
from stage.graph.changing.extend import extend
from stage.graph.changing.refresh import refresh
from stage.graph.graph import QuantumGraph
from stage.pipeline.node import TaskNode
from tests.graph_helpers import SHOT_CHIP, connection, node
from tests.graph_world import build, full_world, tasks, told


def by_shot(graph: QuantumGraph, shot: int) -> QuantumGraph:
    """Return what is done for one shot."""
    return graph.select(data_id={"shot": shot})


def test_quanta_of_another_question_are_added():
    """The first graph's keep their ids, the second's have theirs."""
    world = full_world()
    one, two = by_shot(build(world), 100), by_shot(build(world).retarget(""), 101)
    union = extend(one, two)
    assert union.counts() == {"clean": 4, "gather": 2, "split": 2, "last": 4}
    assert union.quantum_ids(union.find(data_id={"shot": 100})) == one.quantum_ids(range(one.n_quanta))
    assert union.quantum_ids(union.find(data_id={"shot": 101})) == two.quantum_ids(range(two.n_quanta))
    assert len(union.header.origins) == 2
    assert union.record_tables["shot"].n_rows == 2


def test_a_quantum_of_both_has_the_inputs_of_both():
    """As a gather over what each has asked for."""
    whole = build(full_world())
    one, two = (whole.select(whole.find("clean", {"chip": c}), descendants=True) for c in (0, 1))
    parts = [q.inputs["parts"] for q in extend(one, two).quanta(extend(one, two).quanta_of("gather"))]
    assert [[d.data_id["chip"] for d in refs] for refs in parts] == [[0, 1]] * 3


def test_where_one_dataset_is_taken_the_first_graph_counts():
    """A flat that was found elsewhere since is no second one."""
    world = full_world()
    one = build(world)
    world.put("flat", ("camera", "chip"), "new")
    two = refresh(one, world, input_collections=["new", "in"]).graph
    assert two.quantum(0).inputs["flat"][0].run == "new"
    union = extend(one, two)
    assert union is one
    assert extend(two, one).quantum(0).inputs["flat"] == two.quantum(0).inputs["flat"]


def test_what_the_second_makes_is_made_though_the_first_has_found_it():
    """Its id is that which the second plans, for it is another dataset."""
    world = full_world()
    first = build(world, run="u/one")
    world.put_outputs(first, first.quanta_of("clean").tolist(), "u/one")
    trimmed = refresh(first, world, input_collections=["in"], trim_existing_in=["u/one"]).graph
    second = build(world).retarget("")
    union = extend(trimmed, second)
    image = union.quantum(0).outputs["result"][0]
    assert image.id == second.quantum(0).outputs["result"][0].id
    assert not union.is_found(image)
    assert union.counts() == second.counts()
    assert union.quantum_ids(union.quanta_of("gather")) == trimmed.quantum_ids(trimmed.quanta_of("gather"))


def test_tasks_are_added_in_order():
    """A task whose output the first graph reads comes before it, and makes that an intermediate dataset."""
    before = node(
        "before",
        SHOT_CHIP,
        connection("seed", "input", SHOT_CHIP),
        connection("raw", "output", SHOT_CHIP),
    )
    world = full_world()
    world.put("seed", SHOT_CHIP)
    one, two = build(world), build(world, [before]).retarget("")
    union = extend(one, two)
    assert list(union.counts()) == ["before", *one.counts()]
    raw = union.quantum(int(union.quanta_of("clean")[0])).inputs["source"][0]
    assert raw.id == two.quantum(0).outputs["raw"][0].id
    assert union.dependencies().of(int(union.quanta_of("clean")[0])).tolist() == [0]
    kinds = {t.name: t.role for t in union.layout.types}
    assert kinds["raw"] == "intermediate"


def changed(nodes: list[TaskNode], **fields: object) -> list[TaskNode]:
    """Return the tasks with the first of them changed."""
    return [replace(nodes[0], **fields), *nodes[1:]]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"config": {"level": 2}}, "task 'clean' is not the same in both: level is 1 in the first and 2"),
        ({"version": "2.0"}, "its version is - in the first and 2.0 in the second"),
        ({"target": "elsewhere:Clean"}, "its code, dimensions or connections differ"),
    ],
)
def test_one_label_for_two_tasks_is_refused(fields, said):
    """Says in what they differ; both graphs are as they were."""
    world = full_world()
    one, two = build(world), build(world, changed(tasks(), **fields))
    before = told(one, ids=True)
    with pytest.raises(ConflictError, match=said) as caught:
        extend(one, two)
    assert caught.value.code == "extend-differs"
    assert before == told(one, ids=True)


def test_graphs_for_two_runs_are_refused():
    """What is planned can be in one RUN only."""
    graph = build(full_world(), run="u/one")
    with pytest.raises(ConflictError, match="the output RUN of the first is 'u/one'") as caught:
        extend(graph, graph.retarget("u/two"))
    assert caught.value.code == "extend-differs"


def test_one_name_for_two_dataset_types_is_refused():
    """The second graph's task would write what the first's readers do not take."""
    one = build(full_world())
    other = node(
        "tell",
        SHOT_CHIP,
        connection("raw", "input", SHOT_CHIP, storage_class="Text"),
        *tasks()[0].outputs[:0],
    )
    world = full_world()
    kind, rows = world.known["raw"]
    world.known["raw"] = (replace(kind, storage_class="Text"), rows)
    with pytest.raises(ConflictError, match="'raw' has storage_class Json in the first and Text"):
        extend(one, build(world, [other]))
