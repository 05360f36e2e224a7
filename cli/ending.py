"""How a command ends: errors become messages and exit codes, and signals an end that can be unwound."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

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
        The exit code.
    """
    try:
        act()
        sys.stdout.flush()
    except SystemExit as end:
        if _was_interrupted(end):
            sys.stderr.write("stage: interrupted\n")
        return (
            end.code if isinstance(end.code, int) else ExitCode.DONE if end.code is None else ExitCode.FAILED
        )
    except KeyboardInterrupt:
        sys.stderr.write("stage: interrupted\n")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough. What Python would still flush at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the last place where one can be worded for a person
        if is_debug():
            import traceback

            traceback.print_exc()
        return _report(error)
    return ExitCode.DONE


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
    _keep_answers_apart()
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
