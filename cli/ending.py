"""How a command ends: errors become messages and exit codes, and signals an end that can be unwound."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TextIO

from cli.exit_codes import ExitCode, exit_code
from registry.errors import StageError

__all__ = ["code_of", "run_process"]

_SOON_S = 0.001


def code_of(act: Callable[[], object], *, is_debug: Callable[[], bool]) -> int:
    """Do what a command does, and word what goes wrong for a person.

    Parameters
    ----------
    act : callable
        The command; it may raise SystemExit with its exit code.
    is_debug : callable
        Whether a person wants to see where an error came from.

    Returns
    -------
    int
        The exit code: the command's own, also if nobody reads its answer to the end.
    """
    code: int = ExitCode.DONE
    try:
        act()
    except SystemExit as end:
        code = _code_at(end)
    except KeyboardInterrupt:
        sys.stderr.write("stage: interrupted\n")
        code = ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place where one can be worded for a person
        code = _code_after(error, is_debug=is_debug())
    return _flushed(code)


def _code_at(end: SystemExit) -> int:
    """Return the code of a program that ended by itself."""
    if isinstance(end.__context__, BrokenPipeError):  # Typer makes a silent 1 of it
        return _code_after(end.__context__, is_debug=False)
    if _was_interrupted(end):
        sys.stderr.write("stage: interrupted\n")
    return end.code if isinstance(end.code, int) else ExitCode.DONE if end.code is None else ExitCode.FAILED


def _code_after(error: Exception, *, is_debug: bool) -> int:
    """Word what went wrong, and return its code."""
    if isinstance(error, BrokenPipeError) and not _is_read(sys.stdout):
        return ExitCode.DONE  # whoever read a long answer has enough
    if is_debug:
        import traceback

        traceback.print_exception(error)
    return _report(error)


def _is_read(stream: TextIO) -> bool:
    """Tell whether somebody still reads what is written to a stream, if it is a pipe."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return not poll.poll(0)
    except (OSError, ValueError):  # one in memory
        return True


def _flushed(code: int) -> int:
    """Write what is left of the answer; return the command's code, or that of an answer that could not be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What Python would still flush at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            return code or _environment(error)
    return code


def _report(error: Exception) -> int:
    """Write an error for a person and return its exit code."""
    if isinstance(error, OSError):
        return _environment(error)
    if not isinstance(error, StageError):
        return _unexpected(error)
    sys.stderr.write(f"stage: {error}\n")
    if error.hint:
        sys.stderr.write(f"  {error.hint}\n")
    for note in getattr(error, "__notes__", ()):
        sys.stderr.write(f"  {note}\n")
    return exit_code(error)


def _environment(error: OSError) -> int:
    """Word what the system refused: a full disk, a directory where one may not write."""
    where = f"{error.filename}: " if error.filename else ""
    sys.stderr.write(
        f"stage: {where}{error.strerror or error}\n"
        "  The system refused that. See to room and rights there, then run the same command again.\n"
    )
    return ExitCode.FAILED


def _unexpected(error: Exception) -> int:
    sys.stderr.write(
        f"stage: internal error: {type(error).__name__}: {error}\n"
        "  This is a bug. Run it again with 'stage --debug …' and report what that shows.\n"
    )
    return ExitCode.FAILED


def _was_interrupted(end: BaseException) -> bool:
    """Tell whether Ctrl-C is behind the end of the program; Typer makes a silent exit of it."""
    cause = end.__cause__ or end.__context__
    return cause is not None and (isinstance(cause, KeyboardInterrupt) or _was_interrupted(cause))


def _open_what_is_closed() -> None:
    """Have somewhere to write where we were begun without standard output, or standard error, as by ``2>&-``."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as the process


def _keep_answers_apart() -> None:
    """Write answers to a copy of standard output, and let what others write to the descriptor go to standard error.

    A task in this process (-j 0) may call libraries that know nothing of ``sys.stdout``, and keep what they write in
    buffers of their own until the very end: so it is never put back.
    """
    try:
        answers = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # one of the two is closed
        return
    sys.stdout = open(  # noqa: PTH123, SIM115 - lives as long as the process
        answers,
        "w",
        encoding=sys.stdout.encoding,
        errors=sys.stdout.errors,
        buffering=1 if os.isatty(answers) else -1,
    )


class _Words(io.TextIOWrapper):
    """What a command says beside its answer: that nobody reads it, as with ``2>&1 | head``, ends no work."""

    def write(self, text: str) -> int:
        with suppress(BrokenPipeError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(BrokenPipeError):
            super().flush()


def _interrupt(_number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code is _again_if_lost.__code__:
            _interrupt_soon()  # nothing gets out of there either
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def _interrupt_soon() -> None:
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, _SOON_S)


def _again_if_lost(lost: sys.UnraisableHookArgs) -> None:
    """Ask once more for an end that came where Python lets nothing through, as in a finalizer, and says so at length."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        _interrupt_soon()
    else:
        sys.__unraisablehook__(lost)


def _set_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def run_process(command: Callable[[], int]) -> None:
    """Run a command as all that this process does, and exit.

    Parameters
    ----------
    command : callable
        Returns the exit code.
    """
    _open_what_is_closed()
    _keep_answers_apart()
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _Words(
            sys.stderr.buffer, encoding=sys.stderr.encoding, errors=sys.stderr.errors, line_buffering=True
        )
    sys.unraisablehook = _again_if_lost
    try:
        # From here on there may be something to unwind, so that both signals are exceptions.
        _set_signals(_interrupt)
        code = command()
    except KeyboardInterrupt:  # while another one, or an error, was being worded
        sys.stderr.write("stage: interrupted\n")
        code = ExitCode.INTERRUPTED
    # All is done: an end of the process that is asked for now comes anyway.
    signal.setitimer(signal.ITIMER_REAL, 0)
    _set_signals(signal.SIG_IGN)
    sys.exit(code)
