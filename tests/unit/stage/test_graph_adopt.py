"""What is checked of a graph that was made elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import ConflictError
from registry.model.dataset_type import DatasetType
from registry.model.dimensions import DimensionUniverse
from stage.graph.changing.adopt import check_import, check_inputs, check_registered
from stage.graph.graph import QuantumGraph
from tests.execution_lab import make_lab
from tests.graph_helpers import CAMERA
from tests.graph_world import UNIVERSE, build, full_world


def remade(graph: QuantumGraph, **documents: object) -> QuantumGraph:
    """Return a graph with other documents."""
    return QuantumGraph(
        graph.header, {**graph.documents, **documents}, graph.task_rows, graph.type_rows, graph.record_tables
    )


def test_a_graph_of_the_same_dimensions_fits():
    """In memory and as a file."""
    graph = build(full_world())
    check_import(graph, UNIVERSE)
    graph.save("memory://adopt/one.qg")
    check_import(QuantumGraph.load("memory://adopt/one.qg"), UNIVERSE)


def test_other_dimensions_are_refused_with_both_versions():
    """Even where only the number differs."""
    other = DimensionUniverse.from_yaml(CAMERA.replace("version: 1", "version: 2"))
    with pytest.raises(
        ConflictError, match=r"test/camera 1 \(\w{8}\), and the campaign's is test/camera 2"
    ) as caught:
        check_import(build(full_world()), other)
    assert caught.value.code == "graph-foreign"


def test_tasks_that_are_not_those_of_the_rows_are_refused():
    """Other labels, dimensions or connections than the rows were made by."""
    graph = build(full_world())
    documents = list(graph.documents["tasks"])
    with pytest.raises(
        ConflictError, match="it has rows of clean, gather, split, last and tasks gather, clean"
    ):
        check_import(remade(graph, tasks=[documents[1], documents[0], *documents[2:]]), UNIVERSE)
    fewer = [{**documents[0], "dimensions": ["camera", "shot"]}, *documents[1:]]
    with pytest.raises(ConflictError, match="quanta of 'clean' have camera, shot, chip"):
        check_import(remade(graph, tasks=fewer), UNIVERSE)
    renamed = [{**documents[0], "connections": documents[0]["connections"][:-1]}, *documents[1:]]
    with pytest.raises(
        ConflictError, match="the connections of 'clean' are not those of its quanta"
    ) as caught:
        check_import(remade(graph, tasks=renamed), UNIVERSE)
    assert caught.value.code == "graph-foreign"


def test_dataset_types_that_differ_here_are_refused(tmp_path: Path):
    """Those that are not registered here do not matter."""
    lab = make_lab(tmp_path)
    with lab.staging.registry.read() as snapshot:
        check_registered(lab.graph, snapshot)
    with lab.staging.registry.write() as change:
        group = lab.graph.universe.group(("batch", "sample"))
        change.register_dataset_type(DatasetType("doubled", group, "Text"))
    with (
        lab.staging.registry.read() as snapshot,
        pytest.raises(ConflictError, match=r"'doubled'.*Text") as caught,
    ):
        check_registered(lab.graph, snapshot)
    assert caught.value.code == "graph-foreign"


def test_inputs_that_are_not_there_are_counted(tmp_path: Path):
    """Asked for all at once, by id."""
    lab, other = make_lab(tmp_path / "one"), make_lab(tmp_path / "two")
    with lab.staging.registry.read() as ours, other.staging.registry.read() as theirs:
        check_inputs(lab.graph, {"staging": ours})
        check_inputs(lab.graph, {"upstream": theirs})
        with pytest.raises(
            ConflictError, match="4 datasets that this campaign has not made: 4 of 'number'"
        ) as caught:
            check_inputs(lab.graph, {"staging": theirs})
    assert caught.value.context["missing"] == {"number": 4}
    lab.staging.close()
    other.staging.close()
