"""Task nodes: what a graph file carries, and how a worker gets a task out of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from registry.errors import PipelineError
from stage.pipeline.config import Config
from stage.pipeline.connections import Connections, Input, Output
from stage.pipeline.node import CONFIG, LOG, METADATA, TaskNode
from stage.pipeline.resolve import make_node
from stage.pipeline.struct import Struct
from stage.pipeline.task import Task


class CleanConfig(Config):
    limit: float = 3.0
    sizes: tuple[int, ...] = (1, 2)


class CleanConnections(Connections, dimensions=("station",)):
    raw = Input("raw", "Json", deferred=True, minimum=0)
    clean = Output("clean", "Json", doc="Without outliers.")


class CleanTask(Task):
    ConfigClass = CleanConfig
    ConnectionsClass = CleanConnections

    def run(self, raw: Any) -> Struct:
        """Pass on."""
        return Struct(clean=raw)


def node(config: Config | None = None) -> TaskNode:
    return make_node("clean", CleanTask, config or CleanConfig())


def test_a_node_comes_back_equal_from_json() -> None:
    """A node's document is JSON, and reading it gives an equal node with the same fingerprint."""
    first = node(CleanConfig(limit=9))
    again = TaskNode.from_document(json.loads(json.dumps(first.to_document())))

    assert first == again
    assert first.fingerprint == again.fingerprint


def test_a_node_builds_its_task() -> None:
    """A worker gets a configured task from a document alone."""
    task = TaskNode.from_document(node(CleanConfig(limit=9, sizes=(4,))).to_document()).build()

    assert isinstance(task, CleanTask)
    assert (task.config.limit, task.config.sizes, task.name) == (9.0, (4,), "clean")


def test_each_task_has_metadata_log_and_config() -> None:
    """Automatic connections stand beside the declared ones: two a quantum, one a run."""
    n = node()

    assert [c.name for c in n.connections] == ["raw", "clean", METADATA, LOG, CONFIG]
    assert [c.dataset_type for c in n.outputs] == ["clean", "clean_metadata", "clean_log"]
    assert [(c.dataset_type, c.dimensions) for c in n.init_outputs] == [("clean_config", ())]
    assert [n.connection(name).dimensions for name in (METADATA, LOG)] == [("station",), ("station",)]


@pytest.mark.parametrize(
    "change",
    [
        {"target": "a:B"},
        {"version": "2"},
        {"config": {"limit": 1}},
        {"dimensions": ("day",)},
        {"connections": ()},
    ],
)
def test_fingerprint_changes_with_what_can_change_outputs(change: dict[str, Any]) -> None:
    """Code, version, settings, dimensions and connections are in the fingerprint."""
    assert node().fingerprint != replace(node(), **change).fingerprint


def test_fingerprint_ignores_words_and_resources() -> None:
    """Documentation and what a quantum needs of a machine change no output."""
    n = node()
    undocumented = tuple(replace(c, doc="") for c in n.connections)

    assert n.fingerprint == replace(n, connections=undocumented).fingerprint
    assert n.fingerprint == replace(n, resources=replace(n.resources, cpus=9)).fingerprint


def test_hooks_name_what_a_class_overrides() -> None:
    """Only a task that overrides a hook is to be asked once a quantum."""
    hooked = type("HookedTask", (CleanTask,), {"adjust_quantum": lambda self, i, o, d: (i, o)})

    assert node().hooks == ()
    assert make_node("x", hooked, CleanConfig()).hooks == ("adjust_quantum",)


def test_unknown_connection_is_named() -> None:
    """Asking a node for a connection that it does not have is an error of ours."""
    with pytest.raises(PipelineError, match="task 'clean' has no connection 'no'"):
        node().connection("no")


def test_a_class_inside_a_function_is_refused() -> None:
    """A task that workers could not import is refused when the pipeline is made, not when it runs."""

    class Local(CleanTask):
        pass

    with pytest.raises(PipelineError, match="defined inside a function"):
        make_node("x", Local, CleanConfig())


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (lambda self: None, "no parameter for its input 'raw'"),
        (lambda self, raws: None, "no parameter for its input 'raw'"),
        (lambda self, raw, dark: None, "wants 'dark', which is no input"),
    ],
)
def test_run_must_take_the_declared_inputs(run: Any, said: str) -> None:
    """The signature of run and the connections are compared before anything runs."""
    bad = type("BadTask", (CleanTask,), {"run": run})
    with pytest.raises(PipelineError, match=said):
        make_node("x", bad, CleanConfig())


@pytest.mark.parametrize(
    "run", [lambda self, raw, data_id: None, lambda self, **inputs: None, lambda self, raw, extra=1: None]
)
def test_run_may_take_the_data_id_and_defaults(run: Any) -> None:
    """A data ID, keywords and parameters with defaults are no inputs that are missing."""
    make_node("x", type("GoodTask", (CleanTask,), {"run": run}), CleanConfig())


def test_node_module_is_light() -> None:
    """Reading node documents imports neither pydantic nor YAML nor a database."""
    code = (
        "import sys, stage.pipeline.node, stage.pipeline.importing, stage.pipeline.struct\n"
        "heavy = {'pydantic', 'yaml', 'numpy', 'sqlalchemy', 'sqlite3'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.PIPE).stderr == b""
