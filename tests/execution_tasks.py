"""Tasks for the tests of execution, which do what their configs say; light, as workers import them."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stage.pipeline.config import Config, Field
from stage.pipeline.connections import Connections, InitInput, InitOutput, Input, Output
from stage.pipeline.struct import NoWorkFound, Struct
from stage.pipeline.task import Task

SAMPLE = ("batch", "sample")


class StepConnections(
    Connections, dimensions=SAMPLE, default_templates={"before": "number", "after": "doubled"}
):
    """One number to another."""

    value = Input(dataset_type="{before}", storage_class="Json", dimensions=SAMPLE)
    result = Output(dataset_type="{after}", storage_class="Json", dimensions=SAMPLE)


class StepConfig(Config):
    """How a number becomes another, and what goes wrong with which sample."""

    factor: float = Field(2.0, description="What a value is multiplied with.")
    behave: dict[str, str] = Field(default_factory=dict, description="Sample to what its quantum does.")
    sleep: float = Field(0.0, description="Seconds that each quantum takes.")
    is_random: bool = Field(default=False, description="Whether each attempt gives something else.")
    padding: int = Field(0, description="Bytes that the output has besides.")


class StepTask(Task):
    """Multiply, unless told to misbehave."""

    ConfigClass = StepConfig
    ConnectionsClass = StepConnections
    default_label = "step"
    config: StepConfig

    def run(self, value: dict[str, Any], data_id: dict[str, Any]) -> Struct:
        """Multiply.

        Parameters
        ----------
        value : dict
            With ``x``.
        data_id : dict
            Which sample.

        Returns
        -------
        Struct
            ``result``: with ``x``.
        """
        self.log.info("sample %d has x = %s", data_id["sample"], value["x"])
        self.metadata["x"] = value["x"]
        if self.config.sleep:
            time.sleep(self.config.sleep)
        misbehave(self.config.behave.get(str(data_id["sample"]), ""))
        # Not the same twice, as a task that depends on the time of day.
        seed = {"seed": os.urandom(8).hex()} if self.config.is_random else {}
        padding = {"padding": "y" * self.config.padding} if self.config.padding else {}
        return Struct(result={"x": value["x"] * self.config.factor, **seed, **padding})


def _interrupt(argument: str) -> None:
    os.kill(int(argument), signal.SIGINT)
    time.sleep(30)


def _wait_for(argument: str) -> None:
    if not Path(argument).exists():
        raise RuntimeError(f"waiting for {argument}")


def _flaky(argument: str) -> None:
    """Fail as often as was asked for (``2,/path``), counting in a file that outlives the process."""
    times, _, path = argument.partition(",")
    with Path(path).open("a+") as counter:
        counter.write("x")
        tried = counter.tell()
    if tried <= int(times):
        raise ValueError(f"attempt {tried} fails")


def _fail(argument: str) -> None:
    raise ValueError(argument or "told to fail")


def _no_work(_argument: str) -> None:
    raise NoWorkFound("nothing to multiply")


def _sys_exit(_argument: str) -> None:
    raise SystemExit(7)


def _keyboard(_argument: str) -> None:
    raise KeyboardInterrupt


def _die(_argument: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _second_time(path: str, what: Callable[[str], Any]) -> None:
    """Do nothing the first time, by a file that outlives the process."""
    if Path(path).exists():
        what("")
    Path(path).touch()


def _die_first(path: str) -> None:
    """Die the first time, as the system ends what takes too much memory."""
    if not Path(path).exists():
        Path(path).touch()
        _die("")


def _slow_first(path: str) -> None:
    """Take long the first time."""
    if not Path(path).exists():
        Path(path).touch()
        time.sleep(30)


def _hungry(argument: str) -> None:
    """Take memory, and fail as a task does that hides why (``bytes``)."""
    try:
        bytearray(int(argument))
    except MemoryError:
        raise RuntimeError("could not be done") from None


def _tell(path: str) -> None:
    """Add a line to a file: number of threads, niceness, and what a wrapper has set."""
    import numpy as np

    square = np.ones((300, 300))
    square @ square
    with Path(path).open("a") as file:
        file.write(
            f"{len(list(Path('/proc/self/task').iterdir()))} {os.nice(0)} {os.environ.get('WRAPPED')}\n"
        )


def _scratch(_argument: str) -> None:
    """Leave a temporary file, as what is killed in the middle does."""
    tempfile.mkstemp(prefix="left-by-a-task-")


BEHAVIOURS: dict[str, Callable[[str], Any]] = {
    "": lambda _: None,
    "raise": _fail,
    "flaky": _flaky,
    "die-second": lambda path: _second_time(path, _die),
    "fail-second": lambda path: _second_time(path, _fail),
    "no-work": _no_work,
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "segv": lambda _: os.kill(os.getpid(), signal.SIGSEGV),
    "exit": lambda _: os._exit(3),
    "sys-exit": _sys_exit,
    "keyboard": _keyboard,
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "print": lambda _: print("printed text"),
    "flood": lambda n: [print("x" * 60) for _ in range(int(n))],
    "fd": lambda _: os.write(1, b"from a library\n"),
    "needs": _wait_for,
    "slow-first": _slow_first,
    "interrupt": _interrupt,
    "memory": lambda n: bytearray(int(n)),
    "hungry": _hungry,
    "die-first": _die_first,
    "tell": _tell,
    "scratch": _scratch,
}


def misbehave(how: str) -> None:
    """Do what the name of a behaviour says."""
    what, _, argument = how.partition(":")
    BEHAVIOURS[what](argument)


class TotalConnections(
    Connections, dimensions=("batch",), default_templates={"before": "doubled", "after": "total"}
):
    """Numbers of a batch to their sum."""

    values = Input(dataset_type="{before}", storage_class="Json", dimensions=SAMPLE, multiple=True, minimum=2)
    unit = InitInput(dataset_type="unit", storage_class="Json")
    total = Output(dataset_type="{after}", storage_class="Json", dimensions=("batch",))


class TotalTask(Task):
    """Add up what there is; at least two."""

    ConnectionsClass = TotalConnections
    default_label = "total"

    def run(self, values: list[dict[str, Any]]) -> Struct:
        """Add.

        Parameters
        ----------
        values : list of dict
            Each with ``x``.

        Returns
        -------
        Struct
            ``total``.
        """
        unit = self.init_inputs["unit"]["name"]
        return Struct(total={"x": sum(v["x"] for v in values), "n": len(values), "unit": unit})


class UnitConnections(
    StepConnections, dimensions=SAMPLE, default_templates={"before": "doubled", "after": "shifted"}
):
    """A step that also says what the unit is."""

    unit = InitOutput(dataset_type="unit", storage_class="Json")


class UnitConfig(StepConfig):
    """The settings of a step, and the unit."""

    unit: str = Field("metre", description="What a number counts.")


class UnitTask(StepTask):
    """A step with an init output."""

    ConfigClass = UnitConfig
    ConnectionsClass = UnitConnections
    default_label = "unit"
    config: UnitConfig

    def init_outputs(self) -> dict[str, Any]:
        """Say what the unit is.

        Returns
        -------
        dict
            ``unit``.
        """
        return {"unit": {"name": self.config.unit}}


class TwinConnections(StepConnections, dimensions=SAMPLE):
    """A step with a second output."""

    twin = Output(dataset_type="twin", storage_class="Json", dimensions=SAMPLE)


class TwinTask(StepTask):
    """A step that makes two things, of which others may need one only."""

    ConnectionsClass = TwinConnections
    default_label = "twin"

    def run(self, value: dict[str, Any], data_id: dict[str, Any]) -> Struct:
        """Multiply, and make something else.

        Parameters
        ----------
        value : dict
            With ``x``.
        data_id : dict
            Which sample.

        Returns
        -------
        Struct
            ``result`` and ``twin``: with ``x``.
        """
        made = super().run(value, data_id)
        return Struct(result=made.result, twin={**made.result, "of": "twin"})
