"""Whether a job that says it is done has recorded that each of its quanta is."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from registry.errors import NotFoundError, StageError
from registry.model.records import QuantumStatus
from stage.batch.workflow.model import JobSettings
from stage.execution.record_file import read_lines
from stage.execution.starts import newest

__all__ = ["has_record", "lacks"]

_SHOWN = 5
_COMPLETE = frozenset(f'"{status}"' for status in QuantumStatus.COMPLETE)


def has_record(settings: JobSettings) -> bool:
    """Tell whether jobs of a kind are told where to leave a record.

    Parameters
    ----------
    settings : JobSettings
        What they have in common.

    Returns
    -------
    bool
        False for a command of a user that leaves none: its exit code is all that there is.
    """
    return "{recordFile}" in settings.arguments


def lacks(record: Path, quanta: Sequence[int]) -> str:
    """Tell what a record lacks to show that some quanta are complete.

    Parameters
    ----------
    record : pathlib.Path
        The record file.
    quanta : sequence of int
        Which.

    Returns
    -------
    str
        Why it does not, for a person; empty if it does.
    """
    try:
        lines = _lines(record)
    except StageError as error:
        return f"it left no record that can be read: {error}"
    # Each begins [ordinal,"status",…: to know no more of it, nothing else has to be made of it.
    pairs = (line[1:].split(",", 2)[:2] for line in lines)
    complete = {ordinal for ordinal, status in pairs if status in _COMPLETE}
    missing = [q for q in quanta if str(q) not in complete]
    if not missing:
        return ""
    shown = ", ".join(map(str, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
    return f"by its record {len(missing)} of {len(quanta)} quanta are not complete ({shown})"


def _lines(record: Path) -> list[str]:
    try:
        return read_lines(newest(record)[0])[1]
    except NotFoundError:
        # To list a directory makes a network file system look what another machine has just put there.
        with contextlib.suppress(OSError):
            list(record.parent.iterdir())
        return read_lines(newest(record)[0])[1]
