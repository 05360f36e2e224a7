"""Any graph comes back from its file as it was, whole and quantum by quantum."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stage.graph.file import writer as write
from stage.graph.file.encoding import decode, encode
from stage.graph.file.reader import GraphFile
from stage.graph.graph import QuantumGraph
from stage.graph.layout import ConnectionLayout, Header, TypeLayout
from stage.graph.rows import TaskRows, TypeRows
from stage.graph.table import Csr, Table, code_column

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=6)
CELLS = {
    "int": INT64,
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "text": st.none() | TEXT,
    "bytes": st.none() | st.binary(max_size=5),
    "json": st.none() | st.integers(-(2**70), 2**70) | st.booleans(),
}
DTYPES = {"int": np.int64, "float": np.float64, "bool": np.bool_}


def array(kind: str, values: list[Any]) -> Any:
    """Return one column."""
    if kind in DTYPES:
        return np.array(values, dtype=DTYPES[kind])
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


@given(st.data())
def test_every_column_comes_back(data):
    """For each kind of column and any values."""
    kind = data.draw(st.sampled_from(sorted(CELLS)))
    values = data.draw(st.lists(CELLS[kind], max_size=40))
    block = b"".join(encode(kind, array(kind, values)))
    assert values == decode(kind, block, 0, len(values)).all().tolist()
    assert values == [decode(kind, block, 0, len(values)).item(i) for i in range(len(values))]


@st.composite
def graphs(draw: Any) -> QuantumGraph:
    """Return a graph of one task with any edges to one type that is found and one that is made."""
    n_quanta, n_found = draw(st.integers(0, 30)), draw(st.integers(1, 12))
    names = draw(st.lists(TEXT.filter(bool), min_size=n_quanta, max_size=n_quanta))
    numbers = draw(st.lists(INT64, min_size=n_quanta, max_size=n_quanta))
    quanta = Table(
        {
            "name": code_column(array("text", names)) if names else array("text", []),
            "n": array("int", numbers),
        },
        n_quanta,
    )
    lists = draw(
        st.lists(st.lists(st.integers(0, n_found - 1), max_size=4), min_size=n_quanta, max_size=n_quanta)
    )
    owner = np.array([i for i, row in enumerate(lists) for _ in row], dtype=np.int64)
    edges = Csr.from_pairs(n_quanta, owner, np.array([d for row in lists for d in row], dtype=np.int64))
    cells = {"id": st.binary(min_size=16, max_size=16), "run": TEXT, "uri": st.none() | TEXT, "size": INT64}
    cells |= {"checksum": TEXT, "formatter": TEXT, "origin": st.just("upstream")}
    found = {
        k: array("int" if k == "size" else "text", draw(st.lists(v, min_size=n_found, max_size=n_found)))
        for k, v in cells.items()
    }
    inputs = Table({"m": array("int", draw(st.lists(INT64, min_size=n_found, max_size=n_found)))}, n_found)
    connections = (ConnectionLayout("a", "input", "in"), ConnectionLayout("b", "output", "out"))
    return QuantumGraph(
        Header(bytes(range(16)), output_run=draw(st.sampled_from(["", "u/run"]))),
        {"universe": {}, "tasks": []},
        [TaskRows("task", connections, quanta, {"a": edges, "b": Csr.one_each(n_quanta)})],
        [
            TypeRows(TypeLayout("in", ("m",), "Json", "overall-input", 0, 0), inputs, Table(found, n_found)),
            TypeRows(TypeLayout("out", ("name", "n"), "Json", "output", 0, 0, "json", ".json"), quanta),
        ],
        {},
    )


@given(graph=graphs(), weight=st.sampled_from([1, 7, 1 << 14]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_graph_comes_back(graph, weight):
    """However it is cut into blocks."""
    uri = "memory://property/one.qg"
    usual, write._BLOCK_WEIGHT = write._BLOCK_WEIGHT, weight
    try:
        graph.save(uri)
    finally:
        write._BLOCK_WEIGHT = usual
    file = GraphFile.open(uri)
    whole = file.load()
    assert graph.layout == whole.layout
    for ordinal in range(graph.n_quanta):
        assert graph.quantum(ordinal) == file.quantum(ordinal) == whole.quantum(ordinal)
    assert graph.dependencies().indices.tolist() == whole.dependencies().indices.tolist()
