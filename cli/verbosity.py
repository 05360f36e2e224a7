"""How much is told on the way: ``stage -v``, ``-vv`` and ``-q`` before the command.

Answers go to standard output in any case; this is about what goes to standard error besides.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

__all__ = ["is_quiet", "set_verbosity", "verbosity_kept"]

_OURS = ("stage", "sync", "registry")
_quiet = False
_handler: logging.Handler | None = None


def is_quiet() -> bool:
    """Tell whether a person wants to see no progress.

    Returns
    -------
    bool
        Whether ``-q`` was given.
    """
    return _quiet


def set_verbosity(verbose: int, *, quiet: bool) -> None:
    """Let more or less be told than warnings and progress.

    Parameters
    ----------
    verbose : int
        1 for each step, 2 for each file and question too, with the time since the program began.
    quiet : bool
        No progress and no warnings: only errors.
    """
    global _quiet, _handler  # noqa: PLW0603 - of the one command that this process runs
    _quiet = quiet
    if not (verbose or quiet):
        return
    import logging

    _handler = logging.StreamHandler(sys.stderr)
    # What this very logger is told of a quantum goes into the quantum's log.
    _handler.addFilter(lambda record: record.name != "stage")
    _handler.setFormatter(
        logging.Formatter("%(relativeCreated)7.0f ms  %(message)s" if verbose > 1 else "%(message)s")
    )
    level = logging.ERROR if quiet else logging.DEBUG if verbose > 1 else logging.INFO
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(_handler)


@contextmanager
def verbosity_kept() -> Iterator[None]:
    """Leave logging as it was before the command.

    Yields
    ------
    None
        Nothing.
    """
    global _quiet, _handler  # noqa: PLW0603 - as above
    try:
        yield
    finally:
        _quiet = False
        if _handler is not None:
            import logging

            for name in _OURS:
                logging.getLogger(name).removeHandler(_handler)
                logging.getLogger(name).setLevel(logging.NOTSET)
            _handler = None
