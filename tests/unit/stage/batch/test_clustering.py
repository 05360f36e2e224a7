"""Tests of `stage.batch.clustering`: which quanta make a job together, and what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import UsageError
from stage.batch.clustering.clusters import Clusters, cluster_quanta
from stage.batch.clustering.naming import fields_of, format_rows
from stage.batch.clustering.quanta import Declared, QuantaTable
from stage.batch.clustering.sections import named_sections
from stage.batch.config.settings import Settings
from stage.graph.table import Coded
from tests.graph_helpers import chain_graph
from tests.vectors.batch_clustering import clusters_document, settings_of, table_of


def node(name: str, label: str, **data_id: Any) -> dict[str, Any]:
    """Return one quantum of a case."""
    return {"id": name, "label": label, "dataId": data_id}


def table(nodes: list[dict[str, Any]], *edges: str) -> QuantaTable:
    """Return quanta with edges such as ``a>b``."""
    return table_of({"nodes": nodes, "edges": [e.split(">") for e in edges]})


def members(clusters: Clusters, quanta: QuantaTable) -> dict[str, str]:
    """Return what each cluster has, by name."""
    found = clusters_document(quanta, clusters)["clusters"]
    return {c["name"]: " ".join(c["quanta"]) for c in found}


def clustered(quanta: QuantaTable, text: str) -> Clusters:
    """Return the clusters that a YAML asks for."""
    return cluster_quanta(quanta, settings_of(text))


GROUPS = [node("g1", "load", group="a"), node("g2", "load", group="b"), node("v1", "diff", visit=1), node("v2", "diff", visit=2)]  # fmt: skip
SINK = "clusterAlgorithm: dimension\ncluster:\n  ap:\n    pipetasks: load, diff\n    dimensions: visit\n    findDependencyMethod: sink\n"
RING = [node("p1", "p", D=1), node("q1", "q", D=1), node("r1", "r", D=1)]


def test_a_graph_has_its_quanta_its_implied_dimensions_and_its_edges() -> None:
    """A table of a graph has its counts, what data IDs imply, and which task reads what which one makes."""
    graph = chain_graph(3, 2)
    quanta = QuantaTable.of(graph)

    assert quanta.labels == ("task0", "task1", "gather")
    assert quanta.task_edges == {(0, 1), (1, 2)}
    filters = quanta.column(0, "filter")
    assert isinstance(filters, Coded)
    assert len(filters) == quanta.count(0) == 6
    assert quanta.column(2, "chip") is None
    assert quanta.describe(0) == str(graph.quantum(0))
    assert np.array_equal(quanta.dependencies.indices, graph.dependencies().indices)


def test_single_quanta_are_jobs_with_their_numbers_in_their_names() -> None:
    """Without any setting there is a job for each quantum, called as the graph counts."""
    quanta = QuantaTable.of(chain_graph(2, 1))
    clusters = clustered(quanta, "templateDataId: '{shot:04d}_{chip}_{tract}'\n")

    assert quanta.n_quanta == clusters.n_clusters == 6
    assert [n.split("_")[0] for n in clusters.names] == list("012345")
    assert all("__" not in n for n in clusters.names)
    assert clusters.parents is quanta.dependencies


def test_quanta_without_the_dimension_go_where_they_are_needed() -> None:
    """With findDependencyMethod a quantum of another dimension joins the cluster of what depends on it."""
    quanta = table(GROUPS, "g1>v2", "g2>v1")
    assert members(clustered(quanta, SINK), quanta) == {"ap_1": "g2 v1", "ap_2": "g1 v2"}

    with pytest.raises(UsageError, match="would belong to two, ap_1 and ap_2"):
        clustered(table(GROUPS, "g1>v1", "g1>v2", "g2>v2"), SINK)
    with pytest.raises(UsageError, match=r"load@.group=b. has no visit and nothing that it depends on"):
        clustered(table(GROUPS, "g1>v1"), SINK)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("cluster: {x: {pipetasks: 'p, r', dimensions: D}}", "cluster-cycle", "x -> q -> x (by r)"),
        ("cluster: {x: {pipetasks: p}, y: {pipetasks: 'q,p'}}", "task-in-two-clusters", "in 'x' and 'y'"),
        ("cluster: {r: {pipetasks: 'p,q'}}", "bad-cluster", "called like a task"),
        ("cluster: {x: {pipetasks: p, findDependencyMethod: up}}", "bad-cluster", "source or sink"),
        ("cluster: {x: {pipetasks: p, partitionDimensions: D}}", "bad-cluster", "partitionMaxClusters and"),
        ("cluster: {x: {pipetasks: p, equalDimensions: D}}", "bad-cluster", "pairs such as"),
        ("cluster: {x: 5}", "bad-cluster", "a section, not 5"),
        ("cluster: {x: {pipetasks: p, dimensions: visit}}", "bad-cluster", "p@{D=1} has no visit"),
        (
            "cluster: {x: {pipetasks: p, clusterTemplate: a}, y: {pipetasks: r, clusterTemplate: a}}",
            "job-name-twice",
            "called 'a'",
        ),
        ("templateDataId: '{D:s}'", "bad-template", "the value is 1"),
        ("templateDataId: 'x/{D}'", "bad-job-name", "has no '/'"),
    ],
)
def test_what_makes_no_jobs_is_refused(text: str, code: str, said: str) -> None:
    """Each refusal has its code, names the thing, and says what to do."""
    with pytest.raises(UsageError) as caught:
        clustered(table(RING, "p1>q1", "q1>r1"), f"clusterAlgorithm: dimension\n{text}\n")
    assert (caught.value.code, bool(caught.value.hint)) == (code, True)
    assert said in caught.value.message


def test_jobs_that_wait_for_each_other_are_shown_as_a_path() -> None:
    """Tasks may be in order and their jobs in a circle: then the jobs are named."""
    nodes = [node("a1", "t", v=1), node("a2", "t", v=2), node("b1", "u", v=1), node("b2", "u", v=2)]
    text = "clusterAlgorithm: dimension\ncluster: {x: {pipetasks: 't,u', dimensions: v}}\n"
    with pytest.raises(UsageError, match=r"x_1 -> x_2 -> x_1|x_2 -> x_1 -> x_2"):
        clustered(table(nodes, "a1>b2", "a2>b1"), text)


def test_jobs_of_one_label_are_numbered_as_they_wait() -> None:
    """Where jobs of one label wait for each other, numbers, members and tags follow."""
    nodes = [node("a1", "t", v=1), node("a2", "t", v=2), node("b1", "u", v=1), node("b2", "u", v=2)]
    quanta = table(nodes, "a2>b1")
    clusters = clustered(quanta, "clusterAlgorithm: dimension\ncluster: {x: {pipetasks: 't,u', dimensions: v}}\n")  # fmt: skip

    assert clusters.names == ["x_2", "x_1"]
    assert [clusters.tags_of(n) for n in range(2)] == [{"v": 2}, {"v": 1}]
    assert clusters.parents.of(1).tolist() == [0]


def test_a_site_may_be_called_as_the_section_of_clusters(tmp_path: Path) -> None:
    """What a site called "cluster" says of itself is not taken for clusters."""
    file = tmp_path / "submission.yaml"
    file.write_text(
        "computeSite: cluster\nsite: {cluster: {queue: long}}\ncluster: {byStation: {pipetasks: a, dimensions: d}}\n"
    )

    assert named_sections(Settings.read(str(file)), "cluster") == {
        "byStation": {"pipetasks": "a", "dimensions": "d"}
    }


def test_following_dependencies_stops_at_the_size() -> None:
    """A quantum joins the job that makes all it reads; a job that is full is followed by others."""
    quanta = QuantaTable.of(chain_graph(2, 3))
    two = clustered(quanta, "clusterAlgorithm: dependency\nmaxQuanta: 2\n")
    assert sorted(np.diff(two.quanta.indptr).tolist()) == [1, 1, 2, 2, 2, 2, 2, 2]
    assert set(two.labels) == {"task0+task1", "gather"}

    fan = table([node("s", "s", a=0), *(node(f"m{i}", "m", a=i) for i in range(7))], *(f"s>m{i}" for i in range(7)))  # fmt: skip
    cut = clustered(fan, "clusterAlgorithm: dependency\nmaxQuanta: 3\n")
    assert np.diff(cut.quanta.indptr).tolist() == [3, 3, 2]
    assert cut.parents.indices.tolist() == [0, 0]


def test_following_dependencies_stops_at_the_duration() -> None:
    """Minutes are what the YAML says of a task, else what it declares; without either that is told."""
    quanta = table([*RING], "p1>q1", "q1>r1")
    text = "clusterAlgorithm: dependency\nmaxMinutes: 60\nrequestWalltime: 30\n"
    assert np.diff(clustered(quanta, text).quanta.indptr).tolist() == [2, 1]

    with pytest.raises(UsageError, match="how long a quantum of 'p' takes"):
        clustered(quanta, "clusterAlgorithm: dependency\nmaxMinutes: 60\n")
    with pytest.raises(UsageError, match="no limit"):
        clustered(quanta, "clusterAlgorithm: dependency\n")
    declared = QuantaTable(
        quanta.labels, quanta.offsets, quanta.required, quanta.dependencies, quanta.task_edges,
        declared=(Declared(walltime_s=1700),) * 3,
    )  # fmt: skip
    assert clustered(declared, "clusterAlgorithm: dependency\nmaxMinutes: 60\n").n_clusters == 2


def reversed_singles(quanta: QuantaTable, settings: Any) -> Clusters:
    """Stand for an algorithm of a user."""
    del settings
    return clustered(quanta, "clusterAlgorithm: single\n")


def forgetful(quanta: QuantaTable, settings: Any) -> Clusters:
    """Stand for an algorithm of a user that leaves a quantum out."""
    del settings
    clusters = clustered(quanta, "clusterAlgorithm: single\n")
    some = clusters.quanta.take(np.array([0, 1, 1]))
    return replace(clusters, quanta=some)


def test_quanta_that_would_be_left_out_are_told() -> None:
    """A user's algorithm that loses a quantum, or runs one twice, is refused with its name."""
    with pytest.raises(UsageError, match=r"q@\{D=1\} into 2 jobs"):
        clustered(table(RING, "p1>q1", "q1>r1"), f"clusterAlgorithm: {__name__}:forgetful\n")


def test_a_user_s_algorithm_may_stand_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module in the working directory is found, as those that the graph names are."""
    (tmp_path / "own_jobs.py").write_text(
        "from stage.batch.clustering.single import single_clusters\n"
        "def mine(table, settings):\n    return single_clusters(table, settings)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert clustered(table(RING), "clusterAlgorithm: own_jobs:mine\n").n_clusters == 3


def test_algorithms_are_found_by_any_of_their_names() -> None:
    """Short names, the field's dotted ones, and a user's own function; another name is an error that helps."""
    quanta = table(RING)
    for name in ("lsst.ctrl.bps.quantum_clustering_funcs.dimension_clustering", f"{__name__}:reversed_singles"):  # fmt: skip
        assert clustered(quanta, f"clusterAlgorithm: {name}\n").n_clusters == 3
    with pytest.raises(UsageError, match="there is no 'dimensions'") as caught:
        clustered(quanta, "clusterAlgorithm: dimensions\n")
    assert "dimension" in str(caught.value.hint)
    with pytest.raises(UsageError, match="nosuch_module"):
        clustered(quanta, "clusterAlgorithm: nosuch_module:function\n")


def test_templates_are_filled_row_by_row() -> None:
    """Values are formatted as Python does it, what is not known is nothing, and underscores do not pile up."""
    columns: dict[str, Any] = {"n": np.array([1, 20, 1]), "t": Coded(np.array([0, 1, 0], dtype=np.int32), np.array(["a_", "100%"], dtype=object))}  # fmt: skip
    assert format_rows("{n:03d}_{t}_{x}_{n!r}", columns, 3) == ["001_a_1", "020_100%_20", "001_a_1"]
    assert format_rows("{x}", columns, 2) == ["", ""]
    assert fields_of("{a}{b:3}{a}") == ["a", "b"]
    with pytest.raises(UsageError, match="cannot be used"):
        fields_of("{a")
