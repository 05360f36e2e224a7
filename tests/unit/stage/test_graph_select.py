"""Choosing quanta by task, data ID, and what comes before and after them."""

from __future__ import annotations

import pytest

from registry.errors import NotFoundError
from tests.graph_helpers import chain_graph
from tests.graph_world import build, full_world

GRAPH = chain_graph(3, 2, 2, run="u/run")
BRANCHED = build(full_world())


def test_ancestors_are_all_that_a_quantum_rests_on():
    """Down to the first task."""
    assert GRAPH.ancestors([12]).tolist() == [0, 1, 6, 7]
    assert GRAPH.ancestors([0]).tolist() == []


def test_descendants_are_all_that_rests_on_a_quantum():
    """Up to the last task."""
    assert GRAPH.descendants([0]).tolist() == [6, 12]
    assert GRAPH.descendants([0, 2]).tolist() == [6, 8, 12, 13]


def test_closures_reach_over_branches():
    """What is split, and gathered, and both of it read."""
    last = BRANCHED.quanta_of("last")[0]
    assert {"clean", "gather", "split"} == {BRANCHED.quantum(o).label for o in BRANCHED.ancestors([last])}
    for o in BRANCHED.ancestors([last]).tolist():
        assert last in BRANCHED.descendants([o])


@pytest.mark.parametrize(
    ("expression", "counts"),
    [
        ("task1", (0, 6, 0)),
        (">=task1", (0, 6, 3)),
        (">task1", (0, 0, 3)),
        ("<=task1", (6, 6, 0)),
        ("<gather", (6, 6, 0)),
        (["task0", "gather"], (6, 0, 3)),
        ("task0,gather", (6, 0, 3)),
        (">task0 & <gather", (0, 6, 0)),
        ("~task1", (6, 0, 3)),
    ],
)
def test_tasks_are_chosen_by_label_and_order(expression, counts):
    """With a sign for what builds on a task, or what it builds on."""
    assert counts == tuple(GRAPH.select(labels=expression).counts().values())


def test_tasks_beside_each_other_are_not_before_each_other():
    """Only what is read counts, not the order in which tasks are written."""
    assert tuple(BRANCHED.select(labels=">=gather").counts().values()) == (0, 3, 0, 6)
    assert tuple(BRANCHED.select(labels="<last").counts().values()) == (6, 3, 3, 0)


def test_conditions_are_all_to_be_met():
    """Ordinals, labels and data ID; what comes along is added after that."""
    part = GRAPH.select(labels="gather", data_id={"shot": 101})
    assert part.counts() == {"task0": 0, "task1": 0, "gather": 1}
    whole = GRAPH.select(labels="gather", data_id={"shot": 101}, ancestors=True)
    assert whole.counts() == {"task0": 2, "task1": 2, "gather": 1}
    assert GRAPH.select([0, 1], data_id={"chip": 1}, descendants=True).counts() == {
        "task0": 1,
        "task1": 1,
        "gather": 1,
    }
    assert GRAPH.select() is GRAPH


def test_a_part_plans_what_it_reads_where_the_whole_makes_it():
    """Its inputs have the ids and places that they had."""
    part = GRAPH.select([12])
    assert [d.uri for d in part.quantum(0).inputs["parts"]] == [
        d.uri for d in GRAPH.quantum(12).inputs["parts"]
    ]
    assert not part.is_found(part.quantum(0).inputs["parts"][0])


def test_records_of_what_is_left_out_go():
    """Those of what is left are all there."""
    part = GRAPH.select(data_id={"shot": 101})
    assert part.records("shot")["shot"].tolist() == [101]
    assert part.quantum(0).records == GRAPH.quantum(int(GRAPH.find("task0", {"shot": 101})[0])).records


@pytest.mark.parametrize("ordinals", [[15], [-1], [3, 99]])
def test_quanta_that_there_are_not_are_named(ordinals):
    """With how many there are."""
    with pytest.raises(NotFoundError, match=r"no quantum -?\d+: the graph has 15"):
        GRAPH.select(ordinals)
    with pytest.raises(NotFoundError):
        GRAPH.ancestors(ordinals)


def test_a_task_that_there_is_not_is_named():
    """With the nearest one."""
    with pytest.raises(NotFoundError, match="no task 'gahter'") as caught:
        GRAPH.select(labels=">=gahter")
    assert "gather" in caught.value.hint
