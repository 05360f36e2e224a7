"""Exit codes: they are API, and each command's documentation lists them."""

from __future__ import annotations

from enum import IntEnum

from registry.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    SchemaVersionError,
    StageError,
    UsageError,
)

__all__ = ["MEANING", "ExitCode", "exit_code"]


class ExitCode(IntEnum):
    """What a command's end tells the caller to do next."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTLY_DONE = 3
    NOT_FOUND = 10
    BUSY = 11
    CONFLICT = 12
    INTEGRITY = 13
    OUT_OF_MEMORY = 14
    INTERRUPTED = 130


MEANING = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed: the environment, a task, or a bug; the message says",
    ExitCode.USAGE: "usage: the call, the query or the pipeline has to be changed",
    ExitCode.PARTLY_DONE: "partly done: some quanta failed; the same command runs what is missing",
    ExitCode.NOT_FOUND: "not found: what was named does not exist, or cannot be reached",
    ExitCode.BUSY: "busy: somebody else holds it; wait and try again",
    ExitCode.CONFLICT: "conflict: two sides disagree, or something is there already; nothing was written",
    ExitCode.INTEGRITY: "integrity: stored bytes are not what was recorded, or of another version",
    ExitCode.OUT_OF_MEMORY: "out of memory: nothing but that has failed; the same command with more memory goes on",
    ExitCode.INTERRUPTED: "interrupted; the same command goes on from there",
}

_BY_CLASS: tuple[tuple[type[StageError], ExitCode], ...] = (
    (UsageError, ExitCode.USAGE),
    (NotFoundError, ExitCode.NOT_FOUND),
    (BusyError, ExitCode.BUSY),
    (ConflictError, ExitCode.CONFLICT),
    (AlreadyExistsError, ExitCode.CONFLICT),
    (IntegrityError, ExitCode.INTEGRITY),
    (SchemaVersionError, ExitCode.INTEGRITY),
)


def exit_code(error: StageError) -> ExitCode:
    """Return the exit code of an error.

    Parameters
    ----------
    error : StageError
        What a command raised.

    Returns
    -------
    ExitCode
        By the error's class.
    """
    return next((code for cls, code in _BY_CLASS if isinstance(error, cls)), ExitCode.FAILED)
