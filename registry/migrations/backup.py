"""Copies an SQLite registry beside itself, whole and readable, before something great is done to it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from registry.errors import StorageError
from registry.model.refs import new_id
from registry.sql.failures import translate

__all__ = ["copy_registry", "make_backup"]


def make_backup(place: str, version: str) -> Path:
    """Copy a registry, durably.

    Parameters
    ----------
    place : str
        Its file. Somebody may hold it for writing, as long as nothing is written yet.
    version : str
        Its version, which becomes part of the copy's name.

    Returns
    -------
    pathlib.Path
        The copy: ``registry.sqlite3.0001.backup`` beside ``registry.sqlite3``, with a number if there is one.

    Raises
    ------
    StorageError
        If it cannot be made. Nothing is left of it.
    """
    path = Path(place)
    aside = path.with_name(f".{path.name}.new-{new_id().hex()}")
    try:
        _copy(path, aside)
        final = _free_name(path.with_name(f"{path.name}.{version}.backup"))
        aside.rename(final)
        _sync(path.parent)
    except sqlite3.Error as exc:
        raise _worded(translate(exc, str(aside)), path) from exc
    except OSError as exc:
        raise _worded(exc, path) from exc
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
    return final


def copy_registry(place: Path, target: Path, *, wal: bool = False) -> None:
    """Copy an SQLite registry as it is at one moment, whoever reads or writes it meanwhile.

    Parameters
    ----------
    place : pathlib.Path
        Its file.
    target : pathlib.Path
        The copy.
    wal : bool, optional
        Whether it has a write-ahead log; else it has no side files.

    Raises
    ------
    StorageError
        If it cannot be made. Nothing is left of it.
    """
    try:
        _copy(place, target, "WAL" if wal else "DELETE")
    except (sqlite3.Error, OSError) as exc:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        raise _worded(translate(exc, str(target)) if isinstance(exc, sqlite3.Error) else exc, place) from exc


def _copy(path: Path, aside: Path, journal: str = "DELETE") -> None:
    with (
        contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(aside)) as target,
    ):
        source.backup(target)
        # Without that, a copy of a registry with a write-ahead log would want one too as soon as it is opened.
        target.execute(f"PRAGMA journal_mode = {journal}")
    _sync(aside)


def _free_name(first: Path) -> Path:
    final, number = first, 2
    while final.exists():
        final, number = first.with_name(f"{first.name}-{number}"), number + 1
    return final


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _worded(exc: Exception, path: Path) -> StorageError:
    why = getattr(exc, "message", None) or getattr(exc, "strerror", None) or str(exc)
    return StorageError(
        f"{path} cannot be copied before its upgrade: {why}",
        code="no-backup",
        hint="Make room beside it, or copy it elsewhere and upgrade with --no-backup.",
    )
