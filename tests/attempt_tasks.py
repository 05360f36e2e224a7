"""A task with two outputs, each attempt at which gives something else, and that does odd things where it is told to."""

from __future__ import annotations

import os
import signal
from typing import Any

from stage.pipeline.config import Config
from stage.pipeline.connections import Connections, Input, Output
from stage.pipeline.struct import Struct
from stage.pipeline.task import Task
from tests.execution_tasks import SAMPLE


class TwinConnections(Connections, dimensions=SAMPLE):
    """One number to two."""

    value = Input(dataset_type="number", storage_class="Json", dimensions=SAMPLE)
    left = Output(dataset_type="left", storage_class="Json", dimensions=SAMPLE)
    right = Output(dataset_type="right", storage_class="Json", dimensions=SAMPLE)


class TwinConfig(Config):
    """Nothing to be set."""


class TwinTask(Task):
    """Gives each output the same random text."""

    ConfigClass = TwinConfig
    ConnectionsClass = TwinConnections
    default_label = "twin"
    config: TwinConfig

    def run(self, value: dict[str, Any], data_id: dict[str, Any]) -> Struct:
        """Make two outputs that belong together.

        Parameters
        ----------
        value : dict
            With ``x``.
        data_id : dict
            Which sample.

        Returns
        -------
        Struct
            ``left`` and ``right``.
        """
        if os.environ.get("TWIN_STOPS") == str(data_id["sample"]):
            os.kill(os.getpid(), signal.SIGSTOP)
        text = os.urandom(8).hex()
        return Struct(left={"of": text, "x": value["x"]}, right={"of": text, "x": -value["x"]})
