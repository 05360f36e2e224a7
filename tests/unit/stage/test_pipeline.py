"""Pipelines: ordered, checked, fingerprinted, changed and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import PipelineError
from registry.model.dimensions import DimensionUniverse, default_universe
from stage.pipeline.config import Config
from stage.pipeline.connections import Connections, InitInput, InitOutput, Input, Output, PrerequisiteInput
from stage.pipeline.order import overall_inputs
from stage.pipeline.pipeline import Pipeline
from stage.pipeline.struct import Struct
from stage.pipeline.subtask import Subtask, SubtaskChoice
from stage.pipeline.task import Task


class PlainConfig(Config):
    size: int = 1
    name: str = "x"


class PlainTask(Task):
    def run(self, **inputs: Any) -> Struct:
        """Do nothing."""
        return Struct()


class OuterConfig(PlainConfig):
    weights: dict[str, float] = {}  # noqa: RUF012 - pydantic copies it
    plain: SubtaskChoice = Subtask({"plain": PlainTask, "other": PlainTask}, default="plain")


def made(name: str, reads: Any = (), writes: Any = (), dims: Any = ("station",), **more: Any) -> type[Task]:
    """Make a task class that a pipeline can find by name in this module."""
    found = {
        **{f"in_{i}": r if not isinstance(r, str) else Input(r, "Json") for i, r in enumerate(reads)},
        **{f"out_{i}": w if not isinstance(w, str) else Output(w, "Json") for i, w in enumerate(writes)},
    }
    connections = type(name + "Connections", (Connections,), found, dimensions=dims)
    body = {"ConnectionsClass": connections, "ConfigClass": OuterConfig, "__module__": __name__, **more}
    task_class = type(name, (PlainTask,), body)
    globals()[name] = task_class
    return task_class


A = made("A", ["raw"], ["a"])
B = made("B", ["a"], ["b"])
C = made("C", ["a", "b"], ["c"])
D = made("D", ["raw"], ["d"])


def failure(pipeline: Pipeline, universe: DimensionUniverse | None = None) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        pipeline.check(universe)
    return caught.value


def test_tasks_are_sorted_and_equals_stay_as_written() -> None:
    """Producers come before consumers; what does not depend on each other keeps the order of the file."""
    assert [n.label for n in Pipeline.of(d=D, c=C, b=B, a=A).nodes] == ["d", "a", "b", "c"]
    assert [n.label for n in Pipeline.of(c=C, b=B, a=A, d=D).nodes] == ["a", "b", "c", "d"]


def test_a_circle_is_printed() -> None:
    """Tasks that depend on each other are named in order with what they pass on."""
    x, y, z = made("X", ["z"], ["x"]), made("Y", ["x"], ["y"]), made("Z", ["y", "raw"], ["z"])
    error = failure(Pipeline.of(a=A, x=x, y=y, z=z))

    assert error.code == "pipeline-cycle"
    assert "x → (x) → y → (y) → z → (z) → x" in str(error)


def test_a_task_that_reads_what_it_writes_is_a_circle() -> None:
    """The smallest circle is found too."""
    assert "s → (s) → s" in str(failure(Pipeline.of(s=made("S", ["s"], ["s"]))))


def test_two_producers_are_named() -> None:
    """A dataset type has one producer; both tasks and a way out are named."""
    error = failure(Pipeline.of(a=A, again=A))

    assert error.code == "two-producers"
    assert "task 'a' (out_0) and task 'again' (out_0)" in str(error)
    assert "-c again:connections.out_0=" in error.hint


def test_a_renamed_output_ends_the_quarrel() -> None:
    """The hint of the error above works."""
    pipeline = Pipeline.of(a=A, again=A).with_config("again:connections.out_0=other")

    assert [n.connection("out_0").dataset_type for n in pipeline.nodes] == ["a", "other"]


def test_storage_class_mismatch_names_both_tasks() -> None:
    """Producer and consumer must mean the same object."""
    error = failure(Pipeline.of(a=A, b=made("B2", [Input("a", "Text")])))

    assert error.code == "storage-class-mismatch"
    assert "Json in task 'a' (out_0) but Text in task 'b' (in_0)" in str(error)


def test_dimension_mismatch_names_both_tasks() -> None:
    """Where names alone tell that dimensions differ, no universe is needed."""
    error = failure(Pipeline.of(a=A, b=made("B3", [Input("a", "Json", dimensions=("day",))])))

    assert error.code == "dimensions-mismatch"
    assert "{station} in task 'a' (out_0) but {day} in task 'b' (in_0)" in str(error)


def test_consumers_of_an_overall_input_must_agree_too() -> None:
    """Two readers of something that nobody makes are compared with each other."""
    error = failure(Pipeline.of(a=A, x=made("X2", [Input("raw", "Text")], ["x"])))

    assert "Json in task 'a' (in_0) but Text in task 'x' (in_0)" in str(error)


def test_a_prerequisite_cannot_be_made_by_the_same_pipeline() -> None:
    """A prerequisite must be there before the graph is built."""
    error = failure(Pipeline.of(a=A, x=made("X3", [PrerequisiteInput("a", "Json")])))

    assert error.code == "prerequisite-produced"


def test_an_init_input_cannot_be_a_quantums_output() -> None:
    """A task is constructed before any quantum has run."""
    error = failure(Pipeline.of(a=A, x=made("X4", [InitInput("a", "Json", dimensions=("station",))])))

    assert error.code == "init-input-produced-late"


def test_unknown_storage_class_offers_the_nearest() -> None:
    """A typo in a storage class is found before anything is built."""
    error = failure(Pipeline.of(x=made("X5", [Input("raw", "Jsn")])))

    assert error.code == "unknown-storage-class"
    assert "task 'x' (in_0)" in str(error)
    assert "Json" in error.hint


AIR = DimensionUniverse.from_document(
    {
        "name": "air",
        "version": 1,
        "elements": {"station": {"key": {"type": "string"}}, "month": {"key": {"type": "int"}}},
    }
)


@pytest.mark.parametrize(
    ("reads", "writes", "code", "said"),
    [
        (
            [Input("r", "Json", dimensions=("statoin",))],
            [],
            "unknown-dimension",
            "task 't' (in_0): no dimension 'statoin'",
        ),
        ([Input("r", "Json", dimensions=("station", "month"))], [], "connection-dimensions", "has many 'r'"),
        (
            [],
            [Output("w", "Json", dimensions=())],
            "connection-dimensions",
            "several quanta would write one 'w'",
        ),
        (
            [],
            [Output("w", "Json", dimensions=("month",), multiple=True)],
            "connection-dimensions",
            "lacks station",
        ),
    ],
)
def test_dimensions_are_checked_against_a_universe(reads: Any, writes: Any, code: str, said: str) -> None:
    """Unknown dimensions, and connections that cannot fit a quantum, name task and connection."""
    error = failure(Pipeline.of(t=made("T", reads, writes)), AIR)

    assert code == error.code
    assert said in str(error)


def test_what_fits_a_universe_passes() -> None:
    """Many inputs with multiple, shared inputs, outputs with more dimensions: all right."""
    reads = [
        Input("m", "Json", dimensions=("station", "month"), multiple=True),
        Input("all", "Json", dimensions=()),
    ]
    writes = [Output("w", "Json"), Output("p", "Json", dimensions=("station", "month"), multiple=True)]
    pipeline = Pipeline.of(t=made("T2", reads, writes))
    pipeline.check(AIR)

    assert str(pipeline.dataset_types(AIR)["p"]) == "p(station, month)"
    assert pipeline.dataset_types(AIR)["t_metadata"].storage_class == "Json"


def test_dimensions_that_require_others_are_the_same() -> None:
    """(visit) and (instrument, visit) are one set in a universe where a visit has an instrument."""
    one = made("One", [], ["shared"], ("visit",))
    two = made(
        "Two", [Input("shared", "Json", dimensions=("instrument", "visit"))], [], ("instrument", "visit")
    )
    Pipeline.of(one=one, two=two).check(default_universe())


def test_a_universe_tells_what_names_cannot() -> None:
    """Where one set of names is part of the other, the universe decides."""
    two = made("Two2", [Input("a", "Json", dimensions=("station", "month"), multiple=True)])
    pipeline = Pipeline.of(a=A, two=two)
    pipeline.check()

    assert failure(pipeline, AIR).code == "dimensions-mismatch"


def test_automatic_outputs_can_be_inputs() -> None:
    """A task may read another's metadata or config, and comes after it."""
    reader = made("Reader", ["a_metadata", InitInput("a_config", "Json")])

    assert [n.label for n in Pipeline.of(reader=reader, a=A).nodes] == ["a", "reader"]


def test_overall_inputs_are_what_nobody_makes() -> None:
    """Only dataset types without a producer are overall inputs."""
    assert list(overall_inputs(Pipeline.of(c=C, b=B, a=A).nodes)) == ["raw"]


def test_fingerprint_ignores_order_and_words_but_no_setting() -> None:
    """The fingerprint is that of what can change outputs."""
    one, two = Pipeline.of(a=A, b=B), Pipeline.of(b=B, a=A)

    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != one.with_config("a:size=2").fingerprint
    assert one.fingerprint != one.subset("a").fingerprint
    assert one.fingerprint == one.with_config("a:size=1").fingerprint


def test_with_config_changes_a_copy() -> None:
    """Values may be given as objects or as text; the first pipeline stays as it was."""
    one = Pipeline.of(a=A)
    two = one.with_config("a:size=3").with_config("a:plain.name=other").with_config("a:weights", {"g": 2})

    assert two.node("a").config["size"] == 3
    assert two.node("a").config["plain"]["name"] == "other"
    assert two.node("a").config["weights"] == {"g": 2.0}
    assert one.node("a").config["size"] == 1


def test_text_that_looks_like_a_number_is_text_where_text_is_wanted() -> None:
    """-c a:name=007 keeps its zeros."""
    assert Pipeline.of(a=A).with_config("a:name=007").node("a").config["name"] == "007"


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("aa:size=3", "unknown-label", "Did you mean 'a'?"),
        ("a:sizes=3", "unknown-setting", "Did you mean 'size'?"),
        ("a:size=x", "bad-setting", ""),
        ("a:name=[1]", "bad-setting", ""),
        ("a:connections.out=x", "unknown-connection", "Did you mean 'out_0'?"),
        ("a:plain.plain.connections.x=y", "unknown-connection", "Set connections.x of the task."),
        ("parameters:x=3", "unknown-parameter", "There are none."),
        ("a.size=3", "bad-override", ""),
    ],
)
def test_a_wrong_change_is_told_at_once(text: str, code: str, hint: str) -> None:
    """A change is checked when it is made, with the nearest name."""
    with pytest.raises(PipelineError) as caught:
        Pipeline.of(a=A).with_config(text)

    assert (code, hint) == (caught.value.code, caught.value.hint)


def test_with_config_file_and_with_task(tmp_path: Path) -> None:
    """A file of settings and a further task can be put on top."""
    (tmp_path / "c.yaml").write_text("size: 9\n")
    pipeline = (
        Pipeline.of(a=A)
        .with_config_file("a", tmp_path / "c.yaml")
        .with_task("b", B)
        .with_task("d", f"{__name__}.D")
    )

    assert [(n.label, n.config["size"]) for n in pipeline.nodes] == [("a", 9), ("b", 1), ("d", 1)]
    with pytest.raises(PipelineError, match="has a 'b' already"):
        pipeline.with_task("b", B)


def test_diff_says_what_differs() -> None:
    """Tasks on one side, settings with both values, renamed connections."""
    one = Pipeline.of(a=A, b=B)
    two = Pipeline.of(a=A, d=D).with_config("a:size=3").with_config("a:connections.out_0=aa")

    assert one.diff(one) == []
    assert one.diff(two) == [
        "b: only ours",
        "d: only theirs",
        "a:connections.out_0: None against 'aa'",
        "a:size: 1 against 3",
        "a: connection 'out_0': dataset_type 'a' against 'aa'",
    ]


class SchemaTask(PlainTask):
    ConnectionsClass = type(
        "SchemaConnections",
        (Connections,),
        {"before": InitInput("schema_0", "Json"), "after": InitOutput("schema_1", "Json")},
    )

    def init_outputs(self) -> dict[str, Any]:
        """Add a column to the schema."""
        return {"after": [*self.init_inputs["before"], "flux"]}


def test_schemas_pass_downstream_in_memory() -> None:
    """All tasks are constructed in order, each with what those before it give."""
    pipeline = Pipeline.of(two=SchemaTask, one=SchemaTask)
    for text in ("two:connections.before=schema_1", "two:connections.after=schema_2"):
        pipeline = pipeline.with_config(text)
    tasks, given = pipeline.build_tasks({"schema_0": ["id"]})

    assert list(tasks) == ["one", "two"]
    assert given["schema_2"] == ["id", "flux", "flux"]
    assert given["one_config"] == {}
    with pytest.raises(PipelineError, match=r"'one': init input 'before' \(schema_0\) is not there"):
        pipeline.build_tasks()


def test_to_yaml_stands_by_itself(tmp_path: Path) -> None:
    """A written pipeline loads as an equal one, with its parameters, subsets and contracts."""
    (tmp_path / "base.yaml").write_text(
        f"parameters: {{n: 4}}\ntasks: {{a: {__name__}.A, b: {__name__}.B}}\nsubsets: {{s: [a]}}\n"
    )
    (tmp_path / "p.yaml").write_text(
        "imports: base.yaml\ndescription: |\n  Two\n  lines.\n"
        "tasks:\n  a: {config: {size: parameters.n, weights: {g: 1}}}\n"
        "  say: {shell: 'echo 1 > $o\n\n    ', outputs: {o: {dataset_type: o, storage_class: Text}}, config: {v: 1}}\n"
        "contracts: [a.size >= b.size]\n"
    )
    one = Pipeline.load(tmp_path / "p.yaml").with_config("a:weights", {"r": 2}).with_config("say:v=2")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/q.yaml").write_text(one.to_yaml(tmp_path / "out"))
    two = Pipeline.load(tmp_path / "out/q.yaml")

    assert one.diff(two) == []
    assert one.fingerprint == two.fingerprint
    assert two.node("a").config["weights"] == {"r": 2.0}
    assert two.with_config("parameters:n=6").node("a").config["size"] == 6
    assert (one.subsets, one.description) == (two.subsets, two.description)
    assert str(tmp_path) not in one.to_yaml(tmp_path / "out")
    assert str(tmp_path) in two.search_path
