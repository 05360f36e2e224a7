"""Brings the registry of a repository, or of a campaign, to the version that this software reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.errors import NotFoundError
from sync.beside import sqlite_url
from sync.filesystem import files
from sync.repo_file import REPO_FILE, RepoFile, is_database_url, place_of

if TYPE_CHECKING:
    from registry.migrations.run import Upgrade

__all__ = ["plan_upgrade", "registry_url", "upgrade"]


def registry_url(root: files.Uri) -> str:
    """Return the URL of a repository's database without opening it: this software may not be able to.

    Parameters
    ----------
    root : str or path
        The repository's root, its ``repo.yaml``, its database's URL, or an SQLite file.

    Returns
    -------
    str
        The URL.

    Raises
    ------
    NotFoundError
        If there is no repository.
    IntegrityError
        If its ``repo.yaml`` is malformed.
    """
    where = place_of(root)
    if is_database_url(where):
        return where
    path = files.local_path(where)
    if path is not None and path.is_file():
        return sqlite_url(where)
    try:
        recorded = RepoFile.load(where).registry
    except NotFoundError as exc:
        raise NotFoundError(
            f"{exc.message}", code=exc.code, hint=f"Give a directory with {REPO_FILE}, or a database."
        ) from exc
    return recorded if is_database_url(recorded) else sqlite_url(files.join(where, recorded))


def plan_upgrade(root: files.Uri) -> Upgrade:
    """Say what an upgrade would do, without writing anywhere.

    Parameters
    ----------
    root : str or path
        As for `registry_url`.

    Returns
    -------
    Upgrade
        From which version to which.

    Raises
    ------
    NotFoundError
        If there is no repository.
    SchemaVersionError
        If it is newer than this software.
    """
    from registry.migrations import run

    return run.plan_upgrade(registry_url(root))


def upgrade(root: files.Uri, *, backup: bool = True, keep_backup: bool = False) -> Upgrade:
    """Bring a repository of an older version to this software's: all the way, or not at all.

    Parameters
    ----------
    root : str or path
        As for `registry_url`.
    backup : bool, optional
        Whether to copy an SQLite registry beside itself first; the copy is removed when all went well.
    keep_backup : bool, optional
        Whether to keep that copy.

    Returns
    -------
    Upgrade
        What was done; ``backup`` names the copy that was kept.

    Raises
    ------
    SchemaVersionError
        If it is newer than this software.
    BusyError
        If others write to it for too long.
    StorageError
        If it, or its copy, cannot be written. In all these cases it stays as it was.
    """
    from registry.migrations import run

    return run.upgrade(registry_url(root), backup=backup, keep_backup=keep_backup)
