"""Tasks: called without a repository, run on quanta with one, and never changed by either."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import NotFoundError, PipelineError
from stage.pipeline.config import Config, Field
from stage.pipeline.connections import Connections, InitInput, InitOutput, Input, Output
from stage.pipeline.struct import NoWorkFound, Struct
from stage.pipeline.subtask import Subtask, SubtaskChoice
from stage.pipeline.task import Task
from stage.pipeline.testing import MemoryRepo, assert_stateless, make_quantum
from stage.tasks.noop import NoOpTask


class ShiftConfig(Config):
    by: float = 1.0


class ShiftTask(Task):
    ConfigClass = ShiftConfig

    def run(self, values: list[float]) -> list[float]:
        """Add a constant."""
        self.metadata["shifted"] = len(values)
        self.log.info("shifting %d", len(values))
        return [v + self.config.by for v in values]


class MirrorTask(ShiftTask):
    def run(self, values: list[float]) -> list[float]:
        """Change the sign."""
        return [-v for v in values]


class MeanConnections(Connections, dimensions=("station",)):
    unit = InitInput("unit", "Json")
    values = Input("values", "Json", dimensions=("station", "day"), multiple=True, minimum=2)
    scale = Input("scale", "Json", minimum=0)
    mean = Output("mean", "Json")
    spread = Output("spread", "Json", minimum=0)
    columns = InitOutput("mean_columns", "Json")


class MeanConfig(Config):
    floor: float = Field(0.0, description="Values below are left out.")
    shift: SubtaskChoice = Subtask(
        {"shift": ShiftTask, "mirror": MirrorTask}, default="shift", base=ShiftTask
    )
    again: ShiftConfig = ShiftConfig(by=0)


class MeanTask(Task):
    ConfigClass = MeanConfig
    ConnectionsClass = MeanConnections

    def __init__(self, config: Any = None, *, digits: int = 6, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.digits = digits
        self.make_subtask("shift")
        self.make_subtask("again", ShiftTask)

    def init_outputs(self) -> dict[str, Any]:
        """Give the columns."""
        return {"columns": ["mean", self.init_inputs.get("unit", "1")]}

    def run(self, values: list[float], scale: float | None = None, data_id: Any = None) -> Struct:
        """Average what is above the floor."""
        kept = self.again.run(self.shift.run([v for v in values if v >= self.config.floor]))
        if not kept:
            raise NoWorkFound("nothing above the floor")
        self.metadata["station"] = (data_id or {}).get("station")
        return Struct(mean=round(sum(kept) / len(kept) * (scale or 1), self.digits))


def mean_quantum(task: Task, days: int = 2, **more: Any) -> tuple[Any, MemoryRepo]:
    ids = {"values": [{"day": d} for d in range(days)], "scale": [], **more}
    quantum = make_quantum(task, {"station": "A"}, ids)
    return quantum, MemoryRepo({ref: float(i) for i, ref in enumerate(quantum.inputs["values"])})


def test_a_task_is_called_in_one_line() -> None:
    """Run needs no repository, no graph, no framework."""
    assert Struct(mean=2.5) == MeanTask().run(values=[1, 2])


def test_settings_come_as_config_or_mapping() -> None:
    """A task takes a config, or changes to its defaults; a config of another task is refused."""
    assert MeanTask({"shift.name": "mirror"}).run(values=[1.0]).mean == -1
    assert MeanTask(MeanConfig(floor=5)).config.floor == 5
    with pytest.raises(PipelineError, match="takes a MeanConfig, not a ShiftConfig"):
        MeanTask(ShiftConfig())


def test_labels_follow_from_class_names() -> None:
    """A task without a label of its own is called by its class."""
    assert (MeanTask.default_label, NoOpTask.default_label) == ("mean", "noop")
    assert type("WideFieldTask", (Task,), {}).default_label == "wide_field"


def test_subtasks_mirror_the_config_and_the_log() -> None:
    """A subtask has its part of the config, and a name and a log below its parent's."""
    task = MeanTask({"shift.shift.by": 3}, name="m")

    assert (task.shift.config.by, task.again.config.by) == (3.0, 0.0)
    assert (task.shift.name, task.shift.log.name) == ("m.shift", "m.shift")


def test_a_subtask_that_the_config_does_not_have_is_refused() -> None:
    """make_subtask names a field that is not there."""
    with pytest.raises(PipelineError, match="no subtask 'warp'"):
        MeanTask().make_subtask("warp")


def test_run_changes_nothing_in_the_task() -> None:
    """The check that authors use passes a task that is as it should be."""
    assert assert_stateless(MeanTask(), values=[1.0, 2.0]).mean == 2.5


def test_a_task_that_keeps_state_is_found_out() -> None:
    """The check names the attribute that run changed, also in a subtask."""

    class Counting(MirrorTask):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.seen = [0]

        def run(self, values: list[float]) -> list[float]:
            self.seen.append(1)
            return values

    with pytest.raises(AssertionError, match="changed seen"):
        assert_stateless(Counting(), values=[1.0])
    task = MeanTask()
    task.shift = Counting()
    with pytest.raises(AssertionError, match=r"changed shift\.seen"):
        assert_stateless(task, values=[1.0])


def test_run_quantum_reads_runs_and_writes() -> None:
    """By default a quantum's inputs are read, given to run, and its outputs stored."""
    task = MeanTask()
    quantum, repo = mean_quantum(task)
    task.run_quantum(quantum, repo)

    assert repo.objects[quantum.outputs["mean"][0]] == 1.5
    assert quantum.outputs["spread"][0] not in repo.objects
    assert repo.read == quantum.inputs["values"]


def test_metadata_is_handed_over_with_that_of_subtasks_and_cleared() -> None:
    """What was noted belongs to one quantum; the data ID reached run."""
    task = MeanTask()
    task.run_quantum(*mean_quantum(task))

    assert task.take_metadata() == {"station": "A", "shift": {"shifted": 2}, "again": {"shifted": 2}}
    assert task.take_metadata() == {}


def test_fewer_inputs_than_the_minimum_are_no_work() -> None:
    """A quantum whose inputs are mostly not there has no work, and nothing is read."""
    task = MeanTask()
    quantum, repo = mean_quantum(task, days=1)
    with pytest.raises(NoWorkFound, match="1 of at least 2 'values' are there"):
        task.run_quantum(quantum, repo)

    assert repo.read == []


def test_an_optional_input_is_none_when_absent_and_read_when_there() -> None:
    """minimum=0 makes an input optional."""
    task = MeanTask()
    quantum, repo = mean_quantum(task, scale=[{}])
    repo.objects[quantum.inputs["scale"][0]] = 10
    task.run_quantum(quantum, repo)

    assert repo.objects[quantum.outputs["mean"][0]] == 15


def test_a_missing_input_file_is_an_error_and_not_no_work() -> None:
    """An input that should be there and is not is never passed over in silence."""
    task = MeanTask()
    quantum, repo = mean_quantum(task)
    repo.objects.clear()

    with pytest.raises(NotFoundError):
        task.run_quantum(quantum, repo)


def test_deferred_inputs_are_read_when_asked_for() -> None:
    """A deferred input comes as a handle that knows its data ID and reads on get."""

    class Lazy(Connections, dimensions=("station",)):
        values = Input("values", "Json", dimensions=("station", "day"), multiple=True, deferred=True)
        mean = Output("mean", "Json")

    class LazyTask(Task):
        ConnectionsClass = Lazy

        def run(self, values: list[Any]) -> Struct:
            return Struct(mean=next(v.get() for v in values if v.data_id["day"] == 1))

    task = LazyTask()
    quantum, repo = mean_quantum(task, days=3)
    task.run_quantum(quantum, repo)

    assert repo.objects[quantum.outputs["mean"][0]] == 1.0
    assert len(repo.read) == 1


def test_adjust_quantum_may_leave_inputs_out() -> None:
    """The hook sees refs before anything is read, and what it drops is not read."""

    class Choosy(MeanTask):
        def adjust_quantum(self, inputs: Any, outputs: Any, data_id: Any) -> Any:
            return inputs | {"values": [r for r in inputs["values"] if r.data_id["day"] > 0]}, outputs

    task = Choosy()
    quantum, repo = mean_quantum(task, days=3)
    task.run_quantum(quantum, repo)

    assert len(repo.read) == 2


class ListConnections(Connections, dimensions=("station",)):
    parts = Output("parts", "Json", dimensions=("station", "day"), multiple=True)


class ListTask(Task):
    ConnectionsClass = ListConnections
    result: Any = None

    def run(self) -> Any:
        """Give what the test set."""
        return self.result


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Struct(part=[1, 2]), "unknown-output"),
        (Struct(), "missing-output"),
        (Struct(parts=None), "missing-output"),
        (Struct(parts=[1]), "wrong-output-count"),
        ([1, 2], "wrong-result"),
        (None, "wrong-result"),
    ],
)
def test_what_run_returns_is_compared_with_the_connections(result: Any, code: str) -> None:
    """A wrong result is an error that names the connection, and nothing is written."""
    task, repo = ListTask(), MemoryRepo()
    task.result = result
    quantum = make_quantum(task, {"station": "A"}, {"parts": [{"day": 1}, {"day": 2}]})
    with pytest.raises(PipelineError, match=r"part|Struct") as caught:
        task.run_quantum(quantum, repo)

    assert caught.value.code == code
    assert repo.objects == {}


def test_multiple_outputs_are_written_in_order_and_a_mapping_will_do() -> None:
    """Run may return a plain mapping; a list goes to the planned datasets in their order."""
    task, repo = ListTask(), MemoryRepo()
    task.result = {"parts": ["a", "b"]}
    quantum = make_quantum(task, {"station": "A"}, {"parts": [{"day": 1}, {"day": 2}]})
    task.run_quantum(quantum, repo)

    assert [repo.objects[r] for r in quantum.outputs["parts"]] == ["a", "b"]


def test_init_inputs_and_outputs_are_known_at_construction() -> None:
    """Schemas pass from task to task when they are constructed, before any data."""
    assert MeanTask(init_inputs={"unit": "m"}).checked_init_outputs() == {"columns": ["mean", "m"]}
    with pytest.raises(PipelineError, match="no init input 'units'"):
        MeanTask(init_inputs={"units": "m"})


def test_init_outputs_are_compared_with_the_connections() -> None:
    """A missing or unknown init output is named."""

    class Forgetful(MeanTask):
        def init_outputs(self) -> dict[str, Any]:
            return {}

    with pytest.raises(PipelineError, match="lacks 'columns'"):
        Forgetful().checked_init_outputs()


def test_a_task_without_run_says_so() -> None:
    """Calling a task that has no run is an error of ours."""
    with pytest.raises(PipelineError, match="has no run"):
        Task().run()


def test_struct_reads_as_attributes_and_offers_the_nearest() -> None:
    """A struct compares, prints, gives a dict, and names what it has when asked for something else."""
    found = Struct(image=1, count=2)

    assert found.as_dict() == {"image": 1, "count": 2}
    assert repr(found) == "Struct(image=1, count=2)"
    assert "image" in found
    with pytest.raises(AttributeError, match="Did you mean 'image'"):
        found.imag  # noqa: B018


def test_noop_writes_what_is_planned_and_reads_nothing() -> None:
    """The built-in task for benchmarks makes empty outputs whatever its inputs are."""
    task = NoOpTask(
        {
            "dimensions": ["station"],
            "inputs": {"a": {"dataset_type": "a", "storage_class": "Json"}},
            "outputs": {"b": {"dataset_type": "b", "storage_class": "Json"}},
        }
    )
    quantum, repo = make_quantum(task, {"station": "A"}), MemoryRepo()
    task.run_quantum(quantum, repo)

    assert {quantum.outputs["b"][0]: {}} == repo.objects
