"""What the contract suite of engines needs to know of each: how to get its service, and how it is made.

An engine of a package adds a module ``tests/engine_case_<name>.py`` with a ``CASE``; the suite finds it by that name.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from stage.batch.engines.base import DrivenEngine, Engine, EngineSettings
from stage.batch.engines.finding import find_engine
from stage.batch.layout import SubmitDir

__all__ = ["ENGINES", "EngineCase", "EngineLab", "is_long"]


def _own_root(where: SubmitDir) -> Path:
    return where.root


@dataclass(frozen=True)
class EngineLab:
    """An engine whose service is there; plain values, so that a process of its own can make it too.

    ``walltime`` is a limit in minutes that a short test can wait for, None where the shortest is too long.
    ``lose`` takes away the machine or pilot that runs a job, given the open engine and the job's number; None where
    that cannot be done here. ``memory_mb`` is what a job may have that takes ten times as much; None where the service
    holds nobody to it. ``patience_s`` is the longest time for a handful of jobs. ``runs_in`` tells in which directory
    jobs of a submission run, if that is another than the submission's.
    """

    name: str
    settings: EngineSettings
    environment: Mapping[str, str] = field(default_factory=dict)
    walltime: float | None = None
    memory_mb: int | None = 40
    lose: Callable[[DrivenEngine, int], None] | None = None
    patience_s: float = 60.0
    runs_in: Callable[[SubmitDir], Path] = _own_root

    def make(self) -> DrivenEngine:
        """Return a new engine, not opened."""
        found: Engine = find_engine(self.name, self.settings)
        assert isinstance(found, DrivenEngine)
        return found


@dataclass(frozen=True)
class EngineCase:
    """An engine for the suite: ``service`` starts what it needs, once for all tests, or skips by name."""

    name: str
    service: Callable[[Path], AbstractContextManager[EngineLab]]


def is_long() -> bool:
    """Tell whether the long forms of tests are wanted."""
    return os.environ.get("STAGE_FAULTS") == "long"


@contextlib.contextmanager
def _this_machine(root: Path) -> Iterator[EngineLab]:
    yield EngineLab("local", EngineSettings("here", {"cores": 12, "memory": 4000}), walltime=0.01)


def _others() -> Iterator[EngineCase]:
    for name in ("parsl", "sites", "slurm", "ssh"):
        module = f"tests.engine_case_{name}"
        if importlib.util.find_spec(module) is not None:
            yield importlib.import_module(module).CASE


ENGINES = [EngineCase("local", _this_machine), *_others()]
