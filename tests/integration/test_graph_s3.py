"""A graph file in an object store: written there, read by ranges, given to another RUN, and cut into jobs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from registry.errors import IntegrityError, NotFoundError, StageError
from stage.graph.file.reader import GraphFile
from stage.graph.graph import QuantumGraph
from sync.filesystem import files
from tests.graph_helpers import chain_graph
from tests.stores import requests_sent

pytestmark = pytest.mark.service


def sizes() -> list[QuantumGraph]:
    """Return a graph of a thousand quanta and one of a hundred thousand."""
    return [chain_graph(n_shots=n, n_chips=100, length=2, run="out/1") for n in (5, 500)]


def test_a_graph_is_the_same_from_a_store(bucket, tmp_path):
    """Byte for byte, whole and quantum by quantum."""
    graph = chain_graph(n_shots=120, n_chips=50, length=2, run="out/1", missing=[3, 17])
    graph.save(bucket.uri("a/some.qg"))
    graph.save(tmp_path / "some.qg")
    assert files.read_bytes(bucket.uri("a/some.qg")) == (tmp_path / "some.qg").read_bytes()
    with GraphFile.open(bucket.uri("a/some.qg")) as file:
        for ordinal in (0, 4321, graph.n_quanta - 1):
            assert graph.quantum(ordinal) == file.quantum(ordinal)
            assert graph.quantum(ordinal).records == file.quantum(ordinal).records
        assert graph.layout == file.load().layout


def test_what_a_quantum_costs_does_not_depend_on_the_size_of_the_graph(bucket):
    """Requests and bytes of opening, of one quantum and of one job's hundred: the same bound for 10^3 and 10^5 quanta."""
    found = []
    for number, graph in enumerate(sizes()):
        uri = bucket.uri(f"{number}.qg")
        graph.save(uri)
        with requests_sent() as opened:
            file = GraphFile.open(uri)
        with requests_sent() as one:
            file.quantum(graph.n_quanta // 2)
        with requests_sent() as job, GraphFile.open(uri) as again:
            assert len(list(again.quanta(range(200, 300)))) == 100
        found.append((opened, one, job))
    for opened, one, job in found:
        assert len(opened.methods) <= 3
        assert opened.n_bytes <= (1 << 16) + 16
        assert len(one.methods) <= 8
        assert one.n_bytes <= 1 << 17
        assert len(job.methods) <= 16
        assert job.n_bytes <= 1 << 18


def test_a_graph_is_given_to_another_run_where_it_lies(bucket):
    """Without being loaded; the copy's blocks are those of the first."""
    graph = chain_graph(n_shots=60, n_chips=40, run="out/1")
    graph.save(bucket.uri("one.qg"))
    copy = GraphFile.open(bucket.uri("one.qg")).retarget(bucket.uri("two.qg"), "out/2")
    assert graph.retarget("out/2", copy.header.id).quantum(1000) == copy.quantum(1000)
    assert GraphFile.open(bucket.uri("one.qg")).header.output_run == "out/1"


def test_a_job_reads_its_slice_in_a_process_of_its_own(bucket):
    """With the store's address and keys in its environment, and no file of the graph at hand."""
    graph = chain_graph(n_shots=30, n_chips=20, run="out/1")
    graph.save(bucket.uri("job.qg"))
    code = f"""
from stage.graph.file.reader import GraphFile
with GraphFile.open({bucket.uri("job.qg")!r}) as file:
    print([(q.ordinal, len(q.inputs["source"])) for q in file.quanta(range(600, 603))])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[(600, 1), (601, 1), (602, 1)]", done.stderr


def test_a_damaged_object_is_refused(bucket):
    """By the checksum of the block that is read, and of the ends at once."""
    graph = chain_graph(n_shots=120, n_chips=50, length=2, run="out/1")
    graph.save(bucket.uri("some.qg"))
    data = bytearray(files.read_bytes(bucket.uri("some.qg")))
    data[40] ^= 1
    files.write_bytes(bucket.uri("hurt.qg"), bytes(data))
    with pytest.raises(IntegrityError, match="block 0 of task/task0"):
        GraphFile.open(bucket.uri("hurt.qg")).quantum(0)
    files.write_bytes(bucket.uri("cut.qg"), bytes(data[:-100]))
    with pytest.raises(IntegrityError) as caught:
        GraphFile.open(bucket.uri("cut.qg"))
    assert caught.value.code == "graph-truncated"


def test_a_missing_object_is_not_found(bucket):
    """The message names it."""
    with pytest.raises(NotFoundError, match=r"nowhere\.qg"):
        GraphFile.open(bucket.uri("nowhere.qg"))


def test_a_failed_write_leaves_nothing(bucket, monkeypatch):
    """No object of that name is there after the pieces broke off."""
    graph = chain_graph(run="out/1")
    monkeypatch.setattr("stage.graph.file.form.MAX_JSON_BYTES", 20)
    with pytest.raises(StageError):
        graph.save(bucket.uri("half.qg"))
    assert not files.exists(bucket.uri("half.qg"))


def test_keys_are_in_no_message(bucket, monkeypatch):
    """Not when they are wrong, nor when they stand in a URI."""
    import s3fs

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "quite-wrong-secret")
    s3fs.S3FileSystem.clear_instance_cache()
    port = bucket.environment["AWS_ENDPOINT_URL"].rpartition(":")[2]
    for uri in (
        bucket.uri("some.qg"),
        f"http://someone:quite-wrong-secret@127.0.0.1:{port}/{bucket.name}/some.qg?X-Amz-Signature=quite-wrong-secret",
    ):
        with pytest.raises(StageError) as caught:
            GraphFile.open(uri)
        told = f"{caught.value} {caught.value.hint} {caught.value.context}"
        assert "quite-wrong-secret" not in told


def test_ranges_end_where_the_object_ends(bucket):
    """A range that begins beyond it is empty, and one request tells a whole range."""
    uri = bucket.uri("ten")
    files.write_bytes(uri, bytes(range(10)))
    assert files.read_range(uri, 8, 100) == b"\x08\x09"
    assert files.read_range(uri, 10, 5) == b""
    assert files.read_range(uri, 99, 5) == b""
    assert files.read_range(uri, -3, 2) == b"\x07\x08"
    with requests_sent() as seen:
        files.read_range(uri, 2, 3)
    assert seen.methods == ["GET"]
    assert np.frombuffer(files.read_range(uri, 0, 4), np.uint8).tolist() == [0, 1, 2, 3]
