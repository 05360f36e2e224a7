"""Pipelines that a Python function makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.errors import StageError
from stage.pipeline.pipeline import Pipeline
from tests.integration.tiny_campaign import call, make_upstream

MAKER = '''
"""Makes pipelines."""

import os

from stage import Input, Output, Pipeline, task

BOTH = ("station", "month")


@task(
    dimensions=BOTH,
    inputs={"reading": Input("reading", "Json", dimensions=BOTH)},
    outputs={"n": Output("n", "Json", dimensions=BOTH, type=int)},
)
def count(reading, factor: int = 1):
    """Count values."""
    return factor * len(reading["values"])


def simple():
    """Return a pipeline of one task."""
    return Pipeline.of(count=(count.task_class, {"factor": 10}))


def squares():
    """Return a task a number."""
    return {
        "tasks": {
            f"square_{i}": {
                "dimensions": [],
                "outputs": {"n": {"dataset_type": f"n_{i}", "type": "int"}},
                "shell": f"n=$(({i} * {i}))",
            }
            for i in range(int(os.environ.get("N_SQUARES", "2")))
        }
    }


def broken():
    raise ValueError("no such luck")


def nothing():
    return 42
'''


@pytest.fixture
def maker(tmp_path: Path) -> Path:
    """Return a file with functions that make pipelines; modules of tests have names of their own."""
    file = tmp_path / f"maker_{tmp_path.name}.py"
    file.write_text(MAKER)
    return file


def test_a_function_makes_a_pipeline(maker: Path) -> None:
    """A function of a file returns a pipeline, or what a pipeline file would hold; a part of it can be selected."""
    pipeline = Pipeline.load(f"{maker}:simple")
    assert pipeline.node("count").config["factor"] == 10
    assert str(maker.parent) in pipeline.search_path
    assert Pipeline.load(f"{maker}:squares").labels == ("square_0", "square_1")
    assert Pipeline.load(f"{maker}:squares#square_1").labels == ("square_1",)


def test_a_function_is_named_by_its_module(maker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is found from the working directory, within a package too, stands for its file."""
    monkeypatch.chdir(maker.parent)
    assert Pipeline.load(f"{maker.stem}:simple").labels == ("count",)
    package = maker.parent / f"package_{maker.stem}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inner.py").write_text(MAKER)
    pipeline = Pipeline.load(f"{package.name}.inner:simple")
    assert pipeline.node("count").target == f"{package.name}.inner:count"
    assert pipeline.search_path == (str(maker.parent),)


def test_a_function_that_was_changed_is_called_anew(maker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the file's text nor what it asks of the environment is remembered."""
    monkeypatch.setenv("N_SQUARES", "3")
    assert len(Pipeline.load(f"{maker}:squares").labels) == 3
    maker.write_text(MAKER.replace('{"factor": 10}', '{"factor": 7}'))
    assert Pipeline.load(f"{maker}:simple").node("count").config["factor"] == 7


def test_a_pipeline_file_imports_one_that_a_function_makes(maker: Path) -> None:
    """What Python makes is built upon in YAML, beside it."""
    file = maker.parent / "p.yaml"
    file.write_text(
        f"imports: [{{location: '{maker.name}:simple'}}]\ntasks: {{count: {{config: {{factor: 3}}}}}}\n"
    )
    assert Pipeline.load(file).node("count").config["factor"] == 3


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("", "bad-location", "the function that makes the pipeline is not named"),
        (":simpel", "no-pipeline-function", "has no function 'simpel'"),
        (":broken", "pipeline-function-failed", "ValueError: no such luck"),
        (":nothing", "wrong-result", "returned a int, which is no pipeline"),
    ],
)
def test_a_function_that_makes_none_is_refused(maker: Path, end: str, code: str, said: str) -> None:
    """What went wrong has the file's and the function's name."""
    with pytest.raises(StageError, match=said) as caught:
        Pipeline.load(f"{maker}{end}")
    assert caught.value.code == code


def test_a_module_that_there_is_not_is_refused() -> None:
    """Neither here nor among what is installed."""
    with pytest.raises(StageError, match=r"there is no module 'nowhere\.at_all'"):
        Pipeline.load("nowhere.at_all:pipeline")


def test_a_campaign_runs_what_a_function_makes(tmp_path: Path) -> None:
    """The command takes the function for a pipeline, changes its settings, and workers find its tasks."""
    make_upstream(tmp_path)
    (tmp_path / "maker_of_campaign.py").write_text(MAKER)
    call("clone", "upstream", "camp", "-p", "maker_of_campaign:simple", "-i", "net/raw", cwd=tmp_path)
    camp = tmp_path / "camp"
    call("run", "-q", "-j1", cwd=camp)
    first = json.loads(call("get", "n", "station=aar", "month=202601", cwd=camp).stdout)
    call("run", "-q", "-j1", "--new-run", "--use-task-configs", "-c", "count:factor=1", cwd=camp)

    assert json.loads(call("get", "n", "station=aar", "month=202601", cwd=camp).stdout) * 10 == first
