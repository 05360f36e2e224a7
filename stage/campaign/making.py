"""How a keeper makes a repository: empty, or from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import AlreadyExistsError, NotFoundError, UsageError
from stage.campaign.keeping import RepoInfo, info_of
from stage.campaign.layout import absolute_uri

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from sync.datastore import TransferMode
    from sync.tables.repository import TablePlan

__all__ = ["create_repo", "create_repo_from_table", "plan_repo_from_table", "write_universe"]


def create_repo(
    repo: str,
    *,
    universe: str | Path | DimensionUniverse | None = None,
    registry: str | None = None,
    datastore: str | None = None,
    shared: str | None = None,
) -> RepoInfo:
    """Make an empty repository.

    Parameters
    ----------
    repo : str
        Directory to make it in.
    universe : str, path or DimensionUniverse, optional
        Its dimensions, or a YAML file of them; the default ones otherwise.
    registry : str, optional
        URL of its database; SQLite in the directory by default.
    datastore : str, optional
        Root of its files.
    shared : str, optional
        Group that may write all that is ever made in it; the directory's own if empty.

    Returns
    -------
    RepoInfo
        What was made.

    Raises
    ------
    AlreadyExistsError
        If there is one; it is left as it is.
    NotFoundError
        If the universe's file is missing, or there is no such group.
    UsageError
        If it is no universe.
    """
    from sync.repo import Repo

    dimensions = _as_universe(universe)
    with Repo.create(
        absolute_uri(repo), dimensions, registry_url=registry, datastore_root=datastore, shared=shared
    ) as made:
        return info_of(made)


def plan_repo_from_table(
    table: str | Path,
    *,
    key: Sequence[str],
    file: Sequence[str] = (),
    dataset_type: str | None = None,
    storage_class: str | None = None,
    universe: str | Path | DimensionUniverse | None = None,
    types: Mapping[str, str] | None = None,
) -> TablePlan:
    """Work out the repository that a table describes, without making anything.

    Parameters
    ----------
    table : str or path
        CSV, TSV or Parquet; its first line names the columns.
    key : sequence of str
        The columns that say what a row is about, the largest thing first; ``dimension=column`` renames.
    file : sequence of str, optional
        Columns with paths of files, relative to the table: a dataset type each; ``type=column`` renames.
    dataset_type : str, optional
        Name of the dataset type, where there is one such column.
    storage_class : str, optional
        What the datasets are in memory; by default the endings of the files tell.
    universe : str, path or DimensionUniverse, optional
        The dimensions, as edited; by default the table tells them.
    types : mapping of str to str, optional
        What columns are, where their values do not tell: ``int``, ``float``, ``bool``, ``string`` or ``time``.

    Returns
    -------
    TablePlan
        With the universe as YAML.

    Raises
    ------
    NotFoundError
        If the table, or a file that it names, is not there.
    UsageError
        If the table is wrong; names file, line and column.
    """
    from sync.tables.repository import plan_table

    return plan_table(
        table, key=key, file=file, dataset_type=dataset_type, storage_class=storage_class,
        universe=_as_universe(universe), types=types,
    )  # fmt: skip


def create_repo_from_table(
    repo: str,
    plan: TablePlan,
    *,
    run: str = "raw",
    mode: TransferMode = "copy",
    registry: str | None = None,
    datastore: str | None = None,
    shared: str | None = None,
) -> RepoInfo:
    """Make the repository that a table describes: all of it, or nothing.

    Parameters
    ----------
    repo : str
        Directory to make it in.
    plan : TablePlan
        From `plan_repo_from_table`.
    run : str, optional
        RUN collection of the datasets.
    mode : {"copy", "link", "symlink", "move", "direct"}, optional
        How the files get in; ``"direct"`` leaves them where they are.
    registry : str, optional
        URL of its database; SQLite in the directory by default.
    datastore : str, optional
        Root of its files.
    shared : str, optional
        As for `create_repo`.

    Returns
    -------
    RepoInfo
        What was made.

    Raises
    ------
    AlreadyExistsError
        If there is one; it is left as it is.
    StorageError
        If something cannot be written. What had been made is removed.
    """
    from sync.tables.repository import create_from_table

    with create_from_table(
        absolute_uri(repo),
        plan,
        run=run,
        mode=mode,
        registry_url=registry,
        datastore_root=datastore,
        shared=shared,
    ) as made:
        return info_of(made)


def write_universe(plan: TablePlan, path: str | Path) -> None:
    """Write the universe of a table as YAML, to be edited.

    Parameters
    ----------
    plan : TablePlan
        From `plan_repo_from_table`.
    path : str or path
        A new file.

    Raises
    ------
    AlreadyExistsError
        If there is one: it may have been edited.
    UsageError
        If it cannot be written.
    """
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(plan.yaml)
    except FileExistsError as exc:
        raise AlreadyExistsError(
            f"{path} is there already", code="file-exists", hint="Choose another name for --universe-out."
        ) from exc
    except OSError as exc:
        raise UsageError(f"{path} cannot be written: {exc.strerror}", code="cannot-write") from exc


def _as_universe(universe: str | Path | DimensionUniverse | None) -> DimensionUniverse | None:
    from registry.model.dimensions import DimensionUniverse

    if not isinstance(universe, str | Path):
        return universe
    try:
        text = Path(universe).read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise NotFoundError(f"universe file {universe} does not exist", code="no-such-file") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"universe file {universe} cannot be read: {exc}") from exc
    return DimensionUniverse.from_yaml(text, str(universe))
