"""What a quantum may cost in memory and on disk: figures that do not depend on how busy a machine is."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from stage.graph.file.reader import GraphFile
from stage.graph.graph import QuantumGraph
from tests.graph_helpers import chain_graph

SHOTS = (30, 300)


def peak_of(act: Callable[[], Any]) -> tuple[Any, int]:
    """Return what a call returned, and the memory that it took at most."""
    tracemalloc.start()
    try:
        return act(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def graphs() -> list[tuple[QuantumGraph, int]]:
    """Return graphs of twelve thousand and of a hundred and twenty thousand quanta, with the memory that building them took."""
    return [
        peak_of(lambda n=n: chain_graph(n_shots=n, n_chips=100, length=4, run="out/1"))  # type: ignore[misc]
        for n in SHOTS
    ]


def test_building_takes_less_than_a_kilobyte_a_quantum(graphs):
    """From one size to the next, so that what is there anyway does not count."""
    (small, before), (large, after) = graphs
    assert (after - before) / (large.n_quanta - small.n_quanta) < 1000


def test_a_file_takes_forty_bytes_a_quantum_at_most(graphs, tmp_path):
    """Checksums and paths of all inputs included; ids take no room."""
    for graph, _ in graphs:
        assert graph.save(tmp_path / "some.qg") <= 40 * graph.n_quanta


def test_loading_takes_less_than_half_a_kilobyte_a_quantum(graphs, tmp_path):
    """All columns of all tables."""
    peaks = []
    for graph, _ in graphs:
        graph.save(tmp_path / "some.qg")
        loaded, peak = peak_of(lambda: QuantumGraph.load(tmp_path / "some.qg"))
        assert loaded.n_quanta == graph.n_quanta
        peaks.append(peak)
    (small, _), (large, _) = graphs
    assert (peaks[1] - peaks[0]) / (large.n_quanta - small.n_quanta) < 500


def test_a_quantum_is_read_from_as_few_bytes_of_a_large_graph(graphs, tmp_path, monkeypatch):
    """As of a small one: parts and bytes that are read after opening."""
    read: list[list[int]] = []
    for graph, _ in graphs:
        graph.save(tmp_path / "some.qg")
        with GraphFile.open(tmp_path / "some.qg") as file:
            plain, parts = file._source.read, []
            with monkeypatch.context() as patch:
                patch.setattr(file._source, "read", lambda at, n: parts.append(n) or plain(at, n))  # noqa: B023
                file.quantum(graph.n_quanta // 2)
            read.append(parts)
    assert len(read[1]) == len(read[0])
    assert sum(read[1]) < 2 * sum(read[0]) + 4096
