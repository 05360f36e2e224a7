"""Tests of `stage.execution.limited`."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import NotFoundError
from stage.errors import ExecutionError
from stage.execution.limited import LimitedRepo
from tests.execution_lab import Lab, make_lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Two samples."""
    return make_lab(tmp_path, samples=2)


def test_reading_and_writing_are_accounted_for(lab: Lab) -> None:
    """The repository knows what was read and what was completely written."""
    quantum = lab.graph.quantum(1)
    with LimitedRepo(quantum, lab.staging.datastore) as repo:
        value = repo.get(quantum.inputs["value"][0])
        repo.put({"x": 5}, quantum.outputs["result"][0])

    assert value == {"x": 1}
    assert list(repo.read) == [quantum.inputs["value"][0].ordinal]
    stored = repo.written[quantum.outputs["result"][0].ordinal]
    assert stored.uri == quantum.outputs["result"][0].uri
    assert (Path(lab.store_root) / stored.uri).read_text() == '{"x":5}'


def test_datasets_of_other_quanta_are_refused(lab: Lab) -> None:
    """A quantum cannot read another's input, nor write another's output, nor its own input."""
    quantum, other = lab.graph.quantum(0), lab.graph.quantum(1)
    with LimitedRepo(quantum, lab.staging.datastore) as repo:
        with pytest.raises(ExecutionError, match="may not read number") as caught:
            repo.get(other.inputs["value"][0])
        with pytest.raises(ExecutionError, match="may not write doubled"):
            repo.put({}, other.outputs["result"][0])
        with pytest.raises(ExecutionError, match="may not write number"):
            repo.put({}, quantum.inputs["value"][0])

    assert caught.value.code == "not-in-quantum"


def test_files_come_and_go_by_path(lab: Lab) -> None:
    """An input has a local path; a file made at an output's place is taken, and the scratch directory goes."""
    quantum = lab.graph.quantum(0)
    with LimitedRepo(quantum, lab.staging.datastore) as repo:
        source = repo.local_path(quantum.inputs["value"][0])
        target = repo.local_path(quantum.outputs["result"][0])
        Path(target).write_text(Path(source).read_text())
        repo.put_file(target, quantum.outputs["result"][0])
        scratch = repo.scratch
        assert repo.exists(quantum.outputs["result"][0])

    assert not scratch.exists()
    assert repo.written[quantum.outputs["result"][0].ordinal].uri == quantum.outputs["result"][0].uri


def test_input_that_is_gone_is_named(lab: Lab) -> None:
    """Asking for an input without a file is a NotFoundError, by object or by path."""
    quantum = lab.graph.quantum(0)
    (Path(lab.store_root) / str(quantum.inputs["value"][0].uri)).unlink()
    with LimitedRepo(quantum, lab.staging.datastore) as repo:
        assert not repo.exists(quantum.inputs["value"][0])
        with pytest.raises(NotFoundError):
            repo.get(quantum.inputs["value"][0])
        with pytest.raises(NotFoundError):
            repo.local_path(quantum.inputs["value"][0])


def test_graph_without_run_has_no_place_for_outputs(lab: Lab) -> None:
    """An output of a graph that was not given a RUN cannot be written."""
    from stage.graph.graph import QuantumGraph

    bare = QuantumGraph.load(lab.graph_uri).retarget("")
    quantum = bare.quantum(0)
    with (
        LimitedRepo(quantum, lab.staging.datastore) as repo,
        pytest.raises(ExecutionError, match="has no place") as caught,
    ):
        repo.put({}, quantum.outputs["result"][0])

    assert caught.value.code == "graph-without-run"
