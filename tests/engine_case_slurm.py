"""Slurm for the contract suite of engines: a scheduler of its own, whose jobs the kernel holds to their memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from stage.batch.engines.base import EngineSettings
from tests.clusters import need_slurm, running_slurm
from tests.engine_cases import EngineCase, EngineLab, is_long

__all__ = ["CASE"]


@contextlib.contextmanager
def _service(root: Path) -> Iterator[EngineLab]:
    need_slurm(memory=True)
    with running_slurm(memory="kernel", cpus=32) as cluster, patch.dict(os.environ, cluster.environment):
        yield EngineLab(
            "slurm",
            EngineSettings("here", {"maxPollInterval": 0.5}, "u_me_run"),
            cluster.environment,
            walltime=1 if is_long() else None,
            patience_s=120,
        )


CASE = EngineCase("slurm", _service)
