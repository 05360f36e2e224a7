"""What tasks owe each other: slots for subtasks, columns of tables, storage classes, and settings that can be followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest

from registry.errors import PipelineError
from stage.pipeline.columns import column_names, known_columns
from stage.pipeline.config import Config
from stage.pipeline.connections import Connections, InitInput, InitOutput, Input, Output, PrerequisiteInput
from stage.pipeline.describe import describe_connections, describe_settings
from stage.pipeline.node import TaskNode
from stage.pipeline.pipeline import Pipeline
from stage.pipeline.resolve import make_node
from stage.pipeline.resources import Resources
from stage.pipeline.struct import Struct
from stage.pipeline.subtask import Subtask, SubtaskChoice
from stage.pipeline.task import Task


def error_of(call: Any, *args: Any, **options: Any) -> PipelineError:
    """Return the error that a call raises."""
    with pytest.raises(PipelineError) as caught:
        call(*args, **options)
    return caught.value


# -- slots -----------------------------------------------------------------------------------------------------


class Smoother(Protocol):
    """What a slot for smoothing asks for."""

    def run(self, values: list[float], width: int = 3) -> list[float]:
        """Smooth."""


class GoodTask(Task):
    """Fits, and takes more."""

    def run(self, values: list[float], width: int = 3, *, verbose: bool = False) -> list[float]:
        """Smooth."""
        return values[:width]


class WideTask(Task):
    """Takes whatever comes."""

    def run(self, **anything: Any) -> Any:
        """Smooth."""
        return anything


class NarrowTask(Task):
    """Does not take the width."""

    def run(self, values: list[float]) -> list[float]:
        """Smooth."""
        return values


class GreedyTask(Task):
    """Wants more than the slot gives."""

    def run(self, values: list[float], width: int = 3, *, kernel: str) -> list[float]:
        """Smooth."""
        return [*values, width, len(kernel)]


class StrictTask(Task):
    """Must be told what the slot leaves open."""

    def run(self, values: list[float], width: int) -> list[float]:
        """Smooth."""
        return values[:width]


class SlotBase(Task):
    """A slot's class that is a task."""

    def run(self, values: list[float]) -> list[float]:
        """Smooth."""
        return values


class OddTask(SlotBase):
    """A subclass that is called otherwise."""

    def run(self, numbers: list[float]) -> list[float]:
        """Smooth."""
        return numbers


def test_a_slot_takes_whatever_offers_what_its_protocol_says() -> None:
    """A task need not be of any class; a config then chooses among those that fit."""

    class SmoothConfig(Config):
        smoother: SubtaskChoice = Subtask({"good": GoodTask, "wide": WideTask}, default="good", base=Smoother)

    assert SmoothConfig(smoother={"name": "wide"}).smoother.name == "wide"


@pytest.mark.parametrize(
    ("choice", "base", "said"),
    [
        (NarrowTask, Smoother, "NarrowTask.run() does not take 'width'"),
        (GreedyTask, Smoother, "GreedyTask.run() must be given 'kernel' too"),
        (StrictTask, Smoother, "StrictTask.run() must be given 'width'"),
        (OddTask, SlotBase, "OddTask.run() does not take 'values' (the slot's is SlotBase.run(self, values"),
        (GoodTask, SlotBase, "GoodTask is not a SlotBase"),
    ],
)
def test_a_choice_that_cannot_be_called_as_its_slot_is_refused(choice: Any, base: type, said: str) -> None:
    """When the config class is made: long before anything runs; both are named."""
    error = error_of(Subtask, {"mine": choice}, "mine", base=base)
    assert (error.code, said in error.message) == ("wrong-subtask", True)


# -- columns ---------------------------------------------------------------------------------------------------


class SourceConfig(Config):
    """Which bands there are."""

    bands: tuple[str, ...] = ("g", "r")


class SourceConnections(Connections, dimensions=("visit",)):
    """A table whose columns are known once the task is constructed."""

    image = Input("image", "NumpyArray")
    sources = Output("sources", "ArrowTable", schema="schema", doc="What was found.")
    fixed = Output("fixed", "ArrowTable", columns=("id", "ra"))
    schema = InitOutput("sources_schema", "Json")


class SourceTask(Task):
    """Makes a table."""

    ConfigClass = SourceConfig
    ConnectionsClass = SourceConnections
    config: SourceConfig

    def init_outputs(self) -> dict[str, Any]:
        """Say which columns."""
        return {"schema": ["id", *(f"flux_{b}" for b in self.config.bands)]}

    def run(self, image: Any) -> Struct:
        """Measure."""
        return Struct(sources=image, fixed=image)


class MatchConnections(Connections, dimensions=("visit",)):
    """Needs some columns."""

    sources = Input("sources", "DataFrame", columns=("id", "flux_r"))
    fixed = Input("fixed", "Columns", columns=("ra",))
    schema = InitInput("sources_schema", "Json")
    matches = Output("matches", "Json")


class MatchTask(Task):
    """Reads a table."""

    ConnectionsClass = MatchConnections

    def run(self, sources: Any, fixed: Any) -> Struct:
        """Match."""
        return Struct(matches=sources)


def pipeline(**source: Any) -> Pipeline:
    """Return source → match."""
    return Pipeline.of(source=(SourceTask, source), match=MatchTask)


def test_columns_that_a_reader_needs_are_there() -> None:
    """They are known without a repository: from declarations, and from init outputs of constructed tasks."""
    good = pipeline()
    good.check()
    assert known_columns(good.nodes) == {"sources": ("id", "flux_g", "flux_r"), "fixed": ("id", "ra")}


def test_a_column_that_is_missing_is_found_by_the_check() -> None:
    """A setting of the one task takes away what the other needs: both are named, before anything runs."""
    error = error_of(pipeline(bands=["g", "r2"]).check)
    assert error.code == "missing-columns"
    assert (
        "task 'match' (sources) needs of 'sources' flux_r, which task 'source' does not give" in error.message
    )
    assert "flux_r2" in error.hint
    renamed = {"match": {"connections": {"fixed": "sources"}}}
    swapped = Pipeline.of(source=SourceTask, match=(MatchTask, renamed["match"]))
    assert "ra, which task 'source' does not give" in error_of(swapped.check).message


def test_what_is_not_known_passes() -> None:
    """A table from outside has the columns that it has."""
    Pipeline.of(match=(MatchTask, {"connections": {"schema": "x"}})).check()


@pytest.mark.parametrize("kind", ["arrow", "arrow-table", "frame", "mapping", "list"])
def test_columns_are_read_from_any_schema(kind: str) -> None:
    """As tasks write them for their init outputs."""
    import pandas as pd
    import pyarrow as pa

    table = pa.table({"a": [1], "b": ["x"]})
    schemas = {
        "arrow": table.schema, "arrow-table": table, "frame": pd.DataFrame({"a": [1], "b": [2]}),
        "mapping": {"a": "int64", "b": "str"}, "list": ["a", "b"],
    }  # fmt: skip
    assert column_names(schemas[kind]) == ("a", "b")
    assert column_names(7) is None


def test_connections_are_told_with_their_schemas() -> None:
    """More than a signature: what each is, what is unusual about it, its columns, and what its author says."""
    docs = {(d.task, d.name): d for d in describe_connections(pipeline().nodes)}
    sources = docs["source", "sources"]
    assert (sources.role, sources.columns, sources.doc) == (
        "output",
        ("id", "flux_g", "flux_r"),
        "What was found.",
    )
    assert docs["match", "sources"].columns == ("id", "flux_r")
    assert docs["match", "sources"].storage_class == "DataFrame"
    assert [name for task, name in docs if task == "source"] == ["image", "sources", "fixed", "schema"]


def test_schemas_of_all_tasks_are_known_before_anything_runs() -> None:
    """All tasks are constructed first; an init input comes from the task before, as its reader declares it."""
    tasks, made = pipeline().build_tasks()
    assert made["sources_schema"] == ["id", "flux_g", "flux_r"]
    assert tasks["match"].init_inputs == {"schema": ["id", "flux_g", "flux_r"]}
    assert made["source_config"]["bands"] == ["g", "r"]


# -- connections -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minimum": 2}, "minimum=2, and it is one dataset"),
        ({"minimum": -1}, "minimum should be a whole number, not -1"),
        ({"minimum": True}, "minimum should be a whole number, not True"),
    ],
)
def test_a_minimum_that_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    """Where the connection is declared."""
    error = error_of(type, "Bad", (Connections,), {"data": Input("data", "Json", **options)})
    assert (error.code, f"Bad.data: {said}") == ("bad-connection", error.message)


def test_a_schema_must_be_an_init_output() -> None:
    """Nothing else is known in time."""
    error = error_of(
        type,
        "Bad",
        (Connections,),
        {"data": Output("data", "Json", schema="scheme"), "schema": InitOutput("s", "Json")},
    )
    assert "its schema 'scheme' is no init output" in error.message
    assert "schema" in error.hint


def test_what_few_connections_have_is_in_no_document_of_others() -> None:
    """Graphs and fingerprints of pipelines without it are what they were."""
    node = make_node("match", MatchTask, Config())
    document = node.to_document()
    assert "lookup" not in document["connections"][1]
    assert "units" not in document
    assert TaskNode.from_document(document) == node
    prerequisite = PrerequisiteInput("data", "Json", lookup="find").settle("data", "data", ())
    assert prerequisite.from_document(prerequisite.to_document()) == prerequisite


@pytest.mark.parametrize(
    ("made", "read", "is_fine"),
    [
        ("ArrowTable", "DataFrame", True),
        ("DataFrame", "Columns", True),
        ("Yaml", "Json", True),
        ("Text", "TextZst", True),
        ("FitsImage", "NumpyArray", False),
        ("Json", "Text", False),
    ],
)
def test_a_reader_may_declare_what_its_input_can_be_read_as(made: str, read: str, is_fine: bool) -> None:
    """And nothing else: the pipeline is refused with both names."""
    from stage.pipeline.order import check_agreement

    nodes = [made_by("make", o=Output("data", made)), made_by("use", data=Input("data", read))]
    if is_fine:
        check_agreement(nodes)
    else:
        error = error_of(check_agreement, nodes)
        assert error.code == "storage-class-mismatch"
        assert f"storage class {made} in task 'make' (o) but {read} in task 'use' (data)" in error.message


def made_by(label: str, **declared: Any) -> TaskNode:
    """Return a node with these connections."""
    connections = type("Some", (Connections,), declared)
    return make_node(
        label, type("Some", (WideTask,), {"ConnectionsClass": connections, "__module__": __name__}), Config()
    )


# -- settings and resources ------------------------------------------------------------------------------------

YAML = """
tasks:
  source:
    class: test_task_contracts_yaml.SourceTask
    file: settings.yaml
    resources: {memory_mb: 4000, walltime_s: 60}
    units: test_task_contracts_yaml.find
"""
CODE = """
from stage import Config, Connections, Output, Resources, Struct, Task

class SourceConfig(Config):
    bands: list[str] = ["g"]
    limit: float = 3.0

class SourceConnections(Connections, dimensions=("visit",)):
    sources = Output("sources", "Json")

class SourceTask(Task):
    ConfigClass = SourceConfig
    ConnectionsClass = SourceConnections
    resources = Resources(cpus=2, memory_mb=500)

    def run(self):
        return Struct(sources=[])

def find(dimensions, ask):
    return {}
"""


@pytest.fixture
def written(tmp_path: Path) -> Pipeline:
    """Give a pipeline from a file, with a file of settings beside it."""
    (tmp_path / "pipeline.yaml").write_text(YAML)
    (tmp_path / "settings.yaml").write_text("limit: 5\n")
    (tmp_path / "test_task_contracts_yaml.py").write_text(CODE)
    return Pipeline.load(tmp_path / "pipeline.yaml")


def test_a_pipeline_file_says_what_quanta_need_and_who_finds_them(written: Pipeline, tmp_path: Path) -> None:
    """Beside what the class says; both survive being written, and importing."""
    node = written.node("source")
    assert node.resources == Resources(cpus=2, memory_mb=4000, walltime_s=60)
    assert node.units == "test_task_contracts_yaml.find"
    (tmp_path / "again.yaml").write_text(written.to_yaml(tmp_path))
    assert Pipeline.load(tmp_path / "again.yaml").node("source") == node
    (tmp_path / "over.yaml").write_text("imports: pipeline.yaml\ntasks: {source: {resources: {cpus: 8}}}\n")
    assert Pipeline.load(tmp_path / "over.yaml").node("source").resources == Resources(8, 4000, 60)
    assert (
        written.node("source").fingerprint == Pipeline.load(tmp_path / "over.yaml").node("source").fingerprint
    )


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ("{memory: 5}", "resources have no 'memory'"),
        ("{cpus: 0}", "resources: cpus should be a whole number from 1 on, not 0"),
        ("{memory_mb: much}", "memory_mb 'much' cannot be reckoned: it has 'much'"),
    ],
)
def test_resources_that_make_no_sense_are_refused(
    written: Pipeline, tmp_path: Path, resources: str, said: str
) -> None:
    """With file and task."""
    del written
    (tmp_path / "bad.yaml").write_text(
        f"imports: pipeline.yaml\ntasks: {{source: {{resources: {resources}}}}}\n"
    )
    error = error_of(lambda: Pipeline.load(tmp_path / "bad.yaml").nodes)
    assert (error.code, said in error.message, "task 'source'" in error.message) == (
        "bad-resources",
        True,
        True,
    )


def test_settings_can_be_followed_to_where_they_were_changed(written: Pipeline, tmp_path: Path) -> None:
    """Value, default, and the file or command that changed it last."""
    changed = written.with_config("source:bands=[r, i]")
    told = {s.name: s for s in describe_settings(changed, "source")}
    assert (told["limit"].value, told["limit"].default) == (5.0, 3.0)
    assert told["limit"].origin == str(tmp_path / "settings.yaml")
    assert (told["bands"].value, told["bands"].default) == (["r", "i"], ["g"])
    assert told["bands"].origin == "-c source:bands"
    assert describe_settings(pipeline(), "source")[0].origin == "default"
    assert error_of(describe_settings, pipeline(), "sourc").code == "unknown-label"
