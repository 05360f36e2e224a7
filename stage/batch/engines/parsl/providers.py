"""Providers: what starts pilots, by a short name or any class, with options that are checked against its signature."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from registry.errors import UsageError, nearest
from stage.batch.engines.parsl.options import PilotOptions
from stage.execution.threads import THREAD_VARIABLES

__all__ = ["LAUNCHERS", "PROVIDERS", "make_provider"]

PROVIDERS = {
    "local": "LocalProvider",
    "slurm": "SlurmProvider",
    "htcondor": "CondorProvider",
    "condor": "CondorProvider",
    "pbs": "PBSProProvider",
    "torque": "TorqueProvider",
    "lsf": "LSFProvider",
    "gridengine": "GridEngineProvider",
    "kubernetes": "KubernetesProvider",
}
"""Short names, and the classes of Parsl's that they stand for."""

LAUNCHERS = {
    "simple": "SimpleLauncher",
    "single": "SingleNodeLauncher",
    "srun": "SrunLauncher",
    "mpiexec": "MpiExecLauncher",
    "mpirun": "MpiRunLauncher",
    "aprun": "AprunLauncher",
    "jsrun": "JsrunLauncher",
}

_GB = 1024


def make_provider(
    options: PilotOptions, where: str, environment: Mapping[str, str], *, init_blocks: int
) -> Any:
    """Make what starts the pilots of one kind of workers.

    Parameters
    ----------
    options : PilotOptions
        The site's.
    where : str
        What the site's section is called, for messages.
    environment : mapping of str to str
        Variables that pilots, and so all jobs, have from their start.
    init_blocks : int
        Pilots at the start.

    Returns
    -------
    parsl.providers.base.ExecutionProvider
        A new one.

    Raises
    ------
    UsageError
        If there is no such provider, it has no such option, or refuses a value.
    """
    cls = _find(options.provider, "parsl.providers", PROVIDERS, f"{where}.provider")
    known = [p for p in inspect.signature(cls.__init__).parameters if p != "self"]
    given = dict(options.provider_options)
    for name in given:
        if name not in known:
            raise UsageError(
                f"{where}.providerOptions has '{name}', which {cls.__name__} does not know",
                code="unknown-setting",
                hint=f"{nearest(name, known)} It has: {', '.join(known)}.",
            )
    values = _common(options, known, cls.__name__, where, init_blocks)
    if "worker_init" in known:
        values["worker_init"] = _init_commands(options, environment, str(given.pop("worker_init", "")))
    for name in sorted(set(given) & set(values)):
        raise UsageError(
            f"{where}.providerOptions has '{name}', which the site's section itself says too",
            code="bad-setting",
            hint="Say it once.",
        )
    try:
        return cls(**values, **given)
    except Exception as error:
        raise UsageError(
            f"{where}: {cls.__name__} refuses its options: {str(error).splitlines()[0] if str(error) else error!r}",
            code="bad-setting",
            hint=f"It has: {', '.join(known)}.",
        ) from error


def _common(
    options: PilotOptions, known: list[str], name: str, where: str, init_blocks: int
) -> dict[str, Any]:
    """Return what all sites say in one way, by the names that this provider has for it."""
    values: dict[str, Any] = {
        "nodes_per_block": options.nodes_per_block,
        "init_blocks": init_blocks,
        "min_blocks": options.min_blocks,
        "max_blocks": options.max_blocks,
        "parallelism": options.parallelism,
    }
    values = {k: v for k, v in values.items() if k in known}
    for setting, value, aliases in (
        ("walltime", options.walltime, ("walltime",)),
        ("queue", options.queue, ("partition", "queue")),
        ("accountingGroup", options.accounting_group, ("account", "project")),
    ):
        alias = next((a for a in aliases if a in known), None)
        if value is not None and alias is None:
            raise UsageError(
                f"{where}.{setting} is given, and {name} knows none", code="bad-setting", hint="Leave it out."
            )
        if value is not None and alias is not None:
            values[alias] = value
    for alias in ("cores_per_node", "cores_per_slot", "cpus_per_node"):
        if alias in known and options.cores_per_node and alias not in options.provider_options:
            values[alias] = options.cores_per_node
    for alias in ("mem_per_node", "mem_per_slot"):
        if alias in known and options.memory_per_node and alias not in options.provider_options:
            values[alias] = max(1, options.memory_per_node // _GB)
    if "launcher" in known:
        values["launcher"] = _make_launcher(options, where)
    return values


def _make_launcher(options: PilotOptions, where: str) -> Any:
    name = options.launcher
    if name is None:
        many = "srun" if options.provider == "slurm" else "mpiexec"
        name = "simple" if options.nodes_per_block == 1 else many
    return _find(name, "parsl.launchers", LAUNCHERS, f"{where}.launcher")()


def _init_commands(options: PilotOptions, environment: Mapping[str, str], given: str) -> str:
    """Return the shell commands before a pilot: variables, limits of threads where nobody has said other, the site's own."""
    lines = [] if options.python else [f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"']
    lines += [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    lines += [f'export {name}="${{{name}:-{options.cores_per_worker}}}"' for name in THREAD_VARIABLES]
    return "\n".join([*lines, *(text for text in (options.worker_init, given) if text)])


def _find(name: str, module: str, short: Mapping[str, str], where: str) -> Any:
    """Return a class by its short name, or as ``module:Class``."""
    if name not in short and ":" not in name:
        raise UsageError(
            f"{where} is '{name}', which there is none of",
            code="unknown-setting",
            hint=f"{nearest(name, short)} Any other is given as module:Class.",
        )
    place, _, attribute = name.partition(":") if ":" in name else (module, "", short[name])
    try:
        return getattr(import_module(place), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{where}: {name} cannot be loaded: {error}", code="unknown-setting") from error
