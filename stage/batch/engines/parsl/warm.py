"""A worker that has loaded what jobs need, and makes them by forking: in a fraction of an interpreter's start.

What our program has loaded by the end of a job, the worker loads too, so that each later job has it from the start. The
worker itself runs nothing: a job has its memory, its time and its end for itself, and takes no worker with it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from stage.batch.engines.base import JobRequest
from stage.batch.engines.processes import JobProcess, Started
from stage.pipeline.installed import installed_packages

__all__ = ["PROGRAM", "ForkedJob", "Warmth"]

PROGRAM = "stage"
"""The console script of which jobs are forked."""

_EARLY = ("PYTHON", "LD_", "DYLD_", "OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "VECLIB_", "BLIS_", "MALLOC_", "LC_", "LANG")  # fmt: skip
"""How variables begin that only count for a process that has them from its start."""
_FAILED = 1
_MOST_SAID = 60_000
"""Bytes: a pipe holds that, and nobody reads it before the job has ended."""


class Warmth:
    """What a worker has loaded for the jobs that it forks."""

    def __init__(self) -> None:
        self._programs: dict[str, Callable[[], Any] | None] = {}
        self._forks = True

    def program(
        self, command: tuple[str, ...], added: Mapping[str, str], path: str
    ) -> Callable[[], Any] | None:
        """Return our own program, if a command is that and a fork of this process may stand in for a new one.

        Parameters
        ----------
        command : tuple of str
            Program and arguments.
        added : mapping of str to str
            Variables of the job's own.
        path : str
            Where it looks for programs.

        Returns
        -------
        callable or None
            Does what the command does.
        """
        early = any(n.startswith(_EARLY) and value != os.environ.get(n) for n, value in added.items())
        found = None if early or not self._forks else shutil.which(command[0], path=path)
        if found is None or Path(found).name != PROGRAM:
            return None
        if found not in self._programs:
            self._programs[found] = _find_program(found)
        return self._programs[found]

    def load(self, names: Collection[str]) -> None:
        """Load what a job has loaded.

        Parameters
        ----------
        names : collection of str
            Modules.
        """
        before = _n_threads()
        with _signals_kept(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in names:
                # What cannot be loaded by itself is loaded by the job, as in any other process.
                with contextlib.suppress(Exception):
                    import_module(name)
        # What is installed here, each job compares with what its run has recorded.
        installed_packages()
        # A fork lacks the threads of what it is made from, and what waits for them waits for ever.
        self._forks = _n_threads() <= before
        # What is there is not looked through again in each job, which would copy its pages.
        gc.collect()
        gc.freeze()


class ForkedJob(JobProcess):
    """A job that runs our program in a fork of this process.

    Parameters
    ----------
    request : JobRequest
        What runs.
    directory : pathlib.Path
        Where.
    environment : mapping of str to str
        All its variables.
    program : callable
        What the command does, with ``sys.argv``; its SystemExit is its exit code.
    """

    def __init__(
        self, request: JobRequest, directory: Path, environment: Mapping[str, str], program: Callable[[], Any]
    ) -> None:
        self._program = program
        self._said = -1
        super().__init__(request, directory, environment)

    def _start(
        self, output: int, directory: Path, environment: Mapping[str, str], begin: Callable[[], None]
    ) -> Started:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        self._said, says = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(self._said)
            self._be_child(output, directory, environment, begin, says)
        os.close(says)
        return _Fork(pid)

    def loaded(self) -> list[str]:
        """Return what it had loaded in the end and this process has not; called once, when it has ended.

        Returns
        -------
        list of str
            Names of modules that are installed; none of a job that died.
        """
        with os.fdopen(self._said, "rb") as channel, contextlib.suppress(ValueError):
            return [str(name) for name in json.loads(channel.read())]
        return []

    def _be_child(
        self,
        output: int,
        directory: Path,
        environment: Mapping[str, str],
        begin: Callable[[], None],
        says: int,
    ) -> None:
        """Do in the child what is to be done, and end it whatever happens: nothing may get out into the worker's code."""
        code = _FAILED
        before = set(sys.modules)
        try:
            os.setsid()
            begin()
            _take_streams(output)
            os.chdir(directory)
            _begin_anew(environment)
            sys.argv = list(self.request.command)
            self._program()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else _FAILED
        except BaseException:  # noqa: BLE001 - it is printed as the interpreter would
            traceback.print_exc()
        finally:
            _leave(code, says, before)


class _Fork:
    """A forked process, with what `subprocess.Popen` has of it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    @property
    def pid(self) -> int:
        return self._pid

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _take_streams(output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # What the worker's own may have in their buffers is not the job's to write.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115


def _begin_anew(environment: Mapping[str, str]) -> None:
    """Make a fork of the worker look like a process that was just started."""
    atexit._clear()  # noqa: SLF001 - what the worker has registered is the worker's
    tempfile.tempdir = None
    if (random := sys.modules.get("numpy.random")) is not None:
        random.seed()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)


def _leave(code: int, says: int, before: Collection[str]) -> None:
    """End this process: what it shares with the worker is not taken down object by object, which would copy it."""
    try:
        atexit._run_exitfuncs()  # noqa: SLF001 - what tasks have registered for the end still runs
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        if new := [name for name in _installed() if name not in before]:
            os.write(says, json.dumps(new).encode())
    except BaseException:  # noqa: BLE001 - it is as good as gone
        traceback.print_exc()
    finally:
        os._exit(code)


def _installed() -> list[str]:
    """Return the names of modules that are installed: what a person's folder has is a job's own affair."""
    roots = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[4]))
    found: list[str] = []
    room = _MOST_SAID
    for name, module in list(sys.modules.items()):
        origin = getattr(getattr(module, "__spec__", None), "origin", None) or ""
        room -= len(name) + 4
        if room > 0 and origin.startswith(roots) and not name.endswith("__main__"):
            found.append(name)
    return found


def _find_program(path: str) -> Callable[[], Any] | None:
    """Return the function behind a console script of this interpreter's own environment; None for any other's."""
    from importlib.metadata import entry_points

    if Path(path).parent != Path(sys.executable).parent:
        return None
    with _signals_kept():
        for found in entry_points(group="console_scripts", name=PROGRAM):
            loaded: Callable[[], Any] = found.load()
            return loaded
    return None


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back what a program sets for its own process while it is loaded."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _n_threads() -> int:
    with contextlib.suppress(OSError):
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    return threading.active_count()
