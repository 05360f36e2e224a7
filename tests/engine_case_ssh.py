"""An engine on a far machine for the contract suite: `local` there, by a real sshd."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from stage.batch.engines.base import DrivenEngine, EngineSettings
from stage.batch.engines.ssh.translating import FarRun
from stage.batch.layout import SubmitDir
from tests.engine_cases import EngineCase, EngineLab
from tests.ssh_world import need_sshd, running_sshd

__all__ = ["CASE"]

_RUN = "u_me_run"


@contextlib.contextmanager
def _service(root: Path) -> Iterator[EngineLab]:
    need_sshd()
    with running_sshd(root) as machine:
        yield EngineLab(
            "local",
            EngineSettings("far", {"cores": 12, "memory": 4000, "ssh": machine.section()}, _RUN),
            walltime=0.01,
            lose=_lose,
            runs_in=partial(_mirror, str(machine.base)),
        )


def _lose(engine: DrivenEngine, number: int) -> None:
    """Kill the agent, and with it what the engine there runs."""
    del number
    for beat in Path(engine.settings.options["ssh"]["baseDir"]).glob("runs/*/agent/agent.beat"):
        os.kill(json.loads(beat.read_text())["pid"], signal.SIGKILL)


def _mirror(base: str, where: SubmitDir) -> Path:
    run = FarRun.of(base, _RUN, where.root)
    return Path(run.there(run.submit))


CASE = EngineCase("ssh", _service)
