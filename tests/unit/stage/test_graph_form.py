"""``docs/design/graph-file.md`` is enough to read a graph file: a reader written from that page alone."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from blake3 import blake3

from stage.graph.changing.extend import extend
from stage.graph.graph import QuantumGraph
from tests.graph_helpers import chain_graph

MAGIC = bytes.fromhex("89 53 51 47 0D 0A 1A 0A")
MODULUS = 2**64


class PlainReader:
    """Reads a graph file with struct, json, zstd and BLAKE3, and nothing of the project."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        self.version = self.data[8]
        assert self.version in {1, 2}
        assert self.data.startswith(MAGIC + struct.pack("<II", self.version, 0))
        trailer = self.data[-112:]
        assert trailer.endswith(MAGIC)
        self.check(trailer[:88], trailer[88:104])
        version, _, size = struct.unpack_from("<IIQ", trailer)
        assert (self.version, len(self.data)) == (version, size)
        sections, end = {}, len(self.data) - 112
        for i, name in reversed(list(enumerate(("documents", "directory", "header")))):
            length, digest = struct.unpack_from("<Q16s", trailer, 16 + 24 * i)
            sections[name] = json.loads(self.inflate(end - length, length, digest))
            end -= length
        self.header, self.documents = sections["header"], sections["documents"]
        self.layout = sections["directory"]["layout"]
        self.tables = {t["name"]: t for t in sections["directory"]["tables"]}

    def check(self, data: bytes, digest: bytes) -> None:
        """Compare a checksum."""
        assert digest == blake3(data).digest(16)

    def inflate(self, offset: int, length: int, digest: bytes) -> bytes:
        """Return one frame's content."""
        frame = self.data[offset : offset + length]
        self.check(frame, digest)
        return zstandard.ZstdDecompressor().decompress(frame)

    def table(self, name: str) -> dict[str, list[Any]]:
        """Return a table's columns."""
        entry = self.tables[name]
        if "same_as" in entry:
            return self.table(entry["same_as"])
        offset, length, digest = entry["index"]
        index = self.data[offset : offset + length]
        self.check(index, bytes.fromhex(digest))
        n = (length - 16) // 32
        rows, places = (
            struct.unpack_from(f"<{n + 1}q", index),
            struct.unpack_from(f"<{n + 1}q", index, 8 * (n + 1)),
        )
        out: dict[str, list[Any]] = {c["name"]: [] for c in entry["columns"]}
        for i in range(n):
            digest = index[16 * (n + 1) + 16 * i :][:16]
            block, at = self.inflate(places[i], places[i + 1] - places[i], digest), 0
            for column in entry["columns"]:
                values, at = self.column(column, block, at, rows[i + 1] - rows[i])
                out[column["name"]] += values
            assert len(block) == at
        assert entry["rows"] == rows[-1]
        return out

    def column(self, column: dict[str, Any], block: bytes, at: int, n: int) -> tuple[list[Any], int]:
        """Return the values of one column of one block."""
        match column["kind"]:
            case "int":
                return self.ints(block, at, n)
            case "coded":
                codes, at = self.ints(block, at, n)
                return [column["values"][c] for c in codes], at
            case "float":
                return list(struct.unpack_from(f"<{n}d", block, at)), at + 8 * n
            case "bool":
                return [bool(b) for b in block[at : at + n]], at + n
            case "json":
                (size,) = struct.unpack_from("<I", block, at)
                return json.loads(block[at + 4 : at + 4 + size]), at + 4 + size
            case "list":
                (total,) = struct.unpack_from("<q", block, at)
                lengths, at = self.ints(block, at + 8, n)
                entries, at = self.ints(block, at, total)
                stops = np.cumsum(lengths).tolist()
                return [entries[stop - size : stop] for stop, size in zip(stops, lengths, strict=True)], at
            case kind:
                return self.ragged(kind, block, at, n)

    def ragged(self, kind: str, block: bytes, at: int, n: int) -> tuple[list[Any], int]:
        """Return strings or bytes."""
        lengths, at = self.ints(block, at, n)
        (size,) = struct.unpack_from("<I", block, at)
        blob = block[at + 4 : at + 4 + size]
        if len(set(lengths)) == 1 and lengths[0] > 1:
            values: list[Any] = [blob[i::n] for i in range(n)]
        else:
            values, start = [], 0
            for length in lengths:
                values.append(None if length < 0 else blob[start : start + length])
                start += max(length, 0)
        return [v.decode() if kind == "text" and v is not None else v for v in values], at + 4 + size

    def ints(self, block: bytes, at: int, n: int) -> tuple[list[int], int]:
        """Return integers."""
        form, width, _, _, base, step = struct.unpack_from("<BBHIqq", block, at)
        count = n if form == 0 else max(n - 1, 0)
        at += 24
        numbers = [
            int.from_bytes(block[at + i * width : at + (i + 1) * width], "little") for i in range(count)
        ]
        if form == 0:
            values = [(base + k) % MODULUS for k in numbers]
        else:
            values = [base % MODULUS] if n else []
            for k in numbers:
                values.append((values[-1] + step + k) % MODULUS)
        return [v - MODULUS if v >= MODULUS // 2 else v for v in values], at + count * width

    def derived(self, n: int, graph_id: str = "") -> bytes:
        """Return the id that belongs to an ordinal, of this graph or of another."""
        g = bytes.fromhex(graph_id or self.header["id"])
        low = int.from_bytes(g[8:], "big") % 2**62
        fold = (low ^ low >> 26 ^ low >> 52) % 2**26
        head = 0x8000 | int.from_bytes(g[6:8], "big") & 0x0FFF
        return g[:6] + head.to_bytes(2, "big") + (2 << 62 | fold << 36 | n).to_bytes(8, "big")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[QuantumGraph, PlainReader]:
    """Return a graph of several blocks, and its file as the plain reader sees it."""
    graph = chain_graph(n_shots=60, n_chips=40, run="out/1", missing=[5, 100])
    path = tmp_path_factory.mktemp("form") / "some.qg"
    graph.save(path)
    return graph, PlainReader(path)


def test_header_and_layout_are_read(pair):
    """Names, counts and offsets."""
    graph, plain = pair
    assert ("out/1", ["in"]) == (plain.header["output_run"], plain.header["input_collections"])
    assert graph.counts() == {label: n for label, _, _, n, _ in plain.layout["tasks"]}
    assert [t.offset for t in graph.layout.types] == [t[5] for t in plain.layout["types"]]
    assert ["task0", "task1", "gather"] == [t["label"] for t in plain.documents["tasks"]]


def test_every_table_is_read(pair):
    """Data IDs, edges, found datasets, records."""
    graph, plain = pair
    for task in graph.task_rows:
        assert _values(task.table) == plain.table(f"task/{task.label}")
        for name, csr in task.edges.items():
            lists = [csr.of(i).tolist() for i in range(task.table.n_rows)]
            assert lists == plain.table(f"edge/{task.label}")[name]
    for kind in graph.type_rows:
        assert _values(kind.table) == plain.table(f"dataset/{kind.layout.name}")
        if kind.found is not None:
            assert _values(kind.found) == plain.table(f"found/{kind.layout.name}")
    for element, table in graph.record_tables.items():
        assert _values(table) == plain.table(f"record/{element}")


def test_ids_are_derived(pair):
    """Of quanta and of planned datasets."""
    graph, plain = pair
    quantum = graph.quantum(17)
    assert quantum.id == plain.derived(2**35 + 17)
    assert quantum.outputs["result"][0].id == plain.derived(quantum.outputs["result"][0].ordinal)


def test_ids_of_a_graph_that_grew_are_those_that_they_were(tmp_path):
    """In form 2, each row names the graph and the ordinal that its id follows from."""
    small, large = chain_graph(n_shots=2, run="out/1"), chain_graph(n_shots=4, run="out/1")
    graph = extend(
        small.retarget("out/1", bytes(range(16, 32))), large.retarget("out/1", bytes(range(32, 48)))
    )
    graph.save(tmp_path / "some.qg")
    plain = PlainReader(tmp_path / "some.qg")
    assert (2, graph.n_quanta) == (plain.version, large.n_quanta)
    origins = plain.header["origins"]
    assert len(origins) == 2
    for label, _, _, n, offset in plain.layout["tasks"]:
        rows = plain.table(f"quantum-id/{label}")
        ids = [
            plain.derived(2**35 + ordinal, origins[place])
            for place, ordinal in zip(rows["origin"], rows["ordinal"], strict=True)
        ]
        assert ids == [graph.quantum(offset + i).id for i in range(n)]


def _values(table: Any) -> dict[str, list[Any]]:
    columns = table.decode()
    return {name: columns[name].tolist() for name in columns.names}
