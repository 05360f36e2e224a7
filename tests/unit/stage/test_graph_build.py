"""Building on columns: quanta, edges, prerequisites, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from registry.errors import NotFoundError, PipelineError, UsageError
from registry.model.dataset_type import DatasetType
from stage.graph.building.build import build_from_view
from stage.graph.building.plan import make_plan
from stage.graph.building.question import Question
from stage.graph.layout import Header
from tests.graph_helpers import (
    SHOT_CHIP,
    MemoryView,
    camera_universe,
    chain_graph,
    chain_nodes,
    connection,
    found,
    node,
    product,
)

UNIVERSE = camera_universe()
ROWS = product(3, 2)
SHOT, CHIP, FILTER = ("camera", "shot"), ("camera", "chip"), ("camera", "filter")


def kind(name: str, dims: tuple[str, ...], storage_class: str = "Json") -> DatasetType:
    """Return a dataset type."""
    return DatasetType(name, UNIVERSE.group(dims), storage_class)


def all_of(name: str, dims: tuple[str, ...], keep: Any = None) -> tuple[DatasetType, Any]:
    """Return a dataset type with datasets for all its data IDs, or for those at rows `keep`."""
    data_ids = ROWS.unique(dims)
    return kind(name, dims), found(
        data_ids if keep is None else data_ids.take(np.array(keep, dtype=np.int64))
    )


def build(nodes: list[Any], **datasets: tuple[DatasetType, Any]) -> Any:
    """Build on a repository that has these datasets."""
    view = MemoryView(UNIVERSE, ROWS, datasets)
    return build_from_view(nodes, view, Question(), Header(bytes(range(16)), input_collections=("in",)))


RAW = connection("raw", "input", SHOT_CHIP)
IMAGE = connection("image", "output", SHOT_CHIP)


def test_a_scatter_makes_many_outputs_of_one_quantum():
    """Each output has one writer, and its reader follows."""
    split = node(
        "split",
        SHOT,
        connection("raw", "input", SHOT_CHIP, multiple=True),
        connection("image", "output", SHOT_CHIP, multiple=True),
    )
    after = node(
        "after", SHOT_CHIP, connection("image", "input", SHOT_CHIP), connection("table", "output", SHOT_CHIP)
    )
    graph = build([split, after], raw=all_of("raw", SHOT_CHIP))
    assert graph.counts() == {"split": 3, "after": 6}
    assert len(graph.quantum(0).outputs["image"]) == 2
    assert graph.dependencies().indices.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_task_of_no_dimensions_gathers_everything():
    """It has one quantum."""
    last = node(
        "last", (), connection("raw", "input", SHOT_CHIP, multiple=True), connection("sum", "output", ())
    )
    graph = build([last], raw=all_of("raw", SHOT_CHIP))
    assert graph.counts() == {"last": 1}
    assert (graph.quantum(0).data_id, len(graph.quantum(0).inputs["raw"])) == ({}, 6)
    assert graph.quantum_rows([0])["data_id"].tolist() == ["{}"]


def test_implied_dimensions_can_be_those_of_a_task():
    """Quanta by filter, which shots imply."""
    task = node(
        "stack",
        FILTER,
        connection("raw", "input", SHOT_CHIP, multiple=True),
        connection("sum", "output", FILTER),
    )
    graph = build([task], raw=all_of("raw", SHOT_CHIP))
    assert graph.data_ids("stack").rows() == [("cam", "blue"), ("cam", "red")]
    assert [len(q.inputs["raw"]) for q in graph.quanta([0, 1])] == [4, 2]


def test_an_optional_input_is_given_where_it_exists():
    """No quantum is lost for want of it."""
    task = node("clean", SHOT_CHIP, RAW, connection("mask", "input", SHOT_CHIP, minimum=0), IMAGE)
    graph = build([task], raw=all_of("raw", SHOT_CHIP), mask=all_of("mask", SHOT_CHIP, [1, 4]))
    assert [len(q.inputs["mask"]) for q in graph.quanta(range(6))] == [0, 1, 0, 0, 1, 0]
    assert "blake3" in graph.quantum(1).inputs["mask"][0].checksum


def test_prerequisites_are_looked_up_by_their_dimensions():
    """One flat serves all shots of its chip and filter."""
    flat = connection("flat", "prerequisite", ("camera", "filter", "chip"))
    graph = build(
        [node("clean", SHOT_CHIP, RAW, flat, IMAGE)],
        raw=all_of("raw", SHOT_CHIP),
        flat=all_of("flat", ("camera", "filter", "chip")),
    )
    flats = [q.inputs["flat"][0].data_id for q in graph.quanta(range(6))]
    assert [(f["filter"], f["chip"]) for f in flats] == [
        ("blue", 0),
        ("blue", 1),
        ("red", 0),
        ("red", 1),
        ("blue", 0),
        ("blue", 1),
    ]
    assert graph.layout.types[graph.layout.type_index["flat"]].n_datasets == 4
    assert len(graph.wanted().dataset_ids) == 10


def test_prerequisites_of_other_dimensions_are_found_through_relations():
    """A shot's quantum gets the flats of all chips."""
    flat = connection("flat", "prerequisite", CHIP, multiple=True)
    task = node(
        "clean",
        SHOT,
        connection("raw", "input", SHOT_CHIP, multiple=True),
        flat,
        connection("out", "output", SHOT),
    )
    graph = build([task], raw=all_of("raw", SHOT_CHIP), flat=all_of("flat", CHIP))
    assert [[f.data_id["chip"] for f in q.inputs["flat"]] for q in graph.quanta(range(3))] == [[0, 1]] * 3


def test_a_missing_prerequisite_fails_with_count_and_first_data_ids():
    """Unlike a missing input, it is no reason to leave the quantum out."""
    task = node("clean", SHOT_CHIP, RAW, connection("flat", "prerequisite", CHIP), IMAGE)
    with pytest.raises(
        NotFoundError, match=r"3 of 6 quanta of 'clean'.*'flat' in in for \{camera=cam, shot=100, chip=1\}"
    ) as caught:
        build([task], raw=all_of("raw", SHOT_CHIP), flat=all_of("flat", CHIP, [0]))
    assert caught.value.code == "missing-prerequisite"


def test_a_prerequisite_is_only_asked_for_quanta_that_are_kept():
    """What was pruned needs nothing."""
    task = node("clean", SHOT_CHIP, RAW, connection("flat", "prerequisite", CHIP), IMAGE)
    graph = build([task], raw=all_of("raw", SHOT_CHIP, [0, 2]), flat=all_of("flat", CHIP, [0]))
    assert graph.counts() == {"clean": 2}


def test_an_optional_prerequisite_may_be_missing():
    """Its minimum is 0."""
    task = node("clean", SHOT_CHIP, RAW, connection("flat", "prerequisite", CHIP, minimum=0), IMAGE)
    graph = build([task], raw=all_of("raw", SHOT_CHIP), flat=all_of("flat", CHIP, [1]))
    assert [len(q.inputs["flat"]) for q in graph.quanta(range(6))] == [0, 1, 0, 1, 0, 1]


def test_a_type_that_is_input_here_and_prerequisite_there_is_held_once():
    """Both readers point to the same datasets."""
    one = node("one", SHOT_CHIP, RAW, connection("bias", "prerequisite", CHIP), IMAGE)
    two = node("two", CHIP, connection("bias", "input", CHIP), connection("table", "output", CHIP))
    graph = build([one, two], raw=all_of("raw", SHOT_CHIP, [1, 3]), bias=all_of("bias", CHIP))
    assert graph.counts() == {"one": 2, "two": 2}
    assert graph.layout.types[graph.layout.type_index["bias"]].n_datasets == 2
    assert graph.quantum(0).inputs["bias"] == graph.quantum(3).inputs["bias"]


def test_tasks_that_share_nothing_are_asked_for_apart():
    """One's data IDs do not multiply the other's."""
    other = node("other", FILTER, connection("atlas", "input", FILTER), connection("map", "output", FILTER))
    nodes = [*chain_nodes(1, gather=False), other]
    assert len(make_plan(nodes, UNIVERSE).groups) == 2
    graph = build(nodes, raw=all_of("raw", SHOT_CHIP), atlas=all_of("atlas", FILTER))
    assert graph.counts() == {"task0": 6, "other": 2}


def test_init_datasets_join_tasks_without_edges():
    """A schema written once is what the next task is constructed with."""
    first = node("first", SHOT_CHIP, RAW, connection("schema", "init_output", ()), IMAGE)
    second = node(
        "second",
        SHOT_CHIP,
        connection("image", "input", SHOT_CHIP),
        connection("schema", "init_input", ()),
        connection("out", "output", SHOT_CHIP),
    )
    graph = build([first, second], raw=all_of("raw", SHOT_CHIP)).retarget("out/1")
    assert (
        graph.init_outputs("first")["schema"]
        == graph.init_inputs("second")["schema"]
        == graph.quantum(6).init_inputs["schema"]
    )
    assert {"schema", "_config"} == set(graph.init_outputs("first"))


def test_an_init_input_from_outside_is_found():
    """It has the id and the place that it was found with."""
    task = node("only", SHOT_CHIP, RAW, connection("schema", "init_input", ()), IMAGE)
    there = found(ROWS.select(["camera"]).take(np.array([0]))).select(
        ["id", "run", "uri", "size", "checksum", "formatter", "origin"]
    )
    graph = build([task], raw=all_of("raw", SHOT_CHIP), schema=(kind("schema", ()), there))
    assert there["id"][0] == graph.init_inputs("only")["schema"].id


def test_records_are_those_of_what_is_kept():
    """Shots without quanta have no record in the graph."""
    graph = chain_graph(n_shots=3, n_chips=2, missing=[0, 1])
    assert graph.records("shot")["shot"].tolist() == [101, 102]
    assert graph.records("shot")["filter"].tolist() == ["red", "blue"]


def test_what_was_dropped_is_in_the_header():
    """By task and dataset type, with counts."""
    task = node("clean", SHOT_CHIP, RAW, connection("mask", "input", SHOT_CHIP), IMAGE)
    late = node(
        "late",
        SHOT,
        connection("image", "input", SHOT_CHIP, multiple=True, minimum=2),
        connection("sum", "output", SHOT),
    )
    graph = build([task, late], raw=all_of("raw", SHOT_CHIP), mask=all_of("mask", SHOT_CHIP, [0, 1, 2]))
    assert graph.counts() == {"clean": 3, "late": 1}
    assert graph.header.metadata["dropped"] == [
        {"task": "late", "dataset_type": "image", "dropped": 1, "of": 2}
    ]


def test_an_unregistered_input_is_named_with_its_reader():
    """It is an error and no empty graph."""
    with pytest.raises(NotFoundError, match="'raw', which task0 reads") as caught:
        build(chain_nodes(1))
    assert caught.value.code == "dataset-type-not-registered"


def test_tasks_that_only_read_the_same_do_not_limit_each_other():
    """Each has all quanta that its own inputs allow."""
    alone = node("alone", SHOT_CHIP, RAW, connection("image", "output", SHOT_CHIP))
    masked = node(
        "masked",
        SHOT_CHIP,
        RAW,
        connection("mask", "input", SHOT_CHIP),
        connection("clean", "output", SHOT_CHIP),
    )
    graph = build([alone, masked], raw=all_of("raw", SHOT_CHIP), mask=all_of("mask", SHOT_CHIP, [0, 1]))
    assert graph.counts() == {"alone": ROWS.unique(SHOT_CHIP).n_rows, "masked": 2}


def test_an_optional_input_need_not_be_registered():
    """There just is none of it."""
    optional = connection("mask", "input", SHOT_CHIP, minimum=0)
    task = node("clean", SHOT_CHIP, RAW, optional, connection("image", "output", SHOT_CHIP))
    graph = build([task], raw=all_of("raw", SHOT_CHIP))
    quanta = graph.quanta(graph.quanta_of("clean").tolist())
    assert quanta
    assert all(len(q.inputs["mask"]) == 0 and len(q.inputs["raw"]) == 1 for q in quanta)


@pytest.mark.parametrize("registered", [kind("raw", SHOT), kind("raw", SHOT_CHIP, "Text")])
def test_an_input_that_is_something_else_is_refused(registered):
    """Other dimensions, or another storage class."""
    with pytest.raises(PipelineError, match="'raw'") as caught:
        build(chain_nodes(1), raw=(registered, found(ROWS.unique(SHOT_CHIP))))
    assert caught.value.code == "dataset-type-differs"


def test_several_datasets_for_a_single_input_are_refused():
    """The message says how to declare it."""
    task = node("sum", SHOT, connection("raw", "input", SHOT_CHIP), connection("out", "output", SHOT))
    with pytest.raises(PipelineError, match="3 of 3 quanta of 'sum'") as caught:
        build([task], raw=all_of("raw", SHOT_CHIP))
    assert (caught.value.code, "multiple=True" in caught.value.hint) == ("several-inputs", True)


def test_an_output_with_two_writers_is_refused():
    """Quanta of a chip cannot all write the dataset of the shot."""
    task = node("sum", SHOT_CHIP, RAW, connection("out", "output", SHOT))
    with pytest.raises(PipelineError, match=r"'out'.*shot=100") as caught:
        build([task], raw=all_of("raw", SHOT_CHIP))
    assert caught.value.code == "output-written-twice"


def test_a_prerequisite_made_by_the_pipeline_is_refused():
    """It would have to be there before the graph is."""
    first = node("first", SHOT_CHIP, RAW, IMAGE)
    second = node(
        "second",
        SHOT_CHIP,
        connection("image", "prerequisite", SHOT_CHIP),
        connection("out", "output", SHOT_CHIP),
    )
    with pytest.raises(PipelineError, match="'image'"):
        build([first, second], raw=all_of("raw", SHOT_CHIP))


def test_an_empty_graph_says_what_was_missing():
    """Which input emptied it."""
    with pytest.raises(UsageError, match="no 'raw' in in") as caught:
        build(chain_nodes(2), raw=all_of("raw", SHOT_CHIP, []))
    assert caught.value.code == "empty-graph"
    assert "task0 0, task1 0, gather 0" in str(caught.value)


def test_a_graph_emptied_by_a_minimum_says_so():
    """The count needed and the counts dropped."""
    task = node(
        "sum",
        SHOT,
        connection("raw", "input", SHOT_CHIP, multiple=True, minimum=3),
        connection("out", "output", SHOT),
    )
    with pytest.raises(UsageError, match="3 of 3 quanta dropped, without 3 'raw'"):
        build([task], raw=all_of("raw", SHOT_CHIP))


def test_an_empty_graph_can_be_wanted():
    """Then it is a graph like others."""
    view = MemoryView(UNIVERSE, ROWS, {"raw": all_of("raw", SHOT_CHIP, [])})
    graph = build_from_view(chain_nodes(2), view, Question(), Header(bytes(16)), allow_empty=True)
    graph.save("memory://empty.qg")
    assert 0 == graph.n_quanta == type(graph).load("memory://empty.qg").n_quanta
