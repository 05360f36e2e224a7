"""Graphs on a real repository: constraints, reasons for nothing, records, and what is left untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import NotFoundError, QueryError, UsageError
from registry.model.columns import Columns
from registry.model.dataset_type import DatasetType
from registry.model.refs import new_ids
from stage.graph.building.build import build_from_view
from stage.graph.building.question import Question
from stage.graph.building.view import BuildView
from stage.graph.graph import QuantumGraph
from stage.graph.layout import Header
from sync.repo import Repo
from tests.databases import sent
from tests.graph_helpers import SHOT_CHIP, MemoryView, camera_universe, chain_nodes, connection, node, product

UNIVERSE = camera_universe()
ROWS = product(4, 3)


def with_records(repo: Repo, rows: Columns = ROWS) -> Repo:
    """Insert the records of all shots and chips."""
    memory = MemoryView(UNIVERSE, rows, {})
    with repo.registry.write() as change:
        for element in UNIVERSE.elements.values():
            change.insert_records(element.name, memory.records(element.name, rows.unique(element.required)))
    return repo


def with_datasets(repo: Repo, name: str, dims: tuple[str, ...], run: str, rows: Any) -> Repo:
    """Insert datasets with artifacts at some rows of the distinct data IDs."""
    data_ids = ROWS.unique(dims).take(np.array(rows, dtype=np.int64))
    n = data_ids.n_rows
    ids = new_ids(n)
    with repo.registry.write() as change:
        change.register_run(run)
        change.register_dataset_type(DatasetType(name, UNIVERSE.group(dims), "Json"))
        columns = {k: data_ids[k] for k in data_ids.names}
        artifacts = {"uri": [f"{run}/{name}/{i.hex()}.json" for i in ids], "size": [7] * n}
        artifacts |= {"checksum": ["blake3:00"] * n, "formatter": ["json"] * n}
        change.insert_datasets(name, run, Columns({**columns, "id": ids, **artifacts}))
    return repo


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a repository with raws (but the last) in one RUN and flats in another."""
    root = tmp_path_factory.mktemp("upstream") / "repo"
    with Repo.create(str(root), UNIVERSE) as repo:
        with_records(repo)
        with_datasets(repo, "raw", SHOT_CHIP, "in/raw", range(11))
        with_datasets(repo, "flat", ("camera", "filter", "chip"), "in/flat", range(6))
        with repo.registry.write() as change:
            change.set_chain("in", ["in/raw", "in/flat"])
            change.register_dataset_type(DatasetType("empty", UNIVERSE.group(SHOT_CHIP), "Json"))
    return root


def build(
    root: Path, nodes: list[Any], where: str = "", collections: tuple[str, ...] = ("in",), **more: Any
) -> QuantumGraph:
    """Build on a repository."""
    with Repo.open(str(root)) as repo, BuildView(repo) as view:
        header = Header(bytes(range(16)), input_collections=collections)
        return build_from_view(nodes, view, Question(where, **more), header)


def test_a_chain_is_built_on_what_exists(upstream):
    """One raw is missing: so is its quantum, in each task that hangs on it."""
    graph = build(upstream, chain_nodes(2))
    assert graph.counts() == {"task0": 11, "task1": 11, "gather": 4}
    assert [len(graph.quantum(i).inputs["parts"]) for i in range(22, 26)] == [3, 3, 3, 2]


def test_inputs_are_absolute_and_complete(upstream):
    """A job finds them from anywhere, and can check them."""
    (raw,) = build(upstream, chain_nodes(1)).quantum(0).inputs["source"]
    with Repo.open(str(upstream)) as repo:
        assert repo.datastore.locate(f"in/raw/raw/{raw.id.hex()}.json") == raw.uri
    assert raw.uri.startswith(str(upstream))
    assert (raw.run, raw.size, raw.checksum, raw.formatter) == ("in/raw", 7, "blake3:00", "json")


@pytest.mark.parametrize(
    ("where", "more", "counts"),
    [
        ("camera = 'cam' AND shot = 101", {}, (3, 1)),
        ("camera = 'cam' AND shot IN (101, 103) AND chip > 0", {}, (3, 2)),
        ("filter = my_filter AND camera = 'cam'", {"bind": {"my_filter": "red"}}, (5, 2)),
        ("", {"data_id": {"camera": "cam", "chip": 2}}, (3, 3)),
        ("", {"table": Columns({"shot": [100, 103], "chip": [1, 2]})}, (1, 1)),
    ],
)
def test_a_graph_is_limited_to_what_was_asked_for(upstream, where, more, counts):
    """By expression, bound values, data ID, or a table of data IDs."""
    graph = build(upstream, chain_nodes(1), where, **more)
    assert counts == (graph.counts()["task0"], graph.counts()["gather"])


def test_the_expression_does_not_limit_prerequisites(upstream):
    """A flat of a chip that was asked for is found, whatever was said of shots."""
    task = node(
        "clean",
        ("camera", "shot"),
        connection("raw", "input", SHOT_CHIP, multiple=True),
        connection("flat", "prerequisite", ("camera", "filter", "chip"), multiple=True),
        connection("image", "output", ("camera", "shot")),
    )
    graph = build(upstream, [task], "camera = 'cam' AND shot = 100 AND chip = 1")
    assert graph.counts() == {"clean": 1}
    assert (len(graph.quantum(0).inputs["raw"]), len(graph.quantum(0).inputs["flat"])) == (1, 3)


def test_records_and_ids_wanted_are_those_of_the_quanta(upstream):
    """A small graph asks for little."""
    wanted = build(upstream, chain_nodes(1), "camera = 'cam' AND shot = 101").wanted()
    assert len(wanted.dataset_ids) == 3
    assert wanted.records["shot"].rows() == [("cam", 101)]
    assert wanted.records["filter"].rows() == [("cam", "red")]


def test_floats_strings_and_nulls_of_records_are_in_the_graph(upstream):
    """As the registry has them."""
    graph = build(upstream, chain_nodes(1))
    graph.save("memory://build/records.qg")
    records = QuantumGraph.load("memory://build/records.qg").records("shot")
    assert records["seconds"].tolist() == [50.0, 50.5, 51.0, 51.5]
    assert records["target"].tolist() == ["étoile-100", "étoile-101", None, "étoile-103"]


def test_building_changes_nothing(upstream):
    """Not one byte of the repository."""
    before = {p: p.read_bytes() for p in sorted(upstream.rglob("*")) if p.is_file()}
    build(upstream, chain_nodes(2))
    assert before == {p: p.read_bytes() for p in sorted(upstream.rglob("*")) if p.is_file()}


REASONS = {
    "no such data ID": ("camera = 'cam' AND shot = 5", {}, "there is no shot 5"),
    "data ID": ("", {"data_id": {"camera": "cam", "chip": 9}}, "there is no chip 9"),
    "table": ("", {"table": Columns({"shot": [5]})}, "among the 1 of the table"),
    "no input there": (
        "camera = 'cam' AND shot = 103 AND chip = 2",
        {},
        "no 'raw' in in/raw, in/flat for the data IDs",
    ),
}


@pytest.mark.parametrize("name", REASONS)
def test_an_empty_graph_names_the_constraint_that_emptied_it(upstream, name):
    """The last one that left nothing."""
    where, more, reason = REASONS[name]
    with pytest.raises(UsageError, match=reason) as caught:
        build(upstream, chain_nodes(2), where, **more)
    assert caught.value.code == "empty-graph"


def test_an_input_type_without_datasets_is_the_reason(upstream):
    """It is registered, and there is none."""
    task = node(
        "only", SHOT_CHIP, connection("empty", "input", SHOT_CHIP), connection("out", "output", SHOT_CHIP)
    )
    with pytest.raises(UsageError, match="there is no 'empty' in in/raw, in/flat"):
        build(upstream, [task])


def test_a_missing_collection_is_named(upstream):
    """With the nearest."""
    with pytest.raises(NotFoundError, match="in/rawx"):
        build(upstream, chain_nodes(1), collections=("in/rawx",))


def test_an_unregistered_input_offers_the_nearest(upstream):
    """A typing error in a pipeline."""
    task = node(
        "only", SHOT_CHIP, connection("rawe", "input", SHOT_CHIP), connection("out", "output", SHOT_CHIP)
    )
    with pytest.raises(NotFoundError, match="'rawe', which only reads") as caught:
        build(upstream, [task])
    assert "raw" in caught.value.hint


def test_a_malformed_expression_is_shown(upstream):
    """Line and caret, from the query language."""
    with pytest.raises(QueryError):
        build(upstream, chain_nodes(1), "shot = = 3")


def test_the_number_of_questions_does_not_grow_with_the_data(upstream):
    """What is sent to the database is the same for one quantum as for all."""

    def count(where: str) -> int:
        with Repo.open(str(upstream)) as repo, sent(repo.registry) as log, BuildView(repo) as view:
            build_from_view(
                chain_nodes(3), view, Question(where), Header(bytes(16), input_collections=("in",))
            )
        return sum(text.startswith("SELECT") for text in log)

    # Which camera is meant is asked where none is named: once more, and not once a row.
    assert count("camera = 'cam' AND shot = 100 AND chip = 0") == count("camera = 'cam'")
    assert count("shot = 100 AND chip = 0") == count("") <= count("camera = 'cam'") + 5
