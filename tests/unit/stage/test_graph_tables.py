"""Tables and numbers of a graph: each row agrees with the single quanta and datasets."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import NotFoundError, UsageError
from registry.model.refs import id_text
from stage.graph.file.reader import GraphFile
from stage.graph.summary import count_by, dataset_sizes, found_quanta, quantum_document
from stage.graph.tables import TABLES, graph_columns, with_implied
from tests.graph_helpers import chain_graph


def test_quanta_are_as_single_ones():
    """Ordinal, id, task and data ID; null where a task lacks a dimension."""
    graph = chain_graph(3, 2, 2, run="u/run")
    rows = graph_columns(graph).rows(("ordinal", "id", "task", "camera", "shot", "chip"))

    assert graph.n_quanta == len(rows)
    for ordinal, quantum_id, task, camera, shot, chip in rows:
        quantum = graph.quantum(ordinal)
        data_id = {"camera": camera, "shot": shot, "chip": chip}

        assert (quantum_id, task) == (quantum.id, quantum.label)
        assert {k: v for k, v in data_id.items() if v is not None} == quantum.data_id


def test_one_tasks_quanta_have_its_dimensions_alone():
    """Numbers stay numbers."""
    columns = graph_columns(chain_graph(2, 2, 1), "quanta", "gather")

    assert ("ordinal", "id", "task", "camera", "shot") == columns.names
    assert columns["shot"].dtype.kind == "i"


def test_datasets_are_as_single_ones():
    """What is there has its place and size; what is planned has the RUN, and no place yet."""
    graph = chain_graph(2, 2, 1, run="u/run")
    columns = graph_columns(graph, "datasets")
    first = graph.planned("raw", [1])[0]

    assert graph.n_datasets == columns.n_rows
    assert (first.ordinal, first.id, "raw", "overall-input", "in", first.uri, first.size) == columns.rows()[
        1
    ][:7]
    planned = graph_columns(graph, "datasets", "whole").rows(("id", "run", "uri", "size"))
    assert (graph.planned("whole", [0])[0].id, "u/run", None, 0) == planned[0]


def test_edges_are_all_that_quanta_read_and_write():
    """Pair by pair, with the connection."""
    graph = chain_graph(2, 2, 2)
    rows = set(graph_columns(graph, "edges").rows(("quantum", "dataset", "connection", "is_input")))
    single = {
        (q.ordinal, d.ordinal, name, is_input)
        for q in graph.quanta(range(graph.n_quanta))
        for is_input, held in ((True, q.inputs), (False, q.outputs))
        for name, datasets in held.items()
        for d in datasets
    }

    assert single == rows
    assert graph.inputs_of(graph.quanta_of("gather")).quantum.size == sum(
        graph_columns(graph, "edges", "gather")["is_input"]
    )


def test_arrow_and_pandas_have_the_same_rows():
    """Whatever the table."""
    pytest.importorskip("pandas")
    graph = chain_graph(2, 2, 1)
    for what in TABLES:
        arrow, frame = graph.to_arrow(what), graph.to_pandas(what)

        assert (arrow.num_rows, arrow.column_names) == (len(frame), list(frame.columns)), what
    assert "fixed_size_binary[16]" == str(graph.to_arrow().schema.field("id").type)
    assert [100, 101] == graph.to_pandas("quanta", "gather")["shot"].tolist()


def test_a_missing_package_is_named(monkeypatch):
    """With how to install it."""
    real = builtins.__import__

    def no_pandas(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "pandas":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr(builtins, "__import__", no_pandas)
    with pytest.raises(UsageError, match="'pandas'") as caught:
        chain_graph().to_pandas()

    assert ("missing-extra", "Install it: pip install pandas") == (caught.value.code, caught.value.hint)


def test_unknown_tables_and_names_are_refused():
    """With the nearest that there is."""
    graph = chain_graph()
    with pytest.raises(UsageError, match="no table of 'edge'") as caught:
        graph_columns(graph, "edge")
    assert "Did you mean 'edges'?" == caught.value.hint
    with pytest.raises(NotFoundError, match="no task 'gathr'"):
        graph_columns(graph, "quanta", "gathr")
    with pytest.raises(NotFoundError, match="no dataset type 'hole'"):
        graph_columns(graph, "datasets", "hole")


def test_quanta_are_counted_by_what_their_dimensions_imply():
    """By the records that the graph holds: a shot's filter is in no data ID."""
    graph = chain_graph(3, 2, 2)

    assert [("blue", 4, 4, 2), ("red", 2, 2, 1)] == count_by(graph, ["filter"]).rows()
    assert ("chip", "task0", "task1") == count_by(graph, ["chip"]).names
    assert [(101, 1)] == count_by(graph, ["shot"], "task1", {"chip": 0, "shot": 101}).rows()
    assert [("cam", "blue", 4)] == count_by(graph, ["camera", "filter"], "task0").rows()[:1]


def test_what_does_not_follow_is_not_counted():
    """No task has such a dimension: the nearest is offered."""
    graph = chain_graph()

    assert with_implied(graph, graph.task_rows[0].table, ["nothing"]) is None
    with pytest.raises(UsageError, match="the dimensions filtr") as caught:
        count_by(graph, ["filtr"])
    assert ("no-such-dimension", "Did you mean 'filter'?") == (caught.value.code, caught.value.hint)
    with pytest.raises(NotFoundError, match="no task 'nope'"):
        count_by(graph, ["shot"], "nope")


def test_quanta_are_found_by_task_and_data_id():
    """Also by values that follow from theirs."""
    graph = chain_graph(3, 2, 2)

    assert [1, 3, 5] == found_quanta(graph, "task0", {"chip": "1"})["quantum"].tolist()
    red = found_quanta(graph, None, {"filter": "red", "chip": "0"})
    assert [(2, "task0"), (8, "task1")] == red.rows(("quantum", "task"))
    assert [2, 2, 2] == found_quanta(graph, "gather")["inputs"].tolist()
    assert 0 == found_quanta(graph, "gather", {"chip": "0"}).n_rows
    with pytest.raises(UsageError, match="the dimensions target"):
        found_quanta(graph, None, {"target": "x"})


def test_sizes_are_of_what_exists():
    """Bytes of inputs; outputs are planned."""
    graph = chain_graph(3, 2, 1)
    by_name = {row[0]: row[1:] for row in dataset_sizes(graph).rows()}

    assert ("overall-input", 6, 6, 21) == by_name["raw"]
    assert ("output", 3, 0, 0) == by_name["whole"]


def test_one_quantum_is_told_from_the_file(tmp_path: Path):
    """All that it reads and writes, as of the graph in memory."""
    graph = chain_graph(2, 2, 1, run="u/run")
    graph.save(tmp_path / "g.qg")
    with GraphFile.open(tmp_path / "g.qg") as file:
        document = quantum_document(file, 4)

        assert quantum_document(graph, 4) == document
        with pytest.raises(NotFoundError, match="no quantum 6: the graph has 6, numbered from 0"):
            quantum_document(file, 6)
        with pytest.raises(NotFoundError, match="no quantum -1"):
            quantum_document(file, -1)
    assert [0, 1] == [d["data_id"]["chip"] for d in document["inputs"]["parts"]]
    assert id_text(graph.quantum(4).id) == document["id"]
    assert document["outputs"]["whole"][0]["uri"].startswith("u/run/whole/")


def test_numbers_are_right_on_any_graph():
    """Counts by a dimension sum to all quanta of the task."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        shots, chips = int(rng.integers(1, 9)), int(rng.integers(1, 5))
        missing = rng.choice(shots * chips, int(rng.integers(0, shots * chips)), replace=False).tolist()
        graph = chain_graph(shots, chips, 1, missing=missing)
        counts = count_by(graph, ["shot"])

        assert graph.counts() == {k: int(counts[k].sum()) for k in ("task0", "gather")}
