"""Types of small values, declared by connections of functions and classes."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import PipelineError
from stage.pipeline.connections import Connections, Input, Output
from stage.pipeline.pipeline import Pipeline
from stage.pipeline.struct import Struct
from stage.pipeline.task import Task
from stage.pipeline.testing import MemoryRepo, make_quantum
from stage.tasks.function import task


@task(dimensions=("station",), outputs={"n": Output("n", "Json", type=int)})
def count(given: str = "1") -> Any:
    """Give what is configured."""
    return {"1": 1, "True": True, "1.0": 1.0, "text": "text"}[given]


class ReadConnections(Connections, dimensions=("station",)):
    """Reads it as a float."""

    n = Input("n", "Json", type="float")
    out = Output("out", "Json", type="list")


class Read(Task):
    """Reads a number."""

    ConnectionsClass = ReadConnections

    def run(self, n: float) -> Struct:
        """Give a list of it."""
        return Struct(out=(n,))


class ReadText(Task):
    """Reads it as text."""

    class ConnectionsClass(Connections, dimensions=("station",)):
        """Text."""

        n = Input("n", "Json", type=str)

    def run(self, n: str) -> None:
        """Do nothing."""


@pytest.mark.parametrize("given", ["True", "1.0", "text"])
def test_a_value_of_another_type_is_refused_where_it_is_written(given: str) -> None:
    """The error names task, output, both types and the value; nothing is written."""
    made, repo = count.task_class({"given": given}, name="count"), MemoryRepo()
    with pytest.raises(
        PipelineError, match="output 'n' of task 'count' should be of type int, and is of type"
    ) as caught:
        made.run_quantum(make_quantum(made, {"station": "a"}), repo)

    assert caught.value.code == "wrong-type"
    assert repo.objects == {}


def test_a_value_of_its_type_is_written() -> None:
    """One of the declared type passes."""
    made, repo = count.task_class(name="count"), MemoryRepo()
    quantum = make_quantum(made, {"station": "a"})
    made.run_quantum(quantum, repo)

    assert repo.objects[quantum.outputs["n"][0]] == 1


def test_types_of_maker_and_reader_are_compared() -> None:
    """A whole number may be read as a float; text may not."""
    Pipeline.of(count=count.task_class, read=Read).check()
    with pytest.raises(PipelineError) as caught:
        Pipeline.of(count=count.task_class, read=ReadText).check()

    assert caught.value.code == "type-mismatch"
    assert "task 'read' (n) reads 'n' as str, and task 'count' makes it as int" in str(caught.value)


def test_a_type_survives_the_graphs_documents() -> None:
    """Types are part of a node's document, and of its fingerprint only where there are some."""
    node = Pipeline.of(count=count.task_class).node("count")
    assert node.from_document(node.to_document()).connection("n").type == "int"
    assert "type" not in node.connection("_log").to_document()
