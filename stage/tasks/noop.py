"""`NoOpTask`: reads nothing of what it is given and writes next to nothing; for benchmarks and trials."""

from __future__ import annotations

import time
from typing import Any

from stage.pipeline.config import Config, Field
from stage.pipeline.connections import Connections
from stage.pipeline.struct import Struct
from stage.pipeline.task import QuantumLike, RepoLike, Task
from stage.tasks.declared import InputSpec, OutputSpec, declare

__all__ = ["NoOpConfig", "NoOpTask"]


class NoOpConfig(Config):
    """Which datasets there are, and how long nothing takes."""

    dimensions: tuple[str, ...] = Field((), description="What identifies a quantum.")
    inputs: dict[str, InputSpec] = Field(default_factory=dict, description="Inputs, by name.")
    outputs: dict[str, OutputSpec] = Field(default_factory=dict, description="Outputs, by name.")
    seconds: float = Field(0.0, ge=0, description="How long each quantum sleeps.")


class NoOpTask(Task):
    """Does nothing. Every output is an empty mapping, so its storage class should be one that takes it (Json)."""

    ConfigClass = NoOpConfig
    default_label = "noop"
    config: NoOpConfig

    @classmethod
    def connections_for(cls, config: NoOpConfig, *, owner: str = "this task") -> Connections:
        """Return the connections that the config declares.

        Parameters
        ----------
        config : NoOpConfig
            Its settings.
        owner : str
            Who it is, for errors.

        Returns
        -------
        Connections
            With names settled.
        """
        return declare(config.connections, config.dimensions, config.inputs, config.outputs, owner)

    def run(self, **inputs: Any) -> Struct:
        """Sleep, if so configured.

        Parameters
        ----------
        **inputs
            Ignored.

        Returns
        -------
        Struct
            An empty mapping an output, or a list of one where it is multiple.
        """
        del inputs
        if self.config.seconds:
            time.sleep(self.config.seconds)
        outputs = self.connections.by_role("output")
        return Struct(**{c.name: [{}] if c.multiple else {} for c in outputs})

    def run_quantum(self, quantum: QuantumLike, repo: RepoLike) -> None:
        """Write the outputs without reading the inputs.

        Parameters
        ----------
        quantum : Quantum
            Refs by connection.
        repo : LimitedRepo
            Where they go.
        """
        self.run()
        for c in self.connections.by_role("output"):
            for ref in quantum.outputs.get(c.name, ()):
                repo.put({}, ref)
