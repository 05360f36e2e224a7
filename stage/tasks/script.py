"""Running one bash script: its environment, its output followed into a log, nothing of it left behind."""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import selectors
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from registry.errors import StageError
from stage.errors import ExecutionError

__all__ = ["ScriptFailed", "run_script"]

_KEPT_LINES = 20
_KEPT_LENGTH = 2000
_LOOK_S = 0.2
_CHUNK = 1 << 16
_PIPE_CHUNKS = 32
"""More than a pipe holds."""
_FEW = 50
"""So many lines that come together are logged one by one; more of them as one record, which costs less."""
_LONG_LINE = 1 << 16
_WATCH = "read -r _; kill -KILL 0"
"""Run in the script's process group: it reads from us until we are gone, however that comes, and then ends the group."""


class ScriptFailed(ExecutionError):  # noqa: N818 - an outcome's name, like QuantumFailed
    """A script ended with an exit status other than 0, or did not make what it should."""

    default_code = "script-failed"


def run_script(
    script: str,
    environment: Mapping[str, str],
    directory: Path,
    log: logging.Logger,
    *,
    file: str = "script.bash",
    what: str = "the script",
) -> None:
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
    file : str, optional
        Name of the file that its text is kept in.
    what : str, optional
        What it is called in errors.

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
    work.mkdir(exist_ok=True)
    text = directory / file
    text.write_text(script, encoding="utf-8")
    output = _Output(log)
    with _watched() as group:
        process = subprocess.Popen(
            [bash, "-eu", "-o", "pipefail", str(text)],
            cwd=work,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=group,
        )
        try:
            status = _follow(process, output)
            _kill_group(group)
            _drain_rest(process, output)
        finally:
            _kill_group(group)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
    output.end()
    if status != 0:
        how = f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"
        raise ScriptFailed(f"{what} ended with {how}{_said(output.last)}", context={"exit_status": status})


@contextlib.contextmanager
def _watched() -> Iterator[int]:
    """Yield a process group for the script that does not outlive us."""
    reading, writing = os.pipe()
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", _WATCH],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    os.close(reading)
    try:
        yield watcher.pid
    finally:
        _kill_group(watcher.pid)
        watcher.wait()
        os.close(writing)


class _Output:
    """What a script prints, in pieces of any size: logged line by line, its last lines remembered."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self.last: deque[str] = deque(maxlen=_KEPT_LINES)

    def take(self, data: bytes) -> None:
        text = self._rest + self._decode(data)
        whole, _, self._rest = text.rpartition("\n")
        if len(self._rest) > _LONG_LINE:
            whole, self._rest = text, ""
        if whole or len(self._rest) < len(text):
            self._pass_on(whole)

    def end(self) -> None:
        """Log a line that was left incomplete."""
        self._rest += self._decode(b"", final=True)
        if self._rest:
            self._pass_on(self._rest)
            self._rest = ""

    def _pass_on(self, text: str) -> None:
        lines = [line.rstrip("\r") for line in text.split("\n")]
        self.last.extend(line[:_KEPT_LENGTH] for line in lines[-_KEPT_LINES:])
        if len(lines) <= _FEW:
            for line in lines:
                self._log.info("%s", line)
        else:
            self._log.info("%s", "\n".join(lines), extra={"is_block": True})


def _said(last: Sequence[str]) -> str:
    """Word the last lines of a script: the very last first, for tables that show one line of each failure."""
    spoken = [line for line in last if line.strip()]
    if not spoken:
        return "; it printed nothing"
    lines = "".join(f"\n  {line}" for line in last)
    return f": {spoken[-1].strip()}" + (f"\nIts last lines:{lines}" if len(spoken) > 1 else "")


def _follow(process: subprocess.Popen[bytes], output: _Output) -> int:
    """Take what the script prints until it ends.

    Something that it leaves in the background may hold the pipe open for ever; the script's own end counts.
    """
    if process.stdout is None:  # never: it was asked for
        return process.wait()
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while process.poll() is None:
            if selector.select(_LOOK_S) and not _drain(pipe, output):
                break
    return process.wait()


def _drain_rest(process: subprocess.Popen[bytes], output: _Output) -> None:
    """Take what is left in the pipe, and no more: somebody who left the group may go on writing to it."""
    for _ in range(_PIPE_CHUNKS):
        if process.stdout is None or not _drain(process.stdout.fileno(), output):
            return


def _drain(pipe: int, output: _Output) -> bool:
    """Take one piece; return whether there was one."""
    try:
        data = os.read(pipe, _CHUNK)
    except BlockingIOError:
        return False
    output.take(data)
    return bool(data)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
