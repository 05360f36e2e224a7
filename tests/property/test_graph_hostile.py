"""A graph file may come from anybody: whatever is in it, reading ends in a graph or in an error of ours."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import IntegrityError, UsageError
from stage.graph.file import form, packed
from stage.graph.file.reader import GraphFile
from stage.graph.table import Table
from tests.graph_fuzz import make
from tests.graph_helpers import chain_graph
from tests.graph_mutations import DAMAGES, Parts, exercise

HEAD = struct.Struct("<BBHIqq")
MODEST_BYTES = 400 << 20


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small graph file."""
    path = tmp_path_factory.mktemp("hostile") / "whole.qg"
    chain_graph(n_shots=4, n_chips=3, run="out/1").save(path)
    return path


def forged(whole: Path, parts: Parts) -> Path:
    """Write a file with right checksums."""
    path = whole.with_name("forged.qg")
    path.write_bytes(parts.sealed())
    return path


def peak_of(path: Path) -> int:
    """Return the memory that reading a file in every way takes."""
    tracemalloc.start()
    try:
        exercise(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@given(number=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bad_file_is_a_graph_or_an_error_of_ours(whole, number):
    """Damaged or forged in any of a dozen ways, and read in every way."""
    path = whole.with_name("bad.qg")
    path.write_bytes(make(whole.read_bytes(), number)[1])
    exercise(path)


@given(number=st.integers(0, 2**32), which=st.sampled_from(DAMAGES))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_never_passes(whole, number, which):
    """A file of other bytes than were written is refused, if not by its checksums then by its ends."""
    before = whole.read_bytes()
    data = bytearray(before)
    which(data, random.Random(number))
    path = whole.with_name("damaged.qg")
    path.write_bytes(data)
    assert bytes(data) == before or exercise(path) > 0


@pytest.mark.parametrize("size", [form.MAX_BLOCK_BYTES + 1, 2**40, 2**63])
def test_a_frame_that_promises_too_much_is_not_believed(whole, size):
    """Neither in a document nor in a block is memory taken for it."""
    content = zstandard.ZstdCompressor(level=1).compress(bytes(300))
    lying = content[:4] + bytes([0xE0]) + struct.pack("<Q", size) + content[7:]
    for place in (*form.SECTIONS, "block"):
        parts = Parts(whole.read_bytes())
        if place == "block":
            parts.blocks[0][0] = lying
        else:
            parts.raw[place] = lying
        path = forged(whole, parts)
        assert peak_of(path) < MODEST_BYTES
        with pytest.raises(IntegrityError, match=r"forged\.qg"):
            GraphFile.open(path).verify()


def test_a_document_that_swells_is_not_unpacked(whole):
    """A few kilobytes that would be gigabytes are refused by their size."""
    parts = Parts(whole.read_bytes())
    parts.raw["header"] = zstandard.ZstdCompressor().compress(b" " * (form.MAX_JSON_BYTES + 1))
    with pytest.raises(IntegrityError, match="at most"):
        GraphFile.open(forged(whole, parts))


def test_a_document_nested_without_end_is_refused(whole):
    """The JSON reader's own limit becomes an error of ours."""
    parts = Parts(whole.read_bytes())
    parts.raw["header"] = zstandard.ZstdCompressor().compress(b"[" * 10**6)
    with pytest.raises(IntegrityError, match="header"):
        GraphFile.open(forged(whole, parts))


def test_rows_that_take_no_bytes_cannot_fill_the_memory(whole):
    """A constant of 2^40 rows in 24 bytes is refused, and so are thousands of blocks of as many rows as are allowed."""
    for n_blocks in (1, 60):
        parts = Parts(whole.read_bytes())
        head = HEAD.pack(0, 0, 0, 0, 0, 0)
        n = 2**40 if n_blocks == 1 else n_blocks * form.MAX_BLOCK_ROWS
        for i, entry in enumerate(parts.stored):
            entry["rows"] = n
            content = b"".join(
                struct.pack("<q", 0) + 2 * head if c["kind"] == "list" else head for c in entry["columns"]
            )
            parts.blocks[i] = [zstandard.ZstdCompressor().compress(content)] * n_blocks
            parts.rows[i] = [k * n // n_blocks for k in range(n_blocks + 1)]
        path = forged(whole, parts)
        with pytest.raises(IntegrityError, match=r"forged\.qg"):
            GraphFile.open(path).load()
        assert peak_of(path) < 2 * MODEST_BYTES


def test_a_list_without_bytes_cannot_fill_the_memory(whole):
    """Nor can the inputs of one quantum."""
    parts = Parts(whole.read_bytes())
    place = next(i for i, e in enumerate(parts.stored) if e["name"] == "edge/task0")
    names = [c["name"] for c in parts.stored[place]["columns"]]
    for count in (packed.MAX_ENTRIES, packed.MAX_ENTRIES + 1, 2**62):
        n = parts.stored[place]["rows"]
        one = struct.pack("<q", count) + HEAD.pack(0, 0, 0, 0, count, 0) + HEAD.pack(0, 0, 0, 0, 0, 0)
        parts.blocks[place] = [zstandard.ZstdCompressor().compress(one * len(names))]
        parts.rows[place] = [0, n]
        with pytest.raises(IntegrityError, match=r"forged\.qg"):
            GraphFile.open(forged(whole, parts)).quantum(0)


def test_blocks_may_not_lie_outside_of_the_file_or_upon_its_head(whole):
    """Offsets of anybody's choice are refused before anything is read there."""
    for word in (0, 15, 2**62, -(2**63)):
        parts = Parts(whole.read_bytes())
        n_rows = len(parts.rows[0])
        parts.words[n_rows] = word
        with pytest.raises(IntegrityError, match="task/task0"):
            GraphFile.open(forged(whole, parts)).quantum(0)


def test_a_writer_makes_no_file_that_a_reader_refuses(tmp_path, monkeypatch):
    """Too large a document, too large a row and too many inputs of one quantum are refused when they are written."""
    graph = chain_graph(n_shots=2, n_chips=3, run="out/1")
    for module, name in ((form, "MAX_JSON_BYTES"), (form, "MAX_BLOCK_BYTES")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 20)
            with pytest.raises(UsageError) as caught:
                graph.save(tmp_path / "large.qg")
        assert caught.value.code == "graph-too-large"
    assert not list(tmp_path.iterdir())


def test_long_values_make_smaller_blocks(tmp_path):
    """A table whose values are long is cut into blocks that a reader takes, and comes back as it was."""
    graph = chain_graph(n_shots=30, n_chips=1, length=1, run="out/1")
    shots = graph.record_tables["shot"]
    long = ["x" * 400_000 + str(i) for i in range(shots.n_rows)]
    column = shots.columns["target"].copy()
    column[:] = long
    graph.record_tables["shot"] = Table({**shots.columns, "target": column}, shots.n_rows)
    graph.save(tmp_path / "long.qg")
    with GraphFile.open(tmp_path / "long.qg") as file:
        assert file._table("record/shot").index.n_blocks > 1
        assert long == file.records("shot")["target"].tolist()
