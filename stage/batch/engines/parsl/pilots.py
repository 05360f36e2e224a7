"""`Pilots`: Parsl's executors of one run, one for each size of job place, made when the first job needs that size."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from registry.errors import StorageError, UsageError
from stage.batch.engines.parsl.loading import DATABASES, loading_parsl
from stage.batch.engines.parsl.options import PilotOptions
from stage.batch.engines.parsl.providers import make_provider

__all__ = ["Pilots", "PilotsFailedError", "Size", "import_parsl"]

_log = logging.getLogger(__name__)

_TRIES = 3
_TAIL = 300
_CALLED = "stage.batch.engines.parsl.work.run_task"


class PilotsFailedError(Exception):
    """No pilot has come up; Parsl hands this on to the jobs that wait for one."""


class Size(NamedTuple):
    """What a place for a job has.

    Parameters
    ----------
    cores : int
        Cores.
    memory_mb : int
        Megabytes; 0 where nobody knows what nodes have.
    """

    cores: int
    memory_mb: int


def import_parsl() -> Any:
    """Load Parsl.

    Returns
    -------
    module
        Parsl.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    try:
        with loading_parsl(*DATABASES):
            return importlib.import_module("parsl")
    except ImportError as error:
        raise UsageError(
            f"the engine 'parsl' needs Parsl, which is not installed here ({error})",
            code="no-parsl",
            hint="Install it, here and where pilots run: pip install 'stage[parsl]'.",
        ) from error


class Pilots:
    """Parsl, for one run.

    Parameters
    ----------
    options : PilotOptions
        The site's.
    where : str
        What the site's section is called, for messages.
    run_dir : pathlib.Path
        Where Parsl keeps its logs and scripts; a numbered directory for each start.
    environment : mapping of str to str
        Variables that pilots have.
    """

    def __init__(
        self, options: PilotOptions, where: str, run_dir: Path, environment: Mapping[str, str]
    ) -> None:
        import_parsl()
        self._options = options
        self._where = where
        self._run_dir = run_dir
        self._environment = environment
        self._executors: dict[Size, Any] = {}
        self._n_made = 0
        self._kernel: Any = None

    def size_for(self, memory_mb: int | None, cpus: int | None) -> Size:
        """Return the size of place that a job gets: the site's common one, or that doubled until it is large enough.

        Parameters
        ----------
        memory_mb, cpus : int or None
            What it asks for.

        Returns
        -------
        Size
            One of few: there are no more than doublings up to a node.

        Raises
        ------
        UsageError
            If a node has less.
        """
        options = self._options
        cores = _doubled(options.cores_per_worker, cpus or 0, options.node_cores)
        common = options.worker_memory_mb
        memory = 0 if common is None else _doubled(common, memory_mb or 0, options.node_memory_mb)
        if cores is None or memory is None:
            asked = f"{memory_mb} MB" if memory is None else f"{cpus} cores"
            has = f"{options.node_memory_mb} MB" if memory is None else f"{options.node_cores} cores"
            raise UsageError(
                f"it asks for {asked}, and a node of {self._where} has {has}",
                code="job-too-large",
                hint=f"Say what nodes have: {self._where}.{'memoryPerNode' if memory is None else 'coresPerNode'}.",
            )
        return Size(cores, memory)

    def submit(self, size: Size, packed: bytes, priority: int | None, on_end: Callable[[Any], None]) -> None:
        """Hand over a job.

        Parameters
        ----------
        size : Size
            Of its place.
        packed : bytes
            The job, as the worker takes it.
        priority : int or None
            Higher is sooner.
        on_end : callable
            Called with the future when it has ended, in a thread of Parsl's.

        Raises
        ------
        StorageError
            If pilots of this size do not come up.
        """
        executor = self._executor(size)
        context: dict[str, Any] = {"task_executor": {"f": _CALLED}}
        if priority:
            context["resource_spec"] = {"priority": -priority}
        try:
            future = executor.submit_payload(context, packed)
        except Exception as error:
            raise StorageError(
                f"Parsl did not take a job: {_first_line(error)}", code="parsl-failed"
            ) from error
        future.add_done_callback(on_end)

    def n_begun(self) -> dict[Size, int]:
        """Ask how many jobs pilots have, which is how many have been begun.

        Returns
        -------
        dict
            By the size of their places.
        """
        found: dict[Size, int] = {}
        for size, executor in self._executors.items():
            with contextlib.suppress(Exception):
                found[size] = sum(m["tasks"] for m in executor.connected_managers())
        return found

    def close(self) -> None:
        """End all pilots and what runs on them."""
        if self._kernel is not None:
            kernel, self._kernel = self._kernel, None
            self._executors.clear()
            try:
                kernel.cleanup()
            except Exception:  # noqa: BLE001 - what still lives ends without signs of life
                _log.exception("Parsl was not ended in good order")

    def _executor(self, size: Size) -> Any:
        found = self._executors.get(size)
        if found is None or found.bad_state_is_set:
            # One of which no pilot came up takes nothing more; what is tried again gets a new one.
            found = self._make(size, 1 if self._executors else self._options.init_blocks)
            try:
                if self._kernel is None:
                    self._kernel = self._load(found)
                else:
                    self._kernel.add_executors([found])
            except Exception as error:
                raise StorageError(
                    f"Parsl could not be started: {_first_line(error)}", code="parsl-failed"
                ) from error
            self._executors[size] = found
        return found

    def _load(self, first: Any) -> Any:
        from parsl import Config
        from parsl.dataflow.dflow import DataFlowKernel

        options = self._options
        self._run_dir.mkdir(parents=True, exist_ok=True)
        return DataFlowKernel(
            Config(
                executors=[first],
                run_dir=str(self._run_dir),
                strategy=options.strategy,
                strategy_period=options.strategy_period or (0.5 if options.is_local else 5.0),
                max_idletime=options.max_idle_time,
                # Its own account of itself, at length, would go to a file for which nobody asked.
                initialize_logging=False,
                usage_tracking=0,
            )
        )

    def _make(self, size: Size, init_blocks: int) -> Any:
        from parsl.executors import HighThroughputExecutor

        options = self._options
        sized = replace(options, cores_per_worker=size.cores)
        python = options.python or sys.executable
        period, threshold = options.heartbeats
        self._n_made += 1
        command = importlib.import_module("parsl.executors.high_throughput.executor").DEFAULT_LAUNCH_CMD
        return HighThroughputExecutor(
            label=f"places-{self._n_made}",
            provider=make_provider(sized, self._where, self._environment, init_blocks=init_blocks),
            launch_cmd=command.replace(
                "process_worker_pool.py",
                f"{python} -P -m stage.batch.engines.parsl.pilot",
                1,
            ),
            interchange_launch_cmd=[
                sys.executable,
                "-P",
                "-m",
                "stage.batch.engines.parsl.switchboard",
                str(os.getpid()),
            ],
            address=options.address or ("127.0.0.1" if options.is_local else None),
            worker_port_range=options.worker_port_range,
            cores_per_worker=float(size.cores),
            max_workers_per_node=_places(options, size),
            heartbeat_period=period,
            heartbeat_threshold=threshold,
            drain_period=options.drain,
            encrypted=options.encrypted,
            worker_debug=options.debug,
            block_error_handler=_give_up,
        )


def _doubled(least: int, asked: int, most: int | None) -> int | None:
    """Return the least doubling that is enough, or the most; None if that is not."""
    if most is not None and asked > most:
        return None
    while least < asked:
        least *= 2
    return least if most is None else min(least, most)


def _places(options: PilotOptions, size: Size) -> int | None:
    """Return how many jobs of a size a node takes at once; None if only it can tell."""
    found = [options.workers_per_node] if options.workers_per_node else []
    if options.node_cores:
        found.append(options.node_cores // size.cores)
    if size.memory_mb and options.node_memory_mb:
        found.append(options.node_memory_mb // size.memory_mb)
    return max(1, min(found)) if found else None


def _give_up(executor: Any, status: Mapping[str, Any]) -> None:
    """Fail what waits when the latest pilots have all ended without ever coming up; one that has worked is replaced."""
    latest = [status[block] for block in sorted(status, key=int)[-_TRIES:]]
    if len(latest) == _TRIES and all(s.state.name == "MISSING" for s in latest):
        executor.set_bad_state_and_fail_all(PilotsFailedError(_why(latest[-1])))


def _why(status: Any) -> str:
    """Return the last thing that a pilot said."""
    text = ""
    with contextlib.suppress(OSError):
        text = (status.stderr_summary or status.stdout_summary or "").strip()
    lines = (text or status.message or "").strip().splitlines()
    return lines[-1][-_TAIL:] if lines else "it said nothing"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
