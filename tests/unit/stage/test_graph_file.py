"""The graph file: what is written is what is read, in parts and as a whole, and faults are named."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from registry.errors import IntegrityError, NotFoundError, SchemaVersionError, StorageError
from stage.graph.file import form
from stage.graph.file.reader import GraphFile
from stage.graph.graph import QuantumGraph
from sync.filesystem import files
from tests.graph_helpers import chain_graph

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def graph():
    """Return a graph of several blocks."""
    return chain_graph(n_shots=120, n_chips=50, length=2, run="out/1", missing=[3, 17, 4000])


@pytest.fixture(scope="module")
def saved(graph, tmp_path_factory):
    """Return the file of that graph."""
    path = tmp_path_factory.mktemp("graph") / "some.qg"
    assert graph.save(path) == path.stat().st_size
    return path


def same(one: QuantumGraph, other: QuantumGraph) -> None:
    """Compare all that two graphs hold."""
    assert one.header == other.header
    assert one.layout == other.layout
    assert dict(one.documents) == dict(other.documents)
    for a, b in zip(one.task_rows, other.task_rows, strict=True):
        assert a.table.decode().rows() == b.table.decode().rows()
        assert list(a.edges) == list(b.edges)
        for name in a.edges:
            assert np.array_equal(a.edges[name].indptr, b.edges[name].indptr)
            assert np.array_equal(a.edges[name].indices, b.edges[name].indices)
    for c, d in zip(one.type_rows, other.type_rows, strict=True):
        assert c.table.decode().rows() == d.table.decode().rows()
        assert (c.found is None) == (d.found is None)
        if c.found is not None and d.found is not None:
            assert c.found.decode().rows() == d.found.decode().rows()
    assert list(one.record_tables) == list(other.record_tables)
    for element in one.record_tables:
        assert one.records(element).rows() == other.records(element).rows()


def test_a_graph_is_read_as_it_was_written(graph, saved):
    """All columns come back, nulls and types included."""
    same(graph, QuantumGraph.load(saved))


def test_single_quanta_are_the_same_from_the_file_and_from_memory(graph, saved):
    """The first, the last and some between, with inputs, outputs and records."""
    with GraphFile.open(saved) as file:
        for ordinal in (0, 1, 2999, 5996, 5997, graph.n_quanta - 1):
            assert graph.quantum(ordinal) == file.quantum(ordinal)
            assert graph.quantum(ordinal).records == file.quantum(ordinal).records
        assert [q.ordinal for q in file.quanta([5, 6])] == [5, 6]
        assert graph.init_outputs("gather") == file.init_outputs("gather")
        assert graph.packages == file.packages


def test_records_of_one_element_are_read_alone(graph, saved):
    """Without the rest of the file."""
    with GraphFile.open(saved) as file:
        assert graph.records("shot").rows() == file.records("shot").rows()
        with pytest.raises(NotFoundError):
            file.record("chip", {"camera": "cam", "chip": 1000})


def test_opening_reads_no_rows(saved, monkeypatch):
    """A file is open after its ends were read; one quantum takes a few parts."""
    read: list[int] = []
    with GraphFile.open(saved) as file:
        source = file._source
        plain = source.read
        monkeypatch.setattr(source, "read", lambda at, n: read.append(n) or plain(at, n))
        file.quantum(4321)
    assert len(read) <= 12
    assert sum(read) < saved.stat().st_size / 3


def test_a_graph_is_read_from_any_uri(graph, saved):
    """By ranges, where there is no local file."""
    graph.save("memory://graphs/some.qg")
    assert saved.read_bytes() == files.read_bytes("memory://graphs/some.qg")
    file = GraphFile.open("memory://graphs/some.qg")
    assert graph.quantum(777) == file.quantum(777)
    same(graph, file.load())


def test_a_copy_for_another_run_has_the_same_blocks_byte_for_byte(graph, saved, tmp_path):
    """Only header and trailer are written anew, whether or not the graph was loaded."""
    once = GraphFile.open(saved)
    stop = once._trailer.header.offset
    copy = once.retarget(tmp_path / "copy.qg", "out/2")
    QuantumGraph.load(saved).retarget("out/2", copy.header.id).save(tmp_path / "again.qg")
    assert saved.read_bytes()[:stop] == (tmp_path / "copy.qg").read_bytes()[:stop]
    assert (tmp_path / "again.qg").read_bytes() == (tmp_path / "copy.qg").read_bytes()
    assert copy.header.output_run == "out/2"
    assert graph.retarget("out/2", copy.header.id).quantum(4) == copy.quantum(4)
    same(graph.retarget("out/2", copy.header.id), copy.load())


def test_a_graph_whose_file_was_closed_is_written_from_memory(graph, tmp_path):
    """Its name may belong to another file by then."""
    path = tmp_path / "some.qg"
    graph.save(path)
    with GraphFile.open(path) as file:
        loaded = file.load()
    chain_graph(run="other").save(path)
    loaded.retarget("out/3").save(tmp_path / "copy.qg")
    assert graph.n_quanta == QuantumGraph.load(tmp_path / "copy.qg").n_quanta


def test_a_remote_file_that_was_replaced_is_not_copied(graph):
    """A copy of parts of two files would be no graph."""
    graph.save("memory://graphs/replaced.qg")
    file = GraphFile.open("memory://graphs/replaced.qg")
    chain_graph(run="other").save("memory://graphs/replaced.qg")
    with pytest.raises(IntegrityError, match="another file has taken its place"):
        file.copy("memory://graphs/copy.qg")


def test_an_open_file_is_not_disturbed_by_a_new_one_of_its_name(graph, tmp_path):
    """What is read belongs to the file that was opened."""
    path = tmp_path / "some.qg"
    graph.save(path)
    file = GraphFile.open(path)
    chain_graph(run="other").save(path)
    assert graph.quantum(5000) == file.quantum(5000)


def test_columns_of_many_distinct_strings_are_stored_string_by_string(tmp_path):
    """A file with thousands of names opens as quickly as one with few."""
    graph = chain_graph(n_shots=300, n_chips=1, run="out/1")
    graph.save(tmp_path / "some.qg")
    assert graph.quantum(299).inputs == GraphFile.open(tmp_path / "some.qg").quantum(299).inputs


def test_an_open_file_travels_to_another_process_by_name(saved):
    """A pickled file is opened again where it arrives."""
    assert GraphFile.open(saved).quantum(3) == pickle.loads(pickle.dumps(GraphFile.open(saved))).quantum(3)


def test_a_missing_file_is_not_found(tmp_path):
    """The message names it."""
    with pytest.raises(NotFoundError, match=r"nowhere\.qg"):
        GraphFile.open(tmp_path / "nowhere.qg")


@pytest.mark.parametrize("content", [b"", b"x", b"\x89PNG\r\n\x1a\n" + bytes(500), b"{}" * 1000])
def test_a_foreign_file_is_refused_by_name(tmp_path, content):
    """Whatever it is, it is no graph."""
    path = tmp_path / "some.png"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"some\.png") as caught:
        GraphFile.open(path)
    assert caught.value.code == "not-a-graph"


def test_a_file_that_was_cut_off_says_so(saved, tmp_path):
    """The beginning is right and the end is missing."""
    path = tmp_path / "cut.qg"
    path.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(IntegrityError) as caught:
        GraphFile.open(path)
    assert caught.value.code == "graph-truncated"


def test_a_file_of_a_later_form_says_which(saved, tmp_path, monkeypatch):
    """A version that is not known is refused with both numbers."""
    monkeypatch.setattr(form, "VERSION", 7)
    monkeypatch.setattr(form, "HEAD", form._HEAD.pack(form.MAGIC, 7, 0))
    chain_graph().save(tmp_path / "later.qg")
    monkeypatch.undo()
    with pytest.raises(SchemaVersionError) as caught:
        GraphFile.open(tmp_path / "later.qg")
    assert (caught.value.found, caught.value.supported) == ("7", "1 and 2")


def test_damage_in_one_block_is_met_when_that_block_is_read(saved, tmp_path):
    """Quanta that do not touch the block are still readable; `verify` finds it."""
    data = bytearray(saved.read_bytes())
    data[40] ^= 1
    path = tmp_path / "hurt.qg"
    path.write_bytes(data)
    file = GraphFile.open(path)
    with pytest.raises(IntegrityError, match="block 0 of task/task0"):
        file.quantum(0)
    with pytest.raises(IntegrityError):
        file.verify()
    with pytest.raises(IntegrityError):
        file.load()
    GraphFile.open(saved).verify()


def test_a_write_that_fails_leaves_the_old_file(graph, tmp_path):
    """A graph that cannot be written is not half written."""
    target = tmp_path / "folder"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(StorageError):
        graph.save(target)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_saving_takes_no_more_memory_for_a_larger_graph(tmp_path):
    """Blocks are written as they are made: some megabytes, whether for ten thousand quanta or for three hundred thousand."""
    peaks = []
    for shots in (35, 1000):
        graph = chain_graph(n_shots=shots, n_chips=100, length=2, run="out/1")
        tracemalloc.start()
        graph.save(tmp_path / "some.qg")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 8 << 20
    assert peaks[1] < peaks[0] + (4 << 20)


def test_a_graph_is_read_where_none_of_the_tasks_can_be_imported(saved):
    """Header, quanta, nodes, records and all rows, while every module of tasks refuses to be loaded."""
    code = f"""
import sys

class Refuse:
    tried = []

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("nowhere", "examples") or name.startswith(("stage.tasks", "stage.pipeline.task", "stage.demo")):
            self.tried.append(name)
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
from stage.graph.file.reader import GraphFile
with GraphFile.open({str(saved)!r}) as file:
    quantum = file.quantum(12000)
    assert quantum.node.target == "nowhere:Gather"
    assert quantum.records and file.header.output_run == "out/1" and file.init_outputs("task0")
    graph = file.load()
    assert graph.tasks == file.tasks and len(graph.dependencies().indptr) == graph.n_quanta + 1
    file.verify()
print(Refuse.tried)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT)}, cwd="/",
    )  # fmt: skip
    assert done.stdout.strip() == "[]", done.stderr


def test_reading_needs_neither_database_nor_task_code(saved):
    """One quantum in a fresh interpreter, and what was imported on the way."""
    code = f"""
import sys
from stage.graph.file.reader import GraphFile
quantum = GraphFile.open({str(saved)!r}).quantum(12000)
assert quantum.inputs["parts"] and quantum.node.target == "nowhere:Gather", quantum
heavy = {{"sqlalchemy", "sqlite3", "pydantic", "fsspec", "pyarrow", "astropy", "lark"}} & set(sys.modules)
print(sorted(heavy))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
        cwd="/",
    )
    assert done.stdout.strip() == "[]"
