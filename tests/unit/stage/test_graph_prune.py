"""Pruning: what is dropped, what hangs on it, and what is said about it."""

from __future__ import annotations

import numpy as np

from stage.graph.building.prune import DraftConnection, DraftTask, prune, surviving
from stage.graph.table import Csr


def lists(*rows: list[int]) -> Csr:
    """Return edges from lists."""
    owner = np.array([i for i, row in enumerate(rows) for _ in row], dtype=np.int64)
    return Csr.from_pairs(len(rows), owner, np.array([d for row in rows for d in row], dtype=np.int64))


def task(label: str, n: int, inputs: dict[str, tuple[int, Csr]], outputs: dict[str, Csr]) -> DraftTask:
    """Return one task; inputs have a minimum each."""
    connections = [DraftConnection(k, k, is_input=True, minimum=m, edges=e) for k, (m, e) in inputs.items()]
    connections += [DraftConnection(k, k, is_input=False, minimum=1, edges=e) for k, e in outputs.items()]
    return DraftTask(label, n, connections)


def mask(*values: int) -> np.ndarray:
    """Return a mask."""
    return np.array(values, dtype=np.bool_)


CLEAN = task("clean", 3, {"raw": (1, Csr.one_each(3))}, {"image": Csr.one_each(3)})


def test_a_quantum_without_its_input_goes_with_its_outputs_and_their_readers():
    """What is missing upstream is missing all the way down."""
    measure = task("measure", 3, {"image": (1, Csr.one_each(3))}, {"table": Csr.one_each(3)})
    found = prune([CLEAN, measure], {"raw": mask(1, 0, 1)}, {"raw": 3, "image": 3, "table": 3})
    assert [True, False, True] == found.quanta["clean"].tolist() == found.quanta["measure"].tolist()
    assert found.datasets["table"].tolist() == [True, False, True]


def test_the_minimum_counts_after_pruning():
    """Inputs that were pruned themselves do not count."""
    gather = task("gather", 2, {"image": (2, lists([0, 1], [1, 2]))}, {"sum": Csr.one_each(2)})
    found = prune([CLEAN, gather], {"raw": mask(0, 1, 1)}, {"raw": 3, "image": 3, "sum": 2})
    assert found.quanta["gather"].tolist() == [False, True]
    assert [d.n_dropped == 1 and d.minimum == 2 for d in found.dropped if d.label == "gather"] == [True]


def test_an_optional_input_drops_nothing():
    """A minimum of 0 asks for nothing."""
    gather = task("gather", 2, {"image": (0, lists([0], [1, 2]))}, {"sum": Csr.one_each(2)})
    found = prune([CLEAN, gather], {"raw": mask(0, 1, 1)}, {"raw": 3, "image": 3, "sum": 2})
    assert found.quanta["gather"].tolist() == [True, True]


def test_overall_inputs_that_nobody_reads_are_left_out():
    """A dataset whose only reader was dropped is no part of the graph."""
    both = task(
        "both", 2, {"raw": (1, lists([0], [1])), "dark": (1, lists([0], [1]))}, {"image": Csr.one_each(2)}
    )
    found = prune([both], {"raw": mask(1, 1), "dark": mask(0, 1)}, {"raw": 2, "dark": 2, "image": 2})
    assert found.datasets["raw"].tolist() == [False, True]


def test_what_was_dropped_is_told_by_input():
    """The report names task, input and counts."""
    found = prune([CLEAN], {"raw": mask(1, 0, 0)}, {"raw": 3, "image": 3})
    (one,) = found.dropped
    assert (one.label, one.connection, one.dataset_type, one.n_dropped, one.n_before) == (
        "clean",
        "raw",
        "raw",
        2,
        3,
    )


def test_surviving_edges_are_numbered_anew():
    """Both ends count only what is kept."""
    edges = surviving(lists([0, 1], [2], [1, 2]), mask(1, 0, 1), mask(0, 1, 1))
    assert [edges.of(i).tolist() for i in range(2)] == [[0], [0, 1]]


def test_edges_of_a_graph_that_lost_nothing_are_the_same_object():
    """Nothing is copied where nothing was dropped."""
    edges = Csr.one_each(2)
    assert edges is surviving(edges, mask(1, 1), mask(1, 1))
