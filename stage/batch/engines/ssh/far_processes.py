"""`start` and `run`: programs on a far machine, those that outlive the line and those that are waited for.

It runs there, with nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from stage.batch.engines.ssh.far_places import FarTrouble

__all__ = ["run", "start"]

# The shell starts it and ends, so that nobody has to wait for it; it prints the number of its process.
_DETACH = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'


def start(words: Sequence[str], cwd: str, log: str, environment: Mapping[str, str]) -> int:
    """Start a process that goes on when the line is gone.

    Parameters
    ----------
    words : sequence of str
        Program and arguments.
    cwd : str
        Its directory.
    log : str
        What it prints is added there.
    environment : mapping of str to str
        Variables besides those that are here.

    Returns
    -------
    int
        Its process.

    Raises
    ------
    FarTrouble
        If there is no such program, or it cannot be started.
    """
    variables = {**os.environ, **environment}
    if shutil.which(words[0], path=variables.get("PATH")) is None:
        raise FarTrouble("far-start", f"there is no program {words[0]}")
    shell = ["/bin/sh", "-c", _DETACH, "sh", log, *words]
    try:
        said = subprocess.run(
            shell,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=cwd,
            env=variables,
            start_new_session=True,
        )
        return int(said.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise FarTrouble("far-start", f"cannot start {words[0]}: {error}") from error


def run(words: Sequence[str], cwd: str, environment: Mapping[str, str], timeout_s: float) -> list[Any]:
    """Run a program to its end.

    Parameters
    ----------
    words : sequence of str
        Program and arguments.
    cwd : str
        Its directory.
    environment : mapping of str to str
        Variables besides those that are here.
    timeout_s : float
        How long it may take.

    Returns
    -------
    list
        Exit code, what it prints, what it complains of.

    Raises
    ------
    FarTrouble
        If it cannot be started, or takes longer.
    """
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    except OSError as error:
        raise FarTrouble("far-start", f"cannot start {words[0]}: {error.strerror}") from error
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise FarTrouble("far-start", f"{words[0]} has not ended within {timeout_s:g} s") from error
    return [process.returncode, out.decode(errors="replace"), err.decode(errors="replace")]
