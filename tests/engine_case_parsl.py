"""Parsl for the contract suite of engines: a pilot of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from stage.batch.engines.base import EngineSettings
from tests.engine_cases import EngineCase, EngineLab
from tests.parsl_world import kill_worker, local_site, need_parsl

__all__ = ["CASE"]


@contextlib.contextmanager
def _service(root: Path) -> Iterator[EngineLab]:
    need_parsl()
    settings = EngineSettings("here", local_site(2))
    yield EngineLab("parsl", settings, walltime=0.02, lose=kill_worker, patience_s=90)


CASE = EngineCase("parsl", _service)
