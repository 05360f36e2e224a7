"""Functions as tasks: still plain functions, with inputs, outputs and settings taken from the signature."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest

from registry.errors import PipelineError
from stage.pipeline.config import Field
from stage.pipeline.connections import Input, Output
from stage.pipeline.pipeline import Pipeline
from stage.pipeline.struct import NoWorkFound, Struct
from stage.pipeline.testing import MemoryRepo, assert_stateless, make_quantum
from stage.tasks.function import task

if TYPE_CHECKING:
    from nowhere import Table  # type: ignore[import-not-found]


@task(
    dimensions=("station",), inputs={"raw": Input("raw", "Json")}, outputs={"clean": Output("clean", "Json")}
)
def clean(
    raw: Table,
    limit: Annotated[float, Field(gt=0)] = 3.0,
    mode: Literal["soft", "hard"] = "soft",
    scale=2,
) -> Any:
    """Leave out what is above a limit."""
    if not raw:
        raise NoWorkFound("an empty table")
    return [x * scale for x in raw if x < limit]


@task(
    dimensions="station",
    inputs={"clean": Input("clean", "Json")},
    outputs={"low": Output("low", "Json"), "high": Output("high", "Json", minimum=0)},
)
def split(clean: Any, data_id: Any, at: float) -> dict[str, Any]:
    """Part a list."""
    return {"low": [x for x in clean if x < at], "high": {"station": data_id["station"]} if at > 1 else None}


@task(dimensions="station", outputs={"facts": Output("facts", "Json")})
def facts() -> dict[str, int]:
    """Give a mapping as the one output."""
    return {"n": 1}


@task(
    dimensions="station",
    inputs={"clean": Input("clean", "Json")},
    outputs={
        "table": Output("table", "Text"),
        "parts": Output("parts", "FileSet", minimum=0),
        "n": Output("n", "Json"),
    },
)
def report(clean: list[int], table: Path, parts: Path, each: bool = True) -> int:
    """Write a table and a file an item; return how many."""
    if clean:
        table.write_text(" ".join(map(str, clean)))
    for i, x in enumerate(clean if each else ()):
        (parts / f"{i}.txt").write_text(str(x))
    return len(clean)


def test_a_function_writes_the_outputs_that_it_is_handed_paths_of(tmp_path: Path) -> None:
    """An output that is a parameter of type Path is a place: the file, or the directory's files, become the dataset."""
    made, quantum = report.task_class(), make_quantum(report.task_class(), {"station": "x"})
    repo = MemoryRepo({quantum.inputs["clean"][0]: [4, 5]})
    made.run_quantum(quantum, repo)
    (table,), (parts,), (n,) = (quantum.outputs[name] for name in ("table", "parts", "n"))

    assert repo.objects[table] == "4 5"
    assert [(name, repo.objects[parts].text(name)) for name in repo.objects[parts]] == [
        ("0.txt", "4"),
        ("1.txt", "5"),
    ]
    assert repo.objects[n] == 2
    assert made.config.to_document() == {"each": True}
    # In a notebook the places are given.
    (tmp_path / "p").mkdir()
    assert made.run(clean=[1], table=tmp_path / "t", parts=tmp_path / "p").n == 1
    assert (tmp_path / "t").read_text() == "1"


def test_an_output_that_was_not_written_is_named() -> None:
    """A required file that is not there fails, and nothing is written; an optional directory may stay empty."""
    quantum = make_quantum(report.task_class(), {"station": "x"})
    repo = MemoryRepo({quantum.inputs["clean"][0]: []})
    with pytest.raises(PipelineError) as caught:
        report.task_class().run_quantum(quantum, repo)
    assert caught.value.code == "missing-output"
    assert "'table'" in str(caught.value)
    assert len(repo.objects) == 1

    repo = MemoryRepo({quantum.inputs["clean"][0]: [7]})
    report.task_class({"each": False}).run_quantum(quantum, repo)
    assert quantum.outputs["parts"][0] not in repo.objects


def test_a_decorated_function_is_called_as_before() -> None:
    """Three lines in a notebook: import, call, look."""
    assert clean([1, 5]) == [2]
    assert clean(raw=[1, 5], limit=9, scale=1) == [1, 5]
    assert clean.__doc__ == "Leave out what is above a limit."


def test_parameters_with_defaults_are_settings() -> None:
    """Types and constraints of parameters make the config, and bad values are errors of ours."""
    made = clean.task_class({"limit": 6, "scale": 1.5})

    assert made.run(raw=[1, 5]) == Struct(clean=[1.5, 7.5])
    with pytest.raises(PipelineError, match="setting 'limit'"):
        clean.task_class({"limit": -1})
    with pytest.raises(PipelineError, match="setting 'mode'"):
        clean.task_class({"mode": "medium"})
    with pytest.raises(PipelineError, match="no setting 'limits'"):
        clean.task_class({"limits": 1})


def test_a_typed_parameter_without_default_must_be_set() -> None:
    """A setting may be required."""
    with pytest.raises(PipelineError, match="setting 'at' must be given"):
        split.task_class()


def test_several_outputs_come_as_a_dict_with_the_data_id_given() -> None:
    """A function with several outputs returns them by name; it may ask for the data ID."""
    made, repo = split.task_class({"at": 2}), MemoryRepo()
    quantum = make_quantum(made, {"station": "A"})
    repo.objects[quantum.inputs["clean"][0]] = [1, 3]
    made.run_quantum(quantum, repo)

    assert repo.objects[quantum.outputs["low"][0]] == [1]
    assert repo.objects[quantum.outputs["high"][0]] == {"station": "A"}


def test_an_optional_output_may_be_none() -> None:
    """An output with minimum=0 is left out when it is None."""
    made, repo = split.task_class({"at": 1}), MemoryRepo()
    quantum = make_quantum(made, {"station": "A"})
    repo.objects[quantum.inputs["clean"][0]] = [1, 3]
    made.run_quantum(quantum, repo)

    assert quantum.outputs["high"][0] not in repo.objects


def test_a_mapping_is_the_value_of_a_single_output() -> None:
    """With one output there is no doubt: what is returned is the output."""
    assert Struct(facts={"n": 1}) == facts.task_class().run()


def test_no_work_passes_through() -> None:
    """A function may declare that there is nothing to do."""
    with pytest.raises(NoWorkFound, match="an empty table"):
        clean.task_class().run(raw=[])


def test_function_tasks_are_stateless_and_pickle() -> None:
    """The function and the task made from it are found again by name."""
    made = clean.task_class({"limit": 2})

    assert assert_stateless(made, raw=[1, 5]) == Struct(clean=[2])
    assert pickle.loads(pickle.dumps(clean)) is clean
    assert pickle.loads(pickle.dumps(made)).config == made.config


def test_functions_stand_in_pipelines_by_name() -> None:
    """A pipeline names a function as module.function, with settings as for a class."""
    pipeline = Pipeline.of(clean=(f"{__name__}.clean", {"limit": 9}), split=(split, {"at": 1}))

    assert [(n.label, n.kind) for n in pipeline.nodes] == [("clean", "function"), ("split", "function")]
    assert pipeline.node("clean").config == {"limit": 9.0, "mode": "soft", "scale": 2}
    assert pipeline.node("clean").build().run(raw=[8]) == Struct(clean=[16])


def positional(raw: Any, /) -> None: ...
def untyped(raw: Any, thing) -> None: ...
def keywords(raw: Any, **more: Any) -> None: ...
def other(rows: Any) -> None: ...
def reserved(raw: Any, connections: int = 3) -> None: ...
def unknown_type(raw: Any, thing: Table = 3) -> None: ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (positional, "'raw' cannot be given by name"),
        (untyped, "'thing' is no input, and has neither a type nor a default"),
        (keywords, "'more' cannot be given by name"),
        (other, "no parameter for its input 'raw'"),
        (reserved, "cannot be called 'connections'"),
        (unknown_type, "type is not known"),
    ],
)
def test_a_signature_that_does_not_fit_is_refused_at_once(function: Any, said: str) -> None:
    """The decorator compares the signature with the declared inputs."""
    with pytest.raises(PipelineError, match=said):
        task(inputs={"raw": Input("raw", "Json")})(function)


def test_a_wrong_return_value_is_named() -> None:
    """Several outputs need names."""
    made = task(outputs={"a": Output("a", "Json"), "b": Output("b", "Json")})(lambda: 3)
    with pytest.raises(PipelineError, match="returned a int; it has outputs a, b"):
        made.task_class().run()
