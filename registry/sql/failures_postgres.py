"""What PostgreSQL raises, by its five-letter codes, turned into the project's errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry.errors import (
    AlreadyExistsError,
    BusyError,
    IntegrityError,
    InternalError,
    NotFoundError,
    StageError,
    StorageError,
    UsageError,
)
from registry.sql.failures import ConstraintViolation, damaged

__all__ = ["commit_unknown", "lost", "translate_postgres"]


def _transient(message: str, **facts: Any) -> StorageError:
    return StorageError(message, transient=True, **facts)


_CONSTRAINTS = {"23503": "reference", "23505": "unique", "23502": "null", "23514": "check"}
_BAD_VALUES = frozenset({"22001", "22003", "22021", "22P02", "22P05"})
_LOST = frozenset({"57P01", "57P02", "57P04", "57P05", "25P03", "25P04"})
_WITHOUT_CODE = frozenset({"OperationalError", "InterfaceError", "ConnectionTimeout", "PipelineAborted"})
_LET_IN = "Check user and password (~/.pgpass, PGPASSWORD)."
_LATER = "Try again later, or tell its keeper."

_Make = Callable[..., StageError]
_TABLE: dict[str, tuple[_Make, str, str, str]] = {
    "55P03": (BusyError, "database-busy", "{place} is held by another process: {text}", "Wait and try again."),
    "40P01": (BusyError, "database-busy", "{place} is held by another process: {text}", "Wait and try again."),
    "40001": (BusyError, "database-busy", "{place} is held by another process: {text}", "Wait and try again."),
    "57014": (BusyError, "database-busy", "{place} took too long: {text}", "Wait and try again."),
    "42P01": (IntegrityError, "table-missing", "{place} is damaged: {text}", "Restore it from a copy."),
    "42P04": (AlreadyExistsError, "registry-exists", "{place}: {text}", "Choose another place."),
    "42P06": (AlreadyExistsError, "registry-exists", "{place}: {text}", "Choose another place."),
    "42P07": (AlreadyExistsError, "registry-exists", "{place}: {text}", "Choose another place."),
    "25006": (StorageError, "read-only", "{place} cannot be written: {text}", "Open it for writing where you may write."),
    "42501": (StorageError, "not-allowed", "{place} does not allow that: {text}", "Ask its keeper for the right."),
    "53100": (StorageError, "disk-full", "{place}: no space left on the server", "Tell its keeper."),
    "58030": (_transient, "io-error", "{place}: {text}", "Tell its keeper."),
    "53300": (_transient, "too-many-connections", "{place} accepts no more connections: {text}", _LATER),
    "57P03": (_transient, "cannot-connect", "{place} is starting up or shutting down: {text}", _LATER),
    "53200": (_transient, "out-of-memory", "{place} ran out of memory: {text}", _LATER),
    "53400": (_transient, "out-of-memory", "{place} ran into a limit of its configuration: {text}", _LATER),
    "3D000": (NotFoundError, "no-such-registry", "there is no database {place}", "Check the database's name."),
    "28000": (StorageError, "cannot-open", "{place} does not let you in: {text}", _LET_IN),
    "28P01": (StorageError, "cannot-open", "{place} does not let you in: {text}", _LET_IN),
    "25P02": (InternalError, "failed-transaction", "{place}: used after a failure in the same transaction", ""),
}  # fmt: skip
_UNKNOWN = (InternalError, "bad-statement", "{place}: {code} {text}", "")


def lost(place: str, why: str = "") -> StorageError:
    """Make the error about a connection that broke.

    Parameters
    ----------
    place : str
        Which database, without credentials.
    why : str
        What the driver said.

    Returns
    -------
    StorageError
        To be raised: transient, and nothing was kept of what had not been committed.
    """
    return StorageError(
        f"the connection to {place} was lost{': ' if why else ''}{why}; what had not been committed is undone",
        code="connection-lost",
        hint="Try again; a program has to open the registry again first.",
        transient=True,
    )


def commit_unknown(place: str) -> StorageError:
    """Make the error about a connection that broke while a change was being kept.

    Parameters
    ----------
    place : str
        Which database, without credentials.

    Returns
    -------
    StorageError
        To be raised.
    """
    return StorageError(
        f"the connection to {place} was lost while a change was being kept: "
        "the server has kept all of it or nothing, and did not say which",
        code="commit-unknown",
        hint="Look what is there before you repeat it; repeating a push is safe.",
    )


def translate_postgres(exc: Any, place: str) -> Exception:
    """Return what to raise in place of an exception of psycopg.

    Parameters
    ----------
    exc : psycopg.Error
        The exception.
    place : str
        Which database, without credentials.

    Returns
    -------
    Exception
        A `StageError`, or a `ConstraintViolation`.
    """
    code, text = exc.sqlstate or "", _words(exc)
    if code in _CONSTRAINTS:
        return ConstraintViolation(_CONSTRAINTS[code], text)
    if code.startswith("XX") or code == "58P01":  # pages, or a file of theirs that is not there
        return damaged(place, text)
    if code in _BAD_VALUES or (not code and type(exc).__name__ == "DataError"):
        return UsageError(f"{place} cannot hold a value: {text}", code="bad-value")
    if code in _LOST or code.startswith("08") or (not code and type(exc).__name__ in _WITHOUT_CODE):
        return lost(place, text)
    make, name, message, hint = _TABLE.get(code, _UNKNOWN)
    shown = message.format(place=place, text=text, code=code)
    return make(shown, code=name, hint=hint)


def _words(exc: Any) -> str:
    """Return what the server said, in one line, with the row where it names one."""
    diagnostic = getattr(exc, "diag", None)
    primary = getattr(diagnostic, "message_primary", None)
    if not primary:
        return " ".join(str(exc).split())
    detail = getattr(diagnostic, "message_detail", None)
    return f"{primary} ({detail})" if detail else str(primary)
