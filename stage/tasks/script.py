"""Running one bash script: its environment, its output followed into a log, nothing of it left behind."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from registry.errors import StageError
from stage.errors import ExecutionError

__all__ = ["ScriptFailed", "run_script"]

_KEPT_LINES = 20
_LOOK_S = 0.2


class ScriptFailed(ExecutionError):  # noqa: N818 - an outcome's name, like QuantumFailed
    """A script ended with an exit status other than 0, or did not make what it should."""

    default_code = "script-failed"


def run_script(script: str, environment: Mapping[str, str], directory: Path, log: logging.Logger) -> None:
    """Run a script with ``bash -eu -o pipefail`` and wait for it.

    Parameters
    ----------
    script : str
        Its text.
    environment : mapping of str to str
        Variables, besides those of this process.
    directory : Path
        Where it runs, and where its text and output are kept.
    log : logging.Logger
        Gets each line that it prints, on either stream, in order.

    Raises
    ------
    ScriptFailed
        If it ends with another status than 0; with its last lines.
    StageError
        If there is no bash.

    Notes
    -----
    The script gets a process group of its own. What is left of it when the script ends, or when this is interrupted,
    is killed: a quantum leaves nothing running.
    """
    bash = shutil.which("bash")
    if bash is None:
        raise StageError(
            "there is no bash to run a shell task", code="no-bash", hint="Install bash, or put it on PATH."
        )
    work = directory / "work"
    work.mkdir()
    text, output = directory / "script.bash", directory / "output.log"
    text.write_text(script, encoding="utf-8")
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    # A file and not a pipe: something the script leaves in the background cannot hold us by keeping it open.
    with output.open("wb") as sink, output.open(encoding="utf-8", errors="replace") as source:
        process = subprocess.Popen(
            [bash, "-eu", "-o", "pipefail", str(text)],
            cwd=work,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = _follow(process, source, log, last)
        finally:
            _kill_group(process)
        _pass_on(source, log, last, whole=False)
    if status != 0:
        how = f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"
        raise ScriptFailed(f"the script ended with {how}{_said(last)}")


def _said(last: Sequence[str]) -> str:
    """Word the last lines of a script: the very last first, for tables that show one line of each failure."""
    spoken = [line for line in last if line.strip()]
    if not spoken:
        return "; it printed nothing"
    lines = "".join(f"\n  {line}" for line in last)
    return f": {spoken[-1].strip()}" + (f"\nIts last lines:{lines}" if len(spoken) > 1 else "")


def _follow(process: subprocess.Popen[bytes], source: TextIO, log: logging.Logger, last: deque[str]) -> int:
    """Pass lines to the log as they come, until the script ends."""
    while True:
        try:
            return process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            _pass_on(source, log, last, whole=True)


def _pass_on(source: TextIO, log: logging.Logger, last: deque[str], *, whole: bool) -> None:
    """Log the lines that are there; with `whole`, an unfinished one waits for its end."""
    while True:
        start = source.tell()
        line = source.readline()
        if not line:
            return
        if whole and not line.endswith("\n"):
            source.seek(start)
            return
        line = line.rstrip("\r\n")
        last.append(line)
        log.info("%s", line)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
