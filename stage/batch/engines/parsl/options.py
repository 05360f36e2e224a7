"""What a site says of its pilots: names and defaults of the settings, read from the site's section of the YAML."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from registry.errors import UsageError
from stage.execution.memory import machine_memory_mb

__all__ = ["PilotOptions", "read_options"]

_LOCAL = "local"


@dataclass(frozen=True, slots=True)
class PilotOptions:
    """A site's pilots. The names in the YAML are these, as ``coresPerNode``.

    Parameters
    ----------
    provider : str, optional
        Who starts pilots: a short name (local, slurm, htcondor, pbs, kubernetes, …) or ``module:Class``.
    provider_options : mapping, optional
        The provider's own options, with its own names.
    queue, accounting_group : str, optional
        Of pilots: the queue or partition that they wait in, and whom they are charged to.
    nodes_per_block : int, optional
        Nodes of one pilot.
    cores_per_node, memory_per_node : int, optional
        What a node has: cores, megabytes. Of this machine where the provider is local.
    cores_per_worker, memory_per_worker : int, optional
        What one job has, if it does not ask for more: 1 core, and its share of the node's memory.
    workers_per_node : int, optional
        Jobs at once on a node; by default as many as fit.
    init_blocks, min_blocks, max_blocks : int, optional
        Pilots at the start, at least and at most.
    parallelism : float, optional
        How many job places to ask for, for each job that waits: 1 as many as there are jobs, 0 one pilot.
    walltime : str, optional
        How long a pilot lives: ``HH:MM:SS``.
    drain : int, optional
        Seconds after the start of a pilot from which it takes no more jobs.
    worker_init : str, optional
        Shell commands before a pilot starts.
    python : str, optional
        The interpreter of pilots; by default the one of this process, which has to be there on the nodes too.
    launcher : str, optional
        How a pilot reaches its nodes: simple, single, srun, mpiexec, mpirun, aprun, jsrun; or ``module:Class``.
    address : str, optional
        The address of this machine for pilots; by default all that it has are tried.
    worker_port_range : tuple of int, optional
        Ports to which pilots connect.
    encrypted : bool, optional
        Whether only pilots of this run can connect.
    heartbeat_period, heartbeat_threshold : int, optional
        Seconds between signs of life, and without any after which the other side is taken for dead.
    strategy : str, optional
        simple, htex_auto_scale or none; Parsl's.
    strategy_period, max_idle_time : float, optional
        Seconds between looks at what pilots are needed, and after which one without jobs is given back.
    max_queued : int, optional
        Jobs that Parsl has at once.
    isolation : str, optional
        fork: our own jobs are forked from a worker that has loaded what they need. process: each is a new process.
    debug : bool, optional
        Whether workers log in detail.
    """

    provider: str = _LOCAL
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    accounting_group: str | None = None
    nodes_per_block: int = 1
    cores_per_node: int | None = None
    memory_per_node: int | None = None
    cores_per_worker: int = 1
    memory_per_worker: int | None = None
    workers_per_node: int | None = None
    init_blocks: int = 1
    min_blocks: int = 0
    max_blocks: int = 1
    parallelism: float = 1.0
    walltime: str | None = None
    drain: int | None = None
    worker_init: str = ""
    python: str = ""
    launcher: str | None = None
    address: str | None = None
    worker_port_range: tuple[int, int] = (54000, 55000)
    encrypted: bool = True
    heartbeat_period: int | None = None
    heartbeat_threshold: int | None = None
    strategy: str = "simple"
    strategy_period: float | None = None
    max_idle_time: float = 120.0
    max_queued: int = 2000
    isolation: str = "fork"
    debug: bool = False

    @property
    def is_local(self) -> bool:
        """Whether pilots are processes of this machine."""
        return self.provider == _LOCAL

    @property
    def node_cores(self) -> int | None:
        """Cores of a node, as far as known."""
        return self.cores_per_node or (len(os.sched_getaffinity(0)) if self.is_local else None)

    @property
    def node_memory_mb(self) -> int | None:
        """Memory of a node, as far as known."""
        return self.memory_per_node or (machine_memory_mb() if self.is_local else None)

    @property
    def worker_memory_mb(self) -> int | None:
        """What a job may have that does not ask for more, as far as known."""
        if self.memory_per_worker is not None or self.node_memory_mb is None:
            return self.memory_per_worker
        workers = self.workers_per_node or max(1, (self.node_cores or 1) // self.cores_per_worker)
        return max(1, self.node_memory_mb // workers)

    @property
    def heartbeats(self) -> tuple[int, int]:
        """Period and threshold of signs of life."""
        period, threshold = (1, 5) if self.is_local else (5, 60)
        return self.heartbeat_period or period, self.heartbeat_threshold or threshold


_NAMES = {
    f.name: f.name.split("_")[0] + "".join(w.title() for w in f.name.split("_")[1:])
    for f in fields(PilotOptions)
}
_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "Mapping[str, Any]": (Mapping,),
    "tuple[int, int]": (list, tuple),
}
_AT_LEAST_ONE = ("nodes_per_block", "cores_per_node", "memory_per_node", "cores_per_worker", "memory_per_worker", "workers_per_node", "max_blocks", "heartbeat_period", "heartbeat_threshold", "max_queued")  # fmt: skip
_CHOICES = {"isolation": ("fork", "process"), "strategy": ("simple", "htex_auto_scale", "none")}
_WORDS_ALIKE = 0.85


def read_options(section: Mapping[str, Any], site: str) -> PilotOptions:
    """Read a site's section. What has other names in it is not ours, and may be any setting of jobs.

    Parameters
    ----------
    section : mapping
        ``site.<name>``, resolved.
    site : str
        Its name.

    Returns
    -------
    PilotOptions
        With defaults where it says nothing.

    Raises
    ------
    UsageError
        If a value is of the wrong kind, or a name is nearly one of ours.
    """
    where = f"site.{site}"
    by_name = {yaml: name for name, yaml in _NAMES.items()}
    for key in section:
        near = () if key in by_name else difflib.get_close_matches(key, by_name, n=1, cutoff=_WORDS_ALIKE)
        if near:
            raise UsageError(
                f"{where} has '{key}', which is no setting of pilots",
                code="unknown-setting",
                hint=f"Did you mean '{near[0]}'?",
            )
    values: dict[str, Any] = {}
    for f in fields(PilotOptions):
        yaml = _NAMES[f.name]
        if section.get(yaml) is not None:
            values[f.name] = _checked(f.name, str(f.type), section[yaml], f"{where}.{yaml}")
    return PilotOptions(**values)


def _checked(name: str, kind: str, value: Any, where: str) -> Any:
    if name == "walltime":
        return _walltime(value, where)
    allowed: tuple[type, ...] = _KINDS[kind.removesuffix(" | None")]
    is_kind = isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))
    if not is_kind:
        raise UsageError(
            f"{where} is {value!r}, and has to be {' or '.join(t.__name__ for t in allowed)}",
            code="bad-setting",
        )
    if name in _CHOICES and value not in _CHOICES[name]:
        raise UsageError(f"{where} is '{value}'; it can be {', '.join(_CHOICES[name])}", code="bad-setting")
    if name in _AT_LEAST_ONE and value < 1:
        raise UsageError(f"{where} is {value}, and has to be 1 or more", code="bad-setting")
    if name == "worker_port_range":
        if len(value) != 2 or not all(isinstance(v, int) for v in value):
            raise UsageError(f"{where} is {value!r}; it is two ports, as [54000, 55000]", code="bad-setting")
        return tuple(value)
    return value


def _walltime(value: Any, where: str) -> str:
    """Return ``HH:MM:SS``. YAML reads ``10:00:00`` as a number of seconds, and ``04:00:00`` as text."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return f"{value // 3600:02d}:{value // 60 % 60:02d}:{value % 60:02d}"
    parts = str(value).split(":")
    if len(parts) == 3 and all(p.isdigit() for p in parts):
        return str(value)
    raise UsageError(
        f"{where} is {value!r}, which is no time",
        code="bad-setting",
        hint="As 04:00:00; a number is seconds.",
    )
