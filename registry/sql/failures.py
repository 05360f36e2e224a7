"""What drivers raise, turned into the project's errors: the one place that knows their codes."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from registry.errors import BusyError, IntegrityError, InternalError, StageError, StorageError, UsageError

__all__ = ["ConstraintViolation", "damaged", "driver_errors", "translate", "translated"]

_READERS_CANNOT = (
    "A writer was killed in the middle of a change; a reader must not repair it. Whoever may write there takes it back "
    "by any command that writes: the next push, or 'stage repo fsck REPO --repair'."
)


class ConstraintViolation(Exception):  # noqa: N818 - never reaches a person: families explain it
    """The database refused rows; the family that sent them says which and why.

    Parameters
    ----------
    kind : {"reference", "unique", "null", "check"}
        Which rule they break.
    detail : str
        What the driver said.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


_CONSTRAINTS = {
    "SQLITE_CONSTRAINT_FOREIGNKEY": "reference",
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "unique",
    "SQLITE_CONSTRAINT_ROWID": "unique",
    "SQLITE_CONSTRAINT_NOTNULL": "null",
    "SQLITE_CONSTRAINT_CHECK": "check",
}


def driver_errors() -> tuple[type[Exception], ...]:
    """Return what drivers raise, for an ``except`` clause; psycopg's only where it was loaded.

    Returns
    -------
    tuple of type
        Classes of exceptions.
    """
    psycopg: Any = sys.modules.get("psycopg")
    ours: tuple[type[Exception], ...] = (sa.exc.SQLAlchemyError, sqlite3.Error)
    return ours if psycopg is None else (*ours, psycopg.Error)


def translate(exc: BaseException, place: str) -> Exception:
    """Return what to raise in place of a driver's or SQLAlchemy's exception.

    Parameters
    ----------
    exc : BaseException
        The exception.
    place : str
        Which database, without credentials.

    Returns
    -------
    Exception
        A `StageError`, or a `ConstraintViolation`.
    """
    original = exc.orig if isinstance(exc, sa.exc.DBAPIError) and exc.orig is not None else exc
    if isinstance(original, sqlite3.Error):
        return _translate_sqlite(original, place)
    if isinstance(original, OverflowError | UnicodeError):
        return _bad_value(original, place)
    if hasattr(original, "sqlstate"):
        from registry.sql.failures_postgres import translate_postgres

        return translate_postgres(original, place)
    if isinstance(exc, sa.exc.PendingRollbackError):
        from registry.sql.failures_postgres import lost

        return lost(place)
    if isinstance(exc, sa.exc.SQLAlchemyError):
        return InternalError(f"{place}: {exc}", code="bad-statement")
    return StorageError(f"{place}: {original}", code="database-failed")


def _bad_value(exc: OverflowError | UnicodeError, place: str) -> StageError:
    if isinstance(exc, UnicodeDecodeError):
        return damaged(place, f"a text that it stores is none: {exc}")
    return UsageError(f"{place} cannot hold a value: {exc}", code="bad-value")


def damaged(place: str, what: str) -> IntegrityError:
    """Make the error about rows or pages that this code has not written so.

    Parameters
    ----------
    place : str
        Which database, without credentials.
    what : str
        What is wrong with it.

    Returns
    -------
    IntegrityError
        With code ``damaged-database``.
    """
    return IntegrityError(
        f"{place} is damaged: {what}", code="damaged-database", hint="Restore it from a copy.",
        context={"what": what},
    )  # fmt: skip


def _translate_sqlite(exc: sqlite3.Error, place: str) -> Exception:
    name = getattr(exc, "sqlite_errorname", "") or ""
    text = str(exc)
    if name in _CONSTRAINTS:
        return ConstraintViolation(_CONSTRAINTS[name], text)
    if name == "SQLITE_READONLY_ROLLBACK":
        return BusyError(
            f"{place} has an unfinished change in its journal ({place}-journal)",
            code="hot-journal", hint=_READERS_CANNOT, holder="a writer that was killed",
        )  # fmt: skip
    if name == "SQLITE_NOTADB":
        return IntegrityError(f"{place} is not a database", code="not-a-database", hint="Check the path.")
    if name.startswith("SQLITE_CORRUPT"):
        return damaged(place, text)
    if text.startswith("no such table"):
        return IntegrityError(
            f"{place} is damaged: {text}", code="table-missing", hint="Restore it from a copy."
        )
    return _translate_environment(name, text, place)


def _translate_environment(name: str, text: str, place: str) -> StageError:
    """Tell what the machine around the database refuses."""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return BusyError(
            f"{place} is held by another process", code="database-busy", hint="Wait and try again."
        )
    if name.startswith("SQLITE_READONLY"):
        return StorageError(
            f"{place} cannot be written: {text}",
            code="read-only",
            hint="Open it for writing where you may write.",
        )
    if name == "SQLITE_FULL":
        return StorageError(
            f"{place}: no space left", code="disk-full", hint="Free some space and try again."
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StorageError(
            f"{place} cannot be opened: {text}", code="cannot-open",
            hint="Check that you may read it and its directory; one in WAL mode needs a writable directory.",
        )  # fmt: skip
    if name.startswith("SQLITE_IOERR"):
        hint = "Check the disk, and whether there is room on it."
        return StorageError(f"{place}: {text}", code="io-error", hint=hint, transient=True)
    return InternalError(f"{place}: {name} {text}".strip(), code="bad-statement")


@contextlib.contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise our errors for a driver's, within.

    Parameters
    ----------
    place : str
        Which database, without credentials.

    Yields
    ------
    None
        Nothing.
    """
    try:
        yield
    except (OverflowError, UnicodeError) as exc:
        raise translate(exc, place) from exc
    except driver_errors() as exc:
        raise translate(exc, place) from exc
