"""What the founding documents ask of tasks and quanta, where no other test proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import PipelineError
from stage.execution.prep import prepare_run
from stage.pipeline.config import Config
from stage.pipeline.connections import Connections, InitInput, Input, Output
from stage.pipeline.pipeline import Pipeline
from stage.pipeline.struct import Struct
from stage.pipeline.task import Task
from tests.execution_lab import make_lab


class ScaleConfig(Config):
    by: float = 2.0


class ScaleConnections(Connections, dimensions=("sample",)):
    unit = InitInput("unit", "Json")
    value = Input("value", "Json")
    scaled = Output("scaled", "Json")


class ScaleTask(Task):
    ConfigClass = ScaleConfig
    ConnectionsClass = ScaleConnections

    def __init__(self, config: Any = None, *, digits: int = 1, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.digits = digits

    def run(self, value: float) -> Struct:
        """Multiply, with the unit that was known at construction."""
        return Struct(scaled=[round(value * self.config.by, self.digits), self.init_inputs.get("unit", "?")])


def test_a_pipeline_constructs_tasks_with_arguments_of_their_own() -> None:
    """S-26: keyword arguments with defaults are a class's own affair; schemas reach any task, used or not."""
    built, _ = Pipeline.of(scale=ScaleTask).build_tasks({"unit": "m", "other": "unused"})
    alone = ScaleTask({"by": 3}, digits=3, name="scale", init_inputs={"unit": "km"})

    assert built["scale"].run(value=0.111) == Struct(scaled=[0.2, "m"])
    assert alone.run(value=0.111) == Struct(scaled=[0.333, "km"])
    assert ScaleTask().run(value=0.111) == Struct(scaled=[0.2, "?"])


def test_construction_gets_init_inputs_and_nothing_else() -> None:
    """S-27: a task that is constructed has the schemas that it declared; a dataset of its quanta is refused by name."""
    assert ScaleTask(init_inputs={"unit": "m"}).init_inputs == {"unit": "m"}
    with pytest.raises(PipelineError, match="no init input 'value'"):
        ScaleTask(init_inputs={"value": 3.0})


def test_each_step_of_construction_is_recorded(tmp_path: Path) -> None:
    """S-29: what one task fixes at construction is there for the next one's, and in the run with every config."""
    lab = make_lab(tmp_path)
    prepare_run(lab.staging, lab.graph)

    assert lab.graph.init_inputs("total")["unit"].id == lab.graph.init_outputs("shift")["unit"].id
    assert lab.get("unit") == {"name": "metre"}
    assert lab.graph.node("total").build({"unit": lab.get("unit")}).init_inputs == {"unit": {"name": "metre"}}
    assert {"double_config", "shift_config", "total_config"} <= set(lab.datasets())


def test_a_quantum_names_its_task_and_its_datasets(tmp_path: Path) -> None:
    """S-37..S-39: inputs and outputs by connection, and the task that the quantum is of, ready to be built."""
    quantum = make_lab(tmp_path).graph.quantum(8)

    assert (quantum.label, quantum.data_id) == ("total", {"batch": 0})
    assert [d.values for d in quantum.inputs["values"]] == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert {d.dataset_type for refs in quantum.outputs.values() for d in refs} == {
        "total",
        "total_log",
        "total_metadata",
    }
    assert type(quantum.node.build({"unit": {"name": "m"}})).__name__ == "TotalTask"
