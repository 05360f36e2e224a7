"""What is asked of a repository, and single things that its keeper brings in: records, dataset types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.model.columns import Columns
from stage.campaign.layout import absolute_uri
from stage.campaign.questions import ask, question, split_words

if TYPE_CHECKING:
    from registry.queries.results import Result
    from stage.campaign.reports import DatasetContent
    from sync.repo import Repo

__all__ = ["get_from_repo", "import_records", "open_query", "query_repo", "register_dataset_type"]


def _open(repo: str, *, writable: bool = False) -> Repo:
    from sync.repo import Repo

    return Repo.open(repo, writable=writable)


def query_repo(repo: str, what: str, *names: str, **options: Any) -> Columns:
    """Put one question to a repository, read-only.

    Parameters
    ----------
    repo : str
        Its root.
    what : str
        As for `stage.campaign.questions.ask`.
    *names : str
        As for `stage.campaign.questions.ask`.
    **options
        As for `stage.campaign.questions.question`.

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


@contextmanager
def open_query(repo: str, what: str, *names: str, **options: Any) -> Iterator[Result[Any]]:
    """Put a question for rows to a repository, whose answer can be counted, explained or read within the block.

    Parameters
    ----------
    repo : str
        Its root; it is only read.
    what : {"data-ids", "records", "datasets"}
        What is asked for.
    *names : str
        As for `stage.campaign.questions.question`.
    **options
        As for `stage.campaign.questions.question`.

    Yields
    ------
    Result
        Not asked for yet.

    Raises
    ------
    NotFoundError
        If there is no repository.
    """
    with _open(repo) as opened:
        yield question(opened, what, *names, **options)


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
    from stage.campaign.reading import get_dataset

    with _open(repo) as opened:
        return get_dataset(opened, dataset, *data_id, collections=collections, output=output, is_named=True)


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
    from sync.exports import jsonl

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
