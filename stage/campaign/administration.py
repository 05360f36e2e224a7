"""What the keeper of a repository does: create, info, import, ingest, register dataset types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import NotFoundError, UsageError
from registry.model.columns import Columns
from registry.model.refs import id_text
from stage.campaign.layout import absolute_uri
from stage.campaign.reading import ask, get_dataset, split_words

if TYPE_CHECKING:
    from registry.model.dimensions import DimensionUniverse
    from stage.campaign.reports import DatasetContent
    from sync.repo import Repo

__all__ = [
    "RepoInfo", "create_repo", "get_from_repo", "import_records", "query_repo", "register_dataset_type", "repo_info",
]  # fmt: skip


@dataclass(frozen=True)
class RepoInfo:
    """What a repository holds.

    Parameters
    ----------
    root : str
        Where it is.
    id : str
        Its identity.
    universe : str
        Name of its universe.
    universe_version : int
        Version of that.
    records : mapping of str to int
        Dimension elements to their number of records, those that have any.
    datasets : sequence of (str, str, int)
        Dataset type, RUN, number.
    """

    root: str
    id: str
    universe: str
    universe_version: int
    records: Mapping[str, int]
    datasets: Sequence[tuple[str, str, int]]

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON-like values.

        Returns
        -------
        dict
            One key a field.
        """
        names = ("dataset_type", "run", "n")
        return {**asdict(self), "datasets": [dict(zip(names, row, strict=True)) for row in self.datasets]}


def create_repo(
    repo: str,
    *,
    universe: str | Path | DimensionUniverse | None = None,
    registry: str | None = None,
    datastore: str | None = None,
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

    Returns
    -------
    RepoInfo
        What was made.

    Raises
    ------
    AlreadyExistsError
        If there is one; it is left as it is.
    NotFoundError
        If the universe's file is missing.
    UsageError
        If it is no universe.
    """
    from sync.repo import Repo

    dimensions = _read_universe(universe) if isinstance(universe, str | Path) else universe
    with Repo.create(absolute_uri(repo), dimensions, registry_url=registry, datastore_root=datastore) as made:
        return _info(made)


def _read_universe(path: str | Path) -> DimensionUniverse:
    from registry.model.dimensions import DimensionUniverse

    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise NotFoundError(f"universe file {path} does not exist", code="no-such-file") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"universe file {path} cannot be read: {exc}") from exc
    return DimensionUniverse.from_yaml(text, str(path))


def _open(repo: str, *, writable: bool = False) -> Repo:
    from sync.repo import Repo

    return Repo.open(repo, writable=writable)


def repo_info(repo: str) -> RepoInfo:
    """Say what a repository holds.

    Parameters
    ----------
    repo : str
        Its root.

    Returns
    -------
    RepoInfo
        Counts.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    with _open(repo) as opened:
        return _info(opened)


def _info(repo: Repo) -> RepoInfo:
    universe = repo.registry.universe
    with repo.registry.read() as snapshot:
        elements = [e.name for e in universe.elements.values() if e.has_table]
        counts = {name: snapshot.records(name).n_rows for name in elements}
        datasets = snapshot.count_datasets().rows(("dataset_type", "run", "n"))
    return RepoInfo(
        repo.root, id_text(repo.registry.repo_id), universe.name, universe.version,
        {name: n for name, n in counts.items() if n}, [(t, r, int(n)) for t, r, n in datasets],
    )  # fmt: skip


def query_repo(repo: str, what: str, *names: str, **options: Any) -> Columns:
    """Put one question to a repository, read-only.

    Parameters
    ----------
    repo : str
        Its root.
    what : str
        As for `stage.campaign.reading.ask`.
    *names : str
        As for `stage.campaign.reading.ask`.
    **options
        As for `stage.campaign.reading.ask`.

    Returns
    -------
    Columns
        The answer.

    Raises
    ------
    NotFoundError
        If there is no repository, or something that was named does not exist.
    """
    with _open(repo) as opened:
        return ask(opened, what, *names, **options)


def get_from_repo(
    repo: str, dataset: str, *data_id: str, collections: Sequence[str] = (), output: str | Path | None = None
) -> DatasetContent:
    """Get one dataset of a repository, read-only.

    Parameters
    ----------
    repo : str
        Its root.
    dataset : str
        A dataset type, or an id.
    *data_id : str
        ``dimension=value`` words.
    collections : sequence of str, optional
        Where to search, in order.
    output : str or path, optional
        A local file that gets the artifact.

    Returns
    -------
    DatasetContent
        Its content.

    Raises
    ------
    NotFoundError
        If there is no such repository or dataset.
    """
    with _open(repo) as opened:
        return get_dataset(opened, dataset, *data_id, collections=collections, output=output)


def import_records(repo: str, source: str) -> dict[str, int]:
    """Insert dimension records from JSON lines.

    Parameters
    ----------
    repo : str
        Root of the repository.
    source : str
        A file, or a directory of them, one an element.

    Returns
    -------
    dict of str to int
        New records by element.

    Raises
    ------
    StageError
        If a line is wrong or a record is there with other values; nothing is inserted.
    """
    from sync import jsonl

    with _open(repo, writable=True) as opened:
        return jsonl.import_records(opened, absolute_uri(source))


def register_dataset_type(
    repo: str, name: str, *, storage_class: str, dimensions: Sequence[str] = (), calibration: bool = False
) -> bool:
    """Define a dataset type.

    Parameters
    ----------
    repo : str
        Root of the repository.
    name : str
        Its name.
    storage_class : str
        What it is in memory.
    dimensions : sequence of str, optional
        Its dimensions.
    calibration : bool, optional
        Whether its datasets may be valid for a span of time.

    Returns
    -------
    bool
        Whether it is new.

    Raises
    ------
    ConflictError
        If it is defined otherwise.
    StageError
        If there is no such storage class or dimension.
    """
    from registry.model.dataset_type import DatasetType
    from sync import storage

    storage.storage_class(storage_class)
    with _open(repo, writable=True) as opened:
        group = opened.registry.universe.group(split_words(dimensions))
        with opened.registry.write() as tx:
            return tx.register_dataset_type(DatasetType(name, group, storage_class, calibration))
