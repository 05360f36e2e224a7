"""Where this user's state is on this machine: what no campaign has, and no cache may lose."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["STATE_VARIABLE", "state_directory"]

STATE_VARIABLE = "STAGE_STATE_DIR"


def state_directory() -> Path:
    """Return where this user's index of submissions and copies of far campaigns are.

    Returns
    -------
    pathlib.Path
        ``$STAGE_STATE_DIR``, else ``stage`` in ``$XDG_STATE_HOME``, by default ``~/.local/state``; it need not exist.
    """
    given = os.environ.get(STATE_VARIABLE)
    if given:
        return Path(given).expanduser()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "stage"
