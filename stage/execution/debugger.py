"""A debugger where a quantum failed, for a person at a terminal."""

from __future__ import annotations

import sys

from registry.errors import UsageError

__all__ = ["check_debugger", "open_debugger"]


def check_debugger(processes: int) -> None:
    """Refuse a debugger where there is nobody to speak with it, or nothing that it could look into.

    Parameters
    ----------
    processes : int
        Number of worker processes that was asked for; one is as good as none.

    Raises
    ------
    UsageError
        If quanta are to run in several, or there is no terminal.
    """
    if processes > 1:
        raise UsageError(
            f"a debugger looks into one process, and -j {processes} asks for more",
            code="no-debugger",
            hint="Leave -j out.",
        )
    if not (_is_terminal(sys.__stdin__) and _is_terminal(sys.__stdout__)):
        raise UsageError(
            "a debugger needs a terminal, and standard input or output is none",
            code="no-debugger",
            hint="Run it without a pipe or redirection.",
        )


def _is_terminal(stream: object) -> bool:
    return bool(getattr(stream, "isatty", bool)())


def open_debugger(error: BaseException) -> None:
    """Let a person look at what an exception came from, until they leave.

    Parameters
    ----------
    error : BaseException
        What a task raised.
    """
    import pdb  # noqa: T100 - it is what was asked for

    # What tasks print goes to their logs; this is between the person and the debugger.
    debugger = pdb.Pdb(stdin=sys.__stdin__, stdout=sys.__stdout__)
    debugger.reset()
    debugger.interaction(None, error.__traceback__)
