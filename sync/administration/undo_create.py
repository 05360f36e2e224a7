"""Takes back a repository that was made and could not be filled, so that nothing is left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from registry.errors import StageError
from registry.keeping import artifact_uris
from registry.model.dimensions import DimensionUniverse
from registry.removal import has_schema, remove_registry
from sync.filesystem import files
from sync.repo import Repo
from sync.repo_file import REPO_FILE, is_database_url, place_of

__all__ = ["removed_on_failure"]


@contextlib.contextmanager
def removed_on_failure(
    root: files.Uri,
    universe: DimensionUniverse,
    registry_url: str | None,
    datastore_root: files.Uri | None,
    shared: str | None = None,
) -> Iterator[Repo]:
    """Make a repository, and remove it again if the block does not end well.

    Parameters
    ----------
    root : str or path
        Where, as for `sync.repo.Repo.create`.
    universe : DimensionUniverse
        Its dimensions.
    registry_url : str or None
        The database, if not the one beside the root.
    datastore_root : str or path or None
        Where its files go, if not in the root.
    shared : str, optional
        A group that shares it, as for `sync.repo.Repo.create`.

    Yields
    ------
    Repo
        Open to write; it stays open.
    """
    where = place_of(root)
    folder = None if is_database_url(where) else files.local_path(where)
    made = [p for p in (folder, *folder.parents) if not p.exists()] if folder is not None else []
    database = where if is_database_url(where) else registry_url
    had_schema = database is None or has_schema(database)
    repo = Repo.create(
        root, universe, registry_url=registry_url, datastore_root=datastore_root, shared=shared
    )
    try:
        yield repo
    except BaseException:
        # What the registry calls itself has no password.
        _take_back(repo, where, made, database or repo.registry.url, schema=not had_schema)
        raise


def _take_back(repo: Repo, where: str, made: list[Path], url: str, *, schema: bool) -> None:
    """Remove files, then the database that names them, then what says that there is a repository."""
    with contextlib.suppress(StageError):
        with repo.registry.read() as snapshot:
            uris = artifact_uris(snapshot)
        for uri in uris:
            if not files.is_absolute(uri):
                repo.datastore.remove(uri)
                repo.datastore.prune(uri)
    repo.close()
    with contextlib.suppress(StageError):
        remove_registry(url, schema=schema)
    if not is_database_url(where):
        with contextlib.suppress(StageError):
            files.remove(files.join(where, REPO_FILE), missing_ok=True)
    with contextlib.suppress(OSError):
        root = files.local_path(repo.datastore.root)
        if root is not None:
            root.rmdir()
        for path in made:
            path.rmdir()
