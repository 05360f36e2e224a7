"""Where the ``stage`` command begins: before anything is loaded, it can be ended in one line.

Loading the program takes a while, and Python's own answer to Ctrl-C in that time is a page of names. As long as nothing
was begun the process simply ends; from then on `cli.main` unwinds what it was at.
"""

from __future__ import annotations

# signal itself takes longer to load than all else here.
import _signal  # type: ignore[import-not-found]
import os
import sys

__all__ = ["run"]

_INTERRUPTED = 130


def _end(_number: int, _frame: object) -> None:
    os.write(2, b"stage: interrupted\n")
    os._exit(_INTERRUPTED)


def _end_at_once() -> None:
    for number in (_signal.SIGINT, _signal.SIGTERM):
        # Who began us with a signal ignored, as nohup and background jobs of some shells do, wants it ignored.
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, _end)


_end_at_once()


def run() -> None:
    """Run the process's command line and exit."""
    if sys.argv[1:2] == ["exec"]:
        from cli.lean import run_exec

        run_exec(sys.argv[2:])
    from cli.main import run as run_main

    run_main()
