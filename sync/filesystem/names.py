"""Names of files that are not whole yet: every reader passes over them."""

from __future__ import annotations

import itertools
import os

__all__ = ["aside_name", "is_aside"]

_ASIDE_PREFIX = ".stage-"
_ASIDE_SUFFIX = ".part"


class _Names:
    """Names for files written aside: unique among processes of all machines that share a file system."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        # A forked child must not go on with its parent's names.
        self.prefix = f"{_ASIDE_PREFIX}{os.urandom(8).hex()}-"
        self.count = itertools.count()


_names = _Names()
os.register_at_fork(after_in_child=_names.restart)


def aside_name() -> str:
    """Return a new name for a file that is not whole yet.

    Returns
    -------
    str
        A file name that no other call, in whatever process, returns.
    """
    return f"{_names.prefix}{next(_names.count)}{_ASIDE_SUFFIX}"


def is_aside(path: str) -> bool:
    """Tell whether a file was being written aside.

    Parameters
    ----------
    path : str
        Its path or name.

    Returns
    -------
    bool
        True for names that `aside_name` makes.
    """
    return path.endswith(_ASIDE_SUFFIX) and path.rpartition("/")[2].startswith(_ASIDE_PREFIX)
