"""The SQLite registry that a repository has beside its ``repo.yaml``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from registry.errors import AlreadyExistsError, StageError, StorageError, UsageError
from registry.model.dimensions import DimensionUniverse
from registry.registry import Registry
from sync.filesystem import files
from sync.filesystem.local_files import aside_name
from sync.filesystem.sharing import make_folders, share_file
from sync.repo_file import REPO_FILE

__all__ = ["DATABASE_NAME", "create_beside", "sqlite_url"]

DATABASE_NAME = "registry.sqlite3"


def sqlite_url(where: str) -> str:
    """Return the URL of an SQLite database.

    Parameters
    ----------
    where : str
        Its file.

    Returns
    -------
    str
        ``sqlite:////absolute/path``.

    Raises
    ------
    UsageError
        If it is not a local file.
    """
    path = files.local_path(where)
    if path is None:
        raise UsageError(
            f"an SQLite registry cannot be used at {files.redact(where)}: it needs a local file",
            code="remote-sqlite",
            hint="Name a database server, or keep the repository's root on a local disk.",
        )
    return f"sqlite:///{path}"


def create_beside(root: str, universe: DimensionUniverse, attributes: Mapping[str, str]) -> None:
    """Make an SQLite registry in a repository's root, under its name only when it is whole.

    Parameters
    ----------
    root : str
        The repository's root, made if need be.
    universe : DimensionUniverse
        Its universe.
    attributes : mapping of str to str
        What else the registry records.

    Raises
    ------
    AlreadyExistsError
        If there is a database that holds something.
    UsageError
        If `root` is not local.
    StorageError
        If it cannot be written. What had been made is removed.
    """
    final = files.join(root, DATABASE_NAME)
    sqlite_url(final)
    path, aside = Path(final), Path(files.join(root, aside_name()))
    if path.exists() and not _is_left_over(path, universe):
        raise AlreadyExistsError(
            f"there is a database at {path} already, without a {REPO_FILE}",
            code="database-exists",
            hint="Choose another directory, or move it away.",
        )
    made = [p for p in (path.parent, *path.parent.parents) if not p.exists()]
    try:
        make_folders(str(path.parent))
        Registry.create(f"sqlite:///{aside}", universe, attributes=attributes).close()
        share_file(str(aside), str(path.parent))
        aside.replace(path)
    except BaseException as exc:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
            for folder in made:
                folder.rmdir()
        if isinstance(exc, OSError):
            raise StorageError(
                f"cannot make a repository at {path.parent}: {exc.strerror or exc}",
                hint="Choose a directory where you may write.",
            ) from exc
        raise


def _is_left_over(path: Path, universe: DimensionUniverse) -> bool:
    """Tell whether a database is what an earlier `Repo.create` left that was killed before its last step."""
    try:
        with Registry.open(sqlite_url(str(path))) as registry, registry.read() as snapshot:
            empty = not snapshot.collections() and not snapshot.dataset_types()
            return empty and registry.universe == universe
    except StageError:
        return False
