"""Tables that tasks make, compared with the columns that they have said these would have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from registry.errors import PipelineError
from stage.pipeline.config import Config
from stage.pipeline.connections import Connections, InitOutput, Output
from stage.pipeline.struct import Struct
from stage.pipeline.task import Task
from stage.pipeline.testing import MemoryRepo, make_quantum
from stage.tasks.function import task

asked = 0


class SourcesConnections(Connections, dimensions=("visit",)):
    """A table with a schema."""

    schema = InitOutput("sources_schema", "Json")
    sources = Output("sources", "Columns", schema="schema")


class SourcesConfig(Config):
    """What it promises and gives."""

    promised: tuple[str, ...] = ("id", "flux")
    given: tuple[str, ...] = ("id", "flux")


class SourcesTask(Task):
    """Makes a table."""

    ConfigClass = SourcesConfig
    ConnectionsClass = SourcesConnections

    def init_outputs(self) -> dict[str, Any]:
        """Promise columns."""
        global asked  # noqa: PLW0603 - counts
        asked += 1
        return {"schema": list(self.config.promised)}

    def run(self) -> Struct:
        """Give columns."""
        return Struct(sources={name: [1.0] for name in self.config.given})


@task(dimensions=("visit",), outputs={"table": Output("table", "Columns", columns=("id", "flux"))})
def make(names: str = "id flux") -> Mapping[str, list[int]]:
    """Make a table with these columns."""
    return {name: [1] for name in names.split()}


def written(made: Task) -> dict[Any, Any]:
    """Run it on one quantum, and return what was written."""
    repo = MemoryRepo()
    try:
        made.run_quantum(make_quantum(made, {"visit": 1}), repo)
    except PipelineError:
        assert repo.objects == {}
        raise
    return repo.objects


def test_tables_with_the_columns_of_their_schema_are_written() -> None:
    """The schema is asked once, however many quanta there are."""
    made, before = SourcesTask(), asked
    for _ in range(3):
        assert len(written(made)) == 1
    assert asked == before + 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["id"], "it lacks flux"),
        (["id", "flux", "err"], "it has err besides"),
        (["ids", "flux"], "it lacks id and has ids besides"),
    ],
)
def test_other_columns_than_the_schema_says_fail_by_name(given: list[str], said: str) -> None:
    """Nothing is written, and the error names task, output, init output and columns."""
    with pytest.raises(PipelineError) as caught:
        written(SourcesTask({"given": given}, name="measure"))

    where = "output 'sources' of task 'measure' has not the columns that its init output 'schema' says: "
    assert str(caught.value) == where + said
    assert caught.value.code == "wrong-columns"


def test_declared_columns_have_to_be_there() -> None:
    """A connection that declares columns promises these; there may be more."""
    assert len(written(make.task_class({"names": "flux id more"}))) == 1
    with pytest.raises(PipelineError, match="has not the columns that its connection declares: it lacks id"):
        written(make.task_class({"names": "flux"}))
